//! Tests that were skipped because something they need is not on this machine. `wf_tests::needs` writes them down,
//! because nextest shows nothing of what a passing test says.

use std::path::PathBuf;

use crate::process::{Outcome, root};

/// With `1`, a test that needs a program panics where it is missing.
pub const ALL_TESTS: &str = "WATCHFLOOR_ALL_TESTS";

/// What the tests of this run are told: `1`, unless the environment says otherwise.
pub fn what_is_needed_must_be_there() -> String {
    std::env::var(ALL_TESTS).unwrap_or_else(|_| "1".to_owned())
}

fn file() -> PathBuf {
    root().join("target/skipped-tests.txt")
}

/// What earlier runs skipped.
pub fn forget() -> Outcome {
    match std::fs::remove_file(file()) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {e}", file().display())),
        _ => Ok(()),
    }
}

pub fn print() {
    // No file: nobody wrote one.
    println!("\n{}", summary(&std::fs::read_to_string(file()).unwrap_or_default()));
}

fn summary(lines: &str) -> String {
    let mut tests: Vec<&str> = lines.lines().filter(|l| !l.is_empty()).collect();
    tests.sort_unstable();
    tests.dedup();
    match tests.len() {
        0 => "no test was skipped".to_owned(),
        1 => format!("1 test was SKIPPED:\n  {}", tests[0]),
        n => format!("{n} tests were SKIPPED:\n  {}", tests.join("\n  ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_counted_once_and_named() {
        assert_eq!(summary(""), "no test was skipped");
        assert_eq!(summary("b: soffice is needed\n"), "1 test was SKIPPED:\n  b: soffice is needed");
        assert_eq!(summary("b: x\na: y\nb: x\n"), "2 tests were SKIPPED:\n  a: y\n  b: x");
    }
}
