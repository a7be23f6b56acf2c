//! A console put together: one request in, one answer out; start and stop; the control socket; tools without an engine.
//!
//! [`Instance`] starts and stops everything and is the only place that knows what needs what. [`Console`] forwards a
//! request to the desk it is for. [`control`] lets the CLI act through an engine that runs, [`offline`] where none does.

mod audit;
mod console;
pub mod control;
mod instance;
pub mod offline;
mod open;

pub use console::Console;
pub use instance::{Instance, Notifier, Options, Silent};
pub use open::StartError;

pub use wf_compliance::reports::verify_pack;
pub use wf_compliance::{Content, code_at};
pub use wf_model::span::spoken;
pub use wf_model::text::visible;
pub use wf_model::{Notice, NoticeReason, SecretRef, Severity};
pub use wf_store::StoreError;
