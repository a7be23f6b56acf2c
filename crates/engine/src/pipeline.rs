//! An event comes in: detect, fold, commit, acknowledge. One way, one batch at a time.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use wf_detect::{Detector, RuleHealth, RuleSet};
use wf_feeds::{Delivery, Tally};
use wf_model::{Event, FeedName, Match, Notice, Seq, Severity, Timestamp, Value};
use wf_platform::Clock;
use wf_response::Changes;
use wf_store::rates::RateDelta;
use wf_store::{Commit, FeedProgress, StoreError};

use crate::ledger::Ledger;
use crate::memory;
use crate::recent::RecentEvents;

/// A batch is what waits, up to this; more is the next batch.
const BATCH_EVENTS: usize = 4096;
const BATCH_BYTES: usize = 16 << 20;
/// A commit costs the same for one event as for a hundred: after one, the next waits this long for company. An event
/// that comes alone is committed at once, and under load nothing waits.
const LINGER: Duration = Duration::from_millis(10);
/// What detection remembers is kept this often.
const SNAPSHOT: Duration = Duration::from_secs(60);
/// After more events than this had to be seen again at a start, what detection remembers is kept at once.
const REPLAYED: u64 = 20_000;
/// Events of a quiet hour are sealed, however few they are.
const SEAL: Duration = Duration::from_secs(3600);

/// What goes through the pipeline besides deliveries.
pub enum PipelineCommand {
    /// New rules, compiled already.
    Rules(RuleSet),
    /// The feeds that resume where they stopped: what was counted of them waits for them.
    Resuming(Vec<FeedName>),
    /// Time passed.
    Tick,
    /// Everything about whom this says yes to is forgotten, and that is kept at once.
    Forget(Arc<dyn Fn(&str) -> bool + Send + Sync>, oneshot::Sender<()>),
    /// How the rules do.
    Health(oneshot::Sender<Vec<RuleHealth>>),
}

/// Where the pipeline tells of what it did.
pub struct PipelineSinks {
    pub recent: Arc<RecentEvents>,
    pub committed: Mutex<HashMap<FeedName, watch::Sender<Option<String>>>>,
    /// What every feed received and what became of it, from before this start on.
    pub tallies: Mutex<HashMap<FeedName, Tally>>,
    /// Why nothing can be stored right now.
    pub blocked: Mutex<Option<String>>,
    /// What detection could not look at, and why.
    pub unseen: Mutex<Option<String>>,
    pub notices: mpsc::Sender<Notice>,
    pub shutting_down: AtomicBool,
}

/// Makes a detector with the rules that are in force, that remembers nothing yet.
pub type MakeDetector = Arc<dyn Fn() -> Detector + Send + Sync>;

/// What comes into the pipeline.
pub struct PipelineInputs {
    pub deliveries: mpsc::Receiver<Delivery>,
    pub commands: mpsc::Receiver<PipelineCommand>,
}

/// What detection remembers, for those who must make it forget, and for those who ask how the rules do.
pub trait DetectorMemory: Send + Sync {
    /// Everything about whom `about` says yes to is forgotten, and that is on the disk when this returns `true`.
    fn forget(&self, about: Arc<dyn Fn(&str) -> bool + Send + Sync>) -> BoxFuture<'_, bool>;
    /// How the rules do. Empty when detection is too busy to say.
    fn health(&self) -> BoxFuture<'_, Vec<RuleHealth>>;
}

/// The way to the detector of a pipeline that runs.
pub struct DetectorHandle(pub mpsc::Sender<PipelineCommand>);

/// Whoever asks how the rules do waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

impl DetectorMemory for DetectorHandle {
    fn forget(&self, about: Arc<dyn Fn(&str) -> bool + Send + Sync>) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let (done, forgot) = oneshot::channel();
            self.0.send(PipelineCommand::Forget(about, done)).await.is_ok() && forgot.await.is_ok()
        })
    }

    fn health(&self) -> BoxFuture<'_, Vec<RuleHealth>> {
        Box::pin(async move {
            let asked = async {
                let (ask, answer) = oneshot::channel();
                self.0.send(PipelineCommand::Health(ask)).await.ok()?;
                answer.await.ok()
            };
            tokio::time::timeout(PATIENCE, asked).await.ok().flatten().unwrap_or_default()
        })
    }
}

