//! Who is told of what, over which channels, and what happens when nobody answers: the part of the config that
//! escalation goes by.

mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wf_model::{Destination, Ladder, Severity, Step, Target, Timestamp};

pub use settings::*;
pub use wf_model::channel::{Contact, Loudness};

use crate::schedule::Schedule;

/// What escalation must know of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInfo {
    pub name: String,
    pub contact: Contact,
    pub loudness: Loudness,
    /// When a message last went through it, or a test.
    pub worked_at: Option<Timestamp>,
    /// Why it is known not to work.
    pub broken: Option<String>,
    /// For certain severities alone.
    pub severities: Vec<Severity>,
}

/// Who is told of what.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub people: BTreeMap<String, Person>,
    pub schedules: BTreeMap<String, Schedule>,
    pub policies: BTreeMap<String, Policy>,
    pub severities: BTreeMap<Severity, SeverityPlan>,
    pub channels: Vec<ChannelInfo>,
    pub digest: Option<Digest>,
    pub escalation: Escalation,
    /// What reply codes are made from.
    pub code_key: [u8; 32],
    /// What a step of a checklist can carry out, by the name the rules use.
    pub actions: BTreeMap<String, ActionInfo>,
}

/// What must be known of a response action to ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionInfo {
    pub title: String,
    /// The field the incident must be about.
    pub about: String,
    pub undo: bool,
    /// Taken back by itself after this. `None`: it lasts, or ends where it was done.
    pub taken_back_after: Option<Duration>,
    pub lasts: Option<Duration>,
    pub without_asking: bool,
}

/// The outbox knows an action by this name of a destination.
pub fn destination_of(action: &str) -> String {
    format!("action.{action}")
}

/// Policies that ship with Watchfloor.
pub const PRESETS: [&str; 2] = ["three-step", "straight-to-ceo"];

impl Plan {
    /// Whether anybody outside this window is told of anything.
    pub fn is_set_up(&self) -> bool {
        !self.channels.is_empty()
    }

