//! Commands of the privacy officer and the auditor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use wf_api::Request;
use wf_api::{ApiError, ErrorCode, PrivacyAction, ReportWanted};

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
pub enum Requests {
    /// Open ones by due date, then those that are closed.
    List,
    /// Register a request. Prints when the answer is due, and how that was counted.
    Add {
        /// access, rectification, deletion, portability, restriction or objection.
        #[arg(long = "type", value_name = "TYPE")]
        kind: String,
        /// The day it was received; today when left out.
        #[arg(long, value_name = "YYYY-MM-DD")]
        received: Option<String>,
        /// An identifier of the subject: email:ann@example.com, ip:…, phone:…, user_id:…, name:…; several times for
        /// several.
        #[arg(long, required = true, value_name = "ID")]
        subject: Vec<String>,
        /// Where the answer goes.
        #[arg(long)]
        contact: Option<String>,
        #[arg(long)]
        note: Option<String>,
        /// FIELD=OLD=NEW, for a rectification; an empty FIELD means every field.
        #[arg(long, value_name = "FIELD=OLD=NEW")]
        correct: Vec<String>,
    },
    Show {
        number: u64,
    },
    /// The next step: identity check, in progress (say how the identity was verified), answered.
    Advance {
        number: u64,
        #[arg(long)]
        note: Option<String>,
    },
    /// The subject is asked what they mean.
    Ask {
        number: u64,
        #[arg(long)]
        question: String,
    },
    /// The clock stands still while the identity is in doubt, or the subject was asked.
    StopClock {
        number: u64,
        /// identity or clarification.
        #[arg(long)]
        ground: String,
        #[arg(long)]
        reason: String,
    },
    /// The clock runs on.
    StartClock {
        number: u64,
    },
    /// Two more months, once, told to the subject within the first.
    Extend {
        number: u64,
        #[arg(long)]
        reason: String,
        /// The day the subject was told; today when left out.
        #[arg(long, value_name = "YYYY-MM-DD")]
        notified: Option<String>,
    },
    Refuse {
        number: u64,
        #[arg(long)]
        reason: String,
    },
    Withdraw {
        number: u64,
        #[arg(long)]
        note: Option<String>,
    },
    Duplicate {
        number: u64,
        #[arg(long)]
        of: u64,
    },
    /// Another system has something to do, too.
    Task {
        number: u64,
        #[arg(long)]
        system: String,
        #[arg(long, default_value = "")]
        owner: String,
        /// It is done: what it said.
        #[arg(long)]
        receipt: Option<String>,
        /// Call it, as [connector.SYSTEM] says.
        #[arg(long, conflicts_with = "receipt")]
        call: bool,
    },
    /// A second person agrees, with the code of their authenticator.
    Approve {
        number: u64,
        #[command(flatten)]
        second: Second,
    },
    /// Carry it out on everything Watchfloor holds. An erasure needs a second person.
    Execute {
        number: u64,
        /// Who approves, at once.
        #[arg(long, requires = "code")]
        approver: Option<String>,
        #[arg(long, requires = "approver")]
        code: Option<String>,
    },
}

