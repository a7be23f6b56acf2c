//! Detection as it runs, from the socket to the incident and across a restart, against an oracle that knows nothing of
//! windows that move: it sorts what was sent and looks at every window.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wf_model::Timestamp;
use wf_testkit::{ScriptServer, TestConsole, until};

const SPRAY: &str = r#"
title: Login failed, here
name: here_login_failed
logsource: {product: watchfloor, service: auth}
detection:
  a: {event.action: login_failed}
  condition: a
---
title: Many accounts
correlation:
  type: value_count
  rules: [here_login_failed]
  group-by: [source.ip]
  timespan: 2m
  condition: {field: user.name, gte: 4}
level: high
watchfloor:
  type: MANY_ACCOUNTS
  dedup: [source.ip]
"#;

/// Numbers that a seed determines.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

#[derive(Clone, Debug)]
struct Login {
    at: i64,
    address: u64,
    user: u64,
    failed: bool,
}

impl Login {
    fn frame(&self, id: usize) -> String {
        let (at, event) =
            (Timestamp::from_millis(self.at).rfc3339(), if self.failed { "login_failed" } else { "login_success" });
        format!(
            r#"{{"id":"e{id}","event":"{event}","ip":"203.0.113.{}","username":"u{}","timestamp":"{at}"}}"#,
            self.address, self.user
        )
    }
}

/// Logins of the last hour, in the order they arrive: bursts and single ones, some at a window's very edge, shuffled by
/// up to four minutes.
fn logins(dice: &mut Dice, now: i64) -> Vec<Login> {
    let mut all = Vec::new();
    for address in 0..30 {
        let mut at = now - 3_600_000 + dice.below(600_000) as i64;
        while at < now - 1000 {
            let burst = 3 + dice.below(12);
            for _ in 0..burst {
                all.push(Login { at, address, user: dice.below(6), failed: dice.below(8) > 0 });
                at += [0, 1000, 20_000, 60_000, 75_000, 120_000, 300_000][dice.below(7) as usize];
            }
            at += dice.below(900_000) as i64;
        }
    }
    all.retain(|l| l.at < now);
    all.sort_by_key(|l| l.at);
    let mut shuffled: Vec<(i64, Login)> =
        all.into_iter().map(|l| (l.at + if dice.below(3) == 0 { dice.below(240_000) as i64 } else { 0 }, l)).collect();
    shuffled.sort_by_key(|(arrives, _)| *arrives);
    shuffled.into_iter().map(|(_, l)| l).collect()
}

/// How many events of each address lie in a window of this length that measures enough.
fn expected(logins: &[Login], window: i64, enough: impl Fn(&[&Login]) -> bool) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for address in logins.iter().map(|l| l.address).collect::<BTreeSet<_>>() {
        let of_it: Vec<(usize, &Login)> =
            logins.iter().enumerate().filter(|(_, l)| l.failed && l.address == address).collect();
        let mut reported = BTreeSet::new();
        for (_, end) in &of_it {
            let inside: Vec<(usize, &Login)> =
                of_it.iter().copied().filter(|(_, l)| l.at > end.at - window && l.at <= end.at).collect();
            if enough(&inside.iter().map(|(_, l)| *l).collect::<Vec<_>>()) {
                reported.extend(inside.iter().map(|(i, _)| *i));
            }
        }
        if !reported.is_empty() {
            counts.insert(format!("203.0.113.{address}"), reported.len() as u64);
        }
    }
    counts
}

async fn agrees(seed: u64) {
    let mut dice = Dice(seed);
    let logins = logins(&mut dice, Timestamp::now().millis());
    let frames: Vec<String> = logins.iter().enumerate().map(|(i, l)| l.frame(i)).collect();
    let (first, rest) = frames.split_at(frames.len() * 3 / 5);
    // Whoever connects gets the first part again, as from a server that does not count.
    let server = ScriptServer::of(&first.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let home = TestConsole::new(&format!(
        "[rules]\npaths = [\"here.yml\"]\n[feed.shop]\nurl = \"{}\"\nmap = \"auth-event\"\ndedup = {{ id = \"/id\" }}\n",
        server.url()
    ));
    std::fs::write(home.dir().join("here.yml"), SPRAY).unwrap();

    let console = home.start().await;
    console.until_stored(first.len() as u64).await;
    console.stop().await;
    let console = home.start().await;
    console.until_feed("shop", "the first part came again", |f| f.counts.duplicates >= first.len() as u64).await;
    for some in rest.chunks(1 + dice.below(40) as usize) {
        some.iter().for_each(|f| server.push(f));
        // Now and then one comes twice.
        if dice.below(3) == 0 {
            server.push(&some[0]);
        }
        tokio::time::sleep(Duration::from_millis(dice.below(8))).await;
    }
    console.until_stored(frames.len() as u64).await;

    let distinct = |inside: &[&Login]| inside.iter().map(|l| l.user).collect::<BTreeSet<_>>().len() >= 4;
    for (kind, counts) in [
        ("BRUTE_FORCE_ATTACK", expected(&logins, 300_000, |inside| inside.len() >= 5)),
        ("MANY_ACCOUNTS", expected(&logins, 120_000, distinct)),
    ] {
        assert!(counts.len() > 3, "seed {seed}: the stream has attacks in it: {counts:?}");
        let told = until(&format!("seed {seed}: {kind} as the oracle says"), || async {
            let mut told: BTreeMap<String, u64> = BTreeMap::new();
            for i in console.incidents().await.into_iter().filter(|i| i.kind == kind) {
                *told.entry(i.entity.unwrap_or_default()).or_default() += i.count;
            }
            (told.values().sum::<u64>() >= counts.values().sum::<u64>()).then_some(told)
        })
        .await;
        assert_eq!(told, counts, "seed {seed}: {kind}");
    }
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_firing_of_the_running_console_is_the_oracles_across_a_restart() {
    for seed in [1, 2, 3, u64::from(std::process::id())] {
        agrees(seed).await;
    }
}
