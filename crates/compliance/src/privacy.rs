//! The privacy officer's desk: the board, and everything that can be done from it.
//!
//! What is allowed and when it is due is `wf_privacy`'s business; here it is carried out on what Watchfloor holds, and
//! recorded.

use std::sync::Arc;

use serde_json::json;
use wf_api::views::*;
use wf_api::{ApiError, PrivacyAction, for_tools};
use wf_model::Actor;
use wf_privacy::Entry;
use wf_privacy::activity::{self, Activity};
use wf_privacy::consent::{self, Consent, Standing};
use wf_privacy::request::{self, Correction, New, Request, RequestKind, RequestState, StopGround};
use wf_privacy::retention::Hold;
use wf_privacy::subject::Identifier;

use crate::approvals::Approvals;
use crate::breaches::Breaches;
use crate::records::*;
use crate::requests::Requests;
use crate::retention::Retention;

/// What a privacy officer does.
pub struct Privacy {
    pub(crate) records: Arc<Records>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) breaches: Arc<Breaches>,
    pub(crate) retention: Arc<Retention>,
    pub(crate) approvals: Arc<Approvals>,
}

impl Privacy {
    /// Everything the desk shows at once.
    pub async fn board(&self) -> Result<PrivacyBoard, ApiError> {
        let at = self.records.right_now(Actor::Engine);
        let consents: Vec<Consent> = self.records.all_records(CONSENTS, None, 200_000).await?;
        let standing = |s: Standing| consents.iter().filter(|c| c.standing(at.today) == s).count() as u32;
        Ok(PrivacyBoard {
            requests: self.requests.all().await?,
            breaches: self.breaches.all().await?,
            valid_consents: standing(Standing::Valid),
            expired_consents: standing(Standing::Expired),
            withdrawn_consents: standing(Standing::Withdrawn),
            consents: consents
                .iter()
                .take(500)
                .map(|c| ConsentView { standing: c.standing(at.today).as_str().to_owned(), consent: c.clone() })
                .collect(),
            activities: self.records.all_records(ACTIVITIES, None, 1000).await?,
            holds: self.records.all_records(HOLDS, None, 1000).await?,
            approvers: self.approvals.approvers(),
            contact: self.records.context.config().privacy.contact.clone(),
            today: at.today.to_string(),
            connectors: self.records.context.config().connector.keys().cloned().collect(),
        })
    }

    // ---- acting

