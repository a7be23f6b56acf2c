//! Parsed Sigma documents made into the rules we run, or a reason why they cannot be.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rsigma_parser::{
    ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, Level, SigmaRule, WindowMode,
};
use wf_model::{FieldName, Severity};

use super::values::{Budget, prepare};
use super::{About, Block, Correlation, Detection, GroupField, Measure, Place};
use crate::message::Template;

fn severity(level: Option<Level>) -> Option<Severity> {
    match level {
        Some(Level::Critical) => Some(Severity::P1),
        Some(Level::High) => Some(Severity::P2),
        Some(Level::Medium) => Some(Severity::P3),
        Some(Level::Low) => Some(Severity::P4),
        Some(Level::Informational) | None => None,
    }
}

pub(super) fn about<V: serde::Serialize>(
    title: &str,
    id: &Option<String>,
    name: &Option<String>,
    author: &Option<String>,
    attributes: &HashMap<String, V>,
    group_by: Option<&String>,
) -> Result<About, String> {
    let block: Block = match attributes.get("watchfloor") {
        None => Block::default(),
        Some(v) => serde_json::to_value(v).and_then(serde_json::from_value).map_err(|e| format!("watchfloor: {e}"))?,
    };
    let dedup = if block.dedup.is_empty() { group_by.into_iter().cloned().collect() } else { block.dedup };
    let rise = block.rise.map(|r| {
        let level = r.level.parse::<Level>().ok().and_then(|level| severity(Some(level)));
        level.map(|level| (r.above, level)).ok_or_else(|| format!("watchfloor: rise: there is no level '{}'", r.level))
    });
    // References are part of the block's documented form; the rule file itself is where an officer reads them.
    drop(block.references);
    Ok(About {
        // A rule without an id is known by what it is called: stable over reloads, as ids are.
        id: id.clone().or_else(|| name.clone()).unwrap_or_else(|| title.to_owned()),
        name: name.clone(),
        title: title.to_owned(),
        kind: block.kind.unwrap_or_else(|| shout(title)),
        author: author.clone(),
        message: Template::parse(block.message.as_deref().unwrap_or(title)),
        dedup,
        actions: block.actions,
        rise: rise.transpose()?,
    })
}

/// `Brute force attack` as `BRUTE_FORCE_ATTACK`.
fn shout(title: &str) -> String {
    title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_uppercase)
        .collect::<Vec<_>>()
        .join("_")
}

pub(super) fn detection(mut sigma: SigmaRule, budget: &mut Budget) -> Result<Detection, String> {
    let about = about(&sigma.title, &sigma.id, &sigma.name, &sigma.author, &sigma.custom_attributes, None)?;
    if about.rise.is_some() {
        return Err("watchfloor: rise is for correlations: one event measures nothing".into());
    }
    sigma.id = Some(about.id.clone());
    // The engine hands these back, cloned, with each match; we keep what we need of them in `about`.
    sigma.custom_attributes.clear();
    sigma.tags.clear();
    prepare(&mut sigma, budget)?;
    let compiled = rsigma_eval::compile_rule(&sigma).map_err(|e| e.to_string())?;
    Ok(Detection { incident_severity: severity(sigma.level), about, sigma, compiled })
}

pub(super) fn correlation(
    rule: &CorrelationRule,
    about: About,
    by_reference: &HashMap<String, usize>,
    detections: &[(Detection, Place)],
) -> Result<Correlation, String> {
    if rule.window != WindowMode::Sliding {
        return Err("only sliding windows are supported".into());
    }
    let CorrelationCondition::Threshold { predicates, field, .. } = &rule.condition else {
        return Err("this condition needs a temporal correlation, which is not supported yet".into());
    };
    let mut least: Option<(u64, bool)> = None;
    for (op, n) in predicates {
        let more = match op {
            ConditionOperator::Gte => false,
            ConditionOperator::Gt => true,
            ConditionOperator::Lt | ConditionOperator::Lte | ConditionOperator::Eq | ConditionOperator::Neq => {
                return Err("only gt and gte are supported in a correlation's condition".into());
            }
        };
        least = least.max(Some((*n, more)));
    }
    let (bound, more) = least.ok_or("the condition has no threshold")?;
    let least = bound.saturating_add(u64::from(more));
    if least == 0 {
        return Err("a threshold of 0 is always reached".into());
    }
    let field = || -> Result<FieldName, String> {
        match field.as_deref() {
            Some([one]) => Ok(Arc::from(one.as_str())),
            _ => Err(format!("{} needs exactly one `field` in its condition", rule.correlation_type.as_str())),
        }
    };
    let measure = match rule.correlation_type {
        CorrelationType::EventCount => Measure::Events,
        CorrelationType::ValueCount => Measure::Distinct(field()?),
        CorrelationType::ValueSum => Measure::Sum(field()?),
        other @ (CorrelationType::Temporal
        | CorrelationType::TemporalOrdered
        | CorrelationType::ValueAvg
        | CorrelationType::ValuePercentile
        | CorrelationType::ValueMedian) => {
            return Err(format!("the correlation type {} is not supported yet", other.as_str()));
        }
    };
    let mut over = Vec::new();
    for reference in &rule.rules {
        match by_reference.get(reference) {
            Some(&i) if !over.contains(&i) => over.push(i),
            Some(_) => {}
            None => return Err(format!("there is no rule '{reference}' to correlate")),
        }
    }
    if over.is_empty() {
        return Err("a correlation needs at least one rule".into());
    }
    let window = Duration::from_secs(rule.timespan.seconds);
    if window.is_zero() || window > Duration::from_secs(31 * 86_400) {
        return Err("the timespan must be between 1s and 31d".into());
    }
    let group_by = rule
        .group_by
        .iter()
        .map(|name| GroupField {
            name: Arc::from(name.as_str()),
            by_detection: rule
                .aliases
                .iter()
                .filter(|a| a.alias == *name)
                .flat_map(|a| &a.mapping)
                .filter_map(|(r, f)| Some((*by_reference.get(r)?, Arc::from(f.as_str()))))
                .collect(),
        })
        .collect();
    let fingerprint = fingerprint(rule, over.iter().filter_map(|i| Some(&detections.get(*i)?.0.sigma)))?;
    Ok(Correlation {
        severity: severity(rule.level),
        threshold: measure.in_units(bound, more),
        measure,
        over,
        group_by,
        window,
        least,
        fingerprint,
        about,
    })
}

/// Of everything that decides which events are counted, and how: what it counts over included. Entries that were
/// counted under another definition do not go on counting under this one.
fn fingerprint<'a>(rule: &CorrelationRule, over: impl Iterator<Item = &'a SigmaRule>) -> Result<u64, String> {
    let over: Vec<_> = over.map(|d| (&d.logsource, &d.detection)).collect();
    let definition = (
        rule.correlation_type,
        &rule.rules,
        &rule.group_by,
        &rule.condition,
        rule.timespan.seconds,
        &rule.aliases,
        over,
    );
    let mut text = String::new();
    canonical(&serde_json::to_value(definition).map_err(|e| e.to_string())?, &mut text);
    Ok(xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}

/// As text that is the same for the same value: the parser's maps have no order of their own.
fn canonical(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in entries {
                out.push_str(&format!("{key:?}:"));
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        serde_json::Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}
