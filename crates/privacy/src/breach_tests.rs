use chrono::TimeZone as _;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn since(at: Timestamp, why: &str) -> Entry {
    Entry { at, by: "Ann".into(), text: why.into() }
}

fn breach(aware: &str) -> Breach {
    let t = at(aware);
    Breach::open(
        t,
        1,
        "Customer list on a public share",
        vec![7],
        since(t, "found by a search engine"),
        Content::default(),
    )
    .unwrap()
    .aware(t, "Ann", t, "the file was opened from outside")
    .unwrap()
}

fn whole() -> Content {
    let s = || "x".to_owned();
    Content {
        nature: s(),
        subject_categories: s(),
        subjects: Some(10),
        record_categories: s(),
        records: Some(20),
        contact: s(),
        consequences: s(),
        measures: s(),
    }
}

#[test]
fn seventy_two_hours_run_from_awareness_and_not_from_the_suspicion() {
    let b = Breach::open(
        at("2026-03-02T10:00:00Z"),
        1,
        "x",
        vec![],
        since(at("2026-03-01T08:00:00Z"), "odd"),
        Content::default(),
    )
    .unwrap();
    assert_eq!(b.due(), None, "a suspicion has no deadline yet");
    let b = b.aware(at("2026-03-02T12:00:00Z"), "Ann", at("2026-03-02T11:00:00Z"), "sure").unwrap();
    assert_eq!(b.due(), Some(at("2026-03-05T11:00:00Z")));
}

#[test]
fn seventy_two_hours_run_through_a_weekend_because_a_period_in_hours_does_not_move() {
    assert_eq!(
        breach("2026-03-06T17:00:00Z").due(),
        Some(at("2026-03-09T17:00:00Z")),
        "known on Friday at five, due on Monday at five"
    );
    assert_eq!(
        breach("2026-03-05T09:00:00Z").due(),
        Some(at("2026-03-08T09:00:00Z")),
        "due on a Sunday is due on a Sunday"
    );
    assert_eq!(breach("2026-12-24T12:00:00Z").due(), Some(at("2026-12-27T12:00:00Z")), "through Christmas");
}

#[test]
fn seventy_two_hours_are_seventy_two_when_the_clocks_change() {
    for (zone, before, expected) in [
        // Berlin springs forward on 29 March 2026: by the wall clock it is an hour later.
        ("Europe/Berlin", "2026-03-28T10:00:00", "2026-03-31T11:00:00"),
        // And falls back on 25 October: an hour earlier.
        ("Europe/Berlin", "2026-10-24T10:00:00", "2026-10-27T09:00:00"),
        ("Europe/London", "2026-03-28T10:00:00", "2026-03-31T11:00:00"),
    ] {
        // Both zones move by an hour; the offset before the change is all that is needed here.
        let winter = if zone == "Europe/Berlin" { 1 } else { 0 };
        let (offset_before, offset_after) =
            if before.contains("-03-") { (winter, winter + 1) } else { (winter + 1, winter) };
        let moment = |text: &str, hours: i32| {
            Timestamp::from_millis(
                chrono::FixedOffset::east_opt(hours * 3600)
                    .unwrap()
                    .from_local_datetime(&text.parse().unwrap())
                    .unwrap()
                    .timestamp_millis(),
            )
        };
        let b = breach(&moment(before, offset_before).rfc3339());
        assert_eq!(b.due(), Some(moment(expected, offset_after)), "{zone} {before}");
    }
}

#[test]
fn the_privacy_officer_is_told_at_24_48_66_and_72_hours_once_each() {
    let mut b = breach("2026-03-06T17:00:00Z");
    let (start, mut told) = (at("2026-03-06T17:00:00Z"), Vec::new());
    for minute in 0..(100 * 60) {
        let now = start + Duration::from_secs(minute * 60);
        let expected = b.next_reminder();
        if let Some(h) = b.reminder_due(now) {
            assert_eq!(expected, Some(now), "it is announced for the minute it is due");
            b = b.reminded(now, h);
            told.push((h, minute / 60));
        }
    }
    assert_eq!(told, [(24, 24), (48, 48), (66, 66), (72, 72)]);
    assert_eq!(b.next_reminder(), None);
}

#[test]
fn after_a_pause_the_newest_reminder_is_given_and_the_missed_ones_are_not_made_up_for() {
    let b = breach("2026-03-06T17:00:00Z");
    let late = at("2026-03-09T12:00:00Z");
    assert_eq!(b.reminder_due(late), Some(66));
    let b = b.reminded(late, 66);
    assert_eq!(b.reminder_due(late), None);
    assert_eq!(b.reminder_due(at("2026-03-09T17:00:00Z")), Some(72));
}

#[test]
fn a_notified_breach_and_one_that_is_not_notifiable_remind_nobody() {
    let later = at("2026-03-09T12:00:00Z");
    let b = breach("2026-03-06T17:00:00Z").describe(later, "Ann", whole()).unwrap();
    assert_eq!(b.notify(later, "Ann", later, "REF-1", None).unwrap().reminder_due(later), None);
    assert_eq!(b.not_notifiable(later, "Ann", "encrypted, key safe").unwrap().reminder_due(later), None);
}

