//! Silences: what they hide, and who made them.

use std::collections::BTreeMap;
use std::sync::Arc;

use wf_api::ApiError;
use wf_api::views::*;
use wf_config::parse_span;
use wf_engine::Context;
use wf_model::Matcher;
use wf_response::silence;

/// Adds silences and ends them.
pub struct Silences {
    pub(crate) context: Arc<Context>,
}

impl Silences {
    // ---- silences

    pub async fn all(&self) -> Result<Vec<SilenceView>, ApiError> {
        let now = self.context.now();
        let hidden: BTreeMap<String, u32> = self.context.ledger.look(|book| {
            let mut hidden = BTreeMap::new();
            for i in book.live() {
                if let Some(s) = &i.handling.silenced_by {
                    *hidden.entry(s.clone()).or_insert(0) += 1;
                }
            }
            hidden
        });
        Ok(self
            .context
            .store()
            .silences(500)
            .await?
            .iter()
            .map(|s| SilenceView::of(s, now, hidden.get(&s.id).copied().unwrap_or(0)))
            .collect())
    }

    /// Live incidents a silence would fit, so that nobody hides more than they mean.
    pub fn preview(&self, matcher: &MatcherView) -> Result<Vec<IncidentView>, ApiError> {
        let (matcher, plan) = (Matcher::try_from(matcher).map_err(ApiError::invalid)?, self.context.plan());
        let mut hit = self
            .context
            .ledger
            .look(|book| book.live().filter(|i| !matcher.is_empty() && matcher.fits(i)).cloned().collect::<Vec<_>>());
        hit.sort_by_key(|i| std::cmp::Reverse(i.number));
        Ok(hit.iter().take(500).map(|i| IncidentView::of(i, &plan)).collect())
    }

    pub async fn add(&self, matcher: &MatcherView, reason: &str, length: &str) -> Result<Vec<SilenceView>, ApiError> {
        self.context.may_change()?;
        let (now, who, matcher) =
            (self.context.now(), self.context.operator(), Matcher::try_from(matcher).map_err(ApiError::invalid)?);
        let length = parse_span(length).map_err(ApiError::invalid)?;
        let reason = reason.to_owned();
        let mut bytes = [0u8; 4];
        getrandom::fill(&mut bytes).map_err(ApiError::failed)?;
        let id: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let changes =
            self.context.ledger.change(move |_| silence::add(now, &who, id, matcher, &reason, now + length)).await?;
        self.context.tell(changes);
        self.all().await
    }

    pub async fn end(&self, id: &str) -> Result<Vec<SilenceView>, ApiError> {
        self.context.may_change()?;
        let (now, who, id) = (self.context.now(), self.context.operator(), id.to_owned());
        let changes = self.context.ledger.change(move |book| silence::end(now, &who, book, &id)).await?;
        self.context.tell(changes);
        self.all().await
    }
}
