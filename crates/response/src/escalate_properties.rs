//! Whatever happens: nobody skipped, nobody asked after an acknowledgement, every step once, in order.

use proptest::prelude::*;
use wf_model::{EntryKind, Incident, Purpose, Severity, Verdict};

use crate::test_support::{Console, at, plan, who};
use crate::{IncidentRegistry, Settings, escalate, lifecycle};

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

fn nobody_is_skipped_or_asked_in_vain(acts: Vec<Act>, repeat: u32) -> Result<(), TestCaseError> {
    let mut plan = plan();
    let steps = ["ann", "ben", "ceo"].map(|p| format!("{{ notify = [\"person:{p}\"], wait = \"10m\" }}"));
    let policy = format!("repeat = {repeat}\nstep = [{}]", steps.join(", "));
    plan.policies.insert("p".into(), toml::from_str(&policy).unwrap());
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
                    let stood_still = !open.is_live()
                        || (open.acknowledged_by.is_some() && after.acknowledged_by.is_some())
                        || open.handling.snoozed_until.is_some_and(|t| t > at(minute));
                    prop_assert!(!stood_still || asked(&c) == before, "asked while somebody is on it");
                }
            }
            Act::Acknowledge => {
                if let Ok(x) = lifecycle::acknowledge(at(minute), &who(), &i, None, None, c.registry.plan()) {
                    c.take(x)
                }
            }
            Act::Reopen => {
                if let Ok(x) = lifecycle::reopen(at(minute), &who(), &i, None, c.registry.plan()) {
                    c.take(x)
                }
            }
            Act::Resolve => {
                if let Ok(x) = lifecycle::resolve(at(minute), &who(), &i, Verdict::Benign, None, c.registry.plan()) {
                    c.take(x)
                }
            }
            Act::Escalate => {
                if let Ok(x) = escalate::now(at(minute), &who(), &i, c.registry.plan(), None) {
                    c.take(x)
                }
            }
            Act::Snooze(m) => {
                if let Ok(x) = lifecycle::snooze(at(minute), &who(), &i, at(minute + m), None, chrono_tz::UTC) {
                    c.take(x)
                }
            }
            Act::Crash(m) => {
                minute += m;
                let kept: Vec<Incident> = c
                    .incidents
                    .values()
                    .map(|i| serde_json::from_str(&serde_json::to_string(i).unwrap()).unwrap())
                    .collect();
                c.registry = IncidentRegistry::new(Settings::default(), c.registry.plan().clone(), 1, kept, vec![]);
                c.tick(minute);
            }
            Act::Back(m) => {
                minute -= m;
                c.tick(minute);
            }
        }
        // Left alone, an open incident is always on its way to somebody, or has told everybody.
        let i = &c.incidents[&number];
        if i.is_live() && i.acknowledged_by.is_none() && i.handling.snoozed_until.is_none() {
            let l = i.handling.ladder.as_ref().unwrap();
            prop_assert!(l.due.is_some() || l.exhausted, "a ladder that stands still: {:?}", l);
        }
    }
    // Steps come in order, each as often as the rounds say.
    let steps: Vec<(u32, u32)> = c
        .log
        .iter()
        .filter(|(_, k, t)| *k == EntryKind::Escalated && t.starts_with("Step"))
        .map(|(_, _, t)| {
            let step = t["Step ".len()..].split(' ').next().unwrap().parse().unwrap();
            let round = t
                .split("round ")
                .nth(1)
                .map_or(1, |r| r.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap());
            (round, step)
        })
        .collect();
    for pair in steps.windows(2) {
        let next = pair[1] == (pair[0].0, pair[0].1 + 1)
            || (pair[0].1 == 3 && pair[1] == (pair[0].0 + 1, 1))
            || pair[1] == (1, 1)
            || (pair[1].1 == 1 && pair[1].0 > pair[0].0);
        prop_assert!(next, "a step was skipped or repeated: {:?}", steps);
    }
    let mut keys: Vec<&str> = c.owed.iter().map(|n| n.key.as_str()).collect();
    keys.sort_unstable();
    prop_assert!(keys.windows(2).all(|w| w[0] != w[1]), "a key was used for two messages");
    // Escalated at least once, whatever came.
    prop_assert_eq!(steps[0], (1, 1));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_happens_nobody_is_skipped_nobody_is_asked_while_somebody_is_on_it_and_no_key_is_used_twice(
        acts in prop::collection::vec(act(), 1..40),
        repeat in 0u32..3,
    ) {
        nobody_is_skipped_or_asked_in_vain(acts, repeat)?;
    }
}
