//! The ladders that ship, on a simulated clock: every step once, in order, and nobody skipped.

use std::sync::Arc;

use wf_model::{Actor, EntryKind, Severity};

use crate::plan::Contact;
use crate::test_support::{Console, at, hit, plan, who};
use crate::{Changes, Plan, Refusal, escalate, lifecycle};

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
fn an_override_that_ends_while_the_ladder_runs_ends_for_the_next_step() {
    let mut p = plan();
    let rota = r#"
        time_zone = "UTC"
        layer = [{ people = ["ann"], rotation = "daily", start = "1969-01-01T00:00" }]
        override = [{ person = "cto", from = "1969-12-31T20:00", to = "1970-01-01T00:05" }]
    "#;
    p.schedules.insert("soc".into(), toml::from_str(rota).unwrap());
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
