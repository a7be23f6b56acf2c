//! What can be asked of a console and what it answers, as values: for the window, the CLI and the control socket.
//!
//! Wire types and nothing else: no ledger, no engine. A new request is a variant in [`request`], a new picture of the
//! state a type in [`views`], made from the domain's own types right there.

mod error;
pub mod request;
mod tools;
pub mod views;

pub use error::{ApiError, ErrorCode};
pub use request::{Action, PrivacyAction, ReportWanted, Request, Response};
pub use tools::for_tools;
