//! Journeys of the whole product without a window: real sockets, real disk, real processes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on shall stop, and say where"
)]

mod audit;
mod bombs;
mod cli;
mod control;
mod corpus;
mod direction;
mod disk;
mod evidence;
mod feeds;
mod hostile;
mod keychain;
mod kill;
mod mail;
mod notify;
mod officer;
mod oracle;
mod pack;
mod privacy;
mod secrets;
mod sshd;
mod watch;
