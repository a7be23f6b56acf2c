use wf_model::Timestamp;

use super::*;
use crate::calendar::{Country, Law};
use crate::subject::Identifier;

fn day(t: &str) -> NaiveDate {
    t.parse().unwrap()
}

fn act<'a>(calendar: &'a Calendar, today: &str) -> Act<'a> {
    Act {
        now: Timestamp::parse(&format!("{today}T09:00:00Z")).unwrap(),
        today: day(today),
        by: "Ann",
        calendar,
        law: Law::Eu,
    }
}

fn new(kind: RequestKind, received: &str) -> New {
    let corrections = if kind == RequestKind::Rectification {
        vec![Correction { field: String::new(), old: "Lea".into(), new: "Leah".into() }]
    } else {
        vec![]
    };
    New {
        number: 1,
        kind,
        received: day(received),
        subject: vec![Identifier::parse("ann@x.com").unwrap()],
        subject_keys: vec!["k".into()],
        contact: "ann@x.com".into(),
        note: "by mail".into(),
        corrections,
    }
}

fn request(kind: RequestKind, received: &str, calendar: &Calendar) -> Request {
    Request::register(&act(calendar, received), new(kind, received)).unwrap()
}

#[test]
fn a_request_goes_its_way_and_no_other() {
    let c = Calendar::of(Country::De);
    let r = request(RequestKind::Access, "2026-03-02", &c);
    let a = act(&c, "2026-03-03");
    assert!(r.may_execute("Ann", 2).is_err(), "not before the identity is verified");
    let r = r.advance(&a, "").unwrap();
    assert!(r.advance(&a, " ").is_err(), "how it was verified must be said");
    let r = r.advance(&a, "called back").unwrap();
    assert_eq!(
        (r.state, r.identity.as_ref().map(|i| i.text.as_str())),
        (RequestState::InProgress, Some("called back"))
    );
    assert!(r.advance(&a, "").is_err(), "it is executed, not advanced");
    let asked = r.ask(&a, "which account?").unwrap();
    assert!(asked.may_execute("Ann", 2).is_err());
    let r = asked.advance(&a, "the shop").unwrap();
    r.may_execute("Ann", 2).unwrap();
    let r = r.executed(&a, Outcome::default());
    assert!(
        r.refuse(&a, "too late").is_err()
            && r.withdraw(&a, "").is_err()
            && r.extend(&a, "x", day("2026-03-03")).is_err()
    );
    let r = r.advance(&a, "sent by post").unwrap();
    assert_eq!((r.state, r.closed_on), (RequestState::Completed, Some(day("2026-03-03"))));
    assert!(r.advance(&a, "").is_err() && r.ask(&a, "x").is_err(), "closed is closed");
}

#[test]
fn every_change_is_a_version_and_an_entry_of_the_history() {
    let c = Calendar::default();
    let (mut r, a) = (request(RequestKind::Access, "2026-03-02", &c), act(&c, "2026-03-03"));
    for step in ["", "passport seen"] {
        let next = r.advance(&a, step).unwrap();
        assert_eq!((next.version, next.history.len()), (r.version + 1, r.history.len() + 1));
        r = next;
    }
    let next = r.extend(&a, "many systems", day("2026-03-03")).unwrap();
    assert_eq!((next.version, next.history.len()), (r.version + 1, r.history.len() + 1));
}

#[test]
fn an_erasure_needs_a_second_person_who_is_somebody_else() {
    let c = Calendar::default();
    let a = act(&c, "2026-03-03");
    let r = request(RequestKind::Deletion, "2026-03-02", &c).advance(&a, "").unwrap().advance(&a, "passport").unwrap();
    assert!(r.may_execute("Ann", 2).unwrap_err().to_string().contains("two persons"));
    assert!(r.approve(&a, "Ann", "Ann").is_err());
    let approved = r.approve(&a, "Bob", "Ann").unwrap();
    assert!(approved.approve(&a, "Bob", "Ann").is_err(), "once each");
    approved.may_execute("Ann", 2).unwrap();
    assert!(approved.may_execute("Bob", 2).is_err(), "who approved cannot be the one who carries it out alone");
    r.may_execute("Ann", 1).unwrap();
}

