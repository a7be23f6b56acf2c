//! Event text is hostile. It is stored as it came, shown inert, and never makes anything else happen.

use tokio_tungstenite::tungstenite::Message;
use wf_testkit::{ScriptServer, TestConsole};

#[tokio::test(flavor = "multi_thread")]
async fn t11_bombs_of_every_kind_end_in_quarantine_and_the_next_event_is_stored() {
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let wide = format!("{{{}}}", (0..50_000).map(|i| format!("\"k{i}\":1")).collect::<Vec<_>>().join(","));
    let big_number = format!("{{\"event\":\"x\",\"timestamp\":{}}}", "9".repeat(400));
    let script = vec![
        Message::text(deep),
        Message::text(wide),
        Message::text(big_number),
        Message::binary(vec![0u8, 159, 146, 150]),
        Message::text("{\"event\":".repeat(1000)),
        Message::text(r#"{"event":{"event":{"event":1}}}"#),
        Message::text("\u{0}\u{1}\u{2}"),
        Message::text(format!("{{\"event\":\"login_failed\",\"ip\":\"{}\"}}", "x".repeat(1_000_000))),
        Message::text(r#"{"event":"login_success","ip":"10.0.0.1"}"#),
    ];
    let server = ScriptServer::start(script).await;
    let home = TestConsole::new(&format!("[feed.own]\nurl = \"{}\"\nmap = \"auth-event\"\n", server.url()));
    let console = home.start().await;
    let feed = console
        .until_feed("own", "everything came and has a fate", |f| f.counts.received >= 9 && f.counts.in_flight == 0)
        .await;
    assert!(feed.counts.stored >= 2 && feed.counts.quarantined >= 5, "{:?}", feed.counts);
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t14_an_id_sent_first_by_an_attacker_does_not_suppress_the_real_event() {
    let server = ScriptServer::of(&[
        r#"{"id":"42","event":"login_success","ip":"198.51.100.1","timestamp":1760000000}"#,
        r#"{"id":"42","event":"account_locked","username":"ceo","ip":"203.0.113.9","timestamp":1760000001}"#,
    ])
    .await;
    let home = TestConsole::new(&format!(
        "[feed.own]\nurl = \"{}\"\nmap = \"auth-event\"\ndedup = {{ id = \"/id\" }}\n",
        server.url()
    ));
    let console = home.start().await;
    console.until_stored(2).await;
    console.until_incident("the real one", |i| i.kind == "ACCOUNT_LOCKOUT").await;
    let page =
        console.console.desk.search.search("account_locked", None, None, 10, &false.into(), |_| {}).await.unwrap();
    assert!(page.events[0].conflict);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_to_a_server_that_speaks_no_tls_nothing_is_said() {
    let server = ScriptServer::of(&[]).await;
    let home = TestConsole::new(&format!(
        "[feed.own]\nurl = \"wss://{}/\"\nmap = \"ecs\"\nbackoff = {{ base = \"1s\", cap = \"1s\" }}\n",
        server.address
    ));
    let console = home.start().await;
    let feed =
        console.until_feed("own", "waiting with a reason", |f| f.state == "waiting" && !f.detail.is_empty()).await;
    assert!(server.requests().is_empty(), "nothing was said in plain text: {}", feed.detail);
    console.stop().await;
}
