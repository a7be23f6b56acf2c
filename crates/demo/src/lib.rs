//! The demo feed: a web shop's day, and the attacks on it, over a real WebSocket.
//!
//! - [`scenario`] is the script: which events happen in which minute. A pure function of the seed, so that any minute
//!   can be played again, and a test knows what must arrive.
//! - [`server`] plays it at any speed, resumes from a cursor (epoch, offset, `recovered`), and misbehaves on request.
//!
//! It is part of the product (the first run offers it) and serves the tests and the benchmarks too.

pub mod scenario;
pub mod server;

pub use scenario::{DemoEvent, Scenario};
pub use server::{DemoServer, Faults, Options};
