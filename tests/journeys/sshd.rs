//! Log lines of a real sshd become the right incidents.

use wf_testkit::{ScriptServer, TestConsole, until};
use wf_tests::sshd::Sshd;

#[tokio::test(flavor = "multi_thread")]
async fn real_failing_logins_at_a_real_sshd_become_the_right_incidents() {
    let feed = std::sync::Arc::new(ScriptServer::of(&[]).await);
    let home = TestConsole::new(&format!("[feed.sshd-edge]\nurl = \"{}\"\nmap = \"sshd\"\n", feed.url()));
    let console = home.start().await;
    console.until_feed("sshd-edge", "live", |f| f.state == "live").await;
    if let Some(server) = Sshd::start(feed) {
        server.attack().await;
        console.until_incident("127.0.0.2", |i| i.entity.as_deref() == Some("127.0.0.2") && i.count == 7).await;
        console.until_incident("127.0.0.3", |i| i.entity.as_deref() == Some("127.0.0.3") && i.count == 5).await;
        let all = until("all failures are stored", || async {
            let page = console
                .console
                .desk
                .search
                .search("event.action=login_failed", None, None, 100, &false.into(), |_| {})
                .await
                .ok()?;
            (page.events.len() == 16).then_some(page.events)
        })
        .await;
        assert_eq!(all.iter().filter(|e| e.source == "127.0.0.4").count(), 4);
        let mut incidents = console.incidents().await;
        // All of it goes for one account, which is an incident of its own.
        incidents.retain(|i| i.kind != "SUSPICIOUS_AUTHENTICATION");
        assert_eq!(incidents.len(), 2, "four failures are not an attack: {incidents:?}");
        assert!(incidents.iter().all(|i| i.kind == "BRUTE_FORCE_ATTACK"));
        console.assert_sound().await;
    }
    console.stop().await;
}