#[test]
fn a_completed_erasure_forgets_whose_it_was_and_still_recognises_them() {
    let c = Calendar::default();
    let a = act(&c, "2026-03-03");
    let r = request(RequestKind::Deletion, "2026-03-02", &c)
        .advance(&a, "")
        .unwrap()
        .advance(&a, "passport of ann@x.com")
        .unwrap();
    let r = r.executed(&a, Outcome::default()).advance(&a, "mailed ann@x.com").unwrap();
    let text = serde_json::to_string(&r).unwrap();
    assert!(!text.contains("ann@x.com"), "{text}");
    let again = duplicate_of(RequestKind::Deletion, &["k".into()], day("2026-04-01"), [&r], 12);
    assert_eq!(again.map(|r| r.number), Some(1));
    assert!(
        duplicate_of(RequestKind::Access, &["k".into()], day("2026-04-01"), [&r], 12).is_none(),
        "another wish is another request"
    );
    assert!(
        duplicate_of(RequestKind::Deletion, &["k".into()], day("2027-04-01"), [&r], 12).is_none(),
        "after a year it is a new request"
    );
    assert!(duplicate_of(RequestKind::Deletion, &["other".into()], day("2026-04-01"), [&r], 12).is_none());
}

#[test]
fn a_request_is_answered_only_when_every_other_system_has_confirmed() {
    let c = Calendar::default();
    let a = act(&c, "2026-03-03");
    let r = request(RequestKind::Access, "2026-03-02", &c)
        .advance(&a, "")
        .unwrap()
        .advance(&a, "x")
        .unwrap()
        .add_task(&a, "CRM", "Bob", false)
        .unwrap();
    assert!(r.add_task(&a, "CRM", "", false).is_err(), "once each");
    let r = r.executed(&a, Outcome::default());
    assert!(r.advance(&a, "").unwrap_err().to_string().contains("CRM"));
    let failed = r.task_answered(&a, "CRM", Err("503".into())).unwrap();
    assert!(failed.advance(&a, "").is_err());
    let done = failed
        .task_answered(&a, "CRM", Ok(Receipt { at: a.now, by: "Bob".into(), text: "ticket 9".into(), sha256: None }))
        .unwrap();
    assert_eq!((done.tasks[0].failed.as_deref(), done.advance(&a, "").unwrap().state), (None, RequestState::Completed));
}

#[test]
fn a_refusal_names_the_reasons_and_the_remedies_of_the_law() {
    let c = Calendar::default();
    for (law, body) in [(Law::Eu, "supervisory authority"), (Law::Uk, "Information Commissioner")] {
        let a = Act { law, ..act(&c, "2026-03-03") };
        let r = request(RequestKind::Access, "2026-03-02", &c);
        assert!(r.refuse(&a, "  ").is_err());
        let r = r.refuse(&a, "manifestly unfounded").unwrap();
        let said = r.refusal.unwrap();
        assert!(said.contains("manifestly unfounded") && said.contains(body), "{said}");
    }
}

#[test]
fn a_refusal_is_due_within_the_first_month_even_when_the_answer_was_extended() {
    let c = Calendar::default();
    let r = request(RequestKind::Access, "2026-03-02", &c)
        .extend(&act(&c, "2026-03-10"), "many systems", day("2026-03-10"))
        .unwrap();
    assert!(!r.refuse(&act(&c, "2026-04-02"), "unfounded").unwrap().is_late(&c, day("2026-06-30")));
    assert!(r.refuse(&act(&c, "2026-04-03"), "unfounded").unwrap().is_late(&c, day("2026-06-30")));
}

#[test]
fn what_cannot_be_is_refused_when_it_is_registered() {
    let c = Calendar::default();
    let a = act(&c, "2026-03-03");
    for (kind, received, change) in [
        (RequestKind::Access, "2026-03-04", ""),
        (RequestKind::Access, "2022-03-01", ""),
        (RequestKind::Rectification, "2026-03-01", "none"),
        (RequestKind::Rectification, "2026-03-01", "same"),
    ] {
        let mut n = new(kind, received);
        match change {
            "none" => n.corrections.clear(),
            "same" => n.corrections = vec![Correction { field: String::new(), old: "a".into(), new: "a".into() }],
            _ => {}
        }
        assert!(Request::register(&a, n).is_err(), "{kind} {received} {change}");
    }
}

#[test]
fn a_duplicate_asks_the_same_about_the_same_person() {
    let c = Calendar::default();
    let a = act(&c, "2026-03-03");
    let first = request(RequestKind::Access, "2026-03-02", &c);
    let mut second = request(RequestKind::Access, "2026-03-03", &c);
    second.number = 2;
    assert!(first.duplicate(&a, &first).is_err());
    assert_eq!(second.duplicate(&a, &first).unwrap().duplicate_of, Some(1));
    let mut stranger = second.clone();
    stranger.subject_keys = vec!["x".into()];
    assert!(stranger.duplicate(&a, &first).is_err());
    let gone = first.withdraw(&a, "").unwrap();
    assert!(second.duplicate(&a, &gone).is_err(), "what answers nobody has no duplicate");
    let mut other = second.clone();
    other.kind = RequestKind::Deletion;
    assert!(other.duplicate(&a, &first).is_err());
}
