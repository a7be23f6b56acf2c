//! The bookkeeping of a feed: where it stands, what was counted, what is missing.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The name of a feed, as in `[feed.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeedName(Arc<str>);

impl FeedName {
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where to resume: the cursor the server gave with the last committed event, and the epoch it is valid in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    pub epoch: Option<String>,
    pub cursor: Option<String>,
}

/// What happened to everything a feed received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedCounts {
    /// Every record that came: events, and frames that could not be read as any.
    pub received: u64,
    pub stored: u64,
    /// Seen before, by id and content.
    pub duplicates: u64,
    /// Could not be read; kept aside.
    pub quarantined: u64,
    /// Left out on purpose: control frames and what `decode.ignore` names.
    pub filtered: u64,
    /// Shed under overload. Each run of these has a gap.
    pub discarded: u64,
}

impl FeedCounts {
    /// How many have a fate. Equal to `received` in everything that is handed over and committed.
    pub fn settled(&self) -> u64 {
        self.stored + self.duplicates + self.quarantined + self.filtered + self.discarded
    }

    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.quarantined += other.quarantined;
        self.filtered += other.filtered;
        self.discarded += other.discarded;
    }
}

/// Why a stretch of a feed may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The connection was down and the server cannot replay.
    Disconnected,
    /// The server said that it could not replay from our cursor.
    NotRecovered,
    /// The server began a new epoch: its numbering restarted.
    EpochChanged,
    /// Events were shed because the engine could not keep up.
    Overload,
    /// A frame that could not be read was stepped past.
    PoisonFrame,
}

impl GapReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::NotRecovered => "not_recovered",
            Self::EpochChanged => "epoch_changed",
            Self::Overload => "overload",
            Self::PoisonFrame => "poison_frame",
        }
    }

    pub fn parse(s: &str) -> Option<Self> {
        [Self::Disconnected, Self::NotRecovered, Self::EpochChanged, Self::Overload, Self::PoisonFrame]
            .into_iter()
            .find(|r| r.as_str() == s)
    }
}

/// A stretch of a feed in which something may be missing. A hole is never silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub feed: FeedName,
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: GapReason,
    /// How many events are thought to be missing, where that can be known.
    pub estimated: Option<u64>,
}

/// Input that could not be read, kept aside with what is needed to find out why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    pub feed: FeedName,
    pub at: Timestamp,
    /// Where it stopped: what was expected and what came.
    pub error: String,
    /// The input, cut to 64 KiB.
    pub raw: Vec<u8>,
    /// The length before it was cut, in bytes.
    pub length: u64,
    /// SHA-256 of the whole input, in hex.
    pub sha256: String,
    /// The feed's cursor when it came.
    pub cursor: Option<String>,
}
