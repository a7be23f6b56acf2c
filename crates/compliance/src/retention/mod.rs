//! Retention: what is over its time is deleted, class by class, in steps so small that ingest does not notice. Holds
//! keep what they cover.

mod classes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use wf_api::views::*;
use wf_api::{ApiError, ErrorCode, for_tools};
use wf_model::{Actor, AuditAction, Timestamp};
use wf_privacy::consent::Consent;
use wf_privacy::request::Request;
use wf_privacy::retention::{Class, ClassRun, Run};
use wf_response::Changes;
use wf_store::sweep::{KeyValue, Rewrite};
use wf_store::{Commit, StoreError};

use crate::approvals::Approvals;
use crate::holding::Keeping;
use crate::records::*;

/// Between two steps the others have their turn.
const BREATH: Duration = Duration::from_millis(15);
/// Pages given back to the disk at a time: half a megabyte.
const PAGES: u32 = 128;
/// One class: counted, or deleted.
pub(crate) struct Counted {
    delete: u64,
    held: u64,
}

/// Deletes what is over its time.
pub struct Retention {
    pub(crate) records: Arc<Records>,
    pub(crate) approvals: Arc<Approvals>,
    pub(crate) clock: parking_lot::Mutex<WatchedClock>,
}

/// What the clock said a moment ago, and since when it is not believed.
#[derive(Default)]
pub(crate) struct WatchedClock {
    last: Option<(Timestamp, Instant)>,
    leapt: Option<Instant>,
}

/// A clock that differs by more than this from the time that passed has leapt.
const LEAP: Duration = Duration::from_secs(3600);
/// How long it is not believed then.
const DOUBTED: Duration = Duration::from_secs(3600);

impl WatchedClock {
    fn trusts(&mut self, now: Timestamp, at: Instant) -> bool {
        if let Some((then, began)) = self.last.replace((now, at)) {
            let expected = then + at.duration_since(began);
            if now > expected + LEAP || now + LEAP < expected {
                self.leapt = Some(at);
            }
        }
        self.leapt.is_none_or(|leapt| at.duration_since(leapt) > DOUBTED)
    }
}

impl Retention {
    /// What a run would delete now, what holds keep, whose data is over its time, and what is to come.
    pub async fn view(&self) -> Result<RetentionView, ApiError> {
        let (config, now) = (self.records.context.config(), self.records.context.now());
        let holds = Arc::new(self.records.keeping(self.records.holds().await?).await?);
        let mut classes = Vec::new();
        for class in Class::ALL {
            classes.push(self.class(*class, now, &holds, true, &AtomicBool::new(false)).await?);
        }
        let runs: Vec<Run> = self.records.all_records(RUNS, None, 2000).await?;
        let over = self.over_retention(config.retention.events.cutoff(now)).await?;
        if !over.named.is_empty() {
            // It names people: that it was looked at is recorded.
            let at = self.records.right_now(self.records.context.operator());
            self.records
                .keep(Vec::new(), &at, "privacy.retention.look", "retention".into(), json!({ "users": over.users }))
                .await?;
        }
        let mut scheduled = Vec::new();
        if let Some(at) = config.retention.run_at {
            let total: u64 = classes.iter().map(|c| c.delete).sum();
            scheduled.push(format!(
                "every day at {} ({}): {total} entries are over their time now",
                at.format("%H:%M"),
                config.privacy.time_zone
            ));
        }
        for r in self.records.all_records::<Request>(REQUESTS, Some(true), 1000).await? {
            if r.kind == wf_privacy::request::RequestKind::Deletion
                && r.state == wf_privacy::request::RequestState::InProgress
            {
                scheduled.push(format!(
                    "erasure of request #{}, due on {}{}",
                    r.number,
                    r.deadline(&config.privacy.calendar(), config.privacy.wall(now).0).due,
                    if r.approvals.is_empty() { ", not approved yet" } else { ", approved" }
                ));
            }
        }
        Ok(RetentionView {
            classes,
            runs,
            over_retention: over,
            scheduled,
            run_at: config.retention.run_at.map(|t| t.format("%H:%M").to_string()),
            approvals: config.privacy.approvals,
            approvers: self.approvals.approvers(),
        })
    }

