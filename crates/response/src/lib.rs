//! What happens to a match: it is folded into an incident, somebody is told, and an officer sees it through. Sans-I/O.
//!
//! - [`IncidentRegistry`] knows the live incidents; `folding` folds matches into them, `storm` says what stands for
//!   many, `index` finds the incident of a match.
//! - [`plan`] is who is told of what, from the config; [`schedule`] is who is on call.
//! - [`escalate`] climbs the ladder of an incident as time passes; `notify` writes the messages it owes.
//! - [`lifecycle`] is what an officer does with one incident; [`merge`] what they do with two; a [`Refusal`] says why
//!   they cannot.
//! - [`act`] is what a step of the checklist carries out, and how it is taken back.
//! - [`delivery`] is what follows when a message does not get through.
//! - [`readiness`] says who could not be reached, before it matters; [`metrics`] how well it went, after.
//!
//! All return [`Changes`], which are values: whole new states of incidents with a version, timeline entries and
//! notifications with an identity, so that applying them twice does nothing. The caller commits them and only then
//! tells the [`IncidentRegistry`]. A new action of an officer goes into `lifecycle`; a new rule of folding into
//! `folding`.

pub mod act;
mod counts;
pub mod delivery;
mod draft;
pub mod escalate;
mod folding;
mod index;
pub mod lifecycle;
pub mod merge;
pub mod metrics;
mod notify;
mod openings;
mod pieces;
pub mod plan;
pub mod readiness;
mod refusal;
mod registry;
pub mod schedule;
pub mod silence;
mod storm;

pub use notify::{about_itself, coalesce};
pub use plan::Plan;
pub use refusal::Refusal;
pub use registry::{IncidentRegistry, Settings};

use wf_model::{AuditAction, Folded, Incident, IncidentId, Notice, Notification, Silence, TimelineEntry};

/// Everything one cause changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// New states. The one with the greater version wins.
    pub incidents: Vec<Incident>,
    pub timeline: Vec<TimelineEntry>,
    /// Of a fold: the number of the incident each match went to, in the order of the matches.
    pub assigned: Vec<u64>,
    /// What was added to each incident, so that it can be moved out again. A piece grows within its minute: of two with
    /// one incident and version, the greater count is the newer one.
    pub folded: Vec<Folded>,
    /// To be told to the officer at this window, once this is committed.
    pub notices: Vec<Notice>,
    /// Of these incidents, what was asked of people and not sent yet is owed no longer. Taken before `notifications`
    /// are added.
    pub withdraw: Vec<IncidentId>,
    /// Of this incident, what waits to be taken back of this action waits no longer.
    pub forget: Vec<(IncidentId, String)>,
    /// Owed to people and places elsewhere.
    pub notifications: Vec<Notification>,
    /// Of these incidents, news that was not sent yet (acknowledged, resolved) is no longer true.
    pub supersede: Vec<IncidentId>,
    pub silences: Vec<Silence>,
    pub audit: Vec<AuditAction>,
}

impl Changes {
    /// Both, as one.
    pub fn join(&mut self, other: Self) {
        self.incidents.extend(other.incidents);
        self.timeline.extend(other.timeline);
        self.assigned.extend(other.assigned);
        self.folded.extend(other.folded);
        self.notices.extend(other.notices);
        self.withdraw.extend(other.withdraw);
        self.forget.extend(other.forget);
        self.supersede.extend(other.supersede);
        self.notifications.extend(other.notifications);
        self.silences.extend(other.silences);
        self.audit.extend(other.audit);
    }
}

#[cfg(test)]
mod escalate_properties;
#[cfg(test)]
mod escalate_tests;
#[cfg(test)]
mod lifecycle_tests;
#[cfg(test)]
mod merge_tests;
#[cfg(test)]
mod silence_tests;
#[cfg(test)]
mod storm_tests;
#[cfg(test)]
mod test_support;
