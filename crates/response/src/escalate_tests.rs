//! The ladders of the seeds on a simulated clock, and what must hold whatever happens: nobody skipped, nobody asked
//! after an acknowledgement, every step once, in order.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use wf_model::{
    Actor, Contribution, Entity, EntryKind, FeedName, Incident, Match, Matcher, Message, Notification, Part, Purpose,
    Seq, Severity, Timestamp, Verdict,
};

use crate::plan::{ChannelInfo, Contact, Digest, Loudness, Person};
use crate::{Changes, IncidentRegistry, Plan, Refusal, Settings, escalate, lifecycle, merge, silence};

const MINUTE: i64 = 60_000;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(minutes * MINUTE)
}

pub(crate) fn plan() -> Plan {
    let person = |roles: &[&str], name: &str| Person {
        name: name.into(),
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
        email: format!("{}@example.com", name.to_lowercase()),
        phone: format!("+4917{:08}", name.len()),
        ..Person::default()
    };
    let channel = |name: &str, contact, loudness| ChannelInfo {
        name: name.into(),
        contact,
        loudness,
        worked_at: Some(Timestamp::EPOCH),
        broken: None,
        severities: vec![],
    };
    Plan {
        people: [("ann", person(&["duty"], "Ann")), ("ben", person(&["officer"], "Ben")), ("cto", person(&["cto"], "Carla")), ("ceo", person(&["ceo"], "Dora"))].map(|(id, p)| (id.to_owned(), p)).into(),
        schedules: [("soc".to_owned(), toml::from_str("time_zone = \"UTC\"\nlayer = [{ people = [\"ann\"], rotation = \"daily\", start = \"1969-01-01T00:00\" }]").unwrap())].into(),
        channels: vec![
            channel("phone", Contact::Phone, Loudness::Wakes),
            channel("sms", Contact::Phone, Loudness::Wakes),
            channel("slack", Contact::Place, Loudness::Chat),
            channel("mail", Contact::Email, Loudness::Mail),
            channel("pagerduty", Contact::Place, Loudness::Chat),
        ],
        digest: Some(Digest { at: chrono::NaiveTime::MIN, time_zone: chrono_tz::UTC, channel: "mail".into(), to: vec!["ben".into()] }),
        ..Plan::default()
    }
}

fn hit(severity: Severity, entity: &str, at: Timestamp) -> Match {
    Match {
        rule: "r".into(),
        title: "R".into(),
        kind: "K".into(),
        severity,
        entity: Some(Entity { field: "source.ip".into(), value: entity.into() }),
        at,
        first_at: at,
        count: 1,
        value: 1,
        contribution: Contribution::Fired,
        message: Message(vec![Part::Count, Part::Text(" things".into())]),
        actions: vec!["block_ip".into()],
        events: vec![Seq(1)],
        feeds: vec![FeedName::new("f")],
    }
}

/// A console with nothing but its registry: changes are applied, messages collected.
struct Console {
    registry: IncidentRegistry,
    owed: Vec<Notification>,
    log: Vec<(i64, EntryKind, String)>,
    incidents: std::collections::BTreeMap<u64, Incident>,
}

impl Console {
    fn new(plan: Plan) -> Self {
        Self {
            registry: IncidentRegistry::new(Settings::default(), Arc::new(plan), 0, [], vec![]),
            owed: vec![],
            log: vec![],
            incidents: Default::default(),
        }
    }

    fn take(&mut self, changes: Changes) {
        self.registry.apply(&changes);
        // Cancelled where nothing was sent: here everything is sent at once, so only what is due later can be
        // withdrawn.
        self.owed.extend(changes.notifications);
        self.log.extend(changes.timeline.into_iter().map(|e| (e.at.millis() / MINUTE, e.kind, e.text)));
        for i in changes.incidents {
            self.incidents.insert(i.number, i);
        }
    }

    fn open(&mut self, minute: i64, severity: Severity) -> u64 {
        let c = self.registry.fold(at(minute), &[hit(severity, &minute.to_string(), at(minute))]);
        let number = c.incidents[0].number;
        self.take(c);
        number
    }

    /// Time passes, looked at every minute.
    fn run(&mut self, from: i64, to: i64) {
        for minute in from..=to {
            self.tick(minute);
        }
    }

