//! Sigma documents (spec 2.1) read into the rules we run, and sentences about those we cannot run.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rsigma_parser::{
    ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, Level, SigmaRule, WindowMode,
    parse_sigma_yaml,
};
use serde::Deserialize;
use wf_model::{Entity, Event, FieldName, Severity};

use crate::correlate::in_units;
use crate::message::Template;

/// Larger rule files are refused: the largest of the public corpora is 40 KiB.
const FILE_LIMIT: usize = 1 << 20;
/// More aliases or anchors than this in one file is an attack on the reader, not a rule (threat T10).
const ALIAS_LIMIT: usize = 100;

/// A rule file: where it is from, and its text.
#[derive(Clone, Debug)]
pub struct RuleSource {
    pub path: String,
    pub text: String,
}

/// Why a rule cannot be used. One bad rule never stops the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    pub file: String,
    /// 1 upwards: the line the document starts on, or the exact line where the reader knows it.
    pub line: usize,
    pub reason: String,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// The `watchfloor:` block of a rule: what only a console needs. Unknown keys are an error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Block {
    #[serde(rename = "type")]
    kind: Option<String>,
    dedup: Vec<String>,
    message: Option<String>,
    actions: Vec<String>,
    references: Vec<String>,
}

/// What a detection and a correlation have in common.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub id: String,
    pub name: Option<String>,
    pub title: String,
    pub kind: String,
    pub author: Option<String>,
    pub dedup: Vec<String>,
    pub message: Template,
    pub actions: Vec<String>,
}

impl About {
    /// The rule's primary key in this event: its `dedup` fields, else source address, user, host, in that order.
    pub fn entity(&self, event: &Event) -> Option<Entity> {
        if self.dedup.is_empty() {
            return ["source.ip", "user.id", "user.email", "user.name", "host.name"]
                .iter()
                .find_map(|f| Some(Entity { field: (*f).to_owned(), value: short(event, f)? }));
        }
        let values: Option<Vec<_>> = self.dedup.iter().map(|f| short(event, f)).collect();
        Some(Entity { field: self.dedup[0].clone(), value: values?.join(" · ") })
    }
}

fn short(event: &Event, field: &str) -> Option<String> {
    Some(event.fields.get(field)?.to_string().chars().take(256).collect())
}

#[derive(Clone, Debug)]
pub(crate) struct Detection {
    pub about: About,
    pub sigma: SigmaRule,
    pub compiled: rsigma_eval::CompiledRule,
    /// `None` for a building block: informational, or there only for correlations.
    pub incident_severity: Option<Severity>,
}

#[derive(Clone, Debug)]
pub(crate) enum Measure {
    /// `event_count`
    Events,
    /// `value_count`: distinct values of the field.
    Distinct(FieldName),
    /// `value_sum`: the field's values added up.
    Sum(FieldName),
}

#[derive(Clone, Debug)]
pub(crate) struct Correlation {
    pub about: About,
    /// `None` when it is informational: others may count on it, it opens no incident.
    pub severity: Option<Severity>,
    pub measure: Measure,
    /// Indexes into [`RuleSet::detections`].
    pub over: Vec<usize>,
    /// For each group-by field, per detection it may be called differently (`aliases`).
    pub group_by: Vec<GroupField>,
    pub window: Duration,
    /// The least whole number that satisfies the condition.
    pub least: u64,
    /// The least value that does, in the unit of the measure: a sum may lie between whole numbers.
    pub threshold: i128,
    /// Changes whenever the definition does; saved state of another definition is not taken up.
    pub fingerprint: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct GroupField {
    pub name: FieldName,
    pub by_detection: HashMap<usize, FieldName>,
}

/// A rule, for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    pub id: String,
    pub title: String,
    pub kind: String,
    /// `None`: it opens no incident by itself.
    pub severity: Option<Severity>,
    pub threshold: String,
}

/// All rules that are in force.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub(crate) detections: Vec<Detection>,
    pub(crate) correlations: Vec<Correlation>,
}

