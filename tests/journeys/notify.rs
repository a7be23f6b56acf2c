//! From an event to a message at each provider: told once, told how it goes on, told another way when one fails, and
//! answered from outside.

use std::time::Duration;

use serde_json::Value;
use wf_api::views::{IncidentView, ReceiptView};
use wf_api::{Action, Request};
use wf_model::channel::Traits;
use wf_platform::Keychain as _;
use wf_testkit::providers::{ACCOUNT, TOKEN};
use wf_testkit::{Fault, Providers, RunningConsole, ScriptServer, TestConsole, until};

/// A feed with rules that open P1 to P3, people, a rota, and every channel at the provider's stand-in.
fn config(feed: &ScriptServer, p: &Providers, more: &str) -> String {
    let (url, base) = (feed.url(), p.url());
    format!(
        r#"
[feed.shop]
url = "{url}"
map = ["auth-event", "security-event"]

[person.ann]
name = "Ann"
roles = ["duty"]
phone = "+15005550001"
telegram = "4711"
slack = "UANN"
[person.ben]
name = "Ben"
roles = ["officer"]
phone = "+15005550002"
[schedule.soc]
time_zone = "Europe/Berlin"
layer = [{{ people = ["ann"], rotation = "weekly", start = "2020-01-06T08:00" }}]

[channel.slack]
kind = "slack"
webhook = "keychain:slack"
app_token = "keychain:slack-app"
api = "{base}"
[channel.discord]
kind = "discord"
webhook = "keychain:discord"
[channel.telegram]
kind = "telegram"
token = "keychain:telegram"
chat = "-1001"
replies = true
url = "{base}"
[channel.pagerduty]
kind = "pagerduty"
routing_key = "keychain:pagerduty"
url = "{base}"
[channel.sms]
kind = "sms"
account = "{ACCOUNT}"
token = "keychain:twilio"
from = "+15005550006"
replies = true
url = "{base}"
[channel.voice]
kind = "voice"
account = "{ACCOUNT}"
token = "keychain:twilio"
from = "+15005550006"
url = "{base}"
[channel.hook]
kind = "webhook"
url = "{base}/hook"
signing_key = "keychain:signing"
allow = ["127.0.0.1"]
{more}
"#
    )
}

fn secrets(home: &TestConsole, p: &Providers) {
    for (name, value) in [
        ("slack", format!("{}/services/T0/B0/secret", p.url())),
        ("slack-app", "xapp-token".into()),
        ("discord", format!("{}/api/webhooks/1/secret", p.url())),
        ("telegram", TOKEN.into()),
        ("pagerduty", "R0000000000000000000000000000000".into()),
        ("twilio", "twilio-token".into()),
        ("signing", "signing-key".into()),
    ] {
        home.keychain.set(name, &value.into()).unwrap();
    }
}

async fn started(more: &str) -> (ScriptServer, Providers, TestConsole, RunningConsole) {
    let (feed, p) = (ScriptServer::of(&[]).await, Providers::start().await);
    let home = TestConsole::new(&config(&feed, &p, more));
    secrets(&home, &p);
    let console = home.start().await;
    console.until_feed("shop", "live", |f| f.state == "live").await;
    // Slack's socket is asked for over the same address: faults are for what comes after.
    until("Slack's socket", || async { (p.slack_sockets() == 1).then_some(()) }).await;
    (feed, p, home, console)
}

