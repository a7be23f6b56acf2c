//! Whole-product tests: `journeys` (the app without a window) and `window` (the real native window). What they share is
//! here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on shall stop, and say where"
)]

mod needs;
pub mod sshd;

pub use needs::{needs, needs_that, skipped};

use std::path::PathBuf;
use std::process::Command;

/// A program of this workspace, built before the tests (`cargo xtask test` does).
pub fn program(name: &str) -> PathBuf {
    // A measurement runs another build than the tests' own.
    let dir = std::env::var_os("WATCHFLOOR_PROGRAMS").map(PathBuf::from).unwrap_or_else(|| {
        let mut dir = std::env::current_exe().unwrap();
        dir.pop();
        if dir.ends_with("deps") {
            dir.pop();
        }
        dir
    });
    let path = dir.join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace` or `cargo xtask test`", path.display());
    path
}

/// `watchfloorctl`, with the key of a server.
pub fn ctl(data_dir: &std::path::Path, config: &std::path::Path) -> Command {
    let mut command = Command::new(program("watchfloorctl"));
    command
        .arg("--data-dir")
        .arg(data_dir)
        .arg("--config")
        .arg(config)
        .env("WATCHFLOOR_KEY", "0707070707070707070707070707070707070707070707070707070707070707");
    command
}
