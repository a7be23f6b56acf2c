//! As many events as it takes, then what is asked of them.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wf_testkit::console::demo_feed;

use crate::engine::{Engine, program};

pub async fn run(seconds: u64) {
    let home = tempfile::tempdir_in("target").unwrap();
    // The script's clock starts hours ago: at full speed it must not run into the future.
    let mut sender = Command::new(program("watchfloor-demo"))
        .args(["--listen", "127.0.0.1:0", "--speed", "0", "--per-minute", "400000", "--backlog", "600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(sender.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let feed = demo_feed("bench", url.trim());
    let engine = Engine::start(home.path(), &feed);
    println!("ingest: {seconds} s at full speed, sender on the same cores");
    let counts = |e: &Engine| e.ask(&["feeds", "list"])[0]["counts"].clone();
    let n = |c: &serde_json::Value, what: &str| c[what].as_u64().unwrap() as f64;
    // The first seconds fill caches and are not counted.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (t, cpu, before) = (Instant::now(), engine.cpu(), counts(&engine));
    let mut slowest = f64::MAX;
    let (mut last, mut at) = (n(&before, "stored"), Instant::now());
    let mut resident = 0f64;
    while t.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let stored = n(&counts(&engine), "stored");
        slowest = slowest.min((stored - last) / at.elapsed().as_secs_f64());
        (last, at) = (stored, Instant::now());
        resident = resident.max(engine.memory().0);
    }
    let after = counts(&engine);
    let (wall, used) = (t.elapsed().as_secs_f64(), engine.cpu() - cpu);
    let stored = n(&after, "stored") - n(&before, "stored");
    println!(
        "  {:.0} events/s ({:.0} in the slowest 5 s), {:.2} us of the engine's CPU an event",
        stored / wall,
        slowest,
        used * 1e6 / stored
    );
    println!(
        "  shed {}, quarantined {}, gaps {}",
        after["discarded"],
        after["quarantined"],
        engine.ask(&["feeds", "list"])[0]["gaps"]
    );
    println!("  resident {:.0} MB (most during the load), peak {:.0} MB", resident, engine.memory().1);
    engine.stop();
    sender.kill().unwrap();
    sender.wait().unwrap();

    // The same data again, with a feed that speaks at once: cold start to first stored event.
    let mut sender = Command::new(program("watchfloor-demo"))
        .args(["--listen", "127.0.0.1:0", "--per-minute", "60000", "--backlog", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(sender.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let total = n(&after, "stored");
    let t = Instant::now();
    let engine = Engine::start(home.path(), &demo_feed("fresh", url.trim()));
    let first = loop {
        let feeds = engine.ask(&["feeds", "list"]);
        if feeds.as_array().unwrap().iter().any(|f| f["name"] == "fresh" && n(&f["counts"], "stored") > 0.0) {
            break t.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    println!(
        "  cold start on {:.1} M events to the first stored event: {:.0} ms",
        total / 1e6,
        first.as_secs_f64() * 1e3
    );
    let health = engine.ask(&["health"]);
    println!(
        "  {:.1} bytes an event on disk",
        health["store"]["bytes"].as_f64().unwrap() / health["store"]["events"].as_f64().unwrap()
    );
    for (what, query) in [
        ("a common word", "shop-api"),
        ("a common address", "10.2.3.67"),
        ("an attacker's address", "203.0.113.45"),
        ("not there", "never-seen-anywhere"),
    ] {
        let mut took = Vec::new();
        for _ in 0..5 {
            let t = Instant::now();
            let _found = engine.ask(&["events", "list", "--limit", "100", "--query", query]);
            took.push(t.elapsed().as_secs_f64() * 1e3);
        }
        let t = Instant::now();
        let _nothing = engine.ask(&["events", "count"]);
        let overhead = t.elapsed().as_secs_f64() * 1e3;
        took.sort_by(f64::total_cmp);
        println!(
            "  search, first 100 hits of {what}: {:.0} ms median through the CLI (of which its start and answer about {overhead:.0} ms)",
            took[2]
        );
    }
    engine.stop();
    sender.kill().unwrap();
    sender.wait().unwrap();
}
