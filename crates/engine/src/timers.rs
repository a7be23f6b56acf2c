//! Time passes: detection forgets, ladders climb, silence is noticed, the hour is signed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use wf_model::Timestamp;
use wf_store::StoreError;

use crate::context::Context;
use crate::feed_watch::FeedWatch;
use crate::feeds::FeedControl;
use crate::pipeline::PipelineCommand;
use crate::{digest, drill, escalation};

const EVERY: Duration = Duration::from_secs(1);
/// Detection forgets this often.
const SLOWLY: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Work of another room that recurs.
pub trait Chore: Send + Sync {
    /// What it is called where it is said that it failed.
    fn name(&self) -> &'static str;
    /// Called at once after a start, and then every minute. What takes long is begun here and not waited for.
    fn minute(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// What the timers work with.
pub struct Timers {
    pub context: Arc<Context>,
    pub commands: mpsc::Sender<PipelineCommand>,
    pub feeds: Arc<dyn FeedControl>,
    pub chores: Vec<Arc<dyn Chore>>,
}

/// When something recurs.
struct Due {
    at: Timestamp,
    every: Duration,
}

impl Due {
    /// At once, and then so often.
    fn now(every: Duration) -> Self {
        Self { at: Timestamp::EPOCH, every }
    }

    /// Whether it is time; then it is set to the next one. A clock that was set back does not put it off.
    fn passed(&mut self, now: Timestamp) -> bool {
        let passed = self.at <= now || self.at.since(now) > self.every;
        if passed {
            self.at = now + self.every;
        }
        passed
    }
}

impl Timers {
    /// Runs until told to stop.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) -> Result<(), String> {
        let context = &*self.context;
        let (mut slowly, mut minute) = (Due::now(SLOWLY), Due::now(MINUTE));
        let mut hour = Due { at: context.now() + HOUR, every: HOUR };
        let mut watch = FeedWatch::default();
        let mut last_events = context.recent.events.load(Ordering::Relaxed);
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = crate::supervisor::told(&mut stop) => return Ok(()),
                _ = interval.tick() => {}
            }
            let now = context.now();
            // Every second: a step that is due is not late by more than that.
            self.did("escalation", escalation::time_passes(context, now).await);
            // And at once after a start: what was missed is not missed for another minute.
            if minute.passed(now) {
                self.minute_passes(now).await;
            }
            last_events = self.measure_rate(last_events);
            if slowly.passed(now) {
                // A pipeline that waits for the disk must not hold escalation up: it gets its tick when it can.
                if self.offer(PipelineCommand::Tick) {
                    return Ok(());
                }
                self.did("watch over the feeds", watch.look(context, &*self.feeds).await);
            }
            if hour.passed(now) {
                self.did("hourly checkpoint", context.ledger.checkpoint(now).await);
            }
        }
    }

    async fn minute_passes(&self, now: Timestamp) {
        let context = &*self.context;
        self.did("watch over the ladders", escalation::look_after(context, now).await);
        self.did("end of a storm", escalation::calm_down(context, now).await);
        self.did("scheduled drill", drill::scheduled_drill(context, now).await);
        for chore in &self.chores {
            self.did(chore.name(), chore.minute(now).await);
        }
        self.did("digest", digest::due(context, now).await);
    }

    /// One piece of work that fails holds none of the others up, and is shown until it succeeds again.
    fn did(&self, what: &'static str, outcome: Result<(), StoreError>) {
        let problem = outcome.err().map(|e| format!("{what}: {e}"));
        if let Some(problem) = &problem {
            tracing::error!("{problem}");
        }
        if self.context.state.set_problems(what, problem.into_iter().collect()) {
            self.context.recent.touched(|t| t.health += 1);
        }
    }

    /// `true`: the pipeline has ended.
    fn offer(&self, command: PipelineCommand) -> bool {
        matches!(self.commands.try_send(command), Err(mpsc::error::TrySendError::Closed(_)))
    }

    /// Smoothed over a few seconds; in tenths.
    fn measure_rate(&self, last_events: u64) -> u64 {
        let recent = &self.context.recent;
        let (events, rate) = (recent.events.load(Ordering::Relaxed), recent.rate.load(Ordering::Relaxed));
        recent.rate.store((rate * 3 + (events - last_events) * 10) / 4, Ordering::Relaxed);
        if events != last_events || rate != 0 {
            recent.touched(|t| t.health += 1);
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;

    use wf_feeds::{FeedConfig, FeedStatus};
    use wf_model::FeedName;

    use super::*;
    use crate::testing::Room;

    struct NoFeeds;

    impl FeedControl for NoFeeds {
        fn statuses(&self) -> BTreeMap<FeedName, (FeedStatus, Arc<FeedConfig>)> {
            BTreeMap::new()
        }

        fn restart(&self, name: &FeedName) -> Result<(), String> {
            Err(format!("there is no feed '{name}'"))
        }
    }

    struct Broken;

    impl Chore for Broken {
        fn name(&self) -> &'static str {
            "broken chore"
        }

        fn minute(&self, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
            Box::pin(std::future::ready(Err(StoreError::Busy)))
        }
    }

    struct Next(Arc<AtomicBool>);

    impl Chore for Next {
        fn name(&self) -> &'static str {
            "next chore"
        }

        fn minute(&self, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
            self.0.store(true, Ordering::Relaxed);
            Box::pin(std::future::ready(Ok(())))
        }
    }

    #[tokio::test]
    async fn what_fails_every_minute_holds_nothing_else_up_and_is_shown() {
        let room = Room::new("").await;
        let (commands, _taken) = mpsc::channel(4);
        let done = Arc::new(AtomicBool::new(false));
        let timers = Timers {
            context: room.context.clone(),
            commands,
            feeds: Arc::new(NoFeeds),
            chores: vec![Arc::new(Broken), Arc::new(Next(done.clone()))],
        };
        timers.minute_passes(room.context.now()).await;
        assert!(done.load(Ordering::Relaxed));
        let problems = room.context.state.problems();
        assert!(problems.len() == 1 && problems[0].starts_with("broken chore: "), "{problems:?}");
        room.context.ledger.close().await;
    }
}
