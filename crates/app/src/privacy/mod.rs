//! The privacy officer's desk: requests of data subjects, breaches, consents, the record of processing, holds.
//!
//! What is allowed and when it is due is `wf_privacy`'s business; here it is carried out on what Watchfloor holds, and
//! recorded. No audit entry of these names a subject: they carry numbers, and keyed hashes of identifiers.

pub mod approval;
mod breaches;
mod execute;
mod holding;
mod keeping;
pub mod settings;
pub mod subject;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use wf_model::{Actor, AuditAction, Timestamp};
use wf_privacy::activity::{self, Activity};
use wf_privacy::breach::Breach;
use wf_privacy::consent::{self, Consent, Standing};
use wf_privacy::request::{self, Act, Correction, New, Request, RequestKind, RequestState, StopGround};
use wf_privacy::retention::{Hold, Holds};
use wf_privacy::subject::{Finder, Identifier};
use wf_privacy::{Entry, Refused};
use wf_response::Changes;
use wf_store::records::Record;
use wf_store::{Commit, StoreError};

use crate::api::{ApiError, ErrorCode, PrivacyAction};
use crate::controller::Controller;
use crate::views::*;

pub use wf_privacy::breach::Content;

pub(crate) const REQUESTS: &str = "request";
pub(crate) const BREACHES: &str = "breach";
pub(crate) const CONSENTS: &str = "consent";
pub(crate) const ACTIVITIES: &str = "activity";
pub(crate) const HOLDS: &str = "hold";
pub(crate) const RUNS: &str = "retention_run";
pub(crate) const REPORTS: &str = "report";

/// A request of the same kind within a year of the last answer is pointed out as a possible duplicate.
const DUPLICATE_MONTHS: u32 = 12;
const SHOWN: u32 = 2000;

/// What the desk has in hand.
#[derive(Default)]
pub struct PrivacyDesk {
    /// One change after the other.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// One long work at a time.
    pub(crate) working: tokio::sync::Mutex<()>,
    pub(crate) used: approval::Used,
    job: Mutex<Option<Job>>,
}

struct Job {
    view: JobView,
    cancel: Arc<AtomicBool>,
}

impl PrivacyDesk {
    pub(crate) fn begin(&self, what: &str) -> Arc<AtomicBool> {
        let cancel = Arc::new(AtomicBool::new(false));
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Job { view: JobView { what: what.to_owned(), done: 0, total: 0 }, cancel: cancel.clone() });
        cancel
    }

    pub(crate) fn says(&self, what: &str, done: u64, total: u64) {
        if let Some(job) = self.job.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            job.view = JobView { what: what.to_owned(), done, total };
        }
    }

    pub(crate) fn end(&self) {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What is being done right now, and how far it is.
    pub fn job(&self) -> Option<JobView> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|j| j.view.clone())
    }

    /// What is being done ends at its next step, where it can end without harm.
    pub fn cancel(&self) {
        if let Some(job) = self.job.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            job.cancel.store(true, Ordering::Relaxed);
        }
    }
}

impl From<Refused> for ApiError {
    fn from(e: Refused) -> Self {
        Self::new(ErrorCode::Refused, e)
    }
}

fn invalid(e: Refused) -> ApiError {
    ApiError::invalid(e)
}

pub(crate) fn record_of(
    kind: &'static str,
    number: u64,
    version: u64,
    open: bool,
    at: Timestamp,
    document: &impl Serialize,
) -> Result<Record, ApiError> {
    Ok(Record { kind, number, version, open, at, document: serde_json::to_string(document).map_err(ApiError::failed)? })
}

fn day(text: &str) -> Result<NaiveDate, ApiError> {
    text.trim().parse().map_err(|_| ApiError::invalid(format!("'{text}' is not a day: write 2026-01-31")))
}

fn moment(text: &str) -> Result<Timestamp, ApiError> {
    Timestamp::parse(text)
        .ok_or_else(|| ApiError::invalid(format!("'{text}' is not a moment: write 2026-01-31T09:00:00Z")))
}

fn not_found(kind: &str, number: u64) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("there is no {} #{number}", kind.replace('_', " ")))
}

