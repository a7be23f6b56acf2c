//! The records of compliance: requests, breaches, consents, activities, holds, reports. Kept as documents, each change
//! with an entry of the audit log. No entry of these names a subject: they carry numbers, and keyed hashes of
//! identifiers.

use std::sync::Arc;

use chrono::NaiveDate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_engine::Context;
use wf_evidence::report::{Checkpoint, Document};
use wf_model::{Actor, AuditAction, Timestamp};
use wf_privacy::Refused;
use wf_privacy::breach::Breach;
use wf_privacy::consent::Consent;
use wf_privacy::request::{Act, Request};
use wf_privacy::retention::{Hold, Holds};
use wf_privacy::subject::Identifier;
use wf_response::Changes;
use wf_store::records::Record;
use wf_store::{Commit, StoreError};

use crate::period::Period;
use crate::work::Work;

pub(crate) const REQUESTS: &str = "request";
pub(crate) const BREACHES: &str = "breach";
pub(crate) const CONSENTS: &str = "consent";
pub(crate) const ACTIVITIES: &str = "activity";
pub(crate) const HOLDS: &str = "hold";
pub(crate) const RUNS: &str = "retention_run";
pub(crate) const REPORTS: &str = "report";

/// A request of the same kind within a year of the last answer is pointed out as a possible duplicate.
pub(crate) const DUPLICATE_MONTHS: u32 = 12;
pub(crate) const SHOWN: u32 = 2000;

pub(crate) fn invalid(e: Refused) -> ApiError {
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

pub(crate) fn day(text: &str) -> Result<NaiveDate, ApiError> {
    text.trim().parse().map_err(|_| ApiError::invalid(format!("'{text}' is not a day: write 2026-01-31")))
}

pub(crate) fn moment(text: &str) -> Result<Timestamp, ApiError> {
    Timestamp::parse(text)
        .ok_or_else(|| ApiError::invalid(format!("'{text}' is not a moment: write 2026-01-31T09:00:00Z")))
}

pub(crate) fn not_found(kind: &str, number: u64) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("there is no {} #{number}", kind.replace('_', " ")))
}

/// Who does something, when, under which calendar.
pub(crate) struct Now {
    pub now: Timestamp,
    pub today: NaiveDate,
    pub by: Actor,
    pub(crate) name: String,
    pub(crate) calendar: wf_privacy::calendar::Calendar,
    pub(crate) law: wf_privacy::calendar::Law,
}

impl Now {
    pub fn act(&self) -> Act<'_> {
        Act { now: self.now, today: self.today, by: &self.name, calendar: &self.calendar, law: self.law }
    }
}

/// What every service here works on.
pub struct Records {
    pub(crate) context: Arc<Context>,
    pub work: Work,
}

impl Records {
    pub(crate) fn right_now(&self, by: Actor) -> Now {
        let (config, now) = (self.context.config(), self.context.now());
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
        let documents = self.context.store().records(kind, open, limit).await?;
        documents
            .iter()
            .map(|d| {
                serde_json::from_str(d).map_err(|e| ApiError::failed(format!("a stored {kind} cannot be read: {e}")))
            })
            .collect()
    }

    pub(crate) async fn one_record<T: DeserializeOwned>(&self, kind: &str, number: u64) -> Result<T, ApiError> {
        let document = self.context.store().record(kind, number).await?.ok_or_else(|| not_found(kind, number))?;
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
        self.context
            .ledger
            .commit(|_| (Commit { records, ..Commit::default() }, Changes { audit: vec![audit], ..Changes::default() }))
            .await?;
        self.context.recent.touched(|t| t.health += 1);
        Ok(())
    }

    /// A subject's identifier as a hash nobody else can make: recognises the same person without saying who.
    pub(crate) fn subject_keys(&self, subject: &[Identifier]) -> Vec<String> {
        subject
            .iter()
            .map(|id| {
                let hash = wf_evidence::tree::leaf_hash(
                    [&self.context.code_key[..], b"\nwatchfloor subject\n", id.normal().as_bytes()].concat().as_slice(),
                );
                wf_evidence::tree::hex(&hash[..16])
            })
            .collect()
    }

    pub(crate) async fn holds(&self) -> Result<Holds, ApiError> {
        Ok(Holds::new(self.all_records::<Hold>(HOLDS, Some(true), 100_000).await?))
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

    pub(crate) async fn keep_consents(&self, consents: &[Consent], at: &Now, action: &str) -> Result<(), ApiError> {
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

    pub(crate) async fn keep_hold(&self, h: &Hold, at: &Now, action: &str) -> Result<(), ApiError> {
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

    /// How many open requests are late or due within a week, and how many breaches run: for the rail.
    pub async fn badge(&self) -> Result<PrivacyBadge, StoreError> {
        let at = self.right_now(Actor::Engine);
        let requests: Vec<Request> = self
            .context
            .store()
            .records(REQUESTS, Some(true), SHOWN)
            .await?
            .iter()
            .filter_map(|d| serde_json::from_str(d).ok())
            .collect();
        let breaches: Vec<Breach> = self
            .context
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

    /// An empty document with its cover.
    pub(crate) fn document(&self, title: &str, subtitle: &str, period: Option<&Period>) -> Document {
        let (config, now) = (self.context.config(), self.context.now());
        let log = self.context.ledger.log();
        let checkpoint = log.checkpoint(now);
        Document {
            title: title.to_owned(),
            subtitle: subtitle.to_owned(),
            organisation: config.privacy.organisation.clone(),
            facts: period
                .map(|p| ("Period".to_owned(), p.said()))
                .into_iter()
                .chain([
                    ("Made".to_owned(), config.privacy.said(now)),
                    ("By".to_owned(), config.operator_name()),
                    ("Times".to_owned(), format!("{}, unless said otherwise", config.privacy.time_zone)),
                ])
                .collect(),
            checkpoint: Checkpoint {
                origin: wf_evidence::log::ORIGIN.to_owned(),
                size: checkpoint.size,
                root: checkpoint.note.lines().nth(2).unwrap_or_default().to_owned(),
                key: log.public_key().fingerprint(),
            },
            blocks: Vec::new(),
        }
    }
}
