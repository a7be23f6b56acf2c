use std::sync::atomic::{AtomicU32, Ordering};

use secrecy::SecretString;
use wf_model::{GapReason, Position, SecretError, SecretRef};

use super::*;
use crate::twin::{Act, NoSecrets, Running, Server, Setting, config, patiently, run};

const ACK: &str = r#"{"type":"ack","epoch":"e2","recovered":false}"#;
const RESUME: &str = r#"resume = { cursor = "/offset", epoch = "/epoch", recovered = "/recovered" }
decode = { ignore = [{ pointer = "/type", equals = "ack" }] }
"#;
const GREETING: &str =
    r#"on_connect = [{ send = "since {cursor}", expect = { pointer = "/type", equals = "ack" }, within = "20s" }]"#;

fn event(offset: &'static str) -> Act {
    Act::Text(match offset {
        "1" => r#"{"event":"login_failed","ip":"10.0.0.1","offset":1}"#,
        "6" => r#"{"event":"login_failed","ip":"10.0.0.1","offset":6}"#,
        _ => r#"{"event":"login_failed","ip":"10.0.0.1","offset":7}"#,
    })
}

fn at(epoch: &str, cursor: &str) -> Seed {
    Seed {
        position: Position { epoch: Some(epoch.into()), cursor: Some(cursor.into()) },
        heard_at: Some(Timestamp::now()),
        ..Seed::default()
    }
}

fn reasons(deliveries: &[Delivery]) -> Vec<GapReason> {
    deliveries.iter().flat_map(|d| &d.gaps).map(|g| g.reason).collect()
}

fn stored(deliveries: &[Delivery]) -> usize {
    deliveries.iter().map(|d| d.events.len()).sum()
}

async fn subscribed(scripts: Vec<Vec<Act>>, more: &str, seed: Seed) -> (Server, Running) {
    let server = Server::start(scripts).await;
    let feed = run(config(&server.url, more), Setting { seed, ..Setting::default() });
    (server, feed)
}

#[tokio::test]
async fn the_answer_that_was_waited_for_says_that_numbering_restarted() {
    let scripts = vec![vec![Act::Text(ACK), event("1")]];
    let (mut server, mut feed) = subscribed(scripts, &format!("{RESUME}{GREETING}"), at("e1", "5000")).await;
    assert_eq!(server.hears().await, "since 5000");
    let all = feed.until_cursor("1").await;
    assert_eq!(reasons(&all), [GapReason::EpochChanged]);
    let filtered: u64 = all.iter().map(|d| d.counts.filtered).sum();
    assert_eq!((stored(&all), filtered), (1, 1), "the answer is counted");
}

#[tokio::test]
async fn an_event_that_is_the_expected_answer_is_an_event() {
    let expect = r#"on_connect = [{ expect = { pointer = "/event" }, within = "20s" }]"#;
    let (_server, mut feed) = subscribed(vec![vec![event("1")]], expect, Seed::default()).await;
    assert_eq!(feed.delivery().await.events.len(), 1);
}

/// A feed that does not connect twice, with an engine's channel that is full.
async fn once(script: Vec<Act>, grace: Duration) -> (Server, Running) {
    let server = Server::start(vec![script]).await;
    let text =
        format!("url = \"{}\"\nmap = \"auth-event\"\nbackoff = {{ base = \"366d\", cap = \"366d\" }}", server.url);
    let setting = Setting { capacity: 1, grace, ..Setting::default() };
    let mut feed = run(Arc::new(toml::from_str(&text).unwrap()), setting);
    feed.until_state(FeedState::Waiting).await;
    (server, feed)
}

#[tokio::test]
async fn what_is_held_when_the_server_goes_away_is_handed_over_during_the_wait() {
    let (_server, mut feed) = once(vec![event("1"), Act::Close], Duration::ZERO).await;
    assert_eq!(feed.delivery().await.feed.as_str(), "filler");
    assert_eq!(feed.delivery().await.events.len(), 1);
}