impl RuleSet {
    /// Reads every file. What is wrong is said and left out; the rest is in force. The same id twice: the later file
    /// replaces the earlier one, so that a file of the user's own can replace a built-in rule.
    pub fn load(sources: &[RuleSource]) -> (Self, Vec<RuleProblem>) {
        let mut problems = Vec::new();
        let mut detections: Vec<(Detection, Place)> = Vec::new();
        let mut correlations: Vec<(CorrelationRule, About, Place)> = Vec::new();
        for source in sources {
            read_file(source, &mut detections, &mut correlations, &mut problems);
        }
        keep_last(&mut detections, |d| d.about.id.clone());
        let mut seen = HashSet::new();
        correlations.reverse();
        correlations.retain(|(_, about, _)| seen.insert(about.id.clone()));
        correlations.reverse();

        let mut by_reference: HashMap<String, usize> = HashMap::new();
        for (i, (d, _)) in detections.iter().enumerate() {
            by_reference.insert(d.about.id.clone(), i);
            if let Some(name) = &d.about.name {
                by_reference.insert(name.clone(), i);
            }
        }
        let mut only_for_correlations: HashMap<usize, bool> = HashMap::new();
        let mut ready = Vec::new();
        for (rule, about, place) in correlations {
            match correlation(&rule, about, &by_reference) {
                Ok(c) => {
                    for &i in &c.over {
                        *only_for_correlations.entry(i).or_insert(true) &= !rule.generate;
                    }
                    ready.push(c);
                }
                Err(reason) => problems.push(place.problem(reason)),
            }
        }
        let mut detections: Vec<_> = detections.into_iter().map(|(d, _)| d).collect();
        for (i, only) in only_for_correlations {
            if only {
                detections[i].incident_severity = None;
            }
        }
        (Self { detections, correlations: ready }, problems)
    }

    /// The pack that ships with the product.
    pub fn built_in() -> Vec<RuleSource> {
        crate::BUILT_IN
            .iter()
            .map(|(name, text)| RuleSource { path: format!("built-in/{name}"), text: (*text).to_owned() })
            .collect()
    }

    pub fn len(&self) -> usize {
        self.detections.len() + self.correlations.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The longest window any correlation looks back over.
    pub fn longest_window(&self) -> Duration {
        self.correlations.iter().map(|c| c.window).max().unwrap_or_default()
    }

    /// Every rule in a line: what an auditor wants to know of it.
    pub fn described(&self) -> Vec<Described> {
        let detections = self.detections.iter().map(|d| Described {
            id: d.about.id.clone(),
            title: d.about.title.clone(),
            kind: d.about.kind.clone(),
            severity: d.incident_severity,
            threshold: if d.incident_severity.is_some() {
                "each event".to_owned()
            } else {
                "counted by other rules".to_owned()
            },
        });
        let correlations = self.correlations.iter().map(|c| {
            let what = match &c.measure {
                Measure::Events => "events".to_owned(),
                Measure::Distinct(f) => format!("different {f}"),
                Measure::Sum(f) => format!("in sum of {f}"),
            };
            // A sum may lie between whole numbers.
            let least = match &c.measure {
                Measure::Sum(_) if c.threshold < in_units(&c.measure, c.least, false) => {
                    format!("more than {}", c.least - 1)
                }
                Measure::Sum(_) | Measure::Events | Measure::Distinct(_) => c.least.to_string(),
            };
            let by: Vec<&str> = c.group_by.iter().map(|g| &*g.name).collect();
            let per = if by.is_empty() { String::new() } else { format!(" for one {}", by.join(" and ")) };
            Described {
                id: c.about.id.clone(),
                title: c.about.title.clone(),
                kind: c.about.kind.clone(),
                severity: c.severity,
                threshold: format!("{least} {what} in {}{per}", wf_model::span::spoken(c.window)),
            }
        });
        detections.chain(correlations).collect()
    }

    /// Rule ids and their authors: licences such as DRL 1.1 want them shown beside a match.
    pub fn authors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.about_all().filter_map(|a| Some((a.id.as_str(), a.author.as_deref()?)))
    }

    pub(crate) fn about_all(&self) -> impl Iterator<Item = &About> {
        self.detections.iter().map(|d| &d.about).chain(self.correlations.iter().map(|c| &c.about))
    }
}

fn keep_last<T>(items: &mut Vec<(T, Place)>, id: impl Fn(&T) -> String) {
    let mut seen = HashSet::new();
    items.reverse();
    items.retain(|(t, _)| seen.insert(id(t)));
    items.reverse();
}

#[derive(Clone)]
struct Place {
    file: String,
    line: usize,
}

impl Place {
    fn problem(&self, reason: impl Into<String>) -> RuleProblem {
        RuleProblem { file: self.file.clone(), line: self.line, reason: reason.into() }
    }
}

