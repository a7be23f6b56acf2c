//! Incidents and their timelines.

use sqlx::{Sqlite, Transaction};
use wf_model::{Actor, Entity, EntryKind, Incident, IncidentId, IncidentState, Severity, TimelineEntry, Timestamp, Verdict};

use crate::{Store, StoreError};

struct Row {
    id: String,
    number: i64,
    version: i64,
    rule: String,
    rule_title: String,
    kind: String,
    severity: i64,
    entity_field: Option<String>,
    entity_value: Option<String>,
    state: String,
    message: String,
    count: i64,
    feeds: String,
    first_seen: i64,
    last_seen: i64,
    detected_at: i64,
    acknowledged_at: Option<i64>,
    acknowledged_by: Option<String>,
    acknowledged_count: Option<i64>,
    resolved_at: Option<i64>,
    resolved_by: Option<String>,
    verdict: Option<String>,
    recurrence_of: Option<i64>,
    first_events: String,
    last_events: String,
    actions: String,
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::damaged("incident", e))
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl TryFrom<Row> for Incident {
    type Error = StoreError;
    fn try_from(r: Row) -> Result<Self, StoreError> {
        let bad = |e: String| StoreError::damaged("incident", e);
        Ok(Self {
            id: IncidentId(r.id),
            number: r.number as u64,
            version: r.version as u64,
            rule: r.rule,
            rule_title: r.rule_title,
            kind: r.kind,
            severity: Severity::from_number(r.severity).ok_or_else(|| bad(format!("severity {}", r.severity)))?,
            entity: r.entity_field.zip(r.entity_value).map(|(field, value)| Entity { field, value }),
            state: r.state.parse().map_err(bad)?,
            message: json(&r.message)?,
            count: r.count as u64,
            feeds: json(&r.feeds)?,
            first_seen: Timestamp::from_millis(r.first_seen),
            last_seen: Timestamp::from_millis(r.last_seen),
            detected_at: Timestamp::from_millis(r.detected_at),
            acknowledged_at: r.acknowledged_at.map(Timestamp::from_millis),
            acknowledged_by: r.acknowledged_by,
            acknowledged_count: r.acknowledged_count.map(|n| n as u64),
            resolved_at: r.resolved_at.map(Timestamp::from_millis),
            resolved_by: r.resolved_by,
            verdict: r.verdict.map(|v| v.parse::<Verdict>()).transpose().map_err(bad)?,
            recurrence_of: r.recurrence_of.map(|n| n as u64),
            first_events: json(&r.first_events)?,
            last_events: json(&r.last_events)?,
            actions: json(&r.actions)?,
        })
    }
}

