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
use wf_model::{Notification, NotificationState, Purpose, Severity};
use wf_response::Changes;
use wf_store::{Commit, StoreError};

use crate::context::Context;
use crate::settle::{moot, settle};

/// Attempts that may be under way at once; the last few are kept free for P1 and P2.
const AT_ONCE: usize = 16;
const FOR_URGENT: usize = 4;
/// So many waiting for one place that asked us to slow down become one message.
const COALESCE: usize = 3;
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
pub async fn run(context: Arc<Context>, pulse: Arc<Pulse>, mut stop: watch::Receiver<bool>) -> Result<(), String> {
    recover(&context).await.map_err(|e| e.to_string())?;
    let mut outbox = Outbox { context, busy: HashSet::new(), free_at: HashMap::new(), slowed: HashSet::new() };
    let mut under_way: JoinSet<Attempted> = JoinSet::new();
    loop {
        pulse.looked_at.store(outbox.context.now().millis(), Ordering::Relaxed);
        let wait = outbox.look(&mut under_way).await.map_err(|e| e.to_string())?;
        tokio::select! {
            () = crate::supervisor::told(&mut stop) => break,
            () = outbox.context.ledger.owed.notified() => {}
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
async fn recover(context: &Context) -> Result<(), StoreError> {
    let mut cut_off = context.ledger.store().interrupted().await?;
    if cut_off.is_empty() {
        return Ok(());
    }
    context
        .ledger
        .commit(move |book| {
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
    context: Arc<Context>,
    /// Places with an attempt under way.
    busy: HashSet<Place>,
    free_at: HashMap<Place, Instant>,
    /// Places that asked us to slow down.
    slowed: HashSet<Place>,
}

impl Outbox {
    /// Starts what can be started, and says how long nothing more can.
    async fn look(&mut self, under_way: &mut JoinSet<Attempted>) -> Result<Duration, StoreError> {
        let (now, clock) = (self.context.now(), Instant::now());
        let ledger = self.context.ledger.clone();
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
            let Some(channel) = self.context.channel(&n.to.channel) else {
                self.fail(n.clone(), &format!("there is no [channel.{}] any more", n.to.channel), false).await?;
                continue;
            };
            if !channel.config().traits().follows
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
            let Some(claimed) = ledger.claim(&n.key, self.context.now()).await? else { continue };
            self.busy.insert(place.clone());
            let context = self.context.clone();
            under_way.spawn(async move {
                let outcome = channel.send(&claimed).await;
                let pause = match &outcome {
                    Outcome::Retry { after, .. } => *after,
                    Outcome::Delivered { .. } | Outcome::Refused { .. } => None,
                };
                let slowed = pause.is_some();
                let pace = channel.config().traits().pace;
                let place = self::place(&claimed);
                let kept = settle(&context, claimed, outcome).await.map_err(|e| e.to_string());
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
    async fn coalesce(
        &mut self,
        place: &Place,
        first: &Notification,
        channel: &Channel,
    ) -> Result<Option<Notification>, StoreError> {
        if !self.slowed.remove(place) || !channel.config().traits().joins {
            return Ok(None);
        }
        self.context.ledger.join_waiting(&first.to, self.context.now(), COALESCE).await
    }

    async fn fail(&self, mut n: Notification, reason: &str, channel: bool) -> Result<(), StoreError> {
        n.attempts += 1;
        settle(&self.context, n, Outcome::Refused { reason: reason.to_owned(), channel }).await
    }
}

fn place(n: &Notification) -> Place {
    (n.to.channel.clone(), n.to.address.clone())
}
