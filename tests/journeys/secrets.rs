//! Secrets are on the wire and nowhere else (threat T8): a whole engine, as it runs on a server, talks as much as it can.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use wf_testkit::providers::{ACCOUNT, TOKEN};
use wf_testkit::{Fault, Providers, ScriptServer, until};
use wf_tests::ctl;

use crate::disk;

#[tokio::test(flavor = "multi_thread")]
async fn t8_no_secret_is_on_the_disk_in_a_log_at_trace_on_a_command_line_or_in_what_is_handed_out() {
    let feed = ScriptServer::of(&[r#"{"type":"SQL Injection","ip":"203.0.113.4","url":"/login","field":"q"}"#]).await;
    let p = Providers::start().await;
    let slack = format!("{}/services/T0/B0/canary-slack", p.url());
    let variables = [
        ("T8_BEARER", "canary-bearer"),
        ("T8_HEADER", "canary-header"),
        ("T8_SLACK", slack.as_str()),
        ("T8_TELEGRAM", TOKEN),
        ("T8_PAGERDUTY", "R0000000000000000000000000000000"),
        ("T8_TWILIO", "twilio-token"),
        ("T8_SIGNING", "canary-signing"),
        ("T8_APPROVER", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXQ"),
    ];
    let secrets = [
        "canary-bearer",
        "canary-header",
        "canary-slack",
        "telegram-token",
        "R0000000000000000000000000000000",
        "twilio-token",
        // The same, as it stands in the header it is sent in.
        "0d2lsaW8tdG9rZW4",
        "canary-signing",
        "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXQ",
        "0707070707070707",
    ];
    let dir = tempfile::tempdir().unwrap();
    let (data, config) = (dir.path().join("data"), dir.path().join("watchfloor.toml"));
    std::fs::write(
        &config,
        format!(
            r#"
[store]
key = "env:WATCHFLOOR_KEY"
[feed.shop]
url = "{}"
map = ["security-event"]
auth = {{ scheme = "bearer", secret = "env:T8_BEARER" }}
headers = {{ X-Key = "env:T8_HEADER" }}
[person.ann]
name = "Ann"
roles = ["duty"]
phone = "+15005550001"
telegram = "4711"
[person.bob]
name = "Bob"
approver = "env:T8_APPROVER"
[schedule.soc]
time_zone = "Europe/Berlin"
layer = [{{ people = ["ann"], rotation = "weekly", start = "2020-01-06T08:00" }}]
[channel.slack]
kind = "slack"
webhook = "env:T8_SLACK"
[channel.telegram]
kind = "telegram"
token = "env:T8_TELEGRAM"
chat = "-1001"
url = "{base}"
[channel.pagerduty]
kind = "pagerduty"
routing_key = "env:T8_PAGERDUTY"
url = "{base}"
[channel.sms]
kind = "sms"
account = "{ACCOUNT}"
token = "env:T8_TWILIO"
from = "+15005550006"
url = "{base}"
[channel.hook]
kind = "webhook"
url = "{base}/hook"
signing_key = "env:T8_SIGNING"
allow = ["127.0.0.1"]
"#,
            feed.url(),
            base = p.url()
        ),
    )
    .unwrap();
    let log = dir.path().join("engine.log");
    let mut engine = ctl(&data, &config)
        .arg("run")
        .envs(variables)
        .env("WATCHFLOOR_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(engine.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    for path in ["/services", "/bot", "/v2/enqueue", "/2010-04-01", "/hook"] {
        until(path, || async { (!p.taken(path).is_empty()).then_some(()) }).await;
    }
    assert!(feed.requests().iter().any(|r| r.contains("canary-bearer") && r.contains("canary-header")), "on the wire");

    // Everything that can be asked, some of it while providers refuse.
    p.fault(Fault::Answer(404, "no", None), 3);
    let mut said = std::fs::File::create(dir.path().join("said.txt")).unwrap();
    for (arguments, works) in [
        (&["feeds", "list"][..], true),
        (&["feeds", "test", "shop"], true),
        (&["channels", "list"], true),
        (&["channels", "test", "slack"], false),
        (&["drill"], false),
        (&["incidents", "list"], true),
        (&["incidents", "show", "1"], true),
        (&["notifications", "list", "--incident", "1"], true),
        (&["events", "list"], true),
        (&["health"], true),
        (&["readiness"], false),
        (&["config", "check"], true),
        (&["privacy", "subject", "find", "ip:203.0.113.4"], true),
        (&["report", "soc2", "--out", "pack.zip"], true),
        (&["report", "incident", "1", "--out", "incident.json"], true),
        (&["audit", "export", "audit.json"], true),
        (&["backup", "backup.db"], true),
    ] {
        for more in [None, Some("--json")] {
            if more.is_some() && arguments[0] == "backup" {
                // There is one now, and none is written over.
                continue;
            }
            let mut command = ctl(&data, &config);
            command.args(arguments).args(more).current_dir(dir.path()).env("WATCHFLOOR_LOG", "trace").envs(variables);
            let output = command.output().unwrap();
            assert!(!works || output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            said.write_all(&output.stdout).and_then(|()| said.write_all(&output.stderr)).unwrap();
        }
    }
    let unpacked = Command::new("python3")
        .args(["-m", "zipfile", "-e", "pack.zip", "unpacked"])
        .current_dir(dir.path())
        .status()
        .unwrap();
    assert!(unpacked.success());

    // What others on this machine see of a program.
    let own = std::fs::read(format!("/proc/{}/cmdline", engine.id())).unwrap();
    assert!(own.windows(3).any(|w| w == b"run"), "its own line is among those that are read");
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        for secret in secrets.iter().filter(|s| s.starts_with("canary") || s.starts_with("0707")) {
            assert!(!line.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret} is in {:?}", entry.path());
        }
    }
    // Ended as by a crash: the log of the database is still there, too.
    engine.kill().unwrap();
    engine.wait().unwrap();
    let spoken = std::fs::read_to_string(&log).unwrap();
    assert!(spoken.contains("hyper_util"), "the log is one at trace, with what the libraries say");
    disk::nowhere(dir.path(), &[7; 32], &secrets);
}
