//! What is wrong without running it.

use std::time::Duration;

use crate::process::{Outcome, cargo, cargo_command, note, root, run_within, sh, step};
use crate::{page, setup, window};

/// For the advisory database, the first time a repository of some megabytes.
const FETCH: Duration = Duration::from_secs(60);

pub fn lint() -> Outcome {
    setup::to_build()?;
    setup::tools()?;
    page::build()?;
    checks()
}

/// When everything is set up and the page is built.
pub fn checks() -> Outcome {
    let ui = root().join("ui");
    step("lints of the page");
    sh(&ui, "npm", &["run", "-s", "check"])?;
    sh(&ui, "npx", &["--no-install", "eslint", "."])?;
    step("rustfmt");
    cargo(&["fmt", "--all", "--check"])?;
    step("clippy");
    cargo(&["clippy", "--workspace", "--all-targets", "--features", window::FEATURES, "--", "-D", "warnings"])?;
    step("dependencies");
    // Of every platform, because deny looks at all of them.
    cargo(&["fetch"])?;
    cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])?;
    step("advisories");
    advisories()
}

/// The database is on the network. Where it cannot be had, that is said and nothing is refused: what depends on it is
/// not this machine's fault, and a check that fails for no fault is soon switched off.
fn advisories() -> Outcome {
    note(
        "advisories of npm packages: NOT CHECKED (`npm audit` asks the registry; run it in ui/ where that is allowed)",
    );
    match run_within(&mut cargo_command(&["deny", "fetch", "db"]), FETCH) {
        Ok(()) => cargo(&["deny", "--offline", "check", "advisories"]),
        Err(why) => {
            note(&format!("advisories: NOT CHECKED (the database could not be fetched)\n  {why}"));
            Ok(())
        }
    }
}
