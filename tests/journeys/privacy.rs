//! The rights of data subjects, carried out on a real console: found, handed out, corrected, restricted, erased, held,
//! and kept no longer than it must be.

use std::time::Duration;

use serde_json::{Value, json};
use wf_api::{Action, ErrorCode, PrivacyAction, ReportWanted, Request};
use wf_console::code_at;
use wf_model::Timestamp;
use wf_platform::Keychain as _;
use wf_testkit::{Providers, RunningConsole, ScriptServer, TestConsole, until};

use crate::disk::{self, pages};

const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
const PEOPLE: &str = "[privacy]\norganisation = \"Shop GmbH\"\ncontact = \"dpo@shop.example\"\ncountry = \"DE\"\n[person.bob]\nname = \"Bob Roe\"\napprover = \"keychain:bob\"\n";

/// Events about Ann, written in every way, among those of her look-alikes and of others.
fn frames(n: usize) -> Vec<String> {
    let anns = [
        r#"{"event":"login_failed","email":"ann@x.com","ip":"10.0.0.1","n":N}"#,
        r#"{"event":"login_failed","email":"ANN@X.COM","ip":"10.0.0.1","n":N}"#,
        r#"{"event":"login_failed","email":"ann\u0040x.com","ip":"10.0.0.1","n":N}"#,
        r#"{"event":"login_success","user_id":5,"ip":"10.0.0.1","n":N}"#,
        r#"{"event":"token_refresh","username":"Ann Lee","ip":"::ffff:10.0.0.1","url":"/reset?to=ann%40x.com","n":N}"#,
        r#"{"event":"api_key_used","user_id":"5","detail":"{\"for\":\"ann@x.com\"}","n":N}"#,
    ];
    let others = [
        r#"{"event":"login_failed","email":"joann@x.com","ip":"10.0.0.11","n":N}"#,
        r#"{"event":"login_success","email":"ann@x.com.au","ip":"110.0.0.1","n":N}"#,
        r#"{"event":"login_success","user_id":55,"username":"Joann Lee","ip":"10.0.0.12","n":N}"#,
        r#"{"event":"token_refresh","username":"Ann Leeds","ip":"192.0.2.5","count":5,"n":N}"#,
    ];
    (0..n)
        .map(|i| if i % 10 < 3 { anns[i % anns.len()] } else { others[i % others.len()] }.replace('N', &i.to_string()))
        .collect()
}

const SUBJECT: [&str; 4] = ["email:ann@x.com", "ip:10.0.0.1", "name:Ann Lee", "user_id:5"];

fn subject() -> Vec<String> {
    SUBJECT.map(str::to_owned).to_vec()
}

struct Desk {
    home: TestConsole,
    console: RunningConsole,
    server: ScriptServer,
}

async fn desk(n: usize, more: &str) -> Desk {
    let mut all = frames(n);
    // Not readable, so it lies in quarantine as it came in.
    all.push("{\"event\": broken ann@x.com".into());
    let server = ScriptServer::of(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let home =
        TestConsole::new(&format!("[feed.shop]\nurl = \"{}\"\nmap = \"auth-event\"\n{PEOPLE}{more}", server.url()));
    home.keychain.set("bob", &SECRET.to_owned().into()).unwrap();
    let console = home.start().await;
    console.until_stored(n as u64).await;
    until("the broken one is in quarantine", || async {
        (!console.console.desk.feeds.all().await.ok()?.quarantine.is_empty()).then_some(())
    })
    .await;
    Desk { home, console, server }
}

impl Desk {
    async fn act(&self, action: PrivacyAction) -> Result<Value, wf_api::ApiError> {
        self.console.ask(Request::Privacy { action }).await
    }

    async fn request(&self, kind: &str, subject: Vec<String>) -> u64 {
        let r = self
            .act(PrivacyAction::AddRequest {
                kind: kind.into(),
                received: None,
                subject,
                contact: Some("ann@x.com".into()),
                note: Some("wrote to us as ann@x.com".into()),
                corrections: vec![],
            })
            .await
            .unwrap();
        let n = r["number"].as_u64().unwrap();
        self.act(PrivacyAction::Advance { request: n, note: None }).await.unwrap();
        self.act(PrivacyAction::Advance { request: n, note: Some("Ann Lee called back".into()) }).await.unwrap();
        n
    }

    /// Approved by Bob, executed, answered.
    async fn erase(&self, subject: Vec<String>) -> Value {
        let n = self.request("deletion", subject).await;
        let alone = self.act(PrivacyAction::Execute { request: n }).await.unwrap_err();
        assert!(alone.code == ErrorCode::Refused && alone.message.contains("two persons"), "{alone:?}");
        self.approve(n).await;
        let done = self.act(PrivacyAction::Execute { request: n }).await.unwrap();
        self.act(PrivacyAction::Advance { request: n, note: Some("by mail to ann@x.com".into()) }).await.unwrap();
        done
    }

    async fn approve(&self, request: u64) {
        // A code counts once: the next one may have to be waited for, or is the neighbour that clocks are allowed.
        for shift in [-30i64, 0, 30] {
            let code = code_at(SECRET, Timestamp::from_millis(Timestamp::now().millis() + shift * 1000)).unwrap();
            if self.act(PrivacyAction::Approve { request, approver: "bob".into(), code }).await.is_ok() {
                return;
            }
        }
        panic!("no code counts any more");
    }

    async fn find(&self, subject: Vec<String>) -> Value {
        self.console.ask(Request::SubjectFind { identifiers: subject }).await.unwrap()
    }

    fn database(&self) -> std::path::PathBuf {
        self.home.paths.database()
    }

    fn key(&self) -> Vec<u8> {
        disk::key_of(&self.home)
    }

    /// Every stored event, as the console reads it back from the decompressed blocks.
    async fn everything(&self) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .console
                .ask(Request::EventsList { query: String::new(), since: None, limit: 1000, after })
                .await
                .unwrap();
            all.extend(page["events"].as_array().unwrap().clone());
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() {
                return all;
            }
        }
    }
}

