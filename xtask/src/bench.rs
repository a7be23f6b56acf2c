//! The figures of docs/performance.md. What is measured is in `crates/bench`; the window's frames are measured here.

use std::process::Command;

use crate::commands::{Misuse, Wanted, is_help, misuse};
use crate::process::{Outcome, cargo, root, run as run_program, step};
use crate::{page, setup, window};

#[derive(Debug, PartialEq)]
pub enum Bench {
    /// Of `watchfloor-bench`.
    Program(Vec<String>),
    /// Frames of the window, for so many minutes.
    Window(String),
}

/// What `watchfloor-bench` measures.
struct Kind {
    name: &'static str,
    says: &'static str,
    /// An option with a whole number, and what it is when it is not given.
    option: Option<(&'static str, u64)>,
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "latency",
        says: "From a frame that is sent to an incident that is committed, at 1,000 and 5,000 events a second.",
        option: Some(("--seconds", 20)),
    },
    Kind {
        name: "ingest",
        says: "Events a second at full speed, CPU, memory and disk an event; then a cold start, and searches.",
        option: Some(("--seconds", 60)),
    },
    Kind { name: "desk", says: "Each question and action with ten thousand incidents open.", option: None },
    Kind {
        name: "privacy",
        says: "Reports, a subject's data, an erasure and retention over a million events.",
        option: None,
    },
    Kind {
        name: "year",
        says: "Opening, listing and searching very many small blocks, beside the same with a thousand (some minutes).",
        option: Some(("--blocks", 100_000)),
    },
];

/// What is measured when nothing is named.
const PLAIN: &str = "latency, ingest, desk and privacy";
const MINUTES: &str = "30";

pub fn parse(arguments: &[&str]) -> Result<Wanted, Misuse> {
    if arguments.iter().any(|a| is_help(a)) {
        return Ok(Wanted::Help(help()));
    }
    match arguments {
        [] => Ok(Wanted::Bench(Bench::Program(Vec::new()))),
        ["window"] => Ok(Wanted::Bench(Bench::Window(MINUTES.to_owned()))),
        ["window", minutes] => match minutes.parse::<f64>() {
            Ok(n) if n.is_finite() && n > 0.0 => Ok(Wanted::Bench(Bench::Window((*minutes).to_owned()))),
            _ => misuse(&format!("'{minutes}' is no number of minutes"), help()),
        },
        ["window", _, unknown, ..] => misuse(&format!("'{unknown}' is not known here"), help()),
        [name, rest @ ..] => match KINDS.iter().find(|k| k.name == *name) {
            Some(kind) => of_kind(kind, rest),
            None => misuse(&format!("there is no measurement '{name}'"), help()),
        },
    }
}

fn of_kind(kind: &Kind, arguments: &[&str]) -> Result<Wanted, Misuse> {
    let words: Vec<&str> = arguments.iter().flat_map(|a| a.splitn(2, '=')).collect();
    let (name, value) = match (words.as_slice(), kind.option) {
        ([], _) => return Ok(Wanted::Bench(Bench::Program(vec![kind.name.to_owned()]))),
        ([name, value], Some((known, _))) if *name == known => (*name, *value),
        ([name], Some((known, _))) if *name == known => return misuse(&format!("{name} needs a number"), help()),
        ([name, _, unknown, ..], Some((known, _))) if *name == known => {
            return misuse(&format!("'{unknown}' is not known here"), help());
        }
        ([unknown, ..], _) => return misuse(&format!("'{unknown}' is not known here"), help()),
    };
    match value.parse::<u64>() {
        Ok(n) if n > 0 => Ok(Wanted::Bench(Bench::Program(vec![kind.name.to_owned(), name.to_owned(), n.to_string()]))),
        _ => misuse(&format!("{name} needs a number, not '{value}'"), help()),
    }
}

fn help() -> String {
    let mut text =
        format!("cargo xtask bench [WHAT]\n\nBuilds with optimisation and measures. Without WHAT: {PLAIN}.\n");
    for kind in &KINDS {
        text.push_str(&format!("\n  {:<9}{}", kind.name, kind.says));
        if let Some((option, default)) = kind.option {
            text.push_str(&format!("\n           {option} N, {default} unless told."));
        }
    }
    text.push_str(&format!(
        "\n  window   Frame times and memory of the real window while 5,000 events a second arrive.\
         \n           window MINUTES, {MINUTES} unless told.\
         \n\nEach prints the machine, the version and how it was measured."
    ));
    text
}

