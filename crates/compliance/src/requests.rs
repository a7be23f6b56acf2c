//! Requests of data subjects: looked at, taken a step further, answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_evidence::tree::hex;
use wf_model::Actor;
use wf_privacy::Refused;
use wf_privacy::request::{self, Act, Receipt, Request, RequestKind};

use crate::records::*;
use crate::subjects::Subjects;

/// The requests, and what carries them out.
pub struct Requests {
    pub(crate) records: Arc<Records>,
    pub(crate) subjects: Arc<Subjects>,
}

impl Requests {
    // ---- looking

    pub(crate) fn request_view(&self, r: Request, known: &[Request]) -> RequestView {
        let at = self.records.right_now(Actor::Engine);
        let deadline = r.deadline(&at.calendar, at.today);
        let similar = request::duplicate_of(
            r.kind,
            &r.subject_keys,
            r.received,
            known.iter().filter(|k| k.number < r.number),
            DUPLICATE_MONTHS,
        )
        .map(|k| k.number)
        .filter(|_| r.state.is_open());
        RequestView {
            due: deadline.due.to_string(),
            due_reasoning: deadline.reasoning,
            days_left: (deadline.due - at.today).num_days() as i32,
            late: r.is_late(&at.calendar, at.today),
            clock_stopped: r.clock_stopped(),
            open: r.state.is_open(),
            article: r.kind.article().to_owned(),
            may_be_duplicate_of: similar,
            approvals_needed: if r.kind == RequestKind::Deletion {
                self.records.context.config().privacy.approvals
            } else {
                1
            },
            request: r,
        }
    }

    /// Requests: open ones by due date, then the closed ones, the newest first.
    pub async fn all(&self) -> Result<Vec<RequestView>, ApiError> {
        let all: Vec<Request> = self.records.all_records(REQUESTS, None, SHOWN).await?;
        let mut views: Vec<RequestView> = all.iter().map(|r| self.request_view(r.clone(), &all)).collect();
        views.sort_by(|a, b| {
            b.open
                .cmp(&a.open)
                .then_with(|| if a.open { a.due.cmp(&b.due) } else { b.request.closed_at.cmp(&a.request.closed_at) })
        });
        Ok(views)
    }

    pub async fn one(&self, number: u64) -> Result<RequestView, ApiError> {
        let r: Request = self.records.one_record(REQUESTS, number).await?;
        let all: Vec<Request> = self.records.all_records(REQUESTS, None, SHOWN).await?;
        Ok(self.request_view(r, &all))
    }

    pub(crate) async fn request_step(
        &self,
        number: u64,
        at: &Now,
        action: &str,
        step: impl FnOnce(&Request, &Act<'_>) -> Result<Request, Refused>,
    ) -> Result<RequestView, ApiError> {
        let r: Request = self.records.one_record(REQUESTS, number).await?;
        let r = step(&r, &at.act())?;
        self.records.keep_request(&r, at, action).await?;
        self.one(number).await
    }

    /// The subject of a deletion was answered: what came in meanwhile is erased, too, and then who they are is
    /// forgotten.
    pub(crate) async fn complete_deletion(&self, number: u64, at: &Now, note: &str) -> Result<RequestView, ApiError> {
        let _one =
            self.records.work.working.try_lock().map_err(|_| {
                ApiError::new(ErrorCode::Refused, "something else is under way; try again when it is done")
            })?;
        let r: Request = self.records.one_record(REQUESTS, number).await?;
        // Refused before anything is done, if a system has not confirmed yet.
        r.advance(&at.act(), note)?;
        let wanted = self.wanted(&r).await?;
        self.records.work.begin(&format!("Request #{number}: erasing what came in since"));
        let erased = self.subjects.erase(&wanted, &mut |_| {}).await;
        self.records.work.end();
        erased?;
        let _change = self.records.work.changing.lock().await;
        let r: Request = self.records.one_record(REQUESTS, number).await?;
        let done = r.advance(&at.act(), note)?;
        // Whatever was written by hand may name them.
        let text = serde_json::to_string(&done).map_err(ApiError::failed)?;
        let done: Request = wanted
            .finder
            .replace_typed(&text, wf_privacy::subject::ERASED)
            .map_or(Ok(done), |t| serde_json::from_str(&t).map_err(ApiError::failed))?;
        self.records.keep_request(&done, at, "privacy.request.advance").await?;
        self.subjects.empty_log().await?;
        self.one(number).await
    }

    pub(crate) async fn call_connector(&self, number: u64, system: &str, at: &Now) -> Result<RequestView, ApiError> {
        let r: Request = self.records.one_record(REQUESTS, number).await?;
        if r.identity.is_none() {
            return Err(ApiError::new(ErrorCode::Refused, "other systems are told once the identity is verified"));
        }
        let config = self.records.context.config();
        let connector = config
            .connector
            .get(system)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no [connector.{system}]")))?;
        let mut known: BTreeMap<String, String> = wf_privacy::subject::IdentifierKind::ALL
            .iter()
            .map(|k| {
                (
                    format!("{{{}}}", k.as_str()),
                    r.subject.iter().filter(|i| i.kind == *k).map(|i| i.value.clone()).collect::<Vec<_>>().join(","),
                )
            })
            .collect();
        known.insert("{type}".into(), r.kind.as_str().into());
        known.insert("{number}".into(), number.to_string());
        let key = format!("watchfloor-request-{number}-{system}");
        let answer =
            connector.call(&*self.records.context.secrets(), &known, &key).await.map(|(status, body)| Receipt {
                at: self.records.context.now(),
                by: at.act().by.to_owned(),
                text: format!("HTTP {status}, {} bytes", body.len()),
                sha256: Some(hex(&Sha256::digest(body.as_bytes()))),
            });
        let r = r.task_answered(&at.act(), system, answer)?;
        self.records.keep_request(&r, at, "privacy.request.connector").await?;
        self.one(number).await
    }
}