    /// Deletes everything that is over its time. By hand it takes a second person.
    pub async fn run(&self, by: &Actor, approved_by: Option<String>) -> Result<Run, ApiError> {
        let _one = self.records.work.working.try_lock().map_err(|_| {
            ApiError::new(wf_api::ErrorCode::Refused, "something is being erased already; wait until it is done")
        })?;
        let (now, began, before) =
            (self.records.context.now(), Instant::now(), self.records.context.store().size_on_disk());
        let holds = Arc::new(self.records.keeping(self.records.holds().await?).await?);
        let cancel = self.records.work.begin("Deleting what is over its time");
        let deleted = self.delete_all(now, &holds, &cancel).await;
        self.records.work.end();
        let classes = deleted?;
        let run = Run {
            number: self.records.context.store().next_record(RUNS).await?,
            at: now,
            by: by.to_string(),
            approved_by,
            classes,
            bytes: before.saturating_sub(self.records.context.store().size_on_disk()),
            took_ms: began.elapsed().as_millis() as u64,
        };
        let counts: BTreeMap<&str, u64> = run.classes.iter().map(|c| (c.class.as_str(), c.delete)).collect();
        let audit = AuditAction {
            at: now,
            actor: by.clone(),
            action: "retention.run".into(),
            subject: format!("retention:{}", run.number),
            payload: json!({ "deleted": counts, "held": run.classes.iter().map(|c| c.held).sum::<u64>(), "approved_by": run.approved_by }),
        };
        let record = record_of(RUNS, run.number, 1, false, now, &run)?;
        self.records
            .context
            .ledger
            .commit(|_| {
                (
                    Commit { records: vec![record], ..Commit::default() },
                    Changes { audit: vec![audit], ..Changes::default() },
                )
            })
            .await?;
        self.records.context.recent.touched(|t| t.health += 1);
        Ok(run)
    }

    pub(crate) async fn delete_all(
        &self,
        now: Timestamp,
        holds: &Arc<Keeping>,
        cancel: &AtomicBool,
    ) -> Result<Vec<ClassRun>, ApiError> {
        let mut classes = Vec::new();
        for class in Class::ALL {
            if cancel.load(Ordering::Relaxed) {
                break;
            }
            self.records.work.says(&format!("Deleting what is over its time: {class}"), 0, 0);
            classes.push(self.class(*class, now, holds, false, cancel).await?);
        }
        self.records.context.store().settle_filters().await?;
        // Numbers a minute are kept as long as what they count; minutes that no clock has reached yet are absurd.
        let counted = self.records.context.config().retention.period(Class::Events).cutoff(now);
        self.records.context.store().prune_rates(counted, now).await?;
        while self.records.context.store().give_back(PAGES).await? > 0 && !cancel.load(Ordering::Relaxed) {
            tokio::time::sleep(BREATH).await;
        }
        // The file shrinks when its log is merged; a reader may be in the way, and then it happens later.
        if let Err(e) = self.records.context.store().truncate_log().await {
            tracing::debug!(error = %e, "the log is merged later");
        }
        Ok(classes)
    }

    pub(crate) async fn class(
        &self,
        class: Class,
        now: Timestamp,
        holds: &Arc<Keeping>,
        only_count: bool,
        cancel: &AtomicBool,
    ) -> Result<ClassRun, ApiError> {
        let period = self.records.context.config().retention.period(class);
        let cutoff = period.cutoff(now);
        let n = match class {
            Class::Events => self.old_events(cutoff, holds, only_count, cancel).await?,
            Class::Raw => self.old_raw(cutoff, holds, only_count, cancel).await?,
            Class::Incidents => {
                let incidents = self.old_incidents(cutoff, holds, only_count, cancel).await?;
                // Digests and messages that stood for several name incidents, and belong to none.
                let messages = self
                    .old_rows("notification", cutoff, holds, only_count, |row| {
                        row.incident.is_none().then(|| Rewrite::Delete { place: row.place, key: row.key.clone() })
                    })
                    .await?;
                Counted { delete: incidents.delete + messages.delete, held: incidents.held + messages.held }
            }
            Class::Quarantine => {
                self.old_rows("quarantine", cutoff, holds, only_count, |row| {
                    Some(Rewrite::Delete { place: row.place, key: row.key.clone() })
                })
                .await?
            }
            Class::Audit => {
                self.old_rows("audit_leaf", cutoff, holds, only_count, |row| match row.key.first() {
                    Some(KeyValue::Number(index)) if row.texts.iter().any(Option::is_some) => {
                        Some(Rewrite::ErasePayload { index: *index })
                    }
                    _ => None,
                })
                .await?
            }
            Class::Privacy => {
                let settings = self.records.context.config().privacy.clone();
                let today = settings.wall(now).0;
                self.old_rows("record", now, holds, only_count, |row| {
                    let [KeyValue::Text(kind), KeyValue::Number(_)] = row.key.as_slice() else { return None };
                    let text = row.texts.first()?.as_deref()?;
                    let over = match kind.as_str() {
                        REQUESTS => {
                            serde_json::from_str::<Request>(text).is_ok_and(|r| r.closed_at.is_some_and(|t| t < cutoff))
                        }
                        CONSENTS => serde_json::from_str::<Consent>(text).is_ok_and(|c| {
                            // The proof of a consent is needed for as long after its end as anything else is.
                            let ended = c.withdrawn.or(c.expires.filter(|e| *e < today));
                            ended.is_some_and(|d| d < settings.wall(cutoff).0)
                        }),
                        _ => false,
                    };
                    over.then(|| Rewrite::Delete { place: row.place, key: row.key.clone() })
                })
                .await?
            }
        };
        Ok(ClassRun { class, period: period.to_string(), cutoff, delete: n.delete, held: n.held })
    }

