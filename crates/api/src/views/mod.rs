//! What the window and the CLI show. Plain values: times as [`Millis`], ids and numbers as such, and whole numbers stay
//! below 2^53, because the page's numbers are floating point.

use serde::{Deserialize, Serialize};
use specta::Type;
use wf_model::Timestamp;

mod audit;
mod desk;
mod event;
mod feed;
mod handling;
mod incident;
mod overview;
mod privacy;

pub use audit::*;
pub use desk::*;
pub use event::*;
pub use feed::*;
pub use handling::*;
pub use incident::*;
pub use overview::*;
pub use privacy::*;

/// A moment: milliseconds since the epoch for the page, RFC 3339 for tools ([`crate::for_tools`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Type)]
pub struct Millis(i64);

impl Millis {
    pub const fn timestamp(self) -> Timestamp {
        Timestamp::from_millis(self.0)
    }
}

pub fn millis(t: Timestamp) -> Millis {
    Millis(t.millis())
}

fn maybe(t: Option<Timestamp>) -> Option<Millis> {
    t.map(millis)
}
