//! One event as one line of JSON, the form it has in the hot table and in blocks.
//!
//! `{"s":seq,"f":"feed","i":"id","t":occurred,"d":received - occurred,"k":1,"c":1,"p":{field: key},"x":{field:
//! value},"w":what came in}`; `w` is the text itself when it is a JSON object or array on one line, else a JSON string.
//! A field whose value stands in `w` under a key of its own is not written twice: `p` names the key (`#key`: a number
//! there, text here), and `j` that of the identifier. That text is the same in every line, so it compresses to nothing.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;
use wf_model::{Event, FeedName, Seq, Timestamp};

use super::tokens::{HashesOfWords, field_hash, word_hash};
use super::words::words;
use crate::StoreError;

/// An event as it is read back: what the window, the CLI and searches show.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    pub seq: Seq,
    pub feed: FeedName,
    pub id: Option<String>,
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
    pub skewed: bool,
    pub conflict: bool,
    pub fields: BTreeMap<String, serde_json::Value>,
    pub raw: String,
}

#[derive(Deserialize)]
struct Line<'a> {
    s: u64,
    f: String,
    #[serde(default)]
    i: Option<String>,
    /// The key in `w` that holds the identifier.
    #[serde(default)]
    j: Option<String>,
    t: i64,
    d: i64,
    #[serde(default)]
    k: u8,
    #[serde(default)]
    c: u8,
    #[serde(default)]
    p: BTreeMap<String, String>,
    x: BTreeMap<String, serde_json::Value>,
    #[serde(borrow)]
    w: &'a RawValue,
}

/// Appends the line, line feed included.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _written = try_encode(event, out);
}

fn try_encode(event: &Event, out: &mut Vec<u8>) -> std::io::Result<()> {
    let raw = event.raw.as_str();
    let embedded = embeddable(raw);
    let keys = if embedded { top_level(raw) } else { Vec::new() };
    write!(out, "{{\"s\":{},\"f\":", event.seq.0)?;
    serde_json::to_writer(&mut *out, event.feed.as_str())?;
    if let Some(id) = &event.id {
        match source(&keys, &wf_model::Value::Str(id.clone())) {
            Some((key, _)) => {
                out.extend_from_slice(b",\"j\":");
                serde_json::to_writer(&mut *out, key)?;
            }
            None => {
                out.extend_from_slice(b",\"i\":");
                serde_json::to_writer(&mut *out, id.as_str())?;
            }
        }
    }
    write!(
        out,
        ",\"t\":{},\"d\":{}",
        event.occurred_at.millis(),
        event.received_at.millis() - event.occurred_at.millis()
    )?;
    if event.skewed {
        out.extend_from_slice(b",\"k\":1");
    }
    if event.conflict {
        out.extend_from_slice(b",\"c\":1");
    }
    // Fields that stand in the text first, then the others, whose places are kept in a mask: events have few fields.
    let mut own: u128 = 0;
    let mut mark = &b",\"p\":{"[..];
    for (i, (name, value)) in event.fields.iter().enumerate() {
        match source(&keys, value) {
            Some((key, as_text)) if i < 128 => {
                out.extend_from_slice(mark);
                serde_json::to_writer(&mut *out, name)?;
                out.extend_from_slice(if as_text { b":\"#" } else { b":\"" });
                out.extend_from_slice(key.as_bytes());
                out.push(b'"');
                mark = b",";
            }
            _ => own |= 1u128.checked_shl(i as u32).unwrap_or(0),
        }
    }
    if mark.len() == 1 {
        out.push(b'}');
    }
    out.extend_from_slice(b",\"x\":{");
    let mut mark = &b""[..];
    for (i, (name, value)) in event.fields.iter().enumerate() {
        if i >= 128 || own & (1 << i) != 0 {
            out.extend_from_slice(mark);
            serde_json::to_writer(&mut *out, name)?;
            out.push(b':');
            serde_json::to_writer(&mut *out, value)?;
            mark = b",";
        }
    }
    out.extend_from_slice(b"},\"w\":");
    if embedded {
        out.extend_from_slice(raw.as_bytes());
    } else {
        serde_json::to_writer(&mut *out, raw)?;
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// The key whose value in the text is this value; `true` when it stands there as a number and the field is text.
fn source<'a>(keys: &[(&'a str, &str)], value: &wf_model::Value) -> Option<(&'a str, bool)> {
    let (key, as_text) = keys.iter().find_map(|(key, text)| says(text, value).map(|as_text| (*key, as_text)))?;
    // A key that is there twice would be read back as its first; one that needs escaping, or begins like our mark, is
    // left alone.
    let first = keys.iter().find(|(k, _)| *k == key).is_some_and(|(_, text)| says(text, value).is_some());
    (first && !key.starts_with('#') && key.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\'))
        .then_some((key, as_text))
}

/// The keys of a JSON object and the text of their values, in order; empty when it is no object or a key has an escape
/// in it.
fn top_level(raw: &str) -> Vec<(&str, &str)> {
    struct Keys;
    impl<'de> serde::de::Visitor<'de> for Keys {
        type Value = Vec<(&'de str, &'de str)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut keys = Vec::with_capacity(16);
            while let Some((key, value)) = map.next_entry::<&'de str, &'de RawValue>()? {
                keys.push((key, value.get()));
            }
            Ok(keys)
        }
    }
    serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(raw), Keys).unwrap_or_default()
}

