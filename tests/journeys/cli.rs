//! `watchfloorctl` as scripts use it: output, exit codes, garbage.

use std::process::Output;

use wf_tests::ctl;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("watchfloor.toml"), format!("[store]\nkey = \"env:WATCHFLOOR_KEY\"\n{config}")).unwrap();
        Self { dir }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        ctl(&self.dir.path().join("data"), &self.dir.path().join("watchfloor.toml")).args(arguments).current_dir(self.dir.path()).output().unwrap()
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
    for arguments in [&["incidents", "list", "--json"][..], &["events", "list", "--json"], &["feeds", "list", "--json"], &["health", "--json"], &["audit", "verify", "--json"], &["config", "check", "--json"]] {
        let output = place.run(arguments);
        assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(), "{arguments:?}: {}", text(&output.stdout));
    }
}

#[test]
fn a_wrong_config_is_a_usage_error_with_its_line() {
    let place = Place::new("[feed.x]\nurl = \"wss://x\"\nurll = 1\n");
    for arguments in [&["config", "check"][..], &["incidents", "list"], &["run"]] {
        let output = place.run(arguments);
        assert_ne!(output.status.code(), Some(0));
        assert!(text(&output.stderr).contains("line 5") && text(&output.stderr).contains("urll"), "{}", text(&output.stderr));
    }
    let no_key = ctl(&place.dir.path().join("data"), std::path::Path::new("/dev/null")).env_remove("WATCHFLOOR_KEY").args(["run"]).output().unwrap();
    assert_eq!(no_key.status.code(), Some(1), "without a keychain it says so: {}", text(&no_key.stderr));
}

#[test]
fn rules_are_checked_file_by_file() {
    let place = Place::new("");
    place.write("good.yml", "title: G\nlogsource: {product: watchfloor}\ndetection:\n  a: {x: 1}\n  condition: a\nlevel: high\n");
    place.write("bad.yml", "title: B\nlogsource: {product: watchfloor}\ndetection:\n  a: {x|re: '('}\n  condition: a\n");
    let output = place.run(&["rules", "check", "good.yml", "bad.yml"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert!(lines[0].ends_with("good.yml: ok") && lines[1].contains("bad.yml:1: "), "{lines:?}");
    assert_eq!(place.run(&["rules", "check", "good.yml"]).status.code(), Some(0));
}

#[test]
fn rules_are_tried_on_recorded_events_with_the_events_own_time() {
    let place = Place::new("");
    let mut lines: Vec<String> = (0..7).map(|i| format!(r#"{{"event":"login_failed","ip":"203.0.113.45","timestamp":"2026-01-10T14:3{i}:00Z"}}"#)).collect();
    lines.extend((0..6).map(|i| format!(r#"{{"event":"login_failed","ip":"198.51.100.9","timestamp":"2026-01-10T15:00:0{i}Z"}}"#)));
    lines.push("garbage".into());
    place.write("events.ndjson", &lines.join("\n"));
    let output = place.run(&["rules", "test", "--events", "events.ndjson", "--map", "auth-event"]);
    assert_eq!(output.status.code(), Some(1), "a line that cannot be read is a failure");
    assert!(text(&output.stderr).contains("line 14"), "{}", text(&output.stderr));
    let firings: Vec<serde_json::Value> = text(&output.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let told: Vec<_> = firings.iter().map(|f| (f["type"].as_str().unwrap(), f["severity"].as_str().unwrap(), f["entity"].as_str().unwrap(), f["time"].as_str().unwrap(), f["count"].as_u64().unwrap())).collect();
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
    let python = |file: &str, more: &[&str]| std::process::Command::new("python3").arg(script).arg(place.dir.path().join(file)).args(more).output().unwrap();
    let output = python("audit.json", &["--openssl", place.dir.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let openssl = std::process::Command::new("openssl")
        .args(["pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin", "-in", "checkpoint.txt", "-sigfile", "signature.bin"])
        .current_dir(place.dir.path())
        .output()
        .unwrap();
    assert!(openssl.status.success(), "{}", text(&openssl.stderr));
    // Every change is found by the script too.
    let original = std::fs::read_to_string(place.dir.path().join("audit.json")).unwrap();
    for (from, to) in [("engine.start", "engine.stARt"), ("\\\"orderly\\\":true", "\\\"orderly\\\":talse"), ("\"index\": 1,", "\"index\": 3,"), ("watchfloor.audit\\n", "watchfloor.audit\\n1")] {
        assert!(original.contains(from), "{from}");
        place.write("changed.json", &original.replacen(from, to, 1));
        assert!(!python("changed.json", &[]).status.success(), "{from}");
    }
    // An earlier export is the anchor of the log as it went on.
    assert!(place.run(&["run", "--for", "200ms"]).status.success());
    let anchored = place.run(&["audit", "verify", "--anchor", "audit.json"]);
    assert!(anchored.status.success() && text(&anchored.stdout).contains("complete up to the anchor"), "{}", text(&anchored.stdout));
    place.write("other.json", "{}");
    assert_eq!(place.run(&["audit", "verify", "--anchor", "other.json"]).status.code(), Some(2));
}

#[test]
fn t4_event_text_does_not_speak_to_the_terminal() {
    let place = Place::new("");
    place.write("evil.yml", "title: \"E\\e[31mvil\"\nlogsource: {product: watchfloor}\ndetection:\n  a: {x|re: '('}\n  condition: a\n");
    let output = place.run(&["rules", "check", "evil.yml"]);
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
}
