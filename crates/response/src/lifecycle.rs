//! What an officer does with an incident. Each takes the incident as it is and returns what changes, or says why not.

use serde_json::{Value, json};
use wf_model::{Actor, EntryKind, Incident, IncidentState, NoticeReason, Purpose, Timestamp, Verdict};

use crate::draft::Draft;
use crate::refusal::NOTE_LIMIT;
use crate::{Changes, Plan, Refusal, escalate, notify, schedule};

/// Somebody takes it: nobody else is asked any more, the count goes on silently, and whoever looks sees who works on
/// it. It holds for the time the severity gives, or `hold`; then they are asked again.
pub fn acknowledge(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    note: Option<&str>,
    hold: Option<std::time::Duration>,
    plan: &Plan,
) -> Result<Changes, Refusal> {
    match incident.state {
        IncidentState::Open => {}
        IncidentState::Acknowledged
            if incident.handling.reminded_at.is_some()
                && incident.acknowledged_by.as_deref() == Some(&actor.to_string()) =>
        {
            return stand_by(now, actor, incident, note, hold, plan);
        }
        IncidentState::Acknowledged => {
            return Err(Refusal::Acknowledged {
                number: incident.number,
                by: incident.acknowledged_by.clone().unwrap_or_default(),
            });
        }
        IncidentState::Resolved => return Err(refused(incident, "acknowledging", "open")),
    }
    let mut d = Draft::of(now, incident);
    let i = &mut d.incident;
    i.state = IncidentState::Acknowledged;
    i.acknowledged_at = Some(now);
    i.acknowledged_by = Some(actor.to_string());
    i.acknowledged_count = Some(incident.count);
    i.handling.snoozed_until = None;
    i.handling.owner.get_or_insert_with(|| actor.to_string());
    let hold = hold.or(plan.acknowledge_for(incident.severity));
    i.handling.acknowledged_until = hold.map(|h| now + h);
    i.handling.reminded_at = None;
    i.handling.codes_from = i.version;
    let through = match actor {
        Actor::Reply { channel, .. } => format!(" by {channel}"),
        Actor::Operator(_) | Actor::Engine => String::new(),
    };
    escalate::stop(&mut d);
    d.withdraw();
    traced(
        &mut d,
        actor,
        EntryKind::Acknowledged,
        "incident.acknowledge",
        &format!("Acknowledged{through}"),
        note,
        json!({}),
    )?;
    notify::follow(&mut d, plan, Purpose::Acknowledged, format!("{actor} is on it"));
    Ok(d.finish())
}

/// The reminder is answered: the acknowledgement holds once more.
fn stand_by(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    note: Option<&str>,
    hold: Option<std::time::Duration>,
    plan: &Plan,
) -> Result<Changes, Refusal> {
    let mut d = Draft::of(now, incident);
    d.withdraw();
    d.incident.handling.reminded_at = None;
    d.incident.handling.codes_from = d.incident.version;
    d.incident.handling.acknowledged_until = hold.or(plan.acknowledge_for(incident.severity)).map(|h| now + h);
    traced(&mut d, actor, EntryKind::Acknowledged, "incident.stand_by", "Stands by it", note, json!({}))?;
    Ok(d.finish())
}

/// It is over, and this is what it was.
pub fn resolve(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    verdict: Verdict,
    note: Option<&str>,
    plan: &Plan,
) -> Result<Changes, Refusal> {
    if incident.state == IncidentState::Resolved {
        return Err(refused(incident, "resolving", "open or acknowledged"));
    }
    let mut d = Draft::of(now, incident);
    let i = &mut d.incident;
    i.state = IncidentState::Resolved;
    i.resolved_at = Some(now);
    i.resolved_by = Some(actor.to_string());
    i.verdict = Some(verdict);
    i.handling.snoozed_until = None;
    i.handling.codes_from = i.version;
    escalate::stop(&mut d);
    d.withdraw();
    let word = verdict.as_str().replace('_', " ");
    traced(
        &mut d,
        actor,
        EntryKind::Resolved,
        "incident.resolve",
        &format!("Resolved as {word}"),
        note,
        json!({ "verdict": verdict }),
    )?;
    notify::follow(&mut d, plan, Purpose::Resolved, format!("{actor} resolved it as {word}"));
    Ok(d.finish())
}

