//! Feeds as they are shown: state, counts, gaps, quarantine, and what a test found.

use serde::{Deserialize, Serialize};
use specta::Type;
use wf_feeds::{FeedState, FeedStatus};
use wf_model::{Gap, Quarantined};

use super::event::plain;
use super::{Millis, millis};

/// What was received and what became of it: `received = stored + duplicates + quarantined + filtered + discarded +
/// in_flight`. `received` is counted when a record comes in, the fates when they are committed, `in_flight` is what is
/// held in between.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Type)]
pub struct Conservation {
    pub received: u64,
    pub stored: u64,
    pub duplicates: u64,
    pub quarantined: u64,
    pub filtered: u64,
    pub discarded: u64,
    pub in_flight: u64,
}

impl Conservation {
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.quarantined += other.quarantined;
        self.filtered += other.filtered;
        self.discarded += other.discarded;
        self.in_flight += other.in_flight;
    }

    /// Whether everything that came in is somewhere.
    pub fn holds(&self) -> bool {
        self.received
            == self.stored + self.duplicates + self.quarantined + self.filtered + self.discarded + self.in_flight
    }
}

impl From<&wf_feeds::tally::Numbers> for Conservation {
    fn from(n: &wf_feeds::tally::Numbers) -> Self {
        let c = &n.committed;
        Self {
            received: n.received,
            stored: c.stored,
            duplicates: c.duplicates,
            quarantined: c.quarantined,
            filtered: c.filtered,
            discarded: c.discarded,
            in_flight: n.in_flight,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct FeedView {
    pub name: String,
    /// `connecting`, `live`, `waiting`, `stopped`, `disabled`, `removed`.
    pub state: String,
    pub since: Millis,
    pub detail: String,
    pub url: String,
    pub mapping: String,
    /// `replay` or `best-effort`.
    pub delivery: String,
    pub counts: Conservation,
    pub last_event: Option<Millis>,
    pub cursor: Option<String>,
    pub epoch: Option<String>,
    pub connections: u64,
    pub gaps: u64,
}

pub fn state_word(status: &FeedStatus) -> &'static str {
    match status.state {
        FeedState::Connecting => "connecting",
        FeedState::Live => "live",
        FeedState::Waiting => "waiting",
        FeedState::Stopped => "stopped",
        FeedState::Disabled => "disabled",
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct GapView {
    pub feed: String,
    pub from: Millis,
    pub to: Millis,
    pub reason: String,
    pub estimated: Option<u64>,
}

impl From<&Gap> for GapView {
    fn from(g: &Gap) -> Self {
        Self {
            feed: g.feed.to_string(),
            from: millis(g.from),
            to: millis(g.to),
            reason: g.reason.as_str().to_owned(),
            estimated: g.estimated,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct QuarantineView {
    pub feed: String,
    pub at: Millis,
    pub error: String,
    /// The beginning, made visible.
    pub text: String,
    pub length: u64,
    pub sha256: String,
    pub cursor: Option<String>,
}

impl From<&Quarantined> for QuarantineView {
    fn from(q: &Quarantined) -> Self {
        let text: String = String::from_utf8_lossy(&q.raw).chars().take(500).collect();
        Self {
            feed: q.feed.to_string(),
            at: millis(q.at),
            error: q.error.clone(),
            text: wf_model::text::visible(&text).into_owned(),
            length: q.length,
            sha256: q.sha256.clone(),
            cursor: q.cursor.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct FeedsView {
    pub feeds: Vec<FeedView>,
    pub gaps: Vec<GapView>,
    pub quarantine: Vec<QuarantineView>,
    /// What one that is added may speak.
    pub shapes: Vec<ShapeView>,
}

/// What a feed may speak, with the mappings that read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ShapeView {
    /// As `add_feed` takes them: names with commas between.
    pub mapping: String,
    pub title: String,
}

impl ShapeView {
    /// Of every mapping that ships.
    pub fn all() -> Vec<Self> {
        wf_feeds::mapping::SHAPES
            .iter()
            .map(|(names, title)| Self { mapping: names.join(","), title: (*title).to_owned() })
            .collect()
    }
}

/// What a test of a feed found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ProbeView {
    pub connected: bool,
    pub problem: Option<String>,
    pub tls: Option<String>,
    pub delivery: String,
    pub cursor: Option<String>,
    pub frames: Vec<ProbeFrameView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ProbeFrameView {
    pub bytes: u64,
    pub text: String,
    /// Field and value of each event in it.
    pub events: Vec<Vec<(String, String)>>,
    pub quarantined: Vec<String>,
}

impl From<wf_feeds::probe::Probe> for ProbeView {
    fn from(p: wf_feeds::probe::Probe) -> Self {
        let fields = |e: &serde_json::Value| {
            e["fields"].as_object().into_iter().flatten().map(|(n, v)| (n.clone(), plain(v))).collect()
        };
        Self {
            connected: p.connected,
            problem: p.problem,
            tls: p.tls,
            delivery: p.delivery.to_owned(),
            cursor: p.cursor,
            frames: p
                .frames
                .iter()
                .map(|f| ProbeFrameView {
                    bytes: f.bytes as u64,
                    text: f.text.clone(),
                    events: f.events.iter().map(fields).collect(),
                    quarantined: f.quarantined.clone(),
                })
                .collect(),
        }
    }
}
