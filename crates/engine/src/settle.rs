//! What came of an attempt is committed, with what follows from it.

use std::time::Duration;

use wf_channels::Outcome;
use wf_model::channel::ChannelStanding;
use wf_model::{Destination, Notification, NotificationState, Purpose, Severity, Timestamp};
use wf_response::plan::destination_of;
use wf_response::{Changes, IncidentRegistry, act, delivery};
use wf_store::{Commit, Store, StoreError};

use crate::context::Context;

/// Tests, digests and growth are given up after this. What asks somebody is tried until it is answered; what tells the
/// end, and what takes an action back, for ever.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// A P1 or P2 that is put off longer than this takes another way besides: whoever waits for a broken provider loses the
/// time that the first step gives.
const HELD_UP: Duration = Duration::from_secs(30);
const SLOWEST: Duration = Duration::from_secs(300);

/// What comes of an attempt, decided before anything is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// The provider took it.
    Delivered { id: Option<String> },
    /// It is tried again. `held_up`: it will have waited too long by then, and people are told another way besides.
    Again { due_at: Timestamp, reason: String, maybe_sent: bool, held_up: bool },
    /// It was tried for too long, and nobody waits for it.
    GivenUp { reason: String, maybe_sent: bool },
    /// It will not go through. `channel`: nor will anything else over this channel until somebody mends it.
    Refused { reason: String, channel: bool },
}

/// Reads the outcome of an attempt. `pause`: how long to wait before the next one, if the provider asks for no more.
fn judge(now: Timestamp, n: &Notification, outcome: Outcome, pause: Duration) -> Fate {
    match outcome {
        Outcome::Delivered { id } => Fate::Delivered { id },
        Outcome::Refused { reason, channel } => Fate::Refused { reason, channel },
        Outcome::Retry { reason, maybe_sent, .. }
            if matches!(n.purpose, Purpose::Test | Purpose::Digest | Purpose::Grew)
                && now.since(n.created_at) > GIVE_UP =>
        {
            Fate::GivenUp { reason, maybe_sent }
        }
        Outcome::Retry { reason, after, maybe_sent } => {
            let due_at = now + pause.max(after.unwrap_or_default());
            // Once: when it is put off past that time, and not again at each attempt after it.
            let held_up = n.purpose == Purpose::Trigger
                && n.severity >= Severity::P2
                && n.due_at.since(n.created_at) <= HELD_UP
                && due_at.since(n.created_at) > HELD_UP;
            Fate::Again { due_at, reason, maybe_sent, held_up }
        }
    }
}

impl Fate {
    /// The message as it is kept.
    fn receipt(&self, now: Timestamp, mut n: Notification) -> Notification {
        match self {
            Self::Delivered { id } => {
                (n.state, n.delivered_at, n.provider_id, n.error) =
                    (NotificationState::Delivered, Some(now), id.clone(), None);
            }
            Self::Again { due_at, reason, maybe_sent, .. } => {
                n.state = if *maybe_sent { NotificationState::Uncertain } else { NotificationState::Queued };
                n.possible_duplicate |= maybe_sent;
                (n.due_at, n.error) = (*due_at, Some(reason.clone()));
            }
            Self::GivenUp { reason, maybe_sent } => {
                n.possible_duplicate |= maybe_sent;
                (n.state, n.error) = (NotificationState::Failed, Some(reason.clone()));
            }
            Self::Refused { reason, .. } => {
                (n.state, n.error) = (NotificationState::Failed, Some(reason.clone()));
            }
        }
        n
    }

    /// What is known of the channel after it.
    fn standing(&self, now: Timestamp, before: &ChannelStanding) -> ChannelStanding {
        let mut standing = before.clone();
        match self {
            Self::Delivered { .. } => (standing.worked_at, standing.broken) = (Some(now), None),
            Self::Again { .. } | Self::GivenUp { .. } | Self::Refused { channel: false, .. } => {
                standing.failed_at = Some(now);
            }
            Self::Refused { reason, channel: true } => {
                (standing.failed_at, standing.broken) = (Some(now), Some(reason.clone()));
            }
        }
        standing
    }

