//! The event: one normalised record of a feed.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::{FeedName, Timestamp};

/// The place of an event in the store: given by its writer, 1 upwards, without holes, in commit order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// An ECS field name (`source.ip`). Mappings intern theirs, so that an event copies a pointer and not a string.
pub type FieldName = Arc<str>;

/// The value of a field. There is no null: a field without a value is absent. Integers beyond 2^53 arrive as strings,
/// because rules compare numbers as floating point.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    Str(CompactString),
    Int(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Value>),
}

impl Value {
    pub fn str(text: &str) -> Self {
        Self::Str(CompactString::new(text))
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            Self::Int(_) | Self::Float(_) | Self::Bool(_) | Self::List(_) => None,
        }
    }

    /// As a number, if it is one or reads as one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Float(f) => Some(*f),
            Self::Str(s) => s.parse().ok(),
            Self::Bool(_) | Self::List(_) => None,
        }
    }

    /// What it takes in memory besides itself, in bytes.
    fn heap(&self) -> usize {
        match self {
            Self::Str(s) if s.is_heap_allocated() => s.len(),
            Self::Str(_) | Self::Int(_) | Self::Float(_) | Self::Bool(_) => 0,
            Self::List(items) => items.iter().map(Self::weight).sum(),
        }
    }

    /// What it takes in memory, in bytes.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.heap()
    }

    /// From JSON; `None` for null, for an empty list, and for an object (objects are flattened before).
    pub fn from_json(v: &serde_json::Value) -> Option<Self> {
        Some(match v {
            serde_json::Value::Null | serde_json::Value::Object(_) => return None,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(i) => Self::int(i),
                None => Self::Float(n.as_f64()?),
            },
            serde_json::Value::String(s) => Self::str(s),
            serde_json::Value::Array(items) => {
                let items: Vec<_> = items.iter().filter_map(Self::from_json).collect();
                if items.is_empty() {
                    return None;
                }
                Self::List(items)
            }
        })
    }

    /// An integer, or its decimal text when it is beyond what floating point holds exactly (2^53).
    pub fn int(i: i64) -> Self {
        const EXACT: u64 = 1 << 53;
        if i.unsigned_abs() > EXACT { Self::Str(compact_str::format_compact!("{i}")) } else { Self::Int(i) }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(s) => f.write_str(s),
            Self::Int(n) => write!(f, "{n}"),
            Self::Float(n) => write!(f, "{n}"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{item}")?;
                }
                Ok(())
            }
        }
    }
}

/// The mapped fields of an event, flat, in the order they were set. Events have a dozen fields, so a scan beats a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(FieldName, Value)>);

impl Fields {
    pub fn with_capacity(n: usize) -> Self {
        Self(Vec::with_capacity(n))
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, v)| v)
    }

    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Appends a field. The caller knows that none of this name is there: a scan for each of many fields would take
    /// the square of their number.
    pub fn push_new(&mut self, name: FieldName, value: Value) {
        self.0.push((name, value));
    }

    /// Sets a field. The first value set stays: mappings list their sources in order of preference.
    pub fn set_first(&mut self, name: FieldName, value: Value) {
        if self.get(&name).is_none() {
            self.0.push((name, value));
        }
    }

    /// Sets a field, replacing what it held.
    pub fn set(&mut self, name: FieldName, value: Value) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name, value)),
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| &**n != name);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(n, v)| (&**n, v))
    }

    pub fn names(&self) -> impl Iterator<Item = &FieldName> {
        self.0.iter().map(|(n, _)| n)
    }

    /// What the names and values take in memory, in bytes. A shared name counts each time: it is written each time.
    pub fn weight(&self) -> usize {
        self.0.iter().map(|(n, v)| size_of::<FieldName>() + n.len() + v.weight()).sum()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// What came in, as text. Copies share it. It may be a slice of a received frame, which it keeps in memory whole:
/// whoever makes it sees to it that the slice is most of the frame.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Raw(Bytes);

impl Raw {
    /// `None` when the bytes are not UTF-8.
    pub fn new(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }

    pub fn as_str(&self) -> &str {
        // Checked in `new`, the only constructor that takes bytes.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Raw {
    fn from(s: &str) -> Self {
        Self(Bytes::copy_from_slice(s.as_bytes()))
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

/// One normalised record of a feed: who did what, when, and the text it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Zero until the store's writer gives the number.
    pub seq: Seq,
    pub feed: FeedName,
    /// The feed's own identifier of the event, when it has one; what deduplication compares.
    pub id: Option<CompactString>,
    /// The event's own time, or `received_at` where the field `watchfloor.time` says why not: `receipt` (the record
    /// claims no time), `skewed` (more than five minutes in the future), `implausible` (older than the
    /// feed believes, 400 days unless it is told otherwise). What it claimed is then in `watchfloor.claimed_at`.
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
    /// The stamp was more than five minutes in the future and was not believed.
    pub skewed: bool,
    /// Another event with this id but other content came before; both are kept (threat T14).
    pub conflict: bool,
    pub fields: Fields,
    pub raw: Raw,
}

impl Event {
    /// What the event takes in memory and, before compression, in a block: its text, and each name and value. A bound
    /// for queues.
    pub fn weight(&self) -> usize {
        let id = self.id.as_ref().map_or(0, |id| id.len());
        size_of::<Self>() + self.raw.len() + id + self.fields.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fields: Fields, raw: &str) -> Event {
        Event {
            seq: Seq(0),
            feed: FeedName::new("f"),
            id: None,
            occurred_at: Timestamp::EPOCH,
            received_at: Timestamp::EPOCH,
            skewed: false,
            conflict: false,
            fields,
            raw: Raw::from(raw),
        }
    }

    #[test]
    fn t11_the_weight_of_an_event_is_that_of_its_names_values_and_text() {
        let empty = event(Fields::default(), "").weight();
        assert_eq!(event(Fields::default(), &"x".repeat(5000)).weight(), empty + 5000);
        let mut fields = Fields::default();
        fields.set("n".repeat(400).as_str().into(), Value::str("v"));
        assert!(event(fields, "").weight() >= empty + 400);
        let mut fields = Fields::default();
        fields.set("n".into(), Value::List(vec![Value::str(&"v".repeat(7000)), Value::str(&"v".repeat(7000))]));
        assert!(event(fields, "").weight() >= empty + 14_000);
    }
}
