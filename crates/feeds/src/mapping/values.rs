//! From JSON values to the values of fields.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde::Deserialize;
use serde_json_borrow::Value as Json;
use wf_model::{FieldName, Timestamp, Value};

use super::draft::{Draft, NAME_LIMIT, cut};
use crate::decode::scalar;

#[derive(Debug)]
pub struct Field {
    pub from: Vec<String>,
    pub to: FieldName,
    pub cast: Cast,
    pub values: BTreeMap<String, String>,
    pub default: Option<Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cast {
    /// As it is.
    #[default]
    Keep,
    /// Identifiers: numbers become text.
    Text,
    /// Lower-case text, spaces and dashes as `_`.
    Word,
    Number,
    Boolean,
    /// true: `success`, false: `failure`.
    Outcome,
    /// Only what `values` names.
    Known,
    /// A text that is not `-` or empty: what logs write where there is nothing.
    Named,
    /// `/articles` of `POST /articles`.
    RequestPath,
    /// `POST` of `POST /articles`.
    RequestMethod,
}

impl Field {
    /// The value it takes from `v`, if it takes any; `cuts` counts the texts that were too long.
    pub fn read(&self, v: &Json, cuts: &mut u32) -> Option<Value> {
        if !self.values.is_empty()
            && let Some(word) = scalar(v).and_then(|s| self.values.get(&s))
        {
            return Some(Value::str(word));
        }
        match self.cast {
            Cast::Keep => value(v, cuts),
            Cast::Text => scalar(v).filter(|s| !s.is_empty()).map(|s| cut(&s, cuts)),
            Cast::Word => {
                scalar(v).filter(|s| !s.is_empty()).map(|s| cut(&s.to_lowercase().replace([' ', '-'], "_"), cuts))
            }
            Cast::Number => match v {
                Json::Str(s) => s
                    .trim()
                    .parse::<i64>()
                    .map(Value::int)
                    .ok()
                    .or_else(|| s.trim().parse().ok().filter(|f: &f64| f.is_finite()).map(Value::Float)),
                other => value(other, cuts).filter(|v| matches!(v, Value::Int(_) | Value::Float(_))),
            },
            Cast::Boolean => boolean(v).map(Value::Bool),
            Cast::Known => None,
            Cast::Named => scalar(v).filter(|s| !s.is_empty() && s != "-").map(|s| cut(&s, cuts)),
            Cast::RequestPath => request(v).map(|(_, path)| cut(&path, cuts)),
            Cast::RequestMethod => request(v).map(|(method, _)| Value::str(&method)),
            Cast::Outcome => boolean(v).map(|b| Value::str(if b { "success" } else { "failure" })),
        }
    }
}

/// Every leaf under its dotted name, without what stands under one of the keys of `read`. A branch whose name alone is
/// too long is dropped as a whole.
pub fn flatten(v: &Json, path: &mut String, out: &mut Draft, read: &[&str]) {
    let Json::Object(map) = v else { return };
    for (key, v) in map.iter() {
        if out.is_full() || path.len() + key.len() >= NAME_LIMIT {
            out.dropped = out.dropped.saturating_add(1);
            continue;
        }
        // `watchfloor.` is ours: a feed must not claim to be another source, or an incident.
        if path.is_empty() && (key == "watchfloor" || key.starts_with("watchfloor.") || read.contains(&key)) {
            continue;
        }
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        match value(v, &mut out.cut) {
            Some(leaf) => out.set_first(path.as_str().into(), leaf),
            None => flatten(v, path, out, &[]),
        }
        path.truncate(length);
    }
}

pub fn time(v: &Json, zone: Tz) -> Option<Timestamp> {
    match v {
        Json::Str(s) => Timestamp::parse_in(s, &zone),
        Json::Number(_) => Timestamp::from_number(v.as_f64()?),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// journald writes a message that is not UTF-8 as an array of bytes.
pub fn line_text(v: &Json) -> Option<String> {
    match v {
        Json::Str(s) => Some(s.to_string()),
        Json::Array(bytes) => {
            let bytes: Option<Vec<u8>> = bytes.iter().map(|b| b.as_u64().and_then(|n| u8::try_from(n).ok())).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    }
}

/// Method and target of `POST /articles`.
fn request(v: &Json) -> Option<(String, String)> {
    let text = v.as_str()?;
    let (method, target) = text.split_once(' ')?;
    let is_method = (3..=10).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase());
    (is_method && target.starts_with(['/', 'h'])).then(|| (method.to_owned(), target.trim_end().to_owned()))
}

fn boolean(v: &Json) -> Option<bool> {
    match v {
        Json::Bool(b) => Some(*b),
        Json::Number(_) => v.as_i64().and_then(|i| match i {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }),
        Json::Str(s) => match s.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" | "t" => Some(true),
            "false" | "no" | "0" | "f" => Some(false),
            _ => None,
        },
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn value(v: &Json, cuts: &mut u32) -> Option<Value> {
    match v {
        Json::Null | Json::Object(_) => None,
        Json::Bool(b) => Some(Value::Bool(*b)),
        Json::Number(_) => match (v.as_i64(), v.as_f64()) {
            (Some(i), _) => Some(Value::int(i)),
            // Unsigned beyond i64: exact as text.
            (None, _) if v.as_u64().is_some() => scalar(v).map(|s| Value::str(&s)),
            (None, Some(f)) if f.is_finite() => Some(Value::Float(f)),
            _ => None,
        },
        Json::Str(s) => Some(cut(s, cuts)),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().take(100).filter_map(|item| value(item, cuts)).collect();
            (!items.is_empty()).then_some(Value::List(items))
        }
    }
}