pub struct Pipeline {
    pub ledger: Ledger,
    pub sinks: Arc<PipelineSinks>,
    pub deliveries: mpsc::Receiver<Delivery>,
    pub commands: mpsc::Receiver<PipelineCommand>,
    /// `None` after a failure that took it along: a new one is made before the next batch.
    pub detector: Option<Detector>,
    make_detector: MakeDetector,
    /// Events that detection had to see again at the start.
    pub replayed: u64,
    pub next: Seq,
    clock: Arc<dyn Clock>,
    snapshot_at: tokio::time::Instant,
    sealed_at: tokio::time::Instant,
    /// When the last commit of events ended.
    committed_at: tokio::time::Instant,
}

impl Pipeline {
    pub fn new(
        ledger: Ledger,
        sinks: Arc<PipelineSinks>,
        inputs: PipelineInputs,
        (detector, make_detector): (Detector, MakeDetector),
        (next, clock): (Seq, Arc<dyn Clock>),
    ) -> Self {
        let now = tokio::time::Instant::now();
        Self {
            ledger,
            sinks,
            deliveries: inputs.deliveries,
            commands: inputs.commands,
            detector: Some(detector),
            make_detector,
            replayed: 0,
            next,
            clock,
            snapshot_at: now + SNAPSHOT,
            sealed_at: now,
            committed_at: now,
        }
    }