#[test]
fn after_72_hours_the_reasons_for_the_delay_are_mandatory() {
    let b = breach("2026-03-06T17:00:00Z");
    let b = b.describe(at("2026-03-07T00:00:00Z"), "Ann", whole()).unwrap();
    let (last, late) = (at("2026-03-09T17:00:00Z"), at("2026-03-09T17:00:01Z"));
    assert!(b.notify(last, "Ann", last, "", None).is_ok(), "the last second is in time");
    assert!(b.notify(late, "Ann", late, "", None).unwrap_err().to_string().contains("72 hours"));
    assert!(b.notify(late, "Ann", late, "", Some("  ")).is_err());
    let told = b.notify(late, "Ann", late, "", Some("the extent was not known")).unwrap();
    assert_eq!(told.delay_reason.as_deref(), Some("the extent was not known"));
    assert!(
        told.notify(late + Duration::from_secs(9), "Ann", late, "", None).is_ok(),
        "a further phase needs no reason again"
    );
    assert!(b.notify(late, "Ann", last, "", None).is_ok(), "registered late, but sent in time");
}

#[test]
fn a_notification_goes_out_in_phases_and_each_says_what_is_to_follow() {
    let t = at("2026-03-07T00:00:00Z");
    let b = breach("2026-03-06T17:00:00Z");
    assert!(b.notify(t, "Ann", t, "", None).is_err(), "nothing was said yet");
    let b = b
        .describe(t, "Ann", Content { nature: "a list was public".into(), ..Content::default() })
        .unwrap()
        .notify(t, "Ann", t, "REF", None)
        .unwrap();
    assert_eq!((b.phases.len(), b.phases[0].missing.len()), (1, 7));
    assert!(b.close(t, "Ann").unwrap_err().to_string().contains("not been told yet"));
    let b = b.describe(t, "Ann", whole()).unwrap().notify(t, "Ann", t, "REF", None).unwrap();
    assert!(b.phases[0].content.measures.is_empty(), "what was sent first stays as it was");
    assert!(b.close(t, "Ann").unwrap_err().to_string().contains("Art. 34"));
    let b =
        b.decide_subjects(t, "Ann", Some(Exemption::Unintelligible), "encrypted with a key they have not", "").unwrap();
    assert_eq!(b.close(t, "Ann").unwrap().state, BreachState::Closed);
}

#[test]
fn subjects_are_told_in_plain_words_or_an_exemption_is_reasoned() {
    let t = at("2026-03-07T00:00:00Z");
    let b = breach("2026-03-06T17:00:00Z");
    assert!(b.decide_subjects(t, "Ann", None, "", " ").is_err(), "a message is needed");
    assert!(b.decide_subjects(t, "Ann", Some(Exemption::NoHighRisk), "", "").is_err(), "a reason is needed");
    assert!(
        b.decide_subjects(t, "Ann", Some(Exemption::PublicCommunication), "too many", "").is_err(),
        "a public communication has a text"
    );
    assert!(b.decide_subjects(t, "Ann", None, "", "Your address was public for two hours.").is_ok());
}

#[test]
fn what_cannot_be_is_refused() {
    let t = at("2026-03-07T00:00:00Z");
    let (later, earlier) = (t + Duration::from_secs(60), at("2026-03-06T23:00:00Z"));
    assert!(Breach::open(t, 1, "x", vec![], since(later, "why"), Content::default()).is_err());
    assert!(Breach::open(t, 1, "x", vec![], since(t, " "), Content::default()).is_err());
    let b = Breach::open(t, 1, "x", vec![], since(t, "why"), Content::default()).unwrap();
    assert!(b.aware(t, "Ann", later, "why").is_err() && b.aware(t, "Ann", t, "").is_err());
    let known_before = b.aware(t, "Ann", earlier, "why").unwrap();
    assert_eq!(
        (known_before.suspected.at, known_before.due()),
        (earlier, Some(earlier + LIMIT)),
        "the time runs from when it was known, not from when it was written down"
    );
    let spared = b
        .aware(t, "Ann", t, "sure")
        .unwrap()
        .not_notifiable(t, "Ann", "encrypted")
        .unwrap()
        .describe(t, "Ann", whole())
        .unwrap();
    assert_eq!(
        spared.notify(t, "Ann", t, "", None).unwrap().state,
        BreachState::Notified,
        "a risk may turn out to be one after all"
    );
    assert!(
        b.notify(t, "Ann", t, "", None).is_err()
            && b.not_notifiable(t, "Ann", "no risk").is_err()
            && b.close(t, "Ann").is_err()
    );
    assert_eq!(b.dismiss(t, "Ann", "a test account").unwrap().state, BreachState::Dismissed);
    let known = b.aware(t, "Ann", t, "sure").unwrap();
    assert!(
        known.dismiss(t, "Ann", "no").is_err()
            && known.aware(t, "Ann", t, "again").is_err()
            && known.not_notifiable(t, "Ann", "").is_err()
    );
}
