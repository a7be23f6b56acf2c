//! WebSocket subscriptions: connect, resume, decode, normalise.
//!
//! - [`config`] is what `[feed.NAME]` may say.
//! - [`mapping`] turns a feed's own shape into ECS fields; the built-in ones are files in `mappings/`.
//! - `decode` cuts frames into records; [`ingest`] is the state machine over them: dedup, counts, gaps, quarantine.
//!   Sans-I/O.
//! - [`tally`] counts what came in against what became of it.
//! - [`connect`] opens the socket, with a limit on every wait. [`subscribe`] is the task that keeps a feed alive:
//!   `session` is one connection of it (`greeting` its beginning), `poison` decides about a frame that breaks it each
//!   time, `intake` and `handover` are the way of what was read to the engine.
//!
//! A new shape is a file in `mappings/` named in [`mapping::BUILT_IN`]. A new kind of feed is a variant of
//! [`config::Kind`] with a module beside `session`. Storing what comes, and deciding what it means, is done
//! elsewhere.

pub mod config;
pub mod connect;
pub mod connect_error;
mod decode;
mod end;
mod greeting;
mod handover;
pub mod ingest;
mod intake;
pub mod mapping;
mod poison;
pub mod probe;
mod session;
pub mod subscribe;
pub mod tally;
mod tls;
#[cfg(test)]
mod twin;

pub use config::FeedConfig;

pub use mapping::Mapping;

pub use ingest::{Delivery, Ingest};
pub use subscribe::{FeedState, FeedStatus, Subscription};
pub use tally::Tally;
