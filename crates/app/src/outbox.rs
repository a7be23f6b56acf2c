//! What is owed is delivered: the intent is committed before the attempt, the outcome after it. One destination is
//! served one message at a time, the gravest first, at its provider's pace.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wf_channels::{Channel, Outcome};
use wf_model::channel::ChannelStanding;
use wf_model::{Destination, Notification, NotificationState, Purpose, Severity, Timestamp};
use wf_response::plan::destination_of;
use wf_response::{Book, Changes, act, delivery};
use wf_store::{Commit, StoreError};

use crate::controller::Controller;

/// Attempts that may be under way at once; the last few are kept free for P1 and P2.
const AT_ONCE: usize = 16;
const FOR_URGENT: usize = 4;
/// Tests, digests and growth are given up after this. What asks somebody is tried until it is answered; what tells the
/// end, and what takes an action back, for ever.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// So many waiting for one place that asked us to slow down become one message.
const COALESCE: usize = 3;
/// A P1 or P2 that is put off longer than this takes another way besides (response.md, section 4).
const HELD_UP: Duration = Duration::from_secs(30);
const SLOWEST: Duration = Duration::from_secs(300);
const IDLE: Duration = Duration::from_secs(15);

/// One place that is served one message at a time.
type Place = (String, String);

/// An attempt that has ended: how long its place is to be left in peace, and whether it asked for that.
struct Attempted {
    place: Place,
    pause: Duration,
    slowed: bool,
    /// Why the outcome could not be kept: on the disk it is still under way.
    kept: Result<(), String>,
}

/// What the health view shows of it.
#[derive(Default)]
pub struct Pulse {
    /// When the outbox last looked, in milliseconds since the epoch.
    pub looked_at: AtomicI64,
}

/// Runs until told to stop.
pub async fn run(
    controller: Arc<Controller>,
    pulse: Arc<Pulse>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    recover(&controller).await.map_err(|e| e.to_string())?;
    let mut outbox = Outbox { controller, busy: HashSet::new(), free_at: HashMap::new(), slowed: HashSet::new() };
    let mut under_way: JoinSet<Attempted> = JoinSet::new();
    loop {
        pulse.looked_at.store(Timestamp::now().millis(), Ordering::Relaxed);
        let wait = outbox.look(&mut under_way).await.map_err(|e| e.to_string())?;
        tokio::select! {
            () = crate::supervisor::told(&mut stop) => break,
            () = outbox.controller.ledger.owed.notified() => {}
            () = tokio::time::sleep(wait) => {}
            Some(done) = under_way.join_next() => match done {
                // Begun anew, it counts as uncertain and is made again.
                Ok(Attempted { kept: Err(e), .. }) => return Err(format!("the outcome of a notification could not be kept: {e}")),
                Ok(attempted) => outbox.done(attempted),
                // It panicked: its row says attempting; the next start says uncertain.
                Err(e) => return Err(format!("an attempt failed: {e}")),
            },
        }
    }
    // What is under way has committed its intent; its outcome is worth a few seconds.
    let _finished =
        tokio::time::timeout(Duration::from_secs(5), async { while under_way.join_next().await.is_some() {} })
            .await
            .is_ok();
    Ok(())
}

/// Attempts that a crash cut off may have arrived: they are made again with the same key, and say so.
async fn recover(controller: &Controller) -> Result<(), StoreError> {
    let mut cut_off = controller.ledger.store().interrupted().await?;
    if cut_off.is_empty() {
        return Ok(());
    }
    controller
        .ledger
        .commit(|book| {
            for n in &mut cut_off {
                n.state = if moot(n, book) { NotificationState::Cancelled } else { NotificationState::Uncertain };
                n.possible_duplicate = true;
                n.error = Some("the console ended during the attempt: it may have arrived".into());
            }
            (Commit { receipts: cut_off, ..Commit::default() }, Changes::default())
        })
        .await
        .map(|_| ())
}

struct Outbox {
    controller: Arc<Controller>,
    /// Places with an attempt under way.
    busy: HashSet<Place>,
    free_at: HashMap<Place, Instant>,
    /// Places that asked us to slow down.
    slowed: HashSet<Place>,
}