/// Whether an identifier stands in bytes, with nothing of its kind before or behind it.
fn holds(bytes: &[u8], needle: &str) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let needle = needle.to_lowercase();
    text.match_indices(&needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after: Vec<char> = text[at + needle.len()..].chars().take(2).collect();
        let word = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric());
        let joined = before.is_some_and(|c| c.is_alphanumeric() || c == '.')
            || word(after.first())
            || (after.first() == Some(&'.') && word(after.get(1)));
        !joined
    })
}

const NEEDLES: [&str; 5] = ["ann@x.com", "ann%40x.com", "ann\\u0040x.com", "10.0.0.1", "ann lee"];

#[tokio::test(flavor = "multi_thread")]
async fn after_an_erasure_no_identifier_is_left_in_database_log_exports_or_a_fresh_backup_and_look_alikes_stay() {
    let d = desk(3000, "").await;
    let incident = d.console.until_incident("brute force", |i| i.entity.as_deref() == Some("10.0.0.1")).await;
    d.console.act(&incident.id, Action::Note { text: "called Ann Lee (ann@x.com) about it".into() }).await.unwrap();
    d.act(PrivacyAction::AddConsent {
        subject: "email:ann@x.com".into(),
        purpose: "newsletter".into(),
        text_version: "1".into(),
        given: None,
        expires: None,
        source: None,
    })
    .await
    .unwrap();
    let access = d.request("access", subject()).await;
    d.act(PrivacyAction::Execute { request: access }).await.unwrap();
    d.act(PrivacyAction::Advance { request: access, note: None }).await.unwrap();
    d.console
        .ask(Request::Report { wanted: ReportWanted { kind: "soc2".into(), from: None, to: None, incident: None } })
        .await
        .unwrap();
    let before = d.everything().await;
    let found = d.find(subject()).await;
    let place = |v: &Value, name: &str| {
        v["places"].as_array().unwrap().iter().find(|p| p["place"] == name).map_or(0, |p| p["found"].as_u64().unwrap())
    };
    assert_eq!(place(&found, "events"), 900);
    for name in ["incidents", "timeline", "audit details", "privacy records", "quarantine", "exports"] {
        assert!(place(&found, name) > 0, "{name}: {found}");
    }
    std::fs::write(d.database().with_file_name("watchfloor.db.before-2"), b"an older copy").unwrap();

    let done = d.erase(subject()).await;
    let events = done["outcome"]["done"].as_array().unwrap().iter().find(|p| p["place"] == "events").unwrap();
    assert_eq!(
        (events["found"].as_u64(), events["changed"].as_u64(), events["kept"].as_u64()),
        (Some(900), Some(900), Some(0))
    );

    // The search itself finds nothing, and neither does anybody who reads every decompressed block.
    let found = d.find(subject()).await;
    assert_eq!(found["places"], json!([]), "{found}");
    let after = d.everything().await;
    assert_eq!(after.len(), before.len(), "events stay, without whom they were about");
    for e in &after {
        let text = e.to_string();
        for needle in NEEDLES {
            assert!(!holds(text.as_bytes(), needle), "{needle} in {text}");
        }
        assert!(e["fields"]["user.id"] != 5 && e["fields"]["user.id"] != "5", "{text}");
    }
    let others = |all: &[Value]| {
        all.iter()
            .filter(|e| {
                ["joann@x.com", "ann@x.com.au", "Joann Lee", "Ann Leeds"]
                    .iter()
                    .any(|n| e["raw"].as_str().unwrap().contains(n))
            })
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(others(&after), others(&before), "look-alikes are untouched, byte for byte");
    assert_eq!(others(&after).len(), 2100);

    let backup = d.home.dir().join("fresh.db");
    d.console.ask(Request::Backup { to: backup.clone() }).await.unwrap();
    assert!(d.console.ask(Request::Backup { to: backup.clone() }).await.is_err(), "a backup never overwrites");
    let key = d.key();
    let log = d.database().with_file_name("watchfloor.db-wal");
    let mut read = 0;
    for file in [d.database(), log, backup] {
        for page in pages(&file, &key) {
            read += 1;
            for needle in NEEDLES {
                assert!(!holds(&page, needle), "{needle} in a page of {}", file.display());
            }
        }
    }
    assert!(read > 100, "pages were read: {read}");
    assert!(pages(&d.database(), &key).iter().any(|p| holds(p, "incident.open")), "what is read is really decrypted");
    for file in std::fs::read_dir(d.home.paths.data_dir.join("exports")).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        assert!(name.ends_with("receipt.pdf"), "{name} should be gone");
    }
    assert!(!d.database().with_file_name("watchfloor.db.before-2").exists(), "copies of old schemas go");

    d.console.assert_sound().await;
    let verdict = d.console.console.compliance.audit.verify(None).await.unwrap();
    assert!(
        verdict.integrity.contains("with their details erased") && !verdict.integrity.contains(" 0 with"),
        "{}",
        verdict.integrity
    );
    let reports = d.console.ask(Request::Reports).await.unwrap();
    assert!(
        reports[0]["files"].as_array().unwrap().iter().all(|f| f["removed"] == true),
        "the history says that its files are gone"
    );
    let requests = d.console.ask(Request::PrivacyRequests).await.unwrap().to_string();
    assert!(!holds(requests.as_bytes(), "ann@x.com") && !holds(requests.as_bytes(), "Ann Lee"), "{requests}");

    d.console.stop().await;
    // The feed would send everything again.
    std::fs::write(&d.home.paths.config, PEOPLE).unwrap();
    let console = d.home.start().await;
    assert_eq!(
        console.ask(Request::SubjectFind { identifiers: subject() }).await.unwrap()["places"],
        json!([]),
        "nor after a restart"
    );
    console.assert_sound().await;
    console.stop().await;
    drop(d.server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legal_hold_stops_exactly_what_it_covers() {
    let d = desk(600, "").await;
    let incident = d.console.until_incident("brute force", |i| i.entity.as_deref() == Some("10.0.0.1")).await;
    d.act(PrivacyAction::AddHold {
        title: "Claim".into(),
        reason: "LG Berlin".into(),
        incidents: vec![u64::from(incident.number)],
        subject: vec![],
        feeds: vec![],
        from: None,
        until: None,
    })
    .await
    .unwrap();
    // Everything about the same address within the time of the incident, tagged or not.
    let (from, to) = (incident.first_seen.timestamp(), incident.last_seen.timestamp());
    let covered = |e: &Value| {
        let at = Timestamp::parse(e["occurred_at"].as_str().unwrap()).unwrap();
        e["fields"]["watchfloor.incident"] == incident.number
            || (e["fields"]["source.ip"] == "10.0.0.1" && at >= from && at <= to)
    };
    let held: std::collections::BTreeSet<u64> =
        d.everything().await.iter().filter(|e| covered(e)).map(|e| e["seq"].as_u64().unwrap()).collect();
    assert!(!held.is_empty() && held.len() < 180);
    let done = d.erase(subject()).await;
    let events = done["outcome"]["done"].as_array().unwrap().iter().find(|p| p["place"] == "events").unwrap().clone();
    assert_eq!(
        (events["found"].as_u64().unwrap(), events["kept"].as_u64().unwrap()),
        (180, held.len() as u64),
        "{events}"
    );
    assert!(events["ground"].as_str().unwrap().contains("hold #1 Claim"));
    for e in d.everything().await {
        let kept = held.contains(&e["seq"].as_u64().unwrap());
        assert_eq!(
            holds(e.to_string().as_bytes(), "10.0.0.1") || holds(e.to_string().as_bytes(), "ann@x.com"),
            kept && e["raw"].as_str().unwrap().contains("10.0.0.1"),
            "{e}"
        );
    }
    let kept = d.console.console.desk.incidents.one(&incident.number.to_string()).await.unwrap();
    assert_eq!(kept.incident.entity.as_deref(), Some("10.0.0.1"), "the incident under hold is as it was");
    // Released, the rest goes.
    d.act(PrivacyAction::ReleaseHold { hold: 1, reason: "settled".into() }).await.unwrap();
    let second = d.request("deletion", subject()).await;
    d.approve(second).await;
    d.act(PrivacyAction::Execute { request: second }).await.unwrap();
    d.act(PrivacyAction::Advance { request: second, note: None }).await.unwrap();
    assert_eq!(d.find(subject()).await["places"], json!([]));
    d.console.assert_sound().await;
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_copy_shows_all_that_a_plain_scan_finds_and_a_portable_one_loads_back() {
    let d = desk(2500, "").await;
    d.console.until_incident("brute force", |i| i.entity.as_deref() == Some("10.0.0.1")).await;
    let plain: Vec<u64> = d
        .everything()
        .await
        .iter()
        .filter(|e| {
            let text = e.to_string();
            NEEDLES.iter().any(|n| holds(text.as_bytes(), n))
                || e["fields"]["user.id"] == 5
                || e["fields"]["user.id"] == "5"
        })
        .map(|e| e["seq"].as_u64().unwrap())
        .collect();
    let access = d.request("access", subject()).await;
    let done = d.act(PrivacyAction::Execute { request: access }).await.unwrap();
    let exports = d.home.paths.data_dir.join("exports");
    let copy: Value =
        serde_json::from_slice(&std::fs::read(exports.join(format!("request-{access}-access.json"))).unwrap()).unwrap();
    let events: Vec<&Value> = copy["data"].as_array().unwrap().iter().filter(|p| p["place"] == "events").collect();
    let mut shown: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    let mut expected = plain.clone();
    shown.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shown, expected);
    for place in ["incidents", "timeline", "audit details", "quarantine", "privacy records"] {
        assert!(copy["data"].as_array().unwrap().iter().any(|p| p["place"] == place), "{place}");
    }
    assert!(std::fs::read(exports.join(format!("request-{access}-access.pdf"))).unwrap().starts_with(b"%PDF-"));
    for f in done["outcome"]["files"].as_array().unwrap() {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = std::fs::metadata(exports.join(f["name"].as_str().unwrap())).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{f}");
    }
    let portable = d.request("portability", subject()).await;
    d.act(PrivacyAction::Execute { request: portable }).await.unwrap();
    let doc: Value =
        serde_json::from_slice(&std::fs::read(exports.join(format!("request-{portable}-portability.json"))).unwrap())
            .unwrap();
    let mut reader = csv::Reader::from_path(exports.join(format!("request-{portable}-portability.csv"))).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), doc["data"].as_array().unwrap().len());
    let json_events: Vec<&Value> = doc["data"].as_array().unwrap().iter().filter(|p| p["place"] == "events").collect();
    let csv_events: Vec<&csv::StringRecord> = rows.iter().filter(|r| &r[0] == "events").collect();
    assert_eq!((json_events.len(), csv_events.len()), (plain.len(), plain.len()));
    for (j, c) in json_events.iter().zip(&csv_events) {
        assert_eq!((j["seq"].to_string().as_str(), j["occurred_at"].as_str().unwrap()), (&c[3], &c[1]));
        assert_eq!(serde_json::from_str::<Value>(&c[4]).unwrap(), j["fields"], "fields load back");
    }
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_corrected_in_the_subjects_data_alone_and_what_is_not_is_said() {
    let d = desk(300, "").await;
    let r = d
        .act(PrivacyAction::AddRequest {
            kind: "rectification".into(),
            received: None,
            subject: vec!["name:Ann Lee".into()],
            contact: None,
            note: None,
            corrections: vec![["user.name".into(), "Ann Lee".into(), "Ann Leigh".into()]],
        })
        .await
        .unwrap();
    let n = r["number"].as_u64().unwrap();
    d.act(PrivacyAction::Advance { request: n, note: None }).await.unwrap();
    d.act(PrivacyAction::Advance { request: n, note: Some("seen".into()) }).await.unwrap();
    let done = d.act(PrivacyAction::Execute { request: n }).await.unwrap();
    let all = d.everything().await;
    let named = |name: &str| all.iter().filter(|e| e["fields"]["user.name"] == name).count();
    assert!(named("Ann Leigh") > 0 && named("Ann Lee") == 0 && named("Ann Leeds") > 0 && named("Joann Lee") > 0);
    assert!(
        all.iter()
            .filter(|e| e["fields"]["user.name"] == "Ann Leigh")
            .all(|e| e["raw"].as_str().unwrap().contains("Ann Lee")),
        "what came in stays as it came in"
    );
    assert!(done["outcome"]["remarks"][0].as_str().unwrap().contains("were not changed"), "{done}");
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_processing_is_restricted_is_kept_and_is_in_no_report() {
    let d = desk(400, "").await;
    d.console.until_incident("brute force", |i| i.entity.as_deref() == Some("10.0.0.1")).await;
    let n = d.request("restriction", vec!["ip:10.0.0.1".into()]).await;
    d.act(PrivacyAction::Execute { request: n }).await.unwrap();
    let made = d
        .console
        .ask(Request::Report { wanted: ReportWanted { kind: "soc2".into(), from: None, to: None, incident: None } })
        .await
        .unwrap();
    let folder = d.home.paths.data_dir.join("exports");
    let text = std::fs::read_to_string(folder.join(made["files"][1]["name"].as_str().unwrap())).unwrap();
    assert!(text.contains("[restricted]") && !holds(text.as_bytes(), "10.0.0.1"), "{text}");
    // Nor in the tables of the pack: an erasure of the same address finds no report to remove.
    assert!(
        d.find(vec!["ip:10.0.0.1".into()]).await["places"].as_array().unwrap().iter().all(|p| p["place"] != "exports")
    );
    assert!(!d.everything().await.iter().all(|e| !holds(e.to_string().as_bytes(), "10.0.0.1")), "it is kept");
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_person_approves_with_a_code_that_counts_once_and_never_for_themselves() {
    let d = desk(
        20,
        "[person.duty]\nname = \"Duty officer\"\napprover = \"keychain:bob\"\n[person.carl]\nname = \"Carl\"\n",
    )
    .await;
    let n = d.request("deletion", vec!["email:ann@x.com".into()]).await;
    let approve = |who: &str, code: String| d.act(PrivacyAction::Approve { request: n, approver: who.into(), code });
    let now = code_at(SECRET, Timestamp::now()).unwrap();
    for (who, code, expected) in [
        ("bob", "12345".to_owned(), "not the code"),
        ("bob", String::new(), "not the code"),
        ("nobody", now.clone(), "is nobody"),
        ("carl", now.clone(), "no authenticator"),
        ("duty", now.clone(), "sits here"),
    ] {
        let e = approve(who, code).await.unwrap_err();
        assert!(e.message.contains(expected), "{who}: {e:?}");
    }
    approve("bob", now.clone()).await.unwrap();
    let other = d.request("deletion", vec!["ip:10.0.0.11".into()]).await;
    let e = d.act(PrivacyAction::Approve { request: other, approver: "Bob Roe".into(), code: now }).await.unwrap_err();
    assert!(e.message.contains("used already"), "{e:?}");
    let enrol = |voucher: Option<&str>, code: Option<String>| {
        d.console.ask(Request::EnrolApprover { person: "carl".into(), voucher: voucher.map(str::to_owned), code })
    };
    assert!(
        enrol(None, None).await.unwrap_err().message.contains("vouches"),
        "one officer alone makes no second person"
    );
    let next = code_at(SECRET, Timestamp::from_millis(Timestamp::now().millis() + 30_000)).unwrap();
    let url = enrol(Some("bob"), Some(next)).await.unwrap();
    assert!(url.as_str().unwrap().starts_with("otpauth://totp/"), "{url}");
    let config = std::fs::read_to_string(&d.home.paths.config).unwrap();
    assert!(config.contains("keychain:approver-carl"), "t8: only the reference is in the file");
    let secret = url.as_str().unwrap().split("secret=").nth(1).unwrap().split('&').next().unwrap();
    assert!(!config.contains(secret));
    until("the window knows it", || async {
        d.console.console.context.config().person["carl"].approver.is_some().then_some(())
    })
    .await;
    for _ in 0..5 {
        approve("carl", "000000".into()).await.unwrap_err();
    }
    let right = code_at(secret, Timestamp::now()).unwrap();
    assert!(
        approve("carl", right).await.unwrap_err().message.contains("wrong codes in a row"),
        "six digits are not guessed"
    );
    let log = d.console.console.compliance.audit.entries("privacy.approval.refused", None, 100).await.unwrap();
    assert!(log.rows.len() >= 6, "what was refused is recorded");
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_system_is_told_by_a_call_whose_answer_is_kept_as_its_hash() {
    let providers = Providers::start().await;
    let d = desk(20, &format!("[connector.crm]\nurl = \"{}/hook\"\nbody = '{{\"delete\": \"{{email}}\", \"as\": \"{{type}} {{number}}\"}}'\nowner = \"Dora\"\nkinds = [\"access\"]\nallow = [\"127.0.0.1\"]\n", providers.url())).await;
    let n = d.request("access", subject()).await;
    let done = d.act(PrivacyAction::Execute { request: n }).await.unwrap();
    assert_eq!(done["tasks"][0]["owner"], "Dora");
    let early = d.act(PrivacyAction::Advance { request: n, note: None }).await.unwrap_err();
    assert!(early.message.contains("crm has not confirmed"), "{early:?}");
    let told = d.act(PrivacyAction::CallConnector { request: n, system: "crm".into() }).await.unwrap();
    let asked = providers.taken("/hook");
    assert_eq!(asked[0].json(), json!({ "delete": "ann@x.com", "as": format!("access {n}") }));
    assert_eq!(told["tasks"][0]["receipt"]["sha256"].as_str().map(str::len), Some(64), "{told}");
    d.act(PrivacyAction::Advance { request: n, note: None }).await.unwrap();
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_privacy_officer_is_told_of_a_breach_at_each_of_its_hours_once_even_over_restarts() {
    let providers = Providers::start().await;
    let mut d = desk(
        20,
        &format!("[channel.hook]\nkind = \"webhook\"\nurl = \"{}/hook\"\nallow = [\"127.0.0.1\"]\n", providers.url()),
    )
    .await;
    let text = std::fs::read_to_string(&d.home.paths.config).unwrap();
    std::fs::write(
        &d.home.paths.config,
        text.replace("country = \"DE\"", "country = \"DE\"\nofficer = \"bob\"\nchannels = [\"hook\"]"),
    )
    .unwrap();
    d.console.stop().await;
    d.console = d.home.start().await;
    let ago = |h: u64| Some((Timestamp::now() - Duration::from_secs(h * 3600 + 60)).rfc3339());
    d.act(PrivacyAction::OpenBreach {
        incidents: vec![],
        title: Some("List on a public share".into()),
        why: "seen".into(),
        suspected: ago(50),
    })
    .await
    .unwrap();
    d.act(PrivacyAction::Aware { breach: 1, at: ago(49), why: "sure".into() }).await.unwrap();
    d.console.stop().await;
    // What was due while nothing ran is told at the start, once.
    for _ in 0..2 {
        d.console = d.home.start().await;
        until("told of 48 hours", || async {
            (providers.taken("/hook").iter().filter(|a| a.json().to_string().contains("48 hours have passed")).count()
                == 1)
                .then_some(())
        })
        .await;
        d.console.stop().await;
    }
    d.console = d.home.start().await;
    let view = d.console.ask(Request::PrivacyBreach { number: 1 }).await.unwrap();
    assert_eq!(view["reminded"], json!([24, 48]));
    let late =
        d.act(PrivacyAction::Notify { breach: 1, at: None, reference: None, delay_reason: None }).await.unwrap_err();
    assert!(late.message.contains("nature"), "{late:?}");
    assert_eq!(
        providers.taken("/hook").iter().filter(|a| a.json().to_string().contains("hours have passed")).count(),
        1
    );
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_looks_searches_exports_and_verifies_and_changes_nothing() {
    let d = desk(60, "[person.eve]\nname = \"Duty officer\"\nroles = [\"auditor\"]\n").await;
    let incident = d.console.until_incident("brute force", |i| i.entity.as_deref() == Some("10.0.0.1")).await;
    let refused = |e: wf_api::ApiError| assert!(e.code == ErrorCode::Refused && e.message.contains("auditor"), "{e:?}");
    refused(d.console.act(&incident.id, Action::Note { text: "x".into() }).await.unwrap_err());
    refused(
        d.act(PrivacyAction::AddRequest {
            kind: "access".into(),
            received: None,
            subject: subject(),
            contact: None,
            note: None,
            corrections: vec![],
        })
        .await
        .unwrap_err(),
    );
    refused(d.act(PrivacyAction::RunRetention { approver: None, code: None }).await.unwrap_err());
    refused(d.console.console.desk.feeds.try_demo().await.unwrap_err());
    refused(
        d.console.ask(Request::EnrolApprover { person: "bob".into(), voucher: None, code: None }).await.unwrap_err(),
    );
    refused(d.console.ask(Request::SilencesEnd { id: "x".into() }).await.unwrap_err());
    assert!(
        d.console.ask(Request::AuditExport).await.is_ok()
            && d.console
                .ask(Request::Report {
                    wanted: ReportWanted { kind: "gdpr".into(), from: None, to: None, incident: None }
                })
                .await
                .is_ok()
    );
    assert!(d.console.ask(Request::AuditVerify { anchor: None }).await.unwrap()["good"] == true);
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_deletes_what_is_over_its_time_and_a_hold_keeps_its_part_while_events_keep_coming_in() {
    // Old events: the feed has them from last year.
    let old: Vec<String> = (0..5000).map(|i| format!(r#"{{"event":"login_success","username":"u{}","ip":"192.0.2.{}","timestamp":"2024-0{}-01T00:00:00Z","n":{i}}}"#, i % 7, i % 200, 1 + i % 9)).collect();
    let server = ScriptServer::of(&old.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let home = TestConsole::new(
        &format!("[feed.shop]\nurl = \"{}\"\nmap = \"auth-event\"\noldest = \"1200d\"\n{PEOPLE}", server.url())
            .replace("country", "approvals = 1\ncountry"),
    );
    let console = home.start().await;
    console.until_stored(5000).await;
    let ask = |action| console.ask(Request::Privacy { action });
    ask(PrivacyAction::AddHold {
        title: "Claim".into(),
        reason: "court".into(),
        incidents: vec![],
        subject: vec!["user_id:u3".into()],
        feeds: vec!["shop".into()],
        from: Some("2024-02-15T00:00:00Z".into()),
        until: Some("2024-04-15T00:00:00Z".into()),
    })
    .await
    .unwrap();
    let covered = (0..5000).filter(|i| i % 7 == 3 && [2, 3].contains(&(i % 9))).count() as u64;
    let preview = console.ask(Request::Retention).await.unwrap();
    let class = |v: &Value, name: &str| {
        v["classes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["class"] == name)
            .map(|c| (c["delete"].as_u64().unwrap(), c["held"].as_u64().unwrap()))
            .unwrap()
    };
    // What lies in the hot table is not sealed yet, and its turn comes later.
    let (delete, held) = class(&preview, "events");
    assert!(held <= covered && delete + held <= 5000 && delete > 1000, "{preview}");
    assert_eq!(preview["over_retention"]["users"], 7);
    let run = ask(PrivacyAction::RunRetention { approver: None, code: None }).await.unwrap();
    assert_eq!(class(&run, "events"), (delete, held), "what the preview promised");
    let left: Vec<Value> = console
        .ask(Request::EventsList { query: String::new(), since: None, limit: 10_000, after: None })
        .await
        .unwrap()["events"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(left.len() as u64, 5000 - delete);
    let kept = left
        .iter()
        .filter(|e| {
            e["fields"]["user.name"] == "u3"
                && ["2024-03-01", "2024-04-01"].iter().any(|d| e["occurred_at"].as_str().unwrap().starts_with(d))
        })
        .count() as u64;
    assert_eq!(kept, covered, "exactly what the hold covers is there");
    server.push(r#"{"event":"login_success","username":"now","ip":"192.0.2.9"}"#);
    console.until_stored(5000 - delete + 1).await;
    console.assert_sound().await;
    console.stop().await;
    let console = home.start().await;
    server.push(r#"{"event":"login_success","username":"later","ip":"192.0.2.9"}"#);
    console.until_stored(5000 - delete + 2).await;
    let again = console
        .ask(Request::Privacy { action: PrivacyAction::RunRetention { approver: None, code: None } })
        .await
        .unwrap();
    assert_eq!(again["number"], 2);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_garbage_say_what_is_wrong_and_keep_nothing() {
    let d = desk(5, "").await;
    let add = |kind: &str, received: Option<&str>, subject: &[&str]| PrivacyAction::AddRequest {
        kind: kind.into(),
        received: received.map(str::to_owned),
        subject: subject.iter().map(|s| (*s).to_owned()).collect(),
        contact: None,
        note: None,
        corrections: vec![],
    };
    for (action, expected) in [
        (add("erasure", None, &["a@b.c"]), "is not a type of request"),
        (add("access", Some("31.1.2026"), &["a@b.c"]), "is not a day"),
        (add("access", Some("2099-01-01"), &["a@b.c"]), "has not come yet"),
        (add("access", None, &[]), "at least one identifier"),
        (add("access", None, &["ip:300.1.1.1"]), "is no IP address"),
        (add("rectification", None, &["a@b.c"]), "at least one correction"),
        (PrivacyAction::Advance { request: 99, note: None }, "there is no request #99"),
        (PrivacyAction::Aware { breach: 7, at: None, why: "x".into() }, "there is no breach #7"),
        (PrivacyAction::ImportConsents { csv: "a,b\n".into() }, "first line must be"),
        (
            PrivacyAction::AddHold {
                title: "x".into(),
                reason: "y".into(),
                incidents: vec![],
                subject: vec![],
                feeds: vec![],
                from: Some("yesterday".into()),
                until: None,
            },
            "is not a moment",
        ),
    ] {
        let e = d.act(action).await.unwrap_err();
        assert!(e.message.contains(expected), "{expected}: {e:?}");
    }
    assert_eq!(d.console.ask(Request::PrivacyRequests).await.unwrap(), json!([]));
    for (kind, from, expected) in [
        ("gdpr", Some("nonsense"), "is not a day"),
        ("gdpr", Some("2099-01-01"), "is before"),
        ("novel", None, "is no report"),
        ("incident", None, "give its number"),
    ] {
        let e = d
            .console
            .ask(Request::Report {
                wanted: ReportWanted { kind: kind.into(), from: from.map(str::to_owned), to: None, incident: None },
            })
            .await
            .unwrap_err();
        assert!(e.message.contains(expected), "{kind}: {e:?}");
    }
    for name in ["../watchfloor.toml", "/etc/passwd", "", ".", "..", "a/b", "none.pdf"] {
        assert_eq!(
            d.console.console.compliance.records.export_file(name).unwrap_err().code,
            ErrorCode::NotFound,
            "t9: {name}"
        );
    }
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_leaves_the_subjects_other_open_requests_alone_and_nothing_of_ours_unreadable() {
    let d = desk(60, "").await;
    // Ids that are also numbers of ours, words of ours, and what was erased before.
    let access = d.request("access", vec!["user_id:5".into(), "name:completed".into()]).await;
    d.act(PrivacyAction::OpenBreach {
        incidents: vec![],
        title: Some("x".into()),
        why: "completed".into(),
        suspected: None,
    })
    .await
    .unwrap();
    d.act(PrivacyAction::Describe { breach: 1, content: Box::new(serde_json::from_value(json!({ "nature": "n", "subject_categories": "", "subjects": 5, "record_categories": "", "records": 55, "contact": "", "consequences": "", "measures": "" })).unwrap()) }).await.unwrap();
    d.erase(vec!["user_id:5".into(), "user_id:55".into(), "ip:10.0.0.1".into()]).await;
    let open = d.console.ask(Request::PrivacyRequest { number: access }).await.unwrap();
    assert_eq!(
        (open["state"].as_str(), open["subject"][0]["value"].as_str(), open["contact"].as_str()),
        (Some("in_progress"), Some("5"), Some("ann@x.com")),
        "{open}"
    );
    let breach = d.console.ask(Request::PrivacyBreach { number: 1 }).await.unwrap();
    assert_eq!((breach["content"]["subjects"].as_u64(), breach["content"]["records"].as_u64()), (Some(5), Some(55)));
    assert!(
        d.everything().await.iter().all(|e| e["raw"].as_str().unwrap().contains("\"n\":")),
        "what is no user's stays a number"
    );
    d.console.ask(Request::PrivacyBoard).await.unwrap();
    // Whoever asks next is not taken for everybody who was erased before.
    let e = d
        .act(PrivacyAction::AddRequest {
            kind: "access".into(),
            received: None,
            subject: vec!["name:[erased]".into()],
            contact: None,
            note: None,
            corrections: vec![],
        })
        .await
        .unwrap_err();
    assert!(e.message.contains("identifies nobody"), "{e:?}");
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subjects_own_restriction_does_not_stand_in_the_way_of_their_erasure() {
    let d = desk(100, "").await;
    let n = d.request("restriction", vec!["email:ann@x.com".into()]).await;
    d.act(PrivacyAction::Execute { request: n }).await.unwrap();
    let lifted = d.act(PrivacyAction::ReleaseHold { hold: 1, reason: "no longer needed".into() }).await.unwrap_err();
    assert!(lifted.message.contains("Art. 18(3)"), "{lifted:?}");
    let done = d.erase(vec!["email:ann@x.com".into()]).await;
    let events = done["outcome"]["done"].as_array().unwrap().iter().find(|p| p["place"] == "events").unwrap();
    assert!(events["found"].as_u64().unwrap() > 0 && events["kept"] == 0, "{events}");
    d.console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_runs_by_itself_once_a_day_and_a_restart_does_not_run_it_again() {
    let home = TestConsole::new(&format!("{PEOPLE}[retention]\nrun_at = \"00:00\"\n"));
    for _ in 0..2 {
        let console = home.start().await;
        let runs = until("a run", || async {
            console
                .ask(Request::Retention)
                .await
                .ok()
                .map(|v| v["runs"].clone())
                .filter(|r| !r.as_array().unwrap().is_empty())
        })
        .await;
        assert_eq!(
            (runs.as_array().unwrap().len(), runs[0]["by"].as_str(), &runs[0]["approved_by"]),
            (1, Some("Watchfloor"), &Value::Null),
            "{runs}"
        );
        console.assert_sound().await;
        console.stop().await;
    }
}
