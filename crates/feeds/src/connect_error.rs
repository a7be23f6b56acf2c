//! Why there is no connection, and whether it is worth another try.

use std::time::Duration;

use wf_model::SecretError;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Trying again changes nothing: the officer must do something.
    #[error("{0}")]
    Refused(String),
    /// Worth another try, not before `after` if the server said so.
    #[error("{reason}")]
    Failed { reason: String, after: Option<Duration> },
}

impl From<SecretError> for ConnectError {
    fn from(e: SecretError) -> Self {
        match e {
            SecretError::Missing(why) => Self::Refused(why),
            // A keychain that is locked with the screen opens again; the feed is not to wait for an officer.
            SecretError::Unavailable(why) => failed(why),
        }
    }
}

pub(crate) fn failed(reason: impl Into<String>) -> ConnectError {
    ConnectError::Failed { reason: reason.into(), after: None }
}
