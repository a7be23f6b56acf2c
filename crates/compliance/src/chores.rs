//! What recurs: the clock of breaches, requests that fall due, the daily run of retention, backups.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use wf_engine::timers::Chore;
use wf_model::Timestamp;
use wf_store::StoreError;

use crate::backups::Backups;
use crate::breaches::Breaches;
use crate::retention::Retention;

/// Asked every minute by the engine's timers.
pub struct Chores {
    pub breaches: Arc<Breaches>,
    pub retention: Arc<Retention>,
    pub backups: Arc<Backups>,
}

impl Chore for Chores {
    fn minute(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.breaches.minute(now).await?;
            self.backups.due(now);
            if self.retention.trusts_the_clock(now, Instant::now()) && self.retention.due(now).await? {
                // Beside the timers: nobody's escalation waits for it.
                let retention = self.retention.clone();
                tokio::spawn(async move {
                    if let Err(e) = retention.run_by_itself(now).await {
                        tracing::warn!(error = %e, "retention");
                    }
                });
            }
            Ok(())
        })
    }
}