    /// Does what the privacy officer asks for. Gives the record as it is then.
    pub async fn act(&self, action: &PrivacyAction) -> Result<serde_json::Value, ApiError> {
        self.records.context.may_change()?;
        let at = self.records.right_now(self.records.context.operator());
        // What takes long waits for nobody and holds nobody up; it has a lock of its own.
        match action {
            PrivacyAction::Execute { request } => {
                return for_tools(&self.requests.execute(*request, &at).await?);
            }
            PrivacyAction::RunRetention { approver, code } => {
                return self.retention.purge(&at, approver.as_deref(), code.as_deref()).await;
            }
            PrivacyAction::Advance { request, note } => {
                let r: Request = self.records.one_record(REQUESTS, *request).await?;
                if r.kind == RequestKind::Deletion && r.state == RequestState::Executed {
                    let note = note.as_deref().unwrap_or_default();
                    return for_tools(&self.requests.complete_deletion(*request, &at, note).await?);
                }
            }
            _ => {}
        }
        let _one = self.records.work.changing.lock().await;
        let shown = |v: RequestView| for_tools(&v);
        match action {
            PrivacyAction::AddRequest { kind, received, subject, contact, note, corrections } => {
                let kind: RequestKind = kind.parse().map_err(invalid)?;
                let received = received.as_deref().map(day).transpose()?.unwrap_or(at.today);
                let subject = Identifier::parse_all(subject).map_err(invalid)?;
                let corrections = corrections
                    .iter()
                    .map(|[field, old, new]| Correction { field: field.clone(), old: old.clone(), new: new.clone() })
                    .collect();
                let new = New {
                    number: self.records.context.store().next_record(REQUESTS).await?,
                    kind,
                    received,
                    subject_keys: self.records.subject_keys(&subject),
                    subject,
                    contact: contact.clone().unwrap_or_default(),
                    note: note.clone().unwrap_or_default(),
                    corrections,
                };
                let mut r = Request::register(&at.act(), new).map_err(invalid)?;
                for (name, c) in &self.records.context.config().connector {
                    if c.kinds.is_empty() || c.kinds.iter().any(|k| k == kind.as_str()) {
                        r = Request { version: r.version, ..r.add_task(&at.act(), name, &c.owner, true)? };
                    }
                }
                self.records.keep_request(&r, &at, "privacy.request.add").await?;
                shown(self.requests.one(r.number).await?)
            }
            PrivacyAction::Advance { request, note } => self
                .requests
                .request_step(*request, &at, "privacy.request.advance", |r, a| {
                    r.advance(a, note.as_deref().unwrap_or_default())
                })
                .await
                .and_then(shown),
            PrivacyAction::Ask { request, question } => self
                .requests
                .request_step(*request, &at, "privacy.request.ask", |r, a| r.ask(a, question))
                .await
                .and_then(shown),
            PrivacyAction::StopClock { request, ground, reason } => {
                let ground: StopGround = ground.parse().map_err(invalid)?;
                self.requests
                    .request_step(*request, &at, "privacy.request.stop_clock", |r, a| r.stop_clock(a, ground, reason))
                    .await
                    .and_then(shown)
            }
            PrivacyAction::StartClock { request } => self
                .requests
                .request_step(*request, &at, "privacy.request.start_clock", |r, a| r.start_clock(a))
                .await
                .and_then(shown),
            PrivacyAction::Extend { request, reason, notified } => {
                let notified = notified.as_deref().map(day).transpose()?.unwrap_or(at.today);
                self.requests
                    .request_step(*request, &at, "privacy.request.extend", |r, a| r.extend(a, reason, notified))
                    .await
                    .and_then(shown)
            }
            PrivacyAction::Refuse { request, reason } => self
                .requests
                .request_step(*request, &at, "privacy.request.refuse", |r, a| r.refuse(a, reason))
                .await
                .and_then(shown),
            PrivacyAction::Withdraw { request, note } => self
                .requests
                .request_step(*request, &at, "privacy.request.withdraw", |r, a| {
                    r.withdraw(a, note.as_deref().unwrap_or_default())
                })
                .await
                .and_then(shown),
            PrivacyAction::Duplicate { request, of } => {
                let of: Request = self.records.one_record(REQUESTS, *of).await?;
                self.requests
                    .request_step(*request, &at, "privacy.request.duplicate", |r, a| r.duplicate(a, &of))
                    .await
                    .and_then(shown)
            }
            PrivacyAction::Correct { request, field, old, new } => {
                let c = Correction { field: field.clone(), old: old.clone(), new: new.clone() };
                self.requests
                    .request_step(*request, &at, "privacy.request.correct", |r, a| r.correct(a, c))
                    .await
                    .and_then(shown)
            }
            PrivacyAction::AddTask { request, system, owner } => self
                .requests
                .request_step(*request, &at, "privacy.request.task", |r, a| r.add_task(a, system, owner, false))
                .await
                .and_then(shown),
            PrivacyAction::TaskDone { request, system, receipt } => {
                let receipt = request::Receipt { at: at.now, by: at.name.clone(), text: receipt.clone(), sha256: None };
                self.requests
                    .request_step(*request, &at, "privacy.request.task_done", |r, a| {
                        r.task_answered(a, system, Ok(receipt))
                    })
                    .await
                    .and_then(shown)
            }
            PrivacyAction::CallConnector { request, system } => {
                shown(self.requests.call_connector(*request, system, &at).await?)
            }
            PrivacyAction::Approve { request, approver, code } => {
                let r: Request = self.records.one_record(REQUESTS, *request).await?;
                // A code is used up by looking at it: what could not be approved anyway does not cost one.
                r.approve(&at.act(), "\u{0}", &at.name)?;
                let name = self.approvals.approved_by(approver, code, at.now).await?;
                self.requests
                    .request_step(*request, &at, "privacy.request.approve", |r, a| r.approve(a, &name, a.by))
                    .await
                    .and_then(shown)
            }
            PrivacyAction::OpenBreach { .. }
            | PrivacyAction::Aware { .. }
            | PrivacyAction::Describe { .. }
            | PrivacyAction::Notify { .. }
            | PrivacyAction::NotNotifiable { .. }
            | PrivacyAction::DecideSubjects { .. }
            | PrivacyAction::Dismiss { .. }
            | PrivacyAction::CloseBreach { .. } => for_tools(&self.breaches.step(action, &at).await?),
            PrivacyAction::AddConsent { subject, purpose, text_version, given, expires, source } => {
                let given = given.as_deref().map(day).transpose()?.unwrap_or(at.today);
                let expires = expires.as_deref().map(day).transpose()?;
                let c = Consent::new(
                    self.records.context.store().next_record(CONSENTS).await?,
                    Identifier::parse(subject).map_err(invalid)?,
                    purpose,
                    text_version,
                    given,
                    expires,
                    source.as_deref().unwrap_or_default(),
                )
                .map_err(invalid)?;
                self.records.keep_consents(std::slice::from_ref(&c), &at, "privacy.consent.add").await?;
                for_tools(&c)
            }
            PrivacyAction::WithdrawConsent { consent, on } => {
                let c: Consent = self.records.one_record(CONSENTS, *consent).await?;
                let c = c.withdraw(on.as_deref().map(day).transpose()?.unwrap_or(at.today))?;
                self.records.keep_consents(std::slice::from_ref(&c), &at, "privacy.consent.withdraw").await?;
                for_tools(&c)
            }
            PrivacyAction::ImportConsents { csv } => {
                let new =
                    consent::import(csv, self.records.context.store().next_record(CONSENTS).await?).map_err(invalid)?;
                self.records.keep_consents(&new, &at, "privacy.consent.import").await?;
                Ok(json!({ "imported": new.len() }))
            }
            PrivacyAction::PutActivity { activity } => {
                let mut a = (**activity).clone();
                a.check().map_err(invalid)?;
                if a.number == 0 {
                    (a.number, a.version) = (self.records.context.store().next_record(ACTIVITIES).await?, 1);
                } else {
                    a.version = self.records.one_record::<Activity>(ACTIVITIES, a.number).await?.version + 1;
                }
                self.records
                    .keep(
                        vec![record_of(ACTIVITIES, a.number, a.version, !a.ended, at.now, &a)?],
                        &at,
                        "privacy.activity.put",
                        format!("activity:{}", a.number),
                        json!({ "name": a.name }),
                    )
                    .await?;
                for_tools(&a)
            }
            PrivacyAction::ImportActivities { csv } => {
                let new = activity::import(csv, self.records.context.store().next_record(ACTIVITIES).await?)
                    .map_err(invalid)?;
                let records = new
                    .iter()
                    .map(|a| record_of(ACTIVITIES, a.number, 1, !a.ended, at.now, a))
                    .collect::<Result<_, _>>()?;
                self.records
                    .keep(
                        records,
                        &at,
                        "privacy.activity.import",
                        "activities".into(),
                        json!({ "imported": new.len() }),
                    )
                    .await?;
                Ok(json!({ "imported": new.len() }))
            }
            PrivacyAction::AddHold { title, reason, incidents, subject, feeds, from, until } => {
                let subject =
                    if subject.is_empty() { Vec::new() } else { Identifier::parse_all(subject).map_err(invalid)? };
                let h = Hold {
                    number: self.records.context.store().next_record(HOLDS).await?,
                    version: 1,
                    title: title.trim().to_owned(),
                    reason: reason.trim().to_owned(),
                    placed: Entry { at: at.now, by: at.name.clone(), text: String::new() },
                    incidents: incidents.clone(),
                    subject,
                    feeds: feeds.clone(),
                    from: from.as_deref().map(moment).transpose()?,
                    until: until.as_deref().map(moment).transpose()?,
                    restriction: None,
                    only_masks: false,
                    released: None,
                };
                h.check().map_err(invalid)?;
                self.records.keep_hold(&h, &at, "privacy.hold.add").await?;
                for_tools(&h)
            }
            PrivacyAction::ReleaseHold { hold, reason } => {
                let h: Hold = self.records.one_record(HOLDS, *hold).await?;
                let h = h.release(at.now, &at.name, reason)?;
                self.records.keep_hold(&h, &at, "privacy.hold.release").await?;
                for_tools(&h)
            }
            PrivacyAction::Execute { .. } | PrivacyAction::RunRetention { .. } => {
                Err(ApiError::invalid("this is carried out elsewhere"))
            }
        }
    }

    pub async fn consents_csv(&self) -> Result<String, ApiError> {
        let mut all: Vec<Consent> = self.records.all_records(CONSENTS, None, 200_000).await?;
        all.reverse();
        let at = self.records.right_now(self.records.context.operator());
        self.records
            .keep(Vec::new(), &at, "privacy.consent.export", "consents".into(), json!({ "consents": all.len() }))
            .await?;
        Ok(consent::export(&all))
    }

    pub async fn activities_csv(&self) -> Result<String, ApiError> {
        let mut all: Vec<Activity> = self.records.all_records(ACTIVITIES, None, 10_000).await?;
        all.reverse();
        Ok(activity::export(&all))
    }
}
