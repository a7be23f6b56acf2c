//! GDPR: what a privacy officer decides and by when. Sans-I/O.
//!
//! - [`calendar`] counts deadlines as Regulation (EEC, Euratom) 1182/71 does, with weekends and public holidays.
//! - [`request`] is a data subject request (Art. 12, 15 to 18, 20, 21) from receipt to answer.
//! - [`breach`] is a personal data breach (Art. 33, 34): the 72 hours, the notification in phases, the register.
//! - [`subject`] finds a person's identifiers in text, and nobody else's, and replaces them.
//! - [`retention`] says what is kept how long, and what a legal hold keeps longer.
//! - [`consent`] and [`activity`] are consents (Art. 7) and the record of processing (Art. 30), with their CSV forms.
//!
//! Everything here takes `now` or `today` as an argument and returns a new state. No clock, no disk: `app` commits what
//! these return, and carries out on events and rows what they decide. A new duty of the law gets a module here; a new
//! place that holds personal data is found by the store's subject search.

pub mod activity;
pub mod breach;
pub mod calendar;
pub mod consent;
mod csv_table;
pub mod request;
pub mod retention;
pub mod subject;
mod words;

use serde::{Deserialize, Serialize};
use wf_model::Timestamp;

/// What was done, when, by whom: the history of a request or a breach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
pub struct Entry {
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
    pub text: String,
}

/// Why something cannot be done to a record as it is now. A sentence for the officer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    pub(crate) fn because<T>(reason: impl Into<String>) -> Result<T, Self> {
        Err(Self(reason.into()))
    }
}

/// A text that must say something.
pub(crate) fn said(text: &str, what: &str) -> Result<String, Refused> {
    let text = text.trim();
    if text.is_empty() {
        return Refused::because(format!("{what} must be given"));
    }
    if text.chars().count() > 20_000 {
        return Refused::because(format!("{what} is longer than 20,000 characters"));
    }
    Ok(text.to_owned())
}
