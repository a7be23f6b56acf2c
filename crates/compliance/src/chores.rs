//! What recurs: the clock of breaches and of requests, the scheduled backup, the daily run of retention.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use wf_engine::timers::Chore;
use wf_model::Timestamp;
use wf_store::StoreError;

use crate::Compliance;
use crate::backups::Backups;
use crate::breaches::Breaches;
use crate::retention::Retention;

/// What the engine's timers ask for every minute.
pub fn chores(compliance: &Compliance) -> Vec<Arc<dyn Chore>> {
    vec![
        Arc::new(Deadlines(compliance.breaches.clone())),
        Arc::new(ScheduledBackup(compliance.backups.clone())),
        Arc::new(DailyRetention(compliance.retention.clone())),
    ]
}

struct Deadlines(Arc<Breaches>);

impl Chore for Deadlines {
    fn name(&self) -> &'static str {
        "deadlines of breaches and requests"
    }

    fn minute(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.0.minute(now))
    }
}

struct ScheduledBackup(Arc<Backups>);

impl Chore for ScheduledBackup {
    fn name(&self) -> &'static str {
        "scheduled backup"
    }

    fn minute(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.due(now);
        Box::pin(std::future::ready(Ok(())))
    }
}

struct DailyRetention(Arc<Retention>);

impl Chore for DailyRetention {
    fn name(&self) -> &'static str {
        "daily retention"
    }

    fn minute(&self, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if self.0.trusts_the_clock(now, Instant::now()) && self.0.due(now).await? {
                // Beside the timers: nobody's escalation waits for it.
                let retention = self.0.clone();
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
