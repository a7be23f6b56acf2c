//! Reports: for the privacy officer, the auditor, whoever was attacked, and the next shift.
//!
//! A report is a [`Document`] built from what is stored; `evidence` sets it and packs it. Each is kept in the exports
//! folder as PDF, JSON and signed pack, with its hashes in the audit log. A new kind is a module with a function that
//! builds a document, and a name in [`KINDS`].

mod gdpr;
mod handover;
mod incident;
mod soc2;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{Months, NaiveDate};
use serde_json::json;
use wf_api::views::*;
use wf_api::{ApiError, ErrorCode, ReportWanted};
use wf_engine::Running;
use wf_evidence::report::{Document, csv, pack, pdf};
use wf_model::{AuditAction, SignedCheckpoint};
use wf_privacy::subject::{Finder, RESTRICTED};
use wf_response::Changes;
use wf_store::Commit;

use crate::audit::Audit;
use crate::breaches::Breaches;
use crate::period::*;
use crate::records::*;
use crate::requests::Requests;
use crate::retention::Retention;

/// What was built, before it is kept.
pub(crate) struct Built {
    pub kind: &'static str,
    pub document: Document,
    /// Further files for the pack.
    pub files: Vec<(String, Vec<u8>)>,
    checkpoint: SignedCheckpoint,
}

const KINDS: [&str; 4] = ["gdpr", "soc2", "incident", "handover"];

/// Makes reports, and keeps them.
pub struct Reports {
    pub(crate) records: Arc<Records>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) breaches: Arc<Breaches>,
    pub(crate) retention: Arc<Retention>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) running: Option<Running>,
}

impl Reports {
    fn period(&self, wanted: &ReportWanted) -> Result<Period, ApiError> {
        let settings = &self.records.context.config().privacy;
        let today = settings.wall(self.records.context.now()).0;
        let day = |t: &Option<String>| {
            t.as_deref()
                .filter(|t| !t.is_empty())
                .map(|t| {
                    t.trim()
                        .parse::<NaiveDate>()
                        .map_err(|_| ApiError::invalid(format!("'{t}' is not a day: write 2026-01-31")))
                })
                .transpose()
        };
        let last = day(&wanted.to)?.unwrap_or(today);
        let first = day(&wanted.from)?.unwrap_or(if wanted.kind == "handover" {
            last
        } else {
            last.checked_sub_months(Months::new(1)).unwrap_or(last)
        });
        Period::of(settings, first, last)
    }

    /// Builds what is wanted. `all`: with the large tables that only the pack holds.
    async fn build(&self, wanted: &ReportWanted, all: bool) -> Result<Built, ApiError> {
        let cancel = self.records.work.begin("Collecting");
        let period = self.period(wanted)?;
        // The log as it is now is what the report is bound to; what it says of itself comes after.
        let checkpoint = self.records.context.ledger.log().checkpoint(self.records.context.now());
        let built = match wanted.kind.as_str() {
            "gdpr" => self.gdpr_report(&period).await.map(|document| ("gdpr", document, Vec::new())),
            "soc2" => self.soc2_report(&period, all, &cancel).await.map(|(document, files)| ("soc2", document, files)),
            "incident" => self
                .incident_report(
                    wanted
                        .incident
                        .as_deref()
                        .ok_or_else(|| ApiError::invalid("an incident report is about an incident: give its number"))?,
                )
                .await
                .map(|document| ("incident", document, Vec::new())),
            "handover" => self
                .handover_report(&period, wanted.from.is_none())
                .await
                .map(|document| ("handover", document, Vec::new())),
            other => Err(ApiError::invalid(format!("'{other}' is no report: there are {}", KINDS.join(", ")))),
        };
        let (kind, mut document, mut files) = built?;
        // One state of the log for the paper and for the pack.
        (document.checkpoint.size, document.checkpoint.root) =
            (checkpoint.size, checkpoint.note.lines().nth(2).unwrap_or_default().to_owned());
        if cancel.load(Ordering::Relaxed) {
            return Err(ApiError::new(ErrorCode::Refused, "cancelled"));
        }
        // Whose processing is restricted is in no report (Art. 18(2)).
        let restricted = self.records.holds().await?.restricted();
        if !restricted.is_empty() {
            let finder = Finder::new(&restricted);
            document.map_texts(&|t| finder.replace(t, RESTRICTED));
            for (_, bytes) in &mut files {
                let text = String::from_utf8_lossy(bytes);
                let masked: Vec<String> =
                    text.split('\n').map(|l| finder.replace(l, RESTRICTED).unwrap_or_else(|| l.to_owned())).collect();
                *bytes = masked.join("\n").into_bytes();
            }
        }
        Ok(Built { kind, document, files, checkpoint })
    }

