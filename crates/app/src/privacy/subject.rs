//! Everything that is held about a person: found, shown, corrected, erased.
//!
//! The search looks at every event of every block and every row of every table; it trusts no index. Erasing goes in
//! small steps, each a transaction: ingest goes on beside it, and after a crash it is simply done again. It ends with
//! the search finding nothing any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use wf_detect::{Detector, Limits};
use wf_model::{Incident, IncidentId, Seq, Timestamp};
use wf_privacy::request::{Done, Request};
use wf_privacy::retention::Hold;
use wf_privacy::subject::{ERASED, Finder};
use wf_response::Changes;
use wf_store::events::{Decide, Exact, Fate, Progress, Quick, StoredEvent};
use wf_store::sweep::{KeyValue, PLACES, Rewrite, Swept};
use wf_store::{Commit, StoreError};

use super::holding::Keeping;
use crate::api::{ApiError, ErrorCode};
use crate::controller::Controller;
use crate::pipeline::Signal;

/// Rows changed in one transaction.
const AT_ONCE: usize = 200;
/// What came in while it was being erased is erased in a further round.
const ROUNDS: usize = 3;

/// One thing that is held about somebody.
pub struct Piece {
    pub what: What,
    /// The hold that keeps it.
    pub kept: Option<String>,
}

pub enum What {
    Event(Box<StoredEvent>),
    Incident(Box<Incident>),
    Row(Swept),
    /// A line of the config, which is the officer's own to edit.
    Config {
        line: usize,
        text: String,
    },
    /// A report or an answer that was made before, and is still in the exports folder.
    Export {
        name: String,
    },
}

impl Piece {
    /// What kind of place it is in, as it is counted and shown.
    pub fn place(&self) -> &'static str {
        match &self.what {
            What::Event(_) => "events",
            What::Incident(_) => "incidents",
            What::Row(row) => match row.place.table {
                "timeline" | "folded" => "timeline",
                "notification" => "messages",
                "audit_leaf" => "audit details",
                "record" => "privacy records",
                "silence" => "silences",
                "quarantine" => "quarantine",
                _ => "feeds and channels",
            },
            What::Config { .. } => "config",
            What::Export { .. } => "exports",
        }
    }

    pub fn at(&self) -> Timestamp {
        match &self.what {
            What::Event(e) => e.occurred_at,
            What::Incident(i) => i.last_seen,
            What::Row(r) => r.at,
            What::Config { .. } | What::Export { .. } => Timestamp::EPOCH,
        }
    }

    pub fn text(&self) -> String {
        match &self.what {
            What::Event(e) => {
                if e.raw.is_empty() {
                    fields(e)
                } else {
                    e.raw.clone()
                }
            }
            What::Incident(i) => format!("#{} {}", i.number, i.title()),
            // A document in full is in the copy that is handed out; here its name is enough.
            What::Row(r) if r.place.table == "record" => match r.key.as_slice() {
                [KeyValue::Text(kind), KeyValue::Number(n)] => format!("{} #{n}", kind.replace('_', " ")),
                _ => String::new(),
            },
            What::Row(r) => r.texts.iter().flatten().cloned().collect::<Vec<_>>().join(" · "),
            What::Config { line, text } => format!("line {line}: {text}"),
            What::Export { name } => name.clone(),
        }
    }
}

/// The mapped fields as JSON: names beside values, so that a user's id is known for one.
pub fn fields(e: &StoredEvent) -> String {
    serde_json::to_string(&e.fields).unwrap_or_default()
}

pub fn event_holds(f: &Finder, e: &StoredEvent) -> bool {
    f.holds(&e.raw) || f.holds(&fields(e)) || e.id.as_ref().is_some_and(|id| f.holds(id))
}

