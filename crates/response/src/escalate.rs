//! The ladder: step after step until somebody answers. After sleep, a crash or a jump of the clock, every step that
//! became due runs once, in order, and says how late it is.

use std::time::Duration;

use serde_json::json;
use wf_model::handling::WITHDRAW_AFTER;
use wf_model::span::spoken;
use wf_model::{Actor, EntryKind, Incident, IncidentState, Ladder, NoticeReason, Purpose, Severity, Timestamp};

use crate::draft::Draft;
use crate::notify::{self, Asked};
use crate::{Changes, Plan, Refusal};

/// A step that runs this much after it was due says so.
const LATE: Duration = Duration::from_secs(60);
/// Nobody sleeps longer on an incident than this.
pub(crate) const LONGEST_SNOOZE: Duration = Duration::from_secs(7 * 86_400);
/// A step that is this much overdue is an alarm of its own.
pub const OVERDUE: Duration = Duration::from_secs(120);

/// Takes the ladder of its severity and runs what is due at once.
pub(crate) fn begin(draft: &mut Draft, plan: &Plan) {
    draft.incident.handling.ladder = plan.ladder(draft.incident.severity).map(|l| Ladder { due: Some(draft.now), ..l });
    climb(draft, plan);
}

/// It stands still until it is resumed.
pub(crate) fn stop(draft: &mut Draft) {
    if let Some(l) = &mut draft.incident.handling.ladder {
        l.due = None;
    }
}

/// It goes on where it stood, at once: nobody stands by the incident any more.
pub(crate) fn resume(draft: &mut Draft, plan: &Plan) {
    match &mut draft.incident.handling.ladder {
        // At its end and open again: from the beginning, or nobody would ever hear of it.
        Some(l) if l.exhausted || l.step().is_none() => {
            let round = l.round + 1;
            draft.incident.handling.ladder =
                plan.ladder(draft.incident.severity).map(|l| Ladder { round, due: Some(draft.now), ..l });
            climb(draft, plan);
        }
        Some(l) => {
            l.due = Some(draft.now);
            climb(draft, plan);
        }
        None => begin(draft, plan),
    }
}

/// Runs every step that is due, in order, each once.
fn climb(draft: &mut Draft, plan: &Plan) {
    loop {
        let now = draft.now;
        let Some(ladder) = draft.incident.handling.ladder.clone() else { return };
        let Some(due) = ladder.due.filter(|d| *d <= now) else { return };
        if ladder.step().is_none() {
            end(draft);
            return;
        }
        let reached = run(draft, plan, &ladder, now.since(due));
        advance(draft, due, reached);
    }
}

/// The step that is next, now. `true`: somebody was told.
fn run(draft: &mut Draft, plan: &Plan, ladder: &Ladder, late: Duration) -> bool {
    let Some(step) = ladder.step() else { return false };
    let (number, reach) = (ladder.next + 1, plan.reach(step, draft.now));
    let late = (late >= LATE).then(|| format!("{} late", spoken(late)));
    let again = (ladder.round > 0).then(|| format!("round {}", ladder.round + 1));
    let aside: String = [again, late.clone()].into_iter().flatten().map(|t| format!(", {t}")).collect();
    let missing = if reach.missing.is_empty() { String::new() } else { format!(" ({})", reach.missing.join("; ")) };
    if reach.to.is_empty() {
        draft.entry(
            &Actor::Engine,
            EntryKind::EscalationFailed,
            format!("Step {number} of {} reached nobody{aside}: {}", ladder.steps.len(), reach.missing.join("; ")),
        );
        draft.audit(
            &Actor::Engine,
            "escalation.failed",
            json!({ "step": number, "round": ladder.round, "why": reach.missing }),
        );
        return false;
    }
    let names: Vec<&str> = reach.people.iter().map(|p| plan.name(p)).collect();
    let who = if names.is_empty() { "nobody by name".to_owned() } else { names.join(", ") };
    let mut channels: Vec<&str> = reach.to.iter().map(|d| d.channel.as_str()).collect();
    channels.dedup();
    draft.entry(
        &Actor::Engine,
        EntryKind::Escalated,
        format!("Step {number} of {}: {who} by {}{aside}{missing}", ladder.steps.len(), channels.join(", ")),
    );
    draft.audit(
        &Actor::Engine,
        "escalation.step",
        json!({ "step": number, "round": ladder.round, "people": reach.people, "channels": channels }),
    );
    let mut remarks = vec![format!("Step {number} of {}, for {who}", ladder.steps.len())];
    remarks.extend(late.map(|l| format!("This is {l}: the console was asleep or down")));
    notify::owe(draft, plan, Purpose::Trigger, Asked { step: Some(number), round: ladder.round }, &reach.to, &remarks);
    true
}

