//! Steps of the checklist that carry something out: asked for, done through the outbox, taken back by hand or by
//! itself.

use serde_json::json;
use wf_model::{Actor, Destination, EntryKind, Incident, Notification, Purpose, Timestamp};

use crate::draft::Draft;
use crate::notify::{self, Asked};
use crate::plan::{ActionInfo, destination_of};
use crate::{Changes, Plan, Refusal};

fn known<'a>(incident: &Incident, index: usize, plan: &'a Plan) -> Result<(String, &'a ActionInfo, String), Refusal> {
    let item = incident
        .handling
        .checklist
        .get(index)
        .ok_or(Refusal::NoSuchItem { number: incident.number, index: index + 1 })?;
    let info = plan.actions.get(&item.text).ok_or_else(|| Refusal::NoAction { name: item.text.clone() })?;
    let entity = incident.entity.as_ref().filter(|e| e.field == info.about).map(|e| e.value.clone());
    let entity = entity.ok_or_else(|| Refusal::NotAbout { number: incident.number, about: info.about.clone() })?;
    Ok((item.text.clone(), info, entity))
}

/// Carries a step out. If it is to end by itself, its end is owed as well.
pub fn carry_out(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    index: usize,
    plan: &Plan,
) -> Result<Changes, Refusal> {
    let mut draft = Draft::of(now, incident);
    carry_out_in(&mut draft, actor, index, plan)?;
    Ok(draft.finish())
}

pub(crate) fn carry_out_in(draft: &mut Draft, actor: &Actor, index: usize, plan: &Plan) -> Result<(), Refusal> {
    let (name, info, entity) = known(&draft.incident, index, plan)?;
    let to = Destination { channel: destination_of(&name), address: entity.clone(), person: None };
    // What an earlier one waits to take back is taken back by this one's end.
    draft.changes.forget.push((draft.incident.id.clone(), to.channel.clone()));
    let until = info.lasts.map(|l| draft.now + l);
    if let Some(item) = draft.incident.handling.checklist.get_mut(index) {
        (item.done_by, item.done_at, item.lasts_until) = (Some(actor.to_string()), Some(draft.now), until);
    }
    let lasts = info.lasts.map_or_else(String::new, |l| format!(", for {}", wf_model::span::spoken(l)));
    draft.entry(actor, EntryKind::Checked, format!("{}: {entity}{lasts}", info.title));
    draft.audit(actor, "action.run", json!({ "action": name, "entity": entity, "until": until }));
    owe(draft, plan, Purpose::Act, &to, draft.now);
    if let Some(after) = info.taken_back_after {
        owe(draft, plan, Purpose::Undo, &to, draft.now + after);
    }
    Ok(())
}

/// Takes it back, now.
pub fn take_back(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    index: usize,
    plan: &Plan,
) -> Result<Changes, Refusal> {
    let (name, info, entity) = known(incident, index, plan)?;
    if !info.undo {
        return Err(Refusal::NoUndo { name: info.title.clone() });
    }
    let mut draft = Draft::of(now, incident);
    let to = Destination { channel: destination_of(&name), address: entity.clone(), person: None };
    draft.changes.forget.push((incident.id.clone(), to.channel.clone()));
    if let Some(item) = draft.incident.handling.checklist.get_mut(index) {
        (item.done_by, item.done_at, item.lasts_until) = (None, None, None);
    }
    draft.entry(actor, EntryKind::Checked, format!("Taken back: {} {entity}", info.title));
    draft.audit(actor, "action.undo", json!({ "action": name, "entity": entity }));
    owe(&mut draft, plan, Purpose::Undo, &to, now);
    Ok(draft.finish())
}

fn owe(draft: &mut Draft, plan: &Plan, purpose: Purpose, to: &Destination, due: Timestamp) {
    let told = draft.incident.handling.told.len();
    notify::owe(draft, plan, purpose, Asked::default(), std::slice::from_ref(to), &[]);
    // Nobody was told of anything: what follows later is not for the firewall.
    draft.incident.handling.told.truncate(told);
    if let Some(n) = draft.changes.notifications.last_mut() {
        n.due_at = due;
    }
}

/// What came of it stands on the timeline.
pub fn done(now: Timestamp, incident: &Incident, n: &Notification, plan: &Plan) -> Changes {
    let title =
        n.to.channel
            .strip_prefix("action.")
            .and_then(|name| plan.actions.get(name))
            .map_or(n.to.channel.as_str(), |a| a.title.as_str());
    let mut draft = Draft::of(now, incident);
    let word = if n.purpose == Purpose::Undo { "was taken back" } else { "was done" };
    let said = n.provider_id.as_ref().map_or_else(String::new, |a| format!(" ({a})"));
    draft.entry(&Actor::Engine, EntryKind::Checked, format!("{title} {word}: {}{said}", n.to.address));
    draft.finish()
}
