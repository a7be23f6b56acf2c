//! Channels: how they do, and tests of them.

use std::sync::Arc;
use std::time::Duration;

use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_channels::Channel;
use wf_engine::{Context, drill};
use wf_model::Severity;

/// The ways to reach people.
pub struct Channels {
    pub(crate) context: Arc<Context>,
    /// Without an engine nothing is sent.
    pub(crate) running: bool,
}

impl Channels {
    pub async fn all(&self) -> Result<Vec<ChannelView>, ApiError> {
        let (config, standings) = (self.context.config(), self.context.store().channels().await?);
        let plan = self.context.plan();
        let waiting = self.context.store().waiting().await?;
        Ok(config
            .channel
            .iter()
            .map(|(name, c)| {
                let s = standings.iter().find(|s| s.name == *name);
                ChannelView {
                    name: name.clone(),
                    kind: c.traits().kind.to_owned(),
                    title: c.traits().title.to_owned(),
                    severities: Severity::ALL
                        .into_iter()
                        .filter(|s| plan.channels_for(*s).contains(name))
                        .map(|s| s.to_string())
                        .collect(),
                    worked_at: s.and_then(|s| s.worked_at).map(millis),
                    failed_at: s.and_then(|s| s.failed_at).map(millis),
                    broken: s.and_then(|s| s.broken.clone()),
                    answers: Channel::new(std::sync::Arc::new(c.clone()), self.context.secrets()).listens(),
                    waiting: waiting.iter().find(|(c, _)| c == name).map_or(0, |(_, n)| *n as u32),
                }
            })
            .collect())
    }

    /// Sends a test over one channel, to everybody it can reach or to the place it is.
    pub async fn test(&self, name: &str) -> Result<Vec<ReceiptView>, ApiError> {
        self.context.may_change()?;
        let keys = drill::owe_test(&self.context, name, self.context.operator()).await?;
        self.outcomes(&keys).await
    }

    /// A test of every channel at once.
    pub async fn drill(&self) -> Result<Vec<ReceiptView>, ApiError> {
        let names: Vec<String> = self.context.plan().channels.iter().map(|c| c.name.clone()).collect();
        if names.is_empty() {
            return Err(ApiError::new(ErrorCode::Refused, "there is no channel to drill: write a [channel.NAME]"));
        }
        let drills = names.iter().map(|name| self.test(name));
        let mut all = Vec::new();
        for (name, receipts) in names.iter().zip(futures_util::future::join_all(drills).await) {
            match receipts {
                Ok(r) => all.extend(r),
                Err(e) => all.push(ReceiptView::untold(name, &e.message)),
            }
        }
        Ok(all)
    }

    /// Waits until these have an outcome, or a minute has passed.
    async fn outcomes(&self, keys: &[String]) -> Result<Vec<ReceiptView>, ApiError> {
        let (plan, deadline) = (self.context.plan(), tokio::time::Instant::now() + Duration::from_secs(60));
        if !self.running {
            // No engine runs: nothing is sent until one does.
            return Err(ApiError::new(
                ErrorCode::Refused,
                "no engine runs, so nothing is sent: start the window or `watchfloorctl run`, then test again",
            ));
        }
        loop {
            let mut found = Vec::new();
            for key in keys {
                found.extend(self.context.store().notification(key).await?);
            }
            // A failed try that will be made again is an answer, too.
            let settled =
                |n: &wf_model::Notification| n.attempts > 0 && n.state != wf_model::NotificationState::Attempting;
            if found.iter().all(settled) || tokio::time::Instant::now() > deadline {
                return Ok(found.iter().map(|n| ReceiptView::of(n, &plan)).collect());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
