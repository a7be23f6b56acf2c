//! Lines of text: syslog with patterns, and `a | b | key=value`.

use chrono::{Datelike as _, NaiveDate};
use chrono_tz::Tz;
use regex::Regex;
use serde_json_borrow::Value as Json;
use syslog_loose::{IncompleteDate, Variant, parse_message_with_year_tz};
use wf_model::{FieldName, Timestamp, Value};

use super::draft::cut;
use super::records::{self, complete};
use super::values::Field;
use super::{Mapped, Mapping, Reading, Sign};

/// `message repeated N times` stands for at most this many.
const REPEAT_LIMIT: u32 = 100;
/// A stamp without a year is of the year that puts it at most this far after now.
const AHEAD_HOURS: u64 = 24;

#[derive(Debug)]
pub struct Pattern {
    pub regex: Regex,
    pub set: Vec<(FieldName, Value)>,
    pub fields: Vec<(String, Field)>,
    /// The group that holds the time, and its form.
    pub time: Option<(String, String)>,
    pub attempt: Option<Sign>,
}

impl Mapping {
    /// What a line says, and whether a pattern fits it. A mapping without patterns takes every line.
    pub(super) fn syslog(&self, line: &str, json: Option<&Json>, reading: Reading) -> Result<(Mapped, bool), String> {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Err("the line is empty".into());
        }
        // The stamp of the old form names no zone: it is read as if it were UTC, then moved.
        let parsed = parse_message_with_year_tz(
            line,
            move |date| year_of(date, reading.now, reading.zone),
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
        let mut draft = records::around(self, json);
        let mut mapped =
            Mapped { times, occurred_at: json.and_then(|j| self.time_of(j, reading)), ..Mapped::default() };
        if let Some(header) = header {
            mapped.occurred_at = header.timestamp.map(|t| {
                if names_no_zone(line) {
                    Timestamp::from_local(t.naive_utc(), &reading.zone)
                } else {
                    Timestamp::from_millis(t.timestamp_millis())
                }
            });
            for (name, value) in [("host.name", header.hostname), ("process.name", header.appname)] {
                if let Some(v) = value {
                    let v = cut(v, &mut draft.cut);
                    draft.set_first(name.into(), v);
                }
            }
        }
        let text = cut(message, &mut draft.cut);
        draft.set_first("message".into(), text);
        let mut fits = self.patterns.is_empty();
        for pattern in self.patterns.iter() {
            let Some(found) = pattern.regex.captures(message) else { continue };
            for (group, field) in &pattern.fields {
                let text = found.name(group).map(|m| Json::Str(m.as_str().into()));
                if let Some(value) = text.and_then(|t| field.read(&t, &mut draft.cut)) {
                    draft.set(field.to.clone(), value);
                }
            }
            for (name, value) in &pattern.set {
                draft.set(name.clone(), value.clone());
            }
            mapped.sign = pattern.attempt.clone();
            if let Some((group, format)) = &pattern.time {
                let at = found.name(group).and_then(|m| stamp(m.as_str(), format, reading.zone));
                mapped.occurred_at = at.or(mapped.occurred_at);
            }
            fits = true;
            break;
        }
        complete(&mut draft);
        mapped.fields = draft.finish();
        Ok((mapped, fits))
    }
}

/// The time of a text of this form; in this zone, where it names none.
fn stamp(text: &str, format: &str, zone: Tz) -> Option<Timestamp> {
    if let Ok(at) = chrono::DateTime::parse_from_str(text, format) {
        return Some(Timestamp::from_millis(at.timestamp_millis()));
    }
    chrono::NaiveDateTime::parse_from_str(text, format).ok().map(|at| Timestamp::from_local(at, &zone))
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

/// Whether the stamp of the line is of the old form, `Nov 20 12:00:01`, which begins with a month.
fn names_no_zone(line: &str) -> bool {
    let rest = line.trim_start();
    let rest = rest.strip_prefix('<').and_then(|r| r.split_once('>')).map_or(rest, |(_, r)| r);
    rest.trim_start().starts_with(|c: char| c.is_ascii_alphabetic())
}

/// The latest year that puts a stamp without one not more than a day after now: a host whose clock or zone is ahead
/// writes of tomorrow, and in January a line of December is of last year. A 29 February may be years back.
fn year_of((month, day, hour, minute, second): IncompleteDate, now: Timestamp, zone: Tz) -> i32 {
    let latest = now + std::time::Duration::from_secs(AHEAD_HOURS * 3600);
    let this = chrono::DateTime::<chrono::Utc>::from_timestamp_millis(now.millis()).map_or(1970, |t| t.year());
    let stamp = |year| NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(hour, minute, second);
    (this - 8..=this + 1)
        .rev()
        .find(|year| stamp(*year).is_some_and(|t| Timestamp::from_local(t, &zone) <= latest))
        .unwrap_or(this)
}

/// The JSON that a line of the form `stamp | level | key=value | …` stands for.
pub fn pipe(text: &str) -> Result<String, String> {
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
