//! What runs by itself, and nothing that shows.
//!
//! Three ways lead through here.
//! - An event comes in: [`pipeline`] takes deliveries from [`feeds`], has `detect` and `response` say what they mean, and
//!   commits all of it at once.
//! - Time passes: [`timers`] looks at what is due, [`outbox`] delivers what is owed, [`replies`] hears who answers,
//!   [`dead_man`] tells somebody outside that all is well.
//! - Somebody acts: desks send changes to the [`ledger`], the task that does all writing, so that the audit log and the
//!   incidents are written in one order.
//!
//! [`context`] is what every task and desk is handed; [`state`] what is in force. [`supervisor`] restarts what fails.
//! Desks see [`FeedControl`] and [`DetectorMemory`] instead of the tasks themselves. A new task is a module with a `run`
//! and a line where the console starts everything; work of another room that recurs is a [`timers::Chore`].

pub mod context;
pub mod dead_man;
mod digest;
pub mod drill;
mod escalation;
mod feed_watch;
pub mod feeds;
pub mod filters;
pub mod ledger;
pub mod memory;
pub mod outbox;
pub mod pipeline;
pub mod recent;
pub mod reload;
pub mod replies;
pub mod rules;
mod seeds;
mod settle;
pub mod state;
pub mod supervisor;
#[cfg(test)]
mod testing;
pub mod timers;
pub mod views;

use std::sync::Arc;

pub use context::Context;
pub use feeds::FeedControl;
pub use ledger::{ActError, Ledger};
pub use pipeline::DetectorMemory;
pub use recent::RecentEvents;
pub use state::State;
pub use supervisor::Supervisor;

/// What runs, when something runs. A tool that reads the disk has none of it.
#[derive(Clone)]
pub struct Running {
    pub supervisor: Arc<Supervisor>,
    pub detector: Arc<dyn DetectorMemory>,
    pub sinks: Arc<pipeline::PipelineSinks>,
    pub feeds: Arc<dyn FeedControl>,
}