    fn tick(&mut self, minute: i64) {
        for i in self.incidents.clone().into_values() {
            if let Some(c) = escalate::on_due(at(minute), &i, self.registry.plan()) {
                self.take(c);
            }
        }
    }

    /// Who was asked at which minute, over what.
    fn asked(&self) -> Vec<(i64, String)> {
        let mut out: Vec<(i64, String)> = Vec::new();
        for n in self.owed.iter().filter(|n| n.purpose == Purpose::Trigger) {
            let minute = n.created_at.millis() / MINUTE;
            let who = n.to.person.clone().unwrap_or_else(|| n.to.channel.clone());
            if !out.contains(&(minute, who.clone())) {
                out.push((minute, who));
            }
        }
        out
    }

    fn people(&self) -> Vec<(i64, String)> {
        self.asked().into_iter().filter(|(_, who)| who.len() == 3).collect()
    }
}

fn who() -> Actor {
    Actor::Operator("Ann".into())
}

#[test]
fn a_p1_that_nobody_acknowledges_goes_to_the_officer_after_15_to_the_cto_after_30_and_to_the_ceo_after_60_minutes() {
    let mut c = Console::new(plan());
    c.open(0, Severity::P1);
    c.run(0, 200);
    assert_eq!(c.people(), [(0, "ann"), (15, "ben"), (30, "cto"), (60, "ceo")].map(|(m, p)| (m, p.to_owned())));
    let first: Vec<_> = c.owed.iter().filter(|n| n.created_at == at(0)).map(|n| n.to.channel.as_str()).collect();
    assert_eq!(first, ["phone", "sms", "slack", "mail", "pagerduty"], "all of them at once");
    assert!(
        c.log
            .iter()
            .any(|(m, k, t)| *m == 120 && *k == EntryKind::EscalationFailed && t.contains("nobody has acknowledged")),
        "{:?}",
        c.log
    );
}

#[test]
fn a_p2_waits_an_hour_for_the_next_level_and_wakes_nobody() {
    let mut c = Console::new(plan());
    c.open(0, Severity::P2);
    c.run(0, 300);
    assert_eq!(c.people(), [(0, "ann"), (60, "ben"), (120, "cto"), (180, "ceo")].map(|(m, p)| (m, p.to_owned())));
    assert!(c.owed.iter().all(|n| ["slack", "mail", "pagerduty"].contains(&n.to.channel.as_str())));
}

#[test]
fn a_p3_is_one_mail_and_a_p4_is_nothing_but_a_line_of_the_digest() {
    let mut c = Console::new(plan());
    c.open(0, Severity::P3);
    c.run(0, 3000);
    assert_eq!(c.owed.iter().map(|n| n.to.channel.as_str()).collect::<Vec<_>>(), ["mail"]);
    let mut c = Console::new(plan());
    c.open(0, Severity::P4);
    c.run(0, 3000);
    assert_eq!(c.owed, []);
}

#[test]
fn straight_to_the_ceo_is_the_other_ladder() {
    let mut plan = plan();
    plan.severities.insert(Severity::P1, toml::from_str("policy = \"straight-to-ceo\"").unwrap());
    let mut c = Console::new(plan);
    c.open(0, Severity::P1);
    c.run(0, 200);
    assert_eq!(c.people(), [(0, "ann"), (15, "ceo")].map(|(m, p)| (m, p.to_owned())));
}

#[test]
fn an_acknowledgement_at_any_minute_stops_the_ladder_and_those_who_were_told_hear_of_it() {
    for minute in 0..130 {
        let mut c = Console::new(plan());
        let number = c.open(0, Severity::P1);
        c.run(0, minute);
        let before = c.asked();
        let told = c.incidents[&number].handling.told.clone();
        let changes = lifecycle::acknowledge(
            at(minute),
            &who(),
            &c.incidents[&number].clone(),
            None,
            Some(Duration::from_secs(1_000_000)),
            c.registry.plan(),
        )
        .unwrap();
        assert_eq!(changes.withdraw, [c.incidents[&number].id.clone()], "what waits is cancelled in the same commit");
        let follow: Vec<_> =
            changes.notifications.iter().filter(|n| n.purpose == Purpose::Acknowledged).map(|n| n.to.clone()).collect();
        assert_eq!(follow, told);
        c.take(changes);
        c.run(minute + 1, 300);
        assert_eq!(c.asked(), before, "minute {minute}: nobody is asked after an acknowledgement");
    }
}

