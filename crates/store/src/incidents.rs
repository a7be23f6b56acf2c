//! Incidents and their timelines.

use std::collections::HashMap;

use sqlx::{Sqlite, Transaction};
use wf_model::{
    Actor, Entity, EntryKind, Folded, Incident, IncidentId, IncidentState, Severity, TimelineEntry, Timestamp, Verdict,
};

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
    handling: String,
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
            handling: json(&r.handling)?,
        })
    }
}

struct EntryRow {
    incident: String,
    version: i64,
    ordinal: i64,
    at: i64,
    operator: Option<String>,
    channel: Option<String>,
    kind: String,
    text: String,
}

impl TryFrom<EntryRow> for TimelineEntry {
    type Error = StoreError;
    fn try_from(r: EntryRow) -> Result<Self, StoreError> {
        Ok(Self {
            incident: IncidentId(r.incident),
            version: r.version as u64,
            ordinal: r.ordinal as u32,
            at: Timestamp::from_millis(r.at),
            actor: match (r.operator, r.channel) {
                (Some(name), Some(channel)) => Actor::Reply { name, channel },
                (Some(name), None) => Actor::Operator(name),
                (None, _) => Actor::Engine,
            },
            kind: r.kind.parse::<EntryKind>().map_err(|e| StoreError::damaged("timeline entry", e))?,
            text: r.text,
        })
    }
}

