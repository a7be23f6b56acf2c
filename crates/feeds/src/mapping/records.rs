//! JSON records: which mappings read one, and what becomes of its keys.

use std::collections::HashMap;

use serde_json_borrow::Value as Json;
use wf_model::{FieldName, Value};

use super::actions;
use super::draft::Draft;
use super::values::{Field, flatten};
use super::{Input, Mapped, Mapping, Reading, Source};
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
    Ok(of(&fitting, json, reading))
}

/// What these mappings make of a record. The one that knows most of it says what kind of event it is; by name where that
/// is a tie, and never by the order in which a config names them.
pub fn of(mappings: &[&Mapping], json: &Json, reading: Reading) -> Mapped {
    let mut found: Vec<_> = mappings.iter().map(|m| (*m, m.found(json))).collect();
    if found.len() > 1 {
        found.sort_by_cached_key(|(m, found)| (std::cmp::Reverse(m.knows(json, found)), m.name.clone()));
    }
    let (mut draft, mut read) = (Draft::with_capacity(24), Vec::new());
    for (mapping, found) in &found {
        mapping.take(found, &mut draft, &mut read);
    }
    let mappings: Vec<&Mapping> = found.into_iter().map(|(mapping, _)| mapping).collect();
    let mappings = mappings.as_slice();
    for pointer in mappings.iter().flat_map(|m| &m.lift) {
        if let Some(object) = at(json, pointer) {
            flatten(object, &mut String::new(), &mut draft, &[]);
        }
    }
    let occurred_at = mappings.iter().find_map(|m| m.time_of(json, reading));
    if mappings.iter().any(|m| m.flatten) {
        flatten(json, &mut String::new(), &mut draft, &read);
    }
    for mapping in mappings {
        for field in mapping.fields.iter() {
            if let Some(value) = &field.default {
                draft.set_first(field.to.clone(), value.clone());
            }
        }
    }
    if let Some(first) = mappings.first() {
        let fits = |s: &&Source| s.when.iter().all(|(name, value)| draft.get(name).is_some_and(|v| same(v, value)));
        if let Some(source) = first.sources.iter().find(fits) {
            for (name, value) in &source.set {
                draft.set_constant(name.clone(), value.clone());
            }
        }
        for (name, value) in &first.set {
            draft.set_constant(name.clone(), value.clone());
        }
    }
    complete(&mut draft);
    Mapped { fields: draft.finish(), occurred_at, times: 1, sign: None }
}

/// What stands in the JSON around a line, and what a mapping says of every event.
pub fn around(mapping: &Mapping, json: Option<&Json>) -> Draft {
    let mut draft = Draft::with_capacity(mapping.set.len() + mapping.fields.len() + mapping.patterns.len().min(8));
    if let Some(json) = json {
        let mut read = Vec::new();
        mapping.take(&mapping.found(json), &mut draft, &mut read);
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

fn same(one: &Value, other: &Value) -> bool {
    one == other || one.to_string().eq_ignore_ascii_case(&other.to_string())
}

/// Where the fields of a mapping stand: by the key of the record, where that is all of the pointer.
#[derive(Debug, Default)]
pub struct Keys {
    by_key: HashMap<String, Vec<(usize, usize)>>,
    /// Pointers of more than one token.
    deep: Vec<(usize, usize, String)>,
}

impl Keys {
    pub fn of(fields: &[Field]) -> Self {
        let mut keys = Self::default();
        for (n, field) in fields.iter().enumerate() {
            for (rank, pointer) in field.from.iter().enumerate() {
                match pointer.strip_prefix('/').filter(|key| !key.contains(['/', '~'])) {
                    Some(key) => keys.by_key.entry(key.to_owned()).or_default().push((n, rank)),
                    None => keys.deep.push((n, rank, pointer.clone())),
                }
            }
        }
        keys
    }
}

impl Mapping {
    /// What stands where its fields are read from, in order of the fields and of preference.
    fn found<'j>(&self, json: &'j Json<'j>) -> Vec<Found<'j>> {
        let mut found = Vec::with_capacity(24);
        let Json::Object(map) = json else { return found };
        for (key, value) in map.iter().filter(|(_, v)| !v.is_null()) {
            if let Some(places) = self.keys.by_key.get(key) {
                found.extend(places.iter().map(|(field, rank)| Found { field: *field, rank: *rank, key, value }));
            }
        }
        for (field, rank, pointer) in &self.keys.deep {
            if let Some(value) = at(json, pointer) {
                found.push(Found { field: *field, rank: *rank, key: "", value });
            }
        }
        found.sort_unstable_by_key(|f| (f.field, f.rank));
        found
    }

    /// Takes the fields it knows; `read` gets the keys they stood under.
    fn take<'j>(&self, found: &[Found<'j>], draft: &mut Draft, read: &mut Vec<&'j str>) {
        let mut done = None;
        for Found { field: n, key, value, .. } in found {
            let field = &self.fields[*n];
            if done == Some(n) || draft.get(&field.to).is_some() {
                continue;
            }
            if let Some(value) = field.read(value, &mut draft.cut) {
                draft.set_first(field.to.clone(), value);
                done = Some(n);
                if !key.is_empty() {
                    read.push(*key);
                }
            }
        }
    }

    /// How much of a record it knows: its fields that have something to read.
    fn knows(&self, json: &Json, found: &[Found]) -> usize {
        let mut known: Vec<usize> = found.iter().filter(|f| !f.value.is_object()).map(|f| f.field).collect();
        known.dedup();
        let ecs = |key: &str| ECS.contains(&key.split('.').next().unwrap_or_default());
        let plain = |(key, value): (&str, &Json)| ecs(key) && (value.is_object() || key.contains('.'));
        let of_ecs = match json {
            Json::Object(map) if self.flatten => map.iter().filter(|(k, v)| plain((k, v))).count(),
            _ => 0,
        };
        known.len() + of_ecs
    }
}

/// What stands where a field is read from.
struct Found<'j> {
    field: usize,
    /// The lower, the more it is preferred.
    rank: usize,
    /// Of the record; empty for what lies deeper.
    key: &'j str,
    value: &'j Json<'j>,
}