/// Whether this JSON text is this value: exactly, or (`Some(true)`) as the number that the field holds as text.
fn says(text: &str, value: &wf_model::Value) -> Option<bool> {
    match value {
        wf_model::Value::Str(s) if text.starts_with('"') => {
            (text.len() == s.len() + 2 && text[1..text.len() - 1] == **s && !text.contains('\\')).then_some(false)
        }
        wf_model::Value::Str(s) => {
            (text == s.as_str() && text.starts_with(|c: char| c.is_ascii_digit())).then_some(true)
        }
        wf_model::Value::Int(i) => (text.len() < 20 && text.parse() == Ok(*i)).then_some(false),
        wf_model::Value::Bool(b) => (text == if *b { "true" } else { "false" }).then_some(false),
        wf_model::Value::Float(_) | wf_model::Value::List(_) => None,
    }
}

/// Frames that begin like an object or an array were parsed as JSON before they became events.
fn embeddable(raw: &str) -> bool {
    matches!(raw.as_bytes().first(), Some(b'{' | b'['))
        && matches!(raw.as_bytes().last(), Some(b'}' | b']'))
        && !raw.contains(['\n', '\r'])
}

/// Adds the hashes of every word and every `field=value` of the event.
pub fn index(event: &Event, hashes: &mut HashesOfWords) {
    words(event.raw.as_str(), |w| {
        hashes.insert(word_hash(w));
    });
    hashes.insert(field_hash("feed", event.feed.as_str()));
    for (name, value) in event.fields.iter() {
        each_text(value, &mut |text| {
            hashes.insert(field_hash(name, text));
            words(text, |w| {
                hashes.insert(word_hash(w));
            });
        });
    }
}

fn each_text(value: &wf_model::Value, visit: &mut dyn FnMut(&str)) {
    use wf_model::Value;
    match value {
        Value::Str(s) => visit(s),
        Value::List(items) => items.iter().for_each(|i| each_text(i, visit)),
        // As JSON writes it, because that is how it is compared when it is read back (1.0, not 1).
        Value::Float(f) => visit(&serde_json::Number::from_f64(*f).map(|n| n.to_string()).unwrap_or_default()),
        other @ (Value::Int(_) | Value::Bool(_)) => visit(&other.to_string()),
    }
}

