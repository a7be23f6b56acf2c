//! Mail, to a real SMTP server over TLS, read back as a mail client would.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use wf_api::{Action, Request};
use wf_platform::Keychain as _;
use wf_testkit::{ScriptServer, TestConsole, until};
use wf_tests::{needs, needs_that};

struct MailServer {
    child: Child,
    dir: tempfile::TempDir,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait()).is_ok();
    }
}

impl MailServer {
    /// `None` where the programs are missing, and then the test is counted as skipped.
    async fn start() -> Option<Self> {
        let python = "/usr/bin/python3";
        let there = Command::new(python).args(["-c", "import aiosmtpd"]).output().is_ok_and(|o| o.status.success());
        if !needs_that("python3-aiosmtpd", there) || !needs(&["openssl"]) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/smtp_server.py"))
            .args([&cert, &key])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let said: Arc<Mutex<Vec<Value>>> = Arc::default();
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let server = Self { child, dir, said };
        until("the mail server listens", || async { (server.said.lock().unwrap().len() == 3).then_some(()) }).await;
        Some(server)
    }

    fn port(&self, name: &str) -> u64 {
        self.said.lock().unwrap().iter().find(|s| s["listens"] == name).unwrap()["port"].as_u64().unwrap()
    }

    fn mails(&self) -> Vec<Value> {
        self.said.lock().unwrap().iter().filter(|s| !s["mail"].is_null()).cloned().collect()
    }

    /// `[channel.NAME]` for one of its ports.
    fn channel(&self, name: &str, security: &str, more: &str) -> String {
        format!(
            "[channel.{name}]\nkind = \"email\"\nhost = \"localhost\"\nport = {}\nsecurity = \"{security}\"\nfrom = \"watchfloor@shop.example\"\nca = \"{}\"\n{more}\n",
            self.port(name),
            self.dir.path().join("cert.pem").display()
        )
    }
}

const PEOPLE: &str = "[person.ann]\nname = \"Ann\"\nroles = [\"officer\"]\nemail = \"ann@shop.example\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_one_thread_of_mails_that_a_mail_client_reads() {
    let Some(server) = MailServer::start().await else { return };
    let feed = ScriptServer::of(&[]).await;
    let login = "username = \"watch\"\npassword = \"keychain:mail\"";
    let home = TestConsole::new(&format!(
        "[feed.shop]\nurl = \"{}\"\nmap = [\"security-event\"]\n{PEOPLE}{}[digest]\nat = \"00:00\"\ntime_zone = \"Europe/Berlin\"\nchannel = \"tls\"\nto = [\"ann\"]\n",
        feed.url(),
        server.channel("tls", "tls", login)
    ));
    home.keychain.set("mail", &"floor".to_owned().into()).unwrap();
    let console = home.start().await;
    console.until_feed("shop", "live", |f| f.state == "live").await;
    // What an attacker would write to add a recipient, a header, a part.
    let hostile = "x\r\nBcc: evil@evil.example\r\n\r\n<script>\u{202e} https://evil.example é日本";
    feed.push(&serde_json::json!({ "type": "SQL Injection", "ip": hostile, "url": "/", "field": "q" }).to_string());
    console.until_incident("it", |i| i.kind == "SQL_INJECTION_ATTEMPT").await;
    let about = |server: &MailServer| {
        server
            .mails()
            .into_iter()
            .filter(|m| m["headers"]["subject"].as_str().unwrap().contains("#1"))
            .collect::<Vec<_>>()
    };
    until("asked", || async { (about(&server).len() == 1).then_some(()) }).await;
    console.act("1", Action::Acknowledge { note: None, minutes: None }).await.unwrap();
    until("told", || async { (about(&server).len() == 2).then_some(()) }).await;
    console.act("1", Action::Resolve { verdict: "true_positive".into(), note: None }).await.unwrap();
    until("told of the end", || async { (about(&server).len() == 3).then_some(()) }).await;
    let mails = about(&server);
    for m in &mails {
        assert_eq!(
            (&m["encrypted"], &m["multipart"], m["type"].as_str(), &m["defects"]),
            (&true.into(), &false.into(), Some("text/plain"), &serde_json::json!([])),
            "{m}"
        );
        assert_eq!(m["to"], serde_json::json!(["ann@shop.example"]));
        assert!(!m["names"].as_array().unwrap().contains(&"bcc".into()), "{m}");
        assert!(
            !m["body"].as_str().unwrap().contains("https://evil") && !m["body"].as_str().unwrap().contains('\u{202e}')
        );
        assert_eq!(m["headers"]["references"], mails[0]["headers"]["references"]);
    }
    let mut ids: Vec<&str> = mails.iter().map(|m| m["headers"]["message-id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert!(
        mails[0]["headers"]["subject"].as_str().unwrap().starts_with("P1 Critical #1: SQL injection"),
        "{}",
        mails[0]["headers"]["subject"]
    );
    // The digest of the day: empty, and still a proof of life; once, however often the console starts.
    let digests = |server: &MailServer| {
        server.mails().into_iter().filter(|m| m["body"].as_str().unwrap().contains("Nothing of P4 happened")).count()
    };
    until("the digest", || async { (digests(&server) == 1).then_some(()) }).await;
    console.stop().await;
    let console = home.start().await;
    console.until_feed("shop", "live again", |f| f.state == "live").await;
    let receipts = console.ask(Request::Notifications { id: "1".into() }).await.unwrap();
    assert!(
        receipts
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["provider_id"].as_str().is_some_and(|id| id.contains("taken as 4711"))),
        "{receipts}"
    );
    assert_eq!(digests(&server), 1);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_over_tls_or_not_at_all() {
    let Some(server) = MailServer::start().await else { return };
    let stranger = tempfile::tempdir().unwrap();
    let trusted = server.channel("starttls", "starttls", "");
    // The same server, and nobody vouches for its certificate.
    let untrusted: String = trusted
        .replace("[channel.starttls]", "[channel.stranger]")
        .lines()
        .filter(|l| !l.starts_with("ca ="))
        .map(|l| format!("{l}\n"))
        .collect();
    let home = TestConsole::at(
        stranger.path(),
        &format!("{PEOPLE}{trusted}{untrusted}{}", server.channel("plain", "starttls", "")),
    );
    let console = home.start().await;
    let test = |name: &'static str| console.ask(Request::ChannelsTest { name: name.into() });
    let receipt = test("starttls").await.unwrap();
    assert_eq!(receipt[0]["state"], "delivered", "{receipt}");
    for (name, why) in [("plain", "STARTTLS"), ("stranger", "certificate")] {
        let receipt = test(name).await.unwrap();
        assert_eq!(receipt[0]["state"], "failed", "{receipt}");
        assert!(receipt[0]["error"].as_str().unwrap().to_lowercase().contains(&why.to_lowercase()), "{receipt}");
    }
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!((&mails[0]["mail"], &mails[0]["encrypted"]), (&"starttls".into(), &true.into()));
    console.stop().await;
}
