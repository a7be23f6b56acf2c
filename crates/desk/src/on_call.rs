//! Who is on call, and who could not be reached.

use std::sync::Arc;
use std::time::Duration;

use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_engine::Context;
use wf_model::{Severity, Timestamp};
use wf_response::{readiness, schedule};

/// How far ahead the rota is shown.
const SHOWN_DAYS: u64 = 28;

/// The rotas and what follows from them.
pub struct OnCall {
    pub(crate) context: Arc<Context>,
}

impl OnCall {
    // ---- on call

    /// Who is on call in every rota at a moment.
    pub fn at(&self, at: Option<&str>) -> Result<Vec<OnCallView>, ApiError> {
        let at = match at {
            Some(text) => Timestamp::parse(text)
                .ok_or_else(|| ApiError::invalid(format!("'{text}' is no moment: write 2026-02-22T22:00:00Z")))?,
            None => self.context.now(),
        };
        let plan = self.context.plan();
        Ok(plan
            .schedules
            .iter()
            .map(|(name, s)| OnCallView::of(name, s, &plan, at, Duration::from_secs(SHOWN_DAYS * 86_400)))
            .collect())
    }

    /// Who could not be reached, in sentences, and the hours behind them.
    pub async fn readiness(&self) -> Result<ReadinessView, ApiError> {
        let (plan, now) = (self.context.plan(), self.context.now());
        tokio::task::spawn_blocking(move || ReadinessView {
            set_up: plan.is_set_up(),
            sentences: readiness::sentences(&plan, now),
            spans: readiness::look_ahead(&plan, now)
                .into_iter()
                .map(|f| ReadinessSpan {
                    severity: f.severity.to_string(),
                    person: f.person.map(|p| plan.name(&p).to_owned()),
                    from: millis(f.from),
                    to: millis(f.to),
                    reachable: f.reachable.as_str().to_owned(),
                    reason: f.reason,
                })
                .collect(),
            policies: Severity::ALL.into_iter().map(|s| PolicyView::of(s, &plan, now)).collect(),
            people: plan.people.keys().map(|id| PersonView::of(id, &plan)).collect(),
        })
        .await
        .map_err(ApiError::failed)
    }

    /// Somebody takes a rota over for a while: written into the config.
    pub async fn add_override(&self, name: &str, person: &str, from: f64, to: f64) -> Result<(), ApiError> {
        self.context.may_change()?;
        let plan = self.context.plan();
        let rota = plan
            .schedules
            .get(name)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no [schedule.{name}]")))?;
        if !plan.people.contains_key(person) {
            return Err(ApiError::invalid(format!("there is no [person.{person}]")));
        }
        let local = |ms: f64| {
            schedule::wall(rota.time_zone, Timestamp::from_millis(ms as i64)).format("%Y-%m-%dT%H:%M").to_string()
        };
        let (from, to) = (local(from), local(to));
        self.context
            .edit_config(format!("override of {name} by {person} from {from} to {to}"), |text, path| {
                wf_config::edit::with_override(text, path, name, person, &from, &to)
            })
            .await
    }
}
