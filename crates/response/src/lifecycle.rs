//! What an officer does with an incident. Each takes the incident as it is and returns what changes, or says why not.

use serde_json::{Value, json};
use wf_model::{Actor, AuditAction, EntryKind, Incident, IncidentState, Notice, NoticeReason, TimelineEntry, Timestamp, Verdict};

use crate::Changes;

/// Longer notes are refused: a timeline is read at night.
pub const NOTE_LIMIT: usize = 4000;

/// Why an action was refused. The incident is as it was.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("incident #{number} is {state}; {action} needs it to be {wanted}")]
    State { number: u64, state: IncidentState, action: &'static str, wanted: &'static str },
    #[error("incident #{number} was acknowledged by {by} already")]
    Acknowledged { number: u64, by: String },
    #[error("the note is {length} characters long; at most {NOTE_LIMIT} are kept")]
    NoteTooLong { length: usize },
    #[error("the note is empty")]
    NoteEmpty,
}

/// Somebody takes it: the count goes on silently, and whoever looks sees who works on it.
pub fn acknowledge(now: Timestamp, actor: &Actor, incident: &Incident, note: Option<&str>) -> Result<Changes, Refusal> {
    match incident.state {
        IncidentState::Open => {}
        IncidentState::Acknowledged => {
            return Err(Refusal::Acknowledged {
                number: incident.number,
                by: incident.acknowledged_by.clone().unwrap_or_default(),
            });
        }
        IncidentState::Resolved => return Err(refused(incident, "acknowledging", "open")),
    }
    let mut next = incident.clone();
    next.state = IncidentState::Acknowledged;
    next.acknowledged_at = Some(now);
    next.acknowledged_by = Some(actor.to_string());
    next.acknowledged_count = Some(incident.count);
    changed(now, actor, next, EntryKind::Acknowledged, "incident.acknowledge", "Acknowledged".into(), note, json!({}))
}

/// It is over, and this is what it was.
pub fn resolve(now: Timestamp, actor: &Actor, incident: &Incident, verdict: Verdict, note: Option<&str>) -> Result<Changes, Refusal> {
    if incident.state == IncidentState::Resolved {
        return Err(refused(incident, "resolving", "open or acknowledged"));
    }
    let mut next = incident.clone();
    next.state = IncidentState::Resolved;
    next.resolved_at = Some(now);
    next.resolved_by = Some(actor.to_string());
    next.verdict = Some(verdict);
    let text = format!("Resolved as {}", verdict.as_str().replace('_', " "));
    changed(now, actor, next, EntryKind::Resolved, "incident.resolve", text, note, json!({ "verdict": verdict }))
}

/// It was not over.
pub fn reopen(now: Timestamp, actor: &Actor, incident: &Incident, note: Option<&str>) -> Result<Changes, Refusal> {
    if incident.state != IncidentState::Resolved {
        return Err(refused(incident, "reopening", "resolved"));
    }
    let mut next = incident.clone();
    next.state = IncidentState::Open;
    (next.resolved_at, next.resolved_by, next.verdict) = (None, None, None);
    (next.acknowledged_at, next.acknowledged_by, next.acknowledged_count) = (None, None, None);
    let mut changes = changed(now, actor, next, EntryKind::Reopened, "incident.reopen", "Reopened".into(), note, json!({}))?;
    changes.notices = changes
        .incidents
        .iter()
        .map(|i| Notice { incident: i.id.clone(), number: i.number, severity: i.severity, kind: i.kind.clone(), count: i.count, reason: NoticeReason::Reopened })
        .collect();
    Ok(changes)
}

/// A remark on the timeline, in any state.
pub fn note(now: Timestamp, actor: &Actor, incident: &Incident, text: &str) -> Result<Changes, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::NoteEmpty);
    }
    changed(now, actor, incident.clone(), EntryKind::Note, "incident.note", String::new(), Some(text), json!({}))
}

fn refused(incident: &Incident, action: &'static str, wanted: &'static str) -> Refusal {
    Refusal::State { number: incident.number, state: incident.state, action, wanted }
}

