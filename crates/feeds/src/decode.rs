//! From a frame to its records: unwrap, split, limits.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde_json_borrow::Value;

use crate::config::{Condition, Decode, Limits, Split};
use scan::{Items, Step, deeper_than, value_at};

mod scan;

/// A single value that is taken out of the text of a frame is not longer than this.
const SINGLE: usize = 4 << 10;

/// A frame, opened: its text, and what cuts it into records.
pub struct Opened {
    /// The frame's own text, after unwrapping.
    pub text: Bytes,
    pub records: Records,
}

/// The records of a frame, cut off one by one: nothing is kept, or built, of those that are not asked for.
pub struct Records {
    text: Bytes,
    form: Form,
}

enum Form {
    /// The frame is the record.
    Whole {
        json: bool,
    },
    /// A record a line, from this place on.
    Lines(usize),
    /// The items of an array; the place of the array in the text.
    Array(Items, Range<usize>),
    Spent,
}

/// What was cut off a frame.
#[derive(Debug)]
pub enum Piece {
    Record { raw: Bytes, json: bool },
    Broken { raw: Bytes, why: &'static str },
}

/// Opens a frame. `Err` says why it cannot be cut into records.
pub fn open(frame: &Bytes, decode: &Decode) -> Result<Opened, String> {
    let mut text = frame.clone();
    let lines = decode.events.is_none() && decode.split == Split::Ndjson;
    if !lines || !decode.unwrap.is_empty() {
        std::str::from_utf8(&text).map_err(|e| format!("the frame is not UTF-8 from byte {}", e.valid_up_to()))?;
    }
    for pointer in &decode.unwrap {
        let inner = value_at(utf8(&text), pointer).ok_or_else(|| format!("there is nothing at {pointer} to unwrap"))?;
        let inner: String =
            serde_json::from_str(inner).map_err(|_| format!("at {pointer} there is no string to unwrap"))?;
        text = Bytes::from(inner);
    }
    let array = |part: &str| {
        let items = Items::of(part).ok_or("not an array of events")?;
        let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        Ok::<_, String>(Form::Array(items, start..start + part.len()))
    };
    let form = match (&decode.events, decode.split) {
        (Some(events), _) => match value_at(utf8(&text), events.trim_end_matches("/*")) {
            // A frame without the array is a control frame, or one that `ignore` names.
            None => Form::Whole { json: true },
            Some(part) => array(part)?,
        },
        (None, Split::None) => Form::Whole { json: looks_like_json(&text) },
        (None, Split::JsonArray) => array(utf8(&text))?,
        (None, Split::Ndjson) => {
            let line = text.trim_ascii();
            if !line.is_empty() && !line.contains(&b'\n') && std::str::from_utf8(line).is_ok() {
                text = text.slice_ref(line);
                Form::Whole { json: looks_like_json(&text) }
            } else {
                Form::Lines(0)
            }
        }
    };
    Ok(Opened { records: Records { text: text.clone(), form }, text })
}

impl Records {
    /// Whether the frame is its one record.
    pub fn is_whole(&self) -> bool {
        matches!(self.form, Form::Whole { .. })
    }

    /// Whether the frame is a document that holds the records, and may say more beside them. Lines have nothing beside.
    pub fn are_in_a_document(&self) -> bool {
        matches!(self.form, Form::Array(..))
    }

    /// How many are left, by looking at the text alone.
    pub fn count_left(mut self) -> u64 {
        let mut left = 0;
        while self.cut().is_some() {
            left += 1;
        }
        left
    }

    /// Where the next record stands, or what is wrong there.
    fn cut(&mut self) -> Option<(Range<usize>, Option<&'static str>)> {
        match &mut self.form {
            Form::Whole { .. } => {
                self.form = Form::Spent;
                Some((0..self.text.len(), None))
            }
            Form::Lines(at) => loop {
                let rest = self.text.get(*at..).filter(|rest| !rest.is_empty())?;
                let length = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                let start = *at;
                *at += length + 1;
                let line = &rest[..length];
                if !line.trim_ascii().is_empty() {
                    let length = line.strip_suffix(b"\r").unwrap_or(line).len();
                    break Some((start..start + length, None));
                }
            },
            Form::Array(items, array) => {
                let start = array.start;
                let within = |place: Range<usize>| start + place.start..start + place.end;
                match items.step(&self.text[array.clone()]) {
                    Step::Item(place) => Some((within(place), None)),
                    Step::Broken(place) => Some((within(place), Some("not JSON: the array of events breaks off here"))),
                    Step::End => None,
                }
            }
            Form::Spent => None,
        }
    }
}

impl Iterator for Records {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let json = match self.form {
            Form::Whole { json } => Some(json),
            Form::Array(..) => Some(true),
            Form::Lines(_) | Form::Spent => None,
        };
        let (place, why) = self.cut()?;
        let raw = self.text.slice(place);
        Some(match why {
            Some(why) => Piece::Broken { raw, why },
            None if std::str::from_utf8(&raw).is_err() => Piece::Broken { raw, why: "the line is not UTF-8" },
            None => Piece::Record { json: json.unwrap_or_else(|| looks_like_json(&raw)), raw },
        })
    }
}

