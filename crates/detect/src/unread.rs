//! What no mapping took out of a record: it is stored as it came in, and read off it when a rule asks. A rule may know what
//! a mapping does not.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json_borrow::Value as Json;
use wf_model::{Event, Value};

/// The record of one event, opened when that is needed for the first time.
pub struct Record<'e> {
    raw: &'e str,
    keys: OnceCell<Keys>,
    json: OnceCell<Option<Json<'e>>>,
}

impl<'e> Record<'e> {
    pub fn of(event: &'e Event) -> Self {
        Self { raw: event.raw.as_str(), keys: OnceCell::new(), json: OnceCell::new() }
    }

    /// What stands under a name, nested or with dots.
    pub fn get(&self, name: &str) -> Option<&Json<'e>> {
        // `watchfloor.` is ours: a feed must not claim to be another source, or an incident.
        if !self.keys.get_or_init(|| Keys::of(self.raw)).may_hold(name) || name.starts_with("watchfloor.") {
            return None;
        }
        let json = self.json.get_or_init(|| serde_json::from_str(self.raw).ok()).as_ref()?;
        find(json, name)
    }
}

/// Which words a record's keys may be made of: rules ask every event for fields that hardly any has, and then nothing is
/// opened.
struct Keys([u64; 16]);

impl Keys {
    fn of(raw: &str) -> Self {
        let mut keys = Self([0; 16]);
        if !raw.starts_with('{') {
            return keys;
        }
        let bytes = raw.as_bytes();
        let mut from = 0;
        for at in memchr::memchr_iter(b'"', bytes) {
            // What ends here is a key if a colon follows. What began before it may be too long by an escaped quote, and
            // then its last word is still right.
            if bytes[at + 1..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':') {
                let key = raw.get(from..at).unwrap_or_default();
                if key.contains('\\') {
                    // Written otherwise than it reads: it may be anything.
                    return Self([u64::MAX; 16]);
                }
                for word in key.split('.') {
                    let (word, bit) = Self::bit(word.as_bytes());
                    keys.0[word] |= bit;
                }
            }
            from = at + 1;
        }
        keys
    }

    fn bit(word: &[u8]) -> (usize, u64) {
        let (first, last) = (word.first().copied().unwrap_or(0), word.last().copied().unwrap_or(0));
        let middle = word.get(word.len() / 2).copied().unwrap_or(0);
        let n = word.len() * 131 + usize::from(first) * 31 + usize::from(last) * 17 + usize::from(middle) * 7;
        (n / 64 % 16, 1 << (n % 64))
    }

    fn may_hold(&self, name: &str) -> bool {
        let holds = |word: &str| {
            let (word, bit) = Self::bit(word.as_bytes());
            self.0[word] & bit != 0
        };
        match name.rsplit_once('.') {
            None => holds(name),
            Some((before, last)) => holds(last) && holds(before.split('.').next().unwrap_or(before)),
        }
    }
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
    fn a_key_that_is_written_with_escapes_is_found_by_what_it_reads() {
        let e = event(r#"{"gr\u00f6\u00dfe":7}"#);
        assert_eq!(value(&e, "größe").map(|v| v.to_string()).as_deref(), Some("7"));
    }

    #[test]
    fn a_field_that_a_mapping_took_comes_first() {
        let mut e = event(r#"{"status":"failed"}"#);
        e.fields.set("status".into(), Value::Int(500));
        assert_eq!(value(&e, "status").map(|v| v.to_string()).as_deref(), Some("500"));
    }
}
