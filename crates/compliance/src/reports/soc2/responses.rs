//! Section 2: every grave incident with its times, what people did, and every message with its receipt.

use std::collections::{BTreeMap, HashMap};

use wf_api::ApiError;
use wf_evidence::report::{Column, Document};
use wf_model::{EntryKind, Severity, Timestamp};
use wf_response::metrics::{self, Handled};

use super::{Collected, LISTED};
use crate::reports::*;

impl Reports {
    pub(super) async fn soc2_responses(&self, d: &mut Document, c: &Collected<'_>) -> Result<(), ApiError> {
        let (period, store, plan) = (c.period, self.records.context.store(), self.records.context.plan());
        d.heading("2  Response records");
        let timelines = store.timelines_between(period.from, period.to, LISTED).await?;
        let mut notes: BTreeMap<u64, Vec<&wf_model::TimelineEntry>> = BTreeMap::new();
        let number: HashMap<&wf_model::IncidentId, u64> = c.incidents.iter().map(|i| (&i.id, i.number)).collect();
        for entry in &timelines {
            notes.entry(number.get(&entry.incident).copied().unwrap_or_default()).or_default().push(entry);
        }
        let span_of = |end: Option<Timestamp>, begin: Timestamp| {
            end.map(|e| span(e.since(begin).as_millis() as f64)).unwrap_or_default()
        };
        let grave: Vec<&Handled> = c.handled.iter().filter(|h| h.incident.severity >= Severity::P2).collect();
        let rows = grave.iter().map(|h| {
            let i = h.incident;
            let answered = h.first_acknowledged.or(i.resolved_at);
            let limit = metrics::acknowledged_within(i.severity).unwrap_or(std::time::Duration::MAX);
            let sla = match (answered, answered.unwrap_or(c.now).since(i.detected_at) <= limit) {
                (Some(_), true) => "met",
                (None, true) => "running",
                (_, false) => "missed",
            };
            vec![
                format!("#{}", i.number),
                i.severity.to_string(),
                i.title(),
                c.said(i.detected_at),
                span_of(Some(i.detected_at), i.first_seen),
                span_of(h.first_acknowledged, i.detected_at),
                span_of(i.resolved_at, i.detected_at),
                sla.to_owned(),
                i.verdict.map(|v| v.as_str().replace('_', " ")).unwrap_or_else(|| i.state.to_string()),
            ]
        });
        d.table(
            "incidents",
            "Every incident of P1 and P2 with its times: to detect, to acknowledge, to resolve.",
            vec![
                Column::number("no."),
                Column::new("", 0.5),
                Column::new("what", 4.0),
                Column::new("detected", 2.2),
                Column::new("TTD", 1.0),
                Column::new("TTA", 1.0),
                Column::new("TTR", 1.0),
                Column::new("SLA", 0.9),
                Column::new("verdict", 1.3),
            ],
            rows.collect(),
            400,
            "There was no incident of P1 or P2 in the period.",
        );
        let entry_rows = |kinds: &[EntryKind]| -> Vec<Vec<String>> {
            notes
                .iter()
                .flat_map(|(n, all)| all.iter().map(move |e| (*n, *e)))
                .filter(|(_, e)| kinds.contains(&e.kind))
                .map(|(n, e)| {
                    vec![
                        format!("#{n}"),
                        c.said(e.at),
                        e.actor.to_string(),
                        e.kind.as_str().replace('_', " "),
                        e.text.clone(),
                    ]
                })
                .collect()
        };
        let columns = || {
            vec![
                Column::number("no."),
                Column::new("when", 2.2),
                Column::new("who", 1.6),
                Column::new("what", 1.6),
                Column::new("", 5.0),
            ]
        };
        d.table(
            "acknowledgements",
            "Who took what on, reopened and resolved it.",
            columns(),
            entry_rows(&[
                EntryKind::Acknowledged,
                EntryKind::Resolved,
                EntryKind::Reopened,
                EntryKind::Assigned,
                EntryKind::Withdrawn,
            ]),
            300,
            "Nothing was acknowledged in the period.",
        );
        d.table(
            "escalations",
            "Steps of the ladder that ran, and those that reached nobody.",
            columns(),
            entry_rows(&[
                EntryKind::Escalated,
                EntryKind::EscalationFailed,
                EntryKind::Reminded,
                EntryKind::Snoozed,
                EntryKind::Silenced,
            ]),
            300,
            "Nothing had to be escalated in the period.",
        );
        let sent = store.notifications_between(period.from, period.to, LISTED).await?;
        let rows = sent.iter().map(|n| {
            vec![
                n.incident.as_ref().and_then(|i| number.get(i)).map(|n| format!("#{n}")).unwrap_or_default(),
                c.said(n.created_at),
                n.to.channel.clone(),
                n.to.person.as_deref().map(|p| plan.name(p).to_owned()).unwrap_or_default(),
                n.purpose.as_str().to_owned(),
                n.state.as_str().to_owned(),
                n.delivered_at.map(|t| c.said(t)).unwrap_or_default(),
                n.provider_id.clone().unwrap_or_default(),
            ]
        });
        d.table(
            "messages",
            "Every message owed to somebody, with its receipt.",
            vec![
                Column::number("no."),
                Column::new("owed", 2.2),
                Column::new("over", 1.2),
                Column::new("to", 1.4),
                Column::new("why", 1.1),
                Column::new("state", 1.2),
                Column::new("arrived", 2.2),
                Column::new("receipt", 2.0),
            ],
            rows.collect(),
            300,
            "No message was owed in the period.",
        );
        Ok(())
    }
}