#[test]
fn an_acknowledgement_that_nobody_stands_by_is_asked_about_then_withdrawn_and_the_ladder_goes_on_where_it_stood() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(
        lifecycle::acknowledge(at(5), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    c.run(5, 34);
    assert!(c.log.iter().all(|(_, k, _)| *k != EntryKind::Reminded));
    c.run(35, 39);
    let reminded: Vec<_> = c
        .owed
        .iter()
        .filter(|n| n.purpose == Purpose::Reminder)
        .map(|n| (n.created_at, n.to.person.as_deref()))
        .collect();
    assert!(reminded.iter().all(|r| *r == (at(35), Some("ann"))) && !reminded.is_empty(), "{reminded:?}");
    assert_eq!(c.people().len(), 1);
    c.run(40, 40);
    assert_eq!(
        c.people()[1],
        (40, "ben".to_owned()),
        "withdrawn after five minutes, and the next level is told at once"
    );
    assert_eq!(c.incidents[&number].acknowledged_by, None);
    // Whoever answers the reminder keeps it.
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(
        lifecycle::acknowledge(at(5), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    c.run(5, 36);
    c.take(
        lifecycle::acknowledge(at(37), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    c.run(38, 66);
    assert_eq!((c.people().len(), c.incidents[&number].acknowledged_by.as_deref()), (1, Some("Ann")));
}

#[test]
fn what_was_due_while_the_console_slept_runs_once_in_order_and_says_how_late_it_is() {
    let mut c = Console::new(plan());
    c.open(0, Severity::P1);
    c.tick(70);
    assert_eq!(c.people(), [(0, "ann"), (70, "ben"), (70, "cto"), (70, "ceo")].map(|(m, p)| (m, p.to_owned())));
    let late: Vec<_> =
        c.log.iter().filter(|(m, k, _)| *m == 70 && *k == EntryKind::Escalated).map(|(_, _, t)| t.clone()).collect();
    assert!(
        late[0].contains("55 min late") && late[1].contains("40 min late") && late[2].contains("10 min late"),
        "{late:?}"
    );
    c.run(71, 119);
    assert_eq!(c.people().len(), 4);
}

#[test]
fn a_step_that_reaches_nobody_says_why_and_the_next_runs_at_once() {
    let mut plan = plan();
    plan.people.remove("ben");
    plan.channels.retain(|c| c.contact == Contact::Phone);
    let mut c = Console::new(plan);
    c.open(0, Severity::P1);
    c.run(0, 60);
    assert_eq!(
        c.people(),
        [(0, "ann"), (15, "cto"), (45, "ceo")].map(|(m, p)| (m, p.to_owned())),
        "the officer's step is skipped at once, its waiting with it"
    );
    assert!(
        c.log.iter().any(|(m, k, t)| *m == 15
            && *k == EntryKind::EscalationFailed
            && t.contains("nobody has the role 'officer'")),
        "{:?}",
        c.log
    );
}

#[test]
fn two_officers_who_escalate_at_once_skip_nobody() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    let seen = c.incidents[&number].clone();
    let stage = seen.handling.ladder.as_ref().map(wf_model::Ladder::stage);
    c.take(escalate::now(at(1), &who(), &seen, c.registry.plan(), stage).unwrap());
    assert_eq!(c.people(), [(0, "ann"), (1, "ben")].map(|(m, p)| (m, p.to_owned())));
    let current = c.incidents[&number].clone();
    let second = escalate::now(at(1), &Actor::Operator("Ben".into()), &current, c.registry.plan(), stage);
    assert_eq!(second.unwrap_err(), Refusal::Stale { number });
    // The wait of the step that was told by hand counts from then.
    c.run(1, 15);
    assert_eq!(c.people().len(), 2);
    c.run(16, 16);
    assert_eq!(c.people()[2], (16, "cto".to_owned()));
}

#[test]
fn an_acknowledged_incident_can_be_escalated_by_one_step_and_no_more() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(
        lifecycle::acknowledge(at(1), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    c.take(escalate::now(at(2), &who(), &c.incidents[&number].clone(), c.registry.plan(), None).unwrap());
    c.run(2, 30);
    assert_eq!(c.people(), [(0, "ann"), (2, "ben")].map(|(m, p)| (m, p.to_owned())));
}

#[test]
fn a_snooze_holds_the_ladder_and_ends_where_it_stood() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(lifecycle::snooze(at(5), &who(), &c.incidents[&number].clone(), at(100), None, chrono_tz::UTC).unwrap());
    c.run(5, 99);
    assert_eq!(c.people().len(), 1);
    c.run(100, 100);
    assert_eq!(c.people()[1], (100, "ben".to_owned()));
    for (until, expected) in
        [(at(99), Refusal::NotInFuture), (at(100) + Duration::from_secs(8 * 86_400), Refusal::TooLong)]
    {
        assert_eq!(
            lifecycle::snooze(at(100), &who(), &c.incidents[&number].clone(), until, None, chrono_tz::UTC).unwrap_err(),
            expected
        );
    }
}

#[test]
fn a_silence_mutes_new_notifications_never_a_resolve_and_its_end_tells_what_still_fires() {
    let mut c = Console::new(plan());
    let loud = c.open(0, Severity::P1);
    c.take(
        silence::add(
            at(1),
            &who(),
            "s1".into(),
            Matcher { kind: Some("K".into()), ..Matcher::default() },
            "maintenance",
            at(60),
        )
        .unwrap(),
    );
    let quiet = c.open(2, Severity::P1);
    assert_eq!(c.incidents[&quiet].handling.silenced_by.as_deref(), Some("s1"));
    assert!(c.owed.iter().all(|n| n.page.number != quiet));
    // Whoever was told before is told of the end.
    let resolved =
        lifecycle::resolve(at(3), &who(), &c.incidents[&loud].clone(), Verdict::Benign, None, c.registry.plan())
            .unwrap();
    assert!(resolved.notifications.iter().any(|n| n.purpose == Purpose::Resolved));
    c.take(resolved);
    assert_eq!(silence::due(at(59), &c.registry), Vec::<String>::new());
    assert_eq!(silence::due(at(60), &c.registry), ["s1"]);
    let ended = silence::end(at(60), &Actor::Engine, &c.registry, "s1").unwrap();
    c.take(ended);
    assert_eq!(c.people().last(), Some(&(60, "ann".to_owned())));
    assert!(c.owed.iter().any(|n| n.page.number == quiet && n.purpose == Purpose::Trigger));
    assert_eq!(silence::end(at(61), &who(), &c.registry, "s1").unwrap_err(), Refusal::NoSilence { id: "s1".into() });
    assert_eq!(
        silence::add(at(1), &who(), "s2".into(), Matcher::default(), "x", at(60)).unwrap_err(),
        Refusal::SilenceOfEverything
    );
}

#[test]
fn merging_and_taking_out_again_leaves_both_as_they_were_and_traces_on_both() {
    let mut c = Console::new(plan());
    let (a, b) = (c.open(0, Severity::P2), c.open(1, Severity::P1));
    let before = c.incidents[&a].clone();
    c.take(merge::merge(at(2), &who(), &c.incidents[&a].clone(), &c.incidents[&b].clone(), c.registry.plan()).unwrap());
    assert_eq!((c.incidents[&a].count, c.incidents[&a].severity), (2, Severity::P1));
    assert_eq!((c.incidents[&b].verdict, c.incidents[&b].handling.merged_into), (Some(Verdict::Duplicate), Some(a)));
    // What the part would have taken goes to the whole.
    let again = c.registry.fold(at(3), &[hit(Severity::P1, "1", at(3))]);
    assert_eq!((again.incidents.len(), again.incidents[0].number, again.incidents[0].count), (1, a, 3));
    let people = c.people().len();
    c.run(3, 14);
    assert_eq!(c.people().len(), people, "the part asks nobody");
    c.take(
        merge::unmerge(at(15), &who(), &c.incidents[&a].clone(), &c.incidents[&b].clone(), c.registry.plan()).unwrap(),
    );
    assert_eq!((c.incidents[&a].count, c.incidents[&a].severity), (before.count, before.severity));
    assert!(c.incidents[&b].is_live() && c.incidents[&b].count == 1);
    let own = c.registry.fold(at(16), &[hit(Severity::P1, "1", at(16))]);
    assert_eq!(own.incidents[0].number, b, "its matches are its own again");
    assert!(
        merge::merge(at(17), &who(), &c.incidents[&a].clone(), &c.incidents[&a].clone(), c.registry.plan()).is_err()
    );
    assert_eq!(c.log.iter().filter(|(_, k, _)| *k == EntryKind::Merged).count(), 2);
    assert_eq!(c.log.iter().filter(|(_, k, _)| *k == EntryKind::Split).count(), 2);
}

#[test]
fn chosen_matches_are_moved_out_and_new_ones_go_on_to_the_old_incident() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P2);
    let mut folded = Vec::new();
    for minute in 1..4 {
        let changes = c.registry.fold(at(minute), &[hit(Severity::P2, "0", at(minute))]);
        folded.extend(changes.folded.clone());
        c.take(changes);
    }
    let all = c.incidents[&number].clone();
    assert_eq!(
        merge::split(at(5), &who(), &all, 9, &[], c.registry.plan()).unwrap_err(),
        Refusal::SplitOfAll { number }
    );
    let changes = merge::split(at(5), &who(), &all, c.registry.next_number(), &folded[..2], c.registry.plan()).unwrap();
    assert_eq!(changes.folded.len(), 4);
    c.take(changes);
    let new = c.incidents.values().last().unwrap().clone();
    assert_eq!((c.incidents[&number].count, new.count, new.handling.split_from), (2, 2, Some(number)));
    assert_eq!(c.registry.fold(at(6), &[hit(Severity::P2, "0", at(6))]).incidents[0].number, number);
    // Merging is the undo.
    c.take(merge::merge(at(7), &who(), &c.incidents[&number].clone(), &new, c.registry.plan()).unwrap());
    assert_eq!(c.incidents[&number].count, 4);
}

#[test]
fn in_a_storm_one_notification_stands_for_all_and_every_incident_is_still_there() {
    let mut c = Console::new(plan());
    let hits: Vec<Match> =
        (0..500).map(|n| hit(Severity::P2, &format!("10.0.{}.{}", n / 250, n % 250), at(0))).collect();
    for chunk in hits.chunks(20) {
        let changes = c.registry.fold(at(0), chunk);
        c.take(changes);
    }
    assert_eq!(c.incidents.values().filter(|i| i.rule == "r").count(), 500);
    let storm = c.incidents.values().find(|i| i.kind == "INCIDENT_STORM").unwrap();
    assert_eq!(storm.count, 440);
    let told: std::collections::BTreeSet<u64> = c.owed.iter().map(|n| n.page.number).collect();
    assert_eq!(told.len(), 61, "the first sixty and the storm");
    assert!(c.registry.calm(at(4)).is_none());
    let over = c.registry.calm(at(6)).unwrap();
    c.take(over);
    assert!(c.log.iter().any(|(_, _, t)| t.contains("The storm is over: 440 incidents")), "{:?}", c.log.last());
    assert!(c.registry.calm(at(7)).is_none(), "said once");
}

#[test]
fn the_watchdog_tells_of_an_overdue_step_and_of_an_incident_without_a_ladder_once() {
    let mut c = Console::new(Plan::default());
    let number = c.open(0, Severity::P1);
    assert!(c.owed.is_empty());
    c.registry.set_plan(Arc::new(plan()));
    let changes = escalate::watch(at(1), c.registry.plan(), c.registry.live());
    assert_eq!(changes.notices.len(), 1);
    c.take(changes);
    assert_eq!(c.people(), [(1, "ann".to_owned())], "and escalation begins");
    let changes = escalate::watch(at(20), c.registry.plan(), c.registry.live());
    assert_eq!((changes.incidents.len(), changes.notices.len()), (1, 1), "four minutes overdue");
    c.take(changes);
    assert_eq!(escalate::watch(at(21), c.registry.plan(), c.registry.live()), Changes::default());
    assert_eq!(number, 1);
}

#[test]
fn a_clock_that_was_set_back_puts_no_step_off_by_more_than_its_own_time() {
    let mut c = Console::new(plan());
    c.open(600, Severity::P1);
    let changes = escalate::watch(at(0), c.registry.plan(), c.registry.live());
    c.take(changes);
    c.run(0, 14);
    assert_eq!(c.people().len(), 1);
    c.run(15, 15);
    assert_eq!(c.people()[1], (15, "ben".to_owned()));
}

#[test]
fn a_graver_match_takes_the_ladder_of_the_graver_severity() {
    let mut c = Console::new(plan());
    c.open(0, Severity::P3);
    let changes = c.registry.fold(at(2), &[hit(Severity::P1, "0", at(2))]);
    c.take(changes);
    c.run(2, 20);
    assert!(c.owed.iter().any(|n| n.created_at == at(2) && n.to.channel == "phone"));
    assert_eq!(c.people().last(), Some(&(17, "ben".to_owned())));
}

#[test]
fn editing_the_policy_does_not_move_a_ladder_that_runs() {
    let mut c = Console::new(plan());
    c.open(0, Severity::P1);
    let mut other = plan();
    other.severities.insert(Severity::P1, toml::from_str("policy = \"none\"").unwrap());
    c.registry.set_plan(Arc::new(other));
    c.run(0, 15);
    assert_eq!(c.people().last(), Some(&(15, "ben".to_owned())));
    let none = c.open(16, Severity::P1);
    assert_eq!(c.incidents[&none].handling.ladder, None);
}

#[test]
fn an_incident_that_everybody_ignored_and_somebody_acknowledged_and_forgot_is_told_again_from_the_beginning() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.run(0, 125);
    assert!(c.incidents[&number].handling.ladder.as_ref().unwrap().exhausted);
    c.take(
        lifecycle::acknowledge(at(126), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    c.run(126, 200);
    assert_eq!(
        c.people()[4],
        (161, "ann".to_owned()),
        "half an hour, a reminder, five minutes: then the first step again"
    );
}

#[test]
fn an_acknowledged_incident_that_becomes_graver_is_told_to_all_and_asked_about_sooner() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P3);
    c.take(
        lifecycle::acknowledge(at(1), &who(), &c.incidents[&number].clone(), None, None, c.registry.plan()).unwrap(),
    );
    assert_eq!(c.incidents[&number].handling.acknowledged_until, None);
    let changes = c.registry.fold(at(2), &[hit(Severity::P1, "0", at(2))]);
    assert!(
        changes.notifications.iter().any(|n| n.purpose == Purpose::Grew && n.page.remarks[0].contains("P1 Critical")),
        "{changes:?}"
    );
    c.take(changes);
    assert_eq!(c.incidents[&number].handling.acknowledged_until, Some(at(32)));
    c.run(2, 37);
    assert_eq!(c.people().last(), Some(&(37, "ann".to_owned())), "nobody stood by it as a P1");
}

#[test]
fn a_silence_for_small_things_and_a_snooze_do_not_hide_what_becomes_grave() {
    let mut c = Console::new(plan());
    c.take(
        silence::add(
            at(0),
            &who(),
            "s1".into(),
            Matcher { severity: Some(Severity::P3), ..Matcher::default() },
            "noise",
            at(600),
        )
        .unwrap(),
    );
    let quiet = c.open(1, Severity::P3);
    assert!(c.incidents[&quiet].handling.silenced_by.is_some() && c.owed.is_empty());
    let changes = c.registry.fold(at(2), &[hit(Severity::P1, "1", at(2))]);
    c.take(changes);
    assert_eq!(c.people(), [(2, "ann".to_owned())]);
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P3);
    c.take(lifecycle::snooze(at(1), &who(), &c.incidents[&number].clone(), at(50), None, chrono_tz::UTC).unwrap());
    let changes = c.registry.fold(at(2), &[hit(Severity::P1, "0", at(2))]);
    c.take(changes);
    c.run(2, 50);
    assert!(c.owed.iter().any(|n| n.created_at == at(50) && n.to.channel == "phone"), "it wakes to the ladder of a P1");
}

