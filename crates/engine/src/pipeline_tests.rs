use wf_detect::Limits;
use wf_feeds::ingest::{Ingest, Pressure, Seed};
use wf_platform::SystemClock;

use super::*;
use crate::testing::Room;

/// What a feed hands over of these frames.
fn delivery(frames: &[&str]) -> Delivery {
    let config: wf_feeds::FeedConfig = toml::from_str("url = \"wss://x\"\nmap = \"auth-event\"").unwrap();
    let mapping = wf_feeds::Mapping::built_in("auth-event").unwrap();
    let mut ingest = Ingest::new(FeedName::new("f"), Arc::new(config), Arc::from([mapping]), Seed::default());
    for frame in frames {
        ingest.on_frame(Timestamp::now(), bytes::Bytes::from((*frame).to_owned()), Pressure::None);
    }
    ingest.take().unwrap()
}

/// A pipeline that does what it is told, on the store of a room.
fn pipeline(room: &Room) -> Pipeline {
    let (notices, _told) = mpsc::channel(16);
    let sinks = Arc::new(PipelineSinks {
        recent: room.context.recent.clone(),
        committed: Mutex::default(),
        tallies: Mutex::default(),
        blocked: Mutex::default(),
        unseen: Mutex::default(),
        notices,
        shutting_down: AtomicBool::new(false),
    });
    let (inputs, make): (_, MakeDetector) =
        (PipelineInputs { deliveries: mpsc::channel(4).1, commands: mpsc::channel(4).1 }, Arc::new(detector));
    Pipeline::new(room.context.ledger.clone(), sinks, inputs, (make(), make), (Seq(1), Arc::new(SystemClock)))
}

/// Failed logins from one address, each of another user.
fn failures(users: std::ops::Range<u32>) -> Vec<Delivery> {
    let frames: Vec<String> =
        users.map(|n| format!(r#"{{"event":"login_failed","ip":"203.0.113.9","username":"u{n}"}}"#)).collect();
    vec![delivery(&frames.iter().map(String::as_str).collect::<Vec<_>>())]
}

#[tokio::test]
async fn a_failure_that_takes_detection_along_loses_no_event_and_detection_remembers_what_was_stored() {
    let room = Room::new("").await;
    let mut pipeline = pipeline(&room);
    pipeline.commit(failures(0..3), false).await.unwrap();
    // A panic took it.
    pipeline.detector = None;
    pipeline.commit(failures(3..6), false).await.unwrap();
    assert_eq!(room.context.store().count_events().await.unwrap(), 6);
    let attack = room.context.ledger.look(|book| book.live().map(|i| (i.kind.clone(), i.count)).collect::<Vec<_>>());
    assert_eq!(attack, [("BRUTE_FORCE_ATTACK".to_owned(), 6)], "the three before the failure count");
    room.context.ledger.close().await;
}

#[tokio::test]
async fn what_an_erasure_names_is_forgotten_even_while_there_is_no_detector() {
    let room = Room::new("").await;
    let mut pipeline = pipeline(&room);
    pipeline.commit(failures(0..3), true).await.unwrap();
    pipeline.detector = None;
    let (done, forgot) = oneshot::channel();
    pipeline.on_command(PipelineCommand::Forget(Arc::new(|text| text == "203.0.113.9"), done)).await.unwrap();
    forgot.await.unwrap();
    // As after a restart: from the disk.
    pipeline.detector = None;
    pipeline.commit(failures(3..6), false).await.unwrap();
    assert_eq!(room.context.ledger.look(|book| book.live().count()), 0, "three are not five");
    room.context.ledger.close().await;
}

#[tokio::test]
async fn events_that_landed_although_their_disk_said_they_failed_are_not_stored_twice_and_the_next_are() {
    let room = Room::new("").await;
    let mut pipeline = pipeline(&room);
    let store = room.context.store();
    pipeline.commit(failures(0..3), false).await.unwrap();
    // The next three are on the disk already, and nobody knows.
    let landed = (4..7).map(|n| crate::testing::event(n, "x")).collect();
    store.commit(&Commit { events: Arc::new(landed), ..Commit::default() }).await.unwrap();
    pipeline.commit(failures(3..6), false).await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 6);
    pipeline.commit(failures(6..8), false).await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 8);
    room.context.ledger.close().await;
}

fn detector() -> Detector {
    Detector::new(RuleSet::load(&RuleSet::built_in()).0, Limits::default())
}

#[test]
fn a_panic_on_a_whole_batch_gives_its_events_back_and_takes_the_detector() {
    let events = vec![crate::testing::event(1, "a"), crate::testing::event(2, "b")];
    let (left, detected) = guarded(detector(), events, |_, _| panic!("half of something"));
    assert!(left.is_none() && detected.matches.is_empty() && detected.state.is_none());
    assert_eq!(detected.events.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn events_that_were_tagged_with_a_number_that_went_to_something_else_are_tagged_anew() {
    let mut events = vec![crate::testing::event(1, "a"), crate::testing::event(2, "b")];
    let found = Match { events: vec![Seq(2)], ..crate::testing::found(Timestamp::EPOCH, "ann") };
    tag(&mut events, Seq(1), std::slice::from_ref(&found), &[7]);
    tag_anew(&mut events, Seq(1), &[found], &[8]);
    assert_eq!(events[1].fields.get("watchfloor.incident"), Some(&Value::Int(8)));
    assert!(events[0].fields.get("watchfloor.incident").is_none());
}
