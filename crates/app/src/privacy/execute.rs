//! Carrying a request out on what Watchfloor holds, and on other systems.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wf_evidence::report::pack::{any_line, hex};
use wf_evidence::report::{Column, Document, Figure, csv, pdf};
use wf_model::{Incident, Timestamp};
use wf_privacy::Entry;
use wf_privacy::request::{Done, ExportFile, Outcome, Receipt, Request, RequestKind};
use wf_privacy::retention::{Hold, Holds};
use wf_privacy::subject::{Finder, Identifier};
use wf_store::events::{Decide, Fate, StoredEvent};
use wf_store::sweep::Rewrite;

use super::subject::{Piece, Wanted, What, event_holds, fields, redact_incident};
use super::{HOLDS, Now, REPORTS, REQUESTS, record_of};
use crate::api::{ApiError, ErrorCode};
use crate::controller::Controller;
use crate::reports::KeptReport;
use crate::views::RequestView;

/// Rows of a place on paper; all of them are in the JSON beside it.
const ON_PAPER: usize = 1500;

impl Controller {
    pub(super) async fn execute(&self, number: u64, at: &Now) -> Result<RequestView, ApiError> {
        let r: Request = self.one_record(REQUESTS, number).await?;
        r.may_execute(&at.by.to_string(), self.config().privacy.approvals)?;
        let _one = self.privacy.working.try_lock().map_err(|_| {
            ApiError::new(ErrorCode::Refused, "something is being erased already; wait until it is done")
        })?;
        let wanted = self.wanted(&r).await?;
        self.privacy.begin(&format!("Request #{number}: {}", r.kind));
        let outcome = self.carry_out(&r, &wanted, at).await;
        self.privacy.end();
        // It may have changed meanwhile: what was decided then goes on from there.
        let _change = self.privacy.changing.lock().await;
        let now: Request = self.one_record(REQUESTS, number).await?;
        let r = now.executed(&at.act(), outcome?);
        self.keep_request(&r, at, "privacy.request.execute").await?;
        self.request(number).await
    }

    /// Who a request is about, and what is kept from them: their own restrictions do not stand in their way.
    async fn wanted(&self, r: &Request) -> Result<Wanted, ApiError> {
        let own: Vec<u64> = self
            .all_records::<Request>(REQUESTS, None, 100_000)
            .await?
            .into_iter()
            .filter(|o| o.subject_keys.iter().any(|k| r.subject_keys.contains(k)))
            .map(|o| o.number)
            .collect();
        let holds = Holds::without_restrictions_of(self.all_records::<Hold>(HOLDS, Some(true), 100_000).await?, &own);
        Ok(Wanted {
            finder: Arc::new(Finder::new(&r.subject)),
            keeping: Arc::new(self.keeping(holds).await?),
            request: Some(r.number),
            keys: r.subject_keys.clone(),
        })
    }

    async fn carry_out(&self, r: &Request, wanted: &Wanted, at: &Now) -> Result<Outcome, ApiError> {
        let base = Outcome { at: at.now, by: at.act().by.to_owned(), ..Outcome::default() };
        Ok(match r.kind {
            RequestKind::Access => {
                let (done, files) = self.copy(r, wanted, false).await?;
                Outcome { done, files, ..base }
            }
            RequestKind::Portability => {
                let (done, files) = self.copy(r, wanted, true).await?;
                Outcome { done, files, ..base }
            }
            RequestKind::Deletion => {
                let what = format!("Request #{}: erasing", r.number);
                let (done, remarks) =
                    self.erase(wanted, &mut |p| self.privacy.says(&what, p.looked_at, p.total)).await?;
                let mut outcome = Outcome { done, remarks, ..base };
                let receipt = self.receipt(r, &outcome).await?;
                outcome.files.push(receipt);
                outcome
            }
            RequestKind::Rectification => {
                let (done, remarks) = self.rectify(r, wanted).await?;
                Outcome { done, remarks, ..base }
            }
            RequestKind::Restriction | RequestKind::Objection => {
                let done = self
                    .count(wanted)
                    .await?
                    .into_iter()
                    .map(|d| Done { kept: d.found, ground: format!("kept and not used ({})", r.kind.article()), ..d })
                    .collect();
                let h = Hold {
                    number: self.store().next_record(HOLDS).await?,
                    version: 1,
                    title: format!(
                        "{} of request #{}",
                        if r.kind == RequestKind::Restriction { "Restriction" } else { "Objection" },
                        r.number
                    ),
                    reason: format!("{}: the data is stored and not otherwise used", r.kind.article()),
                    placed: Entry { at: at.now, by: at.act().by.to_owned(), text: String::new() },
                    incidents: Vec::new(),
                    subject: r.subject.clone(),
                    feeds: Vec::new(),
                    from: None,
                    until: None,
                    restriction: Some(r.number),
                    // An objection must not make us store longer than we would.
                    only_masks: r.kind == RequestKind::Objection,
                    released: None,
                };
                self.keep(
                    vec![record_of(HOLDS, h.number, 1, true, at.now, &h)?],
                    at,
                    "privacy.hold.add",
                    format!("hold:{}", h.number),
                    json!({ "restriction": r.number }),
                )
                .await?;
                Outcome {
                    done,
                    remarks: vec![if h.only_masks {
                        format!(
                            "Hold #{} leaves the subject out of every report. The data is kept no longer than without it; where no compelling ground stands against it, erase it (Art. 17(1)(c)).",
                            h.number
                        )
                    } else {
                        format!(
                            "Hold #{} keeps the data from deletion, except at the subject's own wish, and leaves the subject out of every report until it is released. Detection goes on: it protects the rights of others (Art. 18(2)).",
                            h.number
                        )
                    }],
                    ..base
                }
            }
        })
    }

