//! Rules in, matches out. Sans-I/O: no clock, no file, no socket; `now` and rule texts are arguments.
//!
//! - [`rules`] reads Sigma documents (detections and correlations) into a [`RuleSet`] and says what is wrong with
//!   those it cannot use: file, line, reason.
//! - `sigma` evaluates the detections of one event, through rsigma's stateless engine, behind [`Stateless`].
//! - `correlate` is our correlator: windows in event time, with lateness, edges, caps and snapshots.
//! - [`Detector`] joins them: a batch of events in, matches out.
//!
//! A new kind of correlation goes into `rules::Measure` and `correlate`. A new built-in rule is a file in `rules/`,
//! named in [`BUILT_IN`]. Folding matches into incidents is `response`'s work, not ours.

mod correlate;
pub mod injection;
mod message;
pub mod rules;
mod sigma;
mod unread;
mod who;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use wf_model::{Contribution, Event, FeedName, Match, Timestamp};

pub use correlate::{CorrelationHealth, Limits};
pub use rules::{Described, RuleProblem, RuleSet, RuleSource};
pub use sigma::Stateless;

use correlate::Correlator;

/// The built-in pack: file name and text.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("authentication.yml", include_str!("../rules/authentication.yml")),
    ("authorisation.yml", include_str!("../rules/authorisation.yml")),
    ("data.yml", include_str!("../rules/data.yml")),
    ("web.yml", include_str!("../rules/web.yml")),
    ("application.yml", include_str!("../rules/application.yml")),
    ("database.yml", include_str!("../rules/database.yml")),
    ("infrastructure.yml", include_str!("../rules/infrastructure.yml")),
    ("queue.yml", include_str!("../rules/queue.yml")),
    ("panel.yml", include_str!("../rules/panel.yml")),
    ("vendor.yml", include_str!("../rules/vendor.yml")),
];

/// What detection remembers, with the stream position up to which it has seen.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Snapshot {
    /// The last event that is in this state.
    pub through: wf_model::Seq,
    correlations: Vec<correlate::Saved>,
    feeds: Vec<correlate::SavedFeed>,
}

/// As [`Snapshot`], on its way out.
#[derive(Serialize)]
struct Outgoing<'a> {
    through: wf_model::Seq,
    correlations: Vec<correlate::Saving<'a>>,
    feeds: Vec<correlate::SavedFeed>,
}

/// A rule's life so far, for the officer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleHealth {
    pub id: String,
    pub title: String,
    pub matches: u64,
    pub last_match: Option<Timestamp>,
    /// Events on which the rule panicked. They went on without it.
    pub panics: u64,
    pub correlation: Option<CorrelationHealth>,
}

/// Rules and what they remember.
pub struct Detector {
    rules: RuleSet,
    engine: Box<dyn Stateless>,
    correlator: Correlator,
    counts: HashMap<String, Counts>,
    hits: Vec<usize>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    matches: u64,
    last: Timestamp,
    panics: u64,
}

impl Detector {
    pub fn new(rules: RuleSet, limits: Limits) -> Self {
        let engine = sigma::engine(&rules);
        let correlator = Correlator::new(&rules, limits);
        Self { rules, engine, correlator, counts: HashMap::new(), hits: Vec::new() }
    }

    /// Swaps the rules. Correlations whose definition did not change keep what they remember.
    pub fn replace_rules(&mut self, rules: RuleSet) {
        self.engine = sigma::engine(&rules);
        self.correlator.replace(&rules);
        self.rules = rules;
    }

    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Says which feeds are configured and resume where they stopped. While one of these is away, what its events may
    /// still add to is kept, for as long as [`Limits::away`]. Told at the start and with every change of the
    /// configuration; without it a feed that is silent for two minutes holds nothing back.
    pub fn set_feeds(&mut self, resumable: impl IntoIterator<Item = FeedName>) {
        self.correlator.set_resumable(resumable.into_iter().collect());
    }