/// The event with every identifier replaced. Numbers and times stay.
pub fn redact_event(f: &Finder, e: &StoredEvent, with: &str) -> Option<StoredEvent> {
    let (mut raw, new_fields, id) =
        (f.replace(&e.raw, with), f.replace(&fields(e), with), e.id.as_ref().and_then(|id| f.replace(id, with)));
    if raw.is_none() && new_fields.is_none() && id.is_none() {
        return None;
    }
    // The mapping found the user under a name we do not know for one: the same value in the words it came in with is
    // that user.
    for (name, value) in &e.fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if name.starts_with("user.") && f.is_value(name, &value) {
            let quoted = serde_json::to_string(&value).unwrap_or_default();
            let text = raw.as_deref().unwrap_or(&e.raw);
            if text.contains(&quoted) {
                raw = Some(text.replace(&quoted, &serde_json::to_string(with).unwrap_or_default()));
            }
        }
    }
    let mut new = e.clone();
    if let Some(raw) = raw {
        new.raw = raw;
    }
    if let Some(text) = new_fields {
        // It was JSON and is JSON; if not, no field is better than somebody's data.
        new.fields = serde_json::from_str(&text).unwrap_or_default();
    }
    if id.is_some() {
        new.id = id;
    }
    Some(new)
}

pub fn redact_incident(f: &Finder, i: &Incident, with: &str) -> Option<Incident> {
    let mut new = i.clone();
    if let Some(e) = &new.entity
        && f.is_value(&e.field, &e.value)
    {
        // A sentence has the value in a part of its own.
        let value = e.value.clone();
        for part in &mut new.message.0 {
            if let wf_model::Part::Text(text) = part
                && *text == value
            {
                *text = with.to_owned();
            }
        }
    }
    let text = serde_json::to_string(&new).ok()?;
    let new = match f.replace_typed(&text, with) {
        Some(text) => serde_json::from_str(&text).unwrap_or_else(|e| {
            // An identifier that is also a word of ours: what it says goes, how it was handled goes with it.
            tracing::warn!(incident = i.number, error = %e, "an incident was redacted without its handling");
            let entity =
                new.entity.as_ref().map(|x| wf_model::Entity { field: x.field.clone(), value: with.to_owned() });
            Incident {
                entity,
                message: wf_model::Message(vec![wf_model::Part::Text(with.to_owned())]),
                handling: Default::default(),
                ..new
            }
        }),
        None => new,
    };
    (new != *i).then(|| Incident { version: i.version + 1, ..new })
}

/// What becomes of a row that holds the subject's data; `None` when it does not.
pub(super) fn redact_row(f: &Finder, row: &Swept, with: &str) -> Option<Rewrite> {
    if row.place.table == "audit_leaf" {
        let Some(KeyValue::Number(index)) = row.key.first() else { return None };
        return row
            .texts
            .iter()
            .flatten()
            .any(|t| f.replace_typed(t, with).is_some())
            .then_some(Rewrite::ErasePayload { index: *index });
    }
    if row.place.table == "folded" {
        let [value, field] = row.texts.as_slice() else { return None };
        let (value, field) = (value.as_ref()?, field.as_deref().unwrap_or_default());
        return f.is_value(field, value).then(|| Rewrite::Set {
            place: row.place,
            key: row.key.clone(),
            texts: vec![("entity_value", with.to_owned())],
        });
    }
    let texts: Vec<(&'static str, String)> = row
        .place
        .columns
        .iter()
        .zip(&row.texts)
        .filter_map(|(column, t)| {
            let t = t.as_ref()?;
            Some((
                *column,
                if matches!(*column, "page" | "matcher" | "document") {
                    f.replace_typed(t, with)?
                } else {
                    f.replace(t, with)?
                },
            ))
        })
        .collect();
    (!texts.is_empty()).then(|| Rewrite::Set { place: row.place, key: row.key.clone(), texts })
}

/// Whether documents of ours can still be read after a rewrite. What could not is left as it is, and is found again: an
/// erasure then says that it failed.
fn still_reads(row: &Swept, rewrite: &Rewrite) -> bool {
    let Rewrite::Set { texts, .. } = rewrite else { return true };
    texts.iter().all(|(column, text)| match (*column, row.key.first()) {
        ("page", _) => serde_json::from_str::<wf_model::Page>(text).is_ok(),
        ("matcher", _) => serde_json::from_str::<wf_model::Matcher>(text).is_ok(),
        ("document", Some(KeyValue::Text(kind))) => match kind.as_str() {
            super::REQUESTS => serde_json::from_str::<Request>(text).is_ok(),
            super::BREACHES => serde_json::from_str::<wf_privacy::breach::Breach>(text).is_ok(),
            super::CONSENTS => serde_json::from_str::<wf_privacy::consent::Consent>(text).is_ok(),
            super::ACTIVITIES => serde_json::from_str::<wf_privacy::activity::Activity>(text).is_ok(),
            super::HOLDS => serde_json::from_str::<Hold>(text).is_ok(),
            super::RUNS => serde_json::from_str::<wf_privacy::retention::Run>(text).is_ok(),
            super::REPORTS => serde_json::from_str::<crate::reports::KeptReport>(text).is_ok(),
            _ => true,
        },
        _ => true,
    })
}

/// Records of privacy itself that are not erased with the rest: requests of the subject that are being worked on, and
/// holds in force, which could not say whom they protect.
fn is_own(row: &Swept, wanted: &Wanted) -> Option<&'static str> {
    if row.place.table != "record" {
        return None;
    }
    let document = row.texts.first()?.as_deref()?;
    match row.key.as_slice() {
        [KeyValue::Text(kind), KeyValue::Number(_)] if kind == super::REQUESTS => {
            let r: Request = serde_json::from_str(document).ok()?;
            let same = Some(r.number) == wanted.request || r.subject_keys.iter().any(|k| wanted.keys.contains(k));
            (r.state.is_open() && same).then_some("a request of the subject that is not answered yet")
        }
        [KeyValue::Text(kind), _] if kind == super::HOLDS => serde_json::from_str::<Hold>(document)
            .is_ok_and(|h| h.released.is_none())
            .then_some("a hold must say whom it protects (Art. 17(3)(e))"),
        _ => None,
    }
}

