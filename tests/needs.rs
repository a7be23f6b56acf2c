//! What a test needs of the machine. A test that is skipped passes, and nextest shows nothing of what it says: so it is
//! written down, and `cargo xtask test` counts it at the end.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// With `1`, as `cargo xtask test` sets it, what is missing is a failure.
const ALL_TESTS: &str = "WATCHFLOOR_ALL_TESTS";

/// A test a line. `xtask/src/skipped.rs` reads it.
const SKIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/skipped-tests.txt");

/// Whether these programs are on this machine; without one of them the test has nothing to say, and returns.
///
/// # Panics
/// If one is missing and all tests are to be run.
pub fn needs(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|p| !have(p)).collect();
    needs_that(&missing.join(", "), missing.is_empty())
}

/// The same of what is no program.
///
/// # Panics
/// If it is not there and all tests are to be run.
pub fn needs_that(what: &str, there: bool) -> bool {
    let all = std::env::var_os(ALL_TESTS).is_some_and(|v| v == "1");
    judge(&test(), what, there, all, Path::new(SKIPPED))
}

/// The test is skipped for want of something that no setup can bring, as the rights of root: that is counted, and never
/// a failure.
pub fn skipped(what: &str) {
    judge(&test(), what, false, false, Path::new(SKIPPED));
}

/// The name of the test that asks: its thread has it.
fn test() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}

fn judge(test: &str, what: &str, there: bool, all: bool, file: &Path) -> bool {
    if there {
        return true;
    }
    let line = format!("{test}: needs {what}");
    assert!(!all, "{line}: `cargo xtask setup` installs it, {ALL_TESTS}=0 skips such tests");
    eprintln!("SKIPPED {line}");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    // In one piece: other tests write to it as well.
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
    false
}

fn have(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|o| o.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_written_down_with_the_name_of_the_test() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("target/skipped.txt");
        assert!(judge("a::b", "soffice", true, false, &file) && judge("a::b", "soffice", true, true, &file));
        assert!(!file.exists(), "nothing was skipped");
        assert!(!judge("a::b", "soffice", false, false, &file) && !judge("c", "sshd, ssh", false, false, &file));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a::b: needs soffice\nc: needs sshd, ssh\n");
    }

    #[test]
    #[should_panic(expected = "a::b: needs soffice")]
    fn what_is_missing_is_a_failure_where_all_tests_are_to_be_run() {
        judge("a::b", "soffice", false, true, Path::new("/nowhere"));
    }

    #[test]
    fn a_test_knows_its_name_and_what_is_on_the_machine() {
        assert!(test().ends_with("a_test_knows_its_name_and_what_is_on_the_machine"), "{}", test());
        assert!(have("sh") && have("/bin/sh") && !have("watchfloor-no-such-program"));
    }
}
