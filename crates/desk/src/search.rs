//! Events: the newest as they come, one whole, and the search over everything stored.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::json;
use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_engine::Context;
use wf_model::{Seq, Timestamp};
use wf_store::events::{Most, Progress, Query};

use crate::since_when;

/// What one answer may hold: it is copied some times on its way, beside the engine that watches. What is left comes with
/// the next page.
const PAGE: Most = Most { events: 100_000, bytes: 16 << 20 };

/// Looks events up.
pub struct Search {
    pub(crate) context: Arc<Context>,
}

impl Search {
    /// One event, whole.
    pub async fn event(&self, seq: f64) -> Result<EventDetail, ApiError> {
        let found = self.context.store().events_by_seq(&[Seq(seq.max(0.0) as u64)]).await?;
        found
            .first()
            .map(EventDetail::from)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "this event is not stored any more"))
    }

    /// The newest events after `after` that fit `query`; at most a screenful.
    pub fn pull(&self, after: f64, limit: u32, query: &str) -> Result<LiveView, ApiError> {
        let query = Query::parse(query).map_err(ApiError::invalid)?;
        let pulled = self.context.recent.pull(after.max(0.0) as u64, limit.min(500) as usize, &query);
        Ok(LiveView {
            rows: pulled.events.iter().map(EventView::from).collect(),
            newest: pulled.newest,
            fresh: pulled.fresh,
        })
    }

    /// Stored events, newest first; fewer than `limit` where they are large.
    pub async fn search(
        &self,
        query: &str,
        since: Option<f64>,
        after: Option<&str>,
        limit: u32,
        cancel: &AtomicBool,
        progress: impl FnMut(SearchProgress) + Send,
    ) -> Result<EventPage, ApiError> {
        let mut query = Query::parse(query).map_err(ApiError::invalid)?;
        query.since = since.map(|ms| Timestamp::from_millis(ms as i64));
        let found = self.find(&query, after, limit, cancel, progress).await?;
        Ok(EventPage {
            events: found.events.iter().map(EventView::from).collect(),
            next: found.next.map(|s| s.0.to_string()),
            cancelled: found.cancelled,
            damaged: found.damaged.iter().map(ToString::to_string).collect(),
        })
    }

    async fn find(
        &self,
        query: &Query,
        after: Option<&str>,
        limit: u32,
        cancel: &AtomicBool,
        mut progress: impl FnMut(SearchProgress) + Send,
    ) -> Result<wf_store::events::Found, ApiError> {
        let before = after
            .map(|a| {
                a.parse().map(Seq).map_err(|_| ApiError::invalid(format!("'{a}' is not a cursor of an earlier page")))
            })
            .transpose()?;
        let told =
            |p: Progress| progress(SearchProgress { looked_at: p.looked_at, total: p.total, hits: p.hits as u64 });
        let most = Most { events: (limit.max(1) as usize).min(PAGE.events), ..PAGE };
        Ok(self.context.store().search_within(query, before, most, cancel, told).await?)
    }

    /// For scripts: events with all their fields, and where to go on. Fewer than `limit` where they are large.
    pub async fn for_tools(
        &self,
        query: &str,
        since: Option<&str>,
        limit: u32,
        after: Option<&str>,
    ) -> Result<serde_json::Value, ApiError> {
        let mut query = Query::parse(query).map_err(ApiError::invalid)?;
        query.since = since.map(|s| since_when(s, self.context.now())).transpose()?;
        let found = self.find(&query, after, limit, &AtomicBool::new(false), |_| {}).await?;
        let events: Vec<_> = found
            .events
            .iter()
            .map(|e| {
                json!({
                    "seq": e.seq.0, "feed": e.feed, "id": e.id, "occurred_at": e.occurred_at.rfc3339(), "received_at": e.received_at.rfc3339(),
                    "skewed": e.skewed, "conflict": e.conflict, "fields": e.fields, "raw": e.raw,
                })
            })
            .collect();
        Ok(json!({ "events": events, "next": found.next.map(|s| s.0.to_string()),
            "damaged": found.damaged.iter().map(ToString::to_string).collect::<Vec<_>>() }))
    }

    pub async fn rates(&self, span_minutes: u32, buckets: u32) -> Result<Vec<RateView>, ApiError> {
        let now = self.context.now();
        let bucket = i64::from((span_minutes / buckets.clamp(1, 2000)).max(1));
        let from = now - Duration::from_secs(u64::from(span_minutes) * 60);
        Ok(self
            .context
            .store()
            .rates(from, now, bucket)
            .await?
            .into_iter()
            .map(|b| RateView { from: millis(b.from), total: b.total, matched: b.matched.to_vec() })
            .collect())
    }
}
