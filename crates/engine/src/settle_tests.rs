use super::*;

use wf_model::{IncidentId, Page};

const HOUR: Duration = Duration::from_secs(3600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// A message about an incident of P1 that has been owed since 0.
fn message(purpose: Purpose) -> Notification {
    Notification {
        key: "key".into(),
        incident: Some(IncidentId("i".into())),
        purpose,
        severity: Severity::P1,
        step: Some(1),
        round: 0,
        to: Destination { channel: "sms".into(), address: "+491".into(), person: None },
        page: Page::default(),
        created_at: at(0),
        due_at: at(0),
        state: NotificationState::Attempting,
        attempts: 1,
        attempted_at: None,
        delivered_at: None,
        provider_id: None,
        error: None,
        possible_duplicate: false,
    }
}

fn retry(after: Option<Duration>, maybe_sent: bool) -> Outcome {
    Outcome::Retry { reason: "busy".into(), after, maybe_sent }
}

#[test]
fn what_is_put_off_past_half_a_minute_takes_another_way_once() {
    let second = Duration::from_secs(1);
    let mut n = message(Purpose::Trigger);
    let soon = judge(at(5), &n, retry(None, false), second);
    assert_eq!(soon, Fate::Again { due_at: at(6), reason: "busy".into(), maybe_sent: false, held_up: false });
    assert_eq!(soon.another_way(), None);
    // The provider asks for more than we would have waited.
    let late = judge(at(5), &n, retry(Some(Duration::from_secs(60)), false), second);
    assert_eq!(late, Fate::Again { due_at: at(65), reason: "busy".into(), maybe_sent: false, held_up: true });
    assert_eq!(late.another_way(), Some("busy"));
    n = late.receipt(at(5), n);
    assert_eq!((n.state, n.due_at), (NotificationState::Queued, at(65)));
    assert_eq!(judge(at(65), &n, retry(None, false), second).another_way(), None, "people were told already");
}

#[test]
fn only_what_asks_somebody_of_p1_or_p2_takes_another_way_for_being_late() {
    let late = |n: &Notification| judge(at(0), n, retry(Some(HOUR), false), HOUR).another_way().is_some();
    assert!(late(&message(Purpose::Trigger)));
    assert!(!late(&message(Purpose::Resolved)));
    assert!(!late(&Notification { severity: Severity::P3, ..message(Purpose::Trigger) }));
}

#[test]
fn a_message_that_nobody_waits_for_is_given_up_after_a_day_and_one_that_asks_never() {
    let month = at(30 * 24 * 3600);
    for purpose in [Purpose::Test, Purpose::Digest, Purpose::Grew] {
        let fate = judge(month, &message(purpose), retry(None, true), HOUR);
        assert_eq!(fate, Fate::GivenUp { reason: "busy".into(), maybe_sent: true });
        let kept = fate.receipt(month, message(purpose));
        assert_eq!((kept.state, kept.possible_duplicate), (NotificationState::Failed, true));
        assert!(matches!(judge(at(3600), &message(purpose), retry(None, true), HOUR), Fate::Again { .. }));
    }
    for purpose in [Purpose::Trigger, Purpose::Resolved, Purpose::Act, Purpose::Undo] {
        assert!(matches!(judge(month, &message(purpose), retry(None, false), HOUR), Fate::Again { .. }));
    }
}

#[test]
fn doubt_about_an_attempt_stays_with_the_message_until_it_is_delivered_and_after() {
    let n = message(Purpose::Trigger);
    let n = judge(at(1), &n, retry(None, true), HOUR).receipt(at(1), n);
    assert_eq!((n.state, n.possible_duplicate), (NotificationState::Uncertain, true));
    let n = judge(at(2), &n, retry(None, false), HOUR).receipt(at(2), n);
    assert_eq!((n.state, n.possible_duplicate), (NotificationState::Queued, true));
    let n = judge(at(3), &n, Outcome::Delivered { id: Some("SM1".into()) }, HOUR).receipt(at(3), n);
    assert_eq!((n.state, n.delivered_at, n.error.clone()), (NotificationState::Delivered, Some(at(3)), None));
    assert_eq!((n.provider_id.as_deref(), n.possible_duplicate), (Some("SM1"), true));
}

#[test]
fn a_refusal_breaks_the_channel_only_where_the_channel_is_meant_and_a_delivery_mends_it() {
    let before = ChannelStanding { name: "sms".into(), ..ChannelStanding::default() };
    let refused = |channel| Fate::Refused { reason: "no such account".into(), channel };
    assert_eq!(refused(false).standing(at(1), &before).broken, None);
    let broken = refused(true).standing(at(1), &before);
    assert_eq!((broken.broken.as_deref(), broken.failed_at), (Some("no such account"), Some(at(1))));
    let mended = Fate::Delivered { id: None }.standing(at(2), &broken);
    assert_eq!((mended.broken, mended.worked_at, mended.failed_at), (None, Some(at(2)), Some(at(1))));
    assert_eq!(refused(false).another_way(), Some("no such account"));
}

#[tokio::test]
async fn two_messages_over_one_channel_do_not_undo_what_the_other_saw_of_it() {
    let room = crate::testing::Room::new("").await;
    let context = &room.context;
    let one = |key: &str| Notification { key: key.into(), incident: None, ..message(Purpose::Trigger) };
    for n in 0..20 {
        let refused = Outcome::Refused { reason: "no such account".into(), channel: true };
        let (ended, went_on) = tokio::join!(
            settle(context, one(&format!("a{n}")), refused),
            settle(context, one(&format!("b{n}")), retry(None, false))
        );
        ended.and(went_on).unwrap();
        let channels = context.store().channels().await.unwrap();
        assert_eq!(channels[0].broken.as_deref(), Some("no such account"), "round {n}");
        settle(context, one(&format!("c{n}")), Outcome::Delivered { id: None }).await.unwrap();
    }
    context.ledger.close().await;
}