    /// A copy of everything (Art. 15), or of what a machine can take over (Art. 20).
    async fn copy(
        &self,
        r: &Request,
        wanted: &Wanted,
        portable: bool,
    ) -> Result<(Vec<Done>, Vec<ExportFile>), ApiError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let what = format!("Request #{}: collecting", r.number);
        self.gather(
            wanted,
            &AtomicBool::new(false),
            &mut |p| self.privacy.says(&what, p.looked_at, p.total),
            &mut |piece| pieces.push(piece),
        )
        .await?;
        let mut places: BTreeMap<&'static str, Done> = BTreeMap::new();
        for p in &pieces {
            let d = places.entry(p.place()).or_insert_with(|| Done {
                place: p.place().to_owned(),
                found: 0,
                changed: 0,
                kept: 0,
                ground: String::new(),
            });
            d.found += 1;
        }
        let config = self.config();
        let json = json!({
            "format": if portable { "watchfloor-portability-1" } else { "watchfloor-access-1" },
            "request": r.number, "made_at": Timestamp::now().rfc3339(), "controller": config.privacy.organisation,
            "subject": r.subject.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "data": pieces.iter().map(as_json).collect::<Vec<_>>(),
        });
        let mut files = Vec::new();
        let name = format!("request-{}-{}", r.number, r.kind.as_str());
        files.push(
            self.write_export(&format!("{name}.json"), &serde_json::to_vec_pretty(&json).map_err(ApiError::failed)?)
                .await?,
        );
        if portable {
            let rows: Vec<[String; 6]> = pieces
                .iter()
                .map(|p| {
                    [
                        p.place().to_owned(),
                        if p.at() == Timestamp::EPOCH { String::new() } else { p.at().rfc3339() },
                        feed_of(p),
                        id_of(p),
                        if let What::Event(e) = &p.what { fields(e) } else { String::new() },
                        p.text(),
                    ]
                })
                .collect();
            let bytes = csv::rows(
                ["place", "time", "source", "id", "fields", "text"],
                rows.iter().map(|r| r.iter().map(String::as_str)),
            );
            files.push(self.write_export(&format!("{name}.csv"), &bytes).await?);
        } else {
            let document = self.access_document(r, &pieces).await?;
            let bytes = tokio::task::spawn_blocking(move || pdf::pdf(&document))
                .await
                .map_err(ApiError::failed)?
                .map_err(ApiError::failed)?;
            files.push(self.write_export(&format!("{name}.pdf"), &bytes).await?);
        }
        Ok((places.into_values().collect(), files))
    }

    async fn access_document(&self, r: &Request, pieces: &[Piece]) -> Result<Document, ApiError> {
        let config = self.config();
        let mut d = self
            .document(
                "Your personal data",
                &format!("Answer to request #{} under {} {}", r.number, r.kind.article(), config.privacy.law.name()),
                None,
            )
            .await;
        d.heading("What this is");
        d.text(format!(
            "You asked on {} which personal data we process about you in the security monitoring of our systems. This document and the file beside it (JSON) are the copy. It was searched for: {}.",
            r.received,
            r.subject.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ));
        let activities: Vec<wf_privacy::activity::Activity> =
            self.all_records(super::ACTIVITIES, Some(true), 100).await?;
        for a in &activities {
            d.heading(&a.name);
            d.pairs(vec![
                ("Purposes", a.purposes.clone()),
                ("Legal basis", a.legal_basis.clone()),
                ("Categories of data", a.data_categories.clone()),
                ("Recipients", a.recipients.clone()),
                ("Third countries", a.transfers.clone()),
                ("Kept for", a.retention.clone()),
            ]);
        }
        if activities.is_empty() {
            d.pairs(vec![
                (
                    "Purposes",
                    "Security of processing (Art. 32): finding and handling attacks on accounts and systems".into(),
                ),
                (
                    "Kept for",
                    format!(
                        "what came in {}, events {}, incidents {}, audit details {}",
                        config.retention.raw,
                        config.retention.events,
                        config.retention.incidents,
                        config.retention.audit
                    ),
                ),
                ("Source", "events that our own systems sent".into()),
            ]);
        }
        d.heading("Your rights");
        d.text(format!("You may ask for rectification, erasure, restriction and portability, and you may object. {} Contact: {}. No decision about you is made by a machine alone.", config.privacy.law.remedies(), if config.privacy.contact.is_empty() { "whoever sent you this" } else { &config.privacy.contact }));
        let mut by_place: BTreeMap<&'static str, Vec<&Piece>> = BTreeMap::new();
        for p in pieces {
            by_place.entry(p.place()).or_default().push(p);
        }
        d.heading("What was found");
        d.figures(by_place.iter().map(|(place, all)| Figure::new(&capital(place), all.len(), "", false)).collect());
        if by_place.is_empty() {
            d.text("Nothing.");
        }
        for (place, all) in by_place {
            d.heading(&capital(place));
            let rows = all
                .iter()
                .map(|p| {
                    vec![
                        if p.at() == Timestamp::EPOCH { String::new() } else { config.privacy.said(p.at()) },
                        feed_of(p),
                        p.text(),
                    ]
                })
                .collect();
            d.table(
                &place.replace(' ', "-"),
                "",
                vec![Column::new("when", 2.4), Column::new("source", 1.2), Column::new("what", 7.0)],
                rows,
                ON_PAPER,
                "",
            );
        }
        Ok(d)
    }

    /// What was done where, without a word about whom.
    async fn receipt(&self, r: &Request, outcome: &Outcome) -> Result<ExportFile, ApiError> {
        let config = self.config();
        let mut d = self
            .document(
                "Receipt of erasure",
                &format!("Request #{} under {} {}", r.number, r.kind.article(), config.privacy.law.name()),
                None,
            )
            .await;
        d.heading("What was done");
        d.pairs(vec![
            ("Received", r.received.to_string()),
            ("Carried out", format!("{} by {}", config.privacy.said(outcome.at), outcome.by)),
            ("Approved by", r.approvals.iter().map(|a| a.by.clone()).collect::<Vec<_>>().join(", ")),
        ]);
        let rows = outcome
            .done
            .iter()
            .map(|o| {
                vec![o.place.clone(), o.found.to_string(), o.changed.to_string(), o.kept.to_string(), o.ground.clone()]
            })
            .collect();
        d.table(
            "places",
            "",
            vec![
                Column::new("place", 2.0),
                Column::number("found"),
                Column::number("erased"),
                Column::number("kept"),
                Column::new("on which ground", 4.0),
            ],
            rows,
            100,
            "Nothing was held about the subject.",
        );
        for remark in &outcome.remarks {
            d.text(remark.clone());
        }
        if !r.tasks.is_empty() {
            d.heading("Other systems");
            let rows = r
                .tasks
                .iter()
                .map(|t| {
                    vec![
                        t.system.clone(),
                        t.owner.clone(),
                        t.due.to_string(),
                        t.receipt
                            .as_ref()
                            .map_or("open".to_owned(), |x| format!("done, {}", config.privacy.said(x.at))),
                    ]
                })
                .collect();
            d.table(
                "systems",
                "",
                vec![
                    Column::new("system", 2.0),
                    Column::new("owner", 2.0),
                    Column::new("due", 1.0),
                    Column::new("state", 2.0),
                ],
                rows,
                100,
                "",
            );
        }
        let bytes = tokio::task::spawn_blocking(move || pdf::pdf(&d))
            .await
            .map_err(ApiError::failed)?
            .map_err(ApiError::failed)?;
        self.write_export(&format!("request-{}-receipt.pdf", r.number), &bytes).await
    }

    /// Corrects values in what is about the subject. What was received word by word, and the record of what was done,
    /// stay as they are: they are true of what they record.
    async fn rectify(&self, r: &Request, wanted: &Wanted) -> Result<(Vec<Done>, Vec<String>), ApiError> {
        let (mut done, mut remarks) = (Vec::new(), Vec::new());
        for c in &r.corrections {
            let (finder, keeping, correction) = (wanted.finder.clone(), wanted.keeping.clone(), c.clone());
            // A value is replaced where it stands alone, as an identifier would be.
            let old = Arc::new(Finder::new(&[Identifier {
                kind: wf_privacy::subject::IdentifierKind::Name,
                value: c.old.clone(),
            }]));
            let held = Arc::new(std::sync::atomic::AtomicU64::new(0));
            let (counter, find) = (held.clone(), old.clone());
            let decide: Decide = Arc::new(move |e: &StoredEvent| {
                if !event_holds(&finder, e) {
                    return Fate::Keep;
                }
                let mut new = e.clone();
                for (name, value) in &mut new.fields {
                    if !correction.field.is_empty() && *name != correction.field {
                        continue;
                    }
                    if let Value::String(text) = value
                        && let Some(corrected) = if *text == correction.old {
                            Some(correction.new.clone())
                        } else {
                            find.replace(text, &correction.new)
                        }
                    {
                        *text = corrected;
                    }
                }
                if new == *e {
                    return Fate::Keep;
                }
                if keeping.event(e).is_some() {
                    counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    return Fate::Keep;
                }
                Fate::Replace(Box::new(new))
            });
            let quick = wanted.finder.clone();
            let events = self
                .store()
                .rewrite_events(&(Arc::new(move |t: &str| quick.may_hold(t)) as wf_store::events::Quick), &decide)
                .await?;
            let kept = held.load(std::sync::atomic::Ordering::Relaxed);
            let name = if c.field.is_empty() { "every field".to_owned() } else { c.field.clone() };
            done.push(Done {
                place: format!("events ({name})"),
                found: events.replaced + kept,
                changed: events.replaced,
                kept,
                ground: if kept > 0 { "under a legal hold".into() } else { String::new() },
            });
            let with = c.new.clone();
            let incidents = self
                .change_incidents(|i| {
                    redact_incident(&wanted.finder, i, "")?;
                    if wanted.keeping.incident(i).is_some() {
                        return None;
                    }
                    // Who it is about, and its sentence: nothing else of it is the subject's.
                    let mut new = i.clone();
                    for text in new
                        .message
                        .0
                        .iter_mut()
                        .filter_map(|p| if let wf_model::Part::Text(t) = p { Some(t) } else { None })
                        .chain(new.entity.as_mut().map(|e| &mut e.value))
                    {
                        if let Some(corrected) = old.replace(text, &with) {
                            *text = corrected;
                        }
                    }
                    (new != *i).then(|| Incident { version: i.version + 1, ..new })
                })
                .await?;
            done.push(Done {
                place: "incidents".into(),
                found: incidents,
                changed: incidents,
                kept: 0,
                ground: String::new(),
            });
            let rows = self
                .change_rows(wanted, |f, row| {
                    if row.place.table != "timeline" || !row.texts.iter().flatten().any(|t| f.holds(t)) {
                        return None;
                    }
                    let texts: Vec<(&'static str, String)> = row
                        .place
                        .columns
                        .iter()
                        .zip(&row.texts)
                        .filter_map(|(column, t)| Some((*column, old.replace(t.as_ref()?, &with)?)))
                        .collect();
                    (!texts.is_empty()).then(|| Rewrite::Set { place: row.place, key: row.key.clone(), texts })
                })
                .await?;
            done.push(Done { place: "timeline".into(), found: rows, changed: rows, kept: 0, ground: String::new() });
        }
        remarks.push("What came in word by word, messages that were sent, and the details of audit entries were not changed: they record what was received, sent and done, and are accurate as that.".into());
        Ok((done, remarks))
    }

    /// The subject of a deletion was answered: what came in meanwhile is erased, too, and then who they are is
    /// forgotten.
    pub(super) async fn complete_deletion(&self, number: u64, at: &Now, note: &str) -> Result<RequestView, ApiError> {
        let _one =
            self.privacy.working.try_lock().map_err(|_| {
                ApiError::new(ErrorCode::Refused, "something else is under way; try again when it is done")
            })?;
        let r: Request = self.one_record(REQUESTS, number).await?;
        // Refused before anything is done, if a system has not confirmed yet.
        r.advance(&at.act(), note)?;
        let wanted = self.wanted(&r).await?;
        self.privacy.begin(&format!("Request #{number}: erasing what came in since"));
        let erased = self.erase(&wanted, &mut |_| {}).await;
        self.privacy.end();
        erased?;
        let _change = self.privacy.changing.lock().await;
        let r: Request = self.one_record(REQUESTS, number).await?;
        let done = r.advance(&at.act(), note)?;
        // Whatever was written by hand may name them.
        let text = serde_json::to_string(&done).map_err(ApiError::failed)?;
        let done: Request = wanted
            .finder
            .replace_typed(&text, wf_privacy::subject::ERASED)
            .map_or(Ok(done), |t| serde_json::from_str(&t).map_err(ApiError::failed))?;
        self.keep_request(&done, at, "privacy.request.advance").await?;
        self.empty_log().await?;
        self.request(number).await
    }

    pub(super) async fn call_connector(&self, number: u64, system: &str, at: &Now) -> Result<RequestView, ApiError> {
        let r: Request = self.one_record(REQUESTS, number).await?;
        if r.identity.is_none() {
            return Err(ApiError::new(ErrorCode::Refused, "other systems are told once the identity is verified"));
        }
        let config = self.config();
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
        let answer = connector.call(&*self.secrets(), &known, &key).await.map(|(status, body)| Receipt {
            at: Timestamp::now(),
            by: at.act().by.to_owned(),
            text: format!("HTTP {status}, {} bytes", body.len()),
            sha256: Some(hex(&Sha256::digest(body.as_bytes()))),
        });
        let r = r.task_answered(&at.act(), system, answer)?;
        self.keep_request(&r, at, "privacy.request.connector").await?;
        self.request(number).await
    }

    // ---- the exports folder

    /// An officer takes a file out: recorded, with its hash.
    pub async fn hand_out(&self, name: &str) -> Result<std::path::PathBuf, ApiError> {
        let path = self.export_file(name)?;
        let bytes = std::fs::read(&path).map_err(|e| ApiError::failed(format!("{}: {e}", path.display())))?;
        let at = self.right_now(self.operator());
        self.keep(
            Vec::new(),
            &at,
            "export.hand_out",
            "export".into(),
            json!({ "file": name, "sha256": hex(&Sha256::digest(&bytes)) }),
        )
        .await?;
        Ok(path)
    }

    pub(crate) fn exports_dir(&self) -> std::path::PathBuf {
        self.store().path().parent().map_or_else(|| "exports".into(), |d| d.join("exports"))
    }

    /// A file of the exports folder, by its name alone: no path leads out of it (threat T9).
    pub fn export_file(&self, name: &str) -> Result<std::path::PathBuf, ApiError> {
        let plain = !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let path = self.exports_dir().join(name);
        // A link is not followed.
        let is_file = plain && std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_file());
        if is_file {
            Ok(path)
        } else {
            Err(ApiError::new(ErrorCode::NotFound, format!("there is no file '{name}' in the exports folder")))
        }
    }

    /// Writes a file only this user can read, and gives its hash.
    pub(crate) async fn write_export(&self, name: &str, bytes: &[u8]) -> Result<ExportFile, ApiError> {
        let (dir, name, content) = (self.exports_dir(), name.to_owned(), bytes.to_vec());
        tokio::task::spawn_blocking(move || {
            let failed = |e: std::io::Error| ApiError::failed(format!("{}: {e}", dir.display()));
            crate::platform::create_private_dir(&dir).map_err(failed)?;
            crate::config::write_bytes(&dir.join(&name), &content).map_err(failed)?;
            Ok(ExportFile { sha256: hex(&Sha256::digest(&content)), name, removed: false })
        })
        .await
        .map_err(ApiError::failed)?
    }

    /// Names of files in the exports folder that hold a subject's data: answers to their requests, and reports that
    /// name them.
    pub(crate) async fn exports_about(&self, finder: &Arc<Finder>) -> Result<Vec<String>, ApiError> {
        let (dir, finder) = (self.exports_dir(), finder.clone());
        tokio::task::spawn_blocking(move || {
            let mut names: Vec<String> = Vec::new();
            let entries: Vec<_> = match std::fs::read_dir(&dir) {
                Ok(entries) => entries.flatten().collect(),
                Err(_) => return Ok(names),
            };
            // The JSON of a report or an answer, or the tables in its pack, say all that its PDF says.
            for path in entries.iter().map(std::fs::DirEntry::path) {
                let holds = match path.extension().and_then(|e| e.to_str()) {
                    Some("json") => finder.holds(&std::fs::read_to_string(&path).unwrap_or_default()),
                    Some("zip") => std::fs::read(&path).is_ok_and(|bytes| any_line(&bytes, &|line| finder.holds(line))),
                    _ => false,
                };
                if holds {
                    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                    names.extend(
                        entries
                            .iter()
                            .filter_map(|e| e.file_name().into_string().ok())
                            .filter(|n| n.rsplit_once('.').is_some_and(|(s, _)| s == stem)),
                    );
                }
            }
            names.sort();
            names.dedup();
            Ok(names)
        })
        .await
        .map_err(ApiError::failed)?
    }

    /// Removes a file from the exports folder, and says so where it is listed.
    pub(crate) async fn remove_export(&self, name: &str) -> Result<(), ApiError> {
        let path = self.exports_dir().join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(ApiError::failed(format!("{}: {e}", path.display())));
            }
            _ => {}
        }
        let at = self.right_now(wf_model::Actor::Engine);
        for mut k in self.all_records::<KeptReport>(REPORTS, None, 10_000).await? {
            if k.files.iter().any(|f| f.name == name && !f.removed) {
                k.files.iter_mut().filter(|f| f.name == name).for_each(|f| f.removed = true);
                k.version += 1;
                self.keep(vec![record_of(REPORTS, k.number, k.version, false, at.now, &k)?], &at, "report.remove", format!("report:{}", k.number), json!({ "sha256": k.files.iter().filter(|f| f.name == name).map(|f| &f.sha256).collect::<Vec<_>>() })).await?;
            }
        }
        for r in self.all_records::<Request>(REQUESTS, None, 10_000).await? {
            if let Some(o) = r.outcome.as_ref().filter(|o| o.files.iter().any(|f| f.name == name && !f.removed)) {
                let mut o = o.clone();
                o.files.iter_mut().filter(|f| f.name == name).for_each(|f| f.removed = true);
                let r = Request { outcome: Some(o), version: r.version + 1, ..r };
                self.keep_request(&r, &at, "privacy.export.remove").await?;
            }
        }
        Ok(())
    }
}