/// What a search needs to know.
pub struct Wanted {
    pub finder: Arc<Finder>,
    pub keeping: Arc<Keeping>,
    /// The request it is done for.
    pub request: Option<u64>,
    /// Keyed hashes of the identifiers.
    pub keys: Vec<String>,
}

impl Wanted {
    fn looks(&self) -> (Quick, Exact) {
        let (quick, exact) = (self.finder.clone(), self.finder.clone());
        (Arc::new(move |text: &str| quick.may_hold(text)), Arc::new(move |e: &StoredEvent| event_holds(&exact, e)))
    }
}

impl Controller {
    /// Shows `each` everything that is held about somebody. `false`: cancelled before the end.
    pub(crate) async fn gather(
        &self,
        wanted: &Wanted,
        cancel: &AtomicBool,
        progress: &mut (dyn FnMut(Progress) + Send),
        each: &mut (dyn FnMut(Piece) + Send),
    ) -> Result<bool, ApiError> {
        let store = self.store();
        let (quick, exact) = wanted.looks();
        let held = AtomicBool::new(false);
        let whole = store.sift(&quick, &exact, cancel, &mut *progress, |events| {
            for e in events {
                let kept = wanted.keeping.event(&e);
                held.store(held.load(Ordering::Relaxed) || kept.is_some(), Ordering::Relaxed);
                each(Piece { what: What::Event(Box::new(e)), kept });
            }
        });
        if !whole.await? {
            return Ok(false);
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
        let config = std::fs::read_to_string(&self.config_path).unwrap_or_default();
        for (n, line) in config.lines().enumerate().filter(|(_, l)| wanted.finder.holds(l)) {
            each(Piece {
                what: What::Config { line: n + 1, text: line.trim().to_owned() },
                kept: Some("the config is edited by hand".into()),
            });
        }
        for name in self.exports_about(&wanted.finder).await? {
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
            match self.store().truncate_log().await {
                Ok(()) => return Ok(()),
                Err(StoreError::Busy) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(e) => return Err(e.into()),
            }
        }
        Err(ApiError::failed("a long reading holds the database's log: try again when it is done"))
    }

    async fn erase_once(&self, wanted: &Wanted, exports: &[String]) -> Result<(), ApiError> {
        let (finder, keeping) = (wanted.finder.clone(), wanted.keeping.clone());
        let (quick, _) = wanted.looks();
        let decide: Decide = Arc::new(move |e: &StoredEvent| match redact_event(&finder, e, ERASED) {
            Some(new) if keeping.event(e).is_none() => Fate::Replace(Box::new(new)),
            _ => Fate::Keep,
        });
        self.store().rewrite_events(&quick, &decide).await?;
        let finder = wanted.finder.clone();
        self.live.forget(|e| event_holds(&finder, e) && wanted.keeping.event(e).is_none());
        self.detection_forgets(wanted.finder.clone()).await?;
        self.change_incidents(|i| {
            if wanted.keeping.incident(i).is_none() { redact_incident(&wanted.finder, i, ERASED) } else { None }
        })
        .await?;
        self.change_rows(wanted, |f, row| redact_row(f, row, ERASED)).await?;
        for name in exports {
            self.remove_export(name).await?;
        }
        Ok(())
    }

    /// New states of incidents, through the ledger, which has the live ones in memory.
    pub(crate) async fn change_incidents(
        &self,
        change: impl Fn(&Incident) -> Option<Incident> + Sync,
    ) -> Result<u64, ApiError> {
        let (mut after, mut changed) = (0, 0);
        loop {
            let page = self.store().incidents_after(after).await?;
            let Some(last) = page.last() else { return Ok(changed) };
            after = last.number;
            let ids: Vec<IncidentId> = page.iter().filter(|i| change(i).is_some()).map(|i| i.id.clone()).collect();
            for some in ids.chunks(AT_ONCE) {
                let names: Vec<String> = some.iter().map(|i| i.0.clone()).collect();
                let (done, _) = self
                    .ledger
                    .act_on_many(&names, |i, _| {
                        Ok(change(i)
                            .map(|new| Changes { incidents: vec![new], ..Changes::default() })
                            .unwrap_or_else(|| Changes { incidents: vec![i.clone()], ..Changes::default() }))
                    })
                    .await?;
                changed += done.incidents.len() as u64;
                self.tell(Changes { incidents: done.incidents, ..Changes::default() });
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
            self.store()
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
                self.ledger.commit(|_| (commit, Changes::default())).await?;
            }
        }
        Ok(changed)
    }

    /// What detection remembers of somebody goes, too: in memory and in its snapshot.
    async fn detection_forgets(&self, finder: Arc<Finder>) -> Result<(), ApiError> {
        let about = move |text: &str| finder.is_value("user.id", text);
        if let Some(running) = &self.running {
            let (done, forgot) = oneshot::channel();
            let signal = Signal::Forget(Arc::new(about), done);
            if running.signals.send(signal).await.is_err() || forgot.await.is_err() {
                return Err(ApiError::failed("detection is being restarted; try again"));
            }
            return Ok(());
        }
        let Some((through, state)) = self.store().detector_state().await? else { return Ok(()) };
        let (rules, _) = crate::engine::load_rules(&self.config());
        let packed = tokio::task::spawn_blocking(move || {
            let mut detector = Detector::new(rules, Limits::default());
            detector.restore(crate::memory::unpack(&state).ok()?);
            detector.forget(&about);
            crate::memory::pack(&detector.snapshot(through))
        })
        .await
        .map_err(ApiError::failed)?;
        let detector = Some((through, packed.unwrap_or_default())).filter(|(s, p)| *s != Seq(0) || !p.is_empty());
        Ok(self.store().commit(&Commit { detector, ..Commit::default() }).await?)
    }

    /// Copies of the database that were made before an update of its schema.
    fn erase_copies(&self) -> Vec<String> {
        self.store()
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

fn tally(places: &mut BTreeMap<&'static str, Done>, piece: &Piece) {
    let place = piece.place();
    let d = places.entry(place).or_insert_with(|| Done {
        place: place.to_owned(),
        found: 0,
        changed: 0,
        kept: 0,
        ground: String::new(),
    });
    d.found += 1;
    if let Some(ground) = &piece.kept {
        d.kept += 1;
        if !d.ground.contains(ground.as_str()) {
            if !d.ground.is_empty() {
                d.ground.push_str("; ");
            }
            d.ground.push_str(ground);
        }
    }
}