    /// Evaluates a batch, in the order given, and says what fired. Events carry their sequence numbers already.
    pub fn on_batch(&mut self, now: Timestamp, events: &[Event]) -> Vec<Match> {
        let mut matches = Vec::new();
        let mut hits = std::mem::take(&mut self.hits);
        self.correlator.begin_batch();
        for event in events {
            self.evaluate(event, &mut hits);
            let mark = self.correlator.saw(now, event);
            if hits.is_empty() {
                continue;
            }
            for &i in &hits {
                let rule = &self.rules.detections[i];
                if let Some(severity) = rule.incident_severity {
                    matches.push(Match {
                        rule: rule.about.id.clone(),
                        title: rule.about.title.clone(),
                        kind: rule.about.kind.clone(),
                        severity,
                        entity: rule.about.entity(event),
                        at: event.occurred_at,
                        first_at: event.occurred_at,
                        count: 1,
                        value: 1,
                        contribution: Contribution::Fired,
                        message: rule.about.message.render(event),
                        actions: rule.about.actions.clone(),
                        events: vec![event.seq],
                        feeds: vec![event.feed.clone()],
                    });
                }
            }
            self.correlator.on_event(now, event, mark, &hits, &mut matches);
        }
        self.hits = hits;
        for m in &matches {
            let counts = self.counts.entry(m.rule.clone()).or_default();
            counts.matches += 1;
            counts.last = m.at;
        }
        matches
    }

    /// The detections that an event satisfies. One that panics on it is counted as such and left out: neither the event
    /// nor what detection remembers is lost with it.
    fn evaluate(&mut self, event: &Event, hits: &mut Vec<usize>) {
        hits.clear();
        let engine = &mut self.engine;
        if catch_unwind(AssertUnwindSafe(|| engine.evaluate(event, hits))).is_ok() {
            return;
        }
        hits.clear();
        for (i, rule) in self.rules.detections.iter().enumerate() {
            let engine = &mut self.engine;
            match catch_unwind(AssertUnwindSafe(|| engine.satisfies(event, i))) {
                Ok(true) => hits.push(i),
                Ok(false) => {}
                Err(_) => {
                    let counts = self.counts.entry(rule.about.id.clone()).or_default();
                    counts.panics += 1;
                    // Once: what does it to one event may do it to a million.
                    if counts.panics == 1 {
                        tracing::error!(rule = rule.about.id, seq = event.seq.0, "a rule panicked on an event");
                    }
                }
            }
        }
    }

    /// Time passes: forgets what no window can reach any more.
    pub fn on_tick(&mut self, now: Timestamp) {
        self.correlator.evict(now);
    }

    /// What must be kept so that a restart neither forgets nor counts twice.
    pub fn snapshot(&self, through: wf_model::Seq) -> impl Serialize + '_ {
        let (correlations, feeds) = self.correlator.save();
        Outgoing { through, correlations, feeds }
    }

    /// Takes a snapshot up again. State of correlations that changed since is left out. The caller then feeds the
    /// events stored after `snapshot.through` and drops the matches: they were committed with those events.
    pub fn restore(&mut self, snapshot: Snapshot) {
        self.correlator.restore(snapshot.correlations, snapshot.feeds);
    }

    /// Forgets what it remembers of whomever `about` says yes to: a person's data is erased.
    pub fn forget(&mut self, about: &dyn Fn(&str) -> bool) {
        self.correlator.forget(about);
    }

    pub fn health(&self) -> Vec<RuleHealth> {
        let correlations = self.correlator.health();
        self.rules
            .about_all()
            .map(|about| {
                let Counts { matches, last, panics } = self.counts.get(&about.id).copied().unwrap_or_default();
                let (correlation, more) = correlations.get(&about.id).cloned().unzip();
                RuleHealth {
                    id: about.id.clone(),
                    title: about.title.clone(),
                    matches,
                    last_match: (matches > 0).then_some(last),
                    panics: panics + more.unwrap_or_default(),
                    correlation,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
