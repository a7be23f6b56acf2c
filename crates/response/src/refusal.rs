//! Why an officer's action is not carried out. Each is a sentence for whoever asked.

use wf_model::{IncidentState, Severity};

/// Longer notes are refused: a timeline is read at night.
pub(crate) const NOTE_LIMIT: usize = 4000;

/// Why an action was refused. The incident is as it was.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("incident #{number} is {state}; {action} needs it to be {wanted}")]
    State { number: u64, state: IncidentState, action: &'static str, wanted: &'static str },
    #[error("incident #{number} was acknowledged by {by} already")]
    Acknowledged { number: u64, by: String },
    #[error("the note is {length} characters long; at most {NOTE_LIMIT} are kept")]
    NoteTooLong { length: usize },
    #[error("the note is empty")]
    NoteEmpty,
    #[error(
        "incident #{number} was escalated by somebody else in the meantime; look who was told, then do it again if it \
         is still needed"
    )]
    Stale { number: u64 },
    #[error("incident #{number} cannot be escalated: nothing in the config says who is told of {severity}")]
    NoLadder { number: u64, severity: Severity },
    #[error("that moment has passed already")]
    NotInFuture,
    #[error("a snooze lasts a week at most")]
    TooLong,
    #[error("incident #{number} has no step {index} on its checklist")]
    NoSuchItem { number: u64, index: usize },
    #[error("incident #{number} cannot become part of itself")]
    MergeWithItself { number: u64 },
    #[error("incident #{number} is not part of #{into}")]
    NotMerged { number: u64, into: u64 },
    #[error("choose some of the matches of #{number}, and leave some")]
    SplitOfAll { number: u64 },
    #[error("a silence needs something to fit: a rule, a type, an entity, a severity or a feed")]
    SilenceOfEverything,
    #[error("a silence needs a reason: somebody will ask why nobody was told")]
    NoReason,
    #[error("nothing in the config says how to do '{name}': write [action.{name}]")]
    NoAction { name: String },
    #[error("incident #{number} is not about {about}, and this is done to nothing else")]
    NotAbout { number: u64, about: String },
    #[error("'{name}' cannot be taken back")]
    NoUndo { name: String },
    #[error("there is no silence '{id}' that lasts")]
    NoSilence { id: String },
}