/// An SQL injection: P1 in the rules that ship.
fn p1(feed: &ScriptServer, ip: &str) {
    feed.push(&format!(r#"{{"type":"SQL Injection","ip":"{ip}","url":"/login","field":"q"}}"#));
}

/// Each channel of the config with what its kind can do, by name.
fn channels(console: &RunningConsole) -> Vec<(String, Traits)> {
    console.console.context.config().channel.iter().map(|(name, c)| (name.clone(), c.traits())).collect()
}

async fn opened(console: &RunningConsole, user: &str) -> IncidentView {
    console.until_incident(user, |i| i.entity.as_deref() == Some(user)).await
}

async fn receipts(console: &RunningConsole, id: &str) -> Vec<ReceiptView> {
    console.console.desk.incidents.receipts(id).await.unwrap()
}

async fn until_receipts(
    console: &RunningConsole,
    id: &str,
    what: &str,
    holds: impl Fn(&[ReceiptView]) -> bool,
) -> Vec<ReceiptView> {
    let holds = &holds;
    until(what, || async move { Some(receipts(console, id).await).filter(|r| holds(r)) }).await
}

fn with_state<'a>(all: &'a [ReceiptView], state: &str) -> Vec<&'a str> {
    all.iter().filter(|r| r.state == state).map(|r| r.channel.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_p1_goes_over_every_channel_at_once_each_as_its_provider_wants_it_and_they_hear_how_it_goes_on() {
    let (feed, p, _home, console) = started("").await;
    let all_channels = channels(&console);
    let (follow, wake): (Vec<&(String, Traits)>, Vec<_>) = all_channels.iter().partition(|(_, t)| t.follows);
    p1(&feed, "t.meyer");
    let incident = opened(&console, "t.meyer").await;
    let all = until_receipts(&console, &incident.id, "all delivered", |r| {
        r.iter().filter(|r| r.state == "delivered").count() == channels(&console).len()
    })
    .await;
    assert!(
        all.iter().all(|r| r.purpose == "trigger" && r.step == Some(1) && r.attempts == 1 && !r.possible_duplicate),
        "{all:?}"
    );
    assert!(incident.next.as_ref().unwrap().text.contains("Ben by"), "{:?}", incident.next);
    console.act("1", Action::Acknowledge { note: None, minutes: None }).await.unwrap();
    let all = until_receipts(&console, &incident.id, "rooms hear of it, and what only wakes is left alone", |r| {
        r.iter()
            .filter(|r| r.purpose == "acknowledged" && ["delivered", "cancelled"].contains(&r.state.as_str()))
            .count()
            == all_channels.len()
    })
    .await;
    assert_eq!(
        all.iter()
            .filter(|r| r.purpose == "acknowledged" && r.state == "cancelled")
            .map(|r| r.channel.as_str())
            .collect::<Vec<_>>(),
        wake.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        "a call only wakes"
    );
    console.act("1", Action::Resolve { verdict: "true_positive".into(), note: None }).await.unwrap();
    until_receipts(&console, &incident.id, "they hear of the end", |r| {
        r.iter().filter(|r| r.purpose == "resolved" && r.state == "delivered").count() == follow.len()
    })
    .await;

    let events: Vec<Value> = p.taken("/v2/enqueue").iter().map(|a| a.json()).collect();
    assert_eq!(
        events.iter().map(|e| e["event_action"].as_str().unwrap()).collect::<Vec<_>>(),
        ["trigger", "acknowledge", "resolve"]
    );
    assert!(events.iter().all(|e| e["dedup_key"] == incident.id.as_str()));
    let hook = &p.taken("/hook")[0];
    assert_eq!(
        (hook.json()["type"].as_str(), hook.json()["severity"].as_str()),
        (Some("SQL_INJECTION_ATTEMPT"), Some("P1"))
    );
    // Whoever holds the key can check the signature with standard tools.
    let (t, v) = hook.header("x-watchfloor-signature").unwrap().split_once(',').unwrap();
    let checked = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", "signing-key", "-r"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .and_then(|mut c| {
            use std::io::Write as _;
            c.stdin.take().unwrap().write_all(format!("{}.{}", &t[2..], hook.body).as_bytes())?;
            c.wait_with_output()
        });
    assert!(String::from_utf8_lossy(&checked.unwrap().stdout).starts_with(&v[3..]));
    assert!(p.taken("/2010-04-01/Accounts").iter().any(|a| a.form("Body").is_some_and(|b| b.contains("Reply "))));
    assert!(p.asked().iter().all(|a| a.status < 300), "no provider refused anything");
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_channel_but_mail_is_in_the_config_of_these_journeys() {
    let (_feed, _p, _home, console) = started("").await;
    // Mail has a server, and journeys, of its own.
    let mut expected: Vec<&str> = wf_channels::traits::ALL.iter().map(|t| t.kind).filter(|k| *k != "email").collect();
    let mut configured: Vec<&str> = channels(&console).iter().map(|(_, t)| t.kind).collect();
    expected.sort_unstable();
    configured.sort_unstable();
    assert_eq!(configured, expected);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_event_text_is_refused_by_no_provider_and_inert_at_each() {
    let (feed, p, _home, console) = started("").await;
    let text =
        "<!channel> @everyone [x](https://evil.example) <script> \u{202e}gnp \r\nBcc: a@b {title} \u{1f525}".repeat(40);
    feed.push(&serde_json::json!({ "type": "SQL Injection", "ip": text, "url": text, "field": "q" }).to_string());
    let incident = console.until_incident("hostile", |i| i.kind == "SQL_INJECTION_ATTEMPT").await;
    until_receipts(&console, &incident.id, "all delivered", |r| {
        r.iter().filter(|r| r.state == "delivered").count() == channels(&console).len()
    })
    .await;
    for asked in p.asked().iter().filter(|a| a.method == "POST" && !a.path.starts_with("/hook")) {
        assert!(asked.status < 300, "{asked:?}");
        assert!(!asked.body.contains("https://evil") && !asked.body.contains('\u{202e}'), "{}", asked.path);
    }
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_a_broken_server_and_a_lost_answer_lose_nothing_and_doubt_is_marked() {
    let (feed, p, _home, console) = started("[severity.P1]\nchannels = [\"slack\"]").await;
    p.fault(Fault::Answer(429, "slow down", Some("1")), 1);
    p.fault(Fault::Answer(500, "oops", None), 1);
    p.fault(Fault::Refuse, 1);
    p1(&feed, "a");
    let incident = opened(&console, "a").await;
    let all =
        until_receipts(&console, &incident.id, "delivered in the end", |r| r.iter().any(|r| r.state == "delivered"))
            .await;
    assert_eq!((all.len(), all[0].attempts, all[0].possible_duplicate), (1, 4, true), "{all:?}");
    assert_eq!(p.taken("/services").len(), 1);
    // Taken, and the answer lost: it comes again, and says that it may be a repeat.
    p.fault(Fault::LostAnswer, 1);
    p1(&feed, "b");
    let incident = opened(&console, "b").await;
    let all =
        until_receipts(&console, &incident.id, "delivered again", |r| r.iter().any(|r| r.state == "delivered")).await;
    assert!(all[0].possible_duplicate && all[0].attempts == 2);
    assert!(p.taken("/services").last().unwrap().body.contains("Possible duplicate"));
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_wait_for_a_room_that_asked_to_be_spared_become_one_and_a_p1_is_first() {
    let (feed, p, _home, console) =
        started("[severity.P1]\nchannels = [\"slack\"]\n[severity.P2]\nchannels = [\"slack\"]").await;
    p.fault(Fault::Answer(429, "slow down", Some("2")), 1);
    p1(&feed, "first");
    opened(&console, "first").await;
    until("the limit was met", || async { (!p.asked().is_empty()).then_some(()) }).await;
    for n in 0..6 {
        p1(&feed, &format!("user{n}"));
    }
    let incident = opened(&console, "user5").await;
    until_receipts(&console, &incident.id, "said together", |r| r.iter().any(|r| r.state == "coalesced")).await;
    let together = until("one message", || async {
        p.taken("/services").into_iter().find(|a| a.body.contains("incidents need you"))
    })
    .await;
    for n in 0..6 {
        assert!(together.body.contains(&format!("user{n}")), "{}", together.body);
    }
    // They hear how it goes on.
    console.act(&incident.id, Action::Resolve { verdict: "benign".into(), note: None }).await.unwrap();
    until_receipts(&console, &incident.id, "the end is told", |r| {
        r.iter().any(|r| r.purpose == "resolved" && r.state == "delivered")
    })
    .await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_channel_is_an_alarm_and_the_person_is_told_another_way_within_seconds() {
    let (feed, p, _home, console) = started("[severity.P1]\nchannels = [\"sms\"]").await;
    p.fate("undelivered");
    p1(&feed, "t.meyer");
    let incident = opened(&console, "t.meyer").await;
    let all = until_receipts(&console, &incident.id, "told by voice", |r| r.iter().any(|r| r.channel == "voice")).await;
    assert_eq!(with_state(&all, "failed"), ["sms"]);
    until("the call was taken", || async { p.asked().iter().any(|a| a.path.ends_with("/Calls.json")).then_some(()) })
        .await;
    p.fault(Fault::Answer(404, "no_service", None), 1);
    p.fate("delivered");
    drop(console.ask(Request::ChannelsTest { name: "slack".into() }).await.unwrap());
    let broken = console.console.desk.channels.all().await.unwrap().into_iter().find(|c| c.name == "slack").unwrap();
    assert!(broken.broken.as_ref().unwrap().contains("no_service"), "{broken:?}");
    assert!(
        console
            .console
            .desk
            .overview
            .health()
            .await
            .unwrap()
            .problems
            .iter()
            .any(|p| p.contains("channel slack does not work"))
    );
    // A test that goes through mends it.
    let again = console.ask(Request::ChannelsTest { name: "slack".into() }).await.unwrap();
    assert_eq!(again[0]["state"], "delivered");
    assert!(console.console.desk.overview.health().await.unwrap().problems.is_empty());
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_from_telegram_slack_or_sms_acknowledges_as_the_person_once_and_nobody_elses_does() {
    let (feed, p, _home, console) = started("").await;
    let code_of = |path: &str, n: usize| {
        let asked = p
            .taken(path)
            .into_iter()
            .filter(|a| a.path.ends_with(if path.contains("bot") { "sendMessage" } else { "" }))
            .nth(n)
            .unwrap();
        let json = asked.json();
        match path {
            "/bot" => json["reply_markup"]["inline_keyboard"][0][0]["callback_data"].as_str().unwrap()[4..].to_owned(),
            _ => json["blocks"].as_array().unwrap().iter().find(|b| b["type"] == "actions").unwrap()["elements"][0]["value"].as_str().unwrap().to_owned(),
        }
    };
    // Telegram.
    p1(&feed, "one");
    let incident = opened(&console, "one").await;
    until_receipts(&console, &incident.id, "sent", |r| {
        r.iter().filter(|r| r.state == "delivered").count() == channels(&console).len()
    })
    .await;
    p.telegram_press(999, &code_of("/bot", 0));
    p.telegram_press(4711, "WRONG2");
    p.telegram_press(4711, &code_of("/bot", 0));
    let acked = console.until_incident("acknowledged", |i| i.id == incident.id && i.state == "acknowledged").await;
    assert_eq!(acked.acknowledged_by.as_deref(), Some("Ann"));
    let detail = console.console.desk.incidents.one(&incident.id).await.unwrap();
    assert!(
        detail
            .timeline
            .iter()
            .any(|t| t.operator.as_deref() == Some("Ann") && t.channel.as_deref() == Some("telegram")),
        "{:?}",
        detail.timeline
    );
    // Slack.
    p1(&feed, "two");
    let incident = opened(&console, "two").await;
    until_receipts(&console, &incident.id, "sent", |r| {
        r.iter().any(|r| r.channel == "slack" && r.state == "delivered")
    })
    .await;
    let code = code_of("/services", p.taken("/services").len() - 1);
    p.slack_press("USTRANGER", &code);
    p.slack_press("UANN", &code);
    console.until_incident("acknowledged", |i| i.id == incident.id && i.state == "acknowledged").await;
    // A code counts once: after a reopening it is spent.
    console.act(&incident.id, Action::Resolve { verdict: "benign".into(), note: None }).await.unwrap();
    console.act(&incident.id, Action::Reopen { note: None }).await.unwrap();
    p.slack_press("UANN", &code);
    // SMS, from the right telephone only.
    p1(&feed, "three");
    let third = opened(&console, "three").await;
    until_receipts(&console, &third.id, "sent", |r| r.iter().any(|r| r.channel == "sms" && r.state == "delivered"))
        .await;
    let sms = p.taken("/2010-04-01").into_iter().filter_map(|a| a.form("Body")).find(|b| b.contains("three")).unwrap();
    let code = sms.split("Reply ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    p.sms_reply("+15005559999", &code);
    p.sms_reply("+15005550001", &format!("{} thanks", code.to_lowercase()));
    console.until_incident("acknowledged", |i| i.id == third.id && i.state == "acknowledged").await;
    let reopened = console.console.desk.incidents.one(&incident.id).await.unwrap().incident;
    assert_eq!(reopened.state, "open", "the old code did nothing");
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_before_the_message_is_sent_cancels_it_and_nobody_is_told_of_what_they_never_heard() {
    let (feed, p, _home, console) = started("[severity.P1]\nchannels = [\"slack\"]").await;
    // The room asks for patience; what waits there is withdrawn by the acknowledgement.
    p.fault(Fault::Answer(429, "slow down", Some("3")), 1);
    p1(&feed, "a");
    opened(&console, "a").await;
    until("the limit was met", || async { (!p.asked().is_empty()).then_some(()) }).await;
    p1(&feed, "b");
    let incident = opened(&console, "b").await;
    console.act(&incident.id, Action::Acknowledge { note: None, minutes: None }).await.unwrap();
    let all = receipts(&console, &incident.id).await;
    assert_eq!((all.len(), all[0].state.as_str(), all[0].attempts), (1, "cancelled", 0), "{all:?}");
    until("the other is told", || async { (p.taken("/services").len() == 1).then_some(()) }).await;
    assert!(!p.taken("/services")[0].body.contains("\"b\""));
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_man_is_told_only_while_all_is_well() {
    let (feed, p) = (ScriptServer::of(&[]).await, Providers::start().await);
    let home = TestConsole::new(&format!(
        "{}\n[dead_man]\nurl = \"keychain:heartbeat\"\nevery = \"1s\"\nallow = [\"127.0.0.1\"]\n",
        config(&feed, &p, "")
    ));
    secrets(&home, &p);
    home.keychain.set("heartbeat", &format!("{}/alive", p.url()).into()).unwrap();
    let console = home.start().await;
    let beats = || p.asked().iter().filter(|a| a.path == "/alive" && a.status == 200).count();
    until("a heartbeat", || async { (beats() > 0).then_some(()) }).await;
    // Nothing can be stored: then nobody outside is told that all is well.
    console.pretend_blocked(Some("the disk is full"));
    until("silence", || async {
        let before = beats();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        (beats() == before).then_some(())
    })
    .await;
    let before = beats();
    console.pretend_blocked(None);
    until("it beats again", || async { (beats() > before).then_some(()) }).await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_channel_is_on_the_disk_or_in_an_answer() {
    let (feed, p, home, console) = started("").await;
    p.fault(Fault::Answer(404, "no", None), 3);
    p1(&feed, "t.meyer");
    let incident = opened(&console, "t.meyer").await;
    until_receipts(&console, &incident.id, "all have an outcome", |r| {
        r.iter().all(|r| ["delivered", "failed"].contains(&r.state.as_str()))
    })
    .await;
    let shown = format!(
        "{:?} {:?} {:?}",
        console.console.desk.channels.all().await.unwrap(),
        console.console.desk.overview.health().await.unwrap(),
        console.console.desk.incidents.one(&incident.id).await.unwrap()
    );
    let kept = format!("{}", console.ask(Request::AuditExport).await.unwrap());
    console.stop().await;
    let secrets = [
        "/services/T0/B0/secret",
        "/api/webhooks/1/secret",
        "telegram-token",
        "twilio-token",
        "R0000000000000000000000000000000",
        "signing-key\"",
        "xapp-token",
    ];
    for secret in secrets {
        assert!(!shown.contains(secret) && !kept.contains(secret), "t8: {secret}");
    }
    crate::disk::nowhere(&home.dir(), &crate::disk::key_of(&home), &secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_while_nothing_ran_is_sent_once_and_late() {
    let (feed, p, home, console) = started("[severity.P1]\npolicy = \"quick\"\nchannels = [\"slack\"]\n[policy.quick]\nstep = [{ notify = [\"person:ann\"], wait = \"2s\" }, { notify = [\"person:ben\"], wait = \"1h\" }]").await;
    p1(&feed, "t.meyer");
    let incident = opened(&console, "t.meyer").await;
    until_receipts(&console, &incident.id, "the first step", |r| with_state(r, "delivered").len() == 1).await;
    console.stop().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let console = home.start().await;
    let all =
        until_receipts(&console, &incident.id, "the second step", |r| with_state(r, "delivered").len() == 2).await;
    assert_eq!(all.iter().map(|r| (r.step, r.attempts)).collect::<Vec<_>>(), [(Some(1), 1), (Some(2), 1)]);
    assert_eq!(p.taken("/services").len(), 2);
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_action_is_done_on_a_click_taken_back_by_hand_or_by_itself_and_never_to_ourselves() {
    let (feed, p) = (ScriptServer::of(&[]).await, Providers::start().await);
    // The steps of the rule's own checklist: one asks the firewall, one CrowdSec, one runs by itself.
    let actions = format!(
        r#"
[action.block_user]
title = "Block at the firewall"
about = "source.ip"
url = "{0}/blocks/{{entity}}"
body = '{{"reason": "incident {{number}}"}}'
undo_url = "{0}/blocks/{{entity}}"
lasts = "2s"
secret = "keychain:firewall"
allow = ["127.0.0.1"]
[action.review_queries]
title = "Ban with CrowdSec"
does = "crowdsec"
about = "source.ip"
url = "{0}"
machine = "watchfloor"
secret = "keychain:crowdsec"
lasts = "4h"
allow = ["127.0.0.1"]
[action.check_compromise]
title = "Tell the proxy"
about = "source.ip"
url = "{0}/blocks/{{entity}}"
body = '{{"reason": "proxy"}}'
secret = "keychain:firewall"
allow = ["127.0.0.1"]
without_asking = true
"#,
        p.url()
    );
    let home =
        TestConsole::new(&format!("[feed.shop]\nurl = \"{}\"\nmap = [\"security-event\"]\n{actions}", feed.url()));
    home.keychain.set("firewall", &"firewall-token".to_owned().into()).unwrap();
    home.keychain.set("crowdsec", &"crowdsec-password".to_owned().into()).unwrap();
    let console = home.start().await;
    console.until_feed("shop", "live", |f| f.state == "live").await;
    p1(&feed, "203.0.113.9");
    let incident = opened(&console, "203.0.113.9").await;
    let blocks = |method: &str| {
        p.asked().iter().filter(|a| a.path == "/blocks/203.0.113.9" && a.method == method && a.status < 300).count()
    };
    until("done without asking", || async { (blocks("POST") == 1).then_some(()) }).await;
    let step = |name: &str| incident.checklist.iter().position(|c| c.text == name).unwrap() as u32;
    console.act("1", Action::CarryOut { index: step("block_user") }).await.unwrap();
    until("done", || async { (blocks("POST") == 2).then_some(()) }).await;
    until("taken back by itself", || async { (blocks("DELETE") == 1).then_some(()) }).await;
    // CrowdSec: the decision has its own end; taking it back deletes it.
    console.act("1", Action::CarryOut { index: step("review_queries") }).await.unwrap();
    until("the ban", || async { p.asked().iter().any(|a| a.path == "/v1/alerts" && a.status == 201).then_some(()) })
        .await;
    console.act("1", Action::TakeBack { index: step("review_queries") }).await.unwrap();
    until("the ban is gone", || async {
        p.asked()
            .iter()
            .any(|a| {
                a.path == "/v1/decisions"
                    && a.query.starts_with("ip=203.0.113.9&scenario=watchfloor")
                    && a.status == 200
            })
            .then_some(())
    })
    .await;
    let no_undo = console.act("1", Action::TakeBack { index: step("check_compromise") }).await.unwrap_err();
    assert!(no_undo.message.contains("cannot be taken back"), "{no_undo:?}");
    let said = until("the timeline says so", || async {
        let t = console.console.desk.incidents.one("1").await.unwrap().timeline;
        let all: String = t.iter().map(|e| format!("{}\n", e.text)).collect();
        all.contains("Ban with CrowdSec was taken back").then_some(all)
    })
    .await;
    for line in [
        "Block at the firewall: 203.0.113.9, for 2 s",
        "Block at the firewall was done",
        "Block at the firewall was taken back",
        "Ban with CrowdSec was done: 203.0.113.9 (alert 7)",
        "Tell the proxy was done",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // An attacker who writes events cannot have us block ourselves, or reach another path.
    for evil in ["127.0.0.1", "10.0.0.1", "../../admin"] {
        p1(&feed, evil);
        let i = opened(&console, evil).await;
        let all = until("refused", || async {
            let d = console.console.desk.incidents.one(&i.id).await.unwrap();
            d.timeline.iter().any(|t| t.text.contains("Tell the proxy could not be done")).then_some(d)
        })
        .await;
        assert!(all.incident.checklist.iter().all(|c| c.done_by.is_none()));
    }
    assert!(p.asked().iter().all(|a| !a.path.contains("admin") && !a.path.contains("127.0.0.1")));
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_while_the_message_is_under_way_is_not_followed_by_another_try() {
    let (feed, p, _home, console) = started("[severity.P1]\nchannels = [\"slack\"]").await;
    p.fault(Fault::Slow(Duration::from_secs(2)), 1);
    p1(&feed, "a");
    let incident = opened(&console, "a").await;
    until_receipts(&console, &incident.id, "under way", |r| r.iter().any(|r| r.state == "attempting")).await;
    console.act(&incident.id, Action::Acknowledge { note: None, minutes: None }).await.unwrap();
    let all = until_receipts(&console, &incident.id, "given up", |r| {
        r.iter().any(|r| r.purpose == "trigger" && r.state == "cancelled")
    })
    .await;
    let trigger = all.iter().find(|r| r.purpose == "trigger").unwrap();
    assert_eq!((trigger.attempts, trigger.possible_duplicate), (1, true), "{all:?}");
    // It may have arrived, so its room hears that somebody is on it.
    until_receipts(&console, &incident.id, "told", |r| {
        r.iter().any(|r| r.purpose == "acknowledged" && r.state == "delivered")
    })
    .await;
    assert_eq!(p.taken("/services").len(), 1);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_together_and_refused_is_told_another_way_for_each() {
    let (feed, p, _home, console) = started("[severity.P1]\nchannels = [\"sms\"]").await;
    p.fault(Fault::Answer(429, "slow down", Some("2")), 1);
    p1(&feed, "first");
    opened(&console, "first").await;
    until("the limit was met", || async { (!p.asked().is_empty()).then_some(()) }).await;
    p.fault(Fault::Answer(400, "{\"code\": 21610, \"message\": \"unsubscribed\"}", None), 1);
    for n in 0..3 {
        p1(&feed, &format!("user{n}"));
    }
    for n in 0..3 {
        let incident = opened(&console, &format!("user{n}")).await;
        let all = until_receipts(&console, &incident.id, "told by a call", |r| {
            r.iter().any(|r| r.channel == "voice" && r.state == "delivered")
        })
        .await;
        assert_eq!(with_state(&all, "failed"), ["sms"], "{all:?}");
    }
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_room_is_dead_or_cannot_be_reached_for_half_a_minute_the_people_it_was_for_are_told_by_themselves() {
    let (feed, p) = (ScriptServer::of(&[]).await, Providers::start().await);
    // The room's address lies in a secret that is nowhere.
    let text =
        config(&feed, &p, "[severity.P1]\nchannels = [\"slack\"]").replace("keychain:slack\"", "keychain:nowhere\"");
    let home = TestConsole::new(&text);
    secrets(&home, &p);
    let console = home.start().await;
    console.until_feed("shop", "live", |f| f.state == "live").await;
    p1(&feed, "a");
    let incident = opened(&console, "a").await;
    let all = until_receipts(&console, &incident.id, "Ann is told by SMS", |r| {
        r.iter().any(|r| r.channel == "sms" && r.state == "delivered")
    })
    .await;
    assert_eq!(
        (all.len(), all.iter().find(|r| r.channel == "sms").unwrap().person.as_deref()),
        (2, Some("Ann")),
        "once: {all:?}"
    );
    // The secret is there now: the room hears of it, too.
    home.keychain.set("nowhere", &format!("{}/services/T0/B0/secret", p.url()).into()).unwrap();
    until_receipts(&console, &incident.id, "the room is told", |r| {
        r.iter().any(|r| r.channel == "slack" && r.state == "delivered")
    })
    .await;
    // And a room that is gone: at once.
    until("Slack's socket", || async { (p.slack_sockets() == 1).then_some(()) }).await;
    p.fault(Fault::Answer(404, "channel_not_found", None), 1);
    p1(&feed, "b");
    let incident = opened(&console, "b").await;
    let all = until_receipts(&console, &incident.id, "Ann is told", |r| {
        r.iter().any(|r| r.channel == "sms" && r.state == "delivered")
    })
    .await;
    assert_eq!(with_state(&all, "failed"), ["slack"]);
    console.stop().await;
}