pub(crate) async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    incidents: &[Incident],
    timeline: &[TimelineEntry],
    folded: &[Folded],
) -> Result<(), sqlx::Error> {
    for i in incidents {
        let (number, version, severity, count) =
            (i.number as i64, i.version as i64, i64::from(i.severity.number()), i.count as i64);
        let (field, value) = (i.entity.as_ref().map(|e| &e.field), i.entity.as_ref().map(|e| &e.value));
        let (state, verdict) = (i.state.as_str(), i.verdict.map(Verdict::as_str));
        let (message, feeds, actions, handling) =
            (text(&i.message), text(&i.feeds), text(&i.actions), text(&i.handling));
        let (first_events, last_events) = (text(&i.first_events), text(&i.last_events));
        let (first_seen, last_seen, detected_at) =
            (i.first_seen.millis(), i.last_seen.millis(), i.detected_at.millis());
        let (acknowledged_at, resolved_at) =
            (i.acknowledged_at.map(Timestamp::millis), i.resolved_at.map(Timestamp::millis));
        let (acknowledged_count, recurrence_of) =
            (i.acknowledged_count.map(|n| n as i64), i.recurrence_of.map(|n| n as i64));
        // Whole states with a version: the same change again, or an older one, does nothing.
        sqlx::query!(
            "INSERT INTO incident (id, number, version, rule, rule_title, kind, severity, entity_field, entity_value, state, message, count, feeds,
               first_seen, last_seen, detected_at, acknowledged_at, acknowledged_by, acknowledged_count, resolved_at, resolved_by, verdict,
               recurrence_of, first_events, last_events, actions, handling)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET version = excluded.version, severity = excluded.severity, state = excluded.state,
               message = excluded.message, count = excluded.count, feeds = excluded.feeds, first_seen = excluded.first_seen,
               last_seen = excluded.last_seen, acknowledged_at = excluded.acknowledged_at, acknowledged_by = excluded.acknowledged_by,
               acknowledged_count = excluded.acknowledged_count, resolved_at = excluded.resolved_at, resolved_by = excluded.resolved_by,
               verdict = excluded.verdict, first_events = excluded.first_events, last_events = excluded.last_events,
               handling = excluded.handling, entity_value = excluded.entity_value
             WHERE excluded.version > incident.version",
            i.id.0, number, version, i.rule, i.rule_title, i.kind, severity, field, value, state, message, count, feeds,
            first_seen, last_seen, detected_at, acknowledged_at, i.acknowledged_by, acknowledged_count, resolved_at, i.resolved_by, verdict,
            recurrence_of, first_events, last_events, actions, handling
        )
        .execute(&mut **tx)
        .await?;
    }
    for e in timeline {
        let (version, ordinal, at, kind) = (e.version as i64, i64::from(e.ordinal), e.at.millis(), e.kind.as_str());
        let (operator, channel) = match &e.actor {
            Actor::Operator(name) => (Some(name), None),
            Actor::Reply { name, channel } => (Some(name), Some(channel)),
            Actor::Engine => (None, None),
        };
        sqlx::query!(
            "INSERT INTO timeline (incident, version, ordinal, at, operator, channel, kind, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            e.incident.0, version, ordinal, at, operator, channel, kind, e.text
        )
        .execute(&mut **tx)
        .await?;
    }
    for f in folded {
        let (version, at, first_seen, last_seen, count) =
            (f.version as i64, f.at.millis(), f.first_seen.millis(), f.last_seen.millis(), f.count as i64);
        let (field, value) = (f.entity.as_ref().map(|e| &e.field), f.entity.as_ref().map(|e| &e.value));
        let (events, moved_to) = (text(&f.events), f.moved_to.map(|n| n as i64));
        sqlx::query!(
            "INSERT INTO folded (incident, version, at, first_seen, last_seen, count, rule, entity_field, entity_value, events, moved_to) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (incident, version) DO UPDATE SET moved_to = coalesce(moved_to, excluded.moved_to), first_seen = min(first_seen, excluded.first_seen), last_seen = max(last_seen, excluded.last_seen), events = CASE WHEN excluded.count > count THEN excluded.events ELSE events END, count = max(count, excluded.count)",
            f.incident.0, version, at, first_seen, last_seen, count, f.rule, field, value, events, moved_to
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Rows of what was folded that are read at a time.
const FOLDED_PAGE: u32 = 1_000;

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
        let (state, severity) =
            (filter.state.map(IncidentState::as_str), filter.severity.map(|s| i64::from(s.number())));
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
        let row = sqlx::query_as!(Row, "SELECT * FROM incident WHERE id = ?1 OR number = ?2", id, number)
            .fetch_optional(&self.readers)
            .await?;
        row.map(Incident::try_from).transpose()
    }

    /// Other incidents about the same entity, or of the same rule where there is none; the newest first.
    pub async fn about_the_same(&self, incident: &Incident, limit: u32) -> Result<Vec<Incident>, StoreError> {
        let (id, rule, entity) = (&incident.id.0, &incident.rule, incident.entity.as_ref().map(|e| &e.value));
        let rows = sqlx::query_as!(
            Row,
            "SELECT * FROM incident WHERE id <> ?1 AND ((?2 IS NOT NULL AND entity_value = ?2) OR (?2 IS NULL AND entity_value IS NULL AND rule = ?3)) ORDER BY number DESC LIMIT ?4",
            id, entity, rule, limit
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(Incident::try_from).collect()
    }

    /// What folding must know after a start: live incidents, and those resolved since.
    pub async fn incidents_for_folding(&self, resolved_since: Timestamp) -> Result<Vec<Incident>, StoreError> {
        let since = resolved_since.millis();
        let rows = sqlx::query_as!(
            Row,
            "SELECT * FROM incident WHERE state <> 'resolved' OR resolved_at >= ? ORDER BY number",
            since
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(Incident::try_from).collect()
    }

    /// Every incident, a page at a time after `number`, in order.
    pub async fn incidents_after(&self, number: u64) -> Result<Vec<Incident>, StoreError> {
        let number = number as i64;
        let rows = sqlx::query_as!(Row, "SELECT * FROM incident WHERE number > ? ORDER BY number LIMIT 500", number)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(Incident::try_from).collect()
    }

    /// Incidents that were resolved before, oldest first; a page of them after `number`.
    pub async fn incidents_resolved_before(&self, before: Timestamp, after: u64) -> Result<Vec<Incident>, StoreError> {
        let (before, after) = (before.millis(), after as i64);
        let rows = sqlx::query_as!(Row, "SELECT * FROM incident WHERE state = 'resolved' AND resolved_at < ? AND number > ? ORDER BY number LIMIT 200", before, after).fetch_all(&self.readers).await?;
        rows.into_iter().map(Incident::try_from).collect()
    }

    pub async fn last_incident_number(&self) -> Result<u64, StoreError> {
        let n = sqlx::query_scalar!(r#"SELECT max(coalesce((SELECT max(number) FROM incident), 0), coalesce((SELECT last FROM counter WHERE kind = 'incident'), 0)) AS "n!: i64""#).fetch_one(&self.readers).await?;
        Ok(n as u64)
    }

    /// Live incidents by severity, P1 first.
    pub async fn live_by_severity(&self) -> Result<[u64; 4], StoreError> {
        let rows = sqlx::query!(
            r#"SELECT severity, count(*) AS "n!: i64" FROM incident WHERE state <> 'resolved' GROUP BY severity"#
        )
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
        let rows = sqlx::query_as!(EntryRow, "SELECT incident, version, ordinal, at, operator, channel, kind, text FROM timeline WHERE incident = ? ORDER BY version, ordinal", incident.0).fetch_all(&self.readers).await?;
        rows.into_iter().map(TimelineEntry::try_from).collect()
    }

    /// Entries on the timelines of incidents of these severities detected between these moments, oldest first.
    pub async fn timelines_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        gravest: u8,
    ) -> Result<Vec<TimelineEntry>, StoreError> {
        let (from, to) = (from.millis(), to.millis());
        let rows = sqlx::query_as!(
            EntryRow,
            "SELECT t.incident, t.version, t.ordinal, t.at, t.operator, t.channel, t.kind, t.text FROM timeline t JOIN incident i ON i.id = t.incident
             WHERE i.detected_at >= ? AND i.detected_at < ? AND i.severity <= ? ORDER BY t.at, i.number, t.version, t.ordinal",
            from, to, gravest
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(TimelineEntry::try_from).collect()
    }

    /// What each batch of matches added to an incident, oldest first, after that version; a page of at most `limit`.
    /// What was moved out is left out.
    pub async fn folded_page(&self, incident: &IncidentId, after: u64, limit: u32) -> Result<Vec<Folded>, StoreError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = sqlx::query!(
            "SELECT version, at, first_seen, last_seen, count, rule, entity_field, entity_value, events FROM folded
             WHERE incident = ? AND moved_to IS NULL AND version > ? ORDER BY version LIMIT ?",
            incident.0,
            after,
            limit
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter()
            .map(|r| {
                Ok(Folded {
                    incident: incident.clone(),
                    version: r.version as u64,
                    at: Timestamp::from_millis(r.at),
                    first_seen: Timestamp::from_millis(r.first_seen),
                    last_seen: Timestamp::from_millis(r.last_seen),
                    count: r.count as u64,
                    rule: r.rule,
                    entity: r.entity_field.zip(r.entity_value).map(|(field, value)| Entity { field, value }),
                    events: json(&r.events)?,
                    moved_to: None,
                })
            })
            .collect()
    }

    /// All of it, for what must not miss an event. An attack that goes on for days adds a row a second: what is shown
    /// to somebody is a page.
    pub async fn folded(&self, incident: &IncidentId) -> Result<Vec<Folded>, StoreError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.folded_page(incident, after, FOLDED_PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.version;
            all.extend(page);
        }
    }

    /// For each incident detected since: when somebody first acknowledged it, and when a person first did anything
    /// about it.
    pub async fn first_actions(
        &self,
        since: Timestamp,
    ) -> Result<HashMap<IncidentId, (Option<Timestamp>, Option<Timestamp>)>, StoreError> {
        let since = since.millis();
        let rows = sqlx::query!(
            r#"SELECT t.incident AS "incident!", min(CASE WHEN t.kind = 'acknowledged' THEN t.at END) AS "acknowledged: i64", min(t.at) AS "acted: i64"
               FROM timeline t JOIN incident i ON i.id = t.incident WHERE i.detected_at >= ? AND t.operator IS NOT NULL GROUP BY t.incident"#,
            since
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|r| {
                (
                    IncidentId(r.incident),
                    (r.acknowledged.map(Timestamp::from_millis), Some(Timestamp::from_millis(r.acted))),
                )
            })
            .collect())
    }

    /// Incidents detected since, oldest first.
    pub async fn incidents_since(&self, since: Timestamp) -> Result<Vec<Incident>, StoreError> {
        let since = since.millis();
        let rows = sqlx::query_as!(Row, "SELECT * FROM incident WHERE detected_at >= ? ORDER BY number", since)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(Incident::try_from).collect()
    }
}
