//! What a privacy officer and an auditor wait for with a year of data: a search, a report, an erasure; and what
//! retention costs the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wf_api::{Action, PrivacyAction, ReportWanted, Request};
use wf_model::Timestamp;
use wf_testkit::{ScriptServer, TestConsole};

const EVENTS: usize = 1_000_000;
const INCIDENTS: usize = 5_000;
/// Of these many, the older part is over twelve months.
const MONTHS: usize = 24;
const PER_FRAME: usize = 500;

pub async fn run() {
    println!("\nprivacy: {EVENTS} events over {MONTHS} months, {INCIDENTS} incidents");
    let now = Timestamp::now();
    let span = Duration::from_secs(MONTHS as u64 * 30 * 86_400).as_millis() as i64;
    let line = |n: usize| {
        let at = Timestamp::from_millis(now.millis() - span + (n as i64) * (span / EVENTS as i64)).rfc3339();
        let ip = format!("10.{}.{}.{}", n / 7 % 4, n / 256 % 256, n % 256);
        if n.is_multiple_of(EVENTS / INCIDENTS) {
            let k = n / (EVENTS / INCIDENTS);
            return format!(
                r#"{{"type":"SQL Injection","ip":"172.16.{}.{}","url":"/products?id=1","field":"id","pattern":"union select","offset":{n},"timestamp":"{at}"}}"#,
                k / 256,
                k % 256
            );
        }
        format!(
            r#"{{"event":"login_success","username":"user{}","email":"user{}@shop.example","ip":"{ip}","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36","session":"{n:016x}","offset":{n},"timestamp":"{at}"}}"#,
            n % 5000,
            n % 5000
        )
    };
    let frames: Vec<String> = (0..EVENTS / PER_FRAME)
        .map(|f| (f * PER_FRAME..(f + 1) * PER_FRAME).map(line).collect::<Vec<_>>().join("\n"))
        .collect();
    let server = Arc::new(ScriptServer::of(&frames.iter().map(String::as_str).collect::<Vec<_>>()).await);
    drop(frames);
    let home = TestConsole::new(&format!(
        "[feed.f]\nurl = \"{}\"\nmap = [\"auth-event\", \"security-event\"]\ndecode = {{ split = \"ndjson\" }}\nresume = {{ cursor = \"/offset\" }}\n[privacy]\norganisation = \"Shop GmbH\"\napprovals = 1\n[escalation]\nstorm = 1000000\n",
        server.url()
    ));
    let console = home.start().await;
    let began = Instant::now();
    while console.stored().await < EVENTS as u64 {
        assert!(began.elapsed() < Duration::from_secs(600), "only {} events are stored", console.stored().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("  stored in {:.1} s", began.elapsed().as_secs_f64());
    let ids: Vec<String> = console
        .console
        .desk
        .incidents
        .list(Some("live"), None, 100_000)
        .await
        .unwrap()
        .into_iter()
        .map(|i| i.id)
        .collect();
    println!("  {} incidents opened", ids.len());
    for (n, some) in ids.chunks(500).enumerate() {
        console.console.desk.incidents.act(some, &Action::Acknowledge { note: None, minutes: None }).await.unwrap();
        if n.is_multiple_of(2) {
            console
                .console
                .desk
                .incidents
                .act(
                    some,
                    &Action::Resolve {
                        verdict: if n.is_multiple_of(4) { "true_positive" } else { "false_positive" }.into(),
                        note: None,
                    },
                )
                .await
                .unwrap();
        }
    }
    let year = Timestamp::from_millis(now.millis() - 365 * 86_400_000).rfc3339()[..10].to_owned();
    for kind in ["soc2", "gdpr", "handover"] {
        let began = Instant::now();
        let made = console
            .ask(Request::Report {
                wanted: ReportWanted {
                    kind: kind.into(),
                    from: (kind != "handover").then(|| year.clone()),
                    to: None,
                    incident: None,
                },
            })
            .await
            .unwrap();
        let took = began.elapsed().as_secs_f64();
        let sizes: Vec<String> = made["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| {
                let path = std::path::Path::new(made["folder"].as_str().unwrap()).join(f["name"].as_str().unwrap());
                format!(
                    "{} {:.1} MB",
                    path.extension().unwrap().display(),
                    std::fs::metadata(&path).unwrap().len() as f64 / 1e6
                )
            })
            .collect();
        println!("  report {kind} of a year: {took:.1} s ({})", sizes.join(", "));
        if let Some(keep) = std::env::var_os("WATCHFLOOR_REPORTS") {
            let from =
                std::path::Path::new(made["folder"].as_str().unwrap()).join(made["files"][0]["name"].as_str().unwrap());
            std::fs::copy(from, std::path::Path::new(&keep).join(format!("year-{kind}.pdf"))).unwrap();
        }
        if kind == "soc2" {
            let zip =
                std::path::Path::new(made["folder"].as_str().unwrap()).join(made["files"][2]["name"].as_str().unwrap());
            let began = Instant::now();
            assert!(wf_console::verify_pack(&zip, None).unwrap().good);
            println!("  its pack verified in {:.1} s", began.elapsed().as_secs_f64());
        }
    }
    let began = Instant::now();
    let found = console
        .ask(Request::SubjectFind { identifiers: vec!["email:user77@shop.example".into(), "name:Ann Lee".into()] })
        .await
        .unwrap();
    println!(
        "  everything about one subject: {:.1} s ({} events)",
        began.elapsed().as_secs_f64(),
        found["places"].as_array().unwrap().iter().find(|p| p["place"] == "events").unwrap()["found"]
    );
    let (act, n) = (|action| console.ask(Request::Privacy { action }), 1);
    act(PrivacyAction::AddRequest {
        kind: "deletion".into(),
        received: None,
        subject: vec!["email:user77@shop.example".into()],
        contact: None,
        note: None,
        corrections: vec![],
    })
    .await
    .unwrap();
    act(PrivacyAction::Advance { request: n, note: None }).await.unwrap();
    act(PrivacyAction::Advance { request: n, note: Some("seen".into()) }).await.unwrap();
    let (began, stall) = (Instant::now(), Stall::begin(&console, &server));
    act(PrivacyAction::Execute { request: n }).await.unwrap();
    println!("  erased, and searched again: {:.1} s; {}", began.elapsed().as_secs_f64(), stall.end().await);
    let began = Instant::now();
    let preview = console.ask(Request::Retention).await.unwrap();
    let over: u64 = preview["classes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["class"] == "events")
        .map(|c| c["delete"].as_u64().unwrap())
        .sum();
    println!("  retention previewed: {:.1} s ({over} events over their time)", began.elapsed().as_secs_f64());
    let quiet = Stall::begin(&console, &server);
    tokio::time::sleep(Duration::from_secs(10)).await;
    println!("  without retention: {}", quiet.end().await);
    let (began, stall) = (Instant::now(), Stall::begin(&console, &server));
    let run = act(PrivacyAction::RunRetention { approver: None, code: None }).await.unwrap();
    println!(
        "  retention run: {:.1} s, {:.0} MB given back; {}",
        began.elapsed().as_secs_f64(),
        run["bytes"].as_f64().unwrap() / 1e6,
        stall.end().await
    );
    console.stop().await;
}

/// An event every 20 ms, and how long each takes from the server to the disk.
struct Stall {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<f64>>,
}

impl Stall {
    fn begin(console: &wf_testkit::RunningConsole, server: &Arc<ScriptServer>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ended, live, server) = (stop.clone(), console.console.context.recent.clone(), server.clone());
        let task = tokio::spawn(async move {
            let mut times = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let (before, began) = (live.events.load(Ordering::Relaxed), Instant::now());
                server.push(r#"{"event":"login_success","username":"now","ip":"192.0.2.1"}"#);
                while live.events.load(Ordering::Relaxed) == before {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                times.push(began.elapsed().as_secs_f64() * 1000.0);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            times
        });
        Self { stop, task }
    }

    async fn end(self) -> String {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.task.await.unwrap();
        times.sort_by(f64::total_cmp);
        let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize];
        format!(
            "ingest beside it ({} events, each alone): median {:.0} ms, 99th percentile {:.0} ms, most {:.0} ms to the disk",
            times.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        )
    }
}
