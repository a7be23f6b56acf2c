//! How many incidents opened in the last minute, by severity: more than the config allows are a storm.

use std::collections::VecDeque;
use std::time::Duration;

use wf_model::{Incident, Severity, Timestamp};

/// The rule of the incident that stands for a storm of others.
pub(crate) const STORM: &str = "watchfloor.storm";

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than the minute that counts, so that a clock set back a little finds what it needs.
const KEPT: Duration = Duration::from_secs(300);

/// The severity under which an incident counts towards a storm; `None`: it opened too long ago, a silence covers it, or
/// it is the storm itself.
pub(crate) fn counts_as(incident: &Incident, now: Timestamp) -> Option<Severity> {
    (counts(incident) && in_last_minute(incident.detected_at, now)).then_some(incident.severity)
}

fn counts(incident: &Incident) -> bool {
    incident.rule != STORM && incident.handling.silenced_by.is_none()
}

fn in_last_minute(at: Timestamp, now: Timestamp) -> bool {
    at + MINUTE > now && at <= now
}

/// Where a severity stands in the counts; P1 first.
pub(crate) fn slot(severity: Severity) -> usize {
    usize::from(severity.number() - 1)
}

#[derive(Debug)]
struct Opening {
    number: u64,
    at: Timestamp,
    severity: Severity,
}

/// What opened lately and counts, by number.
#[derive(Debug, Default)]
pub(crate) struct Openings(VecDeque<Opening>);

impl Openings {
    /// Takes note of an incident as it is now: as grave as it has become, and not at all while a silence covers it.
    pub fn note(&mut self, incident: &Incident) {
        let at = incident.detected_at;
        match self.0.binary_search_by_key(&incident.number, |o| o.number) {
            Ok(i) if counts(incident) => {
                if let Some(opening) = self.0.get_mut(i) {
                    opening.severity = incident.severity;
                }
            }
            Ok(i) => {
                self.0.remove(i);
            }
            Err(i) if counts(incident) && self.0.back().is_none_or(|newest| at + KEPT >= newest.at) => {
                self.0.insert(i, Opening { number: incident.number, at, severity: incident.severity });
                while self.0.front().is_some_and(|o| o.at + KEPT < at) {
                    self.0.pop_front();
                }
            }
            Err(_) => {}
        }
    }

    /// By severity, P1 first.
    pub fn in_last_minute(&self, now: Timestamp) -> [u32; 4] {
        let mut counts = [0; 4];
        for opening in self.0.iter().filter(|o| in_last_minute(o.at, now)) {
            counts[slot(opening.severity)] += 1;
        }
        counts
    }
}
