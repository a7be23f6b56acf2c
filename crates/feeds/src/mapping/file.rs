//! The form that a mapping has as a file, and how it is compiled. Strict: a key that would have no effect is an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use wf_model::{FieldName, Value};

use super::draft::NAME_LIMIT;
use super::lines::Pattern;
use super::values::{Cast, Field};
use super::{Input, Mapping, Sign, Source};
use crate::config::Condition;

/// What is said of an event beside what its record holds. A mapping that could say it as well would be believed.
const RESERVED: &[&str] = &[
    "watchfloor.time",
    "watchfloor.claimed_at",
    "watchfloor.cut_values",
    "watchfloor.dropped_fields",
    "watchfloor.same_attempt",
    "watchfloor.repeat",
];

/// Fields that several mappings read.
const FRAGMENTS: &[(&str, &str)] = &[("web-application", include_str!("../../mappings/web-application.toml"))];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fragment {
    field: Vec<FieldEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    input: Input,
    /// All must hold. Not for syslog lines: what is in those is what their patterns find.
    #[serde(default)]
    when: Vec<Condition>,
    /// One must hold. Not for syslog lines.
    #[serde(default)]
    any: Vec<Condition>,
    logsource: Option<LogSource>,
    /// Other log sources, by what is in the event; the first that fits.
    #[serde(default)]
    source: Vec<SourceEntry>,
    /// Pointers to objects whose leaves are taken under their own names.
    #[serde(default)]
    lift: Vec<String>,
    /// More fields, after its own: [`FRAGMENTS`].
    include: Option<String>,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSource {
    product: Option<String>,
    service: Option<String>,
    category: Option<String>,
}

/// `logsource` of events whose fields have these values.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceEntry {
    fields: BTreeMap<String, toml::Value>,
    service: Option<String>,
    category: Option<OneOrMany>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternEntry {
    regex: String,
    #[serde(default)]
    set: BTreeMap<String, toml::Value>,
    /// Named groups and the fields they fill: a name, or `{ to, cast }`.
    #[serde(default)]
    fields: BTreeMap<String, GroupEntry>,
    /// The group that holds the event's time, and its form (`%d/%b/%Y:%H:%M:%S %z`).
    time: Option<TimeEntry>,
    /// Where several lines tell of one attempt to log in.
    attempt: Option<Sign>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum GroupEntry {
    Name(String),
    Cast { to: String, cast: Cast },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeEntry {
    group: String,
    format: String,
}

pub fn parse(text: &str) -> Result<Mapping, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    if let Some(why) = without_effect(&file) {
        return Err(format!("mapping '{}': {why}", file.name));
    }
    let mut set = constants(&file.set)?;
    if let Some(source) = &file.logsource {
        for (key, value) in [("product", &source.product), ("service", &source.service), ("category", &source.category)]
        {
            if let Some(v) = value {
                set.push((format!("watchfloor.logsource.{key}").into(), Value::str(v)));
            }
        }
    }
    let included = file.include.as_deref().map(fragment).transpose()?.unwrap_or_default();
    let fields = file.field.into_iter().chain(included).map(field).collect::<Result<Vec<_>, String>>()?;
    let patterns = file.pattern.into_iter().map(pattern).collect::<Result<_, String>>()?;
    let sources = file.source.into_iter().map(source).collect::<Result<_, String>>()?;
    Ok(Mapping {
        name: file.name,
        input: file.input,
        when: file.when,
        any: file.any,
        sources: Arc::new(sources),
        lift: file.lift,
        time: file.time,
        flatten: file.flatten,
        line: file.line,
        set,
        keys: Arc::new(super::records::Keys::of(&fields)),
        fields: Arc::new(fields),
        patterns: Arc::new(patterns),
    })
}

fn fragment(name: &str) -> Result<Vec<FieldEntry>, String> {
    let names = || FRAGMENTS.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
    let (_, text) = FRAGMENTS
        .iter()
        .find(|(n, _)| *n == name)
        .ok_or_else(|| format!("there is nothing called '{name}' to include; there is {}", names()))?;
    toml::from_str::<Fragment>(text).map(|f| f.field).map_err(|e| e.to_string())
}

/// A key that would be ignored, and why.
fn without_effect(file: &File) -> Option<&'static str> {
    let lines = file.input == Input::Syslog;
    let of_json = !file.time.is_empty() || !file.field.is_empty() || file.include.is_some() || file.flatten;
    if !lines && !file.pattern.is_empty() {
        Some("[[pattern]] is for input = \"syslog\"; use [[field]] here")
    } else if !lines && !file.line.is_empty() {
        Some("line is for input = \"syslog\"")
    } else if lines && !(file.any.is_empty() && file.lift.is_empty()) {
        Some("any and lift are not for input = \"syslog\"")
    } else if lines && !file.when.is_empty() {
        Some("when is not for input = \"syslog\": a line that no [[pattern]] fits goes on to the next mapping")
    } else if lines && file.line.is_empty() && of_json {
        Some("time, flatten and [[field]] are about the JSON around a line, and line does not say where that stands")
    } else {
        None
    }
}

fn source(entry: SourceEntry) -> Result<Source, String> {
    let mut set = Vec::new();
    if let Some(service) = &entry.service {
        set.push(("watchfloor.logsource.service".into(), Value::str(service)));
    }
    match entry.category {
        None => {}
        Some(OneOrMany::One(one)) => set.push(("watchfloor.logsource.category".into(), Value::str(&one))),
        Some(OneOrMany::Many(many)) => {
            let many = many.iter().map(|c| Value::str(c)).collect();
            set.push(("watchfloor.logsource.category".into(), Value::List(many)));
        }
    }
    Ok(Source { when: constants(&entry.fields)?, set })
}

fn field(entry: FieldEntry) -> Result<Field, String> {
    let default = entry.default.as_ref().map(constant).transpose()?;
    Ok(Field { from: entry.from, to: name(&entry.to)?, cast: entry.cast, values: entry.values, default })
}

fn pattern(entry: PatternEntry) -> Result<Pattern, String> {
    let regex = regex::RegexBuilder::new(&entry.regex)
        .size_limit(1 << 20)
        .build()
        .map_err(|e| format!("pattern '{}': {e}", entry.regex))?;
    let groups = entry.fields.keys().chain(entry.time.iter().map(|t| &t.group));
    for group in groups {
        if !regex.capture_names().flatten().any(|n| n == group) {
            return Err(format!("pattern '{}' has no group '{group}'", entry.regex));
        }
    }
    let fields = entry.fields.into_iter().map(|(group, entry)| {
        let (to, cast) = match entry {
            GroupEntry::Name(to) => (to, Cast::Keep),
            GroupEntry::Cast { to, cast } => (to, cast),
        };
        let to = name(&to)?;
        Ok((group, Field { from: Vec::new(), to, cast, values: BTreeMap::new(), default: None }))
    });
    let fields = fields.collect::<Result<_, String>>()?;
    let time = entry.time.map(|t| (t.group, t.format));
    Ok(Pattern { regex, set: constants(&entry.set)?, fields, time, attempt: entry.attempt })
}

fn constants(set: &BTreeMap<String, toml::Value>) -> Result<Vec<(FieldName, Value)>, String> {
    set.iter().map(|(field, v)| Ok((name(field)?, constant(v)?))).collect()
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

fn name(field: &str) -> Result<FieldName, String> {
    if RESERVED.contains(&field) {
        return Err(format!("the field '{field}' is set by Watchfloor itself"));
    }
    if field.len() > NAME_LIMIT {
        return Err(format!("the name of a field has at most {NAME_LIMIT} bytes"));
    }
    Ok(field.into())
}
