//! From a feed's own shape to ECS fields: declarative tables.
//!
//! A mapping says what it applies to (`when`), how the text is read (`input`), and for each ECS field where its value
//! comes from, in order of preference. Built-in ones lie in `mappings/`; a user's own file has the same form.
//!
//! `file` reads that form, `records` reads JSON and `lines` syslog and pipe lines, `values` makes fields of JSON values,
//! `actions` knows what people call the same thing, `draft` keeps what one event may hold within bounds.

use std::sync::Arc;

use chrono_tz::Tz;
use compact_str::CompactString;
use serde::Deserialize;
use serde_json_borrow::Value as Json;
use wf_model::{FieldName, Fields, Timestamp, Value};

use crate::config::{Condition, Limits};
use crate::decode::{at, holds, parse};
use values::{Field, line_text, time};

mod actions;
mod draft;
mod file;
mod lines;
mod records;
mod values;

/// The mappings that ship with the product.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("ecs", include_str!("../mappings/ecs.toml")),
    ("activity-log", include_str!("../mappings/activity-log.toml")),
    ("security-event", include_str!("../mappings/security-event.toml")),
    ("auth-event", include_str!("../mappings/auth-event.toml")),
    ("auth-log", include_str!("../mappings/auth-log.toml")),
    ("audit-line", include_str!("../mappings/audit-line.toml")),
    ("access-log", include_str!("../mappings/access-log.toml")),
    ("laravel", include_str!("../mappings/laravel.toml")),
    ("windows", include_str!("../mappings/windows.toml")),
    ("sshd", include_str!("../mappings/sshd.toml")),
];

/// What a feed may speak, as somebody who connects one chooses it: the mappings it takes, and its name.
pub const SHAPES: &[(&[&str], &str)] = &[
    (&["ecs"], "Elastic Common Schema (ECS) JSON"),
    (
        &["auth-event", "security-event", "activity-log", "auth-log"],
        "Web application: logins, security events, activity",
    ),
    (&["access-log"], "Access log of nginx or Apache"),
    (&["laravel"], "Laravel log (JSON lines)"),
    (&["windows"], "Windows events (EVTX as JSON, Winlogbeat)"),
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
    any: Vec<Condition>,
    sources: Arc<Vec<Source>>,
    lift: Vec<String>,
    time: Vec<String>,
    flatten: bool,
    line: Vec<String>,
    set: Vec<(FieldName, Value)>,
    fields: Arc<Vec<Field>>,
    keys: Arc<records::Keys>,
    patterns: Arc<Vec<lines::Pattern>>,
}

/// Where events with these values come from, in Sigma's words.
#[derive(Debug)]
struct Source {
    when: Vec<(FieldName, Value)>,
    set: Vec<(FieldName, Value)>,
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

/// What `mappings` make of a record, in whatever order they are named: of a JSON record the mappings that fit it take
/// what each knows; what none knows stays in the text, where rules find it. Of a line, the first whose pattern fits; a line that
/// no pattern fits is kept by the last mapping that could read it. `Err` says why none does.
pub fn apply(mappings: &[Mapping], text: &str, json: Option<&Json>, reading: Reading) -> Result<Mapped, String> {
    let (mut why, mut kept) = (Vec::new(), None);
    let around_lines = |m: &&Mapping| m.input == Input::Syslog && !m.patterns.is_empty();
    if let Some(json) = json {
        // A record around a line that somebody knows is that line.
        let mut known = mappings.iter().filter(around_lines).filter_map(|m| m.line(text, Some(json), reading).ok());
        if let Some((mapped, _)) = known.find(|(_, fits)| *fits) {
            return Ok(mapped);
        }
        match records::read(mappings, json, reading) {
            Ok(mapped) => return Ok(mapped),
            Err(reasons) => why = reasons,
        }
    }
    for mapping in mappings {
        match mapping.line(text, json, reading) {
            Ok((mapped, true)) => return Ok(mapped),
            Ok((mapped, false)) => kept = Some(mapped),
            Err(Unfit::Other) => {}
            Err(Unfit::Because(reason)) => why.push(format!("{}: {reason}", mapping.name)),
        }
    }
    kept.ok_or_else(|| why.join("; "))
}

/// Why a mapping does not read a line.
enum Unfit {
    /// It is for records, and those were looked at.
    Other,
    Because(String),
}

impl Mapping {
    /// `false`: it can read the line, but knows nothing of it.
    fn line(&self, text: &str, json: Option<&Json>, reading: Reading) -> Result<(Mapped, bool), Unfit> {
        match (self.input, json) {
            (Input::Json, None) => Err(Unfit::Because("this is a line of text, not JSON".into())),
            (Input::Json, Some(_)) => Err(Unfit::Other),
            (Input::Pipe, _) => {
                let document = lines::pipe(text).map_err(Unfit::Because)?;
                let json: Json = parse(&document, reading.limits).map_err(|e| Unfit::Because(e.to_string()))?;
                self.needs(&json).map_err(Unfit::Because)?;
                Ok((records::of(&[self], &json, reading), true))
            }
            (Input::Syslog, None) => self.syslog(text, None, reading).map_err(Unfit::Because),
            (Input::Syslog, Some(json)) => {
                let line = self.line.iter().find_map(|p| line_text(at(json, p)?));
                let line =
                    line.ok_or_else(|| Unfit::Because(format!("there is no line at {}", self.line.join(" or "))))?;
                let (mut mapped, fits) = self.syslog(&line, Some(json), reading).map_err(Unfit::Because)?;
                if let Some(t) = self.time_of(json, reading) {
                    mapped.occurred_at = Some(t);
                }
                Ok((mapped, fits))
            }
        }
    }

    fn needs(&self, json: &Json) -> Result<(), String> {
        if let Some(c) = self.when.iter().find(|c| !holds(c, json)) {
            return Err(format!("it needs {}", c.pointer));
        }
        if self.any.is_empty() || self.any.iter().any(|c| holds(c, json)) {
            return Ok(());
        }
        let pointers: Vec<_> = self.any.iter().map(|c| c.pointer.as_str()).collect();
        Err(format!("it needs {}", pointers.join(" or ")))
    }

    fn time_of(&self, json: &Json, reading: Reading) -> Option<Timestamp> {
        self.time.iter().find_map(|p| time(at(json, p)?, reading.zone))
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
