//! A message did not get through: the timeline says so, and whoever it was for is told another way.

use serde_json::json;
use wf_model::{Actor, Destination, EntryKind, Incident, Notification, NoticeReason, Purpose, Severity, Timestamp};

use crate::draft::Draft;
use crate::notify::{self, Asked};
use crate::{Changes, Plan};

/// It will not be tried again. For P1 and P2 the person's next channel takes over at once, unless the same step went over that already.
pub fn failed(now: Timestamp, incident: &Incident, n: &Notification, reason: &str, sent_over: &[Destination], plan: &Plan) -> Changes {
    let mut draft = Draft::of(now, incident);
    if matches!(n.purpose, Purpose::Act | Purpose::Undo) {
        let what = if n.purpose == Purpose::Undo { "could not be taken back" } else { "could not be done" };
        for item in draft.incident.handling.checklist.iter_mut().filter(|c| n.purpose == Purpose::Act && crate::plan::destination_of(&c.text) == n.to.channel) {
            (item.done_by, item.done_at, item.lasts_until) = (None, None, None);
        }
        let title = n.to.channel.strip_prefix("action.").and_then(|name| plan.actions.get(name)).map_or(n.to.channel.as_str(), |a| a.title.as_str());
        draft.entry(&Actor::Engine, EntryKind::Delivery, format!("{title} {what}: {reason}"));
        draft.audit(&Actor::Engine, "action.failed", json!({ "key": n.key, "reason": reason }));
        draft.notice(NoticeReason::Alarm);
        return draft.finish();
    }
    let to = n.to.person.as_ref().map_or_else(String::new, |p| format!(" for {}", plan.name(p)));
    draft.entry(&Actor::Engine, EntryKind::Delivery, format!("{} did not take the message{to}: {reason}", n.to.channel));
    draft.audit(&Actor::Engine, "notification.failed", json!({ "key": n.key, "channel": n.to.channel, "reason": reason }));
    draft.notice(NoticeReason::Alarm);
    let asks = incident.severity >= Severity::P2 && n.purpose == Purpose::Trigger && incident.is_live() && incident.acknowledged_by.is_none();
    if asks && let Some(other) = another_way(n, sent_over, plan) {
        let remark = format!("{} did not work, so this comes over {}", n.to.channel, other.channel);
        notify::owe(&mut draft, plan, Purpose::Trigger, Asked { step: n.step, round: n.round }, &[other], &[remark]);
    }
    draft.finish()
}

/// A channel over which this person can be told and was not yet, whatever the severity's channels are.
fn another_way(n: &Notification, sent_over: &[Destination], plan: &Plan) -> Option<Destination> {
    let person = n.to.person.as_ref()?;
    let names = plan.channels.iter().map(|c| c.name.clone()).collect();
    let step = wf_model::Step { targets: vec![wf_model::Target::Person(person.clone())], channels: names, wait: 0 };
    plan.reach(&step, n.created_at).to.into_iter().filter(|d| d.person.is_some() && d.channel != n.to.channel && plan.channel(&d.channel).is_some_and(|c| c.broken.is_none())).find(|d| !sent_over.iter().any(|s| s.channel == d.channel && s.address == d.address))
}