#[test]
fn a_flood_of_small_things_never_hides_a_p1_and_what_a_storm_hid_is_told_when_it_is_over() {
    let mut c = Console::new(plan());
    let flood: Vec<Match> = (0..200).map(|n| hit(Severity::P3, &format!("10.0.0.{n}"), at(0))).collect();
    let changes = c.registry.fold(at(0), &flood);
    c.take(changes);
    let changes = c.registry.fold(at(0), &[hit(Severity::P1, "203.0.113.9", at(0))]);
    assert!(
        changes.notifications.iter().any(|n| n.severity == Severity::P1 && n.to.channel == "phone"),
        "the P1 is told at once"
    );
    c.take(changes);
    // A storm of P1 is told as one; when it is over, those still open stand for themselves.
    let mut c = Console::new(plan());
    let storm: Vec<Match> = (0..70).map(|n| hit(Severity::P1, &format!("10.0.0.{n}"), at(0))).collect();
    let changes = c.registry.fold(at(0), &storm);
    c.take(changes);
    let hidden: Vec<u64> =
        c.incidents.values().filter(|i| i.handling.in_storm && i.rule == "r").map(|i| i.number).collect();
    assert_eq!(hidden.len(), 10);
    let over = c.registry.calm(at(6)).unwrap();
    c.take(over);
    for number in hidden {
        assert!(
            !c.incidents[&number].handling.in_storm
                && c.owed.iter().any(|n| n.page.number == number && n.created_at == at(6))
        );
    }
}