impl Outbox {
    /// Starts what can be started, and says how long nothing more can.
    async fn look(&mut self, under_way: &mut JoinSet<Attempted>) -> Result<Duration, StoreError> {
        let (now, clock) = (Timestamp::now(), Instant::now());
        let ledger = self.controller.ledger.clone();
        let owed = ledger.store().owed(now).await?;
        let mut wait = IDLE;
        if let (Some(due), _) = ledger.store().next_owed(now).await? {
            wait = wait.min(due.since(now).max(Duration::from_millis(50)));
        }
        for n in &owed {
            let place = place(n);
            if self.busy.contains(&place) {
                continue;
            }
            if let Some(free) = self.free_at.get(&place).filter(|t| **t > clock) {
                wait = wait.min(free.duration_since(clock).max(Duration::from_millis(10)));
                continue;
            }
            let urgent = n.severity >= Severity::P2;
            let room = if urgent { AT_ONCE } else { AT_ONCE - FOR_URGENT };
            if under_way.len() >= room {
                // The next that ends wakes us.
                wait = wait.max(Duration::from_secs(1));
                continue;
            }
            let Some(channel) = self.controller.channel(&n.to.channel) else {
                self.fail(n.clone(), &format!("there is no [channel.{}] any more", n.to.channel), false).await?;
                continue;
            };
            if !channel.config().follows()
                && matches!(n.purpose, Purpose::Acknowledged | Purpose::Resolved | Purpose::Grew | Purpose::Reopened)
            {
                let mut n = n.clone();
                n.state = NotificationState::Cancelled;
                n.error = Some("a call or an SMS only wakes".into());
                ledger.settle(vec![n], Vec::new(), Changes::default()).await?;
                continue;
            }
            let n = match self.coalesce(&place, n, &channel).await? {
                Some(together) => together,
                None => n.clone(),
            };
            let Some(claimed) = ledger.claim(&n.key, Timestamp::now()).await? else { continue };
            self.busy.insert(place.clone());
            let controller = self.controller.clone();
            under_way.spawn(async move {
                let outcome = channel.send(&claimed).await;
                let pause = match &outcome {
                    Outcome::Retry { after, .. } => *after,
                    Outcome::Delivered { .. } | Outcome::Refused { .. } => None,
                };
                let slowed = pause.is_some();
                let pace = channel.config().pace();
                let place = self::place(&claimed);
                let kept = settle(&controller, claimed, outcome).await.map_err(|e| e.to_string());
                Attempted { place, pause: pause.unwrap_or(pace).max(pace), slowed, kept }
            });
        }
        Ok(wait)
    }

    fn done(&mut self, Attempted { place, pause, slowed, .. }: Attempted) {
        self.busy.remove(&place);
        if slowed {
            self.slowed.insert(place.clone());
        }
        self.free_at.insert(place, Instant::now() + pause);
    }

    /// A place that asked us to slow down gets what waits for it as one message: nothing is dropped for a limit.
    /// Machines tell incidents apart by key, so theirs are never joined.
    async fn coalesce(
        &mut self,
        place: &Place,
        first: &Notification,
        channel: &Channel,
    ) -> Result<Option<Notification>, StoreError> {
        if !self.slowed.remove(place) || matches!(channel.config().kind(), "pagerduty" | "webhook") {
            return Ok(None);
        }
        self.controller.ledger.join_waiting(&first.to, Timestamp::now(), COALESCE).await
    }

    async fn fail(&self, mut n: Notification, reason: &str, channel: bool) -> Result<(), StoreError> {
        n.attempts += 1;
        settle(&self.controller, n, Outcome::Refused { reason: reason.to_owned(), channel }).await
    }
}

fn place(n: &Notification) -> Place {
    (n.to.channel.clone(), n.to.address.clone())
}

/// Whether what it asks was answered while it was under way: then it is not asked again.
fn moot(n: &Notification, book: &Book) -> bool {
    let Some(id) = n.incident.as_ref().filter(|_| n.purpose.asks()) else { return false };
    book.get(id).is_none_or(|i| i.handling.answered(n.page.version))
}

/// Commits what came of an attempt; a message that will not get through goes another way in the same commit.
async fn settle(controller: &Controller, mut n: Notification, outcome: Outcome) -> Result<(), StoreError> {
    let (now, ledger) = (Timestamp::now(), &controller.ledger);
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
        .commit(|book| {
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
    controller.tell(changes);
    if seen_to_work {
        controller.replan().await?;
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
