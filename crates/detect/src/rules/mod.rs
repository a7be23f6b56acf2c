//! Sigma documents (spec 2.1) read into the rules we run, and sentences about those we cannot run.

mod build;
mod read;
mod values;
mod yaml;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use rsigma_parser::SigmaRule;
use serde::Deserialize;
use wf_model::{Entity, Event, FieldName, Severity, Value};

use crate::message::Template;
use crate::who;

/// Where the files of the built-in pack say they are from.
const BUILT_IN: &str = "built-in/";

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
    rise: Option<Rise>,
}

/// A correlation is graver once its measure is above this.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rise {
    above: u64,
    level: String,
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
    /// Above this measure, a correlation's severity is this.
    pub rise: Option<(u64, Severity)>,
}

impl About {
    /// The rule's primary key in this event: its `dedup` fields, or what stands in for them; without any, whoever it is
    /// about.
    pub fn entity(&self, event: &Event) -> Option<Entity> {
        let fields: Vec<(&str, String)> =
            self.dedup.iter().filter_map(|f| who::stands_in(event, f)).map(|(name, v)| (name, short(&v))).collect();
        let Some((first, _)) = fields.first() else {
            return who::anybody(event).map(|(name, v)| Entity { field: name.to_owned(), value: short(&v) });
        };
        let field = (*first).to_owned();
        Some(Entity { field, value: fields.into_iter().map(|(_, v)| v).collect::<Vec<_>>().join(" · ") })
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(256).collect()
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

/// Sums are counted in millionths: so many are one.
pub(crate) const MICROS: i128 = 1_000_000;

impl Measure {
    /// A threshold in the unit of this measure: `n`, or the least that is more than `n`.
    pub fn in_units(&self, n: u64, more: bool) -> i128 {
        match self {
            Self::Events | Self::Distinct(_) => i128::from(n) + i128::from(more),
            Self::Sum(_) => i128::from(n) * MICROS + i128::from(more),
        }
    }
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
    /// Reads every file. What is wrong is said and left out; the rest is in force. A rule with the id of a built-in one
    /// replaces it. Any other two rules with one id or name are a mistake: the first is in force, the second is said.
    pub fn load(sources: &[RuleSource]) -> (Self, Vec<RuleProblem>) {
        let mut reader = read::Reader::default();
        let mut files = HashSet::new();
        for source in sources {
            // A directory and a file in it may both be configured.
            if files.insert((&source.path, &source.text)) {
                reader.read(source);
            }
        }
        let read::Reader { mut detections, mut correlations, mut problems, .. } = reader;
        let replaced: HashSet<String> = detections
            .iter()
            .map(|(d, place)| (&d.about, place))
            .chain(correlations.iter().map(|(_, about, place)| (about, place)))
            .filter(|(_, place)| !place.is_built_in())
            .map(|(about, _)| about.id.clone())
            .collect();
        detections.retain(|(d, place)| !place.is_built_in() || !replaced.contains(&d.about.id));
        correlations.retain(|(_, about, place)| !place.is_built_in() || !replaced.contains(&about.id));
        let mut taken = HashMap::new();
        detections.retain(|(d, place)| claim(&mut taken, &d.about, place, &mut problems));
        correlations.retain(|(_, about, place)| claim(&mut taken, about, place, &mut problems));

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
            match build::correlation(&rule, about, &by_reference, &detections) {
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
            .map(|(name, text)| RuleSource { path: format!("{BUILT_IN}{name}"), text: (*text).to_owned() })
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
                Measure::Sum(_) if c.threshold < c.measure.in_units(c.least, false) => {
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

/// Whether a rule may have the id and the name it asks for; a problem says so when not.
fn claim(taken: &mut HashMap<String, Place>, about: &About, place: &Place, problems: &mut Vec<RuleProblem>) -> bool {
    let names = || [Some(&about.id), about.name.as_ref()].into_iter().flatten();
    for name in names() {
        if let Some(first) = taken.get(name) {
            problems.push(place.problem(format!(
                "the rule at {}:{} is '{name}' already; give this one an id and a name of its own",
                first.file, first.line
            )));
            return false;
        }
    }
    taken.extend(names().map(|name| (name.clone(), place.clone())));
    true
}

#[derive(Clone)]
struct Place {
    file: String,
    line: usize,
}

impl Place {
    fn is_built_in(&self) -> bool {
        self.file.strip_prefix(BUILT_IN).is_some_and(|name| crate::BUILT_IN.iter().any(|(n, _)| *n == name))
    }

    fn problem(&self, reason: impl Into<String>) -> RuleProblem {
        let reason: String = reason.into();
        self.problem_at(self.line, &reason)
    }

    /// The reason may repeat what stands in the file.
    fn problem_at(&self, line: usize, reason: &str) -> RuleProblem {
        RuleProblem { file: self.file.clone(), line, reason: wf_model::text::sentence(reason) }
    }
}
