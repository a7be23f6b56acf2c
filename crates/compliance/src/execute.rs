//! Carrying a request out on what Watchfloor holds, and on other systems.

use std::sync::Arc;

use serde_json::{Value, json};
use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_model::Incident;
use wf_privacy::Entry;
use wf_privacy::request::{Done, Outcome, Request, RequestKind};
use wf_privacy::retention::{Hold, Holds};
use wf_privacy::subject::{Finder, Identifier};
use wf_store::events::{Decide, Fate, StoredEvent};
use wf_store::sweep::Rewrite;

use crate::records::*;
use crate::redaction::*;
use crate::requests::Requests;
use crate::subject::*;

impl Requests {
    pub(crate) async fn execute(&self, number: u64, at: &Now) -> Result<RequestView, ApiError> {
        let r: Request = self.records.one_record(REQUESTS, number).await?;
        r.may_execute(&at.by.to_string(), self.records.context.config().privacy.approvals)?;
        let _one = self.records.work.working.try_lock().map_err(|_| {
            ApiError::new(ErrorCode::Refused, "something is being erased already; wait until it is done")
        })?;
        let wanted = self.wanted(&r).await?;
        self.records.work.begin(&format!("Request #{number}: {}", r.kind));
        let outcome = self.carry_out(&r, &wanted, at).await;
        self.records.work.end();
        // It may have changed meanwhile: what was decided then goes on from there.
        let _change = self.records.work.changing.lock().await;
        let now: Request = self.records.one_record(REQUESTS, number).await?;
        let r = now.executed(&at.act(), outcome?);
        self.records.keep_request(&r, at, "privacy.request.execute").await?;
        self.one(number).await
    }

    /// Who a request is about, and what is kept from them: their own restrictions do not stand in their way.
    pub(crate) async fn wanted(&self, r: &Request) -> Result<Wanted, ApiError> {
        let own: Vec<u64> = self
            .records
            .all_records::<Request>(REQUESTS, None, 100_000)
            .await?
            .into_iter()
            .filter(|o| o.subject_keys.iter().any(|k| r.subject_keys.contains(k)))
            .map(|o| o.number)
            .collect();
        let holds =
            Holds::without_restrictions_of(self.records.all_records::<Hold>(HOLDS, Some(true), 100_000).await?, &own);
        Ok(Wanted {
            finder: Arc::new(Finder::new(&r.subject)),
            keeping: Arc::new(self.records.keeping(holds).await?),
            request: Some(r.number),
            keys: r.subject_keys.clone(),
        })
    }

    pub(crate) async fn carry_out(&self, r: &Request, wanted: &Wanted, at: &Now) -> Result<Outcome, ApiError> {
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
                    self.subjects.erase(wanted, &mut |p| self.records.work.says(&what, p.looked_at, p.total)).await?;
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
                    .subjects
                    .count(wanted)
                    .await?
                    .into_iter()
                    .map(|d| Done { kept: d.found, ground: format!("kept and not used ({})", r.kind.article()), ..d })
                    .collect();
                let h = Hold {
                    number: self.records.context.store().next_record(HOLDS).await?,
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
                self.records
                    .keep(
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

    /// Corrects values in what is about the subject. What was received word by word, and the record of what was done,
    /// stay as they are: they are true of what they record.
    pub(crate) async fn rectify(&self, r: &Request, wanted: &Wanted) -> Result<(Vec<Done>, Vec<String>), ApiError> {
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
                .records
                .context
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
            let (finder, keeping, new_text, old_text) =
                (wanted.finder.clone(), wanted.keeping.clone(), with.clone(), old.clone());
            let incidents = self
                .subjects
                .change_incidents(move |i| {
                    redact_incident(&finder, i, "")?;
                    if keeping.incident(i).is_some() {
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
                        if let Some(corrected) = old_text.replace(text, &new_text) {
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
                .subjects
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
}
