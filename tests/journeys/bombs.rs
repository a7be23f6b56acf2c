//! Memory under hostile input (threats T10, T11): each bomb goes into a process of its own, which must not grow beyond
//! what is stated, and must still answer.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use wf_testkit::ScriptServer;
use wf_tests::ctl;

/// The most memory that the process may ever have held.
const MOST: u64 = 512 << 10;
/// KiB of address space: where a bomb goes off, the process ends and not the machine. Address space is not memory:
/// every thread has a stack of 2 MiB and may get an arena of 64 MiB from the allocator, and there are some forty on a
/// machine with 16 cores.
const ADDRESSES: u64 = 6_000_000;

/// A console that runs within the limit.
struct Limited {
    dir: tempfile::TempDir,
    child: Child,
}

impl Limited {
    fn start(config: &str, files: &[(&str, String)]) -> Self {
        // A short path: the control socket is then in the data directory.
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        std::fs::write(dir.path().join("watchfloor.toml"), format!("[store]\nkey = \"env:WATCHFLOOR_KEY\"\n{config}"))
            .unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let engine = command(dir.path());
        let mut limited = Command::new("bash");
        limited.args(["-c", &format!("ulimit -v {ADDRESSES}; exec \"$0\" \"$@\" run")]);
        limited.arg(engine.get_program()).args(engine.get_args());
        limited.envs(engine.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let said = std::fs::File::create(dir.path().join("stderr")).unwrap();
        let child = limited.stdout(Stdio::null()).stderr(said).spawn().unwrap();
        Self { dir, child }
    }

    /// What `watchfloorctl` says; `None` while it cannot.
    fn ask(&self, arguments: &[&str]) -> Option<Value> {
        // Until the console listens, a tool would open the database itself and be in its way.
        if !self.dir.path().join("data/control.sock").exists() {
            return None;
        }
        let output = command(self.dir.path()).args(arguments).arg("--json").output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Waits until the console that runs says so; gives what it said.
    async fn until(&mut self, what: &str, arguments: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
        // Each look is a process of its own: not more of them than needed.
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(400)).await;
            if let Some(ended) = self.child.try_wait().unwrap() {
                panic!("{what}: it ended with {ended}: {}", self.said());
            }
            if let Some(said) = self.ask(arguments)
                && holds(&said)
            {
                return said;
            }
        }
        panic!("this never came to be: {what}: {:?}: {}", self.ask(arguments), self.said());
    }

    /// At least so many records came in, and nothing of them is on its way any more.
    async fn until_received(&mut self, records: u64) -> Value {
        let settled = move |feeds: &Value| {
            let counts = &feeds[0]["counts"];
            counts["received"].as_u64() >= Some(records) && counts["in_flight"] == 0
        };
        let feeds = self.until(&format!("{records} records received"), &["feeds", "list"], settled).await;
        let counts = feeds[0]["counts"].clone();
        let n = |name: &str| counts[name].as_u64().unwrap();
        assert_eq!(
            n("received"),
            n("stored") + n("duplicates") + n("quarantined") + n("filtered") + n("discarded"),
            "{counts}"
        );
        counts
    }

    async fn answers_and_stayed_small(&mut self) {
        let health = self.until("it answers", &["health"], |health| health["running"] == true).await;
        let events = self.ask(&["events", "count"]).unwrap()["events"].as_u64();
        assert!(events.is_some(), "{health}");
        let held = self.most_held();
        assert!(held < MOST, "it held {} MiB; {} MiB are allowed: {}", held >> 10, MOST >> 10, self.said());
    }

    /// The most memory it ever held, in KiB.
    fn most_held(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the system counts memory");
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// The end of what it wrote about itself.
    fn said(&self) -> String {
        let said = std::fs::read(self.dir.path().join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(2000)..]).into_owned()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(e) = ended {
            eprintln!("the console does not end: {e}");
        }
    }
}

fn command(dir: &Path) -> Command {
    let mut command = ctl(&dir.join("data"), &dir.join("watchfloor.toml"));
    command.current_dir(dir);
    command
}

/// Sends the frames, then one ordinary event; the console must take in at least so many records, store that event, and
/// stay small.
async fn survives(feed: &str, frames: Vec<Message>, records: u64, ordinary: &str) {
    let server = ScriptServer::start(frames).await;
    let mut console = Limited::start(&format!("[feed.own]\nurl = \"{}\"\n{feed}", server.url()), &[]);
    let counts = console.until_received(records).await;
    server.push(ordinary);
    let stored = counts["stored"].as_u64().unwrap();
    let after = |feeds: &Value| feeds[0]["counts"]["stored"].as_u64() > Some(stored);
    console.until("the event behind the bomb is stored", &["feeds", "list"], after).await;
    console.answers_and_stayed_small().await;
}

