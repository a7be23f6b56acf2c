//! What is known of a channel: whether it was seen to work.

use crate::Timestamp;

/// The standing of a channel, by its name in the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelStanding {
    pub name: String,
    /// When a message last went through.
    pub worked_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    /// Why nothing will go through until somebody mends it.
    pub broken: Option<String>,
    /// Where an answering channel was read up to.
    pub cursor: Option<String>,
}