    /// Whether the daily run of retention is to begin now.
    pub(crate) async fn due(&self, now: Timestamp) -> Result<bool, StoreError> {
        let config = self.records.context.config();
        let (today, time) = config.privacy.wall(now);
        let last = self
            .records
            .context
            .store()
            .records(RUNS, None, 1)
            .await?
            .first()
            .and_then(|d| serde_json::from_str::<wf_privacy::retention::Run>(d).ok())
            .map(|r| config.privacy.wall(r.at).0)
            // A run of the future was made by a clock that was wrong: it does not put the next one off.
            .filter(|day| *day <= today);
        Ok(wf_privacy::retention::run_due(&config.retention, today, time, last))
    }

    /// Asked every minute. A clock that leapt (or a machine that slept) is not believed for an hour, in which it may be
    /// put right: what is deleted by a wrong clock is gone for good.
    pub(crate) fn trusts_the_clock(&self, now: Timestamp, at: Instant) -> bool {
        self.clock.lock().trusts(now, at)
    }

    /// The run that nobody asked for. It does not believe a clock that would have most of what is stored be too old:
    /// that is then for a person to decide.
    pub(crate) async fn run_by_itself(&self, now: Timestamp) -> Result<(), ApiError> {
        let context = &self.records.context;
        let (cutoff, stored) =
            (context.config().retention.period(Class::Events).cutoff(now), context.store().count_events().await?);
        let holds = Arc::new(self.records.keeping(self.records.holds().await?).await?);
        let over = self.old_events(cutoff, &holds, true, &AtomicBool::new(false)).await?.delete;
        let absurd = over > stored / 2;
        let sentence = absurd.then(|| {
            format!(
                "retention did not run: by the clock of this machine {over} of {stored} events are over their time. If \
                 the clock is right, run it by hand"
            )
        });
        context.state.set_problems("retention", sentence.into_iter().collect());
        if !absurd {
            self.run(&Actor::Engine, None).await?;
        }
        Ok(())
    }

    /// Retention by hand, which takes a second person.
    pub(crate) async fn purge(
        &self,
        at: &Now,
        approver: Option<&str>,
        code: Option<&str>,
    ) -> Result<serde_json::Value, ApiError> {
        let approved = match (self.records.context.config().privacy.approvals, approver, code) {
            (0 | 1, _, _) => None,
            (_, Some(who), Some(code)) => Some(self.approvals.approved_by(who, code, at.now).await?),
            _ => {
                return Err(ApiError::new(
                    ErrorCode::Refused,
                    "a purge by hand is approved by a second person: give their name and the code of their authenticator",
                ));
            }
        };
        for_tools(&self.run(&at.by, approved).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leapt_in_either_direction_is_not_believed_for_an_hour() {
        let (now, began) = (Timestamp::from_millis(1_800_000_000_000), Instant::now());
        let minute = Duration::from_secs(60);
        for leap in [Duration::from_secs(400 * 86_400), Duration::from_secs(2 * 3600)] {
            for (after, what) in [(now + minute + leap, "ahead"), (now + minute - leap, "back")] {
                let mut clock = WatchedClock::default();
                assert!(clock.trusts(now, began) && clock.trusts(now + minute, began + minute));
                assert!(!clock.trusts(after, began + minute * 2), "{what}");
                let later = |minutes: u32| (after + minute * minutes, began + minute * (2 + minutes));
                assert!((1..=60).all(|m| !clock.trusts(later(m).0, later(m).1)), "{what}");
                assert!(clock.trusts(later(61).0, later(61).1), "{what}: it went on steadily");
            }
        }
    }
}
