//! What can be asked of a console, as values: by the window, by the CLI, over the control socket.

use serde::{Deserialize, Serialize};
use specta::Type;

use crate::error::ApiError;
use crate::views::MatcherView;

/// What an officer does with an incident, or with many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// For so many minutes; `None`: as long as the severity gives.
    Acknowledge {
        note: Option<String>,
        minutes: Option<u32>,
    },
    Resolve {
        verdict: String,
        note: Option<String>,
    },
    Reopen {
        note: Option<String>,
    },
    Note {
        text: String,
    },
    Snooze {
        minutes: u32,
        note: Option<String>,
    },
    /// `stage`: what was seen; another who was quicker makes it refused.
    Escalate {
        stage: Option<u32>,
    },
    Assign {
        owner: String,
        note: Option<String>,
    },
    /// A step of the checklist, counted from 0.
    Check {
        index: u32,
        done: bool,
    },
    /// What a step of the checklist says is carried out, as `[action.NAME]` says.
    CarryOut {
        index: u32,
    },
    TakeBack {
        index: u32,
    },
    /// It becomes part of that one.
    Merge {
        into: String,
    },
    Unmerge,
    /// These batches of matches are moved out into a new incident.
    Split {
        versions: Vec<u32>,
    },
}

/// What a privacy officer does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum PrivacyAction {
    /// `received`: a day, today when left out. `subject`: identifiers as `email:ann@x.com`. `corrections`: field (or
    /// empty), old, new.
    AddRequest {
        kind: String,
        received: Option<String>,
        subject: Vec<String>,
        contact: Option<String>,
        note: Option<String>,
        corrections: Vec<[String; 3]>,
    },
    /// The next step of the way. After the identity check, `note` says how it was verified.
    Advance {
        request: Number,
        note: Option<String>,
    },
    Ask {
        request: Number,
        question: String,
    },
    /// `ground`: identity or clarification.
    StopClock {
        request: Number,
        ground: String,
        reason: String,
    },
    StartClock {
        request: Number,
    },
    /// `notified`: the day the subject was told, today when left out.
    Extend {
        request: Number,
        reason: String,
        notified: Option<String>,
    },
    Refuse {
        request: Number,
        reason: String,
    },
    Withdraw {
        request: Number,
        note: Option<String>,
    },
    Duplicate {
        request: Number,
        of: Number,
    },
    Correct {
        request: Number,
        field: String,
        old: String,
        new: String,
    },
    AddTask {
        request: Number,
        system: String,
        owner: String,
    },
    TaskDone {
        request: Number,
        system: String,
        receipt: String,
    },
    CallConnector {
        request: Number,
        system: String,
    },
    /// `code`: what the approver's authenticator shows now.
    Approve {
        request: Number,
        approver: String,
        code: String,
    },
    Execute {
        request: Number,
    },
    /// From incidents by number; none: from something else.
    OpenBreach {
        incidents: Vec<Number>,
        title: Option<String>,
        why: String,
        suspected: Option<String>,
    },
    /// `at`: since when it is known, now when left out.
    Aware {
        breach: Number,
        at: Option<String>,
        why: String,
    },
    Describe {
        breach: Number,
        content: Box<wf_privacy::breach::Content>,
    },
    Notify {
        breach: Number,
        at: Option<String>,
        reference: Option<String>,
        delay_reason: Option<String>,
    },
    NotNotifiable {
        breach: Number,
        reasoning: String,
    },
    DecideSubjects {
        breach: Number,
        exemption: Option<String>,
        reason: Option<String>,
        message: Option<String>,
    },
    Dismiss {
        breach: Number,
        why: String,
    },
    CloseBreach {
        breach: Number,
    },
    AddConsent {
        subject: String,
        purpose: String,
        text_version: String,
        given: Option<String>,
        expires: Option<String>,
        source: Option<String>,
    },
    WithdrawConsent {
        consent: Number,
        on: Option<String>,
    },
    ImportConsents {
        csv: String,
    },
    /// Number 0: a new one.
    PutActivity {
        activity: Box<wf_privacy::activity::Activity>,
    },
    ImportActivities {
        csv: String,
    },
    AddHold {
        title: String,
        reason: String,
        incidents: Vec<Number>,
        subject: Vec<String>,
        feeds: Vec<String>,
        from: Option<String>,
        until: Option<String>,
    },
    ReleaseHold {
        hold: Number,
        reason: String,
    },
    RunRetention {
        approver: Option<String>,
        code: Option<String>,
    },
}

/// Numbers of people's records: 1 upwards.
type Number = u64;

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
#[serde(deny_unknown_fields)]
pub struct ReportWanted {
    /// gdpr, soc2, incident, handover
    pub kind: String,
    /// Days in the organisation's zone, both included. Left out: the last month; of a handover the last twelve hours.
    pub from: Option<String>,
    pub to: Option<String>,
    /// For an incident report.
    pub incident: Option<String>,
}

/// One request over the control socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    FeedsList,
    FeedsTest { name: String },
    FeedsRestart { name: String },
    EventsList { query: String, since: Option<String>, limit: u32, after: Option<String> },
    EventsCount,
    IncidentsList { state: Option<String>, severity: Option<String>, limit: u32 },
    IncidentsShow { id: String },
    IncidentsAct { ids: Vec<String>, action: Action },
    IncidentsFolded { id: String },
    SilencesList,
    SilencesPreview { matcher: MatcherView },
    SilencesAdd { matcher: MatcherView, reason: String, length: String },
    SilencesEnd { id: String },
    OnCall { at: Option<String> },
    Readiness,
    Notifications { id: String },
    ChannelsList,
    ChannelsTest { name: String },
    Drill,
    Metrics { since: Option<String> },
    Privacy { action: PrivacyAction },
    PrivacyBoard,
    PrivacyRequests,
    PrivacyRequest { number: u64 },
    PrivacyBreach { number: u64 },
    SubjectFind { identifiers: Vec<String> },
    ConsentsExport,
    ActivitiesExport,
    Retention,
    EnrolApprover { person: String, voucher: Option<String>, code: Option<String> },
    Report { wanted: ReportWanted },
    Reports,
    Backup { to: std::path::PathBuf },
    AuditVerify { anchor: Option<String> },
    AuditExport,
    Health,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    Ok(serde_json::Value),
    Error(ApiError),
}
