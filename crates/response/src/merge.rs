//! Two incidents become one, or one becomes two; both can be undone.

use serde_json::json;
use wf_model::{
    Actor, EntryKind, Folded, Handling, Incident, IncidentId, IncidentState, Merged, Purpose, Timestamp, Verdict,
};

use crate::draft::Draft;
use crate::{Changes, Plan, Refusal, counts, escalate, notify};

/// `part` becomes part of `into`. New matches of `part` go to `into` from now on.
pub fn merge(now: Timestamp, actor: &Actor, into: &Incident, part: &Incident, plan: &Plan) -> Result<Changes, Refusal> {
    if into.id == part.id {
        return Err(Refusal::MergeWithItself { number: into.number });
    }
    for i in [into, part] {
        if !i.is_live() {
            return Err(Refusal::State {
                number: i.number,
                state: i.state,
                action: "merging",
                wanted: "open or acknowledged",
            });
        }
    }
    let mut whole = Draft::of(now, into);
    let i = &mut whole.incident;
    i.handling.merged.push(Merged {
        number: part.number,
        rule: part.rule.clone(),
        entity: part.entity.clone(),
        count: part.count,
        severity: into.severity,
        message: into.message.clone(),
    });
    // What had become part of the part leads here as well.
    i.handling.merged.extend(part.handling.merged.iter().map(|m| Merged { count: 0, ..m.clone() }));
    i.count = counts::sum(i.count, part.count);
    i.severity = i.severity.max(part.severity);
    i.first_seen = i.first_seen.min(part.first_seen);
    i.last_seen = i.last_seen.max(part.last_seen);
    for feed in &part.feeds {
        if !i.feeds.contains(feed) {
            i.feeds.push(feed.clone());
        }
    }
    let graver =
        part.severity > into.severity && into.state == IncidentState::Open && into.handling.snoozed_until.is_none();
    whole.entry(actor, EntryKind::Merged, format!("#{} became part of this: {}", part.number, part.title()));
    whole.audit(actor, "incident.merge", json!({ "part": part.number }));
    if graver {
        // What it has become has a ladder of its own; the part's ends here.
        escalate::begin(&mut whole, plan);
    }

    let mut gone = Draft::of(now, part);
    gone.withdraw();
    escalate::stop(&mut gone);
    let i = &mut gone.incident;
    i.handling.merged_into = Some(into.number);
    i.handling.snoozed_until = None;
    (i.state, i.resolved_at, i.resolved_by, i.verdict) =
        (IncidentState::Resolved, Some(now), Some(actor.to_string()), Some(Verdict::Duplicate));
    gone.entry(actor, EntryKind::Merged, format!("Became part of #{}", into.number));
    gone.audit(actor, "incident.merged", json!({ "into": into.number }));
    notify::follow(&mut gone, plan, Purpose::Resolved, format!("{actor} made it part of #{}", into.number));
    let mut changes = gone.finish();
    changes.join(whole.finish());
    Ok(changes)
}

