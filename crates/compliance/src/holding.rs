//! What holds keep: by what they match, and whole incidents with everything that belongs to them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;

use wf_api::ApiError;
use wf_model::{Incident, Timestamp};
use wf_privacy::retention::{Holds, Item};
use wf_store::events::StoredEvent;
use wf_store::sweep::Swept;

use crate::records::*;
use crate::redaction::*;

/// The holds in force, and what follows from them for whole incidents.
#[derive(Default)]
pub struct Keeping {
    pub holds: Holds,
    /// Incidents that are kept, by number, with the hold that keeps them: what belongs to one is kept with it.
    incidents: HashMap<u64, String>,
    whole: Vec<HeldIncident>,
}

/// An incident that a hold names: its events are those that were counted, and those about the same within its time.
struct HeldIncident {
    number: u64,
    hold: String,
    seqs: HashSet<u64>,
    entity: Option<wf_model::Entity>,
    from: Timestamp,
    to: Timestamp,
}

impl HeldIncident {
    fn has(&self, e: &StoredEvent) -> bool {
        let about = || {
            self.entity.as_ref().is_some_and(|x| {
                e.fields
                    .get(&x.field)
                    .is_some_and(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned) == x.value)
            })
        };
        e.fields.get("watchfloor.incident").and_then(serde_json::Value::as_u64) == Some(self.number)
            || self.seqs.contains(&e.seq.0)
            || (e.occurred_at >= self.from && e.occurred_at <= self.to && about())
    }
}

impl Keeping {
    pub fn event(&self, e: &StoredEvent) -> Option<String> {
        let by_match = self
            .holds
            .covering(
                &Item { from: e.occurred_at, to: e.occurred_at, feeds: &[e.feed.as_str()], incident: None },
                |f| event_holds(f, e),
            )
            .map(named);
        by_match.or_else(|| self.whole.iter().find(|w| w.has(e)).map(|w| w.hold.clone()))
    }

    pub fn incident(&self, i: &Incident) -> Option<String> {
        let feeds: Vec<&str> = i.feeds.iter().map(wf_model::FeedName::as_str).collect();
        self.incidents.get(&i.number).cloned().or_else(|| {
            self.holds
                .covering(&Item { from: i.first_seen, to: i.last_seen, feeds: &feeds, incident: Some(i.number) }, |f| {
                    redact_incident(f, i, "").is_some()
                })
                .map(named)
        })
    }

    pub fn row(&self, r: &Swept) -> Option<String> {
        let feeds: Vec<&str> = r.feed.as_deref().into_iter().collect();
        let with_incident = r.incident.and_then(|n| self.incidents.get(&n)).cloned();
        with_incident.or_else(|| {
            self.holds
                .covering(&Item { from: r.at, to: r.at, feeds: &feeds, incident: r.incident }, |f| {
                    redact_row(f, r, "").is_some()
                })
                .map(named)
        })
    }
}

impl Records {
    /// What holds keep, as of now.
    pub(crate) async fn keeping(&self, holds: Holds) -> Result<Keeping, ApiError> {
        let mut keeping = Keeping { holds, ..Keeping::default() };
        if keeping.holds.is_empty() {
            return Ok(keeping);
        }
        let named_ones: HashMap<u64, String> = keeping.holds.incidents().map(|(n, h)| (n, named(h))).collect();
        let (mut after, mut parts) = (0, Vec::new());
        loop {
            let page = self.context.store().incidents_after(after).await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            for i in page {
                // What was merged into a held incident is part of it.
                let whole = named_ones
                    .get(&i.number)
                    .or_else(|| i.handling.merged_into.and_then(|n| named_ones.get(&n)))
                    .cloned();
                if let Some(hold) = whole.clone().or_else(|| keeping.incident(&i)) {
                    keeping.incidents.insert(i.number, hold);
                }
                if let Some(hold) = whole {
                    parts.push((i, hold));
                }
            }
        }
        for (i, hold) in parts {
            let folded = self.context.store().folded(&i.id).await?;
            let seqs = i
                .first_events
                .iter()
                .chain(&i.last_events)
                .chain(folded.iter().flat_map(|f| &f.events))
                .map(|s| s.0)
                .collect();
            keeping.whole.push(HeldIncident {
                number: i.number,
                hold,
                seqs,
                entity: i.entity,
                from: i.first_seen,
                to: i.last_seen,
            });
        }
        Ok(keeping)
    }

    /// The events of an incident, counted or about the same within its time: as a hold keeps them.
    pub(crate) async fn events_of(&self, i: &Incident) -> Result<Vec<StoredEvent>, ApiError> {
        let folded = self.context.store().folded(&i.id).await?;
        let seqs = i
            .first_events
            .iter()
            .chain(&i.last_events)
            .chain(folded.iter().flat_map(|f| &f.events))
            .map(|s| s.0)
            .collect();
        let whole = HeldIncident {
            number: i.number,
            hold: String::new(),
            seqs,
            entity: i.entity.clone(),
            from: i.first_seen,
            to: i.last_seen,
        };
        let mut query = wf_store::events::Query::default();
        (query.since, query.until) = (Some(i.first_seen), Some(i.last_seen));
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = self.context.store().search(&query, before, 20_000, &AtomicBool::new(false), |_| {}).await?;
            found.extend(page.events.into_iter().filter(|e| whole.has(e)));
            before = page.next;
            if before.is_none() || found.len() > 200_000 {
                return Ok(found);
            }
        }
    }
}

fn named(h: &wf_privacy::retention::Hold) -> String {
    format!("hold #{} {}", h.number, h.title)
}