pub fn decode(line: &[u8]) -> Result<StoredEvent, StoreError> {
    let mut line: Line = serde_json::from_slice(line).map_err(|e| StoreError::damaged("event", e))?;
    let raw = line.w.get();
    if !line.p.is_empty() || line.j.is_some() {
        let keys = top_level(raw);
        let text_of = |key: &str| {
            keys.iter()
                .find(|(k, _)| *k == key)
                .map(|(_, text)| *text)
                .ok_or_else(|| StoreError::damaged("event", "a field points nowhere"))
        };
        let parsed =
            |text: &str| serde_json::from_str::<serde_json::Value>(text).map_err(|e| StoreError::damaged("event", e));
        for (name, key) in std::mem::take(&mut line.p) {
            let value = match key.strip_prefix('#') {
                Some(key) => text_of(key)?.into(),
                None => parsed(text_of(&key)?)?,
            };
            line.x.insert(name, value);
        }
        if let Some(key) = &line.j {
            let text = text_of(key)?;
            line.i = Some(parsed(text)?.as_str().map_or_else(|| text.to_owned(), str::to_owned));
        }
    }
    let raw = if raw.starts_with('"') {
        serde_json::from_str(raw).map_err(|e| StoreError::damaged("event", e))?
    } else {
        raw.to_owned()
    };
    Ok(StoredEvent {
        seq: Seq(line.s),
        feed: FeedName::new(&line.f),
        id: line.i,
        occurred_at: Timestamp::from_millis(line.t),
        received_at: Timestamp::from_millis(line.t.saturating_add(line.d)),
        skewed: line.k == 1,
        conflict: line.c == 1,
        fields: line.x,
        raw,
    })
}

impl StoredEvent {
    /// As an event again, for detection to look at once more.
    pub fn to_event(&self) -> Event {
        let mut fields = wf_model::Fields::with_capacity(self.fields.len());
        for (name, value) in &self.fields {
            if let Some(v) = wf_model::Value::from_json(value) {
                fields.set(name.as_str().into(), v);
            }
        }
        Event {
            seq: self.seq,
            feed: self.feed.clone(),
            id: self.id.as_deref().map(Into::into),
            occurred_at: self.occurred_at,
            received_at: self.received_at,
            skewed: self.skewed,
            conflict: self.conflict,
            fields,
            raw: self.raw.as_str().into(),
        }
    }
}

impl From<&Event> for StoredEvent {
    fn from(e: &Event) -> Self {
        Self {
            seq: e.seq,
            feed: e.feed.clone(),
            id: e.id.as_ref().map(ToString::to_string),
            occurred_at: e.occurred_at,
            received_at: e.received_at,
            skewed: e.skewed,
            conflict: e.conflict,
            fields: e.fields.iter().map(|(n, v)| (n.to_owned(), serde_json::to_value(v).unwrap_or_default())).collect(),
            raw: e.raw.as_str().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_stands_in_the_text_is_written_once_and_read_back() {
        let mut fields = wf_model::Fields::default();
        for (name, value) in [
            ("user.name", wf_model::Value::str("ann")),
            ("n", wf_model::Value::Int(3)),
            ("ok", wf_model::Value::Bool(true)),
            ("own", wf_model::Value::str("elsewhere")),
            ("user.id", wf_model::Value::str("3")),
        ] {
            fields.set(name.into(), value);
        }
        let event = Event {
            seq: Seq(1),
            feed: FeedName::new("f"),
            id: Some("e-1".into()),
            occurred_at: Timestamp::from_millis(5),
            received_at: Timestamp::from_millis(7),
            skewed: false,
            conflict: false,
            fields,
            raw: r#"{"id":"e-1","u":"bob","who":"ann","who2":"ann","count":3,"fine":true,"esc":"a\"b"}"#.into(),
        };
        let mut line = Vec::new();
        encode(&event, &mut line);
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.contains(r##""j":"id","t":5,"d":2,"p":{"user.name":"who","n":"count","ok":"fine","user.id":"#count"},"x":{"own":"elsewhere"}"##), "{text}");
        assert_eq!(StoredEvent::from(&event), decode(&line).unwrap());
    }
}
