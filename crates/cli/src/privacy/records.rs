//! Consents, processing activities and legal holds.

use std::path::PathBuf;

use clap::Subcommand;
use wf_api::{ApiError, PrivacyAction, Request};

use super::{Asked, act, read};
use crate::render;

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

impl Consents {
    pub(super) fn request(self) -> Result<Asked, ApiError> {
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
    pub(super) fn request(self) -> Asked {
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