pub fn run(bench: &Bench) -> Outcome {
    match bench {
        Bench::Program(arguments) => {
            setup::to_build()?;
            step("benchmarks (release build)");
            cargo(&["build", "--release", "-p", "wf-cli", "-p", "wf-demo", "-p", "wf-bench"])?;
            let program = root().join("target/release/watchfloor-bench");
            run_program(Command::new(program).args(arguments).current_dir(root()))
        }
        Bench::Window(minutes) => frames(minutes),
    }
}

/// Frame times of an optimised window under load. A release build has no WebDriver, so this one is a release build in
/// all but the one check of the shell's own crate that sees to that.
fn frames(minutes: &str) -> Outcome {
    setup::everything()?;
    page::build()?;
    step("the window (release build)");
    cargo(&[
        "build",
        "--release",
        "-p",
        "watchfloor",
        "--features",
        window::FEATURES,
        "--config",
        "profile.release.package.watchfloor.debug-assertions=true",
    ])?;
    let programs = root().join("target/release");
    // The programs stay apart from what is shipped.
    let program = programs.join("measured");
    std::fs::create_dir_all(&program)
        .and_then(|()| std::fs::rename(programs.join("watchfloor"), program.join("watchfloor")))
        .map_err(|e| e.to_string())?;
    window::drive(
        &["-P", "frames", "-E", "binary(window) and test(while_five_thousand)", "--no-capture"],
        &[("WATCHFLOOR_PROGRAMS", &program.to_string_lossy()), ("WATCHFLOOR_FRAME_MINUTES", minutes)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Wanted, Misuse> {
        parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    fn program(words: &[&str]) -> Result<Wanted, Misuse> {
        Ok(Wanted::Bench(Bench::Program(words.iter().map(|w| (*w).to_owned()).collect())))
    }

    #[test]
    fn every_measurement_is_named_with_a_sentence_and_none_is_missing() {
        let Ok(Wanted::Help(text)) = asked("--help") else { panic!("no help") };
        for kind in &KINDS {
            assert!(text.contains(&format!("\n  {:<9}{}", kind.name, kind.says)) && kind.says.ends_with('.'), "{text}");
            assert_eq!(asked(kind.name), program(&[kind.name]));
            assert_eq!(asked(&format!("{} --help", kind.name)), Ok(Wanted::Help(text.clone())));
        }
        // The variants that the program knows.
        let source = std::fs::read_to_string(root().join("crates/bench/src/main.rs")).unwrap();
        let variants = source.split("enum What {").nth(1).and_then(|s| s.split("\n}\n").next()).unwrap();
        let mut known: Vec<String> = variants
            .lines()
            .filter_map(|l| l.strip_prefix("    ").filter(|l| l.starts_with(|c: char| c.is_ascii_uppercase())))
            .map(|l| l.chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_lowercase())
            .collect();
        let mut named: Vec<&str> = KINDS.iter().map(|k| k.name).collect();
        known.sort_unstable();
        named.sort_unstable();
        assert_eq!(known, named);
    }

    #[test]
    fn numbers_are_read_before_anything_is_built() {
        assert_eq!(asked(""), program(&[]));
        assert_eq!(asked("ingest --seconds 5"), program(&["ingest", "--seconds", "5"]));
        assert_eq!(asked("year --blocks=2000"), program(&["year", "--blocks", "2000"]));
        assert_eq!(asked("window"), Ok(Wanted::Bench(Bench::Window("30".into()))));
        assert_eq!(asked("window 0.5"), Ok(Wanted::Bench(Bench::Window("0.5".into()))));
        for line in [
            "speed",
            "--seconds 5",
            "desk --seconds 5",
            "desk now",
            "ingest --seconds",
            "ingest --seconds many",
            "ingest --seconds 0",
            "ingest --seconds 5 more",
            "year --seconds 5",
            "window long",
            "window 0",
            "window 3 4",
        ] {
            assert_eq!(asked(line).unwrap_err().usage, help(), "{line}");
        }
    }
}
