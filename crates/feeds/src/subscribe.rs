//! The task that keeps a feed alive: connect, keep the connection, learn from its end, wait, and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use wf_model::{FeedName, SecretSource, Timestamp};

use crate::config::FeedConfig;
use crate::connect;
use crate::connect_error::ConnectError;
use crate::end::{Broken, End};
use crate::ingest::{Delivery, Seed};
use crate::intake::Intake;
use crate::mapping::Mapping;
use crate::poison::{Poison, Remedy};
use crate::session::{Session, stopped};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedState {
    Connecting,
    Live,
    /// Between attempts.
    Waiting,
    /// Only an officer can make it go on.
    Stopped,
    Disabled,
}

/// What the officer sees of a feed.
#[derive(Clone, Debug)]
pub struct FeedStatus {
    pub state: FeedState,
    pub since: Timestamp,
    /// Why it waits or stopped; the TLS version when it is live.
    pub detail: String,
    /// Connected, or failed to, at least once.
    pub tried: bool,
    /// Connections made since the start.
    pub connections: u64,
    /// When it was last well for a while, unless it is.
    down_since: Option<Timestamp>,
}

/// A connection that does not last this long is none: a server that takes it and drops it at once is down.
const STEADY: Duration = Duration::from_secs(10);

impl FeedStatus {
    pub fn new(state: FeedState) -> Self {
        Self {
            state,
            since: Timestamp::now(),
            detail: String::new(),
            tried: state == FeedState::Disabled,
            connections: 0,
            down_since: Some(Timestamp::now()).filter(|_| state != FeedState::Disabled),
        }
    }

    /// Since when nothing can be relied on to come, however often it was tried in between. `None`: it is live, or
    /// nobody wants it.
    pub fn down_since(&self, now: Timestamp) -> Option<Timestamp> {
        let steady = self.state == FeedState::Live && now.since(self.since) >= STEADY;
        self.down_since.filter(|_| !steady && self.state != FeedState::Disabled)
    }

    fn enter(&mut self, state: FeedState, detail: String, now: Timestamp) {
        self.down_since = self.down_since(now).or(Some(now));
        (self.state, self.since, self.detail) = (state, now, detail);
        self.tried |= state != FeedState::Connecting;
        self.connections += u64::from(state == FeedState::Live);
    }
}

/// Everything the task of one feed needs.
pub struct Subscription {
    pub name: FeedName,
    pub config: Arc<FeedConfig>,
    pub mappings: Arc<[Mapping]>,
    pub secrets: Arc<dyn SecretSource>,
    pub seed: Seed,
    pub out: mpsc::Sender<Delivery>,
    pub status: watch::Sender<FeedStatus>,
    /// The cursor that was committed last.
    pub committed: watch::Receiver<Option<String>>,
    /// Becomes true when the task shall end. It is dropped when it has ended and everything is handed over.
    pub stop: watch::Receiver<bool>,
    /// How long handing over what is held may take once it shall end. Whoever takes deliveries must go on doing so.
    pub grace: Duration,
}

impl Subscription {
    /// Runs until stopped. What a panic here leaves behind is restarted by the supervisor, from the committed cursor.
    pub async fn run(self) {
        let Self { name, config, mappings, secrets, seed, out, status, committed, stop, grace } = self;
        let intake = Intake::new(name.clone(), config.clone(), mappings, seed, out);
        let mut runner =
            Runner { config, secrets, intake, poison: Poison::default(), attempt: 0, status, committed, stop };
        runner.keep_alive().await;
        if !runner.intake.drain(Instant::now() + grace).await {
            // Not committed, so it comes again: from the cursor, or not at all, which the gap at the next start says.
            tracing::warn!(feed = %name, "not everything that was read could be handed over in time");
        }
    }
}

/// What follows a connection, or an attempt at one.
enum Next {
    /// The task shall end.
    End,
    /// Only an officer can make it go on.
    Halt(String),
    /// Another attempt, not before `after` if the server said so.
    Again { reason: String, after: Option<Duration> },
}

