//! From a feed's own shape to ECS fields: declarative tables.
//!
//! A mapping says what it applies to (`when`), how the text is read (`input`), and for each ECS field where its value
//! comes from, in order of preference. Built-in ones lie in `mappings/`; a user's own file has the same form.
//!
//! `file` reads that form, `lines` reads syslog and pipe lines, `values` makes fields of JSON values, `draft` keeps
//! what one event may hold within bounds.

use std::sync::Arc;

use chrono_tz::Tz;
use compact_str::CompactString;
use serde::Deserialize;
use serde_json_borrow::Value as Json;
use wf_model::{FieldName, Fields, Timestamp, Value};

use crate::config::{Condition, Limits};
use crate::decode::{at, holds, parse};
use draft::Draft;
use values::{Field, flatten, line_text, time};

mod draft;
mod file;
mod lines;
mod values;

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

/// What a feed may speak, as somebody who connects one chooses it: the mappings it takes, and its name.
pub const SHAPES: &[(&[&str], &str)] = &[
    (&["ecs"], "Elastic Common Schema (ECS) JSON"),
    (
        &["auth-event", "security-event", "activity-log", "auth-log"],
        "Web application: logins, security events, activity",
    ),
    (&["sshd"], "sshd lines (text or journald JSON)"),
    (&["audit-line"], "Lines of the form  time | LEVEL | event=…"),
];

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
    patterns: Arc<Vec<lines::Pattern>>,
}

/// What a mapping made of a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapped {
    pub fields: Fields,
    pub occurred_at: Option<Timestamp>,
    /// How many events the record stands for (`message repeated 3 times`).
    pub times: u32,
    /// What the record tells of an attempt that others tell of as well.
    pub sign: Option<Sign>,
}

/// A line that tells of an attempt to log in, where the same program writes several for one attempt.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// What it tells.
    pub of: SignOf,
    /// The `event.action` when another line has told of the same attempt.
    pub told: CompactString,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignOf {
    /// The attempt begins, and cannot succeed. Its failure may be written too.
    Start,
    /// The attempt failed. There may be more of them on one connection, each of its own.
    Failure,
    /// The connection has had too many.
    Limit,
    /// The connection ended before a login. Its failure may have been written before.
    End,
}

/// How records of a feed are read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    pub limits: &'a Limits,
    pub now: Timestamp,
    /// The zone of stamps that name none.
    pub zone: Tz,
}

impl Mapping {
    pub fn built_in(name: &str) -> Option<Self> {
        let (_, text) = BUILT_IN.iter().find(|(n, _)| *n == name)?;
        Self::parse(text).ok()
    }

    /// # Errors
    /// What is wrong in the file, with the line where the TOML reader knows it.
    pub fn parse(text: &str) -> Result<Self, String> {
        file::parse(text)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it reads plain text, which may begin as JSON does.
    pub fn reads_text(&self) -> bool {
        match self.input {
            Input::Json => false,
            Input::Pipe | Input::Syslog => true,
        }
    }
}

/// Applies the first of `mappings` that fits. A line that no pattern of a syslog mapping fits goes on to the next one;
/// if none takes it, the last of those that could read it keeps it. `Err` says why none does.
pub fn apply(mappings: &[Mapping], text: &str, json: Option<&Json>, reading: Reading) -> Result<Mapped, String> {
    let (mut why, mut kept) = (String::new(), None);
    for mapping in mappings {
        match mapping.apply(text, json, reading) {
            Ok((mapped, true)) => return Ok(mapped),
            Ok((mapped, false)) => kept = Some(mapped),
            Err(reason) => {
                if !why.is_empty() {
                    why.push_str("; ");
                }
                why.push_str(&format!("{}: {reason}", mapping.name));
            }
        }
    }
    kept.ok_or(why)
}

impl Mapping {
    /// `false`: it can read the record, but knows nothing of it.
    fn apply(&self, text: &str, json: Option<&Json>, reading: Reading) -> Result<(Mapped, bool), String> {
        match self.input {
            Input::Json => {
                let Some(json) = json else { return Err("this is a line of text, not JSON".into()) };
                if !json.is_object() {
                    return Err("this is JSON but no object".into());
                }
                self.needs(json)?;
                Ok((self.take(json, reading), true))
            }
            Input::Pipe => {
                let document = lines::pipe(text)?;
                let json: Json = parse(&document, reading.limits).map_err(|e| e.to_string())?;
                self.needs(&json)?;
                Ok((self.take(&json, reading), true))
            }
            Input::Syslog => match json {
                None => self.syslog(text, None, reading),
                Some(json) => {
                    let line = self
                        .line
                        .iter()
                        .find_map(|p| line_text(at(json, p)?))
                        .ok_or_else(|| format!("there is no line at {}", self.line.join(" or ")))?;
                    let (mut mapped, fits) = self.syslog(&line, Some(json), reading)?;
                    if let Some(t) = self.time_of(json, reading) {
                        mapped.occurred_at = Some(t);
                    }
                    Ok((mapped, fits))
                }
            },
        }
    }

    fn needs(&self, json: &Json) -> Result<(), String> {
        match self.when.iter().find(|c| !holds(c, json)) {
            Some(c) => Err(format!("it needs {}", c.pointer)),
            None => Ok(()),
        }
    }

    fn take(&self, json: &Json, reading: Reading) -> Mapped {
        let fields = self.draft(Some(json)).finish();
        Mapped { fields, occurred_at: self.time_of(json, reading), times: 1, sign: None }
    }

    fn time_of(&self, json: &Json, reading: Reading) -> Option<Timestamp> {
        self.time.iter().find_map(|p| time(at(json, p)?, reading.zone))
    }

    /// The fields that stand in the JSON, and those that are always the same.
    fn draft(&self, json: Option<&Json>) -> Draft {
        let mut draft = Draft::with_capacity(self.set.len() + self.fields.len() + self.patterns.len().min(8));
        if let Some(json) = json {
            for f in self.fields.iter() {
                let found = f.from.iter().filter_map(|p| at(json, p)).find_map(|v| f.read(v, &mut draft.cut));
                if let Some(v) = found.or_else(|| f.default.clone()) {
                    draft.set_first(f.to.clone(), v);
                }
            }
            if self.flatten {
                flatten(json, &mut String::new(), &mut draft);
            }
        }
        for (name, value) in &self.set {
            draft.set_constant(name.clone(), value.clone());
        }
        draft
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
