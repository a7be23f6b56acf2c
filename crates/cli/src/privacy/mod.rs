//! Commands of the privacy officer and the auditor.

mod breaches;
mod records;
mod reports;
mod requests;

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use wf_api::{ApiError, PrivacyAction, Request};

use breaches::Breaches;
use records::{Activities, Consents, Holds};
pub use reports::{Evidence, Report};
use requests::Requests;

use crate::render;

/// What is asked, which part of the answer is meant (empty: all of it), and how it is shown.
type Asked = (Request, &'static str, fn(&Value) -> String);

#[derive(Subcommand)]
pub enum Privacy {
    /// Requests of data subjects.
    #[command(subcommand)]
    Requests(Requests),
    /// What is held about a person.
    #[command(subcommand)]
    Subject(Subject),
    /// Personal data breaches.
    #[command(subcommand)]
    Breaches(Breaches),
    /// Consents.
    #[command(subcommand)]
    Consents(Consents),
    /// The record of processing activities (Art. 30).
    #[command(subcommand)]
    Activities(Activities),
    /// Legal holds.
    #[command(subcommand)]
    Holds(Holds),
    /// What is kept how long.
    #[command(subcommand)]
    Retention(Retention),
    /// People who approve erasures and purges.
    #[command(subcommand)]
    Approvers(Approvers),
}

#[derive(Subcommand)]
pub enum Subject {
    /// Look through every event and every row. Nothing is changed; that you looked is recorded.
    Find {
        #[arg(required = true, value_name = "IDENT")]
        identifiers: Vec<String>,
    },
}

#[derive(Subcommand)]
pub enum Retention {
    /// What a run would delete now, and what holds keep.
    Preview,
    /// Delete what is over its time. Needs a second person.
    Run {
        #[arg(long, requires = "code")]
        approver: Option<String>,
        #[arg(long, requires = "approver")]
        code: Option<String>,
    },
}

#[derive(Subcommand)]
pub enum Approvers {
    /// Make a secret for a person's authenticator app. It is printed once.
    #[command(alias = "enroll")]
    Enrol {
        person: String,
        /// Who approves already and vouches for them; not needed for the very first, nor to replace one's own.
        #[arg(long)]
        voucher: Option<String>,
        /// The code of the voucher, or of the authenticator that is replaced.
        #[arg(long)]
        code: Option<String>,
    },
}

impl Privacy {
    pub async fn run(
        self,
        ask: impl AsyncFn(Request) -> Result<Value, ApiError>,
        as_json: bool,
    ) -> Result<ExitCode, ApiError> {
        let (request, part, shown): Asked = match self {
            Self::Requests(Requests::Execute { number, approver, code }) => {
                if let (Some(approver), Some(code)) = (approver, code) {
                    ask(act(PrivacyAction::Approve { request: number, approver, code })).await?;
                }
                (act(PrivacyAction::Execute { request: number }), "", render::request)
            }
            Self::Requests(r) => r.request()?,
            Self::Subject(Subject::Find { identifiers }) => (Request::SubjectFind { identifiers }, "", render::subject),
            Self::Breaches(Breaches::Describe {
                number,
                nature,
                subject_categories,
                subjects,
                record_categories,
                records,
                contact,
                consequences,
                measures,
            }) => {
                let known = ask(Request::PrivacyBreach { number }).await?;
                let mut content: wf_console::Content =
                    serde_json::from_value(known["content"].clone()).map_err(ApiError::failed)?;
                let put = |slot: &mut String, new: Option<String>| {
                    if let Some(new) = new {
                        *slot = new;
                    }
                };
                put(&mut content.nature, nature);
                put(&mut content.subject_categories, subject_categories);
                put(&mut content.record_categories, record_categories);
                put(&mut content.contact, contact);
                put(&mut content.consequences, consequences);
                put(&mut content.measures, measures);
                content.subjects = subjects.or(content.subjects);
                content.records = records.or(content.records);
                (act(PrivacyAction::Describe { breach: number, content: Box::new(content) }), "", render::breach)
            }
            Self::Breaches(b) => b.request()?,
            Self::Consents(Consents::Export { file }) => {
                return export(&ask, Request::ConsentsExport, &file, as_json).await;
            }
            Self::Activities(Activities::Export { file }) => {
                return export(&ask, Request::ActivitiesExport, &file, as_json).await;
            }
            Self::Consents(c) => c.request()?,
            Self::Activities(Activities::List) => (Request::PrivacyBoard, "activities", render::activities),
            Self::Activities(Activities::Import { file }) => {
                (act(PrivacyAction::ImportActivities { csv: read(&file)? }), "", render::imported)
            }
            Self::Holds(h) => h.request(),
            Self::Retention(Retention::Preview) => (Request::Retention, "", render::retention),
            Self::Retention(Retention::Run { approver, code }) => {
                (act(PrivacyAction::RunRetention { approver, code }), "", render::retention)
            }
            Self::Approvers(Approvers::Enrol { person, voucher, code }) => {
                (Request::EnrolApprover { person, voucher, code }, "", |v| {
                    format!(
                        "put this into the authenticator app; it is not shown again:\n{}",
                        v.as_str().unwrap_or_default()
                    )
                })
            }
        };
        let answer = ask(request).await?;
        let answer = if part.is_empty() { answer } else { answer[part].clone() };
        crate::print(&if as_json { render::json(&answer) } else { shown(&answer) });
        Ok(ExitCode::SUCCESS)
    }
}

fn act(action: PrivacyAction) -> Request {
    Request::Privacy { action }
}

fn read(file: &Path) -> Result<String, ApiError> {
    std::fs::read_to_string(file).map_err(|e| ApiError::invalid(format!("{}: {e}", file.display())))
}

async fn export(
    ask: &impl AsyncFn(Request) -> Result<Value, ApiError>,
    request: Request,
    file: &Path,
    as_json: bool,
) -> Result<ExitCode, ApiError> {
    let csv = ask(request).await?;
    let text = csv.as_str().unwrap_or_default();
    wf_platform::files::write_bytes(file, text.as_bytes())
        .map_err(|e| ApiError::failed(format!("{}: {e}", file.display())))?;
    let n = text.lines().count().saturating_sub(1);
    crate::print(&if as_json {
        render::json(&json!({ "file": file, "lines": n }))
    } else {
        format!("{n} lines written to {}", file.display())
    });
    Ok(ExitCode::SUCCESS)
}