fn read_file(
    source: &RuleSource,
    detections: &mut Vec<(Detection, Place)>,
    correlations: &mut Vec<(CorrelationRule, About, Place)>,
    problems: &mut Vec<RuleProblem>,
) {
    let whole = Place { file: source.path.clone(), line: 1 };
    if source.text.len() > FILE_LIMIT {
        problems.push(whole.problem(format!("the file is larger than {FILE_LIMIT} bytes")));
        return;
    }
    if alias_count(&source.text) > ALIAS_LIMIT {
        problems.push(whole.problem(format!("more than {ALIAS_LIMIT} YAML aliases")));
        return;
    }
    let before = detections.len() + correlations.len() + problems.len();
    for (line, text) in documents(&source.text) {
        let place = Place { file: source.path.clone(), line };
        let parsed = match parse_sigma_yaml(text) {
            Ok(parsed) => parsed,
            Err(e) => {
                problems.push(problem_at(&place, &e.to_string()));
                continue;
            }
        };
        for e in &parsed.errors {
            problems.push(problem_at(&place, e));
        }
        if !parsed.filters.is_empty() {
            problems.push(place.problem("Sigma filters are not supported"));
        }
        for rule in parsed.rules {
            match detection(rule) {
                Ok(d) => detections.push((d, place.clone())),
                Err(reason) => problems.push(place.problem(reason)),
            }
        }
        for rule in parsed.correlations {
            match about(&rule.title, &rule.id, &rule.name, &rule.author, &rule.custom_attributes, rule.group_by.first())
            {
                Ok(about) => correlations.push((rule, about, place.clone())),
                Err(reason) => problems.push(place.problem(reason)),
            }
        }
    }
    if detections.len() + correlations.len() + problems.len() == before {
        problems.push(whole.problem("no rule in this file"));
    }
}

/// Splits a stream at `---` lines, so that each document knows its line and one that is not YAML spares the others. A
/// file that uses collection actions (`action: global`) needs its documents together and is read whole.
fn documents(text: &str) -> Vec<(usize, &str)> {
    if text.lines().any(|l| l.starts_with("action:")) {
        return vec![(1, text)];
    }
    let mut out = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            out.push((start_line, &text[start..at]));
            start = at + line.len();
            start_line = i + 2;
        }
        at += line.len();
    }
    out.push((start_line, &text[start..]));
    out.retain(|(_, t)| t.lines().any(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#')));
    for (line, t) in &mut out {
        let blank = t.lines().take_while(|l| l.trim().is_empty() || l.starts_with('#')).count();
        *line += blank;
        *t = t.splitn(blank + 1, '\n').last().unwrap_or(t);
    }
    out
}

fn alias_count(text: &str) -> usize {
    text.lines()
        .filter(|l| !l.trim_start().starts_with('#'))
        .flat_map(|l| l.split([' ', ',', '[', '{']))
        .filter(|w| w.len() > 1 && w.starts_with('*') && w[1..].chars().all(|c| c.is_alphanumeric() || c == '_'))
        .count()
}

/// The reader's own line, where its message has one, counted from the start of the file.
fn problem_at(place: &Place, message: &str) -> RuleProblem {
    let inner = message
        .split_once("at line ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok());
    RuleProblem {
        file: place.file.clone(),
        line: place.line + inner.unwrap_or(1).saturating_sub(1),
        reason: message.trim_start_matches("YAML parse error: ").to_owned(),
    }
}

fn severity(level: Option<Level>) -> Option<Severity> {
    match level {
        Some(Level::Critical) => Some(Severity::P1),
        Some(Level::High) => Some(Severity::P2),
        Some(Level::Medium) => Some(Severity::P3),
        Some(Level::Low) => Some(Severity::P4),
        Some(Level::Informational) | None => None,
    }
}

fn about<V: serde::Serialize>(
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

fn detection(mut sigma: SigmaRule) -> Result<Detection, String> {
    let about = about(&sigma.title, &sigma.id, &sigma.name, &sigma.author, &sigma.custom_attributes, None)?;
    sigma.id = Some(about.id.clone());
    // The engine hands these back, cloned, with each match; we keep what we need of them in `about`.
    sigma.custom_attributes.clear();
    sigma.tags.clear();
    let compiled = rsigma_eval::compile_rule(&sigma).map_err(|e| e.to_string())?;
    Ok(Detection { incident_severity: severity(sigma.level), about, sigma, compiled })
}

fn correlation(
    rule: &CorrelationRule,
    about: About,
    by_reference: &HashMap<String, usize>,
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
    let definition = format!(
        "{:?} {:?} {:?} {:?} {} {:?}",
        rule.correlation_type,
        rule.rules,
        rule.group_by,
        rule.condition,
        rule.timespan.seconds,
        rule.aliases.len()
    );
    Ok(Correlation {
        severity: severity(rule.level),
        threshold: in_units(&measure, bound, more),
        measure,
        over,
        group_by,
        window,
        least,
        fingerprint: xxhash_rust::xxh3::xxh3_64(definition.as_bytes()),
        about,
    })
}
