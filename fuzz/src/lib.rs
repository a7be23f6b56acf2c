//! Hostile input for everything that reads what strangers wrote.
//!
//! A [`Target`] is a function over bytes that panics when a promise is broken; there is one in each module of
//! `targets`. [`fuzz`] feeds it the committed corpus (`corpus/NAME/`) and mutations of it. `cargo test -p wf-fuzz` does
//! so with a fixed seed and a bounded number of inputs, `cargo xtask fuzz [NAME] [MINUTES] [SEED]` for as long as it is
//! told; that one keeps what broke a promise as `corpus/NAME/crash-HASH`, where the tests find it from then on.
//!
//! A new target is a module with a `check`, named in [`TARGETS`], and a directory of corpus. There is no coverage
//! feedback: that needs another compiler. So a corpus shows every shape that a reader knows, and the words of a target
//! are what its reader looks for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken promise is a panic here, and the input is kept"
)]

mod assert;
pub mod corpus;
mod events;
pub mod fuzz;
pub mod mutate;
mod targets;

pub use targets::TARGETS;

/// Something that reads what strangers wrote.
pub struct Target {
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub check: fn(&[u8]),
    /// What the reader looks for, for mutations to put in.
    pub words: &'static [&'static str],
    /// More to begin with: texts of the product itself, and what is too large to commit.
    pub more: fn() -> Vec<Vec<u8>>,
    /// How many mutations a test tries; all targets together take about a minute in a debug build.
    pub runs: u64,
}