struct Runner {
    config: Arc<FeedConfig>,
    secrets: Arc<dyn SecretSource>,
    intake: Intake,
    poison: Poison,
    /// Failures since a connection lasted.
    attempt: u32,
    status: watch::Sender<FeedStatus>,
    committed: watch::Receiver<Option<String>>,
    stop: watch::Receiver<bool>,
}

impl Runner {
    /// One connection after the other, until the task shall end.
    async fn keep_alive(&mut self) {
        loop {
            let goes_on = match self.connection().await {
                Next::End => false,
                Next::Halt(reason) => {
                    self.set(FeedState::Stopped, reason);
                    self.unless_stopped(std::future::pending::<()>()).await.is_some()
                }
                Next::Again { reason, after } => self.pause(reason, after).await,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Connects, and keeps the connection until it ends.
    async fn connection(&mut self) -> Next {
        self.set(FeedState::Connecting, String::new());
        let (config, secrets) = (self.config.clone(), self.secrets.clone());
        let cursor = self.intake.cursor().map(str::to_owned);
        let frame_limit = self.poison.frame_limit(cursor.as_deref(), config.limits.frame);
        let opening = connect::open(&config, cursor.as_deref(), &secrets, frame_limit);
        let (socket, handshake) = match self.unless_stopped(opening).await {
            None => return Next::End,
            Some(Err(ConnectError::Refused(reason))) => return Next::Halt(reason),
            Some(Err(ConnectError::Failed { reason, after })) => return Next::Again { reason, after },
            Some(Ok(connected)) => connected,
        };
        self.set(FeedState::Live, handshake.tls.unwrap_or_else(|| "not encrypted".to_owned()));
        let began = Instant::now();
        let session = Session {
            socket,
            config: &config,
            secrets: &secrets,
            intake: &mut self.intake,
            committed: &mut self.committed,
            stop: &mut self.stop,
        };
        let end = session.run().await;
        if began.elapsed() >= config.backoff.reset_after {
            self.attempt = 0;
        }
        match end {
            End::Stop => Next::End,
            End::Refused(reason) => Next::Halt(reason),
            End::Broken(broken) => Next::Again { reason: self.learn_from(broken), after: None },
        }
    }

    /// Finds a way around a frame that broke the connection. Returns why it broke, for the officer.
    fn learn_from(&mut self, broken: Broken) -> String {
        let Broken { reason, fault, .. } = broken;
        let Some(fault) = fault else { return reason };
        if !self.config.resumes() {
            self.intake.lost_frame(&reason);
            return reason;
        }
        let around = match self.poison.met(self.intake.cursor(), fault, self.config.limits.frame) {
            Remedy::TryAgain => true,
            Remedy::StepOver => self.step_over(&reason),
            Remedy::Stuck => false,
        };
        if !around {
            return format!(
                "the server keeps sending a frame that cannot be read ({reason}), and there is no way around it: ask \
                 its operator; meanwhile it is tried again"
            );
        }
        reason
    }

    fn step_over(&mut self, reason: &str) -> bool {
        let stepped = self.intake.step_over(reason);
        if stepped {
            self.poison.stepped(self.intake.cursor());
        }
        stepped
    }

    /// Waits before the next attempt. `false`: the task shall end.
    async fn pause(&mut self, reason: String, after: Option<Duration>) -> bool {
        let wait = self.config.backoff.wait(self.attempt, share()).max(after.unwrap_or_default());
        self.attempt = self.attempt.saturating_add(1);
        self.set(FeedState::Waiting, reason);
        self.unless_stopped(sleep(wait)).await.is_some()
    }

    /// Runs `other`, and meanwhile hands over what is held. `None`: the task shall end, or nobody takes deliveries.
    async fn unless_stopped<T>(&mut self, other: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = stopped(&mut self.stop) => None,
            done = self.intake.meanwhile(other) => done.ok(),
        }
    }

    fn set(&self, state: FeedState, detail: String) {
        self.status.send_modify(|s| s.enter(state, detail, Timestamp::now()));
    }
}

/// A share between 0 and 1, from the system's randomness.
fn share() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
#[path = "subscribe_tests.rs"]
mod tests;
