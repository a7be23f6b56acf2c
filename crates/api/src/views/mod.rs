//! What the window and the CLI show. Plain values: times in milliseconds since the epoch, ids and numbers as such, and
//! whole numbers stay below 2^53, because the page's numbers are floating point.

use wf_model::Timestamp;

mod audit;
mod desk;
mod event;
mod feed;
mod incident;
mod overview;
mod privacy;

pub use audit::*;
pub use desk::*;
pub use event::*;
pub use feed::*;
pub use incident::*;
pub use overview::*;
pub use privacy::*;

/// Milliseconds since the epoch.
pub type Millis = i64;

pub fn millis(t: Timestamp) -> Millis {
    t.millis()
}

fn maybe(t: Option<Timestamp>) -> Option<Millis> {
    t.map(millis)
}
