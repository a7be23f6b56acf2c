//! SIGKILL under load, again and again; afterwards every event is there once and the audit log proves itself.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use wf_demo::{DemoServer, Options, Scenario};
use wf_model::Timestamp;
use wf_testkit::console::demo_feed;
use wf_testkit::{Providers, ScriptServer};
use wf_tests::ctl;

/// How often it is killed, and how often it is stopped for 5 to 30 seconds in between. More of both for a long run by
/// hand: `WATCHFLOOR_KILLS=200 WATCHFLOOR_STOPS=8`.
fn how_often(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// The process stands still, as on a machine that sleeps or swaps.
async fn stand_still(child: &std::process::Child, seconds: u64) {
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    signal("-STOP");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    signal("-CONT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_under_load_lose_nothing_and_count_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (data, config) = (dir.path().join("data"), dir.path().join("watchfloor.toml"));
    let (kills, stops) = (how_often("WATCHFLOOR_KILLS", 100), how_often("WATCHFLOOR_STOPS", 0));
    let minutes = i64::from(kills.div_ceil(100)) * 12;
    let start = Timestamp::parse("2026-01-12T10:00:00Z").unwrap();
    // More than a hundred short lives can take in: it ends with the events, not with the kills.
    let options = Options {
        scenario: Scenario { per_minute: 20_000, ..Scenario::default() },
        start,
        speed: 0.0,
        backlog: Duration::ZERO,
        end: Some(start + Duration::from_secs(minutes as u64 * 60) - Duration::from_millis(1)),
        ..Options::default()
    };
    let expected: Vec<u64> =
        (0..minutes).flat_map(|m| options.scenario.minute(start.millis() / 60_000 + m)).map(|e| e.offset).collect();
    let server = DemoServer::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    std::fs::write(&config, format!("[store]\nkey = \"env:WATCHFLOOR_KEY\"\n{}", demo_feed("demo", &server.url())))
        .unwrap();

    let mut last_cursor = 0u64;
    for round in 0..kills {
        let mut child = ctl(&data, &config).arg("run").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("ready"), "round {round}: {ready:?}");
        // A different moment of its life each time.
        tokio::time::sleep(Duration::from_millis(u64::from(round * 7 % 60))).await;
        if stops > 0 && round % kills.div_ceil(stops) == 1 {
            stand_still(&child, 5 + u64::from(round) % 26).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 10 == 9 {
            let feeds = json(&mut ctl(&data, &config), &["feeds", "list", "--json"]);
            let (feed, counts) = (&feeds[0], &feeds[0]["counts"]);
            let n = |k: &str| counts[k].as_u64().unwrap();
            assert_eq!(
                n("received"),
                n("stored") + n("duplicates") + n("quarantined") + n("filtered") + n("discarded"),
                "round {round}: {counts}"
            );
            let cursor: u64 = feed["cursor"].as_str().map_or(0, |c| c.parse().unwrap());
            assert!(cursor >= last_cursor, "a committed cursor never goes back");
            last_cursor = cursor;
            let stored = json(&mut ctl(&data, &config), &["events", "count", "--json"])["events"].as_u64().unwrap();
            let through = expected.iter().filter(|o| **o <= cursor).count() as u64;
            assert_eq!(stored, through, "what is stored is what the cursor says");
        }
    }
    assert!(
        last_cursor < expected[expected.len() - 1],
        "the events ran out before the kills did: the last ones hit an idle engine"
    );
    run_until_stored(&data, &config, expected.len() as u64).await;
    // A twin that nobody killed.
    let twin = dir.path().join("twin");
    run_until_stored(&twin, &config, expected.len() as u64).await;
    let (killed, whole) = (incidents(&data, &config), incidents(&twin, &config));
    assert_eq!(killed, whole, "each incident once, with the counts and times of a run without kills");
    assert!(killed.iter().any(|i| i.contains("203.0.113.45") && i.contains("47")), "the attack was found: {killed:?}");
    let verdict = json(&mut ctl(&data, &config), &["audit", "verify", "--json"]);
    assert_eq!(verdict["good"], true, "{verdict}");
}

/// Lets a console run until it has stored so many events, and kills it.
async fn run_until_stored(data: &Path, config: &Path, events: u64) {
    // That of a killed console would be taken for one that listens.
    let socket = data.join("control.sock");
    let _none = std::fs::remove_file(&socket).is_err();
    let mut child = ctl(data, config).arg("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wf_testkit::until("everything is stored", || async {
        // Each look is a process of its own: not more of them than needed. Before the console listens, a tool would
        // open the database itself and be in its way.
        tokio::time::sleep(Duration::from_millis(500)).await;
        if !socket.exists() {
            return None;
        }
        let stored = json(&mut ctl(data, config), &["events", "count", "--json"])["events"].as_u64().unwrap_or(0);
        (stored >= events).then_some(())
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(json(&mut ctl(data, config), &["events", "count", "--json"])["events"], events);
}

/// What every incident says, but for its number and the time it was found.
fn incidents(data: &Path, config: &Path) -> Vec<String> {
    let listed = json(&mut ctl(data, config), &["incidents", "list", "--limit", "10000", "--json"]);
    let says = |i: &serde_json::Value| {
        ["rule", "severity", "entity", "count", "first_seen", "last_seen", "title"].map(|k| i[k].to_string()).join(" ")
    };
    let mut all: Vec<String> = listed.as_array().unwrap().iter().map(says).collect();
    all.sort();
    all
}

fn json(command: &mut std::process::Command, arguments: &[&str]) -> serde_json::Value {
    let output = command.args(arguments).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_messages_are_sent_forget_nobody_and_mark_what_may_have_come_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (data, config) = (dir.path().join("data"), dir.path().join("watchfloor.toml"));
    let (feed, provider) = (ScriptServer::of(&[]).await, Providers::start().await);
    std::fs::write(
        &config,
        format!(
            "[store]\nkey = \"env:WATCHFLOOR_KEY\"\n[feed.shop]\nurl = \"{}\"\nmap = [\"security-event\"]\n[person.ann]\nroles = [\"officer\"]\n[escalation]\nstorm = 100000\n[channel.hook]\nkind = \"webhook\"\nurl = \"{}/hook\"\nallow = [\"127.0.0.1\"]\n",
            feed.url(),
            provider.url()
        ),
    )
    .unwrap();
    for round in 0..25u32 {
        let mut child = ctl(&data, &config).arg("run").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        for n in 0..4 {
            feed.push(&format!(r#"{{"type":"SQL Injection","ip":"10.{round}.0.{n}","url":"/","field":"q"}}"#));
        }
        tokio::time::sleep(Duration::from_millis(u64::from(round * 37 % 400))).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = ctl(&data, &config).arg("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let channels = wf_testkit::until("nothing waits any more", || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let channels = json(&mut ctl(&data, &config), &["channels", "list", "--json"]);
        (channels[0]["waiting"] == 0).then_some(channels)
    })
    .await;
    assert!(channels[0]["broken"].is_null());
    child.kill().unwrap();
    child.wait().unwrap();
    let incidents = json(&mut ctl(&data, &config), &["incidents", "list", "--json"]);
    let incidents = incidents.as_array().unwrap();
    assert!(incidents.len() > 25, "the kills left something to tell of: {}", incidents.len());
    let taken = provider.taken("/hook");
    let mut seen = std::collections::BTreeMap::<String, Vec<serde_json::Value>>::new();
    for asked in &taken {
        seen.entry(asked.json()["key"].as_str().unwrap().to_owned()).or_default().push(asked.json());
    }
    for i in incidents {
        assert!(taken.iter().any(|a| a.json()["id"] == i["id"]), "somebody was forgotten: {i}");
    }
    for (key, times) in seen {
        assert!(
            times.iter().skip(1).all(|m| m["possible_duplicate"] == true),
            "{key} came twice and does not say so: {times:?}"
        );
        assert!(
            times.iter().all(|m| m["id"] == times[0]["id"] && m["title"] == times[0]["title"]),
            "one key, two messages: {times:?}"
        );
    }
}
