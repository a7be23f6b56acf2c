//! One event as one line of JSON, the form it has in the hot table and in blocks.
//!
//! `{"s":seq,"f":"feed","i":"id","t":occurred,"d":received - occurred,"k":1,"c":1,"p":{field: key},"x":{field:
//! value},"w":what came in}`; `w` is the text itself when it is a JSON object or array on one line, else a JSON string.
//! A field whose value stands in `w` under a key of its own is not written twice: `p` names the key (`#key`: a number
//! there, text here), and `j` that of the identifier. That text is the same in every line, so it compresses to nothing.
//!
//! Earlier versions took a text for JSON by its brackets, which an erasure can write (`[erased] by [erased]`): such a
//! line is no JSON, and its text is read as it stands behind the mark that ends the fields.

use std::collections::BTreeMap;
use std::io::Write as _;

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
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

impl StoredEvent {
    /// What it takes in memory, about: its text, and each name and value.
    pub fn weight(&self) -> usize {
        let fields =
            self.fields.iter().map(|(name, value)| size_of::<serde_json::Value>() + name.len() + text_of(value));
        size_of::<Self>() + self.raw.len() + fields.sum::<usize>()
    }
}

/// Bytes of the texts in a value.
fn text_of(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len(),
        serde_json::Value::Array(items) => items.iter().map(|i| size_of::<serde_json::Value>() + text_of(i)).sum(),
        serde_json::Value::Object(map) => map.iter().map(|(name, v)| size_of_val(v) + name.len() + text_of(v)).sum(),
        _ => 0,
    }
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
    let (embedded, keys) = embed(raw);
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
    // Wraps round for moments that nobody could mean, and is read back the same way.
    let delay = event.received_at.millis().wrapping_sub(event.occurred_at.millis());
    write!(out, ",\"t\":{},\"d\":{delay}", event.occurred_at.millis())?;
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

/// The keys of the JSON object that `raw` begins with and the text of their values, in order, and whether the text ends
/// with it; `None` when it does not begin with one, or a key has an escape in it.
fn top_level(raw: &str) -> Option<(Vec<(&str, &str)>, bool)> {
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
    let mut text = serde_json::Deserializer::from_str(raw);
    let keys = serde::Deserializer::deserialize_map(&mut text, Keys).ok()?;
    Some((keys, text.end().is_ok()))
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
        // `-0` is read back as a floating-point number.
        wf_model::Value::Int(i) => (text.len() < 20 && text != "-0" && text.parse() == Ok(*i)).then_some(false),
        wf_model::Value::Bool(b) => (text == if *b { "true" } else { "false" }).then_some(false),
        wf_model::Value::Float(_) | wf_model::Value::List(_) => None,
    }
}

/// Whether the text may stand in the line as it is, and the keys that fields may point to.
fn embed(raw: &str) -> (bool, Vec<(&str, &str)>) {
    if !bracketed(raw) {
        return (false, Vec::new());
    }
    match top_level(raw) {
        Some((keys, true)) => (true, keys),
        Some((_, false)) => (false, Vec::new()),
        None => (is_json(raw), Vec::new()),
    }
}

/// Whether it parses. A log line may begin with a date in brackets, and an erasure replaces words with `[erased]`: what
/// begins and ends like JSON need not be it.
fn is_json(raw: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(raw).is_ok()
}

fn bracketed(raw: &str) -> bool {
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

/// Ends the fields and begins the text. Before it these bytes stand nowhere: quotes inside names and values are
/// escaped, and no value of a field is an object.
const TEXT: &[u8] = b"},\"w\":";

/// The line up to the end of the fields, and the text as it stands there.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memmem::find(line, TEXT)?;
    Some((&line[..=at], line[at + TEXT.len()..].strip_suffix(b"}")?))
}

/// # Errors
/// [`StoreError::Damaged`]: not even the fields can be read.
pub fn decode(line: &[u8]) -> Result<StoredEvent, StoreError> {
    let line = line.trim_ascii_end();
    let length = split(line).map_or(0, |(_, text)| text.len());
    match serde_json::from_slice::<Line>(line) {
        Ok(parsed) if parsed.w.get().len() == length => {
            let raw = parsed.w.get();
            let raw = if raw.starts_with('"') {
                serde_json::from_str(raw).map_err(|e| StoreError::damaged("event", e))?
            } else {
                raw.to_owned()
            };
            read(parsed, raw)
        }
        // A text such as `{},"k":{}`, embedded as it was, reads as more members of the line.
        Ok(_) => recover(line).ok_or_else(|| StoreError::damaged("event", "its text is not where it should be")),
        Err(e) => recover(line).ok_or_else(|| StoreError::damaged("event", e)),
    }
}

/// A line whose text was embedded and is no JSON: the fields are whole, and the text is what stands behind them.
fn recover(line: &[u8]) -> Option<StoredEvent> {
    let (head, text) = split(line)?;
    let raw = std::str::from_utf8(text).ok()?.to_owned();
    let mut fields = head.to_vec();
    fields.extend_from_slice(b",\"w\":null}");
    read(serde_json::from_slice(&fields).ok()?, raw).ok()
}

/// The number of the event in a line that cannot be read, where that much of it can be.
pub fn number(line: &[u8]) -> Option<Seq> {
    let digits = line.strip_prefix(b"{\"s\":")?;
    let end = digits.iter().position(|b| !b.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok().map(Seq)
}

fn read(mut line: Line, raw: String) -> Result<StoredEvent, StoreError> {
    if !line.p.is_empty() || line.j.is_some() {
        let keys = top_level(&raw).map(|(keys, _)| keys).unwrap_or_default();
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
    Ok(StoredEvent {
        seq: Seq(line.s),
        feed: FeedName::new(&line.f),
        id: line.i,
        occurred_at: Timestamp::from_millis(line.t),
        received_at: Timestamp::from_millis(line.t.wrapping_add(line.d)),
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
#[path = "line_tests.rs"]
pub(super) mod tests;
