use futures_util::FutureExt as _;

use super::*;
use crate::twin::{config, filler, mappings, patiently};

const EVENT: &str = r#"{"event":"login_failed","ip":"10.0.0.1"}"#;

fn intake(more: &str, out: &mpsc::Sender<Delivery>) -> Intake {
    let config = config("ws://127.0.0.1:1/", more);
    Intake::new(FeedName::new("f"), config, mappings(), Seed::default(), out.clone())
}

fn event(intake: &mut Intake) {
    intake.frame(Bytes::from_static(EVENT.as_bytes()));
    intake.pass_on().unwrap();
}

#[tokio::test]
async fn an_event_that_found_the_channel_full_is_handed_over_as_soon_as_there_is_room() {
    let (out, mut deliveries) = mpsc::channel(1);
    out.try_send(filler()).unwrap();
    let mut best_effort = intake("", &out);
    event(&mut best_effort);
    assert!(deliveries.recv().await.is_some());
    // No other frame comes, and no ping.
    let delivery = patiently(best_effort.meanwhile(deliveries.recv())).await.unwrap().unwrap();
    assert_eq!(delivery.events.len(), 1);
}

#[tokio::test]
async fn a_delivery_without_weight_waits_for_nothing_either() {
    let (out, mut deliveries) = mpsc::channel(1);
    out.try_send(filler()).unwrap();
    let mut best_effort = intake("decode = { ignore = [{ pointer = \"/ping\" }] }", &out);
    best_effort.frame(Bytes::from_static(br#"{"ping":1}"#));
    best_effort.pass_on().unwrap();
    event(&mut best_effort);
    let mut counts = wf_model::FeedCounts::default();
    deliveries.recv().await.unwrap();
    for _ in 0..2 {
        let delivery = patiently(best_effort.meanwhile(deliveries.recv())).await.unwrap().unwrap();
        counts.add(&delivery.counts);
    }
    assert_eq!((counts.filtered, counts.stored), (1, 1));
}

#[tokio::test]
async fn a_saturating_feed_does_not_keep_another_one_from_its_turn() {
    let (out, mut deliveries) = mpsc::channel(1);
    out.try_send(filler()).unwrap();
    let mut saturating = intake("resume = { cursor = \"/n\" }", &out);
    let mut live = intake("", &out);
    event(&mut saturating);
    event(&mut live);
    let mut order = Vec::new();
    for _ in 0..6 {
        // Both stand in line; then one place becomes free, and the saturating one is asked first.
        let asked = [saturating.sent().now_or_never(), live.sent().now_or_never()];
        order.extend(asked.iter().position(Option::is_some));
        event(&mut saturating);
        event(&mut live);
        deliveries.recv().await.unwrap();
    }
    assert!(order.contains(&1), "the live feed had its turn: {order:?}");
    assert!(order.windows(2).all(|pair| pair[0] != pair[1]), "one after the other: {order:?}");
}

#[tokio::test]
async fn a_feed_that_resumes_stops_reading_when_it_is_a_delivery_ahead_and_any_other_sheds() {
    let (out, _deliveries) = mpsc::channel(1);
    out.try_send(filler()).unwrap();
    let mut resuming = intake("resume = { cursor = \"/n\" }", &out);
    let mut best_effort = intake("limits = { queue = \"64KiB\", frame = \"16KiB\" }", &out);
    for _ in 0..10_000 {
        if resuming.has_room() {
            event(&mut resuming);
        }
        event(&mut best_effort);
    }
    assert!(!resuming.has_room() && resuming.weight() < BATCH_BYTES + 4096);
    assert!(best_effort.has_room() && best_effort.weight() < 128 << 10, "{}", best_effort.weight());
}

#[tokio::test]
async fn draining_ends_at_its_deadline_when_nobody_takes_anything() {
    let (out, mut deliveries) = mpsc::channel(1);
    out.try_send(filler()).unwrap();
    let mut best_effort = intake("", &out);
    event(&mut best_effort);
    assert!(!best_effort.drain(Instant::now()).await);
    deliveries.recv().await.unwrap();
    assert!(best_effort.drain(Instant::now() + std::time::Duration::from_secs(30)).await);
    assert_eq!(deliveries.recv().await.unwrap().events.len(), 1);
}
