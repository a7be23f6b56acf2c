//! Incidents as they are looked at: the queue, one whole, its messages, and the numbers.

use std::sync::Arc;

use wf_api::ApiError;
use wf_api::views::*;
use wf_engine::views::incident_detail;
use wf_engine::{ActError, Context};
use wf_model::{Incident, IncidentState, Severity};
use wf_response::metrics::{self, Handled};
use wf_store::incidents::IncidentFilter;

use crate::since_when;

/// The queue and what is in it. What is done to incidents is in `act`.
pub struct Incidents {
    pub(crate) context: Arc<Context>,
}

impl Incidents {
    /// Live and lately resolved incidents: live first, the gravest first, the newest first.
    pub async fn list(
        &self,
        state: Option<&str>,
        severity: Option<&str>,
        limit: u32,
    ) -> Result<Vec<IncidentView>, ApiError> {
        let plan = self.context.plan();
        let filter = IncidentFilter {
            live: state == Some("live"),
            state: state
                .filter(|s| *s != "live")
                .map(str::parse::<IncidentState>)
                .transpose()
                .map_err(ApiError::invalid)?,
            severity: severity.map(str::parse::<Severity>).transpose().map_err(ApiError::invalid)?,
        };
        Ok(self
            .context
            .store()
            .incidents(&filter, limit.clamp(1, 100_000))
            .await?
            .iter()
            .map(|i| IncidentView::of(i, &plan))
            .collect())
    }

    /// The queue as the window shows it: the gravest first, then the newest, and how many fit in all. Live ones are in
    /// memory, so ten thousand of them cost no reading.
    pub async fn queue(&self, tab: &str, text: &str, limit: u32) -> Result<IncidentList, ApiError> {
        let (plan, me, limit) =
            (self.context.plan(), self.context.config().operator_name(), limit.clamp(1, 5000) as usize);
        let words: Vec<String> = text.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let mine = |i: &Incident| i.handling.owner.as_ref().or(i.acknowledged_by.as_ref()) == Some(&me);
        let (rows, total) = match tab {
            "live" | "mine" => self.context.ledger.look(|book| {
                let mut fit: Vec<&Incident> =
                    book.live().filter(|i| (tab == "live" || mine(i)) && words.iter().all(|w| fits(i, w))).collect();
                let total = fit.len();
                fit.sort_unstable_by_key(|i| (std::cmp::Reverse(i.severity), std::cmp::Reverse(i.number)));
                fit.truncate(limit);
                (fit.into_iter().cloned().collect::<Vec<_>>(), total)
            }),
            "resolved" => {
                let filter = IncidentFilter { state: Some(IncidentState::Resolved), ..IncidentFilter::default() };
                let mut rows: Vec<Incident> = self
                    .context
                    .store()
                    .incidents(&filter, 5000)
                    .await?
                    .into_iter()
                    .filter(|i| words.iter().all(|w| fits(i, w)))
                    .collect();
                let total = rows.len();
                rows.truncate(limit);
                (rows, total)
            }
            other => return Err(ApiError::invalid(format!("'{other}' is none of live, mine, resolved"))),
        };
        Ok(IncidentList { rows: rows.iter().map(|i| IncidentView::of(i, &plan)).collect(), total: total as u32 })
    }

    pub async fn one(&self, id: &str) -> Result<IncidentDetail, ApiError> {
        incident_detail(&self.context, id).await
    }

    pub async fn receipts(&self, id: &str) -> Result<Vec<ReceiptView>, ApiError> {
        let (incident, plan) = (self.known(id).await?, self.context.plan());
        Ok(self
            .context
            .store()
            .notifications_of(&incident.id)
            .await?
            .iter()
            .map(|n| ReceiptView::of(n, &plan))
            .collect())
    }

    pub(crate) async fn known(&self, id: &str) -> Result<wf_model::Incident, ApiError> {
        Ok(self.context.store().incident(id).await?.ok_or_else(|| ActError::NotFound(id.to_owned()))?)
    }

    // ---- numbers

    /// How it went since a moment: `30d`, or 2026-02-22T22:00:00Z.
    pub async fn metrics(&self, since: Option<&str>) -> Result<MetricsView, ApiError> {
        let since = since_when(since.unwrap_or("30d"), self.context.now())?;
        let (incidents, first) =
            (self.context.store().incidents_since(since).await?, self.context.store().first_actions(since).await?);
        let handled = Handled::all(&incidents, &first);
        let now = self.context.now();
        Ok(MetricsView {
            since: millis(since),
            rows: metrics::metrics(now, &handled).iter().map(MetricsRow::from).collect(),
            formulas: metrics::formulas(),
        })
    }
}

/// Whether an incident fits a word of the filter: `severity:p1`, `entity:…`, `type:…`, or any text in it. The word is
/// in lower case.
fn fits(i: &Incident, word: &str) -> bool {
    let entity = || i.entity.as_ref().map(|e| e.value.to_lowercase()).unwrap_or_default();
    match word.split_once([':', '=']) {
        Some(("severity", value)) => i.severity.as_str().eq_ignore_ascii_case(value),
        Some(("entity", value)) => entity().contains(value),
        Some(("type", value)) => i.kind.to_lowercase().contains(value),
        Some(("owner", value)) => i.handling.owner.as_ref().is_some_and(|o| o.to_lowercase().contains(value)),
        _ => format!(
            "#{} {} {} {} {} {}",
            i.number,
            i.title(),
            i.entity.as_ref().map_or("", |e| &e.value),
            i.kind,
            i.rule_title,
            i.state
        )
        .to_lowercase()
        .contains(word),
    }
}