#[test]
fn a_grave_part_gives_the_whole_its_ladder() {
    let mut c = Console::new(plan());
    let (a, b) = (c.open(0, Severity::P3), c.open(1, Severity::P1));
    c.take(merge::merge(at(2), &who(), &c.incidents[&a].clone(), &c.incidents[&b].clone(), c.registry.plan()).unwrap());
    c.run(2, 20);
    assert_eq!(c.people().last(), Some(&(17, "ben".to_owned())));
}

#[test]
fn whoever_is_asked_again_after_a_reopening_is_not_told_besides_that_it_is_back() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(
        lifecycle::resolve(at(1), &who(), &c.incidents[&number].clone(), Verdict::Benign, None, c.registry.plan())
            .unwrap(),
    );
    let changes = lifecycle::reopen(at(2), &who(), &c.incidents[&number].clone(), None, c.registry.plan()).unwrap();
    assert_eq!(
        changes.supersede,
        [c.incidents[&number].id.clone()],
        "news of its end that was not sent yet is not news any more"
    );
    let mut places: Vec<_> =
        changes.notifications.iter().map(|n| (n.to.channel.clone(), n.to.address.clone())).collect();
    let all = places.len();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), all, "one message a place");
}

#[test]
fn a_longer_acknowledgement_that_was_asked_for_stands_when_somebody_adds_a_note() {
    let mut c = Console::new(plan());
    let number = c.open(0, Severity::P1);
    c.take(
        lifecycle::acknowledge(
            at(1),
            &who(),
            &c.incidents[&number].clone(),
            None,
            Some(Duration::from_secs(8 * 3600)),
            c.registry.plan(),
        )
        .unwrap(),
    );
    c.take(lifecycle::note(at(2), &who(), &c.incidents[&number].clone(), "n", c.registry.plan()).unwrap());
    assert_eq!(c.incidents[&number].handling.acknowledged_until, Some(at(481)));
}

