//! Events as they are shown: rows, one whole, pages of a search, rates.

use serde::{Deserialize, Serialize};
use specta::Type;
use wf_store::events::StoredEvent;

use super::{Millis, millis};

/// An event as a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct EventView {
    pub seq: u64,
    pub at: Millis,
    pub received_at: Millis,
    pub feed: String,
    pub action: String,
    pub who: String,
    pub source: String,
    pub what: String,
    pub severity: Option<String>,
    pub incident: Option<u32>,
    /// The stamp lay in the future and was not believed.
    pub skewed: bool,
    /// Another event with this id and other content came before.
    pub conflict: bool,
}

impl From<&StoredEvent> for EventView {
    fn from(e: &StoredEvent) -> Self {
        let text = |names: &[&str]| names.iter().find_map(|n| e.fields.get(*n).map(plain)).unwrap_or_default();
        Self {
            seq: e.seq.0,
            at: millis(e.occurred_at),
            received_at: millis(e.received_at),
            feed: e.feed.to_string(),
            action: text(&["event.action"]),
            who: text(&["user.name", "user.email", "user.id"]),
            source: text(&["source.ip", "host.name"]),
            what: what(e),
            severity: e.fields.get("watchfloor.severity").map(plain),
            incident: e.fields.get("watchfloor.incident").and_then(serde_json::Value::as_u64).map(|n| n as u32),
            skewed: e.skewed,
            conflict: e.conflict,
        }
    }
}

pub(super) fn plain(v: &serde_json::Value) -> String {
    match v {
        serde_json::Value::String(s) => s.chars().take(300).collect(),
        other => other.to_string().chars().take(300).collect(),
    }
}

/// What happened, in a few words, from whatever fields there are.
fn what(e: &StoredEvent) -> String {
    let get = |name: &str| e.fields.get(name).map(plain).filter(|s| !s.is_empty());
    let mut parts = Vec::new();
    if let Some(activity) = get("watchfloor.activity").or_else(|| get("url.original")) {
        parts.push(activity);
        parts.extend(get("http.response.status_code"));
    }
    if let Some(n) = get("watchfloor.records_accessed") {
        parts.push(format!("{}{n} records", get("watchfloor.resource").map(|r| format!("{r}, ")).unwrap_or_default()));
    }
    parts.extend(get("event.reason"));
    if parts.is_empty() {
        parts.extend(get("message").or_else(|| get("source.geo.country_iso_code")));
    }
    if parts.is_empty() {
        parts.push(e.raw.chars().take(200).collect());
    }
    parts.join("  ")
}

/// One event, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct EventDetail {
    pub event: EventView,
    pub id: Option<String>,
    /// Field and value, in order of name.
    pub fields: Vec<(String, String)>,
    pub raw: String,
}

impl From<&StoredEvent> for EventDetail {
    fn from(e: &StoredEvent) -> Self {
        let fields = e
            .fields
            .iter()
            .map(|(n, v)| {
                (
                    n.clone(),
                    match v {
                        serde_json::Value::String(s) => s.clone(),
                        other => other.to_string(),
                    },
                )
            })
            .collect();
        Self { event: e.into(), id: e.id.clone(), fields, raw: e.raw.clone() }
    }
}

/// Some of the newest events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct LiveView {
    /// Newest first.
    pub rows: Vec<EventView>,
    pub newest: u64,
    /// How many that fit came since the asked place, shown or not.
    pub fresh: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct EventPage {
    /// What could not be read and may have matched, in sentences.
    pub damaged: Vec<String>,
    /// Newest first.
    pub events: Vec<EventView>,
    /// Pass it to get older ones; `None` at the end.
    pub next: Option<String>,
    pub cancelled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct SearchProgress {
    pub looked_at: u64,
    pub total: u64,
    pub hits: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct RateView {
    pub from: Millis,
    pub total: u64,
    /// P1 first.
    pub matched: Vec<u64>,
}
