//! `watchfloorctl` as scripts use it: output, exit codes, garbage.

use std::process::Output;

use wf_tests::ctl;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("watchfloor.toml"), format!("[store]\nkey = \"env:WATCHFLOOR_KEY\"\n{config}"))
            .unwrap();
        Self { dir }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        ctl(&self.dir.path().join("data"), &self.dir.path().join("watchfloor.toml"))
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn exit_codes_say_failure_usage_or_refusal_and_errors_go_to_standard_error() {
    let place = Place::new("");
    for (arguments, code) in [
        (&["incidents", "list"][..], 0),
        (&["incidents", "show", "77"], 1),
        (&["incidents", "ack"], 2),
        (&["incidents", "list", "--state", "sleepy"], 2),
        (&["incidents", "resolve", "1", "--verdict", "maybe"], 2),
        (&["events", "list", "--query", "\"open"], 2),
        (&["events", "list", "--since", "yesterday"], 2),
        (&["events", "list", "--after", "x"], 2),
        (&["feeds", "test", "nobody"], 1),
        (&["no-such-command"], 2),
        (&["audit", "verify"], 0),
        (&["rules", "check", "/no/such/file"], 1),
    ] {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(output.stderr.is_empty(), code == 0 || arguments[0] == "rules", "{arguments:?}");
    }
    for arguments in [
        &["incidents", "list", "--json"][..],
        &["events", "list", "--json"],
        &["feeds", "list", "--json"],
        &["health", "--json"],
        &["audit", "verify", "--json"],
        &["config", "check", "--json"],
    ] {
        let output = place.run(arguments);
        assert!(
            serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(),
            "{arguments:?}: {}",
            text(&output.stdout)
        );
    }
}

#[test]
fn a_wrong_config_is_a_usage_error_with_its_line() {
    let place = Place::new("[feed.x]\nurl = \"wss://x\"\nurll = 1\n");
    for arguments in [&["config", "check"][..], &["incidents", "list"], &["run"]] {
        let output = place.run(arguments);
        assert_ne!(output.status.code(), Some(0));
        assert!(
            text(&output.stderr).contains("line 5") && text(&output.stderr).contains("urll"),
            "{}",
            text(&output.stderr)
        );
    }
    let no_key = ctl(&place.dir.path().join("data"), std::path::Path::new("/dev/null"))
        .env_remove("WATCHFLOOR_KEY")
        .args(["run"])
        .output()
        .unwrap();
    assert_eq!(no_key.status.code(), Some(1), "without a keychain it says so: {}", text(&no_key.stderr));
}