/// It was not over: it is told anew, from the first step.
pub fn reopen(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    note: Option<&str>,
    plan: &Plan,
) -> Result<Changes, Refusal> {
    if incident.state != IncidentState::Resolved {
        return Err(refused(incident, "reopening", "resolved"));
    }
    if incident.handling.merged_into.is_some() {
        return Err(refused(incident, "reopening", "taken out of the one it became part of"));
    }
    let mut d = Draft::of(now, incident);
    let i = &mut d.incident;
    i.state = IncidentState::Open;
    (i.resolved_at, i.resolved_by, i.verdict) = (None, None, None);
    (i.acknowledged_at, i.acknowledged_by, i.acknowledged_count) = (None, None, None);
    (i.handling.acknowledged_until, i.handling.reminded_at, i.handling.owner) = (None, None, None);
    (i.handling.silenced_by, i.handling.in_storm) = (None, false);
    d.changes.supersede.push(incident.id.clone());
    traced(&mut d, actor, EntryKind::Reopened, "incident.reopen", "Reopened", note, json!({}))?;
    d.notice(NoticeReason::Reopened);
    notify::follow(&mut d, plan, Purpose::Reopened, format!("{actor} reopened it"));
    escalate::begin(&mut d, plan);
    notify::once_each(&mut d);
    Ok(d.finish())
}

/// A remark on the timeline, in any state.
pub fn note(now: Timestamp, actor: &Actor, incident: &Incident, text: &str, plan: &Plan) -> Result<Changes, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::NoteEmpty);
    }
    let mut d = Draft::of(now, incident);
    active(&mut d, plan);
    traced(&mut d, actor, EntryKind::Note, "incident.note", "", Some(text), json!({}))?;
    Ok(d.finish())
}

/// Nobody is asked until then; then it goes on where it stood.
pub fn snooze(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    until: Timestamp,
    note: Option<&str>,
    zone: chrono_tz::Tz,
) -> Result<Changes, Refusal> {
    if !incident.is_live() {
        return Err(refused(incident, "snoozing", "open or acknowledged"));
    }
    if until <= now {
        return Err(Refusal::NotInFuture);
    }
    if until > now + escalate::LONGEST_SNOOZE {
        return Err(Refusal::TooLong);
    }
    let mut d = Draft::of(now, incident);
    d.incident.handling.snoozed_until = Some(until);
    d.incident.handling.codes_from = d.incident.version;
    d.incident.handling.reminded_at = None;
    escalate::stop(&mut d);
    d.withdraw();
    let text =
        format!("Snoozed until {} ({})", schedule::spoken(zone, until), wf_model::span::spoken(until.since(now)));
    traced(&mut d, actor, EntryKind::Snoozed, "incident.snooze", &text, note, json!({ "until": until }))?;
    Ok(d.finish())
}

/// Somebody else works on it.
pub fn assign(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    owner: &str,
    note: Option<&str>,
    plan: &Plan,
) -> Result<Changes, Refusal> {
    if !incident.is_live() {
        return Err(refused(incident, "assigning", "open or acknowledged"));
    }
    let mut d = Draft::of(now, incident);
    active(&mut d, plan);
    d.incident.handling.owner = Some(owner.to_owned());
    traced(
        &mut d,
        actor,
        EntryKind::Assigned,
        "incident.assign",
        &format!("Assigned to {owner}"),
        note,
        json!({ "owner": owner }),
    )?;
    Ok(d.finish())
}

/// A step of the checklist is done, or is not.
pub fn check(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    index: usize,
    done: bool,
    plan: &Plan,
) -> Result<Changes, Refusal> {
    let mut d = Draft::of(now, incident);
    let Some(item) = d.incident.handling.checklist.get_mut(index) else {
        return Err(Refusal::NoSuchItem { number: incident.number, index: index + 1 });
    };
    (item.done_by, item.done_at) = if done { (Some(actor.to_string()), Some(now)) } else { (None, None) };
    let text = format!("{} {}", if done { "Done:" } else { "Not done after all:" }, item.text.replace('_', " "));
    active(&mut d, plan);
    traced(
        &mut d,
        actor,
        EntryKind::Checked,
        "incident.check",
        &text,
        None,
        json!({ "step": index + 1, "done": done }),
    )?;
    Ok(d.finish())
}

