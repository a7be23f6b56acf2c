//! What is handed out, checked by those who have nothing of ours: openssl, sha256sum, Python, a spreadsheet, a PDF
//! reader.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use wf_testkit::{ScriptServer, TestConsole};
use wf_tests::{ctl, needs};

use wf_api::{ReportWanted, Request};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(program: &str, args: &[&str], dir: &Path) -> Output {
    Command::new(program).args(args).current_dir(dir).output().unwrap_or_else(|e| panic!("{program}: {e}"))
}

/// What an attacker would have a spreadsheet compute, or a report set.
const HOSTILE: &[&str] = &[
    "=1+1",
    "=HYPERLINK(\"http://127.0.0.1:9/\",\"x\")",
    "+1+1",
    "-1+1",
    "@SUM(1,1)",
    "\t=1+1",
    "\r=1+1",
    "\u{ff1d}1+1",
    "#read(\"/etc/passwd\")",
    "*bold* $x^2$ <b>",
    "\u{202e}fdp.exe",
];

/// A pack with hostile names in it, made by a real console.
async fn pack(dir: &Path, kind: &str) -> Value {
    let frames: Vec<String> = HOSTILE.iter().flat_map(|h| (0..6).map(move |n| serde_json::json!({ "event": "login_failed", "username": h, "email": format!("{h}@x"), "ip": "203.0.113.45", "n": n }).to_string())).collect();
    let server = ScriptServer::of(&frames.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let home = TestConsole::at(
        dir,
        &format!(
            "[feed.shop]\nurl = \"{}\"\nmap = \"auth-event\"\n[privacy]\norganisation = \"=Shop\"\n",
            server.url()
        ),
    );
    let console = home.start().await;
    console.until_stored(frames.len() as u64).await;
    console.until_incident("brute force", |i| i.kind == "BRUTE_FORCE_ATTACK").await;
    let made = console
        .ask(Request::Report {
            wanted: ReportWanted { kind: kind.into(), from: None, to: None, incident: Some("1".into()) },
        })
        .await
        .unwrap();
    console.assert_sound().await;
    console.stop().await;
    made
}

fn file(dir: &Path, made: &Value, extension: &str) -> std::path::PathBuf {
    let name = made["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|f| f["name"].as_str())
        .find(|n| n.ends_with(extension))
        .unwrap()
        .to_owned();
    dir.join("data/exports").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evidence_pack_is_verified_by_openssl_sha256sum_python_and_the_command_line_and_a_changed_byte_by_none() {
    let dir = tempfile::tempdir().unwrap();
    let made = pack(dir.path(), "soc2").await;
    let zip = file(dir.path(), &made, "zip");
    let out = dir.path().join("unpacked");
    std::fs::create_dir(&out).unwrap();
    let python = |args: &[&str]| run("python3", args, dir.path());
    let zip_name = zip.to_str().unwrap();
    assert!(python(&["-m", "zipfile", "-e", zip_name, out.to_str().unwrap()]).status.success());
    for name in [
        "report.pdf",
        "report.json",
        "incidents.csv",
        "acknowledgements.csv",
        "escalations.csv",
        "messages.csv",
        "events.csv",
        "rules.csv",
        "feeds.csv",
        "metrics.csv",
        "retention-policy.csv",
        "audit.json",
        "checkpoint.txt",
        "MANIFEST.sha256",
        "MANIFEST.sig",
        "public.pem",
        "README.txt",
    ] {
        assert!(out.join(name).exists(), "{name} is in the pack");
    }
    let sums = run("sha256sum", &["-c", "MANIFEST.sha256"], &out);
    assert!(sums.status.success(), "{}", text(&sums.stdout));
    let openssl = run(
        "openssl",
        &[
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "public.pem",
            "-rawin",
            "-in",
            "MANIFEST.sha256",
            "-sigfile",
            "MANIFEST.sig",
        ],
        &out,
    );
    assert!(openssl.status.success(), "{}", text(&openssl.stderr));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/verify_audit.py");
    let checked = python(&[script, zip_name]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let verify = |file: &Path, key: Option<&Path>| {
        let mut c = ctl(&dir.path().join("nowhere"), &dir.path().join("no.toml"));
        c.args(["evidence", "verify"]).arg(file);
        if let Some(key) = key {
            c.arg("--key").arg(key);
        }
        c.output().unwrap()
    };
    let good = verify(&zip, Some(&out.join("public.pem")));
    assert!(good.status.success() && text(&good.stdout).contains("which is the one given"), "{}", text(&good.stdout));
    assert!(!dir.path().join("nowhere").exists(), "verifying needs nothing but the file");
    // Another's key is another's pack.
    let other = run("sh", &["-c", "openssl genpkey -algorithm ed25519 | openssl pkey -pubout > other.pem"], dir.path());
    assert!(other.status.success());
    let wrong = verify(&zip, Some(&dir.path().join("other.pem")));
    assert!(wrong.status.code() == Some(1) && text(&wrong.stdout).contains("another key"), "{}", text(&wrong.stdout));
    // Every byte in-process (a test of its own does so on a small pack); here bytes from all over a real one, by the
    // tools.
    let bytes = std::fs::read(&zip).unwrap();
    let changed = dir.path().join("changed.zip");
    for n in 0..40 {
        let at = if n % 4 == 3 { bytes.len() - 1 - n * 5 } else { (n * 7919 * 31) % bytes.len() };
        let mut b = bytes.clone();
        b[at] ^= 1 << (n % 8);
        std::fs::write(&changed, b).unwrap();
        assert!(!wf_console::verify_pack(&changed, None).unwrap().good, "byte {at}");
        if n % 8 == 0 {
            assert_eq!(verify(&changed, None).status.code(), Some(1), "byte {at}");
            assert!(!python(&[script, changed.to_str().unwrap()]).status.success(), "byte {at}, by Python");
        }
    }
    assert_eq!(verify(&dir.path().join("missing.zip"), None).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_hostile_text_is_text_in_a_spreadsheet() {
    if !needs(&["soffice"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let made = pack(dir.path(), "soc2").await;
    let out = dir.path().join("unpacked");
    std::fs::create_dir(&out).unwrap();
    assert!(
        run(
            "python3",
            &["-m", "zipfile", "-e", file(dir.path(), &made, "zip").to_str().unwrap(), out.to_str().unwrap()],
            dir.path()
        )
        .status
        .success()
    );
    let profile = format!("-env:UserInstallation=file://{}/profile", dir.path().display());
    // Opened, computed, and written again as what is shown.
    let shown = dir.path().join("shown");
    let opened = run(
        "soffice",
        &[
            &profile,
            "--headless",
            "--infilter=CSV:44,34,76,1",
            "--convert-to",
            "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false",
            "--outdir",
            shown.to_str().unwrap(),
            "events.csv",
        ],
        &out,
    );
    assert!(opened.status.success(), "{}", text(&opened.stderr));
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(shown.join("events.csv")).unwrap();
    let who: Vec<String> = reader.records().map(|r| r.unwrap()[5].to_owned()).collect();
    assert_eq!(who.len(), HOSTILE.len() * 6);
    for h in HOSTILE.iter().filter(|h| !h.contains(['\t', '\r'])) {
        assert!(
            who.iter().any(|w| w.trim_start_matches('\'') == *h),
            "{h} is shown as it came in: {:?}",
            who.iter().step_by(6).collect::<Vec<_>>()
        );
    }
    assert!(!who.iter().any(|w| w == "2" || w == "1"), "nothing was computed: {who:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_is_a_pdf_that_says_what_it_must_and_bears_the_root_of_the_log() {
    let readable = needs(&["pdftotext"]);
    let dir = tempfile::tempdir().unwrap();
    for (kind, words) in [
        (
            "gdpr",
            vec![
                "Pending",
                "Overdue",
                "Average response",
                "Users over retention",
                "Scheduled deletions",
                "Valid",
                "Expired",
                "Reported",
                "Unreported",
            ],
        ),
        (
            "soc2",
            vec![
                "Monitoring configuration",
                "Response records",
                "Security event logs",
                "Incident metrics",
                "MTTD",
                "Brute force",
            ],
        ),
        ("incident", vec!["What happened", "Why we think so", "What was done", "Who was told"]),
        ("handover", vec!["Open P1 and P2", "What runs out within a day", "Privacy deadlines", "Blind spots"]),
    ] {
        let home = dir.path().join(kind);
        std::fs::create_dir(&home).unwrap();
        let made = pack(&home, kind).await;
        let pdf = file(&home, &made, "pdf");
        if readable {
            let said = text(&run("pdftotext", &["-layout", pdf.to_str().unwrap(), "-"], &home).stdout);
            for word in words {
                assert!(said.contains(word), "{kind}: {word}");
            }
            assert!(said.contains(made["root"].as_str().unwrap()) && said.contains("1/"), "{kind}: root, page numbers");
        }
        let json: Value = serde_json::from_slice(&std::fs::read(file(&home, &made, "json")).unwrap()).unwrap();
        assert_eq!(json["checkpoint"]["root"], made["root"]);
        if let Some(keep) = std::env::var_os("WATCHFLOOR_REPORTS") {
            std::fs::copy(&pdf, Path::new(&keep).join(format!("{kind}.pdf"))).unwrap();
        }
    }
}

#[test]
fn the_privacy_officer_and_the_auditor_work_from_a_shell() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("w.toml");
    std::fs::write(&config, "[operator]\nname = \"Ann\"\n[store]\nkey = \"env:WATCHFLOOR_KEY\"\n[privacy]\ncountry = \"DE\"\napprovals = 1\n").unwrap();
    let run =
        |args: &[&str]| ctl(&dir.path().join("data"), &config).args(args).current_dir(dir.path()).output().unwrap();
    let json = |args: &[&str]| -> Value {
        let out = run(&[args, &["--json"]].concat());
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {}", text(&out.stdout)))
    };
    let r = json(&[
        "privacy",
        "requests",
        "add",
        "--type",
        "access",
        "--received",
        "2026-10-31",
        "--subject",
        "email:ann@x.com",
    ]);
    assert_eq!((r["due"].as_str(), r["number"].as_u64()), (Some("2026-11-30"), Some(1)));
    let r = json(&[
        "privacy",
        "requests",
        "add",
        "--type",
        "deletion",
        "--received",
        "2026-11-01",
        "--subject",
        "ip:10.0.0.1",
        "--subject",
        "ann@x.com",
    ]);
    assert_eq!((r["due"].as_str(), r["kind"].as_str()), (Some("2026-12-01"), Some("deletion")));
    assert_eq!(
        json(&["privacy", "requests", "add", "--type", "access", "--received", "2026-11-02", "--subject", "ANN@x.com"])
            ["may_be_duplicate_of"],
        1
    );
    assert_eq!(json(&["privacy", "requests", "list"]).as_array().unwrap().len(), 3);
    json(&["privacy", "requests", "advance", "1"]);
    json(&["privacy", "requests", "advance", "1", "--note", "seen"]);
    let extended =
        json(&["privacy", "requests", "extend", "1", "--reason", "many systems", "--notified", "2026-11-05"]);
    assert_eq!(extended["due"], "2027-02-01", "three months after 31 October is 31 January, a Sunday");
    let done = json(&["privacy", "requests", "execute", "1"]);
    assert_eq!(done["state"], "executed");
    assert_eq!(json(&["privacy", "requests", "advance", "1", "--note", "by mail"])["state"], "completed");
    assert_eq!(json(&["privacy", "requests", "refuse", "3", "--reason", "manifestly unfounded"])["state"], "refused");
    assert!(
        json(&["privacy", "subject", "find", "ann@x.com"])["places"]
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["place"] == "privacy records")
    );
    json(&["privacy", "breaches", "open", "--title", "Lost laptop", "--why", "reported"]);
    let aware = json(&["privacy", "breaches", "aware", "1", "--why", "it was not encrypted"]);
    assert!(aware["due"].as_str().unwrap().starts_with("20"), "{aware}");
    json(&["privacy", "breaches", "describe", "1", "--nature", "a laptop was lost", "--subjects", "40"]);
    assert_eq!(json(&["privacy", "breaches", "notify", "1", "--reference", "A-1"])["state"], "notified");
    assert_eq!(run(&["privacy", "breaches", "close", "1"]).status.code(), Some(3), "the rest has not been sent");
    assert_eq!(json(&["privacy", "breaches", "list"]).as_array().unwrap().len(), 1);
    std::fs::write(dir.path().join("c.csv"), "subject,purpose,text_version,given,expires,withdrawn,source\nemail:ann@x.com,newsletter,v1,2026-01-01,,,form\n").unwrap();
    assert_eq!(json(&["privacy", "consents", "import", "c.csv"])["imported"], 1);
    assert_eq!(json(&["privacy", "consents", "export", "d.csv"])["lines"], 1);
    assert_eq!(std::fs::read(dir.path().join("c.csv")).unwrap(), std::fs::read(dir.path().join("d.csv")).unwrap());
    json(&["privacy", "holds", "add", "--title", "Claim", "--reason", "court", "--subject", "email:ann@x.com"]);
    json(&["privacy", "holds", "release", "1", "--reason", "settled"]);
    assert!(json(&["privacy", "retention", "preview"])["classes"].as_array().unwrap().len() == 6);
    assert_eq!(json(&["privacy", "retention", "run"])["number"], 1);
    for (report, file) in [("gdpr", "g.pdf"), ("soc2", "s.zip"), ("handover", "h.json")] {
        let made = json(&["report", report, "--out", file]);
        assert!(made["bytes"].as_u64().unwrap() > 500, "{made}");
    }
    assert!(json(&["evidence", "verify", "s.zip"])["good"] == true);
    assert_eq!(run(&["report", "gdpr", "--out", "g.docx"]).status.code(), Some(2));
    assert!(json(&["backup", "b.db"])["bytes"].as_u64().unwrap() > 10_000);
    for (args, code) in [
        (vec!["privacy", "requests", "add", "--type", "nonsense", "--subject", "a@b.c"], 2),
        (vec!["privacy", "requests", "add", "--type", "access", "--received", "tomorrow", "--subject", "a@b.c"], 2),
        (vec!["privacy", "requests", "show", "99"], 1),
        (vec!["privacy", "requests", "execute", "2"], 3),
        (vec!["privacy", "consents", "import", "missing.csv"], 2),
        (vec!["report", "incident", "77", "--out", "x.pdf"], 1),
    ] {
        let out = run(&args);
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", text(&out.stderr));
        assert!(!out.stderr.is_empty(), "{args:?} says why");
    }
    // What is shown to people, too.
    for args in [
        vec!["privacy", "requests", "list"],
        vec!["privacy", "requests", "show", "1"],
        vec!["privacy", "breaches", "show", "1"],
        vec!["privacy", "retention", "preview"],
        vec!["privacy", "holds", "list"],
        vec!["privacy", "consents", "list"],
        vec!["privacy", "activities", "list"],
    ] {
        let out = run(&args);
        assert!(out.status.success() && !out.stdout.is_empty(), "{args:?}");
    }
}
