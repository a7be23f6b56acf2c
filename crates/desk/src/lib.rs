//! What officers do: one small service a subject.
//!
//! Each looks at what the engine has committed and sends changes to the ledger; none knows another's data. A new action
//! on incidents goes into `act`; a new picture of the state is made in the service of its subject from types of `api`.

mod act;
mod channels;
mod feeds;
mod incidents;
mod on_call;
mod overview;
mod search;
mod silences;
mod threat;

use std::sync::Arc;

use wf_api::ApiError;
use wf_engine::{Context, Running};
use wf_model::Timestamp;

pub use channels::Channels;
pub use feeds::Feeds;
pub use incidents::Incidents;
pub use on_call::OnCall;
pub use overview::Overview;
pub use search::Search;
pub use silences::Silences;

/// Every service of the officer's desk.
pub struct Desk {
    pub incidents: Incidents,
    pub search: Search,
    pub silences: Silences,
    pub on_call: OnCall,
    pub channels: Channels,
    pub feeds: Arc<Feeds>,
    pub overview: Overview,
}

impl Desk {
    /// `running`: `None` on a disk where no engine runs.
    pub fn new(context: &Arc<Context>, running: Option<Running>) -> Self {
        let feeds = Arc::new(Feeds { context: context.clone(), running: running.clone() });
        Self {
            incidents: Incidents { context: context.clone() },
            search: Search { context: context.clone() },
            silences: Silences { context: context.clone() },
            on_call: OnCall { context: context.clone() },
            channels: Channels { context: context.clone(), running: running.is_some() },
            overview: Overview { context: context.clone(), running, feeds: feeds.clone() },
            feeds,
        }
    }
}

/// A moment: a span before `now`, or a time of day.
pub(crate) fn since_when(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    if let Ok(span) = wf_model::span::parse_span(text) {
        return Ok(now - span);
    }
    Timestamp::parse(text).ok_or_else(|| {
        ApiError::invalid(format!("'{text}' is neither a moment (2026-02-22T22:00:00Z) nor a span (15m, 24h, 7d)"))
    })
}
