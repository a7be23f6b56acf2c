//! Feeds that should have spoken by now.

use std::collections::BTreeMap;

use wf_feeds::FeedState;
use wf_model::{Contribution, Entity, FeedName, Match, Message, Part, Severity};
use wf_store::StoreError;

use crate::context::Context;
use crate::feeds::FeedControl;

/// Feeds that should have spoken by now. A feed is told of once; it counts again after it spoke.
pub(crate) async fn silent_feeds(
    context: &Context,
    feeds: &dyn FeedControl,
    silent: &mut BTreeMap<FeedName, bool>,
) -> Result<Vec<Match>, StoreError> {
    let limits: Vec<_> = feeds
        .statuses()
        .into_iter()
        .filter_map(|(name, (status, config))| Some((name, status, config.silence?)))
        .filter(|(_, status, _)| status.state != FeedState::Disabled)
        .collect();
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let now = context.now();
    let stored = context.ledger.store().feeds().await?;
    let mut matches = Vec::new();
    for (name, status, limit) in limits {
        let heard =
            stored.iter().find(|f| f.name == name).map_or(status.since, |f| f.heard_at.max(status.since.min(now)));
        let is_silent = now.since(heard) >= limit;
        let was = silent.insert(name.clone(), is_silent).unwrap_or(false);
        if is_silent && !was {
            matches.push(Match {
                rule: "watchfloor.feed-silent".into(),
                title: "Feed silent".into(),
                kind: "FEED_SILENT".into(),
                severity: Severity::P2,
                entity: Some(Entity { field: "feed".into(), value: name.to_string() }),
                at: now,
                first_at: now,
                count: 1,
                value: 1,
                contribution: Contribution::Fired,
                message: Message(vec![Part::Text(format!(
                    "Feed {name} has been silent for {} min: nothing of it can be detected",
                    limit.as_secs().div_ceil(60)
                ))]),
                actions: vec!["check_feed".into()],
                events: vec![],
                feeds: vec![name],
            });
        }
    }
    Ok(matches)
}
