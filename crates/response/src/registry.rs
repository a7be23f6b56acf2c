//! The live incidents, as committed, and what is needed to decide about new ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wf_model::{Folded, Incident, IncidentId, Silence, Timestamp};

use crate::index::{Fingerprint, FingerprintIndex, ResolvedIndex};
use crate::openings::Openings;
use crate::pieces::OpenPieces;
use crate::{Changes, Plan};

/// How incidents are folded.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A match joins a live incident whose last event is at most this much older.
    pub window: Duration,
    /// A new incident is marked as a recurrence when one with its fingerprint was resolved at most this long ago.
    pub recurrence: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: Duration::from_secs(3600), recurrence: Duration::from_secs(86_400) }
    }
}

/// The live incidents and the silences. It changes by [`IncidentRegistry::apply`] alone, with what was committed.
#[derive(Debug, Default)]
pub struct IncidentRegistry {
    pub(crate) settings: Settings,
    pub(crate) plan: Arc<Plan>,
    pub(crate) live: HashMap<IncidentId, Incident>,
    pub(crate) index: FingerprintIndex,
    pub(crate) resolved: ResolvedIndex,
    pub(crate) silences: Vec<Silence>,
    pub(crate) openings: Openings,
    pub(crate) pieces: OpenPieces,
    pub(crate) last_number: u64,
}

impl IncidentRegistry {
    /// `incidents` are those stored: all live ones, and those resolved within the recurrence window.
    pub fn new(
        settings: Settings,
        plan: Arc<Plan>,
        last_number: u64,
        incidents: impl IntoIterator<Item = Incident>,
        silences: Vec<Silence>,
    ) -> Self {
        let mut registry = Self { settings, plan, last_number, silences, ..Self::default() };
        for incident in incidents {
            registry.insert(&incident);
        }
        registry
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is decided from now on is decided by this. Ladders that run are not moved.
    pub fn set_plan(&mut self, plan: Arc<Plan>) {
        self.plan = plan;
    }

    /// Takes note of what was committed.
    pub fn apply(&mut self, changes: &Changes) {
        for incident in &changes.incidents {
            self.insert(incident);
        }
        self.pieces.apply(changes);
        for silence in &changes.silences {
            self.silences.retain(|s| s.id != silence.id);
            if !silence.closed {
                self.silences.push(silence.clone());
            }
        }
    }

    fn insert(&mut self, incident: &Incident) {
        self.last_number = self.last_number.max(incident.number);
        self.openings.note(incident);
        let key = Fingerprint::new(&incident.rule, incident.entity.as_ref());
        if incident.is_live() {
            self.resolved.remove(&key, incident.number);
            self.index.insert(incident);
            self.live.insert(incident.id.clone(), incident.clone());
            return;
        }
        self.live.remove(&incident.id);
        self.index.remove(&incident.id);
        if incident.handling.merged_into.is_none() {
            let at = incident.resolved_at.unwrap_or_default();
            self.resolved.insert(key, incident.number, at, self.settings.recurrence);
        }
    }

    /// Live incidents, in no particular order.
    pub fn live(&self) -> impl Iterator<Item = &Incident> {
        self.live.values()
    }

    pub fn get(&self, id: &IncidentId) -> Option<&Incident> {
        self.live.get(id)
    }

    /// Pieces of an incident as they stand. What is read from the store before an action may have grown until the
    /// action is carried out: a split is given these.
    pub fn current_pieces(&self, read: &[Folded]) -> Vec<Folded> {
        read.iter().map(|f| self.pieces.current(f)).collect()
    }

    pub fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// The number of the next incident.
    pub fn next_number(&self) -> u64 {
        self.last_number + 1
    }

    /// When time alone changes something, next.
    pub fn due_at(&self) -> Option<Timestamp> {
        let silences = self.silences.iter().map(|s| s.until);
        self.live.values().filter_map(Incident::due_at).chain(silences).min()
    }
}