#[expect(clippy::too_many_arguments, reason = "one line of the timeline and of the audit log, built in one place")]
fn changed(
    now: Timestamp,
    actor: &Actor,
    mut incident: Incident,
    kind: EntryKind,
    action: &str,
    text: String,
    note: Option<&str>,
    mut payload: Value,
) -> Result<Changes, Refusal> {
    let note = note.map(str::trim).filter(|n| !n.is_empty());
    if let Some(n) = note
        && n.chars().count() > NOTE_LIMIT
    {
        return Err(Refusal::NoteTooLong { length: n.chars().count() });
    }
    incident.version += 1;
    payload["number"] = json!(incident.number);
    payload["count"] = json!(incident.count);
    if let Some(n) = note {
        payload["note"] = json!(n);
    }
    let text = match (text.is_empty(), note) {
        (true, Some(n)) => n.to_owned(),
        (false, Some(n)) => format!("{text}: “{n}”"),
        (_, None) => text,
    };
    Ok(Changes {
        timeline: vec![TimelineEntry {
            incident: incident.id.clone(),
            version: incident.version,
            ordinal: 0,
            at: now,
            actor: actor.clone(),
            kind,
            text,
        }],
        audit: vec![AuditAction {
            at: now,
            actor: actor.clone(),
            action: action.into(),
            subject: format!("incident:{}", incident.id),
            payload,
        }],
        incidents: vec![incident],
        notices: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wf_model::{IncidentId, Message, Severity};

    fn incident() -> Incident {
        Incident {
            id: IncidentId("0123456789abcdef".into()),
            number: 7,
            version: 3,
            rule: "r".into(),
            rule_title: "R".into(),
            kind: "K".into(),
            severity: Severity::P1,
            entity: None,
            state: IncidentState::Open,
            message: Message::default(),
            count: 12,
            feeds: vec![],
            first_seen: Timestamp::EPOCH,
            last_seen: Timestamp::EPOCH,
            detected_at: Timestamp::EPOCH,
            acknowledged_at: None,
            acknowledged_by: None,
            acknowledged_count: None,
            resolved_at: None,
            resolved_by: None,
            verdict: None,
            recurrence_of: None,
            first_events: vec![],
            last_events: vec![],
            actions: vec![],
        }
    }

    #[test]
    fn every_action_in_every_state_is_either_done_with_a_trace_or_refused_with_a_reason() {
        let (now, who) = (Timestamp::from_millis(5), Actor::Operator("Duty officer".into()));
        let open = incident();
        let acked = acknowledge(now, &who, &open, Some("looking")).unwrap().incidents.remove(0);
        let resolved = resolve(now, &who, &acked, Verdict::TruePositive, None).unwrap().incidents.remove(0);
        assert_eq!((acked.acknowledged_by.as_deref(), acked.acknowledged_count), (Some("Duty officer"), Some(12)));
        assert_eq!((resolved.verdict, resolved.resolved_at), (Some(Verdict::TruePositive), Some(now)));
        for (state, may_ack, may_resolve, may_reopen) in
            [(&open, true, true, false), (&acked, false, true, false), (&resolved, false, false, true)]
        {
            let results = [
                (acknowledge(now, &who, state, None), may_ack),
                (resolve(now, &who, state, Verdict::Benign, None), may_resolve),
                (reopen(now, &who, state, None), may_reopen),
                (note(now, &who, state, "n"), true),
            ];
            for (result, allowed) in results {
                assert_eq!(result.is_ok(), allowed, "{:?}: {result:?}", state.state);
                if let Ok(c) = result {
                    assert_eq!(c.incidents[0].version, state.version + 1);
                    assert_eq!((c.timeline.len(), c.audit.len()), (1, 1), "every action leaves a trace in both");
                }
            }
        }
    }

    #[test]
    fn a_reopened_incident_is_told_and_belongs_to_nobody() {
        let who = Actor::Operator("o".into());
        let resolved = resolve(Timestamp::EPOCH, &who, &incident(), Verdict::Benign, None).unwrap().incidents.remove(0);
        let c = reopen(Timestamp::EPOCH, &who, &resolved, None).unwrap();
        assert_eq!(c.notices.len(), 1);
        assert_eq!((&c.incidents[0].acknowledged_by, c.incidents[0].verdict), (&None, None));
    }

    #[test]
    fn an_endless_note_is_refused() {
        let long = "x".repeat(NOTE_LIMIT + 1);
        assert!(matches!(acknowledge(Timestamp::EPOCH, &Actor::Engine, &incident(), Some(&long)), Err(Refusal::NoteTooLong { .. })));
        assert_eq!(note(Timestamp::EPOCH, &Actor::Engine, &incident(), "  "), Err(Refusal::NoteEmpty));
    }
}
