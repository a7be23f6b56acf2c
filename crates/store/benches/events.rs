//! Append and search of events: `cargo bench -p wf-store`. Prints CPU a event and milliseconds a search.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use wf_model::*;
use wf_store::events::Query;
use wf_store::{Commit, DatabaseKey, Store};

fn event(seq: u64) -> Event {
    let h = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let ip = format!("10.{}.{}.{}", h % 7, (h >> 8) % 250, (h >> 16) % 250);
    let user = format!("user{}", (h >> 3) % 900);
    let at = Timestamp::from_millis(1_760_000_000_000 + seq as i64);
    let raw = format!(
        r#"{{"id":"{:016x}","event_type":"http_request","timestamp":"{}","ip_address":"{ip}","user_id":{},"email":"{user}@shop.example","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36","method":"GET","url":"/api/v1/orders/{}?page={}&sort=created_at","status":200,"duration_ms":{},"session":"{:032x}","service":"shop-api","region":"eu-west-1","request_id":"{:016x}","referrer":"https://shop.example/account/orders"}}"#,
        seq,
        at,
        h % 900,
        h % 90_000,
        h % 9,
        h % 300,
        u128::from(h) * 7_777_777,
        h
    );
    let mut f = Fields::with_capacity(9);
    f.set("event.action".into(), Value::str("http_request"));
    f.set("source.ip".into(), Value::str(&ip));
    f.set("user.name".into(), Value::str(&user));
    f.set("url.original".into(), Value::str(&format!("/api/v1/orders/{}", h % 90_000)));
    f.set("http.response.status_code".into(), Value::Int(200));
    Event {
        seq: Seq(seq),
        feed: FeedName::new("bench"),
        id: None,
        occurred_at: at,
        received_at: at,
        skewed: false,
        conflict: false,
        fields: f,
        raw: Raw::from(raw.as_str()),
    }
}

fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    (fields.get(11).and_then(|s| s.parse::<f64>().ok()).unwrap_or(0.0)
        + fields.get(12).and_then(|s| s.parse::<f64>().ok()).unwrap_or(0.0))
        / 100.0
}

fn main() {
    let total: u64 = std::env::var("WF_BENCH_EVENTS").ok().and_then(|s| s.parse().ok()).unwrap_or(500_000);
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(run(total));
}

async fn run(total: u64) {
    let dir = tempfile::tempdir().unwrap();
    let key = DatabaseKey::from_hex(&"07".repeat(32)).unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key).await.unwrap();
    println!("{total} events of {} bytes, batches of 2048", event(1).raw.len());
    let (mut wall, mut used, mut seq) = (0.0, 0.0, 1);
    while seq <= total {
        let mut batch: Vec<Event> = (seq..(seq + 2048).min(total + 1)).map(event).collect();
        if seq < 2049
            && let Some(first) = batch.get_mut(100)
        {
            first.raw = Raw::from(r#"{"needle":"rarest-word-of-all"}"#);
        }
        seq += batch.len() as u64;
        let (t, c) = (Instant::now(), cpu());
        store.commit(&Commit { events: Arc::new(batch), ..Commit::default() }).await.unwrap();
        wall += t.elapsed().as_secs_f64();
        used += cpu() - c;
    }
    println!(
        "append: {:.0} events/s, {:.2} us CPU an event, {:.1} bytes an event on disk",
        total as f64 / wall,
        used * 1e6 / total as f64,
        store.size_on_disk() as f64 / total as f64
    );
    store.close().await;
    let t = Instant::now();
    let store = Store::open(&path, &key).await.unwrap();
    println!("open: {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
    for round in ["first", "again"] {
        for (what, q) in [
            ("common word", "shop-api"),
            ("rarer field", "user.name=user77"),
            ("one event at the far end", "rarest-word-of-all"),
            ("not there", "never-seen-word"),
            ("substring, newest 100", "\"orders/77\""),
        ] {
            let t = Instant::now();
            let found =
                store.search(&Query::parse(q).unwrap(), None, 100, &AtomicBool::new(false), |_| {}).await.unwrap();
            println!(
                "search ({round}) {what:>26}: {:>4} hits in {:>7.1} ms",
                found.events.len(),
                t.elapsed().as_secs_f64() * 1e3
            );
        }
    }
}