/// Who does something, when, under which calendar.
pub(crate) struct Now {
    pub now: Timestamp,
    pub today: NaiveDate,
    pub by: Actor,
    name: String,
    calendar: wf_privacy::calendar::Calendar,
    law: wf_privacy::calendar::Law,
}

impl Now {
    pub fn act(&self) -> Act<'_> {
        Act { now: self.now, today: self.today, by: &self.name, calendar: &self.calendar, law: self.law }
    }
}

impl Controller {
    pub(crate) fn right_now(&self, by: Actor) -> Now {
        let (config, now) = (self.config(), Timestamp::now());
        Now {
            now,
            today: config.privacy.wall(now).0,
            name: by.to_string(),
            by,
            calendar: config.privacy.calendar(),
            law: config.privacy.law,
        }
    }

    pub(crate) async fn all_records<T: DeserializeOwned>(
        &self,
        kind: &str,
        open: Option<bool>,
        limit: u32,
    ) -> Result<Vec<T>, ApiError> {
        let documents = self.store().records(kind, open, limit).await?;
        documents
            .iter()
            .map(|d| {
                serde_json::from_str(d).map_err(|e| ApiError::failed(format!("a stored {kind} cannot be read: {e}")))
            })
            .collect()
    }

    pub(crate) async fn one_record<T: DeserializeOwned>(&self, kind: &str, number: u64) -> Result<T, ApiError> {
        let document = self.store().record(kind, number).await?.ok_or_else(|| not_found(kind, number))?;
        serde_json::from_str(&document).map_err(|e| ApiError::failed(format!("a stored {kind} cannot be read: {e}")))
    }

    /// Writes documents with the audit entry that says what was done.
    pub(crate) async fn keep(
        &self,
        records: Vec<Record>,
        at: &Now,
        action: &str,
        subject: String,
        payload: serde_json::Value,
    ) -> Result<(), ApiError> {
        let audit = AuditAction { at: at.now, actor: at.by.clone(), action: action.to_owned(), subject, payload };
        self.ledger
            .commit(|_| (Commit { records, ..Commit::default() }, Changes { audit: vec![audit], ..Changes::default() }))
            .await?;
        self.live.touched(|t| t.health += 1);
        Ok(())
    }

    /// A subject's identifier as a hash nobody else can make: recognises the same person without saying who.
    pub(crate) fn subject_keys(&self, subject: &[Identifier]) -> Vec<String> {
        subject
            .iter()
            .map(|id| {
                let hash = wf_evidence::tree::leaf_hash(
                    [&self.code_key[..], b"\nwatchfloor subject\n", id.normal().as_bytes()].concat().as_slice(),
                );
                wf_evidence::report::pack::hex(&hash[..16])
            })
            .collect()
    }

    pub(crate) async fn holds(&self) -> Result<Holds, ApiError> {
        Ok(Holds::new(self.all_records::<Hold>(HOLDS, Some(true), 100_000).await?))
    }

    // ---- looking

