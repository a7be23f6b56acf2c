//! From a feed's own shape to ECS fields: declarative tables.
//!
//! A mapping says what it applies to (`when`), how the text is read (`input`), and for each ECS field where its value
//! comes from, in order of preference. Built-in ones lie in `mappings/`; a user's own file has the same form.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use serde_json_borrow::Value as Json;
use syslog_loose::{Variant, parse_message_with_year_tz};
use wf_model::{FieldName, Fields, Timestamp, Value};

use crate::config::{Condition, Limits};
use crate::decode::{at, holds, parse, scalar};

/// The mappings that ship with the product.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("ecs", include_str!("../mappings/ecs.toml")),
    ("activity-log", include_str!("../mappings/activity-log.toml")),
    ("security-event", include_str!("../mappings/security-event.toml")),
    ("auth-event", include_str!("../mappings/auth-event.toml")),
    ("auth-log", include_str!("../mappings/auth-log.toml")),
    ("audit-line", include_str!("../mappings/audit-line.toml")),
    ("sshd", include_str!("../mappings/sshd.toml")),
];

/// Longer field values are cut: rules look at fields, and the text that came in is stored whole.
const VALUE_LIMIT: usize = 16 << 10;
/// More fields than this are not taken from one event.
const FIELD_LIMIT: usize = 200;
/// `message repeated N times` stands for at most this many.
const REPEAT_LIMIT: u32 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    input: Input,
    /// All must hold (JSON only).
    #[serde(default)]
    when: Vec<Condition>,
    logsource: Option<LogSource>,
    /// Pointers to the event's time, in order of preference.
    #[serde(default)]
    time: Vec<String>,
    /// Take every leaf under its own dotted name.
    #[serde(default)]
    flatten: bool,
    /// For lines: pointers to the line inside a JSON frame.
    #[serde(default)]
    line: Vec<String>,
    #[serde(default)]
    set: BTreeMap<String, toml::Value>,
    #[serde(default)]
    field: Vec<FieldEntry>,
    #[serde(default)]
    pattern: Vec<PatternEntry>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Input {
    #[default]
    Json,
    /// `a | b | key=value | key=value`
    Pipe,
    /// A syslog line, or its message alone.
    Syslog,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSource {
    product: Option<String>,
    service: Option<String>,
    category: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldEntry {
    /// Pointers, in order of preference.
    from: Vec<String>,
    to: String,
    #[serde(default)]
    cast: Cast,
    /// Foreign words and ours.
    #[serde(default)]
    values: BTreeMap<String, String>,
    /// Used when `from` finds nothing.
    default: Option<toml::Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Cast {
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
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternEntry {
    regex: String,
    #[serde(default)]
    set: BTreeMap<String, toml::Value>,
    /// Named groups and the fields they fill.
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

/// A compiled mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    name: String,
    input: Input,
    when: Vec<Condition>,
    time: Vec<String>,
    flatten: bool,
    line: Vec<String>,
    set: Vec<(FieldName, Value)>,
    fields: Arc<Vec<Field>>,
    patterns: Arc<Vec<Pattern>>,
}

#[derive(Debug)]
struct Field {
    from: Vec<String>,
    to: FieldName,
    cast: Cast,
    values: BTreeMap<String, String>,
    default: Option<Value>,
}

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    set: Vec<(FieldName, Value)>,
    fields: Vec<(String, FieldName)>,
}

/// What a mapping made of a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapped {
    pub fields: Fields,
    pub occurred_at: Option<Timestamp>,
    /// How many events the record stands for (`message repeated 3 times`).
    pub times: u32,
}

impl Mapping {
    pub fn built_in(name: &str) -> Option<Self> {
        let (_, text) = BUILT_IN.iter().find(|(n, _)| *n == name)?;
        Self::parse(text).ok()
    }

    /// # Errors
    /// What is wrong in the file, with the line where the TOML reader knows it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut set = constants(&file.set)?;
        if let Some(source) = &file.logsource {
            for (key, value) in
                [("product", &source.product), ("service", &source.service), ("category", &source.category)]
            {
                if let Some(v) = value {
                    set.push((format!("watchfloor.logsource.{key}").into(), Value::str(v)));
                }
            }
        }
        let fields = file
            .field
            .into_iter()
            .map(|f| {
                let default = f.default.as_ref().map(constant).transpose()?;
                Ok(Field { from: f.from, to: f.to.into(), cast: f.cast, values: f.values, default })
            })
            .collect::<Result<_, String>>()?;
        let patterns = file
            .pattern
            .into_iter()
            .map(|p| {
                let regex = regex::RegexBuilder::new(&p.regex)
                    .size_limit(1 << 20)
                    .build()
                    .map_err(|e| format!("pattern '{}': {e}", p.regex))?;
                for group in p.fields.keys() {
                    if !regex.capture_names().flatten().any(|n| n == group) {
                        return Err(format!("pattern '{}' has no group '{group}'", p.regex));
                    }
                }
                let fields = p.fields.into_iter().map(|(g, f)| (g, f.into())).collect();
                Ok(Pattern { regex, set: constants(&p.set)?, fields })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self {
            name: file.name,
            input: file.input,
            when: file.when,
            time: file.time,
            flatten: file.flatten,
            line: file.line,
            set,
            fields: Arc::new(fields),
            patterns: Arc::new(patterns),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Applies the first of `mappings` that fits. `Err` says why none does.
pub fn apply(
    mappings: &[Mapping],
    text: &str,
    json: Option<&Json>,
    limits: &Limits,
    now: Timestamp,
) -> Result<Mapped, String> {
    let mut why = String::new();
    for mapping in mappings {
        match mapping.apply(text, json, limits, now) {
            Ok(mapped) => return Ok(mapped),
            Err(reason) => {
                if !why.is_empty() {
                    why.push_str("; ");
                }
                why.push_str(&format!("{}: {reason}", mapping.name));
            }
        }
    }
    Err(why)
}

impl Mapping {
    fn apply(&self, text: &str, json: Option<&Json>, limits: &Limits, now: Timestamp) -> Result<Mapped, String> {
        match self.input {
            Input::Json => {
                let Some(json) = json else { return Err("this is a line of text, not JSON".into()) };
                if !json.is_object() {
                    return Err("this is JSON but no object".into());
                }
                if let Some(c) = self.when.iter().find(|c| !holds(c, json)) {
                    return Err(format!("it needs {}", c.pointer));
                }
                Ok(self.take(json))
            }
            Input::Pipe => {
                let document = pipe(text)?;
                let json: Json = parse(&document, limits)?;
                Ok(self.take(&json))
            }
            Input::Syslog => match json {
                None => self.syslog(text, None, now),
                Some(json) => {
                    let line = self
                        .line
                        .iter()
                        .find_map(|p| line_text(at(json, p)?))
                        .ok_or_else(|| format!("there is no line at {}", self.line.join(" or ")))?;
                    let mut mapped = self.syslog(&line, Some(json), now)?;
                    if let Some(t) = self.time.iter().find_map(|p| time(at(json, p)?)) {
                        mapped.occurred_at = Some(t);
                    }
                    Ok(mapped)
                }
            },
        }
    }

    fn take(&self, json: &Json) -> Mapped {
        let mut fields = Fields::with_capacity(self.set.len() + self.fields.len());
        for f in self.fields.iter() {
            let found = f.from.iter().filter_map(|p| at(json, p)).find_map(|v| f.read(v));
            if let Some(v) = found.or_else(|| f.default.clone()) {
                fields.set_first(f.to.clone(), v);
            }
        }
        if self.flatten {
            flatten(json, &mut String::new(), &mut fields);
        }
        for (name, value) in &self.set {
            fields.set_first(name.clone(), value.clone());
        }
        let occurred_at = self.time.iter().find_map(|p| time(at(json, p)?));
        Mapped { fields, occurred_at, times: 1 }
    }

    fn syslog(&self, line: &str, json: Option<&Json>, now: Timestamp) -> Result<Mapped, String> {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Err("the line is empty".into());
        }
        let year = year_of(now);
        let parsed = parse_message_with_year_tz(
            line,
            |(month, ..)| if month == 12 && month_of(now) == 1 { year - 1 } else { year },
            Some(chrono::Utc),
            Variant::Either,
        );
        // Without a header it is the message alone.
        let (message, header) = if parsed.timestamp.is_some() || parsed.appname.is_some() && parsed.procid.is_some() {
            (parsed.msg, Some(&parsed))
        } else {
            (line, None)
        };
        let (message, times) = repeated(message);
        let mut mapped = match json {
            Some(json) => self.take(json),
            None => Mapped {
                times: 1,
                fields: self.set.iter().fold(Fields::default(), |mut f, (n, v)| {
                    f.set_first(n.clone(), v.clone());
                    f
                }),
                occurred_at: None,
            },
        };
        mapped.times = times;
        if let Some(header) = header {
            mapped.occurred_at = header.timestamp.map(|t| Timestamp::from_millis(t.timestamp_millis()));
            for (name, value) in [("host.name", header.hostname), ("process.name", header.appname)] {
                if let Some(v) = value {
                    mapped.fields.set_first(name.into(), cut(v));
                }
            }
        }
        mapped.fields.set_first("message".into(), cut(message));
        for pattern in self.patterns.iter() {
            let Some(found) = pattern.regex.captures(message) else { continue };
            for (group, field) in &pattern.fields {
                if let Some(m) = found.name(group) {
                    mapped.fields.set(field.clone(), cut(m.as_str()));
                }
            }
            for (name, value) in &pattern.set {
                mapped.fields.set(name.clone(), value.clone());
            }
            break;
        }
        Ok(mapped)
    }
}

impl Field {
    fn read(&self, v: &Json) -> Option<Value> {
        if !self.values.is_empty()
            && let Some(word) = scalar(v).and_then(|s| self.values.get(&s))
        {
            return Some(Value::str(word));
        }
        match self.cast {
            Cast::Keep => value(v),
            Cast::Text => scalar(v).filter(|s| !s.is_empty()).map(|s| cut(&s)),
            Cast::Word => scalar(v).filter(|s| !s.is_empty()).map(|s| cut(&s.to_lowercase().replace([' ', '-'], "_"))),
            Cast::Number => match v {
                Json::Str(s) => s
                    .trim()
                    .parse::<i64>()
                    .map(Value::int)
                    .ok()
                    .or_else(|| s.trim().parse().ok().filter(|f: &f64| f.is_finite()).map(Value::Float)),
                other => value(other).filter(|v| matches!(v, Value::Int(_) | Value::Float(_))),
            },
            Cast::Boolean => boolean(v).map(Value::Bool),
            Cast::Outcome => boolean(v).map(|b| Value::str(if b { "success" } else { "failure" })),
        }
    }
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

fn value(v: &Json) -> Option<Value> {
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
        Json::Str(s) => Some(cut(s)),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().take(100).filter_map(value).collect();
            (!items.is_empty()).then_some(Value::List(items))
        }
    }
}

fn flatten(v: &Json, path: &mut String, out: &mut Fields) {
    let Json::Object(map) = v else { return };
    for (key, v) in map.iter() {
        if out.len() >= FIELD_LIMIT {
            return;
        }
        // `watchfloor.` is ours: a feed must not claim to be another source, or an incident.
        if path.is_empty() && (key == "watchfloor" || key.starts_with("watchfloor.")) {
            continue;
        }
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        match value(v) {
            Some(leaf) => out.set_first(path.as_str().into(), leaf),
            None => flatten(v, path, out),
        }
        path.truncate(length);
    }
}

fn cut(s: &str) -> Value {
    let mut end = s.len().min(VALUE_LIMIT);
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    Value::str(&s[..end])
}

fn time(v: &Json) -> Option<Timestamp> {
    match v {
        Json::Str(s) => Timestamp::parse(s),
        Json::Number(_) => Timestamp::from_number(v.as_f64()?),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

/// journald writes a message that is not UTF-8 as an array of bytes.
fn line_text(v: &Json) -> Option<String> {
    match v {
        Json::Str(s) => Some(s.to_string()),
        Json::Array(bytes) => {
            let bytes: Option<Vec<u8>> = bytes.iter().map(|b| b.as_u64().and_then(|n| u8::try_from(n).ok())).collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    }
}

/// `message repeated 3 times: [ Failed password …]`, as rsyslog folds them.
fn repeated(message: &str) -> (&str, u32) {
    let unfold = || {
        let (n, rest) = message.trim_start().strip_prefix("message repeated ")?.split_once(" times: [")?;
        let n: u32 = n.parse().ok()?;
        Some((rest.strip_suffix(']')?.trim(), n.clamp(1, REPEAT_LIMIT)))
    };
    unfold().unwrap_or((message, 1))
}

fn pipe(text: &str) -> Result<String, String> {
    let mut parts = text.trim().split(" | ");
    let (stamp, level) = (parts.next().unwrap_or_default(), parts.next().ok_or("there is no ' | ' in the line")?);
    let mut map = serde_json::Map::new();
    map.insert("timestamp".into(), stamp.trim().into());
    map.insert("level".into(), level.trim().into());
    for part in parts {
        match part.split_once('=') {
            Some((key, value)) => {
                // The first of a name counts: what a user typed comes after what the application wrote.
                map.entry(key.trim()).or_insert_with(|| value.trim().into());
            }
            None => {
                map.entry("event").or_insert_with(|| part.trim().to_lowercase().into());
            }
        }
    }
    if !map.contains_key("event") {
        return Err("there is no event= in the line".into());
    }
    Ok(serde_json::Value::Object(map).to_string())
}

fn year_of(now: Timestamp) -> i32 {
    now.rfc3339()[..4].parse().unwrap_or(1970)
}

fn month_of(now: Timestamp) -> u32 {
    now.rfc3339()[5..7].parse().unwrap_or(1)
}

fn constants(set: &BTreeMap<String, toml::Value>) -> Result<Vec<(FieldName, Value)>, String> {
    set.iter().map(|(name, v)| Ok((FieldName::from(name.as_str()), constant(v)?))).collect()
}

fn constant(v: &toml::Value) -> Result<Value, String> {
    Ok(match v {
        toml::Value::String(s) => Value::str(s),
        toml::Value::Integer(i) => Value::int(*i),
        toml::Value::Float(f) => Value::Float(*f),
        toml::Value::Boolean(b) => Value::Bool(*b),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
            return Err(format!("'{v}' is no text, number or boolean"));
        }
    })
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
