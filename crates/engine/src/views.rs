//! What the engine knows, as it is shown: the same for desks and for reports.

use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_feeds::Tally;
use wf_model::{FeedCounts, FeedName, Gap, Seq};

use crate::Running;
use crate::context::Context;

const RELATED: u32 = 8;
pub const SHOWN_GAPS: u32 = 200;
/// Pieces of an incident that its page shows.
const SHOWN_PIECES: u32 = 500;
const SHOWN_QUARANTINE: u32 = 100;

/// An incident with everything that belongs to it.
///
/// # Errors
/// There is no such incident, or the store fails.
pub async fn incident_detail(context: &Context, id: &str) -> Result<IncidentDetail, ApiError> {
    let (store, plan) = (context.store(), context.plan());
    let incident = store
        .incident(id)
        .await?
        .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no incident '{id}'")))?;
    let seqs: Vec<Seq> = incident.first_events.iter().chain(&incident.last_events).copied().collect();
    let related = store.about_the_same(&incident, RELATED).await?;
    let rule_author = context.state.author_of(&incident.rule);
    Ok(IncidentDetail {
        timeline: store.timeline(&incident.id).await?.iter().map(TimelineView::from).collect(),
        evidence: store.events_by_seq(&seqs).await?.iter().map(EventView::from).collect(),
        rule_author,
        ladder: LadderStep::all(&incident, &plan, context.now()),
        receipts: store.notifications_of(&incident.id).await?.iter().map(|n| ReceiptView::of(n, &plan)).collect(),
        folded: store.folded_page(&incident.id, 0, SHOWN_PIECES).await?.iter().map(FoldedView::from).collect(),
        related: related.iter().map(|i| IncidentView::of(i, &plan)).collect(),
        incident: IncidentView::of(&incident, &plan),
    })
}

// ---- channels and what went over them

/// Every feed that is configured, runs, or left something behind.
///
/// # Errors
/// The store fails.
pub async fn feed_views(context: &Context, running: Option<&Running>, gaps: &[Gap]) -> Result<Vec<FeedView>, ApiError> {
    let config = context.config();
    let stored = context.store().feeds().await?;
    let statuses = running.map(|r| r.feeds.statuses()).unwrap_or_default();
    let tallies = running.map(|r| r.sinks.tallies.lock().clone()).unwrap_or_default();
    // What runs is counted where it happens; what does not run is what is committed.
    let numbers = |name: &FeedName, committed: FeedCounts| {
        tallies.get(name).cloned().unwrap_or_else(|| Tally::since(committed)).numbers()
    };
    let mut names: Vec<FeedName> = stored.iter().map(|f| f.name.clone()).collect();
    names.extend(config.feed.keys().map(|n| FeedName::new(n)));
    names.extend(statuses.keys().cloned());
    names.sort();
    names.dedup();
    Ok(names
        .into_iter()
        .map(|name| {
            let held = stored.iter().find(|f| f.name == name);
            let status = statuses.get(&name);
            let configured = status.map(|(_, c)| c.as_ref()).or_else(|| config.feed.get(name.as_str()));
            let state = match (&status, configured) {
                (Some((s, _)), _) => state_word(s),
                (None, Some(c)) if !c.enabled => "disabled",
                (None, Some(_)) => "not running",
                (None, None) => "removed",
            };
            FeedView {
                state: state.to_owned(),
                since: status.map_or_else(Millis::default, |(s, _)| millis(s.since)),
                detail: status.map(|(s, _)| s.detail.clone()).unwrap_or_default(),
                url: configured.map(|c| c.shown_url()).unwrap_or_default(),
                mapping: configured.map(|c| c.map.names().join(", ")).unwrap_or_default(),
                delivery: configured.map_or("", |c| if c.resumes() { "replay" } else { "best-effort" }).to_owned(),
                counts: Conservation::from(&numbers(&name, held.map(|f| f.counts).unwrap_or_default())),
                last_event: held.map(|f| millis(f.heard_at)),
                cursor: held.and_then(|f| f.position.cursor.clone()),
                epoch: held.and_then(|f| f.position.epoch.clone()),
                connections: status.map_or(0, |(s, _)| s.connections),
                gaps: gaps.iter().filter(|g| g.feed == name).count() as u64,
                name: name.to_string(),
            }
        })
        .collect())
}

/// Every feed, with its newest gaps and what was put aside.
///
/// # Errors
/// The store fails.
pub async fn feeds_view(context: &Context, running: Option<&Running>) -> Result<FeedsView, ApiError> {
    let gaps = context.store().gaps(SHOWN_GAPS).await?;
    let quarantine = context.store().quarantine(SHOWN_QUARANTINE).await?;
    Ok(FeedsView {
        feeds: feed_views(context, running, &gaps).await?,
        gaps: gaps.iter().map(GapView::from).collect(),
        quarantine: quarantine.iter().map(QuarantineView::from).collect(),
        shapes: ShapeView::all(),
    })
}
