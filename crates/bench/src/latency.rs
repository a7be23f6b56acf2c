//! Frame sent to incident committed. The engine acknowledges a cursor only after the commit that holds it, so the time
//! between sending an attack and hearing its cursor acknowledged is an upper bound of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::engine::Engine;

pub async fn run(seconds: u64) {
    for rate in [1000, 5000] {
        one(rate, seconds).await;
    }
}

async fn one(rate: u64, seconds: u64) {
    let home = tempfile::tempdir_in("target").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let feed = format!(
        "[feed.bench]\nurl = \"ws://{}/\"\nmap = [\"activity-log\", \"security-event\"]\nresume = {{ cursor = \"/n\", ack = '{{\"ack\":{{cursor}}}}' }}\n",
        listener.local_addr().unwrap()
    );
    let took = Arc::new(Mutex::new(Vec::<f64>::new()));
    let measured = took.clone();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut sink, mut source) = tokio_tungstenite::accept_async(stream).await.unwrap().split();
        let waiting: Arc<Mutex<Vec<(u64, Instant)>>> = Arc::default();
        let acknowledged = waiting.clone();
        let hearing = tokio::spawn(async move {
            while let Some(Ok(message)) = source.next().await {
                let now = Instant::now();
                let Some(n) = message
                    .to_text()
                    .ok()
                    .and_then(|t| t.strip_prefix("{\"ack\":")?.strip_suffix('}')?.parse::<u64>().ok())
                else {
                    continue;
                };
                let mut waiting = acknowledged.lock().unwrap();
                measured
                    .lock()
                    .unwrap()
                    .extend(waiting.extract_if(.., |(m, _)| *m <= n).map(|(_, sent)| (now - sent).as_secs_f64() * 1e3));
            }
        });
        let (began, mut n) = (Instant::now(), 0u64);
        while began.elapsed() < Duration::from_secs(seconds) {
            // A millisecond's worth at a time, evenly.
            let due = (began.elapsed().as_secs_f64() * rate as f64) as u64;
            while n < due {
                n += 1;
                let frame = if n.is_multiple_of(rate / 20) {
                    waiting.lock().unwrap().push((n, Instant::now()));
                    format!(
                        r#"{{"n":{n},"type":"SQL Injection","ip":"10.{}.{}.{}","url":"/search?q=1' OR 1=1","field":"q","pattern":"x","timestamp":{}}}"#,
                        n >> 16 & 255,
                        n >> 8 & 255,
                        n & 255,
                        now()
                    )
                } else {
                    format!(
                        r#"{{"n":{n},"event":"http_request","action":"GET /api/v1/orders/{n}","url":"/api/v1/orders/{n}","user_id":{},"username":"user{}","email":"user{}@shop.example","ip_address":"10.2.{}.{}","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36","status":200,"duration_ms":{},"request_id":"{:016x}","session":"{:016x}","referrer":"https://shop.example/account/orders","service":"shop-api","region":"eu-west-1","created_at":{}}}"#,
                        n % 900,
                        n % 900,
                        n % 900,
                        n % 8,
                        n % 250,
                        n % 300,
                        n.wrapping_mul(0x9E37_79B9_7F4A_7C15),
                        n.wrapping_mul(77),
                        now()
                    )
                };
                sink.feed(Message::text(frame)).await.unwrap();
            }
            sink.flush().await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        hearing.abort();
        n
    });
    let engine = Engine::start(home.path(), &feed);
    let cpu = engine.cpu();
    let sent = serving.await.unwrap();
    let used = engine.cpu() - cpu;
    let incidents = engine.ask(&["incidents", "list", "--limit", "100000"]).as_array().unwrap().len();
    let mut took = took.lock().unwrap().clone();
    took.sort_by(f64::total_cmp);
    let at = |q: f64| took[((took.len() - 1) as f64 * q) as usize];
    println!(
        "latency at {rate} events/s: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms ({} attacks, {incidents} incidents; {:.1} us of CPU an event)",
        at(0.5),
        at(0.99),
        at(1.0),
        took.len(),
        used * 1e6 / sent as f64
    );
    engine.stop();
}

fn now() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}