/// On to the next step; at once when this one reached nobody.
fn advance(draft: &mut Draft, due: Timestamp, reached: bool) {
    draft.incident.handling.overdue_said = None;
    let Some(l) = &mut draft.incident.handling.ladder else { return };
    let wait = l.step().map_or(0, |s| s.wait);
    l.next += 1;
    if l.next as usize >= l.steps.len() && l.round < l.repeat {
        (l.next, l.round) = (0, l.round + 1);
        // A round that reaches nobody must not spin: the next one waits its step's time.
        l.due = Some(due + Duration::from_millis(wait.max(1000)));
        return;
    }
    l.due = Some(if reached { due + Duration::from_millis(wait) } else { due });
}

/// Every step has run and nobody has answered.
fn end(draft: &mut Draft) {
    let Some(l) = &mut draft.incident.handling.ladder else { return };
    (l.due, l.exhausted) = (None, true);
    // What is told once and needs no answer ends quietly.
    if draft.incident.severity >= Severity::P2 {
        draft.entry(
            &Actor::Engine,
            EntryKind::EscalationFailed,
            "Every step of escalation has run and nobody has acknowledged".into(),
        );
        draft.audit(&Actor::Engine, "escalation.exhausted", json!({}));
        draft.notice(NoticeReason::Alarm);
    }
}

/// Time has passed: whatever became due on this incident happens. `None`: nothing was due.
pub fn on_due(now: Timestamp, incident: &Incident, plan: &Plan) -> Option<Changes> {
    incident.due_at().filter(|d| *d <= now)?;
    let mut draft = Draft::of(now, incident);
    let acknowledged = incident.state == IncidentState::Acknowledged;
    let handling = &mut draft.incident.handling;
    if handling.snoozed_until.is_some_and(|t| t <= now) {
        handling.snoozed_until = None;
        if acknowledged {
            handling.acknowledged_until = plan.acknowledge_for(incident.severity).map(|d| now + d);
        }
        draft.entry(&Actor::Engine, EntryKind::Woke, "The snooze is over".into());
        if !acknowledged {
            draft.notice(NoticeReason::Reopened);
            resume(&mut draft, plan);
        }
        return Some(draft.finish());
    }
    if acknowledged {
        match handling.reminded_at {
            Some(at) if at + WITHDRAW_AFTER <= now => withdraw(&mut draft, plan),
            None if handling.acknowledged_until.is_some_and(|t| t <= now) => remind(&mut draft, plan),
            _ => {}
        }
    }
    climb(&mut draft, plan);
    Some(draft.finish())
}

/// Whoever acknowledged is asked whether they still stand by it.
fn remind(draft: &mut Draft, plan: &Plan) {
    draft.incident.handling.reminded_at = Some(draft.now);
    let by = draft.incident.acknowledged_by.clone().unwrap_or_default();
    draft.entry(
        &Actor::Engine,
        EntryKind::Reminded,
        format!(
            "{by} acknowledged it and nothing has happened since; without an answer the acknowledgement ends in {}",
            spoken(WITHDRAW_AFTER)
        ),
    );
    draft.notice(NoticeReason::Reminder);
    // The owner over what is theirs alone; the rooms that several share are spared.
    let owner: Vec<_> = draft
        .incident
        .handling
        .told
        .iter()
        .filter(|d| d.person.as_deref().is_some_and(|p| plan.name(p) == by))
        .cloned()
        .collect();
    let remark =
        format!("Do you still stand by it? Answer within {}, or it is escalated again", spoken(WITHDRAW_AFTER));
    notify::owe(draft, plan, Purpose::Reminder, Asked::default(), &owner, &[remark]);
}

/// Nobody stood by the acknowledgement: the ladder goes on where it stood.
fn withdraw(draft: &mut Draft, plan: &Plan) {
    let by = draft.incident.acknowledged_by.take().unwrap_or_default();
    let i = &mut draft.incident;
    i.state = IncidentState::Open;
    (i.acknowledged_at, i.acknowledged_count) = (None, None);
    (i.handling.acknowledged_until, i.handling.reminded_at, i.handling.owner) = (None, None, None);
    draft.changes.supersede.push(draft.incident.id.clone());
    draft.entry(
        &Actor::Engine,
        EntryKind::Withdrawn,
        format!("The acknowledgement of {by} has ended: nobody answered the reminder"),
    );
    draft.audit(&Actor::Engine, "incident.withdraw", json!({ "acknowledged_by": by }));
    draft.notice(NoticeReason::Reopened);
    resume(draft, plan);
}