    /// Shows a report before it is kept.
    pub async fn preview(&self, wanted: &ReportWanted) -> Result<ReportPreview, ApiError> {
        let _one = self.records.work.working.try_lock().map_err(|_| busy())?;
        let shown = async {
            let built = self.build(wanted, false).await?;
            self.records.work.says("Setting the pages", 0, 0);
            let title = built.document.title.clone();
            let (pages, count) = tokio::task::spawn_blocking(move || pdf::preview(&built.document))
                .await
                .map_err(ApiError::failed)?
                .map_err(ApiError::failed)?;
            Ok(ReportPreview { title, pages, count: count as u32 })
        }
        .await;
        self.records.work.end();
        shown
    }

    /// Makes a report and keeps it: PDF, JSON, and the signed pack with everything.
    pub async fn make(&self, wanted: &ReportWanted) -> Result<KeptReport, ApiError> {
        let _one = self.records.work.working.try_lock().map_err(|_| busy())?;
        let kept = self.make_one(wanted).await;
        self.records.work.end();
        kept
    }

    async fn make_one(&self, wanted: &ReportWanted) -> Result<KeptReport, ApiError> {
        let Built { kind, document, mut files, checkpoint } = self.build(wanted, true).await?;
        let number = self.records.context.store().next_record(REPORTS).await?;
        self.records.work.says("Setting the pages", 0, 0);
        let document = Arc::new(document);
        let (log, mut leaves) = (self.records.context.ledger.log(), self.records.context.store().audit_leaves().await?);
        leaves.truncate(checkpoint.size as usize);
        // Their details are left out of the pack as well; every proof holds without them.
        let restricted = self.records.holds().await?.restricted();
        if !restricted.is_empty() {
            let finder = Finder::new(&restricted);
            for leaf in leaves.iter_mut().filter(|l| l.payload.as_ref().is_some_and(|p| finder.holds(p))) {
                (leaf.payload, leaf.salt) = (None, None);
            }
        }
        let (size, root) = (document.checkpoint.size, document.checkpoint.root.clone());
        let (paper, says) = (document.clone(), serde_json::to_vec_pretty(&*document).map_err(ApiError::failed)?);
        let json_bytes = says.clone();
        let (pdf_bytes, zip_bytes) = tokio::task::spawn_blocking(move || {
            let set = pdf::pdf(&paper).map_err(ApiError::failed)?;
            for t in paper.tables() {
                files.push((format!("{}.csv", t.id), csv::table(t)));
            }
            files.push(("report.pdf".into(), set.clone()));
            files.push(("report.json".into(), json_bytes));
            let packed = pack::pack(&log, &leaves, &checkpoint, files).map_err(ApiError::failed)?;
            Ok::<_, ApiError>((set, packed))
        })
        .await
        .map_err(ApiError::failed)??;
        let stem = format!("report-{number}-{kind}");
        let mut kept = Vec::new();
        for (extension, bytes) in [("pdf", &pdf_bytes), ("json", &says), ("zip", &zip_bytes)] {
            kept.push(self.records.write_export(&format!("{stem}.{extension}"), bytes).await?);
        }
        let at = self.records.right_now(self.records.context.operator());
        let report = KeptReport {
            number,
            version: 1,
            kind: kind.to_owned(),
            title: document.title.clone(),
            subtitle: document.subtitle.clone(),
            made_at: at.now,
            made_by: at.by.to_string(),
            files: kept,
            folder: self.records.exports_dir().display().to_string(),
            size,
            root,
        };
        let payload = json!({ "kind": kind, "files": report.files.iter().map(|f| json!({ "name": f.name, "sha256": f.sha256 })).collect::<Vec<_>>() });
        let audit = AuditAction {
            at: at.now,
            actor: at.by.clone(),
            action: "report.make".into(),
            subject: format!("report:{number}"),
            payload,
        };
        let record = record_of(REPORTS, number, 1, false, at.now, &report)?;
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
        Ok(report)
    }

    /// Reports that were made, the newest first.
    pub async fn all(&self) -> Result<Vec<KeptReport>, ApiError> {
        self.records.all_records(REPORTS, None, 500).await
    }
}

/// Checks an evidence pack with nothing but the file and, if it is at hand, the public key (PEM).
pub fn verify_pack(file: &std::path::Path, key: Option<&str>) -> Result<pack::Verdict, ApiError> {
    let bytes = std::fs::read(file).map_err(|e| ApiError::invalid(format!("{}: {e}", file.display())))?;
    Ok(pack::verify(&bytes, key))
}

fn busy() -> ApiError {
    ApiError::new(ErrorCode::Refused, "another report or an erasure is under way; wait until it is done")
}

/// A span in words for tables: minutes with a decimal, hours, days.
pub(crate) fn span(ms: f64) -> String {
    match ms / 1000.0 {
        s if s < 1.0 => "< 1 s".into(),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

pub(crate) fn percent(n: u64, of: u64) -> String {
    if of == 0 { "–".into() } else { format!("{:.1} %", n as f64 * 100.0 / of as f64) }
}

/// `1840` as `1,840`.
pub(crate) fn thousands(n: u64) -> String {
    wf_model::Message(vec![wf_model::Part::Count]).render(n)
}
