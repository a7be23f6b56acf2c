//! What happens to a match: it is folded into an incident, and an officer sees it through. Sans-I/O.
//!
//! - [`Book`] knows the live incidents and folds matches into them.
//! - [`lifecycle`] is what an officer does: acknowledge, resolve, reopen, note.
//!
//! Both return [`Changes`], which are values: whole new states of incidents with a version, and timeline entries with an
//! identity, so that applying them twice does nothing. The caller commits them and only then tells the [`Book`].
//! A new action of an officer goes into `lifecycle`; a new rule of folding into `fold`.

mod fold;
pub mod lifecycle;

pub use fold::{Book, Settings};

use wf_model::{AuditAction, Incident, Notice, TimelineEntry};

/// Everything one cause changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// New states. The one with the greater version wins.
    pub incidents: Vec<Incident>,
    pub timeline: Vec<TimelineEntry>,
    /// To be told to the officer, once this is committed.
    pub notices: Vec<Notice>,
    pub audit: Vec<AuditAction>,
}
