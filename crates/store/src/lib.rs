//! The officer's own encrypted disk: SQLite (SQLCipher) through sqlx. The only crate with SQL.
//!
//! - [`Store::open`] opens or creates the database with its key, and refuses one that is not encrypted.
//! - [`Store::commit`] is the one way to change anything: everything one cause changes, in one transaction.
//! - [`events`] is the only door to the events: hot table, sealed blocks, search. The other modules are ordinary rows:
//!   [`feeds`], [`incidents`], [`notifications`], [`silences`], [`audit`], [`rates`], [`records`].
//! - [`Store::backup`] and [`restore`] copy it out and put a copy back, each checked before it counts.
//! - [`sweep`] goes through every row that may hold somebody's data.
//!
//! One connection writes and checkpoints, behind one lock; readers are `query_only`. A new aggregate gets a module, a
//! table in a new migration, and a field in [`Commit`]. Queries are checked when compiled: after changing one, run
//! `cargo xtask queries`.

pub mod audit;
mod backup;
mod commit;
mod connect;
mod error;
pub mod events;
pub mod feeds;
mod files;
pub mod incidents;
pub mod notifications;
pub mod rates;
pub mod records;
pub mod silences;
pub mod sweep;

pub use backup::{CopiedAudit, restore};
pub use commit::{Commit, FeedProgress};
pub use connect::{DatabaseKey, Store};
pub use error::StoreError;
pub use files::finish_restore;