/// The next step, now, because somebody asks for it; also of an incident that somebody works on. `seen` is the
/// [`Ladder::stage`] they saw: if another was quicker, nothing is skipped.
pub fn now(
    now: Timestamp,
    actor: &Actor,
    incident: &Incident,
    plan: &Plan,
    seen: Option<u32>,
) -> Result<Changes, Refusal> {
    if !incident.is_live() {
        return Err(Refusal::State {
            number: incident.number,
            state: incident.state,
            action: "escalating",
            wanted: "open or acknowledged",
        });
    }
    let stage = incident.handling.ladder.as_ref().map_or(0, Ladder::stage);
    if seen.is_some_and(|s| s != stage) {
        return Err(Refusal::Stale { number: incident.number });
    }
    let mut draft = Draft::of(now, incident);
    draft.incident.handling.snoozed_until = None;
    // One that is at its end, or never began, begins anew.
    let over = draft.incident.handling.ladder.as_ref().is_none_or(|l| l.exhausted || l.step().is_none());
    if over {
        let round = draft.incident.handling.ladder.as_ref().map_or(0, |l| l.round + 1);
        draft.incident.handling.ladder = plan.ladder(incident.severity).map(|l| Ladder { round, ..l });
    }
    let Some(ladder) = draft.incident.handling.ladder.clone() else {
        return Err(Refusal::NoLadder { number: incident.number, severity: incident.severity });
    };
    draft.entry(actor, EntryKind::Escalated, "Escalated by hand".into());
    draft.audit(actor, "incident.escalate", json!({ "step": ladder.next + 1 }));
    let reached = run(&mut draft, plan, &ladder, Duration::ZERO);
    advance(&mut draft, now, reached);
    if incident.state == IncidentState::Acknowledged {
        // Somebody works on it: one more is told, and the ladder does not go on by itself.
        stop(&mut draft);
    } else {
        climb(&mut draft, plan);
    }
    Ok(draft.finish())
}

/// Live incidents whose escalation is in trouble: a step that should have run, or none where one is due. Each is said
/// once.
pub fn watch<'a>(now: Timestamp, plan: &Plan, live: impl Iterator<Item = &'a Incident>) -> Changes {
    let mut all = Changes::default();
    for i in live {
        let h = &i.handling;
        // The clock was set back: no step waits longer than it was meant to.
        if let Some((ladder, due)) = h.ladder.as_ref().and_then(|l| Some((l, l.due?))) {
            let before = ladder.next.checked_sub(1).or(ladder.steps.len().checked_sub(1).map(|n| n as u32));
            let wait = Duration::from_millis(before.and_then(|n| ladder.steps.get(n as usize)).map_or(0, |s| s.wait));
            if due > now + wait + LATE {
                let mut draft = Draft::of(now, i);
                if let Some(l) = &mut draft.incident.handling.ladder {
                    l.due = Some(now + wait);
                }
                draft.entry(
                    &Actor::Engine,
                    EntryKind::Note,
                    "The clock was set back; the next step keeps its time from now on".into(),
                );
                all.join(draft.finish());
                continue;
            }
        }
        if let (Some(at), Some(until)) = (i.acknowledged_at, h.acknowledged_until)
            && (now < at && at < until)
            && until > now + until.since(at) + LATE
        {
            let mut draft = Draft::of(now, i);
            draft.incident.handling.acknowledged_until = Some(now + until.since(at));
            let text = "The clock was set back; the acknowledgement lasts as long as it was meant to, from now on";
            draft.entry(&Actor::Engine, EntryKind::Note, text.into());
            all.join(draft.finish());
            continue;
        }
        if h.snoozed_until.is_some_and(|until| until > now + LONGEST_SNOOZE + LATE) {
            // Nobody can have asked for that: it was asked of a clock that was ahead.
            let mut draft = Draft::of(now, i);
            draft.incident.handling.snoozed_until = Some(now);
            draft.entry(&Actor::Engine, EntryKind::Note, "The clock was set back; the snooze is over".into());
            all.join(draft.finish());
            continue;
        }
        let overdue = i.due_at().is_some_and(|d| d + OVERDUE < now) && h.overdue_said.is_none();
        let uncovered = h.ladder.is_none()
            && h.overdue_said.is_none()
            && i.state == IncidentState::Open
            && i.severity >= Severity::P2
            && h.silenced_by.is_none()
            && !h.in_storm
            && h.snoozed_until.is_none()
            && plan.is_set_up()
            && plan.ladder(i.severity).is_some();
        if !overdue && !uncovered {
            continue;
        }
        let mut draft = Draft::of(now, i);
        draft.incident.handling.overdue_said = Some(now);
        let text = if overdue {
            "Escalation is overdue: its step should have run".to_owned()
        } else {
            "Nobody was told: escalation was set up after it opened. It begins now".to_owned()
        };
        draft.entry(&Actor::Engine, EntryKind::EscalationFailed, text);
        draft.notice(NoticeReason::Alarm);
        if uncovered {
            begin(&mut draft, plan);
        }
        all.join(draft.finish());
    }
    all
}
