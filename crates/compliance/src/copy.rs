//! What a subject gets: the copy of their data, on paper and as JSON, and the receipt of an erasure.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use wf_api::ApiError;
use wf_evidence::report::{Column, Document, Figure, csv, pdf};
use wf_model::Timestamp;
use wf_privacy::request::{Done, ExportFile, Outcome, Request};

use crate::records::*;
use crate::redaction::*;
use crate::requests::Requests;
use crate::subject::*;

/// Rows of a place on paper; all of them are in the JSON beside it.
const ON_PAPER: usize = 1500;

impl Requests {
    /// A copy of everything (Art. 15), or of what a machine can take over (Art. 20).
    pub(crate) async fn copy(
        &self,
        r: &Request,
        wanted: &Wanted,
        portable: bool,
    ) -> Result<(Vec<Done>, Vec<ExportFile>), ApiError> {
        let mut pieces: Vec<Piece> = Vec::new();
        let what = format!("Request #{}: collecting", r.number);
        self.subjects
            .gather(
                wanted,
                &AtomicBool::new(false),
                &mut |p| self.records.work.says(&what, p.looked_at, p.total),
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
        let config = self.records.context.config();
        let json = json!({
            "format": if portable { "watchfloor-portability-1" } else { "watchfloor-access-1" },
            "request": r.number, "made_at": self.records.context.now().rfc3339(), "controller": config.privacy.organisation,
            "subject": r.subject.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "data": pieces.iter().map(as_json).collect::<Vec<_>>(),
        });
        let mut files = Vec::new();
        let name = format!("request-{}-{}", r.number, r.kind.as_str());
        files.push(
            self.records
                .write_export(&format!("{name}.json"), &serde_json::to_vec_pretty(&json).map_err(ApiError::failed)?)
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
            files.push(self.records.write_export(&format!("{name}.csv"), &bytes).await?);
        } else {
            let document = self.access_document(r, &pieces).await?;
            let bytes = tokio::task::spawn_blocking(move || pdf::pdf(&document))
                .await
                .map_err(ApiError::failed)?
                .map_err(ApiError::failed)?;
            files.push(self.records.write_export(&format!("{name}.pdf"), &bytes).await?);
        }
        Ok((places.into_values().collect(), files))
    }

    pub(crate) async fn access_document(&self, r: &Request, pieces: &[Piece]) -> Result<Document, ApiError> {
        let config = self.records.context.config();
        let mut d = self.records.document(
            "Your personal data",
            &format!("Answer to request #{} under {} {}", r.number, r.kind.article(), config.privacy.law.name()),
            None,
        );
        d.heading("What this is");
        d.text(format!(
            "You asked on {} which personal data we process about you in the security monitoring of our systems. This document and the file beside it (JSON) are the copy. It was searched for: {}.",
            r.received,
            r.subject.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ));
        let activities: Vec<wf_privacy::activity::Activity> =
            self.records.all_records(ACTIVITIES, Some(true), 100).await?;
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
    pub(crate) async fn receipt(&self, r: &Request, outcome: &Outcome) -> Result<ExportFile, ApiError> {
        let config = self.records.context.config();
        let mut d = self.records.document(
            "Receipt of erasure",
            &format!("Request #{} under {} {}", r.number, r.kind.article(), config.privacy.law.name()),
            None,
        );
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
        self.records.write_export(&format!("request-{}-receipt.pdf", r.number), &bytes).await
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
        What::Unreadable(_) => String::new(),
    }
}

fn id_of(p: &Piece) -> String {
    match &p.what {
        What::Event(e) => e.seq.0.to_string(),
        What::Incident(i) => i.number.to_string(),
        What::Row(r) => format!("{:?}", r.key),
        What::Config { line, .. } => line.to_string(),
        What::Export { name } => name.clone(),
        What::Unreadable(damage) => format!("{} to {}", damage.first.0, damage.last.0),
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
        What::Unreadable(damage) => json!({ "place": p.place(), "first": damage.first.0, "last": damage.last.0 }),
    }
}