    /// What is wrong with it, each a sentence that names its place.
    pub fn check(&self) -> Result<(), String> {
        let person = |place: &str, id: &str| {
            if self.people.contains_key(id) { Ok(()) } else { Err(format!("{place}: there is no [person.{id}]")) }
        };
        for (id, p) in &self.people {
            let number =
                p.phone.strip_prefix('+').is_some_and(|n| n.len() > 5 && n.bytes().all(|b| b.is_ascii_digit()));
            if !p.phone.is_empty() && !number {
                return Err(format!("[person.{id}]: '{}' is no telephone number: write it as +491701234567", p.phone));
            }
            if !p.email.is_empty()
                && (!p.email.contains('@')
                    || p.email.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',')))
            {
                return Err(format!("[person.{id}]: '{}' is no mail address", p.email));
            }
        }
        for (name, s) in &self.schedules {
            for id in s.people() {
                person(&format!("[schedule.{name}]"), id)?;
            }
            if let Some(n) = s.layer.iter().position(|l| l.people.is_empty()) {
                return Err(format!("[schedule.{name}]: layer {} has no people", n + 1));
            }
            if let Some(o) = s.overrides.iter().find(|o| o.from >= o.to) {
                return Err(format!("[schedule.{name}]: the override of {} ends before it begins", o.person));
            }
        }
        for (name, p) in &self.policies {
            let place = format!("[policy.{name}]");
            if PRESETS.contains(&name.as_str()) || name == "none" {
                return Err(format!("{place}: this name is taken by a policy that ships with Watchfloor"));
            }
            if p.step.is_empty() {
                return Err(format!("{place}: it has no step"));
            }
            for step in &p.step {
                for t in &step.notify {
                    match t {
                        Target::Person(id) => person(&place, id)?,
                        Target::Schedule(s) if !self.schedules.contains_key(s) => {
                            return Err(format!("{place}: there is no [schedule.{s}]"));
                        }
                        Target::Role(r) if self.with_role(r).next().is_none() => {
                            return Err(format!("{place}: nobody has the role '{r}'"));
                        }
                        Target::Schedule(_) | Target::Role(_) => {}
                    }
                }
                self.known_channels(&place, &step.channels)?;
                if step.wait < Duration::from_secs(1) {
                    return Err(format!("{place}: a step waits at least a second"));
                }
            }
        }
        for (severity, s) in &self.severities {
            let place = format!("[severity.{severity}]");
            if let Some(name) = &s.policy
                && name != "none"
                && !PRESETS.contains(&name.as_str())
                && !self.policies.contains_key(name)
            {
                return Err(format!("{place}: there is no [policy.{name}]"));
            }
            self.known_channels(&place, s.channels.as_deref().unwrap_or_default())?;
        }
        if let Some(d) = &self.digest {
            for id in &d.to {
                person("[digest]", id)?;
            }
            self.known_channels("[digest]", std::slice::from_ref(&d.channel))?;
        }
        Ok(())
    }

    fn known_channels(&self, place: &str, names: &[String]) -> Result<(), String> {
        match names.iter().find(|n| self.channel(n).is_none()) {
            Some(n) => Err(format!("{place}: there is no [channel.{n}]")),
            None => Ok(()),
        }
    }

    pub fn channel(&self, name: &str) -> Option<&ChannelInfo> {
        self.channels.iter().find(|c| c.name == name)
    }

    pub fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.people.get(id).map(|p| p.name.as_str()).filter(|n| !n.is_empty()).unwrap_or(id)
    }

    fn with_role<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a str> {
        self.people.iter().filter(move |(_, p)| p.roles.iter().any(|r| r == role)).map(|(id, _)| id.as_str())
    }

    /// How long an acknowledgement of this severity holds without activity.
    pub fn acknowledge_for(&self, severity: Severity) -> Option<Duration> {
        match self.severities.get(&severity).and_then(|s| s.acknowledge_for) {
            Some(Hold(d)) => d,
            None => match severity {
                Severity::P1 => Some(Duration::from_secs(30 * 60)),
                Severity::P2 => Some(Duration::from_secs(4 * 3600)),
                Severity::P3 | Severity::P4 => None,
            },
        }
    }

    /// The channels of a severity.
    pub fn channels_for(&self, severity: Severity) -> Vec<String> {
        let loudest = match severity {
            Severity::P1 => Loudness::Wakes,
            Severity::P2 => Loudness::Chat,
            Severity::P3 => Loudness::Mail,
            // The digest alone, unless the config says otherwise.
            Severity::P4 => Loudness::Silent,
        };
        let mut names: Vec<String> = match self.severities.get(&severity).and_then(|s| s.channels.as_ref()) {
            Some(names) => names.clone(),
            None => self.channels.iter().filter(|c| c.loudness <= loudest).map(|c| c.name.clone()).collect(),
        };
        for c in self.channels.iter().filter(|c| c.severities.contains(&severity)) {
            if !names.contains(&c.name) {
                names.push(c.name.clone());
            }
        }
        names
    }

    /// The ladder of an incident of this severity, as it is configured now. `None`: nobody is told.
    pub fn ladder(&self, severity: Severity) -> Option<Ladder> {
        let all = self.channels_for(severity);
        let chosen = self.severities.get(&severity);
        if chosen.is_some_and(|s| s.policy.as_deref() == Some("none"))
            || (all.is_empty() && chosen.is_none_or(|s| s.policy.is_none()))
        {
            return None;
        }
        let policy = chosen.and_then(|s| s.policy.clone()).unwrap_or_else(|| PRESETS[0].to_owned());
        let (steps, repeat) = match self.policies.get(&policy) {
            Some(p) => (p.step.clone(), p.repeat),
            None => (self.preset(&policy, severity), 0),
        };
        let steps: Vec<Step> = steps
            .into_iter()
            .map(|s| Step {
                targets: s.notify,
                channels: if s.channels.is_empty() { all.clone() } else { s.channels },
                wait: s.wait.as_millis() as u64,
            })
            .collect();
        (!steps.is_empty()).then_some(Ladder { policy, steps, repeat, next: 0, round: 0, due: None, exhausted: false })
    }

    /// The two ladders that ship. P1: whoever is on call at once, the officer after 15 minutes, the CTO after 30, the
    /// CEO after 60; or straight to the CEO after 15. P2 waits an hour for the next level. P3 and P4 are told once.
    fn preset(&self, name: &str, severity: Severity) -> Vec<PolicyStep> {
        let on_call: Vec<Target> = if self.schedules.is_empty() {
            vec![Target::Role("officer".into())]
        } else {
            self.schedules.keys().cloned().map(Target::Schedule).collect()
        };
        let minutes: &[u64] = match severity {
            Severity::P1 => &[15, 15, 30, 60],
            Severity::P2 => &[60, 60, 60, 60],
            Severity::P3 | Severity::P4 => {
                return vec![PolicyStep { notify: on_call, channels: vec![], wait: Duration::from_secs(24 * 3600) }];
            }
        };
        let levels: &[&str] = if name == "straight-to-ceo" { &["ceo"] } else { &["officer", "cto", "ceo"] };
        let levels = levels.iter().map(|r| vec![Target::Role((*r).to_owned())]);
        // An officer who is told at once is not a level of their own.
        std::iter::once(on_call.clone())
            .chain(levels.filter(|l| *l != on_call))
            .zip(minutes)
            .map(|(notify, m)| PolicyStep { notify, channels: vec![], wait: Duration::from_secs(m * 60) })
            .collect()
    }

    /// Who a target is at this moment: ids of people.
    pub fn people_of(&self, target: &Target, at: Timestamp) -> Vec<&str> {
        match target {
            Target::Person(id) => self.people.get_key_value(id).map(|(id, _)| id.as_str()).into_iter().collect(),
            Target::Role(role) => {
                self.people.iter().filter(|(_, p)| p.roles.contains(role)).map(|(id, _)| id.as_str()).collect()
            }
            Target::Schedule(name) => self.schedules.get(name).and_then(|s| s.at(at)).into_iter().collect(),
        }
    }

    /// Whom a step reaches at this moment, over what; and why it does not reach the others, in sentences.
    pub fn reach(&self, step: &Step, at: Timestamp) -> Reach {
        let mut reach = Reach::default();
        let mut people = BTreeSet::new();
        for target in &step.targets {
            let found = self.people_of(target, at);
            if found.is_empty() {
                reach.missing.push(match target {
                    Target::Person(id) => format!("there is no person '{id}'"),
                    Target::Role(r) => format!("nobody has the role '{r}'"),
                    Target::Schedule(s) => format!("nobody is on call in '{s}'"),
                });
            }
            people.extend(found);
        }
        for name in &step.channels {
            let Some(channel) = self.channel(name) else {
                reach.missing.push(format!("there is no channel '{name}' any more"));
                continue;
            };
            if channel.contact == Contact::Place {
                reach.to.push(Destination { channel: name.clone(), address: String::new(), person: None });
                continue;
            }
            for id in &people {
                match self.address(id, channel.contact) {
                    Some(address) => {
                        reach.to.push(Destination { channel: name.clone(), address, person: Some((*id).to_owned()) })
                    }
                    None => reach.missing.push(format!(
                        "{} has no {} for {name}",
                        self.name(id),
                        if channel.contact == Contact::Email { "mail address" } else { "telephone number" }
                    )),
                }
            }
        }
        reach.people = people.into_iter().map(str::to_owned).collect();
        reach
    }

    fn address(&self, person: &str, contact: Contact) -> Option<String> {
        let p = self.people.get(person)?;
        let address = match contact {
            Contact::Email => &p.email,
            Contact::Phone => &p.phone,
            Contact::Place => return Some(String::new()),
        };
        (!address.is_empty()).then(|| address.clone())
    }

    /// Not before this moment may somebody be told of something that is not urgent.
    pub fn not_before(&self, to: &Destination, severity: Severity, at: Timestamp) -> Timestamp {
        let person = to.person.as_ref().filter(|_| severity < Severity::P2).and_then(|id| self.people.get(id));
        match person {
            Some(Person { working: Some(working), time_zone, .. }) => working.next(*time_zone, at),
            _ => at,
        }
    }

    /// Six characters that acknowledge one incident for one person, once.
    pub fn code(&self, incident: &str, version: u64, person: &str) -> String {
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let mut hash = Sha256::new();
        hash.update(self.code_key);
        hash.update(format!("{incident}\0{version}\0{person}"));
        hash.finalize().iter().take(6).map(|b| char::from(LETTERS[usize::from(b % 32)])).collect()
    }
}

/// Whom a step reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    pub to: Vec<Destination>,
    pub people: Vec<String>,
    /// Why it does not reach more, in sentences.
    pub missing: Vec<String>,
}
