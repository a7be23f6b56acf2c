//! What can be asked of a console, as values: by the window, by the CLI, over the control socket.

use serde::{Deserialize, Serialize};
use specta::Type;

/// Why a request was not done. The page and the CLI branch on `code`; `message` is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub code: ErrorCode,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request itself is wrong.
    Invalid,
    NotFound,
    /// What is asked does not fit the state of things.
    Refused,
    /// Something needed is not there: the disk, the keychain, a server.
    Failed,
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }

    pub fn invalid(message: impl ToString) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }

    pub fn failed(message: impl ToString) -> Self {
        Self::new(ErrorCode::Failed, message)
    }
}

impl From<crate::ledger::ActError> for ApiError {
    fn from(e: crate::ledger::ActError) -> Self {
        use crate::ledger::ActError;
        let code = match &e {
            ActError::NotFound(_) => ErrorCode::NotFound,
            ActError::Refused(wf_response::lifecycle::Refusal::NoteTooLong { .. } | wf_response::lifecycle::Refusal::NoteEmpty) => ErrorCode::Invalid,
            ActError::Refused(_) => ErrorCode::Refused,
            ActError::Store(_) => ErrorCode::Failed,
        };
        Self::new(code, e)
    }
}

impl From<wf_store::StoreError> for ApiError {
    fn from(e: wf_store::StoreError) -> Self {
        // What a database says is for the log; the page gets what an officer can act on.
        tracing::warn!(error = %e, "store");
        Self::failed(match e {
            wf_store::StoreError::Database(_) | wf_store::StoreError::Migrate(_) => "the database could not do it; the log says why".to_owned(),
            other => other.to_string(),
        })
    }
}

/// One request over the control socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    FeedsList,
    FeedsTest { name: String },
    EventsList { query: String, since: Option<String>, limit: u32, after: Option<String> },
    EventsCount,
    IncidentsList { state: Option<String>, severity: Option<String>, limit: u32 },
    IncidentsShow { id: String },
    IncidentsAcknowledge { id: String, note: Option<String> },
    IncidentsResolve { id: String, verdict: String, note: Option<String> },
    IncidentsReopen { id: String, note: Option<String> },
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
