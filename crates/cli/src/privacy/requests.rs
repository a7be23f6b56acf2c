//! Requests of data subjects.

use clap::{Args, Subcommand};
use wf_api::{ApiError, PrivacyAction, Request};

use super::{Asked, act};
use crate::render;

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

impl Requests {
    pub(super) fn request(self) -> Result<Asked, ApiError> {
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