#[test]
fn a_rule_path_that_is_not_there_is_a_warning_of_the_config() {
    let place = Place::new("[rules]\npaths = [\"not-yet.yml\"]\n");
    let output = place.run(&["config", "check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("not-yet.yml"), "{said}");
}

#[test]
fn a_signal_while_it_starts_ends_the_engine_in_order() {
    let place = Place::new("");
    for _ in 0..4 {
        let paths = (place.dir.path().join("data"), place.dir.path().join("watchfloor.toml"));
        let _of_the_last_one = std::fs::remove_file(paths.0.join("watchfloor.lock"));
        let mut child = ctl(&paths.0, &paths.1).arg("run").spawn().unwrap();
        // From here on it listens for signals; it has opened nothing yet.
        let began = std::time::Instant::now();
        while !paths.0.join("watchfloor.lock").exists() && began.elapsed().as_secs() < 60 {
            std::thread::yield_now();
        }
        let sent = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let output = place.run(&["audit", "verify"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn rules_are_checked_file_by_file() {
    let place = Place::new("");
    place.write(
        "good.yml",
        "title: G\nlogsource: {product: watchfloor}\ndetection:\n  a: {x: 1}\n  condition: a\nlevel: high\n",
    );
    place
        .write("bad.yml", "title: B\nlogsource: {product: watchfloor}\ndetection:\n  a: {x|re: '('}\n  condition: a\n");
    let output = place.run(&["rules", "check", "good.yml", "bad.yml"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert!(lines[0].ends_with("good.yml: ok") && lines[1].contains("bad.yml:1: "), "{lines:?}");
    assert_eq!(place.run(&["rules", "check", "good.yml"]).status.code(), Some(0));
}

#[test]
fn rules_are_tried_on_recorded_events_with_the_events_own_time() {
    let place = Place::new("");
    let mut lines: Vec<String> = (0..7)
        .map(|i| format!(r#"{{"event":"login_failed","ip":"203.0.113.45","timestamp":"2026-01-10T14:3{i}:00Z"}}"#))
        .collect();
    lines
        .extend((0..6).map(|i| {
            format!(r#"{{"event":"login_failed","ip":"198.51.100.9","timestamp":"2026-01-10T15:00:0{i}Z"}}"#)
        }));
    lines.push("garbage".into());
    place.write("events.ndjson", &lines.join("\n"));
    let output = place.run(&["rules", "test", "--events", "events.ndjson", "--map", "auth-event"]);
    assert_eq!(output.status.code(), Some(1), "a line that cannot be read is a failure");
    assert!(text(&output.stderr).contains("line 14"), "{}", text(&output.stderr));
    let firings: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let told: Vec<_> = firings
        .iter()
        .map(|f| {
            (
                f["type"].as_str().unwrap(),
                f["severity"].as_str().unwrap(),
                f["entity"].as_str().unwrap(),
                f["time"].as_str().unwrap(),
                f["count"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("BRUTE_FORCE_ATTACK", "P2", "203.0.113.45", "2026-01-10T14:34:00.000Z", 5),
            ("BRUTE_FORCE_ATTACK", "P2", "198.51.100.9", "2026-01-10T15:00:04.000Z", 5),
        ]
    );
}

#[test]
fn an_audit_export_is_verified_by_openssl_and_by_the_stand_alone_script() {
    let place = Place::new("");
    for _ in 0..3 {
        assert!(place.run(&["run", "--for", "300ms"]).status.success());
    }
    assert!(place.run(&["audit", "export", "audit.json"]).status.success());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/verify_audit.py");
    let python = |file: &str, more: &[&str]| {
        std::process::Command::new("python3").arg(script).arg(place.dir.path().join(file)).args(more).output().unwrap()
    };
    let output = python("audit.json", &["--openssl", place.dir.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let openssl = std::process::Command::new("openssl")
        .args([
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "public.pem",
            "-rawin",
            "-in",
            "checkpoint.txt",
            "-sigfile",
            "signature.bin",
        ])
        .current_dir(place.dir.path())
        .output()
        .unwrap();
    assert!(openssl.status.success(), "{}", text(&openssl.stderr));
    // Every change is found by the script too.
    let original = std::fs::read_to_string(place.dir.path().join("audit.json")).unwrap();
    for (from, to) in [
        ("engine.start", "engine.stARt"),
        ("\\\"orderly\\\":true", "\\\"orderly\\\":talse"),
        ("\"index\": 1,", "\"index\": 3,"),
        ("watchfloor.audit\\n", "watchfloor.audit\\n1"),
    ] {
        assert!(original.contains(from), "{from}");
        place.write("changed.json", &original.replacen(from, to, 1));
        assert!(!python("changed.json", &[]).status.success(), "{from}");
    }
    // An earlier export is the anchor of the log as it went on.
    assert!(place.run(&["run", "--for", "200ms"]).status.success());
    let anchored = place.run(&["audit", "verify", "--anchor", "audit.json"]);
    assert!(
        anchored.status.success() && text(&anchored.stdout).contains("complete up to the anchor"),
        "{}",
        text(&anchored.stdout)
    );
    place.write("other.json", "{}");
    assert_eq!(place.run(&["audit", "verify", "--anchor", "other.json"]).status.code(), Some(2));
}

/// Moves what stands beside it, names the terminal's window, colours and wipes it, hides, and begins a line of its own.
const HOSTILE: &str = "\u{202e}gnp\u{1b}]0;x\u{7}\u{1b}[31m\u{9b}2J\u{2066}\u{200b}\u{e0041}\u{7f}\u{85}\r\nFORGED";

/// Both outputs of a command, once it is sure that nothing in them speaks to the terminal.
fn inert(what: &str, output: &Output) -> String {
    let speaks = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
            || matches!(c, '\u{e0000}'..='\u{e007f}')
    };
    let (said, complained) = (&output.stdout, &output.stderr);
    let both = format!("{}\n{}", str::from_utf8(said).expect(what), str::from_utf8(complained).expect(what));
    for line in both.split('\n') {
        assert!(!line.contains(speaks), "{what}: {line:?}");
        assert!(!line.trim_start().starts_with("FORGED"), "{what}: a line of the attacker's own: {both}");
    }
    both
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_event_text_does_not_speak_to_the_terminal() {
    let quoted = serde_json::Value::from(HOSTILE);
    let p = wf_testkit::Providers::start().await;
    p.fault(wf_testkit::Fault::Answer(404, "\u{202e}gnp\u{1b}[31m\u{9b}2J\r\nFORGED", None), 1000);
    let feed = wf_testkit::ScriptServer::of(&[
        &format!(r#"{{"type":"SQL Injection","ip":{quoted},"url":{quoted},"field":{quoted}}}"#),
        &format!(r#"{{"event":"login_failed","username":{quoted},"ip":{quoted},"reason":{quoted}}}"#),
        &format!("unreadable {HOSTILE}"),
    ])
    .await;
    let place = Place::new(&format!(
        "[feed.shop]\nurl = \"{}\"\nmap = [\"security-event\", \"auth-event\"]\n[channel.hook]\nkind = \"webhook\"\nurl = \"{}/hook\"\nallow = [\"127.0.0.1\"]\n",
        feed.url(),
        p.url()
    ));
    let mut engine = ctl(&place.dir.path().join("data"), &place.dir.path().join("watchfloor.toml"))
        .arg("run")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(engine.stdout.take().unwrap()), &mut ready).unwrap();
    wf_testkit::until("the incident", || async {
        (text(&place.run(&["incidents", "list", "--json"]).stdout).contains("SQL_INJECTION")).then_some(())
    })
    .await;
    let name = format!("name:{HOSTILE}");
    // In words and as JSON. What must be there has the hostile text in it, or the command proved nothing.
    for (arguments, shown) in [
        (&["events", "list"][..], true),
        (&["incidents", "list"], true),
        (&["incidents", "show", "1"], true),
        (&["incidents", "matches", "1"], true),
        (&["incidents", "note", "1", "--text", HOSTILE], true),
        (&["incidents", "show", "1"], true),
        (&["incidents", "show", HOSTILE], true),
        (&["incidents", "ack", "1", HOSTILE], true),
        (&["silences", "add", "--entity", "x", "--reason", HOSTILE, "--for", "2h"], true),
        (&["silences", "list"], true),
        (&["feeds", "test", "shop"], true),
        (&["feeds", "test", HOSTILE], false),
        (&["feeds", "list"], false),
        (&["channels", "test", "hook"], true),
        (&["channels", "list"], true),
        (&["notifications", "list", "--incident", "1"], false),
        (&["privacy", "subject", "find", name.as_str()], false),
        (&["privacy", "holds", "add", "--title", HOSTILE, "--reason", HOSTILE, "--incident", "1"], true),
        (&["privacy", "holds", "list"], true),
        (&["drill"], false),
        (&["health"], false),
        (&["audit", "verify"], false),
    ] {
        for more in [None, Some("--json")] {
            let output = place.run(&arguments.iter().copied().chain(more).collect::<Vec<_>>());
            let said = inert(&format!("{arguments:?} {more:?}"), &output);
            assert!(!shown || said.contains("gnp"), "{arguments:?} {more:?}: {said}");
            if more.is_some() && !output.stdout.is_empty() {
                assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(), "{arguments:?}: {said}");
            }
        }
    }
    // JSON loses nothing by it.
    let page: serde_json::Value = serde_json::from_slice(&place.run(&["events", "list", "--json"]).stdout).unwrap();
    let users: Vec<_> = page["events"].as_array().unwrap().iter().map(|e| &e["fields"]["user.name"]).collect();
    assert!(users.contains(&&quoted), "{users:?}");
    engine.kill().unwrap();
    engine.wait().unwrap();

    // Files that somebody else wrote, names of files among them.
    let rule = "logsource: {product: watchfloor}\ndetection:\n  a: {x|re: '('}\n  condition: a\n";
    place.write("evil\u{1b}[31m\u{202e}gnp.yml", &format!("title: \"E\\e[31mvil\"\n{rule}"));
    place.write(
        "fine\u{1b}[31m\u{202e}gnp.yml",
        "title: \"E\\e[31mvil\"\nlogsource: {product: watchfloor}\ndetection:\n  a: {x: 1}\n  condition: a\nlevel: high\n",
    );
    let mut lines: Vec<String> = (0..6)
        .map(|i| format!(r#"{{"event":"login_failed","ip":{quoted},"timestamp":"2026-01-10T14:30:0{i}Z"}}"#))
        .collect();
    lines.push(format!("garbage {HOSTILE}"));
    place.write("events.ndjson", &lines.join("\n"));
    for arguments in [
        &["rules", "check", "."][..],
        &["rules", "check", ".", "--json"],
        &["rules", "test", "--events", "events.ndjson", "--map", "auth-event"],
    ] {
        let said = inert(&format!("{arguments:?}"), &place.run(arguments));
        assert!(said.contains("gnp"), "{arguments:?}: {said}");
    }
}

/// The officer's desk from a shell: every command of it, through an engine that runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_desk_is_worked_from_a_shell() {
    let (feed, provider) = (wf_testkit::ScriptServer::of(&[]).await, wf_testkit::Providers::start().await);
    let place = Place::new(&format!(
        "[operator]\nname = \"Script\"\n[feed.shop]\nurl = \"{}\"\nmap = [\"security-event\"]\n[person.ann]\nname = \"Ann\"\nroles = [\"officer\"]\n[person.cleo]\nname = \"Cleo\"\nroles = [\"cto\"]\n[schedule.soc]\ntime_zone = \"Europe/Berlin\"\nlayer = [{{ people = [\"ann\", \"cleo\"], rotation = \"weekly\", start = \"2026-01-05T08:00\" }}]\n[channel.hook]\nkind = \"webhook\"\nurl = \"{}/hook\"\nallow = [\"127.0.0.1\"]\n",
        feed.url(),
        provider.url()
    ));
    let mut engine = ctl(&place.dir.path().join("data"), &place.dir.path().join("watchfloor.toml"))
        .arg("run")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(engine.stdout.take().unwrap()), &mut ready).unwrap();
    let json = |arguments: &[&str], code: i32| -> serde_json::Value {
        let output = place.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    for n in 1..=4 {
        feed.push(&format!(r#"{{"type":"SQL Injection","ip":"203.0.113.{n}","url":"/","field":"q"}}"#));
        wf_testkit::until("the incident", || async {
            (json(&["incidents", "list"], 0).as_array().unwrap().len() == n).then_some(())
        })
        .await;
    }
    // More of the first, so that there is something to split.
    feed.push(r#"{"type":"SQL Injection","ip":"203.0.113.1","url":"/again","field":"q"}"#);
    let matches = wf_testkit::until("two batches", || async {
        Some(json(&["incidents", "matches", "1"], 0)).filter(|m| m.as_array().unwrap().len() == 2)
    })
    .await;

    assert_eq!(json(&["incidents", "escalate", "1", "--stage", "1"], 0)["stage"], 2);
    json(&["incidents", "escalate", "1", "--stage", "1"], 3);
    assert_eq!(json(&["incidents", "snooze", "2", "--for", "30m"], 0)["state"], "snoozed");
    assert_eq!(json(&["incidents", "assign", "3", "--to", "cleo"], 0)["owner"], "Cleo");
    json(&["incidents", "assign", "3", "--to", "nobody"], 2);
    json(&["incidents", "note", "3", "--text", "looks like the scanner"], 0);
    assert_eq!(json(&["incidents", "check", "3", "1"], 0)["checklist"][0]["done_by"], "Script");
    json(&["incidents", "run", "3", "1"], 3);
    let bulk = json(&["incidents", "ack", "3", "4", "99", "--for", "2h", "--note", "all mine"], 1);
    assert_eq!(
        (bulk[0]["incident"]["acknowledged_by"].as_str(), bulk[1]["error"].as_str(), bulk[2]["error"].as_str()),
        (Some("Script"), None, Some("there is no incident '99'"))
    );
    let version = matches[1]["version"].to_string();
    assert_eq!(json(&["incidents", "split", "1", "--matches", &version], 0)["number"], 5);
    assert_eq!(json(&["incidents", "merge", "5", "--into", "1"], 0)["merged_into"], 1);
    assert_eq!(json(&["incidents", "unmerge", "5"], 0)["state"], "open");

    assert_eq!(json(&["silences", "preview", "--entity", "203.0.113.*"], 0).as_array().unwrap().len(), 5);
    let silence =
        json(&["silences", "add", "--entity", "203.0.113.*", "--reason", "scan by the auditors", "--for", "2h"], 0);
    json(&["silences", "add", "--reason", "everything", "--for", "2h"], 3);
    assert_eq!(json(&["silences", "list"], 0)[0]["active"], true);
    assert_eq!(json(&["silences", "end", silence[0]["id"].as_str().unwrap()], 0)[0]["active"], false);

    // Weeks of two people: 2026-01-12 is Cleo's first.
    assert_eq!(json(&["oncall", "who", "--at", "2026-01-12T07:00:01Z"], 0)[0]["person"], "Cleo");
    assert_eq!(json(&["oncall", "who", "--at", "2026-01-12T06:59:59Z"], 0)[0]["person"], "Ann");
    assert!(
        json(&["readiness"], 1)["sentences"]
            .as_array()
            .unwrap()
            .iter()
            .any(|s| s.as_str().unwrap().contains("no contact of their own"))
    );
    assert_eq!(json(&["channels", "test", "hook"], 0)[0]["state"], "delivered");
    assert_eq!(json(&["drill"], 0).as_array().unwrap().len(), 1);
    assert!(json(&["channels", "list"], 0)[0]["worked_at"].is_string());
    assert!(
        json(&["notifications", "list", "--incident", "1"], 0)
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["state"] == "delivered" && r["step"] == 2)
    );
    let metrics = json(&["metrics", "--since", "1h"], 0);
    assert_eq!(
        (metrics["rows"][0]["incidents"].as_u64(), metrics["rows"][0]["mtta"]["n"].as_u64()),
        (Some(5), Some(2))
    );
    // For people, too, every one of them says something.
    for arguments in [
        &["incidents", "show", "1"][..],
        &["silences", "list"],
        &["oncall", "who"],
        &["channels", "list"],
        &["metrics"],
        &["notifications", "list", "--incident", "1"],
        &["incidents", "matches", "1"],
    ] {
        let output = place.run(arguments);
        assert!(output.status.success() && output.stdout.len() > 40, "{arguments:?}: {}", text(&output.stdout));
    }
    engine.kill().unwrap();
    engine.wait().unwrap();
}
