//! What CI runs.

use crate::process::{Outcome, cargo, cargo_command, print_times_and_notes, root, run, sh, step};
use crate::{lint, page, setup, skipped, window};

pub fn test() -> Outcome {
    skipped::forget()?;
    let outcome = everything();
    print_times_and_notes();
    skipped::print();
    outcome
}

fn everything() -> Outcome {
    let needs = skipped::what_is_needed_must_be_there();
    setup::everything()?;
    page::build()?;
    lint::checks()?;
    step("tests of the page");
    sh(&root().join("ui"), "npx", &["--no-install", "vitest", "run"])?;
    step("build");
    cargo(&["build", "--workspace", "--features", window::FEATURES])?;
    step("tests");
    let tests = ["nextest", "run", "--workspace", "--features", window::FEATURES, "--no-fail-fast"];
    run(cargo_command(&[&tests[..], &["-E", "not binary(window)"]].concat()).env(skipped::ALL_TESTS, &needs))?;
    window::tests(None, &[(skipped::ALL_TESTS, &needs)])
}
