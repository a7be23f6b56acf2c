//! Feeds: how they do, a test of one, and changes to them.

use std::sync::Arc;
use std::time::Duration;

use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_engine::views::{feed_views, feeds_view};
use wf_engine::{Context, Running};
use wf_model::{FeedName, Gap};

/// The subscriptions, as an officer sees them.
pub struct Feeds {
    pub(crate) context: Arc<Context>,
    pub(crate) running: Option<Running>,
}

impl Feeds {
    pub async fn all(&self) -> Result<FeedsView, ApiError> {
        feeds_view(&self.context, self.running.as_ref()).await
    }

    pub(crate) async fn views(&self, gaps: &[Gap]) -> Result<Vec<FeedView>, ApiError> {
        feed_views(&self.context, self.running.as_ref(), gaps).await
    }

    /// Connects once to a configured feed and shows what came of it. Nothing is stored.
    pub async fn test(&self, name: &str) -> Result<wf_feeds::probe::Probe, ApiError> {
        let config = self.context.config();
        let demo = self.running.as_ref().and_then(|r| r.feeds.statuses().remove(&FeedName::new(name)).map(|(_, c)| c));
        let feed = config
            .feed
            .get(name)
            .cloned()
            .map(Arc::new)
            .or(demo)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no [feed.{name}]")))?;
        let mappings = config.mappings_of(&feed).map_err(ApiError::invalid)?;
        Ok(wf_feeds::probe::probe(feed, mappings, self.context.secrets(), Duration::from_secs(10)).await)
    }

    /// Starts a feed again that stopped.
    pub fn restart(&self, name: &str) -> Result<(), ApiError> {
        self.context.may_change()?;
        let running = self.running.as_ref().ok_or_else(|| ApiError::new(ErrorCode::Refused, "no engine runs"))?;
        running.feeds.restart(&FeedName::new(name)).map_err(|e| ApiError::new(ErrorCode::NotFound, e))
    }

    /// Writes `[feed.NAME]` into the config; it is taken up within seconds.
    pub async fn add(&self, name: &str, url: &str, mapping: &str) -> Result<(), ApiError> {
        if self.context.config().feed.contains_key(name) {
            return Err(ApiError::new(ErrorCode::Refused, format!("there is a feed '{name}' already")));
        }
        let maps: Vec<&str> = mapping.split(',').map(str::trim).filter(|m| !m.is_empty()).collect();
        let mut table = toml_edit::DocumentMut::new();
        table["url"] = toml_edit::value(url);
        table["map"] = match maps.as_slice() {
            [one] => toml_edit::value(*one),
            several => toml_edit::value(several.iter().copied().collect::<toml_edit::Array>()),
        };
        self.context
            .edit_config(format!("add feed {name}"), |text, path| {
                wf_config::edit::with_feed(text, path, name, &table.to_string())
            })
            .await
    }

    /// Switches the demo feed on.
    pub async fn try_demo(&self) -> Result<(), ApiError> {
        self.context.edit_config("demo on".into(), |text, path| wf_config::edit::with_demo(text, path, true)).await
    }
}