    /// Runs until told to stop; then commits what was handed over already, and what detection remembers.
    pub async fn run(&mut self, mut stop: watch::Receiver<bool>) -> Result<(), String> {
        if std::mem::take(&mut self.replayed) > REPLAYED {
            // Kept at once: a console that is killed again and again must not have more to do at each start.
            self.commit(Vec::new(), true).await?;
        }
        loop {
            tokio::select! {
                biased;
                () = crate::supervisor::told(&mut stop) => break,
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command).await?,
                    None => break,
                },
                delivery = self.deliveries.recv() => match delivery {
                    Some(first) => self.on_deliveries(first).await?,
                    None => break,
                },
            }
        }
        // Whatever a feed handed over counts as received: it is committed, not dropped. Feeds have stopped by now or
        // stop at their next send.
        while let Ok(first) = self.deliveries.try_recv() {
            self.on_deliveries(first).await?;
        }
        self.commit(Vec::new(), true).await.map(|_| ())
    }

    async fn on_command(&mut self, command: PipelineCommand) -> Result<(), String> {
        match command {
            PipelineCommand::Rules(rules) => {
                if let Some(d) = &mut self.detector {
                    d.replace_rules(rules);
                }
            }
            PipelineCommand::Resuming(feeds) => {
                if let Some(d) = &mut self.detector {
                    d.set_feeds(feeds);
                }
            }
            PipelineCommand::Tick => {
                if let Some(d) = &mut self.detector {
                    d.on_tick(self.clock.now());
                }
                if self.snapshot_at <= tokio::time::Instant::now() {
                    self.commit(Vec::new(), true).await?;
                }
            }
            PipelineCommand::Forget(about, done) => {
                // What it would remember of the disk is what shall be forgotten.
                if self.detector.is_none() {
                    self.detector = Some(self.remember_anew().await?);
                }
                if let Some(d) = &mut self.detector {
                    d.forget(&*about);
                }
                if self.commit(Vec::new(), true).await? {
                    // Whoever asked may have given up waiting.
                    let _heard = done.send(()).is_ok();
                }
            }
            PipelineCommand::Health(answer) => {
                // Whoever asked may have gone; that is their affair.
                let _answered = answer.send(self.detector.as_ref().map(Detector::health).unwrap_or_default()).is_ok();
            }
        }
        Ok(())
    }

    async fn on_deliveries(&mut self, first: Delivery) -> Result<(), String> {
        if self.deliveries.len() < self.deliveries.max_capacity() / 4 {
            tokio::time::sleep_until(self.committed_at + LINGER).await;
        }
        let mut batch = vec![first];
        let (mut events, mut bytes) = (batch[0].events.len(), batch[0].weight);
        while events < BATCH_EVENTS && bytes < BATCH_BYTES {
            let Ok(more) = self.deliveries.try_recv() else { break };
            events += more.events.len();
            bytes += more.weight;
            batch.push(more);
        }
        self.commit(batch, false).await?;
        self.committed_at = tokio::time::Instant::now();
        Ok(())
    }

    /// Commits a batch, however long it takes: what cannot be written now is written later, and meanwhile feeds wait.
    /// Gives whether what detection remembers was written with it.
    async fn commit(&mut self, mut batch: Vec<Delivery>, snapshot: bool) -> Result<bool, String> {
        let mut events: Vec<Event> = Vec::with_capacity(batch.iter().map(|d| d.events.len()).sum());
        for delivery in &mut batch {
            events.append(&mut delivery.events);
        }
        for (i, event) in events.iter_mut().enumerate() {
            event.seq = Seq(self.next.0 + i as u64);
        }
        let now = self.clock.now();
        let through = Seq(self.next.0 + events.len() as u64 - 1);
        let Detected { mut events, mut matches, state } = self.detect(now, events, snapshot.then_some(through)).await?;
        let first = self.next;
        let progress = progress(&batch);
        let mut commit = Commit {
            feeds: progress,
            gaps: batch.iter_mut().flat_map(|d| std::mem::take(&mut d.gaps)).collect(),
            quarantine: batch.iter_mut().flat_map(|d| std::mem::take(&mut d.quarantine)).collect(),
            detector: state.map(|s| (through, s)),
            seal: snapshot && self.sealed_at.elapsed() > SEAL,
            ..Commit::default()
        };
        // Which incident an event belongs to is known once folding gave the numbers.
        let fold = || self.ledger.look(|book| book.fold(now, &matches)).assigned;
        let assigned = match std::panic::catch_unwind(AssertUnwindSafe(fold)) {
            Ok(assigned) => assigned,
            Err(_) => {
                self.say_unseen(events.len(), "what detection found in them could not be made into incidents");
                matches.clear();
                Vec::new()
            }
        };
        tag(&mut events, first, &matches, &assigned);
        let (matches, assigned) = (Arc::new(matches), Arc::new(assigned));
        commit.rates = rates(&events);
        commit.events = Arc::new(events);
        let mut pause = Duration::from_millis(100);
        let changes = loop {
            let (mut tried, found, assumed) = (commit.clone(), matches.clone(), assigned.clone());
            let committed = self.ledger.commit(move |book| {
                let changes = book.fold(now, &found);
                // An officer was quicker, and a number was given to something else meanwhile.
                if changes.assigned != *assumed {
                    let mut events = (*tried.events).clone();
                    tag_anew(&mut events, first, &found, &changes.assigned);
                    tried.events = Arc::new(events);
                }
                (tried, changes)
            });
            let result = committed.await;
            match result {
                Ok(changes) => break changes,
                // An attempt before this one came further than anybody could say.
                Err(StoreError::Sequence { expected, .. }) if Seq(expected) > through && !commit.events.is_empty() => {
                    break Changes::default();
                }
                Err(e) => {
                    self.blocked(Some(&e));
                    if self.sinks.shutting_down.load(Ordering::Relaxed) {
                        // Not committed, so not acknowledged: the server, or a gap, will say so.
                        return Err(e.to_string());
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        };
        self.blocked(None);
        self.next = Seq(first.0 + commit.events.len() as u64);
        if commit.seal {
            self.sealed_at = tokio::time::Instant::now();
        }
        if snapshot {
            self.snapshot_at = tokio::time::Instant::now() + SNAPSHOT;
        }
        self.tell(batch, commit.events, changes).await;
        Ok(commit.detector.is_some())
    }

    /// Has detection look at a batch. Should it fail on the whole of it, the batch is stored all the same, and that
    /// nothing looked at it is said.
    async fn detect(&mut self, now: Timestamp, events: Vec<Event>, through: Option<Seq>) -> Result<Detected, String> {
        let detector = match self.detector.take() {
            Some(detector) => detector,
            None => match self.remember_anew().await {
                Ok(detector) => detector,
                Err(why) => {
                    self.say_unseen(events.len(), &why);
                    return Ok(Detected::unseen(events));
                }
            },
        };
        let (detector, detected) = tokio::task::spawn_blocking(move || {
            guarded(detector, events, |detector, events| {
                let matches = detector.on_batch(now, events);
                (matches, through.and_then(|through| memory::pack(&detector.snapshot(through))))
            })
        })
        .await
        .map_err(|e| format!("detection: {e}"))?;
        if detector.is_none() {
            self.say_unseen(detected.events.len(), "a rule or the memory of detection failed");
        }
        self.detector = detector;
        Ok(detected)
    }

    fn say_unseen(&self, n: usize, why: &str) {
        tracing::error!(events = n, why, "a batch is stored without detection having looked at it");
        *self.sinks.unseen.lock() =
            Some(format!("no rule has seen {n} events from number {}, which are stored: {why}", self.next.0));
        self.sinks.recent.touched(|t| t.health += 1);
    }

    /// A detector that remembers what was stored.
    async fn remember_anew(&self) -> Result<Detector, String> {
        let make = self.make_detector.clone();
        let mut detector = tokio::task::spawn_blocking(move || make()).await.map_err(|e| e.to_string())?;
        memory::restore(self.ledger.store(), &mut detector).await.map_err(|e| e.to_string())?;
        Ok(detector)
    }

    async fn tell(&self, batch: Vec<Delivery>, events: Arc<Vec<Event>>, changes: Changes) {
        {
            let committed = self.sinks.committed.lock();
            for delivery in batch {
                delivery.held.settle(&delivery.counts);
                if let (Some(sender), Some(position)) = (committed.get(&delivery.feed), delivery.position) {
                    sender.send_replace(position.cursor);
                }
            }
        }
        let recent = &self.sinks.recent;
        recent.push(self.clock.now(), events);
        recent.touched(|t| {
            t.events += 1;
            t.incidents += u64::from(!changes.incidents.is_empty());
        });
        for notice in changes.notices {
            // Full only when nobody takes them: then the window is gone, and the next start tells of what is open.
            if self.sinks.notices.send(notice).await.is_err() {
                break;
            }
        }
    }

    fn blocked(&self, error: Option<&StoreError>) {
        let mut blocked = self.sinks.blocked.lock();
        if blocked.is_some() != error.is_some() {
            self.sinks.recent.touched(|t| t.health += 1);
        }
        *blocked = error.map(ToString::to_string);
    }
}

/// A batch that detection has looked at.
struct Detected {
    events: Vec<Event>,
    matches: Vec<Match>,
    /// What detection remembers, packed, if that was asked for.
    state: Option<Vec<u8>>,
}

impl Detected {
    fn unseen(events: Vec<Event>) -> Self {
        Self { events, matches: Vec::new(), state: None }
    }
}

/// Has `look` look at events. Should it panic, the events are given back, and the detector is not: what it remembers may
/// be half of something.
fn guarded(
    mut detector: Detector,
    events: Vec<Event>,
    look: impl FnOnce(&mut Detector, &[Event]) -> (Vec<Match>, Option<Vec<u8>>),
) -> (Option<Detector>, Detected) {
    match std::panic::catch_unwind(AssertUnwindSafe(|| look(&mut detector, &events))) {
        Ok((matches, state)) => (Some(detector), Detected { events, matches, state }),
        Err(_) => (None, Detected::unseen(events)),
    }
}

/// One entry a feed: the last position, the sum of the counts.
fn progress(batch: &[Delivery]) -> Vec<FeedProgress> {
    let mut by_feed: BTreeMap<&FeedName, FeedProgress> = BTreeMap::new();
    for d in batch {
        let entry = by_feed.entry(&d.feed).or_insert_with(|| FeedProgress {
            feed: d.feed.clone(),
            position: None,
            counts: Default::default(),
            heard_at: d.heard_at,
        });
        entry.counts.add(&d.counts);
        entry.heard_at = entry.heard_at.max(d.heard_at);
        if d.position.is_some() {
            entry.position.clone_from(&d.position);
        }
    }
    by_feed.into_values().collect()
}

/// Writes onto each event of this batch that completed or took part in a match which incident it belongs to.
fn tag(events: &mut [Event], first: Seq, matches: &[Match], assigned: &[u64]) {
    for (m, number) in matches.iter().zip(assigned) {
        for seq in &m.events {
            let Some(event) = seq.0.checked_sub(first.0).and_then(|i| events.get_mut(i as usize)) else { continue };
            // An event in several incidents shows the gravest.
            let graver = event
                .fields
                .get_str("watchfloor.severity")
                .and_then(|s| s.parse::<Severity>().ok())
                .is_none_or(|s| s < m.severity);
            if graver {
                event.fields.set("watchfloor.severity".into(), Value::str(m.severity.as_str()));
                event.fields.set("watchfloor.incident".into(), Value::Int(*number as i64));
            }
        }
    }
}

/// As [`tag`], for events that were tagged with other numbers.
fn tag_anew(events: &mut [Event], first: Seq, matches: &[Match], assigned: &[u64]) {
    for event in events.iter_mut() {
        event.fields.remove("watchfloor.severity");
        event.fields.remove("watchfloor.incident");
    }
    tag(events, first, matches, assigned);
}

fn rates(events: &[Event]) -> Vec<RateDelta> {
    let mut minutes: BTreeMap<i64, RateDelta> = BTreeMap::new();
    for event in events {
        let minute = event.occurred_at.millis().div_euclid(60_000);
        let delta = minutes.entry(minute).or_insert(RateDelta { minute, ..RateDelta::default() });
        delta.total += 1;
        if let Some(severity) = event.fields.get_str("watchfloor.severity").and_then(|s| s.parse::<Severity>().ok()) {
            delta.matched[usize::from(severity.number() - 1)] += 1;
        }
    }
    minutes.into_values().collect()
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
