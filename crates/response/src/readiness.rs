//! Who could not be reached, and when: found before it matters. Goes through the coming weeks hour by hour.

use std::collections::BTreeMap;
use std::time::Duration;

use wf_model::{Severity, Target, Timestamp};

use crate::Plan;
use crate::plan::Contact;

/// How far ahead is looked.
pub const AHEAD: Duration = Duration::from_secs(28 * 86_400);
const HOUR: Duration = Duration::from_secs(3600);
/// A channel that has not shown that it works for this long counts as untested.
pub const STALE: Duration = Duration::from_secs(30 * 86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reachable {
    No,
    /// Somebody would be told, but not at once, or over channels that were never seen to work.
    Partly,
    Yes,
}

impl Reachable {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "not",
            Self::Partly => "partly",
            Self::Yes => "reachable",
        }
    }
}

/// A stretch in which the same holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// `None`: about the ladder as a whole.
    pub person: Option<String>,
    pub from: Timestamp,
    pub to: Timestamp,
    pub reachable: Reachable,
    /// Why, in a sentence; empty when all is well.
    pub reason: String,
}

/// What would happen to an incident of each severity at each hour of the coming four weeks, and whether each person
/// could be told.
pub fn look_ahead(plan: &Plan, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for severity in Severity::ALL {
        let mut at = now;
        while at < now + AHEAD {
            let (reachable, reason) = ladder_at(plan, severity, now, at);
            push(&mut findings, Finding { severity, person: None, from: at, to: at + HOUR, reachable, reason });
            at = at + HOUR;
        }
        for person in asked(plan, severity) {
            let mut at = now;
            while at < now + AHEAD {
                let (reachable, reason) = person_at(plan, severity, &person, now, at);
                push(
                    &mut findings,
                    Finding { severity, person: Some(person.clone()), from: at, to: at + HOUR, reachable, reason },
                );
                at = at + HOUR;
            }
        }
    }
    findings
}

fn push(findings: &mut Vec<Finding>, next: Finding) {
    match findings.last_mut() {
        Some(last)
            if (last.severity, &last.person, last.reachable, &last.reason)
                == (next.severity, &next.person, next.reachable, &next.reason) =>
        {
            last.to = next.to
        }
        _ => findings.push(next),
    }
}

/// Sentences about everything that is not well, the worst first, each once.
pub fn sentences(plan: &Plan, now: Timestamp) -> Vec<String> {
    let mut found: BTreeMap<(Reachable, Severity, String), (Timestamp, Duration)> = BTreeMap::new();
    for f in look_ahead(plan, now).into_iter().filter(|f| f.reachable != Reachable::Yes) {
        let entry = found.entry((f.reachable, f.severity, f.reason)).or_insert((f.from, Duration::ZERO));
        entry.1 += f.to.since(f.from);
    }
    let mut sentences: Vec<_> = found.into_iter().collect();
    sentences.sort_by_key(|((reachable, severity, _), _)| (*reachable, std::cmp::Reverse(*severity)));
    sentences
        .into_iter()
        .map(|((_, severity, reason), (first, total))| {
            let when = if total >= AHEAD {
                "at any time".to_owned()
            } else {
                format!(
                    "first on {}, {} h of the coming four weeks",
                    crate::schedule::spoken(plan.zone(), first),
                    total.as_secs() / 3600
                )
            };
            format!("{severity}: {reason} ({when})")
        })
        .collect()
}

/// What an incident would meet that opens at this moment.
fn ladder_at(plan: &Plan, severity: Severity, now: Timestamp, at: Timestamp) -> (Reachable, String) {
    if severity == Severity::P4 && plan.digest.is_some() {
        return (Reachable::Yes, String::new());
    }
    let Some(ladder) = plan.ladder(severity) else {
        return (
            Reachable::No,
            if plan.channels.is_empty() {
                "nobody is told outside this window: there is no [channel.NAME]".into()
            } else {
                format!("nobody is told of {severity}: it has no channels or no policy")
            },
        );
    };
    let mut wait = Duration::ZERO;
    let mut why = Vec::new();
    for (n, step) in ladder.steps.iter().enumerate() {
        let reach = plan.reach(step, at + wait);
        let (works, doubts): (Vec<_>, Vec<_>) = reach.to.iter().partition(|d| trouble(plan, &d.channel, now).is_none());
        if !works.is_empty() && reach.people.is_empty() {
            why.push(format!("step {} reaches places, but no person ({})", n + 1, reach.missing.join(", ")));
        } else if !works.is_empty() {
            return match (n, why.is_empty()) {
                (0, _) => (Reachable::Yes, String::new()),
                _ => (
                    Reachable::Partly,
                    format!(
                        "the first {} to answer is told only in step {}, after {}: {}",
                        "person",
                        n + 1,
                        wf_model::span::spoken(wait),
                        why.join("; ")
                    ),
                ),
            };
        } else {
            let mut reasons: Vec<String> = reach.missing.clone();
            reasons.extend(doubts.iter().filter_map(|d| trouble(plan, &d.channel, now)));
            reasons.dedup();
            why.push(format!(
                "step {} reaches {}: {}",
                n + 1,
                if doubts.is_empty() { "nobody" } else { "people only over channels in doubt" },
                reasons.join(", ")
            ));
            if doubts.is_empty() {
                // It goes on at once.
                continue;
            }
        }
        wait += Duration::from_millis(step.wait);
    }
    let any = ladder.steps.iter().any(|s| !plan.reach(s, at).to.is_empty());
    (if any { Reachable::Partly } else { Reachable::No }, why.join("; "))
}

