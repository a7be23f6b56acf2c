//! Everything that is held about a person is found and shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use wf_api::ApiError;
use wf_api::views::*;
use wf_engine::DetectorMemory;
use wf_model::Timestamp;
use wf_privacy::request::Done;
use wf_privacy::subject::{ERASED, Finder, Identifier};
use wf_store::events::Progress;
use wf_store::sweep::PLACES;

use crate::records::*;
use crate::redaction::*;
use crate::subject::*;

/// Looks through everything for somebody, and erases them from it.
pub struct Subjects {
    pub(crate) records: Arc<Records>,
    /// `None` where no engine runs: then only the stored memory of detection is changed.
    pub(crate) detector: Option<Arc<dyn DetectorMemory>>,
}

impl Subjects {
    /// What is held about a subject, as it is shown before anything is done. Looking is recorded, too.
    pub async fn find(
        &self,
        identifiers: &[String],
        limit: usize,
        progress: &mut (dyn FnMut(SearchProgress) + Send),
        cancel: &AtomicBool,
    ) -> Result<SubjectView, ApiError> {
        let subject = Identifier::parse_all(identifiers).map_err(invalid)?;
        let wanted = Wanted {
            finder: Arc::new(Finder::new(&subject)),
            keeping: Arc::new(self.records.keeping(self.records.holds().await?).await?),
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
        let at = self.records.right_now(self.records.context.operator());
        self.records.keep(
            Vec::new(),
            &at,
            "privacy.subject.find",
            "subject".into(),
            json!({ "keys": self.records.subject_keys(&subject), "found": places.values().map(|p| p.found).sum::<u64>() }),
        )
        .await?;
        Ok(SubjectView {
            identifiers: subject.iter().map(ToString::to_string).collect(),
            places: places.into_values().collect(),
            samples,
            cancelled: !whole,
        })
    }

    /// Shows `each` everything that is held about somebody. `false`: cancelled before the end.
    pub(crate) async fn gather(
        &self,
        wanted: &Wanted,
        cancel: &AtomicBool,
        progress: &mut (dyn FnMut(Progress) + Send),
        each: &mut (dyn FnMut(Piece) + Send),
    ) -> Result<bool, ApiError> {
        let store = self.records.context.store();
        let (quick, exact) = wanted.looks();
        let held = AtomicBool::new(false);
        let sifted = store.sift(&quick, &exact, cancel, &mut *progress, |events| {
            for e in events {
                let kept = wanted.keeping.event(&e);
                held.store(held.load(Ordering::Relaxed) || kept.is_some(), Ordering::Relaxed);
                each(Piece { what: What::Event(Box::new(e)), kept });
            }
        });
        let sifted = sifted.await?;
        if sifted.cancelled {
            return Ok(false);
        }
        for damage in sifted.damaged {
            let kept = Some("it cannot be read: restore a backup that holds it, or let retention delete it".into());
            each(Piece { what: What::Unreadable(damage), kept });
        }
        let mut after = 0;
        loop {
            let page = store.incidents_after(after).await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            for i in page {
                if redact_incident(&wanted.finder, &i, ERASED).is_some() {
                    let kept = wanted.keeping.incident(&i);
                    held.store(held.load(Ordering::Relaxed) || kept.is_some(), Ordering::Relaxed);
                    each(Piece { what: What::Incident(Box::new(i)), kept });
                }
            }
        }
        for place in PLACES {
            if cancel.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let mut found = Vec::new();
            store
                .sweep(place, None, |row| {
                    if redact_row(&wanted.finder, &row, ERASED).is_some() {
                        found.push(row);
                    }
                })
                .await?;
            for row in found {
                let kept = is_own(&row, wanted).map(str::to_owned).or_else(|| wanted.keeping.row(&row));
                each(Piece { what: What::Row(row), kept });
            }
        }
        let config = std::fs::read_to_string(&self.records.context.config_path).unwrap_or_default();
        for (n, line) in config.lines().enumerate().filter(|(_, l)| wanted.finder.holds(l)) {
            each(Piece {
                what: What::Config { line: n + 1, text: line.trim().to_owned() },
                kept: Some("the config is edited by hand".into()),
            });
        }
        for name in self.records.exports_about(&wanted.finder).await? {
            // A pack may hold what a hold keeps; an answer that was made for the subject is theirs alone.
            let kept = (held.load(Ordering::Relaxed) && name.starts_with("report-"))
                .then(|| "it may hold what a hold keeps".to_owned());
            each(Piece { what: What::Export { name }, kept });
        }
        Ok(true)
    }

    /// Everything a plain count needs: what is found where, and what of it is kept on which ground.
    pub(crate) async fn count(&self, wanted: &Wanted) -> Result<Vec<Done>, ApiError> {
        let mut places: BTreeMap<&'static str, Done> = BTreeMap::new();
        self.gather(wanted, &AtomicBool::new(false), &mut |_| {}, &mut |piece| tally(&mut places, &piece)).await?;
        Ok(places.into_values().collect())
    }
}