#[tokio::test]
async fn an_orderly_stop_hands_over_everything_that_is_held() {
    let script = vec![event("1"), event("6"), event("7"), Act::Close];
    let (_server, feed) = once(script, Duration::from_secs(20)).await;
    feed.stop.send_replace(true);
    let Running { fill, mut deliveries, task, .. } = feed;
    drop(fill);
    let mut events = 0;
    while let Some(delivery) = patiently(deliveries.recv()).await {
        events += if delivery.feed.as_str() == "f" { delivery.events.len() } else { 0 };
    }
    assert_eq!(events, 3);
    patiently(task).await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_with_its_grace_when_nobody_takes_deliveries() {
    let (_server, feed) = once(vec![event("1"), Act::Close], Duration::ZERO).await;
    feed.stop.send_replace(true);
    patiently(feed.task).await.unwrap();
}

#[tokio::test]
async fn garbage_in_control_frames_makes_no_event_be_skipped_and_never_stops_a_feed() {
    let mut scripts = vec![vec![Act::LongPing]; 20];
    scripts.push(vec![event("6")]);
    let (_server, mut feed) = subscribed(scripts, RESUME, at("e1", "5")).await;
    let all = feed.until_cursor("6").await;
    assert_eq!((stored(&all), reasons(&all)), (1, vec![]));
    assert!(all.iter().all(|d| d.quarantine.is_empty()));
}

#[tokio::test]
async fn a_poison_frame_before_the_answer_is_stepped_over_like_any_other() {
    let mut scripts = vec![vec![Act::NotText]; 3];
    scripts.push(vec![Act::Text(r#"{"type":"ack"}"#), event("7")]);
    let (_server, mut feed) = subscribed(scripts, &format!("{RESUME}{GREETING}"), at("e1", "5")).await;
    let all = feed.until_cursor("7").await;
    assert_eq!((stored(&all), reasons(&all)), (1, vec![GapReason::PoisonFrame]));
}

#[tokio::test]
async fn t11_a_flood_before_the_answer_is_held_within_the_queue() {
    let mut script = vec![event("1"); 1000];
    script.push(Act::Text(ACK));
    let mut server = Server::start(vec![script]).await;
    let more = r#"limits = { queue = "64KiB", frame = "16KiB" }
on_connect = [{ expect = { pointer = "/type" }, within = "20s" }, { send = "thanks" }]"#;
    let mut feed = run(config(&server.url, more), Setting { capacity: 1, ..Setting::default() });
    assert_eq!(server.hears().await, "thanks");
    let (mut received, mut discarded) = (0, 0);
    while received < 1001 {
        let delivery = feed.delivery().await;
        if delivery.feed.as_str() == "f" {
            received += delivery.counts.received;
            discarded += delivery.counts.discarded;
        }
    }
    assert!(discarded > 500, "{discarded}");
}

#[tokio::test]
async fn a_server_that_sends_nothing_but_unreadable_frames_is_tried_again_until_it_is_well() {
    let mut scripts = vec![vec![Act::NotText]; 25];
    scripts.push(vec![event("7")]);
    // No number: there is no place to step to.
    let (_server, mut feed) = subscribed(scripts, RESUME, at("e1", "x")).await;
    let all = vec![feed.delivery().await];
    // A number after a word is no place to resume from, and that is said.
    assert_eq!((stored(&all), reasons(&all)), (1, vec![GapReason::NotRecovered]));
}

#[tokio::test]
async fn a_resuming_feed_that_has_no_cursor_yet_and_reconnects_has_a_gap() {
    let scripts = vec![vec![Act::Text(r#"{"type":"ack"}"#), Act::Cut], vec![event("1")]];
    let (_server, mut feed) = subscribed(scripts, RESUME, Seed::default()).await;
    assert_eq!(reasons(&feed.until_cursor("1").await), [GapReason::Disconnected]);
}

/// Locked the first time it is asked.
struct Locked(AtomicU32);

impl SecretSource for Locked {
    fn get(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Err(SecretError::Unavailable("the keychain is locked".into())),
            _ => Ok("secret".to_owned().into()),
        }
    }
}

#[tokio::test]
async fn a_keychain_that_is_locked_for_a_moment_is_asked_again() {
    let server = Server::start(vec![vec![event("1")]]).await;
    let auth = "auth = { scheme = \"bearer\", secret = \"keychain:shop\" }";
    let secrets = Arc::new(Locked(AtomicU32::new(0)));
    let mut feed = run(config(&server.url, auth), Setting { secrets, ..Setting::default() });
    assert_eq!(feed.delivery().await.events.len(), 1);
}

#[tokio::test]
async fn a_secret_that_does_not_exist_stops_the_feed_also_when_it_is_the_first_frame() {
    for auth in [
        r#"auth = { scheme = "bearer", secret = "keychain:shop" }"#,
        r#"auth = { scheme = "first-frame", frame = "{secret}", secret = "keychain:shop" }"#,
        r#"headers = { X-Api-Key = "keychain:shop" }"#,
    ] {
        let server = Server::start(vec![vec![]]).await;
        let secrets = Arc::new(NoSecrets);
        let mut feed = run(config(&server.url, auth), Setting { secrets, ..Setting::default() });
        assert!(feed.until_state(FeedState::Stopped).await.contains("keychain:shop"));
    }
}
