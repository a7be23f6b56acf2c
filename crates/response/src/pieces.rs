//! What folding adds to an incident is kept in pieces that an officer can move out again. An attack of a day would
//! leave one for every batch, so what is added within one minute is one piece.

use std::collections::HashMap;

use wf_model::{Folded, Incident, IncidentId, Match, Timestamp};

use crate::Changes;

/// The pieces of the current minute: the next fold may add to them.
#[derive(Debug, Default)]
pub(crate) struct OpenPieces {
    minute: i64,
    /// Several of one incident only where others were merged into it.
    of: HashMap<IncidentId, Vec<Folded>>,
}

fn minute_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(60_000)
}

impl OpenPieces {
    /// The piece that a match of this incident adds to, as it stands; a new one that is empty yet if there is none.
    pub fn piece(
        &self,
        incident: &Incident,
        m: &Match,
        (first_seen, last_seen): (Timestamp, Timestamp),
        now: Timestamp,
    ) -> Folded {
        let open = self.of.get(&incident.id).filter(|_| self.minute == minute_of(now));
        let piece = open.and_then(|of| of.iter().find(|f| f.rule == m.rule && f.entity == m.entity));
        piece.cloned().unwrap_or_else(|| Folded {
            incident: incident.id.clone(),
            version: incident.version,
            at: now,
            first_seen,
            last_seen,
            count: 0,
            rule: m.rule.clone(),
            entity: m.entity.clone(),
            events: Vec::new(),
            moved_to: None,
        })
    }

    /// Takes note of what was committed. A fold goes on with a piece; whatever else changes an incident (an officer, an
    /// erasure, a split) closes its pieces. What opened an incident stays a piece of its own.
    pub fn apply(&mut self, changes: &Changes) {
        if changes.assigned.is_empty() {
            for incident in &changes.incidents {
                self.of.remove(&incident.id);
            }
            return;
        }
        for piece in changes.folded.iter().filter(|f| f.version > 1) {
            if self.minute != minute_of(piece.at) {
                self.minute = minute_of(piece.at);
                self.of.clear();
            }
            let of = self.of.entry(piece.incident.clone()).or_default();
            match of.iter_mut().find(|f| f.version == piece.version) {
                Some(known) => known.clone_from(piece),
                None => of.push(piece.clone()),
            }
        }
    }

    /// A piece that was read from the store, as it stands: a fold may have been committed since.
    pub fn current(&self, read: &Folded) -> Folded {
        let of = self.of.get(&read.incident);
        of.and_then(|of| of.iter().find(|f| f.version == read.version)).unwrap_or(read).clone()
    }
}
