//! JSON records: which mappings read one, and what becomes of its keys.

use serde_json_borrow::Value as Json;
use wf_model::{FieldName, Value};

use super::actions;
use super::draft::Draft;
use super::values::flatten;
use super::{Input, Mapped, Mapping, Reading};
use crate::decode::at;

/// The first words of names in the Elastic Common Schema: what a record says under them is ECS already.
const ECS: &[&str] = &[
    "@timestamp",
    "agent",
    "client",
    "cloud",
    "container",
    "db",
    "destination",
    "dns",
    "ecs",
    "error",
    "event",
    "file",
    "group",
    "host",
    "http",
    "labels",
    "log",
    "message",
    "network",
    "observer",
    "orchestrator",
    "organization",
    "package",
    "process",
    "registry",
    "related",
    "rule",
    "server",
    "service",
    "source",
    "tags",
    "threat",
    "tls",
    "trace",
    "url",
    "user",
    "user_agent",
    "vulnerability",
];

/// Who acted, in order of preference: each is enough to tell one person from another.
const PERSON: &[&str] =
    &["user.name", "user.email", "user.id", "user.full_name", "client.user.name", "source.user.name"];
/// From where.
const ADDRESS: &[&str] = &["source.ip", "client.ip", "source.address", "client.address"];

/// Reads a record with the mappings that fit it.
pub fn read(mappings: &[Mapping], json: &Json, reading: Reading) -> Result<Mapped, Vec<String>> {
    let (mut fitting, mut why) = (Vec::new(), Vec::new());
    for mapping in mappings.iter().filter(|m| m.input == Input::Json) {
        let fits = if json.is_object() { mapping.needs(json) } else { Err("this is JSON but no object".into()) };
        match fits {
            Ok(()) => fitting.push(mapping),
            Err(reason) => why.push(format!("{}: {reason}", mapping.name)),
        }
    }
    if fitting.is_empty() {
        return Err(why);
    }
    if fitting.len() > 1 {
        // The one that knows most of it says what kind of event this is. By name where that is a tie: never by the order
        // in which a config names them.
        fitting.sort_by_cached_key(|m| (std::cmp::Reverse(m.knows(json)), m.name.clone()));
    }
    Ok(of(&fitting, json, reading))
}

/// What these mappings make of a record; the first says what kind of event it is.
pub fn of(mappings: &[&Mapping], json: &Json, reading: Reading) -> Mapped {
    let room = mappings.iter().map(|m| m.set.len() + m.fields.len()).sum();
    let (mut draft, mut read) = (Draft::with_capacity(room), Vec::with_capacity(16));
    for mapping in mappings {
        mapping.take(json, &mut draft, &mut read);
    }
    let occurred_at = mappings.iter().find_map(|m| m.time_of(json, reading));
    let whole = mappings.iter().any(|m| m.flatten);
    if !whole {
        read.extend(mappings.iter().flat_map(|m| &m.time).map(|p| first_key(p)));
    }
    read.extend(reading.plumbing.iter().map(String::as_str));
    // What nobody knows is kept: a rule may know it.
    flatten(json, &mut String::new(), &mut draft, &read);
    for mapping in mappings {
        for field in mapping.fields.iter() {
            if let Some(value) = &field.default {
                draft.set_first(field.to.clone(), value.clone());
            }
        }
    }
    for (name, value) in mappings.first().into_iter().flat_map(|m| &m.set) {
        draft.set_constant(name.clone(), value.clone());
    }
    complete(&mut draft);
    Mapped { fields: draft.finish(), occurred_at, times: 1, sign: None }
}

/// What stands in the JSON around a line, and what a mapping says of every event.
pub fn around(mapping: &Mapping, json: Option<&Json>) -> Draft {
    let mut draft = Draft::with_capacity(mapping.set.len() + mapping.fields.len() + mapping.patterns.len().min(8));
    if let Some(json) = json {
        let mut read = Vec::new();
        mapping.take(json, &mut draft, &mut read);
        if mapping.flatten {
            flatten(json, &mut String::new(), &mut draft, &[]);
        }
        for field in mapping.fields.iter() {
            if let Some(value) = &field.default {
                draft.set_first(field.to.clone(), value.clone());
            }
        }
    }
    for (name, value) in &mapping.set {
        draft.set_constant(name.clone(), value.clone());
    }
    draft
}

/// Says under one name what shapes say under several: what was done, by whom, and from where.
pub fn complete(draft: &mut Draft) {
    if let Some(said) = draft.get_str("event.action") {
        let outcome = draft.get_str("event.outcome");
        if let Some(action) = actions::canonical(said, outcome) {
            let said = Value::str(said);
            draft.set("event.action".into(), Value::str(action));
            draft.set_first("watchfloor.reported_as".into(), said);
        }
    }
    for names in [PERSON, ADDRESS] {
        let Some((first, others)) = names.split_first() else { continue };
        if draft.get_str(first).is_none()
            && let Some(value) = others.iter().find_map(|n| draft.get_str(n)).map(Value::str)
        {
            draft.set_first(FieldName::from(*first), value);
        }
    }
}

fn first_key(pointer: &str) -> &str {
    pointer.split('/').nth(1).unwrap_or_default()
}

impl Mapping {
    /// Takes the fields it knows; `read` gets the keys they stood under.
    fn take<'m>(&'m self, json: &Json, draft: &mut Draft, read: &mut Vec<&'m str>) {
        for field in self.fields.iter() {
            let found = field.from.iter().find_map(|p| Some((p, field.read(at(json, p)?, &mut draft.cut)?)));
            if let Some((pointer, value)) = found {
                draft.set_first(field.to.clone(), value);
                // A part of an object: the rest of it is not read by that.
                if pointer.matches('/').count() == 1 && !pointer.contains('~') {
                    read.push(first_key(pointer));
                }
            }
        }
    }

    /// How much of a record it knows.
    fn knows(&self, json: &Json) -> usize {
        let mut cut = 0;
        let fields = self.fields.iter();
        let known = fields.filter(|f| f.from.iter().any(|p| at(json, p).and_then(|v| f.read(v, &mut cut)).is_some()));
        let ecs = |key: &str| ECS.contains(&key.split('.').next().unwrap_or_default());
        let plain = |(key, value): (&str, &Json)| ecs(key) && (value.is_object() || key.contains('.'));
        let of_ecs = match json {
            Json::Object(map) if self.flatten => map.iter().filter(|(k, v)| plain((k, v))).count(),
            _ => 0,
        };
        known.count() + of_ecs
    }
}