/// Why a channel may not work.
fn trouble(plan: &Plan, channel: &str, now: Timestamp) -> Option<String> {
    let Some(c) = plan.channel(channel) else { return Some(format!("there is no channel '{channel}'")) };
    if let Some(why) = &c.broken {
        return Some(format!("{channel} is broken: {why}"));
    }
    match c.worked_at {
        None => Some(format!("{channel} was never tested")),
        Some(t) if t + STALE < now => Some(format!("{channel} was not seen to work for a month")),
        Some(_) => None,
    }
}

/// Everybody whom some step of this severity may ask.
fn asked(plan: &Plan, severity: Severity) -> Vec<String> {
    let mut people: Vec<String> = plan
        .ladder(severity)
        .into_iter()
        .flat_map(|l| l.steps)
        .flat_map(|s| s.targets)
        .flat_map(|t| match t {
            Target::Schedule(name) => {
                plan.schedules.get(&name).map(|s| s.people().map(str::to_owned).collect()).unwrap_or_default()
            }
            other => plan.people_of(&other, Timestamp::EPOCH).into_iter().map(str::to_owned).collect::<Vec<_>>(),
        })
        .collect();
    people.sort();
    people.dedup();
    people
}

/// Whether a step that names this person would reach them.
fn person_at(plan: &Plan, severity: Severity, id: &str, now: Timestamp, at: Timestamp) -> (Reachable, String) {
    let name = plan.name(id);
    let Some(person) = plan.people.get(id) else { return (Reachable::No, format!("there is no person '{id}'")) };
    let channels: Vec<_> = plan.channels_for(severity).into_iter().filter_map(|c| plan.channel(&c)).collect();
    let own: Vec<_> = channels
        .iter()
        .filter(|c| match c.contact {
            Contact::Email => !person.email.is_empty(),
            Contact::Phone => !person.phone.is_empty(),
            Contact::Place => false,
        })
        .collect();
    let room = channels.iter().any(|c| c.contact == Contact::Place && trouble(plan, &c.name, now).is_none());
    if own.is_empty() {
        return if room {
            (
                Reachable::Partly,
                format!("{name} has no contact of their own for {severity}, only rooms that several share"),
            )
        } else {
            (
                Reachable::No,
                format!(
                    "{name} cannot be reached: no mail address or telephone number fits the channels of {severity}"
                ),
            )
        };
    }
    if let Some(doubt) = own.iter().map(|c| trouble(plan, &c.name, now)).collect::<Option<Vec<_>>>() {
        return (Reachable::Partly, format!("{name} is reached only over channels in doubt: {}", doubt.join(", ")));
    }
    if severity < Severity::P2
        && let Some(w) = &person.working
        && w.next(person.time_zone, at) > at
    {
        return (Reachable::Partly, format!("{name} is told of {severity} in working hours only"));
    }
    (Reachable::Yes, String::new())
}

impl Plan {
    /// The zone sentences are said in: the first rota's, else UTC.
    pub fn zone(&self) -> chrono_tz::Tz {
        self.schedules.values().next().map_or(chrono_tz::UTC, |s| s.time_zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::plan;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_771_797_600_000)
    }

    fn tested(mut plan: Plan) -> Plan {
        for c in &mut plan.channels {
            c.worked_at = Some(now());
        }
        plan
    }

    #[test]
    fn when_everybody_can_be_told_at_any_hour_nothing_is_said() {
        assert_eq!(sentences(&tested(plan()), now()), Vec::<String>::new());
    }

    #[test]
    fn each_reason_why_somebody_is_not_told_is_a_sentence_that_names_them() {
        let mut broken = tested(plan());
        for c in broken.channels.iter_mut().filter(|c| c.contact != Contact::Place) {
            c.broken = Some("HTTP 401".into());
        }
        let mut hole = tested(plan());
        hole.schedules.insert("soc".into(), toml::from_str("time_zone = \"UTC\"\nlayer = [{ people = [\"ann\"], rotation = \"daily\", start = \"2020-01-01T00:00\", hours = \"06:00-22:00\" }]").unwrap());
        let mut nameless = tested(plan());
        nameless.people.get_mut("ben").unwrap().email.clear();
        nameless.people.get_mut("ben").unwrap().phone.clear();
        let mut nobody = tested(plan());
        nobody.channels.clear();
        let untested = plan();
        for (plan, expected) in [
            (broken, "P1: Ann is reached only over channels in doubt"),
            (hole, "nobody is on call in 'soc'"),
            (nameless, "Ben has no contact of their own for P1"),
            (nobody, "P1: nobody is told outside this window"),
            (untested, "was not seen to work for a month"),
        ] {
            let said = sentences(&plan, now());
            assert!(said.iter().any(|s| s.contains(expected)), "{expected}: {said:#?}");
        }
    }

    #[test]
    fn a_hole_of_eight_hours_a_night_is_counted_over_four_weeks_and_the_worst_comes_first() {
        let mut hole = tested(plan());
        hole.policies.insert(
            "only".into(),
            toml::from_str("step = [{ notify = [\"schedule:soc\"], channels = [\"phone\"], wait = \"10m\" }]").unwrap(),
        );
        hole.severities.insert(Severity::P1, toml::from_str("policy = \"only\"").unwrap());
        hole.schedules.insert("soc".into(), toml::from_str("time_zone = \"UTC\"\nlayer = [{ people = [\"ann\"], rotation = \"daily\", start = \"2020-01-01T00:00\", hours = \"06:00-22:00\" }]").unwrap());
        let not: Duration = look_ahead(&hole, now())
            .iter()
            .filter(|f| f.severity == Severity::P1 && f.person.is_none() && f.reachable != Reachable::Yes)
            .map(|f| f.to.since(f.from))
            .sum();
        assert_eq!(not, Duration::from_secs(28 * 8 * 3600));
        assert!(sentences(&hole, now())[0].starts_with("P1"));
    }
}