#[derive(Args)]
pub struct Second {
    #[arg(long)]
    approver: String,
    /// The six digits their authenticator shows now.
    #[arg(long)]
    code: String,
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
pub enum Breaches {
    List,
    Show {
        number: u64,
    },
    /// A breach is suspected.
    Open {
        /// Numbers of incidents.
        #[arg(long)]
        incident: Vec<u64>,
        #[arg(long)]
        title: Option<String>,
        #[arg(long)]
        why: String,
        /// Since when (2026-01-31T09:00:00Z); now when left out.
        #[arg(long)]
        suspected: Option<String>,
    },
    /// It is one: from here on 72 hours run.
    Aware {
        number: u64,
        #[arg(long)]
        why: String,
        /// Since when it is known; now when left out.
        #[arg(long)]
        at: Option<String>,
    },
    /// What Art. 33(3) asks for; what is left out stays.
    Describe {
        number: u64,
        #[arg(long)]
        nature: Option<String>,
        #[arg(long)]
        subject_categories: Option<String>,
        #[arg(long)]
        subjects: Option<u64>,
        #[arg(long)]
        record_categories: Option<String>,
        #[arg(long)]
        records: Option<u64>,
        #[arg(long)]
        contact: Option<String>,
        #[arg(long)]
        consequences: Option<String>,
        #[arg(long)]
        measures: Option<String>,
    },
    /// The authority was notified, or told more.
    Notify {
        number: u64,
        #[arg(long)]
        reference: Option<String>,
        #[arg(long)]
        at: Option<String>,
        /// Mandatory after 72 hours.
        #[arg(long)]
        delay_reason: Option<String>,
        /// It is not notified, because it is unlikely to result in a risk: why.
        #[arg(long, conflicts_with_all = ["reference", "at", "delay_reason"])]
        not_notifiable: Option<String>,
    },
    /// Whether the subjects are told (Art. 34).
    Subjects {
        number: u64,
        #[arg(long)]
        message: Option<String>,
        /// no_high_risk, unintelligible, measures_taken or public_communication.
        #[arg(long)]
        exemption: Option<String>,
        #[arg(long)]
        reason: Option<String>,
    },
    /// It was none after all.
    Dismiss {
        number: u64,
        #[arg(long)]
        why: String,
    },
    Close {
        number: u64,
    },
}

#[derive(Subcommand)]
pub enum Consents {
    List,
    Add {
        #[arg(long)]
        subject: String,
        #[arg(long)]
        purpose: String,
        #[arg(long)]
        text_version: String,
        #[arg(long)]
        given: Option<String>,
        #[arg(long)]
        expires: Option<String>,
        #[arg(long)]
        source: Option<String>,
    },
    Withdraw {
        number: u64,
        #[arg(long)]
        on: Option<String>,
    },
    Import {
        file: PathBuf,
    },
    Export {
        file: PathBuf,
    },
}

#[derive(Subcommand)]
pub enum Activities {
    List,
    Import { file: PathBuf },
    Export { file: PathBuf },
}

#[derive(Subcommand)]
pub enum Holds {
    List,
    /// Keep something, whatever its age and whoever asks. Every part that is given must fit; incidents are kept whole.
    Add {
        #[arg(long)]
        title: String,
        #[arg(long)]
        reason: String,
        #[arg(long)]
        incident: Vec<u64>,
        #[arg(long)]
        subject: Vec<String>,
        #[arg(long)]
        feed: Vec<String>,
        #[arg(long)]
        from: Option<String>,
        #[arg(long)]
        until: Option<String>,
    },
    Release {
        number: u64,
        #[arg(long)]
        reason: String,
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

impl Requests {
    fn request(self) -> Result<Asked, ApiError> {
        let action = match self {
            Self::List => return Ok((Request::PrivacyRequests, "", render::requests)),
            Self::Show { number } => return Ok((Request::PrivacyRequest { number }, "", render::request)),
            Self::Add { kind, received, subject, contact, note, correct } => {
                let corrections = correct
                    .iter()
                    .map(|c| match c.splitn(3, '=').collect::<Vec<_>>()[..] {
                        [field, old, new] => Ok([field.to_owned(), old.to_owned(), new.to_owned()]),
                        _ => Err(ApiError::invalid(format!("'{c}' is no correction: write FIELD=OLD=NEW"))),
                    })
                    .collect::<Result<_, _>>()?;
                PrivacyAction::AddRequest { kind, received, subject, contact, note, corrections }
            }
            Self::Advance { number, note } => PrivacyAction::Advance { request: number, note },
            Self::Ask { number, question } => PrivacyAction::Ask { request: number, question },
            Self::StopClock { number, ground, reason } => PrivacyAction::StopClock { request: number, ground, reason },
            Self::StartClock { number } => PrivacyAction::StartClock { request: number },
            Self::Extend { number, reason, notified } => PrivacyAction::Extend { request: number, reason, notified },
            Self::Refuse { number, reason } => PrivacyAction::Refuse { request: number, reason },
            Self::Withdraw { number, note } => PrivacyAction::Withdraw { request: number, note },
            Self::Duplicate { number, of } => PrivacyAction::Duplicate { request: number, of },
            Self::Task { number, system, call: true, .. } => PrivacyAction::CallConnector { request: number, system },
            Self::Task { number, system, receipt: Some(receipt), .. } => {
                PrivacyAction::TaskDone { request: number, system, receipt }
            }
            Self::Task { number, system, owner, .. } => PrivacyAction::AddTask { request: number, system, owner },
            Self::Approve { number, second } => {
                PrivacyAction::Approve { request: number, approver: second.approver, code: second.code }
            }
            Self::Execute { number, .. } => PrivacyAction::Execute { request: number },
        };
        Ok((act(action), "", render::request))
    }
}

impl Breaches {
    fn request(self) -> Result<Asked, ApiError> {
        let action = match self {
            Self::List => return Ok((Request::PrivacyBoard, "breaches", render::breaches)),
            Self::Show { number } => return Ok((Request::PrivacyBreach { number }, "", render::breach)),
            Self::Open { incident, title, why, suspected } => {
                PrivacyAction::OpenBreach { incidents: incident, title, why, suspected }
            }
            Self::Aware { number, why, at } => PrivacyAction::Aware { breach: number, at, why },
            Self::Notify { number, not_notifiable: Some(reasoning), .. } => {
                PrivacyAction::NotNotifiable { breach: number, reasoning }
            }
            Self::Notify { number, reference, at, delay_reason, .. } => {
                PrivacyAction::Notify { breach: number, at, reference, delay_reason }
            }
            Self::Subjects { number, message, exemption, reason } => {
                PrivacyAction::DecideSubjects { breach: number, exemption, reason, message }
            }
            Self::Dismiss { number, why } => PrivacyAction::Dismiss { breach: number, why },
            Self::Close { number } => PrivacyAction::CloseBreach { breach: number },
            Self::Describe { .. } => return Err(ApiError::new(ErrorCode::Failed, "this is described elsewhere")),
        };
        Ok((act(action), "", render::breach))
    }
}

impl Consents {
    fn request(self) -> Result<Asked, ApiError> {
        Ok(match self {
            Self::Add { subject, purpose, text_version, given, expires, source } => (
                act(PrivacyAction::AddConsent { subject, purpose, text_version, given, expires, source }),
                "",
                render::consent,
            ),
            Self::Withdraw { number, on } => {
                (act(PrivacyAction::WithdrawConsent { consent: number, on }), "", render::consent)
            }
            Self::Import { file } => (act(PrivacyAction::ImportConsents { csv: read(&file)? }), "", render::imported),
            Self::List | Self::Export { .. } => (Request::PrivacyBoard, "consents", render::consents),
        })
    }
}

impl Holds {
    fn request(self) -> Asked {
        match self {
            Self::List => (Request::PrivacyBoard, "holds", render::holds),
            Self::Add { title, reason, incident, subject, feed, from, until } => (
                act(PrivacyAction::AddHold { title, reason, incidents: incident, subject, feeds: feed, from, until }),
                "",
                render::hold,
            ),
            Self::Release { number, reason } => {
                (act(PrivacyAction::ReleaseHold { hold: number, reason }), "", render::hold)
            }
        }
    }
}

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
