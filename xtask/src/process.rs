//! Other programs: how each is started, and how long the steps take.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub type Outcome = Result<(), String>;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

static STEPS: Mutex<Vec<(String, Instant)>> = Mutex::new(Vec::new());
static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What is printed from here on belongs to this step, and so does the time.
pub fn step(what: &str) {
    println!("\n== {what}");
    if let Ok(mut steps) = STEPS.lock() {
        steps.push((what.to_owned(), Instant::now()));
    }
}

/// Printed now, and once more at the end of a long run.
pub fn note(text: &str) {
    println!("{text}");
    if let Ok(mut notes) = NOTES.lock() {
        notes.push(text.to_owned());
    }
}

pub fn print_times_and_notes() {
    if let Ok(steps) = STEPS.lock() {
        println!("\n== times");
        times(&steps, Instant::now()).iter().for_each(|line| println!("{line}"));
    }
    if let Ok(notes) = NOTES.lock() {
        notes.iter().for_each(|note| println!("\n{note}"));
    }
}

fn times(steps: &[(String, Instant)], end: Instant) -> Vec<String> {
    let line =
        |what: &str, took: Duration| format!("{:>4} min {:>2} s  {what}", took.as_secs() / 60, took.as_secs() % 60);
    let ends = steps.iter().skip(1).map(|(_, began)| *began).chain([end]);
    let mut lines: Vec<String> =
        steps.iter().zip(ends).map(|((what, began), end)| line(what, end.duration_since(*began))).collect();
    if let Some((_, first)) = steps.first() {
        lines.push(line("all of it", end.duration_since(*first)));
    }
    lines
}

/// A command in a directory; its end is ours when it fails.
pub fn sh(dir: &Path, program: &str, arguments: &[&str]) -> Outcome {
    run(Command::new(program).args(arguments).current_dir(dir))
}

pub fn run(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` ended with {status}", said(command))),
        Err(e) => Err(format!("`{}`: {e}", said(command))),
    }
}

/// The same, silently, and for so long at most.
pub fn run_within(command: &mut Command, limit: Duration) -> Outcome {
    let failed = |command: &Command, e: std::io::Error| format!("`{}`: {e}", said(command));
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed(command, e))?;
    loop {
        match child.try_wait().map_err(|e| failed(command, e))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("`{}` ended with {status}", said(command))),
            None if began.elapsed() < limit => std::thread::sleep(Duration::from_millis(50)),
            None => {
                child.kill().and_then(|()| child.wait()).map_err(|e| failed(command, e))?;
                return Err(format!("`{}` took longer than {} s", said(command), limit.as_secs()));
            }
        }
    }
}

fn said(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// What does not resolve dependencies, and so knows no `--locked`.
const UNLOCKED: &[&[&str]] = &[&["fmt"], &["install", "--list"]];

/// The arguments, with `--locked`: what is built, tested and installed is what the lock file says, or nothing.
fn locked(arguments: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    if !UNLOCKED.iter().any(|u| arguments.starts_with(u)) {
        // nextest takes it after a subcommand of its own.
        let at = if arguments.first() == Some(&"nextest") { 2 } else { 1 };
        all.insert(at.min(all.len()), "--locked".to_owned());
    }
    all
}

/// The only way to cargo. Queries are checked against the committed `.sqlx`, never against a database that happens to
/// be configured.
pub fn cargo_command(arguments: &[&str]) -> Command {
    cargo_within(&[], arguments)
}

/// The same as the last words of another program, which gives it what it needs.
pub fn cargo_within(outer: &[&str], arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut words = outer.iter().map(|w| (*w).to_owned()).chain([cargo]).chain(locked(arguments));
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(root()).env("SQLX_OFFLINE", "true").env_remove("DATABASE_URL");
    command
}

pub fn cargo(arguments: &[&str]) -> Outcome {
    run(&mut cargo_command(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        command.get_args().map(|a| a.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn every_call_of_cargo_that_resolves_dependencies_is_locked() {
        let calls: [(&[&str], &[&str]); 8] = [
            (&["build", "-p", "x"], &["build", "--locked", "-p", "x"]),
            (&["clippy", "--all", "--", "-D", "warnings"], &["clippy", "--locked", "--all", "--", "-D", "warnings"]),
            (&["nextest", "run", "-E", "all()"], &["nextest", "run", "--locked", "-E", "all()"]),
            (&["deny", "--offline", "check"], &["deny", "--locked", "--offline", "check"]),
            (&["install", "x", "--version", "1.0.0"], &["install", "--locked", "x", "--version", "1.0.0"]),
            (&["fetch"], &["fetch", "--locked"]),
            (&["fmt", "--all", "--check"], &["fmt", "--all", "--check"]),
            (&["install", "--list"], &["install", "--list"]),
        ];
        for (arguments, expected) in calls {
            assert_eq!(words(&cargo_command(arguments)), expected);
        }
        let inside = words(&cargo_within(&["xvfb-run", "-a"], &["nextest", "run"]));
        assert_eq!(inside[0], "-a");
        assert!(inside.ends_with(&["nextest".to_owned(), "run".to_owned(), "--locked".to_owned()]), "{inside:?}");
    }

    #[test]
    fn nothing_here_calls_cargo_in_another_way() {
        let alias = std::fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
        assert!(alias.contains("\"run --locked "), "{alias}");
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().flatten() {
            if entry.file_name() == "process.rs" {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            for other in ["new(\"cargo", "\"CARGO\"", "exec cargo", "\"cargo\","] {
                assert!(!text.contains(other), "{}: {other}", entry.path().display());
            }
        }
    }

    #[test]
    fn a_step_ends_where_the_next_begins_and_the_sum_is_said() {
        let began = Instant::now();
        let at = |s| began + Duration::from_secs(s);
        let lines = times(&[("one".into(), at(0)), ("two".into(), at(61))], at(200));
        assert_eq!(lines, ["   1 min  1 s  one", "   2 min 19 s  two", "   3 min 20 s  all of it"]);
        assert!(times(&[], began).is_empty());
    }

    #[test]
    #[cfg(unix)]
    fn a_program_that_does_not_end_is_ended() {
        let endless = run_within(Command::new("sleep").arg("600"), Duration::from_millis(1));
        assert!(endless.is_err_and(|e| e.contains("took longer")));
        assert_eq!(run_within(&mut Command::new("true"), Duration::from_secs(60)), Ok(()));
        assert!(
            run_within(&mut Command::new("false"), Duration::from_secs(60)).is_err_and(|e| e.contains("ended with"))
        );
    }
}
