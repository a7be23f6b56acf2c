//! What an officer does, and that every step can be proved.

use wf_api::{Action, ErrorCode};
use wf_testkit::{ScriptServer, TestConsole, until};

fn failure(n: u32) -> String {
    format!(r#"{{"id":"{n}","event":"login_failed","email":"s{n}.lindqvist@shop.example","ip":"203.0.113.45"}}"#)
}

async fn attacked(n: u32) -> (TestConsole, wf_testkit::RunningConsole, ScriptServer) {
    let frames: Vec<String> = (0..n).map(failure).collect();
    let server = ScriptServer::of(&frames.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let home = TestConsole::new(&format!(
        "[feed.shop]\nurl = \"{}\"\nmap = \"auth-event\"\ndedup = {{ id = \"/id\" }}\n",
        server.url()
    ));
    let console = home.start().await;
    console.until_stored(u64::from(n)).await;
    (home, console, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brute_force_attack_is_one_incident_seen_through_to_its_verdict_over_restarts() {
    let (home, console, server) = attacked(7).await;
    let incident = console.until_incident("brute force", |i| i.kind == "BRUTE_FORCE_ATTACK" && i.count == 7).await;
    assert_eq!(incident.title, "7 failed logins from 203.0.113.45");
    for n in 7..12 {
        server.push(&failure(n));
    }
    let attack = |i: &wf_api::views::IncidentView| i.kind == "BRUTE_FORCE_ATTACK";
    let grown = console.until_incident("it grows to 12", |i| attack(i) && i.count == 12).await;
    let attacks = console.incidents().await.into_iter().filter(attack).count();
    assert_eq!((grown.id.as_str(), attacks), (incident.id.as_str(), 1));
    let told_of_it = || {
        let told = home.told.0.lock().unwrap().clone();
        told.into_iter().filter(|n| n.kind == "BRUTE_FORCE_ATTACK").collect::<Vec<_>>()
    };
    let reasons: Vec<_> = until("told of ten", || async { Some(told_of_it()).filter(|t| t.len() == 2) })
        .await
        .into_iter()
        .map(|n| n.reason)
        .collect();
    assert_eq!(
        reasons,
        [wf_console::NoticeReason::New, wf_console::NoticeReason::Grew],
        "told once, and once more on crossing ten"
    );

    console.act("1", Action::Acknowledge { note: Some("looking at it".into()), minutes: None }).await.unwrap();
    let refused = console.act("#1", Action::Acknowledge { note: None, minutes: None }).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Refused);
    console.stop().await;

    let console = home.start().await;
    let kept: Vec<_> = console.incidents().await.into_iter().filter(attack).collect();
    assert_eq!(
        (kept.len(), kept[0].state.as_str(), kept[0].acknowledged_by.as_deref(), kept[0].count),
        (1, "acknowledged", Some("Duty officer"), 12)
    );
    let invalid = console.act("1", Action::Resolve { verdict: "whatever".into(), note: None }).await.unwrap_err();
    assert_eq!(invalid.code, ErrorCode::Invalid);
    console
        .act("1", Action::Resolve { verdict: "true_positive".into(), note: Some("blocked at the firewall".into()) })
        .await
        .unwrap();
    console.act("1", Action::Reopen { note: None }).await.unwrap();
    console.act("1", Action::Resolve { verdict: "true_positive".into(), note: None }).await.unwrap();
    let detail = console.console.desk.incidents.one("1").await.unwrap();
    let kinds: Vec<_> = detail.timeline.iter().map(|t| t.kind.as_str()).collect();
    assert_eq!(kinds, ["opened", "grew", "acknowledged", "resolved", "reopened", "resolved"]);
    assert!(detail.evidence.len() >= 5);
    assert_eq!(detail.incident.verdict.as_deref(), Some("true_positive"));

    let export = console.console.compliance.audit.export().await.unwrap();
    let actions: Vec<String> = export
        .leaves
        .iter()
        .map(|l| serde_json::from_str::<serde_json::Value>(&l.header).unwrap()["action"].as_str().unwrap().to_owned())
        .collect();
    for step in [
        "engine.start",
        "incident.open",
        "incident.acknowledge",
        "engine.stop",
        "incident.resolve",
        "incident.reopen",
        "audit.export",
    ] {
        assert!(actions.iter().any(|a| a == step), "{step} is in the audit log: {actions:?}");
    }
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_events_are_found_by_word_field_and_text_and_by_their_incident() {
    let (_home, console, _server) = attacked(30).await;
    console.until_incident("brute force", |i| i.count == 30).await;
    for (query, expected) in [
        ("203.0.113.45", 30),
        ("event.action=login_failed", 30),
        ("\"lindqvist@shop\"", 30),
        ("feed:shop -203.0.113.45", 0),
        ("nobody", 0),
    ] {
        let page = console.console.desk.search.search(query, None, None, 100, &false.into(), |_| {}).await.unwrap();
        assert_eq!(page.events.len(), expected, "{query}");
    }
    let tagged = console
        .console
        .desk
        .search
        .search("watchfloor.incident=1", None, None, 100, &false.into(), |_| {})
        .await
        .unwrap();
    assert!(tagged.events.len() >= 5 && tagged.events.iter().all(|e| e.incident == Some(1)));
    let bad = console.console.desk.search.search("\"open", None, None, 100, &false.into(), |_| {}).await.unwrap_err();
    assert_eq!(bad.code, ErrorCode::Invalid);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_taken_up_while_it_runs_and_a_bad_one_is_said_and_spares_the_others() {
    let server = ScriptServer::of(&[]).await;
    let home = TestConsole::new(&format!(
        "[rules]\npaths = [\"rules\"]\n[feed.own]\nurl = \"{}\"\nmap = \"ecs\"\n",
        server.url()
    ));
    std::fs::create_dir(home.dir().join("rules")).unwrap();
    let console = home.start().await;
    console.until_feed("own", "live", |f| f.state == "live").await;
    let rule = "title: Coffee machine offline\nlogsource: {product: watchfloor}\ndetection:\n  a: {event.action: coffee_lost}\n  condition: a\nlevel: critical\nwatchfloor: {type: COFFEE, message: \"No coffee at {host.name}\"}\n";
    std::fs::write(home.dir().join("rules/bad.yml"), "title: torn\n  [").unwrap();
    std::fs::write(home.dir().join("rules/coffee.yml"), rule).unwrap();
    until("the bad rule is named", || async {
        console.console.desk.overview.health().await.ok()?.problems.iter().any(|p| p.contains("bad.yml")).then_some(())
    })
    .await;
    server.push(r#"{"event":{"action":"coffee_lost"},"host":{"name":"floor 3"}}"#);
    let incident = console.until_incident("coffee", |i| i.kind == "COFFEE").await;
    assert_eq!((incident.title.as_str(), incident.severity.as_str()), ("No coffee at floor 3", "P1"));
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_config_is_taken_up_while_it_runs_and_a_wrong_one_leaves_the_old_in_force() {
    let server = ScriptServer::of(&[r#"{"event":"login_success","ip":"10.0.0.1"}"#]).await;
    let home = TestConsole::new("# an officer's comment\n");
    let console = home.start().await;
    assert!(console.console.overview().await.unwrap().first_run);
    console.console.desk.feeds.add("shop", &server.url(), "auth-event, security-event").await.unwrap();
    console.until_stored(1).await;
    let text = std::fs::read_to_string(&home.paths.config).unwrap();
    assert!(text.contains("# an officer's comment") && text.contains("[feed.shop]"), "{text}");
    assert!(console.console.desk.feeds.add("bad", "http://example.com", "ecs").await.is_err());
    std::fs::write(&home.paths.config, format!("{text}\n[nonsense]\n")).unwrap();
    until("the mistake is named", || async {
        console.console.desk.overview.health().await.ok()?.problems.iter().any(|p| p.contains("nonsense")).then_some(())
    })
    .await;
    assert_eq!(console.feed("shop").await.state, "live");
    std::fs::write(&home.paths.config, "").unwrap();
    console.until_feed("shop", "removed", |f| f.state == "removed").await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_on_the_same_data_is_refused() {
    let home = TestConsole::new("");
    let console = home.start().await;
    assert!(matches!(home.try_start().await, Err(wf_console::StartError::AlreadyRunning(_))));
    console.stop().await;
    home.start().await.stop().await;
}
