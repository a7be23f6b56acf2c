//! Privacy and reports as they are shown: the records as they are, with what follows from them today.

use serde::{Deserialize, Serialize};
use specta::Type;
use wf_model::Timestamp;
use wf_privacy::activity::Activity;
use wf_privacy::breach::Breach;
use wf_privacy::consent::Consent;
use wf_privacy::request::{ExportFile, Request};
use wf_privacy::retention::{ClassRun, Hold, Run};

use super::{Millis, millis};

/// A request with its deadline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct RequestView {
    #[serde(flatten)]
    pub request: Request,
    /// The last day on which the answer is in time.
    pub due: String,
    pub due_reasoning: String,
    /// Negative: late by so many.
    pub days_left: i32,
    pub late: bool,
    pub clock_stopped: bool,
    pub open: bool,
    pub article: String,
    pub may_be_duplicate_of: Option<u64>,
    pub approvals_needed: u32,
}

/// A breach with its clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct BreachView {
    #[serde(flatten)]
    pub breach: Breach,
    /// 72 hours after awareness.
    pub due: Option<Millis>,
    /// The clock runs.
    pub runs: bool,
    pub open: bool,
    /// What Art. 33(3) still wants.
    pub missing: Vec<String>,
}

impl From<Breach> for BreachView {
    fn from(b: Breach) -> Self {
        Self {
            due: b.due().map(millis),
            runs: b.clock_runs(),
            open: b.is_open(),
            missing: b.content.missing().into_iter().map(str::to_owned).collect(),
            breach: b,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ConsentView {
    #[serde(flatten)]
    pub consent: Consent,
    pub standing: String,
}

/// Everything the privacy room shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct PrivacyBoard {
    pub requests: Vec<RequestView>,
    pub breaches: Vec<BreachView>,
    pub valid_consents: u32,
    pub expired_consents: u32,
    pub withdrawn_consents: u32,
    /// The newest.
    pub consents: Vec<ConsentView>,
    pub activities: Vec<Activity>,
    pub holds: Vec<Hold>,
    /// People who can approve, other than whoever sits here.
    pub approvers: Vec<String>,
    pub contact: String,
    pub today: String,
    pub connectors: Vec<String>,
}

/// What of privacy cannot wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Type)]
pub struct PrivacyBadge {
    /// Open requests due within a week, or late.
    pub due: u32,
    pub late: u32,
    /// The breach whose 72 hours end first.
    pub breach: Option<u64>,
    pub breach_due: Option<Millis>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct PlaceView {
    pub place: String,
    pub found: u64,
    pub kept: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct SampleView {
    pub place: String,
    pub at: Option<Millis>,
    pub text: String,
    pub kept: Option<String>,
}

/// What is held about a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct SubjectView {
    pub identifiers: Vec<String>,
    pub places: Vec<PlaceView>,
    pub samples: Vec<SampleView>,
    pub cancelled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct OverUser {
    pub user: String,
    pub events: u64,
    pub oldest: Millis,
}

/// Users in events that are over their time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct OverRetention {
    pub users: u64,
    pub named: Vec<OverUser>,
    /// `false`: there is so much that only its beginning was looked at.
    pub complete: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct RetentionView {
    pub classes: Vec<ClassRun>,
    pub runs: Vec<Run>,
    pub over_retention: OverRetention,
    pub scheduled: Vec<String>,
    pub run_at: Option<String>,
    pub approvals: u32,
    pub approvers: Vec<String>,
}

/// A long work under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct JobView {
    pub what: String,
    pub done: u64,
    pub total: u64,
}

/// A page of a report, as a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ReportPreview {
    pub title: String,
    /// SVG.
    pub pages: Vec<String>,
    pub count: u32,
}

/// A report that was made, and where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct KeptReport {
    pub number: u64,
    pub version: u64,
    pub kind: String,
    pub title: String,
    pub subtitle: String,
    #[specta(type = i64)]
    pub made_at: Timestamp,
    pub made_by: String,
    pub files: Vec<ExportFile>,
    /// The folder they are in.
    pub folder: String,
    /// Of the audit log when it was made.
    pub size: u64,
    pub root: String,
}
