//! Why a request was not done.

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

impl From<wf_store::StoreError> for ApiError {
    fn from(e: wf_store::StoreError) -> Self {
        // What a database says is for the log; the page gets what an officer can act on.
        tracing::warn!(error = %e, "store");
        Self::failed(match e {
            wf_store::StoreError::Database(_) | wf_store::StoreError::Migrate(_) => {
                "the database could not do it; the log says why".to_owned()
            }
            other => other.to_string(),
        })
    }
}

impl From<wf_privacy::Refused> for ApiError {
    fn from(e: wf_privacy::Refused) -> Self {
        Self::new(ErrorCode::Refused, e)
    }
}
