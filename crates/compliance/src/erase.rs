//! Erasing: small steps, each a transaction, until the search finds nothing any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use wf_api::{ApiError, ErrorCode};
use wf_detect::{Detector, Limits};
use wf_model::IncidentId;
use wf_model::{Incident, Seq};
use wf_privacy::request::Done;
use wf_privacy::subject::{ERASED, Finder};
use wf_response::Changes;
use wf_store::events::{Decide, Fate, Progress, StoredEvent};
use wf_store::sweep::{PLACES, Rewrite, Swept};
use wf_store::{Commit, StoreError};

use crate::redaction::*;
use crate::subject::*;
use crate::subjects::Subjects;

impl Subjects {
    /// Replaces every identifier of somebody wherever nothing keeps it. Gives what was found where, changed, and kept.
    pub(crate) async fn erase(
        &self,
        wanted: &Wanted,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(Vec<Done>, Vec<String>), ApiError> {
        let (mut before, mut exports): (BTreeMap<&'static str, Done>, Vec<String>) = Default::default();
        self.gather(wanted, &AtomicBool::new(false), progress, &mut |piece| {
            tally(&mut before, &piece);
            if let (What::Export { name }, None) = (&piece.what, &piece.kept) {
                exports.push(name.clone());
            }
        })
        .await?;
        let mut left = Vec::new();
        for _ in 0..ROUNDS {
            self.erase_once(wanted, &exports).await?;
            left = self.count(wanted).await?.into_iter().filter(|d| d.found > d.kept).collect();
            if left.is_empty() {
                break;
            }
        }
        let mut remarks = self.erase_copies();
        self.empty_log().await?;
        if let Some(place) = left.first() {
            return Err(ApiError::new(
                ErrorCode::Failed,
                format!(
                    "{} entries in {} still hold the subject's data after {ROUNDS} rounds: more of it keeps coming in. Stop the feed that sends it, then execute again",
                    place.found - place.kept,
                    place.place
                ),
            ));
        }
        let done: Vec<Done> = before.into_values().map(|d| Done { changed: d.found - d.kept, ..d }).collect();
        remarks.push("The search was run again afterwards over every event of every block and every row: it finds nothing but what is listed as kept.".into());
        remarks.push("Deleted pages of the database are overwritten with zeros, and its write-ahead log was emptied. Backups and files that were handed out before are outside Watchfloor: delete or supersede them where they are kept.".into());
        Ok((done, remarks))
    }

    /// Nothing old is left in the write-ahead log. A reader may hold it for a moment.
    pub(crate) async fn empty_log(&self) -> Result<(), ApiError> {
        for _ in 0..300 {
            match self.records.context.store().truncate_log().await {
                Ok(()) => return Ok(()),
                Err(StoreError::Busy) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(e) => return Err(e.into()),
            }
        }
        Err(ApiError::failed("a long reading holds the database's log: try again when it is done"))
    }

    pub(crate) async fn erase_once(&self, wanted: &Wanted, exports: &[String]) -> Result<(), ApiError> {
        let (finder, keeping) = (wanted.finder.clone(), wanted.keeping.clone());
        let (quick, _) = wanted.looks();
        let decide: Decide = Arc::new(move |e: &StoredEvent| match redact_event(&finder, e, ERASED) {
            Some(new) if keeping.event(e).is_none() => Fate::Replace(Box::new(new)),
            _ => Fate::Keep,
        });
        // What could not be read is named by the search afterwards, and by the receipt.
        let _rewritten = self.records.context.store().rewrite_events(&quick, &decide).await?;
        let finder = wanted.finder.clone();
        self.records.context.recent.forget(|e| event_holds(&finder, e) && wanted.keeping.event(e).is_none());
        self.detection_forgets(wanted.finder.clone()).await?;
        let (finder, keeping) = (wanted.finder.clone(), wanted.keeping.clone());
        self.change_incidents(
            move |i| {
                if keeping.incident(i).is_none() { redact_incident(&finder, i, ERASED) } else { None }
            },
        )
        .await?;
        self.change_rows(wanted, |f, row| redact_row(f, row, ERASED)).await?;
        for name in exports {
            self.records.remove_export(name).await?;
        }
        Ok(())
    }

    /// New states of incidents, through the ledger, which has the live ones in memory.
    pub(crate) async fn change_incidents(
        &self,
        change: impl Fn(&Incident) -> Option<Incident> + Send + Sync + 'static,
    ) -> Result<u64, ApiError> {
        let change = Arc::new(change);
        let (mut after, mut changed) = (0, 0);
        loop {
            let page = self.records.context.store().incidents_after(after).await?;
            let Some(last) = page.last() else { return Ok(changed) };
            after = last.number;
            let ids: Vec<IncidentId> = page.iter().filter(|i| change(i).is_some()).map(|i| i.id.clone()).collect();
            for some in ids.chunks(AT_ONCE) {
                let names: Vec<String> = some.iter().map(|i| i.0.clone()).collect();
                let change = change.clone();
                let (done, _) = self
                    .records
                    .context
                    .ledger
                    .act_on_many(&names, move |i, _| {
                        Ok(change(i)
                            .map(|new| Changes { incidents: vec![new], ..Changes::default() })
                            .unwrap_or_else(|| Changes { incidents: vec![i.clone()], ..Changes::default() }))
                    })
                    .await?;
                changed += done.incidents.len() as u64;
                self.records.context.tell(Changes { incidents: done.incidents, ..Changes::default() });
            }
        }
    }

    /// New texts of rows, in small commits.
    pub(crate) async fn change_rows(
        &self,
        wanted: &Wanted,
        change: impl Fn(&Finder, &Swept) -> Option<Rewrite> + Send + Sync,
    ) -> Result<u64, ApiError> {
        let mut changed = 0;
        for place in PLACES {
            let mut rewrites = Vec::new();
            self.records
                .context
                .store()
                .sweep(place, None, |row| {
                    if let Some(rewrite) = change(&wanted.finder, &row)
                        && is_own(&row, wanted).is_none()
                        && wanted.keeping.row(&row).is_none()
                        && still_reads(&row, &rewrite)
                    {
                        rewrites.push(rewrite);
                    }
                })
                .await?;
            changed += rewrites.len() as u64;
            for some in rewrites.chunks(AT_ONCE) {
                let commit = Commit { rewrites: some.to_vec(), ..Commit::default() };
                self.records.context.ledger.commit(|_| (commit, Changes::default())).await?;
            }
        }
        Ok(changed)
    }

    /// What detection remembers of somebody goes, too: in memory and in its snapshot.
    pub(crate) async fn detection_forgets(&self, finder: Arc<Finder>) -> Result<(), ApiError> {
        let about = move |text: &str| finder.is_value("user.id", text);
        if let Some(detector) = &self.detector {
            return match detector.forget(Arc::new(about)).await {
                true => Ok(()),
                false => Err(ApiError::failed("detection is being restarted; try again")),
            };
        }
        let Some((through, state)) = self.records.context.store().detector_state().await? else { return Ok(()) };
        let (rules, _) = wf_engine::rules::load_rules(&self.records.context.config());
        let packed = tokio::task::spawn_blocking(move || {
            let mut detector = Detector::new(rules, Limits::default());
            detector.restore(wf_engine::memory::unpack(&state).ok()?);
            detector.forget(&about);
            wf_engine::memory::pack(&detector.snapshot(through))
        })
        .await
        .map_err(ApiError::failed)?;
        let detector = Some((through, packed.unwrap_or_default())).filter(|(s, p)| *s != Seq(0) || !p.is_empty());
        Ok(self.records.context.store().commit(&Commit { detector, ..Commit::default() }).await?)
    }

    /// Copies of the database that were made before an update of its schema.
    pub(crate) fn erase_copies(&self) -> Vec<String> {
        self.records
            .context
            .store()
            .old_copies()
            .into_iter()
            .map(|path| {
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                match std::fs::remove_file(&path) {
                    Ok(()) => format!("The copy {name}, made before an update, was deleted."),
                    Err(e) => format!(
                        "The copy {name}, made before an update, could not be deleted ({e}): delete it by hand."
                    ),
                }
            })
            .collect()
    }
}
