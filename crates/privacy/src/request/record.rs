//! What a request is: what is asked, where it stands, and everything that is kept of it.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use specta::Type;
use wf_model::Timestamp;

use crate::calendar::{Calendar, Law};
use crate::subject::Identifier;
use crate::words::word_enum;
use crate::{Entry, Refused};

word_enum! {
    /// What is asked for.
    RequestKind, "type of request" {
        /// Art. 15: a copy of everything.
        Access = "access",
        /// Art. 16.
        Rectification = "rectification",
        /// Art. 17: erasure.
        Deletion = "deletion",
        /// Art. 20: a copy a machine can read.
        Portability = "portability",
        /// Art. 18: kept, and not used.
        Restriction = "restriction",
        /// Art. 21.
        Objection = "objection",
    }
}

impl RequestKind {
    pub const fn article(self) -> &'static str {
        match self {
            Self::Access => "Art. 15",
            Self::Rectification => "Art. 16",
            Self::Deletion => "Art. 17",
            Self::Portability => "Art. 20",
            Self::Restriction => "Art. 18",
            Self::Objection => "Art. 21",
        }
    }
}

word_enum! {
    /// Where a request stands.
    RequestState, "state" {
        Received = "received",
        IdentityCheck = "identity_check",
        InProgress = "in_progress",
        /// The subject was asked what they mean.
        NeedsInput = "needs_input",
        /// Done; the subject has not been answered yet.
        Executed = "executed",
        Completed = "completed",
        Refused = "refused",
        Withdrawn = "withdrawn",
        Duplicate = "duplicate",
    }
}

impl RequestState {
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Received | Self::IdentityCheck | Self::InProgress | Self::NeedsInput | Self::Executed)
    }
}

word_enum! {
    /// Why the clock may stand still.
    StopGround, "ground for stopping the clock" {
        /// Reasonable doubts who is asking (Art. 12(6)).
        Identity = "identity",
        /// Much is processed, and the subject was asked what they mean (recital 63).
        Clarification = "clarification",
    }
}

/// A stretch during which the clock stood still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Stop {
    #[specta(type = String)]
    pub from: NaiveDate,
    #[specta(type = Option<String>)]
    pub until: Option<NaiveDate>,
    pub ground: StopGround,
    pub reason: String,
    pub by: String,
}

/// Two more months (Art. 12(3)), once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Extension {
    pub reason: String,
    /// When the subject was told of it, which must be within the first month.
    #[specta(type = String)]
    pub notified: NaiveDate,
    pub by: String,
}

/// What is wrong and what is right instead (Art. 16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Correction {
    /// The name of a mapped field, as `user.name`; empty: wherever the value stands.
    pub field: String,
    pub old: String,
    pub new: String,
}

/// Something another system has to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Task {
    pub system: String,
    pub owner: String,
    #[specta(type = String)]
    pub due: NaiveDate,
    /// Done by a call, whose answer is kept as its hash; otherwise by hand.
    pub connector: bool,
    pub receipt: Option<Receipt>,
    /// Why the last try failed.
    pub failed: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Receipt {
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
    /// What the other system said, in short; of a connector its status.
    pub text: String,
    /// SHA-256 of the whole answer, in hex.
    pub sha256: Option<String>,
}

/// A second person agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Approval {
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
}

/// What was done in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Done {
    /// `events`, `incidents`, `timeline` …
    pub place: String,
    /// How many hold the subject's data.
    pub found: u64,
    /// How many were changed or removed.
    pub changed: u64,
    /// How many were left as they are, and on which ground.
    pub kept: u64,
    pub ground: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Outcome {
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
    pub done: Vec<Done>,
    /// Files that were made for the subject, in the exports folder.
    pub files: Vec<ExportFile>,
    /// What else is to be said: backups, what could not be changed and why.
    pub remarks: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ExportFile {
    pub name: String,
    pub sha256: String,
    /// It was removed again.
    pub removed: bool,
}

/// A data subject request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Request {
    pub number: u64,
    /// Grows with every change.
    pub version: u64,
    pub kind: RequestKind,
    pub state: RequestState,
    /// The day it reached us, in our time zone: it does not count itself.
    #[specta(type = String)]
    pub received: NaiveDate,
    #[specta(type = i64)]
    pub registered_at: Timestamp,
    /// Empty once erased.
    pub subject: Vec<Identifier>,
    /// Keyed hashes of the identifiers: they recognise a duplicate, and remain when the identifiers are erased.
    pub subject_keys: Vec<String>,
    /// Where the answer goes. Erased with the rest when a deletion is completed.
    pub contact: String,
    pub note: String,
    pub identity: Option<Entry>,
    pub stops: Vec<Stop>,
    pub extension: Option<Extension>,
    pub corrections: Vec<Correction>,
    pub tasks: Vec<Task>,
    pub approvals: Vec<Approval>,
    pub outcome: Option<Outcome>,
    /// Why it was refused, and what was said about remedies.
    pub refusal: Option<String>,
    pub duplicate_of: Option<u64>,
    #[specta(type = Option<i64>)]
    pub closed_at: Option<Timestamp>,
    /// The day of the answer, which counts against the deadline.
    #[specta(type = Option<String>)]
    pub closed_on: Option<NaiveDate>,
    pub history: Vec<Entry>,
}

/// When and by whom something is done to a request.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    pub now: Timestamp,
    /// The day in the organisation's time zone.
    pub today: NaiveDate,
    pub by: &'a str,
    pub calendar: &'a Calendar,
    pub law: Law,
}

/// What is known of a new request.
#[derive(Clone, Debug)]
pub struct New {
    pub number: u64,
    pub kind: RequestKind,
    pub received: NaiveDate,
    pub subject: Vec<Identifier>,
    pub subject_keys: Vec<String>,
    pub contact: String,
    pub note: String,
    pub corrections: Vec<Correction>,
}