fn capital(text: &str) -> String {
    let mut c = text.chars();
    c.next().map(|f| f.to_uppercase().chain(c).collect()).unwrap_or_default()
}

fn feed_of(p: &Piece) -> String {
    match &p.what {
        What::Event(e) => e.feed.to_string(),
        What::Incident(i) => i.feeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        What::Row(r) => r.incident.map(|n| format!("incident #{n}")).or_else(|| r.feed.clone()).unwrap_or_default(),
        What::Config { .. } => "config".into(),
        What::Export { .. } => "exports".into(),
    }
}

fn id_of(p: &Piece) -> String {
    match &p.what {
        What::Event(e) => e.seq.0.to_string(),
        What::Incident(i) => i.number.to_string(),
        What::Row(r) => format!("{:?}", r.key),
        What::Config { line, .. } => line.to_string(),
        What::Export { name } => name.clone(),
    }
}

/// A piece as a machine reads it.
fn as_json(p: &Piece) -> Value {
    match &p.what {
        What::Event(e) => {
            json!({ "place": "events", "seq": e.seq.0, "feed": e.feed, "id": e.id, "occurred_at": e.occurred_at.rfc3339(), "received_at": e.received_at.rfc3339(), "fields": e.fields, "raw": e.raw })
        }
        What::Incident(i) => json!({ "place": "incidents", "incident": i }),
        What::Row(r) => {
            json!({ "place": p.place(), "at": r.at.rfc3339(), "incident": r.incident, "feed": r.feed, "values": r.place.columns.iter().zip(&r.texts).filter_map(|(c, t)| Some(((*c).to_owned(), Value::String(t.clone()?)))).collect::<serde_json::Map<_, _>>() })
        }
        What::Config { line, text } => json!({ "place": "config", "line": line, "text": text }),
        What::Export { name } => json!({ "place": "exports", "file": name }),
    }
}
