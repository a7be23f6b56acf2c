//! The fields of one event while they are gathered, within bounds: a record cannot make an event much larger than
//! itself, nor one whose fields take the square of their number to gather.

use std::collections::HashSet;

use wf_model::{FieldName, Fields, Value};

/// A field whose name is longer is dropped.
pub const NAME_LIMIT: usize = 512;
/// Longer values are cut in their middle: rules see how a text begins and how it ends, and the text that came in is
/// stored whole.
pub const VALUE_LIMIT: usize = 16 << 10;
/// What is kept of the end of a value that is cut.
const TAIL: usize = 4 << 10;
/// Room for the words between the two.
const MARK: usize = 64;
/// More fields than this are not taken from one record.
pub const FIELD_LIMIT: usize = 200;
/// Once the names and values of an event take this much, further texts are cut to [`SHORT`] and further lists dropped.
pub const FIELDS_LIMIT: usize = 256 << 10;
const SHORT: usize = 256;
/// Up to so many fields, looking at each is faster than a table.
const SCANNED: usize = 32;

pub struct Draft {
    fields: Fields,
    /// The names in `fields`, once there are many.
    names: HashSet<FieldName>,
    weight: usize,
    /// How many values were cut.
    pub cut: u32,
    /// How many fields were dropped.
    pub dropped: u32,
}

impl Draft {
    pub fn with_capacity(n: usize) -> Self {
        Self { fields: Fields::with_capacity(n), names: HashSet::new(), weight: 0, cut: 0, dropped: 0 }
    }

    /// Whether there is room for more fields of the record.
    pub fn is_full(&self) -> bool {
        self.fields.len() >= FIELD_LIMIT
    }

    /// Sets a field. The first value set stays: mappings list their sources in order of preference.
    pub fn set_first(&mut self, name: FieldName, value: Value) {
        if self.holds(&name) {
            return;
        }
        if let Some(value) = self.within_bounds(&name, value) {
            self.push(name, value);
        }
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.fields.get_str(name)
    }

    /// Sets a field, replacing what it held.
    pub fn set(&mut self, name: FieldName, value: Value) {
        let Some(value) = self.within_bounds(&name, value) else { return };
        if self.holds(&name) {
            self.fields.set(name, value);
        } else {
            self.push(name, value);
        }
    }

    /// Sets a field of the mapping itself, unless the record filled it. There is always room for these: what a record
    /// holds must not crowd out what says where it came from.
    pub fn set_constant(&mut self, name: FieldName, value: Value) {
        if !self.holds(&name) {
            self.push(name, value);
        }
    }

    /// The fields, with a word about what is missing from them.
    pub fn finish(mut self) -> Fields {
        for (name, n) in [("watchfloor.cut_values", self.cut), ("watchfloor.dropped_fields", self.dropped)] {
            if n > 0 {
                self.fields.set(name.into(), Value::Int(n.into()));
            }
        }
        self.fields
    }

    fn push(&mut self, name: FieldName, value: Value) {
        if !self.names.is_empty() {
            self.names.insert(name.clone());
        }
        self.fields.push_new(name, value);
    }

    fn holds(&mut self, name: &FieldName) -> bool {
        if self.fields.len() < SCANNED {
            return self.fields.get(name).is_some();
        }
        if self.names.is_empty() {
            self.names = self.fields.names().cloned().collect();
        }
        self.names.contains(name)
    }

    /// The value, shorter if need be; `None` when there is no room for it.
    fn within_bounds(&mut self, name: &FieldName, mut value: Value) -> Option<Value> {
        let mut weight = name.len() + value.weight();
        if self.weight + weight > FIELDS_LIMIT {
            value = match value {
                Value::Str(s) if s.len() > SHORT => {
                    self.cut += 1;
                    Value::str(&s[..s.floor_char_boundary(SHORT)])
                }
                Value::List(_) => {
                    self.dropped += 1;
                    return None;
                }
                short => short,
            };
            weight = name.len() + value.weight();
        }
        if name.len() > NAME_LIMIT {
            self.dropped += 1;
            return None;
        }
        self.weight += weight;
        Some(value)
    }
}

/// A text as a value, cut in its middle when it is too long; `cuts` counts those.
pub fn cut(s: &str, cuts: &mut u32) -> Value {
    if s.len() <= VALUE_LIMIT {
        return Value::str(s);
    }
    *cuts += 1;
    let head = s.floor_char_boundary(VALUE_LIMIT - TAIL);
    let tail = s.ceil_char_boundary(s.len() - (TAIL - MARK));
    Value::Str(compact_str::format_compact!("{} … {} bytes cut … {}", &s[..head], tail - head, &s[tail..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_keeps_its_beginning_and_its_end() {
        let mut cuts = 0;
        let text = format!("{}ü' OR '1'='1", "a".repeat(50_000));
        let value = cut(&text, &mut cuts);
        let value = value.as_str().unwrap();
        assert!(value.len() <= VALUE_LIMIT && value.starts_with("aaa") && value.ends_with("aü' OR '1'='1"), "{value}");
        assert!(value.contains("bytes cut") && cuts == 1);
        assert_eq!(cut(&"a".repeat(VALUE_LIMIT), &mut cuts), Value::str(&"a".repeat(VALUE_LIMIT)));
        assert_eq!(cuts, 1);
    }

    #[test]
    fn t11_the_names_and_values_of_an_event_are_bounded_in_sum() {
        let mut draft = Draft::with_capacity(0);
        for n in 0..FIELD_LIMIT {
            draft.set_first(format!("f{n}").as_str().into(), cut(&"v".repeat(VALUE_LIMIT), &mut 0));
        }
        draft.set_first("n".repeat(NAME_LIMIT + 1).as_str().into(), Value::Int(1));
        draft.set_first("list".into(), Value::List(vec![Value::Int(1)]));
        draft.set_first("source.ip".into(), Value::str("203.0.113.9"));
        draft.set_constant("watchfloor.logsource.product".into(), Value::str("watchfloor"));
        let (cut, dropped) = (draft.cut, draft.dropped);
        let fields = draft.finish();
        assert!(fields.weight() < FIELDS_LIMIT + FIELD_LIMIT * 1024, "{}", fields.weight());
        assert_eq!(fields.get_str("source.ip"), Some("203.0.113.9"), "what comes late and is short is still there");
        assert_eq!(fields.get_str("watchfloor.logsource.product"), Some("watchfloor"));
        assert!(cut > 150 && dropped == 2, "{cut} {dropped}");
        assert_eq!(fields.get("watchfloor.dropped_fields"), Some(&Value::Int(2)));
    }

    #[test]
    fn a_field_is_found_again_beyond_what_is_scanned() {
        let mut draft = Draft::with_capacity(0);
        for n in 0..100 {
            draft.set_first(format!("f{n}").as_str().into(), Value::Int(n));
        }
        draft.set_first("f70".into(), Value::Int(-1));
        draft.set("f80".into(), Value::Int(-2));
        let fields = draft.finish();
        assert_eq!(fields.len(), 100);
        assert_eq!((fields.get("f70"), fields.get("f80")), (Some(&Value::Int(70)), Some(&Value::Int(-2))));
    }
}
