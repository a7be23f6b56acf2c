//! Evaluation of one event against the detections, by rsigma's stateless engine. Nothing outside this file and
//! `rules` knows rsigma.

use std::borrow::Cow;
use std::collections::HashMap;

use compact_str::CompactString;
use rsigma_eval::event::EventValue;
use rsigma_eval::{Engine, MatchDetailLevel};
use rsigma_parser::LogSource;
use serde_json_borrow::Value as Json;
use wf_model::{Event, Value};

use crate::injection::{self, Found, Looker};
use crate::rules::RuleSet;
use crate::unread::Record;

/// Says which detections an event satisfies.
pub trait Stateless: Send + Sync {
    /// Appends the index, in [`RuleSet::detections`], of each detection that `event` satisfies.
    fn evaluate(&mut self, event: &Event, hits: &mut Vec<usize>);

    /// Whether `event` satisfies this one detection. Slower than all at once: asked only after that panicked, to find
    /// out on which rule.
    fn satisfies(&mut self, event: &Event, detection: usize) -> bool;
}

/// Fields that carry where an event came from in Sigma's words. Set by mappings; unset ones never prune a rule.
pub const PRODUCT: &str = "watchfloor.logsource.product";
pub const SERVICE: &str = "watchfloor.logsource.service";
pub const CATEGORY: &str = "watchfloor.logsource.category";
/// The product of our own rules.
const OURS: &str = "watchfloor";

pub fn engine(rules: &RuleSet) -> Box<dyn Stateless> {
    let mut engine = Engine::new();
    engine.set_match_detail(MatchDetailLevel::Off);
    // Compiled when they were loaded: a regular expression is costly to compile and cheap to share.
    engine.extend_compiled_rules(rules.detections.iter().map(|d| d.compiled.clone()));
    let index = rules.detections.iter().enumerate().map(|(i, d)| (d.about.id.clone(), i)).collect();
    Box::new(Sigma { engine, index, sources: HashMap::new(), single: Vec::new(), injections: Looker::default() })
}

struct Sigma {
    engine: Engine,
    index: HashMap<String, usize>,
    /// Log sources seen, so that an event does not build three strings for each evaluation.
    sources: HashMap<[CompactString; 3], LogSource>,
    /// An engine for each detection, made when it is first asked about one alone.
    single: Vec<Engine>,
    injections: Looker,
}

/// Where the event is from; product, service and category. A source may belong to several categories of Sigma's, and
/// every event is one of ours as well: rules over ECS fields see it wherever it is from.
fn origins(event: &Event) -> Vec<[&str; 3]> {
    let texts = |name: &str| match event.fields.get(name) {
        Some(Value::Str(s)) => vec![s.as_str()],
        Some(Value::List(items)) => items.iter().filter_map(Value::as_str).collect(),
        _ => vec![""],
    };
    let product = event.fields.get_str(PRODUCT).unwrap_or(OURS);
    let service = event.fields.get_str(SERVICE).unwrap_or_default();
    let mut origins: Vec<_> = texts(CATEGORY).into_iter().map(|category| [product, service, category]).collect();
    if !product.is_empty() && product != OURS {
        origins.push([OURS, "", ""]);
    }
    origins
}

impl Stateless for Sigma {
    fn evaluate(&mut self, event: &Event, hits: &mut Vec<usize>) {
        let view = View { event, injection: self.injections.look_at(event), record: Record::of(event) };
        let sources = &mut self.sources;
        // A feed names a handful of sources; a hostile one must not grow the table.
        if sources.len() > 1024 {
            sources.clear();
        }
        let origins = origins(event);
        let several = origins.len() > 1;
        for [product, service, category] in origins {
            let source = sources
                .entry([product, service, category].map(CompactString::new))
                .or_insert_with(|| log_source(product, service, category));
            for result in self.engine.evaluate_pruned(&view, source) {
                let hit = result.header.rule_id.as_ref().and_then(|id| self.index.get(id)).copied();
                hits.extend(hit.filter(|i| !several || !hits.contains(i)));
            }
        }
    }

    fn satisfies(&mut self, event: &Event, detection: usize) -> bool {
        if self.single.is_empty() {
            self.single.extend(self.engine.rules().iter().map(|rule| {
                let mut engine = Engine::new();
                engine.set_match_detail(MatchDetailLevel::Off);
                engine.add_compiled_rule(rule.clone());
                engine
            }));
        }
        let view = View { event, injection: self.injections.look_at(event), record: Record::of(event) };
        origins(event).into_iter().any(|[product, service, category]| {
            let source = log_source(product, service, category);
            self.single.get(detection).is_some_and(|engine| !engine.evaluate_pruned(&view, &source).is_empty())
        })
    }
}

fn log_source(product: &str, service: &str, category: &str) -> LogSource {
    let some = |s: &str| (!s.is_empty()).then(|| s.to_owned());
    LogSource {
        // An event of unknown origin is ours: rules for Windows or AWS must not see it (some of them fire on all they
        // see).
        product: some(product).or_else(|| Some(OURS.to_owned())),
        service: some(service),
        category: some(category),
        ..LogSource::default()
    }
}

/// An [`Event`] as rsigma wants to see it.
struct View<'a> {
    event: &'a Event,
    /// What its texts try to inject.
    injection: Found,
    record: Record<'a>,
}

fn value(v: &Value) -> EventValue<'_> {
    match v {
        Value::Str(s) => EventValue::Str(Cow::Borrowed(s)),
        Value::Int(n) => EventValue::Int(*n),
        Value::Float(f) => EventValue::Float(*f),
        Value::Bool(b) => EventValue::Bool(*b),
        Value::List(items) => EventValue::Array(items.iter().map(value).collect()),
    }
}

fn json<'v>(v: &'v Json<'_>) -> Option<EventValue<'v>> {
    Some(match v {
        Json::Str(s) => EventValue::Str(Cow::Borrowed(s)),
        Json::Bool(b) => EventValue::Bool(*b),
        Json::Number(_) => match v.as_i64() {
            Some(n) => EventValue::Int(n),
            None => EventValue::Float(v.as_f64()?),
        },
        Json::Array(items) => EventValue::Array(items.iter().filter_map(json).collect()),
        Json::Null | Json::Object(_) => return None,
    })
}

fn strings<'a>(v: &'a Value, visit: &mut dyn FnMut(&'a str)) {
    match v {
        Value::Str(s) => visit(s),
        Value::List(items) => items.iter().for_each(|i| strings(i, visit)),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => {}
    }
}

impl rsigma_eval::event::Event for View<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        if path == "watchfloor.feed" {
            return Some(EventValue::Str(Cow::Borrowed(self.event.feed.as_str())));
        }
        if path == injection::FIELD {
            let names = self.injection.names().map(|n| EventValue::Str(Cow::Borrowed(n)));
            return (!self.injection.is_nothing()).then(|| EventValue::Array(names.collect()));
        }
        self.event.fields.get(path).map(value).or_else(|| json(self.record.get(path)?))
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        let mut found = pred(self.event.raw.as_str());
        for (_, v) in self.event.fields.iter() {
            strings(v, &mut |s| found = found || pred(s));
        }
        found
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut all = vec![Cow::Borrowed(self.event.raw.as_str())];
        for (_, v) in self.event.fields.iter() {
            strings(v, &mut |s| all.push(Cow::Borrowed(s)));
        }
        all
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.event.fields).unwrap_or_default()
    }
}