/// Takes `part` out of `into` again: it is open, and escalation goes on where it stood.
pub fn unmerge(
    now: Timestamp,
    actor: &Actor,
    into: &Incident,
    part: &Incident,
    plan: &Plan,
) -> Result<Changes, Refusal> {
    let merged = into
        .handling
        .merged
        .iter()
        .find(|m| m.number == part.number)
        .filter(|_| part.handling.merged_into == Some(into.number));
    let Some(merged) = merged.cloned() else {
        return Err(Refusal::NotMerged { number: part.number, into: into.number });
    };
    let mut whole = Draft::of(now, into);
    let inner: Vec<u64> = part.handling.merged.iter().map(|m| m.number).collect();
    let i = &mut whole.incident;
    i.handling.merged.retain(|m| m.number != part.number && !inner.contains(&m.number));
    i.count = i.count.saturating_sub(merged.count);
    // Only if it is as grave as the merge made it: a graver match since then stands.
    if i.severity == part.severity && merged.severity < i.severity {
        i.severity = merged.severity;
    }
    whole.entry(actor, EntryKind::Split, format!("#{} was taken out again", part.number));
    whole.audit(actor, "incident.unmerge", json!({ "part": part.number }));
    let mut back = Draft::of(now, part);
    let i = &mut back.incident;
    i.handling.merged_into = None;
    (i.state, i.resolved_at, i.resolved_by, i.verdict) = (IncidentState::Open, None, None, None);
    (i.acknowledged_at, i.acknowledged_by, i.acknowledged_count) = (None, None, None);
    back.entry(actor, EntryKind::Split, format!("Taken out of #{} again", into.number));
    back.audit(actor, "incident.unmerged", json!({ "from": into.number }));
    back.changes.supersede.push(part.id.clone());
    notify::follow(&mut back, plan, Purpose::Reopened, format!("{actor} took it out of #{} again", into.number));
    escalate::resume(&mut back, plan);
    notify::once_each(&mut back);
    let mut changes = whole.finish();
    changes.join(back.finish());
    Ok(changes)
}

/// Moves chosen batches of matches out into a new incident with this number. New matches go on to the old one; merging
/// the two is the undo.
pub fn split(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    number: u64,
    chosen: &[Folded],
    plan: &Plan,
) -> Result<Changes, Refusal> {
    if !incident.is_live() {
        return Err(Refusal::State {
            number: incident.number,
            state: incident.state,
            action: "splitting",
            wanted: "open or acknowledged",
        });
    }
    let chosen: Vec<&Folded> = chosen.iter().filter(|f| f.incident == incident.id && f.moved_to.is_none()).collect();
    let count = chosen.iter().map(|f| f.count).fold(0, counts::sum);
    if chosen.is_empty() || count >= incident.count {
        return Err(Refusal::SplitOfAll { number: incident.number });
    }
    let id = IncidentId(format!(
        "{:016x}",
        xxhash_rust::xxh3::xxh3_64(format!("{}\0split\0{number}\0{}", incident.id, now.millis()).as_bytes())
    ));
    let mut events: Vec<_> = chosen.iter().flat_map(|f| f.events.iter().copied()).collect();
    events.sort();
    let new = Incident {
        id: id.clone(),
        number,
        version: 1,
        state: IncidentState::Open,
        count,
        first_seen: chosen.iter().map(|f| f.first_seen).min().unwrap_or(incident.first_seen),
        last_seen: chosen.iter().map(|f| f.last_seen).max().unwrap_or(incident.last_seen),
        detected_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        acknowledged_count: None,
        first_events: events.iter().take(5).copied().collect(),
        last_events: Vec::new(),
        recurrence_of: None,
        handling: Handling {
            split_from: Some(incident.number),
            checklist: incident.handling.checklist.clone(),
            ..Handling::default()
        },
        ..incident.clone()
    };
    let mut rest = Draft::of(now, incident);
    rest.incident.count -= count;
    rest.entry(actor, EntryKind::Split, format!("{count} of it were moved out to #{number}"));
    rest.audit(actor, "incident.split", json!({ "to": number, "moved": count }));
    let mut changes = rest.finish();
    let mut new = Draft::new(now, new);
    new.entry(actor, EntryKind::Split, format!("{count} moved out of #{}", incident.number));
    new.audit(actor, "incident.split_off", json!({ "from": incident.number }));
    // Whoever splits it has it before their eyes: nobody is told at this moment, and the ladder waits its first step's
    // time.
    new.incident.handling.ladder = plan.ladder(incident.severity).map(|l| wf_model::Ladder {
        due: l.steps.first().map(|s| now + std::time::Duration::from_millis(s.wait)),
        ..l
    });
    changes.join(new.finish());
    for f in chosen {
        changes.folded.push(Folded { moved_to: Some(number), ..f.clone() });
        changes.folded.push(Folded { incident: id.clone(), ..f.clone() });
    }
    Ok(changes)
}
