//! What no mapping took out of a record: it is stored as it came in, and read off it when a rule asks. A rule may know what
//! a mapping does not.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json_borrow::Value as Json;
use wf_model::{Event, Value};

/// The record of one event, opened when that is needed for the first time.
pub struct Record<'e> {
    raw: &'e str,
    json: OnceCell<Option<Json<'e>>>,
}

impl<'e> Record<'e> {
    pub fn of(event: &'e Event) -> Self {
        Self { raw: event.raw.as_str(), json: OnceCell::new() }
    }

    /// What stands under a name, nested or with dots.
    pub fn get(&self, name: &str) -> Option<&Json<'e>> {
        // `watchfloor.` is ours: a feed must not claim to be another source, or an incident.
        if !self.may_hold(name) || name.starts_with("watchfloor.") {
            return None;
        }
        let json = self.json.get_or_init(|| serde_json::from_str(self.raw).ok()).as_ref()?;
        find(json, name)
    }

    /// Most records hold most names nowhere; then nothing is opened.
    fn may_hold(&self, name: &str) -> bool {
        let first = name.split('.').next().unwrap_or(name);
        let last = name.rsplit('.').next().unwrap_or(name);
        self.raw.starts_with('{')
            && quoted(self.raw, last, false)
            && (first.len() == name.len() || quoted(self.raw, first, true))
    }
}

/// Whether `word` stands before a closing quote, or behind an opening one.
fn quoted(text: &str, word: &str, opening: bool) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let bytes = text.as_bytes();
        if opening { at > 0 && bytes[at - 1] == b'"' } else { bytes.get(at + word.len()) == Some(&b'"') }
    })
}

fn find<'j, 'e>(json: &'j Json<'e>, name: &str) -> Option<&'j Json<'e>> {
    let Json::Object(map) = json else { return None };
    map.iter().find_map(|(key, value)| match name.strip_prefix(key)? {
        "" => Some(value),
        rest => find(value, rest.strip_prefix('.')?),
    })
}

/// The value of a field, wherever it is.
pub fn value<'e>(event: &'e Event, name: &str) -> Option<Cow<'e, Value>> {
    if let Some(value) = event.fields.get(name) {
        return Some(Cow::Borrowed(value));
    }
    let record = Record::of(event);
    record.get(name).and_then(plain).map(Cow::Owned)
}

fn plain(json: &Json) -> Option<Value> {
    match json {
        Json::Str(s) => Some(Value::str(s)),
        Json::Bool(b) => Some(Value::Bool(*b)),
        Json::Number(_) => json.as_i64().map(Value::int).or_else(|| json.as_f64().map(Value::Float)),
        Json::Array(items) => Some(Value::List(items.iter().filter_map(plain).collect())),
        Json::Null | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use wf_model::{FeedName, Fields, Raw, Seq, Timestamp};

    use super::*;

    fn event(raw: &str) -> Event {
        Event {
            seq: Seq(1),
            feed: FeedName::new("f"),
            id: None,
            occurred_at: Timestamp::EPOCH,
            received_at: Timestamp::EPOCH,
            skewed: false,
            conflict: false,
            fields: Fields::default(),
            raw: Raw::from(raw),
        }
    }

    #[test]
    fn what_no_mapping_took_is_found_nested_or_with_dots() {
        let e = event(
            r#"{"disk_usage":91,"deployment":{"status":"failed"},"a.b":{"c":[1,"x"]},"n":null,"watchfloor":{"incident":7},"t":1.5}"#,
        );
        let found = |name: &str| value(&e, name).map(|v| v.to_string());
        assert_eq!(found("disk_usage").as_deref(), Some("91"));
        assert_eq!(found("deployment.status").as_deref(), Some("failed"));
        assert_eq!(found("a.b.c").as_deref(), Some("1, x"));
        assert_eq!(found("t").as_deref(), Some("1.5"));
        for name in ["n", "deployment", "deployment.stat", "status", "watchfloor.incident", "", ".", "a", "a.b"] {
            assert_eq!(found(name), None, "{name}");
        }
        for raw in ["", "no JSON \"disk_usage\"", "{\"disk_usage\":", "[{\"disk_usage\":1}]"] {
            assert_eq!(value(&event(raw), "disk_usage"), None, "{raw}");
        }
    }

    #[test]
    fn a_field_that_a_mapping_took_comes_first() {
        let mut e = event(r#"{"status":"failed"}"#);
        e.fields.set("status".into(), Value::Int(500));
        assert_eq!(value(&e, "status").map(|v| v.to_string()).as_deref(), Some("500"));
    }
}