const LOGIN: &str = r#"{"event":"login_failed","ip":"203.0.113.9"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn t11_each_bomb_stays_under_512_mb_a_long_key_above_many_leaves() {
    let leaves: Vec<String> = (0..200).map(|n| format!("\"a{n}\":\"v\"")).collect();
    let frame = format!("{{\"{}\":{{{}}}}}", "k".repeat(340 << 10), leaves.join(","));
    survives("map = \"ecs\"\n", vec![Message::text(frame); 20], 20, LOGIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_each_bomb_stays_under_512_mb_two_million_numbers_in_a_frame() {
    let frame = format!("[{}1]", "1,".repeat(1_999_999));
    let feed = "map = \"auth-event\"\ndecode = { split = \"json-array\" }\n";
    survives(feed, vec![Message::text(frame)], 2_000_000, &format!("[{LOGIN}]")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_each_bomb_stays_under_512_mb_small_events_in_a_thousand_frames_of_4_mib() {
    // An event that kept its frame in memory would keep 4 GiB.
    let frame = format!("{{\"events\":[{LOGIN}],\"pad\":\"{}\"}}", "x".repeat((4 << 20) - 200));
    let feed = "map = \"auth-event\"\ndecode = { events = \"/events/*\" }\n";
    survives(feed, vec![Message::text(frame); 1000], 1000, LOGIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_each_bomb_stays_under_512_mb_a_flood_before_the_greeting_is_answered() {
    let line = format!("edge sshd: {}", "x".repeat(1 << 20));
    let mut frames = vec![Message::text(line); 600];
    frames.push(Message::text(r#"{"type":"subscribed"}"#));
    let feed = "map = \"sshd\"\non_connect = [{ send = \"subscribe\", expect = { pointer = \"/type\", equals = \
                \"subscribed\" }, within = \"5m\" }]\n";
    survives(feed, frames, 601, "Failed password for root from 203.0.113.45 port 22 ssh2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_each_bomb_stays_under_512_mb_a_message_repeated_a_million_times() {
    let user = "a".repeat(512 << 10);
    let line = format!(
        "Feb 22 22:59:59 edge sshd[4711]: message repeated 1000000 times: [ Failed password for invalid user {user} \
         from 203.0.113.45 port 22 ssh2]"
    );
    // A line stands for a hundred at most; each that kept its text would make 2.5 GiB of them all. Lines that are shed
    // because too many wait count as one.
    survives(
        "map = \"sshd\"\n",
        vec![Message::text(line); 50],
        50,
        "Failed password for root from 203.0.113.45 port 22 ssh2",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t10_no_rule_file_costs_more_than_512_mb_and_the_console_still_answers() {
    // Half of the file one list with an anchor, half aliases of it: 17 thousand million values.
    let spelled = |anchor: &str, alias: &str| {
        let list = "a,".repeat(250_000);
        let aliases = alias.repeat((500 << 10) / alias.len());
        format!("title: T\nlist: &{anchor} [{list}a]\nall:\n{aliases}")
    };
    let merged = format!("base: &a {{x: 1}}\nall:\n{}", "- <<: *a\n".repeat(100_000));
    let expressions: String = (0..20_000).map(|n| format!("    x{n}|re: '(a{n}|b)+c'\n")).collect();
    let expressions =
        format!("title: E\nid: e\nlogsource: {{product: watchfloor}}\ndetection:\n  a:\n{expressions}  condition: a\n");
    let files = [
        ("rules/brackets.yml", spelled("a", "- [*a]\n")),
        ("rules/dash.yml", spelled("a-b", "- *a-b\n")),
        ("rules/tab.yml", spelled("a", "-\t*a\n")),
        ("rules/merged.yml", merged),
        ("rules/expressions.yml", expressions),
    ];
    assert!(files.iter().all(|(_, text)| text.len() <= 1 << 20), "larger ones are refused unread");
    let mut console = Limited::start("[rules]\npaths = [\"rules\"]\n", &files);
    console.answers_and_stayed_small().await;
    let checked = command(console.dir.path()).args(["rules", "check", "rules"]).output().unwrap();
    let told = String::from_utf8_lossy(&checked.stdout);
    for (name, _) in &files {
        assert!(told.contains(name) && !told.contains(&format!("{name}: ok")), "{name} is said to be wrong: {told}");
    }
}
