//! What the tests of this room share: a plan with four people and five channels, matches, and a console that is nothing
//! but its registry.

use std::sync::Arc;

use wf_model::{
    Actor, Contribution, Entity, EntryKind, FeedName, Incident, Match, Message, Notification, Part, Purpose, Seq,
    Severity, Timestamp,
};

use crate::plan::{ChannelInfo, Contact, Digest, Loudness, Person};
use crate::{Changes, IncidentRegistry, Plan, Settings, escalate};

pub(crate) const MINUTE: i64 = 60_000;

/// Ann, day after day.
const SOC: &str = r#"
time_zone = "UTC"
layer = [{ people = ["ann"], rotation = "daily", start = "1969-01-01T00:00" }]
"#;

pub(crate) fn at(minutes: i64) -> Timestamp {
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
        people: [
            ("ann", person(&["duty"], "Ann")),
            ("ben", person(&["officer"], "Ben")),
            ("cto", person(&["cto"], "Carla")),
            ("ceo", person(&["ceo"], "Dora")),
        ]
        .map(|(id, p)| (id.to_owned(), p))
        .into(),
        schedules: [("soc".to_owned(), toml::from_str(SOC).unwrap())].into(),
        channels: vec![
            channel("phone", Contact::Phone, Loudness::Wakes),
            channel("sms", Contact::Phone, Loudness::Wakes),
            channel("slack", Contact::Place, Loudness::Chat),
            channel("mail", Contact::Email, Loudness::Mail),
            channel("pagerduty", Contact::Place, Loudness::Chat),
        ],
        digest: Some(Digest {
            at: chrono::NaiveTime::MIN,
            time_zone: chrono_tz::UTC,
            channel: "mail".into(),
            to: vec!["ben".into()],
        }),
        ..Plan::default()
    }
}

pub(crate) fn hit(severity: Severity, entity: &str, at: Timestamp) -> Match {
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
pub(crate) struct Console {
    pub(crate) registry: IncidentRegistry,
    pub(crate) owed: Vec<Notification>,
    pub(crate) log: Vec<(i64, EntryKind, String)>,
    pub(crate) incidents: std::collections::BTreeMap<u64, Incident>,
}

impl Console {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            registry: IncidentRegistry::new(Settings::default(), Arc::new(plan), 0, [], vec![]),
            owed: vec![],
            log: vec![],
            incidents: Default::default(),
        }
    }

    pub(crate) fn take(&mut self, changes: Changes) {
        self.registry.apply(&changes);
        // Cancelled where nothing was sent: here everything is sent at once, so only what is due later can be
        // withdrawn.
        self.owed.extend(changes.notifications);
        self.log.extend(changes.timeline.into_iter().map(|e| (e.at.millis() / MINUTE, e.kind, e.text)));
        for i in changes.incidents {
            self.incidents.insert(i.number, i);
        }
    }

    pub(crate) fn open(&mut self, minute: i64, severity: Severity) -> u64 {
        let c = self.registry.fold(at(minute), &[hit(severity, &minute.to_string(), at(minute))]);
        let number = c.incidents[0].number;
        self.take(c);
        number
    }

    /// Time passes, looked at every minute.
    pub(crate) fn run(&mut self, from: i64, to: i64) {
        for minute in from..=to {
            self.tick(minute);
        }
    }

    pub(crate) fn tick(&mut self, minute: i64) {
        for i in self.incidents.clone().into_values() {
            if let Some(c) = escalate::on_due(at(minute), &i, self.registry.plan()) {
                self.take(c);
            }
        }
    }

    /// Who was asked at which minute, over what.
    pub(crate) fn asked(&self) -> Vec<(i64, String)> {
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

    pub(crate) fn people(&self) -> Vec<(i64, String)> {
        self.asked().into_iter().filter(|(_, who)| who.len() == 3).collect()
    }
}

pub(crate) fn who() -> Actor {
    Actor::Operator("Ann".into())
}
