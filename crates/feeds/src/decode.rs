//! From a frame to its records: unwrap, split, limits.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json_borrow::Value;

use crate::config::{Condition, Decode, Limits, Split};

/// One record of a frame.
pub struct Record {
    pub raw: Bytes,
    pub json: bool,
}

/// A frame, opened: its text, and the records in it.
pub struct Opened {
    /// The frame's own document (for cursor, epoch, recovered), after unwrapping. Not JSON for plain lines.
    pub text: Bytes,
    pub records: Vec<Record>,
}

/// Cuts a frame into records. `Err` says why it cannot be read.
pub fn open(frame: Bytes, decode: &Decode, limits: &Limits) -> Result<Opened, String> {
    let mut text = frame;
    std::str::from_utf8(&text).map_err(|e| format!("the frame is not UTF-8 from byte {}", e.valid_up_to()))?;
    for pointer in &decode.unwrap {
        let inner = raw_at(utf8(&text), pointer)?.ok_or_else(|| format!("there is nothing at {pointer} to unwrap"))?;
        let inner: String =
            serde_json::from_str(inner).map_err(|_| format!("at {pointer} there is no string to unwrap"))?;
        text = Bytes::from(inner);
    }
    let records = match (&decode.events, decode.split) {
        (Some(events), _) => match raw_at(utf8(&text), events.trim_end_matches("/*"))? {
            // A frame without the array is a control frame, or one that `ignore` names.
            None => vec![Record { raw: text.clone(), json: true }],
            Some(array) => array_items(&text, array, limits)?,
        },
        (None, Split::None) => vec![Record { json: looks_like_json(&text), raw: text.clone() }],
        (None, Split::JsonArray) => {
            let array = utf8(&text).trim();
            array_items(&text, array, limits)?
        }
        (None, Split::Ndjson) => utf8(&text)
            .lines()
            .filter(|l| !l.trim().is_empty())
            .map(|l| Record { json: looks_like_json(l.as_bytes()), raw: text.slice_ref(l.as_bytes()) })
            .collect(),
    };
    if records.len() > limits.events_per_frame {
        return Err(format!("the frame holds {} events; at most {} are taken", records.len(), limits.events_per_frame));
    }
    Ok(Opened { text, records })
}

/// Parses a record, within the depth limit.
pub fn parse<'a>(text: &'a str, limits: &Limits) -> Result<Value<'a>, String> {
    if deeper_than(text.as_bytes(), limits.json_depth) {
        return Err(format!("JSON nested deeper than {}", limits.json_depth));
    }
    serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))
}

pub fn utf8(bytes: &Bytes) -> &str {
    // Checked when the frame was opened.
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn looks_like_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn array_items(text: &Bytes, array: &str, limits: &Limits) -> Result<Vec<Record>, String> {
    if deeper_than(array.as_bytes(), limits.json_depth) {
        return Err(format!("JSON nested deeper than {}", limits.json_depth));
    }
    let items: Vec<&RawValue> = serde_json::from_str(array).map_err(|e| format!("not an array of events: {e}"))?;
    Ok(items.into_iter().map(|i| Record { raw: text.slice_ref(i.get().as_bytes()), json: true }).collect())
}

/// The text of the value at `pointer`; `None` when there is none. Reads no more than the way there.
fn raw_at<'a>(text: &'a str, pointer: &str) -> Result<Option<&'a str>, String> {
    #[derive(Deserialize)]
    struct Map<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, &'a RawValue>);
    let mut at = text;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let next = match at.trim_start().as_bytes().first() {
            Some(b'{') => {
                let Map(map) = serde_json::from_str(at).map_err(|e| format!("not JSON: {e}"))?;
                map.get(token.as_str()).map(|v| v.get())
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(at).map_err(|e| format!("not JSON: {e}"))?;
                token.parse::<usize>().ok().and_then(|i| items.get(i).map(|v| v.get()))
            }
            _ => None,
        };
        match next {
            Some(text) => at = text,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// Counts brackets outside strings: cheaper than building what is too deep.
fn deeper_than(text: &[u8], most: usize) -> bool {
    let (mut depth, mut i) = (0usize, 0);
    while i < text.len() {
        match text[i] {
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                i += 1;
                while i < text.len() && text[i] != b'"' {
                    i += if text[i] == b'\\' { 2 } else { 1 };
                }
            }
            _ => {}
        }
        i += 1;
    }
    false
}

/// The value at a JSON pointer.
pub fn at<'v, 'a>(value: &'v Value<'a>, pointer: &str) -> Option<&'v Value<'a>> {
    let mut value = value;
    for token in pointer.split('/').skip(1) {
        let unescaped;
        let token = if token.contains('~') {
            unescaped = token.replace("~1", "/").replace("~0", "~");
            unescaped.as_str()
        } else {
            token
        };
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
    let Some(found) = at(value, &condition.pointer) else { return false };
    match &condition.equals {
        None => !found.is_null(),
        Some(toml::Value::String(s)) => found.as_str() == Some(s),
        Some(toml::Value::Integer(i)) => found.as_i64() == Some(*i),
        Some(toml::Value::Boolean(b)) => found.as_bool() == Some(*b),
        Some(toml::Value::Float(f)) => found.as_f64() == Some(*f),
        Some(toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(frame: &str, decode: Decode) -> Result<Vec<String>, String> {
        let opened = open(Bytes::copy_from_slice(frame.as_bytes()), &decode, &Limits::default())?;
        Ok(opened.records.iter().map(|r| utf8(&r.raw).to_owned()).collect())
    }

    #[test]
    fn frames_are_cut_the_way_the_config_says() {
        assert_eq!(records(r#"{"a":1}"#, Decode::default()).unwrap(), [r#"{"a":1}"#]);
        assert_eq!(records("a line", Decode::default()).unwrap(), ["a line"]);
        let events = Decode { events: Some("/d/events/*".into()), ..Decode::default() };
        assert_eq!(
            records(r#"{"d":{"events":[{"a":1}, {"b":[2]}]}}"#, events.clone()).unwrap(),
            [r#"{"a":1}"#, r#"{"b":[2]}"#]
        );
        assert_eq!(records(r#"{"hello":true}"#, events).unwrap(), [r#"{"hello":true}"#]);
        let split = |split| Decode { split, ..Decode::default() };
        assert_eq!(records("{\"a\":1}\n\n{\"b\":2}\r\n", split(Split::Ndjson)).unwrap(), [r#"{"a":1}"#, r#"{"b":2}"#]);
        assert_eq!(records(r#" [1, {"a":"]"}] "#, split(Split::JsonArray)).unwrap(), ["1", r#"{"a":"]"}"#]);
        let unwrap = Decode { unwrap: vec!["/data".into()], ..Decode::default() };
        assert_eq!(records(r#"{"data":"{\"x\":1}"}"#, unwrap).unwrap(), [r#"{"x":1}"#]);
    }

    #[test]
    fn t11_depth_and_number_are_bounded_before_anything_is_built() {
        let deep = "[".repeat(1_000_000);
        assert!(parse(&deep, &Limits::default()).unwrap_err().contains("deeper"));
        assert!(parse(r#"{"a":"[[[[[[","b":[[1]]}"#, &Limits { json_depth: 3, ..Limits::default() }).is_ok());
        let many = format!("[{}]", vec!["1"; 5001].join(","));
        assert!(records(&many, Decode { split: Split::JsonArray, ..Decode::default() }).unwrap_err().contains("5001"));
    }
}
