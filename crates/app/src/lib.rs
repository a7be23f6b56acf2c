//! The rooms joined: everything that runs, and nothing that shows.
//!
//! Three ways lead through here.
//! - An event comes in: [`pipeline`] takes deliveries from feeds, has `detect` and `response` say what they mean, and
//!   commits all of it at once.
//! - An officer acts: [`controller`] is what the window, the CLI and the control socket call.
//! - Time passes: [`timers`] looks at what is due; [`outbox`] delivers what is owed; `replies` hears who answers.
//!
//! [`ledger`] is the one door to the disk for all three, so that the audit log and the incidents are written in one
//! order. [`engine`] starts and stops it all; [`supervisor`] restarts what fails. A new action goes into [`api`] and
//! [`controller`]; a new picture of the state into [`views`]; what is done about incidents is in `desk`, for data
//! subjects in [`privacy`], for auditors in [`reports`]; a new setting into [`config`].

pub mod api;
pub mod config;
pub mod config_reference;
pub mod control;
pub mod controller;
pub mod dead_man;
mod desk;
mod digest;
pub mod engine;
pub mod keys;
pub mod ledger;
pub mod live;
mod memory;
pub mod offline;
pub mod outbox;
pub mod paths;
pub mod pipeline;
mod platform;
pub mod privacy;
mod replies;
pub mod reports;
pub mod supervisor;
mod threat;
pub mod timers;
pub mod views;

pub use api::{ApiError, ErrorCode, Request};
pub use config::Config;
pub use controller::Controller;
pub use engine::{Engine, EngineOptions, StartError};

pub use wf_model::SecretRef;
pub use wf_model::span::spoken;
pub use wf_model::text::visible;
pub use wf_model::{Notice, NoticeReason, Severity};
pub use wf_store::StoreError;

/// The recovery key that stands for a database key in hex; `None` when it is none.
pub fn recovery_key_of(hex: &str) -> Option<String> {
    use secrecy::ExposeSecret as _;
    let key = wf_store::DatabaseKey::from_hex(hex).ok()?;
    Some(keys::recovery_key(&key).expose_secret().to_owned())
}
