//! The nouns of Watchfloor, shared by every room of the house.
//!
//! Here live the records that cross from one crate to another: [`Event`], [`Match`], [`Incident`],
//! [`Severity`], [`Actor`], the feed bookkeeping of [`feed`], the audit [`Leaf`]. They carry meaning and
//! invariants, never behaviour that needs a clock, a socket or a database. A new noun that only one crate uses belongs
//! in that crate; it moves here when a second one needs it.

pub mod audit;
pub mod channel;
pub mod event;
pub mod feed;
pub mod handling;
pub mod incident;
pub mod notification;
pub mod ruling;
pub mod secret;
pub mod severity;
pub mod silence;
pub mod span;
pub mod text;
pub mod time;

pub use audit::{AuditAction, Leaf, SignedCheckpoint};
pub use event::{Event, FieldName, Fields, Raw, Seq, Value};
pub use feed::{FeedCounts, FeedName, Gap, GapReason, Position, Quarantined};
pub use handling::{CheckItem, Destination, Folded, Handling, Ladder, Merged, Step, Target};
pub use incident::{
    Actor, Entity, EntryKind, Incident, IncidentId, IncidentState, Message, Notice, NoticeReason, Part, TimelineEntry,
    Verdict,
};
pub use notification::{Notification, NotificationState, Page, Purpose};
pub use ruling::{Contribution, Match};
pub use secret::{HeaderText, SecretError, SecretRef, SecretSource, looks_secret};
pub use severity::Severity;
pub use silence::{Matcher, Silence};
pub use time::Timestamp;
