//! The tests of the real window.

use crate::process::{Outcome, cargo, cargo_within, root, run, step};
use crate::{page, setup, skipped};

/// A window that can be driven.
pub const FEATURES: &str = "watchfloor/webdriver";

pub fn window(filter: Option<&str>) -> Outcome {
    skipped::forget()?;
    let outcome = tests(filter, &[]);
    skipped::print();
    outcome
}

pub fn tests(filter: Option<&str>, environment: &[(&str, &str)]) -> Outcome {
    setup::everything()?;
    step("the real window");
    if !root().join("ui/dist/index.html").exists() {
        page::build()?;
    }
    // The whole workspace with the same features as in `test`: another selection would compile everything once more.
    cargo(&["build", "--workspace", "--features", FEATURES])?;
    drive(&["-E", &expression(filter)], environment)
}

/// `and …` is what used to be written.
fn expression(filter: Option<&str>) -> String {
    match filter.map(|f| f.trim().trim_start_matches("and ").trim()).filter(|f| !f.is_empty()) {
        Some(filter) => format!("binary(window) and ({filter})"),
        None => "binary(window)".to_owned(),
    }
}

/// The window needs a display, a session bus and a keychain of its own: all three are made here and end with the tests.
pub fn drive(which: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let outer = ["dbus-run-session", "--", "xvfb-run", "-a", "-s", "-screen 0 1440x900x24"];
    let tests = ["nextest", "run", "--workspace", "--features", FEATURES, "--no-fail-fast", "-j", "1"];
    run(cargo_within(&outer, &[&tests[..], which].concat())
        .env("NO_AT_BRIDGE", "1")
        .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
        .env("LC_ALL", "C.UTF-8")
        .envs(environment.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_chooses_among_the_tests_of_the_window_alone() {
        assert_eq!(expression(None), "binary(window)");
        assert_eq!(expression(Some(" ")), "binary(window)");
        for filter in ["test(a) or test(b)", "and test(a) or test(b)"] {
            assert_eq!(expression(Some(filter)), "binary(window) and (test(a) or test(b))");
        }
    }
}
