//! What a connection reads becomes deliveries, and these are handed over as there is room.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use wf_model::{FeedName, Gap, GapReason, Timestamp};

use crate::config::FeedConfig;
use crate::handover::{Gone, Handover};
use crate::ingest::{Delivery, Ingest, Pressure, Seed};
use crate::mapping::Mapping;

/// A delivery is handed over when this much is ready (about a thousand events), or when the socket has no more.
pub const BATCH_BYTES: usize = 512 << 10;

/// One feed's way from the socket to the engine. It outlives connections: what is held when one ends is handed over
/// while the next is waited for.
pub struct Intake {
    feed: FeedName,
    resumes: bool,
    ingest: Ingest,
    handover: Handover,
    heard_at: Option<Timestamp>,
    /// A gap that goes with the next delivery.
    gap: Option<Gap>,
}

impl Intake {
    pub fn new(
        feed: FeedName,
        config: Arc<FeedConfig>,
        mappings: Arc<[Mapping]>,
        seed: Seed,
        out: mpsc::Sender<Delivery>,
    ) -> Self {
        Self {
            feed: feed.clone(),
            resumes: config.resumes(),
            handover: Handover::new(out, config.limits.queue),
            heard_at: seed.heard_at,
            ingest: Ingest::new(feed, config.clone(), mappings, seed)
                .in_zone(config.zone.unwrap_or(chrono_tz::Tz::UTC))
                .back_to(config.oldest),
            gap: None,
        }
    }

    pub fn cursor(&self) -> Option<&str> {
        self.ingest.cursor()
    }

    /// What waits to become a delivery, in bytes.
    pub fn weight(&self) -> usize {
        self.ingest.weight()
    }

    /// A connection stands.
    pub fn connected(&mut self) {
        let now = Timestamp::now();
        // Without a cursor there is nothing to resume from: what came while the connection was down is missed, also by
        // a feed that will resume later.
        if self.resumes
            && self.ingest.cursor().is_none()
            && let Some(heard_at) = self.heard_at
        {
            let from = self.gap.take().map_or(heard_at, |earlier| earlier.from);
            self.gap = Some(Gap {
                feed: self.feed.clone(),
                from,
                to: now.max(from),
                reason: GapReason::Disconnected,
                estimated: None,
            });
        }
        self.heard_at = Some(now);
        self.ingest.on_connected(now);
    }

    /// A frame came.
    pub fn frame(&mut self, frame: Bytes) {
        let (now, pressure) = (Timestamp::now(), self.pressure());
        self.heard_at = Some(now);
        self.ingest.on_frame(now, frame, pressure);
    }

    /// A frame could not be received, on a feed that cannot ask for it again.
    pub fn lost_frame(&mut self, why: &str) {
        self.ingest.lost_frame(Timestamp::now(), why);
    }

    /// Goes one place past a frame that cannot be received; `false` when the cursor is no number.
    pub fn step_over(&mut self, why: &str) -> bool {
        self.ingest.step_over_poison(Timestamp::now(), why)
    }

    /// Whether more should be read. A feed that can replay stops reading while it is a whole delivery ahead of the
    /// engine; any other goes on, and sheds when it gets too much, rather than let the server drop it.
    pub fn has_room(&self) -> bool {
        !self.resumes || !self.handover.is_waiting() || self.ingest.weight() < BATCH_BYTES
    }

    fn pressure(&self) -> Pressure {
        if self.resumes {
            return Pressure::None;
        }
        // What is read but not handed over counts too: nobody else bounds it while the engine's channel is full.
        match self.handover.free(self.ingest.weight()) {
            0..2 => Pressure::Full,
            2..25 => Pressure::High,
            _ => Pressure::None,
        }
    }

    /// Everything since the last delivery.
    pub fn take(&mut self) -> Option<Delivery> {
        let mut delivery = self.ingest.take()?;
        delivery.gaps.extend(self.gap.take());
        Some(delivery)
    }

    /// Hands over what is ready, or puts it in line. Waits for nothing.
    pub fn pass_on(&mut self) -> Result<(), Gone> {
        if self.handover.is_waiting() {
            return Ok(());
        }
        self.take().map_or(Ok(()), |delivery| self.handover.offer(delivery))
    }

    /// Waits until what waits is handed over; never ends while nothing waits.
    pub async fn sent(&mut self) -> Result<(), Gone> {
        self.handover.sent().await
    }

    /// Runs `other`, and meanwhile goes on handing over what is held.
    pub async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> Result<T, Gone> {
        let mut other = std::pin::pin!(other);
        loop {
            self.pass_on()?;
            tokio::select! {
                biased;
                done = &mut other => return Ok(done),
                sent = self.sent() => sent?,
            }
        }
    }

    /// Hands over everything that is held. `false`: not all of it by `deadline`, or nobody takes it.
    pub async fn drain(&mut self, deadline: Instant) -> bool {
        let handing_over = async {
            loop {
                self.pass_on()?;
                if !self.handover.is_waiting() {
                    return Ok::<(), Gone>(());
                }
                self.sent().await?;
            }
        };
        matches!(timeout_at(deadline, handing_over).await, Ok(Ok(())))
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
