//! What came of an attempt is committed, with what follows from it.

use std::time::Duration;

use wf_channels::Outcome;
use wf_model::channel::ChannelStanding;
use wf_model::{Destination, Notification, NotificationState, Purpose, Severity};
use wf_response::plan::destination_of;
use wf_response::{Changes, IncidentRegistry, act, delivery};
use wf_store::{Commit, StoreError};

use crate::context::Context;

/// Tests, digests and growth are given up after this. What asks somebody is tried until it is answered; what tells the
/// end, and what takes an action back, for ever.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// A P1 or P2 that is put off longer than this takes another way besides (response.md, section 4).
const HELD_UP: Duration = Duration::from_secs(30);
const SLOWEST: Duration = Duration::from_secs(300);

/// Commits what came of an attempt; a message that will not get through goes another way in the same commit.
pub(crate) async fn settle(context: &Context, mut n: Notification, outcome: Outcome) -> Result<(), StoreError> {
    let (now, ledger) = (context.now(), &context.ledger);
    let store = ledger.store();
    let before = store
        .channels()
        .await?
        .into_iter()
        .find(|c| c.name == n.to.channel)
        .unwrap_or_else(|| ChannelStanding { name: n.to.channel.clone(), ..ChannelStanding::default() });
    let mut standing = before.clone();
    let (mut refused, mut held_up) = (None, None);
    match outcome {
        Outcome::Delivered { id } => {
            (n.state, n.delivered_at, n.provider_id, n.error) = (NotificationState::Delivered, Some(now), id, None);
            (standing.worked_at, standing.broken) = (Some(now), None);
        }
        Outcome::Retry { reason, after, maybe_sent } => {
            n.state = if maybe_sent { NotificationState::Uncertain } else { NotificationState::Queued };
            n.possible_duplicate |= maybe_sent;
            let waited = n.due_at.since(n.created_at);
            n.due_at = now + backoff(n.attempts).max(after.unwrap_or_default());
            // Once: when it is put off past the time after which somebody is told another way.
            if n.purpose == Purpose::Trigger
                && n.severity >= Severity::P2
                && waited <= HELD_UP
                && n.due_at.since(n.created_at) > HELD_UP
            {
                held_up = Some(reason.clone());
            }
            n.error = Some(reason);
            standing.failed_at = Some(now);
            if matches!(n.purpose, Purpose::Test | Purpose::Digest | Purpose::Grew) && now.since(n.created_at) > GIVE_UP
            {
                n.state = NotificationState::Failed;
            }
        }
        Outcome::Refused { reason, channel } => {
            (n.state, n.error) = (NotificationState::Failed, Some(reason.clone()));
            standing.failed_at = Some(now);
            if channel {
                standing.broken = Some(reason.clone());
            }
            refused = Some(reason);
        }
    }
    // What a refused message said together is refused one by one: each incident's people are told another way.
    let mut failed = Vec::new();
    if let Some(reason) = refused.as_ref().or(held_up.as_ref()) {
        let members =
            if n.incident.is_none() && refused.is_some() { store.said_in(&n.key).await? } else { vec![n.clone()] };
        for member in members {
            let Some(id) = &member.incident else { continue };
            let sent_over: Vec<Destination> = store
                .notifications_of(id)
                .await?
                .into_iter()
                .filter(|o| (o.step, o.round) == (member.step, member.round))
                .map(|o| o.to)
                .collect();
            failed.push((
                Notification { state: NotificationState::Failed, error: Some(reason.clone()), ..member },
                sent_over,
            ));
        }
    }
    let seen_to_work = before.worked_at.is_none() != standing.worked_at.is_none() || before.broken != standing.broken;
    let changes = ledger
        .commit(move |book| {
            let incident = n.incident.as_ref().and_then(|id| book.get(id));
            let mut changes = match incident {
                Some(incident)
                    if refused.is_none()
                        && n.state == NotificationState::Delivered
                        && matches!(n.purpose, Purpose::Act | Purpose::Undo) =>
                {
                    act::done(now, incident, &n, book.plan())
                }
                _ => Changes::default(),
            };
            for (member, sent_over) in &failed {
                let Some(incident) = member.incident.as_ref().and_then(|id| book.get(id)) else { continue };
                match (&refused, &held_up) {
                    (Some(reason), _) => {
                        changes.join(delivery::failed(now, incident, member, reason, sent_over, book.plan()))
                    }
                    (None, Some(reason)) if !moot(member, book) => {
                        changes.join(delivery::held_up(now, incident, member, reason, sent_over, book.plan()))
                    }
                    (None, _) => {}
                }
            }
            let mut receipts: Vec<Notification> =
                failed.into_iter().map(|(member, _)| member).filter(|m| m.key != n.key).collect();
            let mut n = n.clone();
            if matches!(n.state, NotificationState::Queued | NotificationState::Uncertain) {
                // An action that would only be done after its time is over would never be taken back.
                let over = n.purpose == Purpose::Act
                    && incident.is_none_or(|i| {
                        i.handling
                            .checklist
                            .iter()
                            .any(|c| destination_of(&c.text) == n.to.channel && c.lasts_until.is_some_and(|t| t <= now))
                    });
                if over || moot(&n, book) {
                    n.state = NotificationState::Cancelled;
                }
            }
            receipts.push(n);
            (Commit { receipts, channels: vec![standing], ..Commit::default() }, changes)
        })
        .await?;
    context.tell(changes);
    if seen_to_work {
        context.replan().await?;
    }
    Ok(())
}

/// A random share of a time that doubles with each attempt, up to five minutes.
fn backoff(attempts: u32) -> Duration {
    let most = Duration::from_secs(1 << attempts.min(9)).min(SLOWEST);
    let mut bytes = [0; 4];
    let share = if getrandom::fill(&mut bytes).is_ok() {
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    } else {
        1.0
    };
    most.mul_f64(share.max(0.05))
}

/// Whether what it asks was answered while it was under way: then it is not asked again.
pub(crate) fn moot(n: &Notification, book: &IncidentRegistry) -> bool {
    let Some(id) = n.incident.as_ref().filter(|_| n.purpose.asks()) else { return false };
    book.get(id).is_none_or(|i| i.handling.answered(n.page.version))
}
