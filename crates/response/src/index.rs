//! Which live incident takes a match, and which resolved one it is a recurrence of: both by rule and entity.

use std::collections::HashMap;
use std::time::Duration;

use wf_model::{Entity, Incident, IncidentId, Match, Timestamp};

/// What makes matches one incident: the rule and the entity. Not the severity, not the feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint {
    pub rule: String,
    pub entity: Option<Entity>,
}

impl Fingerprint {
    pub fn new(rule: &str, entity: Option<&Entity>) -> Self {
        Self { rule: rule.to_owned(), entity: entity.cloned() }
    }

    pub fn of(m: &Match) -> Self {
        Self::new(&m.rule, m.entity.as_ref())
    }
}

/// The live incidents of each fingerprint. A change costs as much as the incident has fingerprints, however many
/// incidents are live.
#[derive(Debug, Default)]
pub(crate) struct FingerprintIndex {
    /// By the number of the incident that opened under the fingerprint, ascending; the last one takes the matches. The
    /// incident is another one than that number says when that one was merged into it.
    candidates: HashMap<Fingerprint, Vec<(u64, IncidentId)>>,
    /// The way back: where an incident stands in `candidates`.
    held: HashMap<IncidentId, Vec<(Fingerprint, u64)>>,
}

impl FingerprintIndex {
    /// The incident that takes a match of this fingerprint.
    pub fn newest(&self, key: &Fingerprint) -> Option<&IncidentId> {
        self.candidates.get(key)?.last().map(|(_, id)| id)
    }

    /// Takes note of a live incident as it is now: its entity may have been erased, others merged into it or taken out.
    pub fn insert(&mut self, incident: &Incident) {
        let keys = fingerprints(incident);
        if self.held.get(&incident.id) == Some(&keys) {
            return;
        }
        self.remove(&incident.id);
        for (key, number) in &keys {
            let candidates = self.candidates.entry(key.clone()).or_default();
            let candidate = (*number, incident.id.clone());
            if let Err(at) = candidates.binary_search(&candidate) {
                candidates.insert(at, candidate);
            }
        }
        self.held.insert(incident.id.clone(), keys);
    }

    pub fn remove(&mut self, id: &IncidentId) {
        for (key, number) in self.held.remove(id).unwrap_or_default() {
            let Some(candidates) = self.candidates.get_mut(&key) else { continue };
            if let Ok(at) = candidates.binary_search_by(|(n, i)| n.cmp(&number).then_with(|| i.cmp(id))) {
                candidates.remove(at);
            }
            if candidates.is_empty() {
                self.candidates.remove(&key);
            }
        }
    }
}

/// The fingerprints whose matches an incident takes, each with the number of the incident that opened under it.
fn fingerprints(incident: &Incident) -> Vec<(Fingerprint, u64)> {
    let own = (Fingerprint::new(&incident.rule, incident.entity.as_ref()), incident.number);
    // What was moved out takes no new matches: they go on to the incident it was moved out of.
    let own = incident.handling.split_from.is_none().then_some(own);
    let merged = incident.handling.merged.iter();
    own.into_iter().chain(merged.map(|m| (Fingerprint::new(&m.rule, m.entity.as_ref()), m.number))).collect()
}

/// Below this many, looking for what is too old is not worth it.
const PRUNE_ABOVE: usize = 1024;

/// The incident of each fingerprint that was resolved last, for as long as a new one is a recurrence of it.
#[derive(Debug, Default)]
pub(crate) struct ResolvedIndex {
    last: HashMap<Fingerprint, (u64, Timestamp)>,
    /// Looked through when it has grown to this: that is rare enough to cost nothing an entry.
    prune_at: usize,
}

impl ResolvedIndex {
    pub fn insert(&mut self, key: Fingerprint, number: u64, at: Timestamp, kept_for: Duration) {
        let last = self.last.entry(key).or_insert((number, at));
        if last.1 <= at {
            *last = (number, at);
        }
        if self.last.len() > self.prune_at {
            self.last.retain(|_, (_, resolved)| *resolved + kept_for >= at);
            self.prune_at = (2 * self.last.len()).max(PRUNE_ABOVE);
        }
    }

    /// It was reopened.
    pub fn remove(&mut self, key: &Fingerprint, number: u64) {
        if self.last.get(key).is_some_and(|(n, _)| *n == number) {
            self.last.remove(key);
        }
    }

    /// The number of the incident that one of this fingerprint, opened now, is a recurrence of.
    pub fn recurrence_of(&self, key: &Fingerprint, now: Timestamp, within: Duration) -> Option<u64> {
        self.last.get(key).filter(|(_, at)| *at + within >= now).map(|(number, _)| *number)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.last.len()
    }
}
