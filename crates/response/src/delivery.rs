//! A message did not get through: the timeline says so, and whoever it was for is told another way.

use serde_json::json;
use wf_model::{
    Actor, Destination, EntryKind, Incident, NoticeReason, Notification, Purpose, Severity, Step, Target, Timestamp,
};

use crate::draft::Draft;
use crate::notify::{self, Asked};
use crate::{Changes, Plan};

/// It will not be tried again. For P1 and P2 another channel of each person it was for takes over at once.
pub fn failed(
    now: Timestamp,
    incident: &Incident,
    n: &Notification,
    reason: &str,
    sent_over: &[Destination],
    plan: &Plan,
) -> Changes {
    let mut draft = Draft::of(now, incident);
    if matches!(n.purpose, Purpose::Act | Purpose::Undo) {
        let what = if n.purpose == Purpose::Undo { "could not be taken back" } else { "could not be done" };
        for item in draft
            .incident
            .handling
            .checklist
            .iter_mut()
            .filter(|c| n.purpose == Purpose::Act && crate::plan::destination_of(&c.text) == n.to.channel)
        {
            (item.done_by, item.done_at, item.lasts_until) = (None, None, None);
        }
        let title =
            n.to.channel
                .strip_prefix("action.")
                .and_then(|name| plan.actions.get(name))
                .map_or(n.to.channel.as_str(), |a| a.title.as_str());
        draft.entry(&Actor::Engine, EntryKind::Delivery, format!("{title} {what}: {reason}"));
        draft.audit(&Actor::Engine, "action.failed", json!({ "key": n.key, "reason": reason }));
        draft.notice(NoticeReason::Alarm);
        return draft.finish();
    }
    draft.entry(
        &Actor::Engine,
        EntryKind::Delivery,
        format!("{} did not take the message{}: {reason}", n.to.channel, meant_for(n, plan)),
    );
    draft.audit(
        &Actor::Engine,
        "notification.failed",
        json!({ "key": n.key, "channel": n.to.channel, "reason": reason }),
    );
    draft.notice(NoticeReason::Alarm);
    another_way(&mut draft, n, sent_over, plan);
    draft.finish()
}

/// It is tried on, but it has waited too long already for P1 or P2: another way is taken besides. Whoever gets both is
/// better off than whoever gets none.
pub fn held_up(
    now: Timestamp,
    incident: &Incident,
    n: &Notification,
    reason: &str,
    sent_over: &[Destination],
    plan: &Plan,
) -> Changes {
    let mut draft = Draft::of(now, incident);
    draft.entry(
        &Actor::Engine,
        EntryKind::Delivery,
        format!("{} has not taken the message{} yet and is tried on: {reason}", n.to.channel, meant_for(n, plan)),
    );
    draft.notice(NoticeReason::Alarm);
    another_way(&mut draft, n, sent_over, plan);
    draft.finish()
}

fn meant_for(n: &Notification, plan: &Plan) -> String {
    n.to.person.as_ref().map_or_else(String::new, |p| format!(" for {}", plan.name(p)))
}

/// Owes the same to each person it was for, over a channel of their own that this step has not used yet, whatever the
/// severity's channels are. A room was for everybody the step names; whoever the step has told by themselves needs no
/// other way.
fn another_way(draft: &mut Draft, n: &Notification, sent_over: &[Destination], plan: &Plan) {
    let i = &draft.incident;
    if i.severity < Severity::P2 || n.purpose != Purpose::Trigger || !i.is_live() || i.acknowledged_by.is_some() {
        return;
    }
    let step = n.step.and_then(|s| i.handling.ladder.as_ref()?.steps.get(s.checked_sub(1)? as usize));
    let people: Vec<String> = match (&n.to.person, step) {
        (Some(person), _) => vec![person.clone()],
        (None, Some(step)) => {
            let told = |p: &str| sent_over.iter().any(|s| s.person.as_deref() == Some(p));
            plan.reach(step, n.created_at).people.into_iter().filter(|p| !told(p)).collect()
        }
        (None, None) => Vec::new(),
    };
    let channels: Vec<String> =
        plan.channels.iter().filter(|c| c.broken.is_none() && c.name != n.to.channel).map(|c| c.name.clone()).collect();
    for person in people {
        let own = Step { targets: vec![Target::Person(person)], channels: channels.clone(), wait: 0 };
        let unused = |d: &Destination| {
            d.person.is_some() && !sent_over.iter().any(|s| s.channel == d.channel && s.address == d.address)
        };
        if let Some(other) = plan.reach(&own, n.created_at).to.into_iter().find(unused) {
            let remark = format!("{} did not work, so this comes over {}", n.to.channel, other.channel);
            notify::owe(draft, plan, Purpose::Trigger, Asked { step: n.step, round: n.round }, &[other], &[remark]);
        }
    }
}