#[test]
fn an_override_that_ends_while_the_ladder_runs_ends_for_the_next_step() {
    let mut p = plan();
    p.schedules.insert("soc".into(), toml::from_str("time_zone = \"UTC\"\nlayer = [{ people = [\"ann\"], rotation = \"daily\", start = \"1969-01-01T00:00\" }]\noverride = [{ person = \"cto\", from = \"1969-12-31T20:00\", to = \"1970-01-01T00:05\" }]").unwrap());
    p.policies.insert(
        "p".into(),
        toml::from_str("repeat = 1\nstep = [{ notify = [\"schedule:soc\"], wait = \"10m\" }]").unwrap(),
    );
    p.severities.insert(Severity::P1, toml::from_str("policy = \"p\"").unwrap());
    let mut c = Console::new(p);
    c.open(0, Severity::P1);
    c.run(0, 30);
    assert_eq!(c.people(), [(0, "cto"), (10, "ann")].map(|(m, p)| (m, p.to_owned())));
}

#[derive(Clone, Debug)]
enum Act {
    Wait(i64),
    Acknowledge,
    Reopen,
    Resolve,
    Escalate,
    Snooze(i64),
    /// The console is down, then starts from what was committed.
    Crash(i64),
    /// The clock is set back.
    Back(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1i64..40).prop_map(Act::Wait),
        2 => Just(Act::Acknowledge),
        1 => Just(Act::Reopen),
        1 => Just(Act::Resolve),
        1 => Just(Act::Escalate),
        1 => (1i64..90).prop_map(Act::Snooze),
        1 => (1i64..120).prop_map(Act::Crash),
        1 => (1i64..30).prop_map(Act::Back),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_happens_nobody_is_skipped_nobody_is_asked_while_somebody_is_on_it_and_no_key_is_used_twice(acts in prop::collection::vec(act(), 1..40), repeat in 0u32..3) {
        let mut plan = plan();
        plan.policies.insert("p".into(), toml::from_str(&format!("repeat = {repeat}\nstep = [{{ notify = [\"person:ann\"], wait = \"10m\" }}, {{ notify = [\"person:ben\"], wait = \"10m\" }}, {{ notify = [\"person:ceo\"], wait = \"10m\" }}]")).unwrap());
        plan.severities.insert(Severity::P1, toml::from_str("policy = \"p\"").unwrap());
        let mut c = Console::new(plan);
        let mut minute = 0i64;
        let number = c.open(0, Severity::P1);
        for act in acts {
            let i = c.incidents[&number].clone();
            let asked = |c: &Console| c.owed.iter().filter(|n| n.purpose == Purpose::Trigger).count();
            match act {
                Act::Wait(m) => {
                    for _ in 0..m {
                        minute += 1;
                        let (before, open) = (asked(&c), c.incidents[&number].clone());
                        c.tick(minute);
                        let after = &c.incidents[&number];
                        let stood_still = !open.is_live() || (open.acknowledged_by.is_some() && after.acknowledged_by.is_some()) || open.handling.snoozed_until.is_some_and(|t| t > at(minute));
                        prop_assert!(!stood_still || asked(&c) == before, "asked while somebody is on it");
                    }
                }
                Act::Acknowledge => if let Ok(x) = lifecycle::acknowledge(at(minute), &who(), &i, None, None, c.registry.plan()) { c.take(x) },
                Act::Reopen => if let Ok(x) = lifecycle::reopen(at(minute), &who(), &i, None, c.registry.plan()) { c.take(x) },
                Act::Resolve => if let Ok(x) = lifecycle::resolve(at(minute), &who(), &i, Verdict::Benign, None, c.registry.plan()) { c.take(x) },
                Act::Escalate => if let Ok(x) = escalate::now(at(minute), &who(), &i, c.registry.plan(), None) { c.take(x) },
                Act::Snooze(m) => if let Ok(x) = lifecycle::snooze(at(minute), &who(), &i, at(minute + m), None, chrono_tz::UTC) { c.take(x) },
                Act::Crash(m) => {
                    minute += m;
                    let kept: Vec<Incident> = c.incidents.values().map(|i| serde_json::from_str(&serde_json::to_string(i).unwrap()).unwrap()).collect();
                    c.registry = IncidentRegistry::new(Settings::default(), c.registry.plan().clone(), 1, kept, vec![]);
                    c.tick(minute);
                }
                Act::Back(m) => { minute -= m; c.tick(minute); }
            }
            // Left alone, an open incident is always on its way to somebody, or has told everybody.
            let i = &c.incidents[&number];
            if i.is_live() && i.acknowledged_by.is_none() && i.handling.snoozed_until.is_none() {
                let l = i.handling.ladder.as_ref().unwrap();
                prop_assert!(l.due.is_some() || l.exhausted, "a ladder that stands still: {:?}", l);
            }
        }
        // Steps come in order, each as often as the rounds say.
        let steps: Vec<(u32, u32)> = c.log.iter().filter(|(_, k, t)| *k == EntryKind::Escalated && t.starts_with("Step")).map(|(_, _, t)| {
            let step = t["Step ".len()..].split(' ').next().unwrap().parse().unwrap();
            let round = t.split("round ").nth(1).map_or(1, |r| r.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap());
            (round, step)
        }).collect();
        for pair in steps.windows(2) {
            let next = pair[1] == (pair[0].0, pair[0].1 + 1) || (pair[0].1 == 3 && pair[1] == (pair[0].0 + 1, 1)) || pair[1] == (1, 1) || (pair[1].1 == 1 && pair[1].0 > pair[0].0);
            prop_assert!(next, "a step was skipped or repeated: {:?}", steps);
        }
        let mut keys: Vec<&str> = c.owed.iter().map(|n| n.key.as_str()).collect();
        keys.sort_unstable();
        prop_assert!(keys.windows(2).all(|w| w[0] != w[1]), "a key was used for two messages");
        // Escalated at least once, whatever came.
        prop_assert_eq!(steps[0], (1, 1));
    }
}