/// Work on an incident that is acknowledged is an answer to whether anybody stands by it.
fn active(d: &mut Draft, plan: &Plan) {
    if d.incident.state == IncidentState::Acknowledged {
        d.incident.handling.reminded_at = None;
        // A longer time that was asked for stands; one without an end stays so.
        let usual = plan.acknowledge_for(d.incident.severity).map(|h| d.now + h);
        if let Some(until) = d.incident.handling.acknowledged_until {
            d.incident.handling.acknowledged_until = Some(usual.map_or(until, |u| u.max(until)));
        }
    }
}

fn refused(incident: &Incident, action: &'static str, wanted: &'static str) -> Refusal {
    Refusal::State { number: incident.number, state: incident.state, action, wanted }
}

/// One line of the timeline and one of the audit log, with the officer's own words.
fn traced(
    d: &mut Draft,
    actor: &Actor,
    kind: EntryKind,
    action: &str,
    text: &str,
    note: Option<&str>,
    mut payload: Value,
) -> Result<(), Refusal> {
    let note = note.map(str::trim).filter(|n| !n.is_empty());
    if let Some(n) = note
        && n.chars().count() > NOTE_LIMIT
    {
        return Err(Refusal::NoteTooLong { length: n.chars().count() });
    }
    if let Some(n) = note {
        payload["note"] = json!(n);
    }
    if let Actor::Reply { channel, .. } = actor {
        payload["channel"] = json!(channel);
    }
    let text = match (text.is_empty(), note) {
        (true, Some(n)) => n.to_owned(),
        (false, Some(n)) => format!("{text}: “{n}”"),
        (_, None) => text.to_owned(),
    };
    d.entry(actor, kind, text);
    d.audit(actor, action, payload);
    Ok(())
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
            handling: Default::default(),
        }
    }

    #[test]
    fn every_action_in_every_state_is_either_done_with_a_trace_or_refused_with_a_reason() {
        let (now, who, plan) = (Timestamp::from_millis(5), Actor::Operator("Duty officer".into()), Plan::default());
        let open = incident();
        let acked = acknowledge(now, &who, &open, Some("looking"), None, &plan).unwrap().incidents.remove(0);
        let resolved = resolve(now, &who, &acked, Verdict::TruePositive, None, &plan).unwrap().incidents.remove(0);
        assert_eq!((acked.acknowledged_by.as_deref(), acked.acknowledged_count), (Some("Duty officer"), Some(12)));
        assert_eq!((resolved.verdict, resolved.resolved_at), (Some(Verdict::TruePositive), Some(now)));
        for (state, may_ack, may_resolve, may_reopen) in
            [(&open, true, true, false), (&acked, false, true, false), (&resolved, false, false, true)]
        {
            let results = [
                (acknowledge(now, &who, state, None, None, &plan), may_ack),
                (resolve(now, &who, state, Verdict::Benign, None, &plan), may_resolve),
                (reopen(now, &who, state, None, &plan), may_reopen),
                (note(now, &who, state, "n", &plan), true),
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
        let resolved = resolve(Timestamp::EPOCH, &who, &incident(), Verdict::Benign, None, &Plan::default())
            .unwrap()
            .incidents
            .remove(0);
        let c = reopen(Timestamp::EPOCH, &who, &resolved, None, &Plan::default()).unwrap();
        assert_eq!(c.notices.len(), 1);
        assert_eq!((&c.incidents[0].acknowledged_by, c.incidents[0].verdict), (&None, None));
    }

    #[test]
    fn an_endless_note_is_refused() {
        let long = "x".repeat(NOTE_LIMIT + 1);
        assert!(matches!(
            acknowledge(Timestamp::EPOCH, &Actor::Engine, &incident(), Some(&long), None, &Plan::default()),
            Err(Refusal::NoteTooLong { .. })
        ));
        assert_eq!(
            note(Timestamp::EPOCH, &Actor::Engine, &incident(), "  ", &Plan::default()),
            Err(Refusal::NoteEmpty)
        );
    }
}