    fn request_view(&self, r: Request, known: &[Request]) -> RequestView {
        let at = self.right_now(Actor::Engine);
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
            approvals_needed: if r.kind == RequestKind::Deletion { self.config().privacy.approvals } else { 1 },
            request: r,
        }
    }

    /// Requests: open ones by due date, then the closed ones, the newest first.
    pub async fn requests(&self) -> Result<Vec<RequestView>, ApiError> {
        let all: Vec<Request> = self.all_records(REQUESTS, None, SHOWN).await?;
        let mut views: Vec<RequestView> = all.iter().map(|r| self.request_view(r.clone(), &all)).collect();
        views.sort_by(|a, b| {
            b.open
                .cmp(&a.open)
                .then_with(|| if a.open { a.due.cmp(&b.due) } else { b.request.closed_at.cmp(&a.request.closed_at) })
        });
        Ok(views)
    }

    pub async fn request(&self, number: u64) -> Result<RequestView, ApiError> {
        let r: Request = self.one_record(REQUESTS, number).await?;
        let all: Vec<Request> = self.all_records(REQUESTS, None, SHOWN).await?;
        Ok(self.request_view(r, &all))
    }

    /// Everything the desk shows at once.
    pub async fn privacy_board(&self) -> Result<PrivacyBoard, ApiError> {
        let at = self.right_now(Actor::Engine);
        let consents: Vec<Consent> = self.all_records(CONSENTS, None, 200_000).await?;
        let standing = |s: Standing| consents.iter().filter(|c| c.standing(at.today) == s).count() as u32;
        Ok(PrivacyBoard {
            requests: self.requests().await?,
            breaches: self.breaches().await?,
            valid_consents: standing(Standing::Valid),
            expired_consents: standing(Standing::Expired),
            withdrawn_consents: standing(Standing::Withdrawn),
            consents: consents
                .iter()
                .take(500)
                .map(|c| ConsentView { standing: c.standing(at.today).as_str().to_owned(), consent: c.clone() })
                .collect(),
            activities: self.all_records(ACTIVITIES, None, 1000).await?,
            holds: self.all_records(HOLDS, None, 1000).await?,
            approvers: self.approvers(),
            contact: self.config().privacy.contact.clone(),
            today: at.today.to_string(),
            connectors: self.config().connector.keys().cloned().collect(),
        })
    }

    /// How many open requests are late or due within a week, and how many breaches run: for the rail.
    pub(crate) async fn privacy_badge(&self) -> Result<PrivacyBadge, StoreError> {
        let at = self.right_now(Actor::Engine);
        let requests: Vec<Request> = self
            .store()
            .records(REQUESTS, Some(true), SHOWN)
            .await?
            .iter()
            .filter_map(|d| serde_json::from_str(d).ok())
            .collect();
        let breaches: Vec<Breach> = self
            .store()
            .records(BREACHES, Some(true), SHOWN)
            .await?
            .iter()
            .filter_map(|d| serde_json::from_str(d).ok())
            .collect();
        let soon = |r: &&Request| (r.deadline(&at.calendar, at.today).due - at.today).num_days() <= 7;
        let running: Vec<&Breach> = breaches.iter().filter(|b| b.clock_runs()).collect();
        Ok(PrivacyBadge {
            due: requests.iter().filter(soon).count() as u32,
            late: requests.iter().filter(|r| r.is_late(&at.calendar, at.today)).count() as u32,
            breach_due: running.iter().filter_map(|b| b.due()).min().map(millis),
            breach: running.iter().min_by_key(|b| b.due()).map(|b| b.number),
        })
    }

    /// What is held about a subject, as it is shown before anything is done. Looking is recorded, too.
    pub async fn find_subject(
        &self,
        identifiers: &[String],
        limit: usize,
        progress: &mut (dyn FnMut(SearchProgress) + Send),
        cancel: &AtomicBool,
    ) -> Result<SubjectView, ApiError> {
        let subject = Identifier::parse_all(identifiers).map_err(invalid)?;
        let wanted = subject::Wanted {
            finder: Arc::new(Finder::new(&subject)),
            keeping: Arc::new(self.keeping(self.holds().await?).await?),
            request: None,
            keys: Vec::new(),
        };
        let (mut places, mut samples) = (std::collections::BTreeMap::<String, PlaceView>::new(), Vec::new());
        let whole = self
            .gather(
                &wanted,
                cancel,
                &mut |p| progress(SearchProgress { looked_at: p.looked_at, total: p.total, hits: p.hits as u64 }),
                &mut |piece| {
                    let place = places.entry(piece.place().to_owned()).or_insert_with(|| PlaceView {
                        place: piece.place().to_owned(),
                        found: 0,
                        kept: 0,
                    });
                    place.found += 1;
                    place.kept += u64::from(piece.kept.is_some());
                    // Some of each place, so that a flood of events does not hide the rest.
                    if samples.len() < limit && place.found <= (limit / 4).max(20) as u64 {
                        samples.push(SampleView {
                            place: piece.place().to_owned(),
                            at: (piece.at() != Timestamp::EPOCH).then(|| millis(piece.at())),
                            text: piece.text().chars().take(400).collect(),
                            kept: piece.kept.clone(),
                        });
                    }
                },
            )
            .await?;
        let at = self.right_now(self.operator());
        self.keep(
            Vec::new(),
            &at,
            "privacy.subject.find",
            "subject".into(),
            json!({ "keys": self.subject_keys(&subject), "found": places.values().map(|p| p.found).sum::<u64>() }),
        )
        .await?;
        Ok(SubjectView {
            identifiers: subject.iter().map(ToString::to_string).collect(),
            places: places.into_values().collect(),
            samples,
            cancelled: !whole,
        })
    }

    // ---- acting

    /// Does what the privacy officer asks for. Gives the record as it is then.
    pub async fn privacy(&self, action: &PrivacyAction) -> Result<serde_json::Value, ApiError> {
        self.may_change()?;
        let at = self.right_now(self.operator());
        // What takes long waits for nobody and holds nobody up; it has a lock of its own.
        match action {
            PrivacyAction::Execute { request } => {
                return serde_json::to_value(self.execute(*request, &at).await?).map_err(ApiError::failed);
            }
            PrivacyAction::RunRetention { approver, code } => {
                return self.purge(&at, approver.as_deref(), code.as_deref()).await;
            }
            PrivacyAction::Advance { request, note } => {
                let r: Request = self.one_record(REQUESTS, *request).await?;
                if r.kind == RequestKind::Deletion && r.state == RequestState::Executed {
                    return serde_json::to_value(
                        self.complete_deletion(*request, &at, note.as_deref().unwrap_or_default()).await?,
                    )
                    .map_err(ApiError::failed);
                }
            }
            _ => {}
        }
        let _one = self.privacy.changing.lock().await;
        let shown = |v: RequestView| serde_json::to_value(v).map_err(ApiError::failed);
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
                    number: self.store().next_record(REQUESTS).await?,
                    kind,
                    received,
                    subject_keys: self.subject_keys(&subject),
                    subject,
                    contact: contact.clone().unwrap_or_default(),
                    note: note.clone().unwrap_or_default(),
                    corrections,
                };
                let mut r = Request::register(&at.act(), new).map_err(invalid)?;
                for (name, c) in &self.config().connector {
                    if c.kinds.is_empty() || c.kinds.iter().any(|k| k == kind.as_str()) {
                        r = Request { version: r.version, ..r.add_task(&at.act(), name, &c.owner, true)? };
                    }
                }
                self.keep_request(&r, &at, "privacy.request.add").await?;
                shown(self.request(r.number).await?)
            }
            PrivacyAction::Advance { request, note } => self
                .request_step(*request, &at, "privacy.request.advance", |r, a| {
                    r.advance(a, note.as_deref().unwrap_or_default())
                })
                .await
                .and_then(shown),
            PrivacyAction::Ask { request, question } => {
                self.request_step(*request, &at, "privacy.request.ask", |r, a| r.ask(a, question)).await.and_then(shown)
            }
            PrivacyAction::StopClock { request, ground, reason } => {
                let ground: StopGround = ground.parse().map_err(invalid)?;
                self.request_step(*request, &at, "privacy.request.stop_clock", |r, a| r.stop_clock(a, ground, reason))
                    .await
                    .and_then(shown)
            }
            PrivacyAction::StartClock { request } => self
                .request_step(*request, &at, "privacy.request.start_clock", |r, a| r.start_clock(a))
                .await
                .and_then(shown),
            PrivacyAction::Extend { request, reason, notified } => {
                let notified = notified.as_deref().map(day).transpose()?.unwrap_or(at.today);
                self.request_step(*request, &at, "privacy.request.extend", |r, a| r.extend(a, reason, notified))
                    .await
                    .and_then(shown)
            }
            PrivacyAction::Refuse { request, reason } => self
                .request_step(*request, &at, "privacy.request.refuse", |r, a| r.refuse(a, reason))
                .await
                .and_then(shown),
            PrivacyAction::Withdraw { request, note } => self
                .request_step(*request, &at, "privacy.request.withdraw", |r, a| {
                    r.withdraw(a, note.as_deref().unwrap_or_default())
                })
                .await
                .and_then(shown),
            PrivacyAction::Duplicate { request, of } => {
                let of: Request = self.one_record(REQUESTS, *of).await?;
                self.request_step(*request, &at, "privacy.request.duplicate", |r, a| r.duplicate(a, &of))
                    .await
                    .and_then(shown)
            }
            PrivacyAction::Correct { request, field, old, new } => {
                let c = Correction { field: field.clone(), old: old.clone(), new: new.clone() };
                self.request_step(*request, &at, "privacy.request.correct", |r, a| r.correct(a, c))
                    .await
                    .and_then(shown)
            }
            PrivacyAction::AddTask { request, system, owner } => self
                .request_step(*request, &at, "privacy.request.task", |r, a| r.add_task(a, system, owner, false))
                .await
                .and_then(shown),
            PrivacyAction::TaskDone { request, system, receipt } => {
                let receipt = request::Receipt { at: at.now, by: at.name.clone(), text: receipt.clone(), sha256: None };
                self.request_step(*request, &at, "privacy.request.task_done", |r, a| {
                    r.task_answered(a, system, Ok(receipt))
                })
                .await
                .and_then(shown)
            }
            PrivacyAction::CallConnector { request, system } => {
                shown(self.call_connector(*request, system, &at).await?)
            }
            PrivacyAction::Approve { request, approver, code } => {
                let r: Request = self.one_record(REQUESTS, *request).await?;
                // A code is used up by looking at it: what could not be approved anyway does not cost one.
                r.approve(&at.act(), "\u{0}", &at.name)?;
                let name = self.approved_by(approver, code, at.now).await?;
                self.request_step(*request, &at, "privacy.request.approve", |r, a| r.approve(a, &name, a.by))
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
            | PrivacyAction::CloseBreach { .. } => {
                serde_json::to_value(self.breach_step(action, &at).await?).map_err(ApiError::failed)
            }
            PrivacyAction::AddConsent { subject, purpose, text_version, given, expires, source } => {
                let given = given.as_deref().map(day).transpose()?.unwrap_or(at.today);
                let expires = expires.as_deref().map(day).transpose()?;
                let c = Consent::new(
                    self.store().next_record(CONSENTS).await?,
                    Identifier::parse(subject).map_err(invalid)?,
                    purpose,
                    text_version,
                    given,
                    expires,
                    source.as_deref().unwrap_or_default(),
                )
                .map_err(invalid)?;
                self.keep_consents(std::slice::from_ref(&c), &at, "privacy.consent.add").await?;
                serde_json::to_value(c).map_err(ApiError::failed)
            }
            PrivacyAction::WithdrawConsent { consent, on } => {
                let c: Consent = self.one_record(CONSENTS, *consent).await?;
                let c = c.withdraw(on.as_deref().map(day).transpose()?.unwrap_or(at.today))?;
                self.keep_consents(std::slice::from_ref(&c), &at, "privacy.consent.withdraw").await?;
                serde_json::to_value(c).map_err(ApiError::failed)
            }
            PrivacyAction::ImportConsents { csv } => {
                let new = consent::import(csv, self.store().next_record(CONSENTS).await?).map_err(invalid)?;
                self.keep_consents(&new, &at, "privacy.consent.import").await?;
                Ok(json!({ "imported": new.len() }))
            }
            PrivacyAction::PutActivity { activity } => {
                let mut a = (**activity).clone();
                a.check().map_err(invalid)?;
                if a.number == 0 {
                    (a.number, a.version) = (self.store().next_record(ACTIVITIES).await?, 1);
                } else {
                    a.version = self.one_record::<Activity>(ACTIVITIES, a.number).await?.version + 1;
                }
                self.keep(
                    vec![record_of(ACTIVITIES, a.number, a.version, !a.ended, at.now, &a)?],
                    &at,
                    "privacy.activity.put",
                    format!("activity:{}", a.number),
                    json!({ "name": a.name }),
                )
                .await?;
                serde_json::to_value(a).map_err(ApiError::failed)
            }
            PrivacyAction::ImportActivities { csv } => {
                let new = activity::import(csv, self.store().next_record(ACTIVITIES).await?).map_err(invalid)?;
                let records = new
                    .iter()
                    .map(|a| record_of(ACTIVITIES, a.number, 1, !a.ended, at.now, a))
                    .collect::<Result<_, _>>()?;
                self.keep(
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
                    number: self.store().next_record(HOLDS).await?,
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
                self.keep_hold(&h, &at, "privacy.hold.add").await?;
                serde_json::to_value(h).map_err(ApiError::failed)
            }
            PrivacyAction::ReleaseHold { hold, reason } => {
                let h: Hold = self.one_record(HOLDS, *hold).await?;
                let h = h.release(at.now, &at.name, reason)?;
                self.keep_hold(&h, &at, "privacy.hold.release").await?;
                serde_json::to_value(h).map_err(ApiError::failed)
            }
            PrivacyAction::Execute { .. } | PrivacyAction::RunRetention { .. } => {
                Err(ApiError::invalid("this is carried out elsewhere"))
            }
        }
    }

    /// Retention by hand, which takes a second person.
    async fn purge(&self, at: &Now, approver: Option<&str>, code: Option<&str>) -> Result<serde_json::Value, ApiError> {
        let approved = match (self.config().privacy.approvals, approver, code) {
            (0 | 1, _, _) => None,
            (_, Some(who), Some(code)) => Some(self.approved_by(who, code, at.now).await?),
            _ => {
                return Err(ApiError::new(
                    ErrorCode::Refused,
                    "a purge by hand is approved by a second person: give their name and the code of their authenticator",
                ));
            }
        };
        serde_json::to_value(self.retention_run(&at.by, approved).await?).map_err(ApiError::failed)
    }

    async fn request_step(
        &self,
        number: u64,
        at: &Now,
        action: &str,
        step: impl FnOnce(&Request, &Act<'_>) -> Result<Request, Refused>,
    ) -> Result<RequestView, ApiError> {
        let r: Request = self.one_record(REQUESTS, number).await?;
        let r = step(&r, &at.act())?;
        self.keep_request(&r, at, action).await?;
        self.request(number).await
    }

    pub(crate) async fn keep_request(&self, r: &Request, at: &Now, action: &str) -> Result<(), ApiError> {
        let due = r.deadline(&at.calendar, at.today).due.to_string();
        let payload = json!({ "state": r.state.as_str(), "type": r.kind.as_str(), "due": due, "subject": r.subject_keys, "approved_by": r.approvals.iter().map(|a| &a.by).collect::<Vec<_>>() });
        self.keep(
            vec![record_of(REQUESTS, r.number, r.version, r.state.is_open(), at.now, r)?],
            at,
            action,
            format!("request:{}", r.number),
            payload,
        )
        .await
    }

    async fn keep_consents(&self, consents: &[Consent], at: &Now, action: &str) -> Result<(), ApiError> {
        let records = consents
            .iter()
            .map(|c| record_of(CONSENTS, c.number, c.version, c.withdrawn.is_none(), at.now, c))
            .collect::<Result<_, _>>()?;
        let subject = consents
            .first()
            .filter(|_| consents.len() == 1)
            .map_or("consents".to_owned(), |c| format!("consent:{}", c.number));
        self.keep(records, at, action, subject, json!({ "consents": consents.len() })).await
    }

    async fn keep_hold(&self, h: &Hold, at: &Now, action: &str) -> Result<(), ApiError> {
        let payload = json!({ "incidents": h.incidents, "feeds": h.feeds, "subject": self.subject_keys(&h.subject), "from": h.from.map(Timestamp::rfc3339), "until": h.until.map(Timestamp::rfc3339) });
        self.keep(
            vec![record_of(HOLDS, h.number, h.version, h.released.is_none(), at.now, h)?],
            at,
            action,
            format!("hold:{}", h.number),
            payload,
        )
        .await
    }

    pub async fn consents_csv(&self) -> Result<String, ApiError> {
        let mut all: Vec<Consent> = self.all_records(CONSENTS, None, 200_000).await?;
        all.reverse();
        let at = self.right_now(self.operator());
        self.keep(Vec::new(), &at, "privacy.consent.export", "consents".into(), json!({ "consents": all.len() }))
            .await?;
        Ok(consent::export(&all))
    }

    pub async fn activities_csv(&self) -> Result<String, ApiError> {
        let mut all: Vec<Activity> = self.all_records(ACTIVITIES, None, 10_000).await?;
        all.reverse();
        Ok(activity::export(&all))
    }
}
