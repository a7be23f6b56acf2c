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

/// The database is on the network, and nothing here reaches for the network by itself: it is fetched where
/// `WATCHFLOOR_ADVISORIES=fetch` says so. Elsewhere a copy on this machine serves, and that there is none is said.
fn advisories() -> Outcome {
    note(
        "advisories of npm packages: NOT CHECKED (`npm audit` asks the registry; run it in ui/ where that is allowed)",
    );
    if std::env::var("WATCHFLOOR_ADVISORIES").is_ok_and(|v| v == "fetch") {
        run_within(&mut cargo_command(&["deny", "fetch", "db"]), FETCH)?;
        return cargo(&["deny", "--offline", "check", "advisories"]);
    }
    if !has_database() {
        note("advisories: NOT CHECKED (there is no copy of the database; WATCHFLOOR_ADVISORIES=fetch gets it)");
        return Ok(());
    }
    note("advisories: checked against the copy on this machine, however old");
    cargo(&["deny", "--offline", "check", "advisories"])
}

fn has_database() -> bool {
    let home = std::env::var_os("CARGO_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|h| std::path::Path::new(&h).join(".cargo")));
    home.and_then(|h| std::fs::read_dir(h.join("advisory-dbs")).ok()).is_some_and(|mut d| d.next().is_some())
}
