//! From one feed to the engine: deliveries wait their turn, and nothing else waits for them.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};

use crate::ingest::Delivery;

/// The engine takes no deliveries any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

type Sending = Pin<Box<dyn Future<Output = Result<(), Gone>> + Send>>;

/// Hands deliveries over, one after the other, within the feed's queue.
///
/// All feeds share the engine's channel. A feed has one place in its line at most, and keeps it while it does other
/// things; the channel serves those who wait in order. So however much one feed has to deliver, each other one has its
/// turn.
pub struct Handover {
    out: mpsc::Sender<Delivery>,
    /// What the feed may have between socket and disk, in KiB.
    queue: Arc<Semaphore>,
    all: u32,
    waiting: Option<Sending>,
}

impl Handover {
    /// `queue` is in bytes.
    pub fn new(out: mpsc::Sender<Delivery>, queue: usize) -> Self {
        let all = u32::try_from(queue / 1024).unwrap_or(u32::MAX).max(1);
        Self { out, queue: Arc::new(Semaphore::new(all as usize)), all, waiting: None }
    }

    /// A delivery waits for room.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// How much of the queue is free after `held` bytes more, in percent.
    pub fn free(&self, held: usize) -> usize {
        self.queue.available_permits().saturating_sub(held / 1024) * 100 / self.all as usize
    }

    /// Sends a delivery if there is room, else takes a place in line for it. Only while none waits.
    pub fn offer(&mut self, mut delivery: Delivery) -> Result<(), Gone> {
        debug_assert!(self.waiting.is_none(), "deliveries must keep their order");
        let share = u32::try_from(delivery.weight / 1024).unwrap_or(u32::MAX).clamp(1, self.all);
        delivery.permit = self.queue.clone().try_acquire_many_owned(share).ok();
        if delivery.permit.is_some() {
            match self.out.try_send(delivery) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed(_)) => return Err(Gone),
                Err(TrySendError::Full(back)) => delivery = back,
            }
        }
        let (out, queue) = (self.out.clone(), self.queue.clone());
        self.waiting = Some(Box::pin(async move {
            if delivery.permit.is_none() {
                delivery.permit = queue.acquire_many_owned(share).await.ok();
            }
            out.send(delivery).await.map_err(|_| Gone)
        }));
        Ok(())
    }

    /// Resolves when what waits is sent; never while nothing waits. Dropping it does not lose the place in line.
    pub async fn sent(&mut self) -> Result<(), Gone> {
        match &mut self.waiting {
            None => std::future::pending().await,
            Some(sending) => {
                let sent = sending.as_mut().await;
                self.waiting = None;
                sent
            }
        }
    }
}
