//! `[dead_man]` of the config.

use std::time::Duration;

use serde::Deserialize;
use wf_model::SecretRef;

/// An address outside that is asked for while all is well: a heartbeat monitor there raises the alarm when nothing
/// comes any more.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadMan {
    /// The address, which is a secret: whoever has it can keep the alarm quiet.
    pub url: SecretRef,
    /// How often it is asked for while all is well.
    #[serde(default = "minute", deserialize_with = "wf_model::span::span")]
    pub every: Duration,
    /// As in a webhook: hosts that may be on a private network.
    #[serde(default)]
    pub allow: Vec<String>,
}

const fn minute() -> Duration {
    Duration::from_secs(60)
}