pub(crate) async fn write(tx: &mut Transaction<'_, Sqlite>, incidents: &[Incident], timeline: &[TimelineEntry]) -> Result<(), sqlx::Error> {
    for i in incidents {
        let (number, version, severity, count) = (i.number as i64, i.version as i64, i64::from(i.severity.number()), i.count as i64);
        let (field, value) = (i.entity.as_ref().map(|e| &e.field), i.entity.as_ref().map(|e| &e.value));
        let (state, verdict) = (i.state.as_str(), i.verdict.map(Verdict::as_str));
        let (message, feeds, actions) = (text(&i.message), text(&i.feeds), text(&i.actions));
        let (first_events, last_events) = (text(&i.first_events), text(&i.last_events));
        let (first_seen, last_seen, detected_at) = (i.first_seen.millis(), i.last_seen.millis(), i.detected_at.millis());
        let (acknowledged_at, resolved_at) = (i.acknowledged_at.map(Timestamp::millis), i.resolved_at.map(Timestamp::millis));
        let (acknowledged_count, recurrence_of) = (i.acknowledged_count.map(|n| n as i64), i.recurrence_of.map(|n| n as i64));
        // Whole states with a version: the same change again, or an older one, does nothing.
        sqlx::query!(
            "INSERT INTO incident (id, number, version, rule, rule_title, kind, severity, entity_field, entity_value, state, message, count, feeds,
               first_seen, last_seen, detected_at, acknowledged_at, acknowledged_by, acknowledged_count, resolved_at, resolved_by, verdict,
               recurrence_of, first_events, last_events, actions)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET version = excluded.version, severity = excluded.severity, state = excluded.state,
               message = excluded.message, count = excluded.count, feeds = excluded.feeds, first_seen = excluded.first_seen,
               last_seen = excluded.last_seen, acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by,
               acknowledged_count = excluded.acknowledged_count, resolved_at = excluded.resolved_at, resolved_by = excluded.resolved_by,
               verdict = excluded.verdict, first_events = excluded.first_events, last_events = excluded.last_events
             WHERE excluded.version > incident.version",
            i.id.0, number, version, i.rule, i.rule_title, i.kind, severity, field, value, state, message, count, feeds,
            first_seen, last_seen, detected_at, acknowledged_at, i.acknowledged_by, acknowledged_count, resolved_at, i.resolved_by, verdict,
            recurrence_of, first_events, last_events, actions
        )
        .execute(&mut **tx)
        .await?;
    }
    for e in timeline {
        let (version, ordinal, at, kind) = (e.version as i64, i64::from(e.ordinal), e.at.millis(), e.kind.as_str());
        let operator = match &e.actor {
            Actor::Operator(name) => Some(name),
            Actor::Engine => None,
        };
        sqlx::query!(
            "INSERT INTO timeline (incident, version, ordinal, at, operator, kind, text) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            e.incident.0, version, ordinal, at, operator, kind, e.text
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Which incidents to list.
#[derive(Clone, Debug, Default)]
pub struct IncidentFilter {
    /// `None`: every state.
    pub state: Option<IncidentState>,
    /// Open and acknowledged ones alone.
    pub live: bool,
    pub severity: Option<Severity>,
}

impl Store {
    /// Incidents, live ones first, then by severity, then the newest first; at most `limit`.
    pub async fn incidents(&self, filter: &IncidentFilter, limit: u32) -> Result<Vec<Incident>, StoreError> {
        let (state, severity) = (filter.state.map(IncidentState::as_str), filter.severity.map(|s| i64::from(s.number())));
        let rows = sqlx::query_as!(
            Row,
            "SELECT * FROM incident WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR severity = ?2) AND (?3 = 0 OR state <> 'resolved')
             ORDER BY state = 'resolved', CASE WHEN state = 'resolved' THEN 0 ELSE severity END, number DESC LIMIT ?4",
            state, severity, filter.live, limit
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(Incident::try_from).collect()
    }

    /// One incident, by its id or by its number with or without `#`.
    pub async fn incident(&self, id: &str) -> Result<Option<Incident>, StoreError> {
        let number: Option<i64> = id.strip_prefix('#').unwrap_or(id).parse().ok().filter(|_| id.len() < 16);
        let row = sqlx::query_as!(Row, "SELECT * FROM incident WHERE id = ?1 OR number = ?2", id, number).fetch_optional(&self.readers).await?;
        row.map(Incident::try_from).transpose()
    }

    /// What folding must know after a start: live incidents, and those resolved since.
    pub async fn incidents_for_folding(&self, resolved_since: Timestamp) -> Result<Vec<Incident>, StoreError> {
        let since = resolved_since.millis();
        let rows = sqlx::query_as!(Row, "SELECT * FROM incident WHERE state <> 'resolved' OR resolved_at >= ? ORDER BY number", since).fetch_all(&self.readers).await?;
        rows.into_iter().map(Incident::try_from).collect()
    }

    pub async fn last_incident_number(&self) -> Result<u64, StoreError> {
        let n = sqlx::query_scalar!(r#"SELECT coalesce(max(number), 0) AS "n!: i64" FROM incident"#).fetch_one(&self.readers).await?;
        Ok(n as u64)
    }

    /// Live incidents by severity, P1 first.
    pub async fn live_by_severity(&self) -> Result<[u64; 4], StoreError> {
        let rows = sqlx::query!(r#"SELECT severity, count(*) AS "n!: i64" FROM incident WHERE state <> 'resolved' GROUP BY severity"#)
            .fetch_all(&self.readers)
            .await?;
        let mut out = [0; 4];
        for r in rows {
            if let Some(slot) = out.get_mut((r.severity - 1) as usize) {
                *slot = r.n as u64;
            }
        }
        Ok(out)
    }

    /// An incident's timeline, oldest first.
    pub async fn timeline(&self, incident: &IncidentId) -> Result<Vec<TimelineEntry>, StoreError> {
        let rows = sqlx::query!("SELECT version, ordinal, at, operator, kind, text FROM timeline WHERE incident = ? ORDER BY version, ordinal", incident.0)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|r| {
                Ok(TimelineEntry {
                    incident: incident.clone(),
                    version: r.version as u64,
                    ordinal: r.ordinal as u32,
                    at: Timestamp::from_millis(r.at),
                    actor: r.operator.map_or(Actor::Engine, Actor::Operator),
                    kind: r.kind.parse::<EntryKind>().map_err(|e| StoreError::damaged("timeline entry", e))?,
                    text: r.text,
                })
            })
            .collect()
    }
}
