//! Silences: made, previewed, ended. A silence mutes new notifications, never the incident, and never a resolve.

use serde_json::json;
use wf_model::{Actor, AuditAction, EntryKind, Incident, Matcher, NoticeReason, Silence, Timestamp};

use crate::draft::Draft;
use crate::{Changes, IncidentRegistry, Refusal, escalate};

/// The silence that covers an incident, if one does.
pub fn covering<'a>(silences: &'a [Silence], now: Timestamp, incident: &Incident) -> Option<&'a Silence> {
    silences.iter().find(|s| s.active(now) && s.matcher.fits(incident))
}

/// Makes one. Its matcher and its reason never change afterwards.
pub fn add(
    now: Timestamp,
    actor: &Actor,
    id: String,
    matcher: Matcher,
    reason: &str,
    until: Timestamp,
) -> Result<Changes, Refusal> {
    let reason = reason.trim();
    if matcher.is_empty() {
        return Err(Refusal::SilenceOfEverything);
    }
    if reason.is_empty() {
        return Err(Refusal::NoReason);
    }
    if until <= now {
        return Err(Refusal::NotInFuture);
    }
    let silence = Silence {
        id,
        matcher,
        author: actor.to_string(),
        reason: reason.to_owned(),
        from: now,
        until,
        ended_by: None,
        closed: false,
    };
    Ok(Changes {
        audit: vec![audit(now, actor, "silence.add", &silence)],
        silences: vec![silence],
        ..Changes::default()
    })
}

/// Ends one, by hand or because its time has come: what still fires under it is told now.
pub fn end(now: Timestamp, actor: &Actor, registry: &IncidentRegistry, id: &str) -> Result<Changes, Refusal> {
    let found =
        registry.silences().iter().find(|s| s.id == id).ok_or_else(|| Refusal::NoSilence { id: id.to_owned() })?;
    let mut silence = found.clone();
    silence.closed = true;
    if *actor != Actor::Engine {
        silence.until = silence.until.min(now);
        silence.ended_by = Some(actor.to_string());
    }
    let mut changes = Changes {
        audit: vec![audit(now, actor, "silence.end", &silence)],
        silences: vec![silence],
        ..Changes::default()
    };
    // Another one may cover the same.
    let others: Vec<Silence> = registry.silences().iter().filter(|s| s.id != id).cloned().collect();
    let mut still: Vec<&Incident> = registry.live().filter(|i| i.handling.silenced_by.as_deref() == Some(id)).collect();
    still.sort_by_key(|i| i.number);
    for incident in still {
        let mut draft = Draft::of(now, incident);
        draft.incident.handling.silenced_by = covering(&others, now, incident).map(|s| s.id.clone());
        if draft.incident.handling.silenced_by.is_none() {
            draft.entry(actor, EntryKind::Silenced, format!("Silence {id} has ended, and this is still open"));
            if draft.incident.state == wf_model::IncidentState::Open {
                draft.notice(NoticeReason::New);
                escalate::begin(&mut draft, registry.plan());
            }
        }
        changes.join(draft.finish());
    }
    Ok(changes)
}

/// Those whose time has come.
pub fn due(now: Timestamp, registry: &IncidentRegistry) -> Vec<String> {
    registry.silences().iter().filter(|s| s.until <= now).map(|s| s.id.clone()).collect()
}

fn audit(now: Timestamp, actor: &Actor, action: &str, s: &Silence) -> AuditAction {
    AuditAction {
        at: now,
        actor: actor.clone(),
        action: action.into(),
        subject: format!("silence:{}", s.id),
        payload: json!({ "matcher": s.matcher, "reason": s.reason, "until": s.until }),
    }
}