/// Why a text is no JSON that we take.
#[derive(Debug, PartialEq, Eq)]
pub enum Unparsed {
    TooDeep(usize),
    NotJson(String),
}

impl fmt::Display for Unparsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooDeep(most) => write!(f, "JSON nested deeper than {most}"),
            Self::NotJson(why) => write!(f, "not JSON: {why}"),
        }
    }
}

/// Parses a record, within the depth limit.
pub fn parse<'a>(text: &'a str, limits: &Limits) -> Result<Value<'a>, Unparsed> {
    build_within(text, limits, serde_json::from_str)
}

/// Builds of `text` what `build` makes, unless it is too deep: then `build` never sees it.
fn build_within<'a, T>(
    text: &'a str,
    limits: &Limits,
    build: impl FnOnce(&'a str) -> Result<T, serde_json::Error>,
) -> Result<T, Unparsed> {
    if deeper_than(text.as_bytes(), limits.json_depth) {
        return Err(Unparsed::TooDeep(limits.json_depth));
    }
    build(text).map_err(|e| Unparsed::NotJson(e.to_string()))
}

pub fn utf8(bytes: &Bytes) -> &str {
    // Checked when the frame was opened, or when the line was cut off it.
    std::str::from_utf8(bytes).unwrap_or_default()
}

pub fn looks_like_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// A document that is asked for single values: one that was parsed, or the text of one that is too large to be parsed
/// for their sake.
#[derive(Clone, Copy)]
pub enum Doc<'d> {
    Tree(&'d Value<'d>),
    Text(&'d str),
}

impl Doc<'_> {
    pub fn scalar(self, pointer: &str) -> Option<String> {
        self.look(pointer, scalar)
    }

    pub fn boolean(self, pointer: &str) -> Option<bool> {
        self.look(pointer, |v| v.as_bool())
    }

    pub fn holds(self, condition: &Condition) -> bool {
        self.look(&condition.pointer, |v| Some(fits(condition, v))).unwrap_or(false)
    }

    fn look<T>(self, pointer: &str, read: impl FnOnce(&Value<'_>) -> Option<T>) -> Option<T> {
        match self {
            Self::Tree(tree) => read(at(tree, pointer)?),
            Self::Text(text) => {
                let found = value_at(text, pointer)?;
                // What is longer, as the array of events itself, is no cursor and no word; it is there, that is all.
                let value: Value<'_> =
                    if found.len() > SINGLE { Value::Array(Vec::new()) } else { serde_json::from_str(found).ok()? };
                read(&value)
            }
        }
    }
}

/// The value at a JSON pointer.
pub fn at<'v, 'a>(value: &'v Value<'a>, pointer: &str) -> Option<&'v Value<'a>> {
    let mut value = value;
    for token in pointer.split('/').skip(1) {
        let token = scan::unescaped(token);
        value = match value {
            Value::Object(map) => map.iter().find(|(k, _)| *k == token).map(|(_, v)| v)?,
            Value::Array(items) => items.get(token.parse::<usize>().ok()?)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Str(_) => return None,
        };
    }
    Some(value)
}

/// A string, number or boolean as text.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Str(s) => Some(s.to_string()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub fn holds(condition: &Condition, value: &Value) -> bool {
    at(value, &condition.pointer).is_some_and(|found| fits(condition, found))
}

fn fits(condition: &Condition, found: &Value) -> bool {
    match &condition.equals {
        None => !found.is_null(),
        Some(toml::Value::String(s)) => found.as_str() == Some(s),
        Some(toml::Value::Integer(i)) => found.as_i64() == Some(*i),
        Some(toml::Value::Boolean(b)) => found.as_bool() == Some(*b),
        Some(toml::Value::Float(f)) => found.as_f64() == Some(*f),
        Some(toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_)) => false,
    }
}

/// The scalar at `pointer` of a frame that is not opened, because it is too large or broken: of its last line where
/// frames are lines.
pub fn scalar_of_refused(frame: &[u8], decode: &Decode, pointer: &str) -> Option<String> {
    let text = match decode.split {
        Split::Ndjson => frame.trim_ascii_end().rsplit(|b| *b == b'\n').next()?,
        Split::None | Split::JsonArray => frame,
    };
    Doc::Text(std::str::from_utf8(text).ok()?).scalar(pointer)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
