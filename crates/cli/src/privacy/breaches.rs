//! Personal data breaches.

use clap::Subcommand;
use wf_api::{ApiError, ErrorCode, PrivacyAction, Request};

use super::{Asked, act};
use crate::render;

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

impl Breaches {
    pub(super) fn request(self) -> Result<Asked, ApiError> {
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