    /// Why people have to be told another way, where they have.
    fn another_way(&self) -> Option<&str> {
        match self {
            Self::Refused { reason, .. } | Self::Again { reason, held_up: true, .. } => Some(reason),
            Self::Delivered { .. } | Self::Again { held_up: false, .. } | Self::GivenUp { .. } => None,
        }
    }
}

/// A message that did not get through, and over what its step was sent.
type Stranded = (Notification, Vec<Destination>);

/// Commits what came of an attempt; a message that will not get through goes another way in the same commit.
pub(crate) async fn settle(context: &Context, n: Notification, outcome: Outcome) -> Result<(), StoreError> {
    let (now, ledger) = (context.now(), &context.ledger);
    let one = context.standings.lock().await;
    let before = ledger
        .store()
        .channels()
        .await?
        .into_iter()
        .find(|c| c.name == n.to.channel)
        .unwrap_or_else(|| ChannelStanding { name: n.to.channel.clone(), ..ChannelStanding::default() });
    let fate = judge(now, &n, outcome, backoff(n.attempts));
    let (n, standing) = (fate.receipt(now, n), fate.standing(now, &before));
    let stranded = stranded(ledger.store(), &n, &fate).await?;
    let seen_to_work = before.worked_at.is_none() != standing.worked_at.is_none() || before.broken != standing.broken;
    let changes = ledger
        .commit(move |book| {
            let changes = follow_up(now, &fate, &n, &stranded, book);
            let mut receipts: Vec<Notification> =
                stranded.into_iter().map(|(member, _)| member).filter(|m| m.key != n.key).collect();
            receipts.push(unless_over(now, n, book));
            (Commit { receipts, channels: vec![standing], ..Commit::default() }, changes)
        })
        .await?;
    drop(one);
    context.tell(changes);
    if seen_to_work {
        context.replan().await?;
    }
    Ok(())
}

/// The messages that have to take another way. What a refused message said together is refused one by one: each
/// incident's people are told another way.
async fn stranded(store: &Store, n: &Notification, fate: &Fate) -> Result<Vec<Stranded>, StoreError> {
    let Some(reason) = fate.another_way() else { return Ok(Vec::new()) };
    let together = n.incident.is_none() && matches!(fate, Fate::Refused { .. });
    let members = if together { store.said_in(&n.key).await? } else { vec![n.clone()] };
    let mut stranded = Vec::new();
    for member in members {
        let Some(id) = &member.incident else { continue };
        let sent_over = store
            .notifications_of(id)
            .await?
            .into_iter()
            .filter(|o| (o.step, o.round) == (member.step, member.round))
            .map(|o| o.to)
            .collect();
        let failed = Notification { state: NotificationState::Failed, error: Some(reason.to_owned()), ..member };
        stranded.push((failed, sent_over));
    }
    Ok(stranded)
}

/// What follows for the incidents, as they are now.
fn follow_up(now: Timestamp, fate: &Fate, n: &Notification, stranded: &[Stranded], book: &IncidentRegistry) -> Changes {
    let incident_of = |n: &Notification| n.incident.as_ref().and_then(|id| book.get(id));
    let mut changes = match (fate, incident_of(n)) {
        (Fate::Delivered { .. }, Some(incident)) if matches!(n.purpose, Purpose::Act | Purpose::Undo) => {
            act::done(now, incident, n, book.plan())
        }
        _ => Changes::default(),
    };
    for (member, sent_over) in stranded {
        let (Some(incident), Some(reason)) = (incident_of(member), fate.another_way()) else { continue };
        if matches!(fate, Fate::Refused { .. }) {
            changes.join(delivery::failed(now, incident, member, reason, sent_over, book.plan()));
        } else if !moot(member, book) {
            changes.join(delivery::held_up(now, incident, member, reason, sent_over, book.plan()));
        }
    }
    changes
}

/// What would be tried again is not, if what it asks was answered meanwhile. An action that would only be done after
/// its time is over would never be taken back.
fn unless_over(now: Timestamp, mut n: Notification, book: &IncidentRegistry) -> Notification {
    if matches!(n.state, NotificationState::Queued | NotificationState::Uncertain) {
        let incident = n.incident.as_ref().and_then(|id| book.get(id));
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
    n
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

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
