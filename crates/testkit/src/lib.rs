//! What tests build with: a console in a temporary directory, scripted servers, and waiting for conditions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on shall stop, and say where"
)]

pub mod canary;
pub mod console;
pub mod providers;
pub mod script;

use std::time::Duration;

pub use canary::Canary;
pub use console::{RunningConsole, TestConsole};
pub use providers::{Fault, Providers};
pub use script::ScriptServer;
pub use wf_console::Console;

/// Longest any test waits for anything: far beyond what a loaded machine needs, short enough to notice.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `condition` gives something; panics, with `what`, when it never does.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "this never came to be: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
