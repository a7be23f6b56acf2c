//! Outbound notifications: each channel knows its provider's wire, limits and errors, and nothing about incidents
//! beyond the page it is given.
//!
//! - [`config`] is what `[channel.NAME]` may say, [`traits`] what each kind can do.
//! - [`Channel::send`] makes one attempt and says what came of it; when to try again is decided elsewhere.
//! - [`text`] makes event text inert; every channel uses it. [`http`] is the one client, with its guard against wrong
//!   addresses.
//! - [`inbound`] listens for answers: a button in Telegram or Slack, a code by SMS.
//!
//! - `action` carries out what an officer decided: an HTTP call, a CrowdSec decision. It is delivered as messages are,
//!   so it is never done in secret or forgotten by a crash.
//!
//! A new channel is a module with a config, a pure `message` that builds what is sent, and a pure `outcome` that reads
//! the answer; then a variant of [`config::ChannelConfig`] and a row of [`traits`]: `docs/adding-a-channel.md`.

mod action;
pub mod config;
pub mod connector;
mod discord;
mod email;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod inbound;
mod pagerduty;
mod plain;
mod slack;
mod telegram;
pub mod text;
pub mod traits;
mod twilio;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use wf_model::{Notification, SecretRef, SecretSource};

pub use config::ChannelConfig;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took it.
    Delivered {
        /// What the provider calls it.
        id: Option<String>,
    },
    /// It may go through later.
    Retry {
        reason: String,
        /// Not before this, says the provider.
        after: Option<Duration>,
        /// It may have gone through all the same.
        maybe_sent: bool,
    },
    /// It will not go through until somebody mends something.
    Refused {
        reason: String,
        /// The whole channel is concerned, not this one message or address.
        channel: bool,
    },
}

impl Outcome {
    /// Why it did not go through, in a sentence; empty when it did.
    pub fn sentence(self) -> String {
        match self {
            Self::Delivered { .. } => String::new(),
            Self::Retry { reason, .. } | Self::Refused { reason, .. } => reason,
        }
    }

    pub(crate) fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None, maybe_sent: false }
    }

    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into(), channel: true }
    }
}

/// A channel of the config, ready to send.
#[derive(Clone)]
pub struct Channel {
    config: Arc<ChannelConfig>,
    secrets: Arc<dyn SecretSource>,
}

impl Channel {
    pub fn new(config: Arc<ChannelConfig>, secrets: Arc<dyn SecretSource>) -> Self {
        Self { config, secrets }
    }

    pub fn config(&self) -> &ChannelConfig {
        &self.config
    }

    /// One attempt. Ends within a minute, whatever the other side does.
    pub async fn send(&self, n: &Notification) -> Outcome {
        let attempt = async {
            match &*self.config {
                ChannelConfig::Slack(c) => slack::send(c, self, n).await,
                ChannelConfig::Pagerduty(c) => pagerduty::send(c, self, n).await,
                ChannelConfig::Email(c) => email::send(c, self, n).await,
                ChannelConfig::Sms(c) => twilio::sms(c, self, n).await,
                ChannelConfig::Voice(c) => twilio::call(c, self, n).await,
                ChannelConfig::Discord(c) => discord::send(c, self, n).await,
                ChannelConfig::Telegram(c) => telegram::send(c, self, n).await,
                ChannelConfig::Webhook(c) => webhook::send(c, self, n).await,
                ChannelConfig::Action(c) => action::run(c, self, n).await,
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), attempt).await {
            Ok(Ok(outcome) | Err(outcome)) => outcome,
            Err(_) => Outcome::Retry { reason: "no answer within a minute".into(), after: None, maybe_sent: true },
        }
    }

    /// The keychain may ask the person, so this may take long.
    async fn secret(&self, reference: &SecretRef) -> Result<SecretString, Outcome> {
        let (secrets, reference) = (self.secrets.clone(), reference.clone());
        // A keychain that is locked now may be open at the next attempt.
        tokio::task::spawn_blocking(move || secrets.get(&reference))
            .await
            .map_err(|e| Outcome::retry(e.to_string()))?
            .map_err(Outcome::retry)
    }
}

#[cfg(test)]
mod tests {
    use wf_model::{Destination, IncidentId, Notification, NotificationState, Page, Purpose, Severity, Timestamp};

    pub fn notification() -> Notification {
        Notification {
            key: "0123456789abcdef.1.trigger.1.0.aa".into(),
            incident: Some(IncidentId("0123456789abcdef".into())),
            purpose: Purpose::Trigger,
            severity: Severity::P1,
            step: Some(1),
            round: 0,
            to: Destination { channel: "c".into(), address: "+15005550009".into(), person: Some("anna".into()) },
            page: Page {
                number: 7,
                version: 1,
                thread: "0123456789abcdef".into(),
                title: "47 failed logins from 203.0.113.45".into(),
                kind: "BRUTE_FORCE_ATTACK".into(),
                rule: "Brute force".into(),
                entity: "203.0.113.45".into(),
                entity_field: "source.ip".into(),
                count: 47,
                detected_at: Timestamp::from_millis(1_771_797_600_000),
                remarks: vec!["Step 1 of 3, for Anna".into()],
                code: Some("ABC234".into()),
            },
            created_at: Timestamp::EPOCH,
            due_at: Timestamp::EPOCH,
            state: NotificationState::Queued,
            attempts: 0,
            attempted_at: None,
            delivered_at: None,
            provider_id: None,
            error: None,
            possible_duplicate: false,
        }
    }

    /// Everything an attacker could write into an event.
    pub fn hostile() -> Notification {
        let text = "<!channel> @everyone <@U1> <https://evil.example|bank> [x](https://evil.example) **b** _i_ `c` ||s|| \u{202e}gnp.exe\u{200b} \r\nBcc: x@y \u{1b}[31m & \"q\" </Say>";
        let mut n = notification();
        (n.page.title, n.page.entity, n.page.rule) = (text.into(), text.into(), text.into());
        n
    }
}
