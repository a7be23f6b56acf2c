//! Reports and evidence packs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use wf_api::{ApiError, ReportWanted, Request};

use super::read;
use crate::render;

#[derive(Args)]
pub struct Span {
    /// The first day; a month before the last when left out.
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<String>,
    /// The last day; today when left out.
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: Option<String>,
    /// Where it goes: .pdf, .json, or .zip for the signed pack.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Subcommand)]
pub enum Report {
    /// Requests, breaches, retention, consents, processing.
    Gdpr(Span),
    /// Everything an auditor of SOC 2 asks for.
    Soc2(Span),
    /// One incident.
    Incident {
        id: String,
        #[command(flatten)]
        span: Span,
    },
    /// For the next shift; of the last twelve hours when no day is given.
    Handover(Span),
}

impl Report {
    /// Has the report made and puts it where it was asked for.
    pub async fn run(
        self,
        ask: impl AsyncFn(Request) -> Result<Value, ApiError>,
        as_json: bool,
    ) -> Result<ExitCode, ApiError> {
        let (kind, span, incident) = match self {
            Self::Gdpr(s) => ("gdpr", s, None),
            Self::Soc2(s) => ("soc2", s, None),
            Self::Incident { id, span } => ("incident", span, Some(id)),
            Self::Handover(s) => ("handover", s, None),
        };
        let extension = span.out.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        if !["pdf", "json", "zip"].contains(&extension.as_str()) {
            return Err(ApiError::invalid(format!(
                "{}: a report is a .pdf, a .json, or a .zip with everything",
                span.out.display()
            )));
        }
        let made = ask(Request::Report {
            wanted: ReportWanted { kind: kind.to_owned(), from: span.from, to: span.to, incident },
        })
        .await?;
        let name = made["files"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|f| f["name"].as_str())
            .find(|n| n.ends_with(&format!(".{extension}")))
            .unwrap_or_default();
        let from = Path::new(made["folder"].as_str().unwrap_or_default()).join(name);
        let bytes = std::fs::read(&from).map_err(|e| ApiError::failed(format!("{}: {e}", from.display())))?;
        wf_platform::files::write_bytes(&span.out, &bytes)
            .map_err(|e| ApiError::failed(format!("{}: {e}", span.out.display())))?;
        crate::print(&if as_json {
            render::json(&json!({ "file": span.out, "bytes": bytes.len(), "report": made }))
        } else {
            format!(
                "{} written to {}\naudit log of {} entries, root {}",
                made["title"].as_str().unwrap_or_default(),
                span.out.display(),
                made["size"],
                made["root"].as_str().unwrap_or_default()
            )
        });
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Subcommand)]
pub enum Evidence {
    /// Check a pack with nothing but the file, and the public key you were given. Exit code 1 if anything is wrong.
    Verify {
        file: PathBuf,
        /// The public key (PEM) that was given to you by another way; otherwise the pack's own is used, and its
        /// fingerprint printed.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

impl Evidence {
    pub fn run(self, as_json: bool) -> Result<ExitCode, ApiError> {
        let Self::Verify { file, key } = self;
        let key = key.as_deref().map(read).transpose()?;
        let verdict = wf_console::verify_pack(&file, key.as_deref())?;
        let value = serde_json::to_value(&verdict).map_err(ApiError::failed)?;
        crate::print(&if as_json { render::json(&value) } else { render::pack(&value) });
        Ok(if value["good"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
