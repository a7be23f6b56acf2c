//! The commands, what each says about itself, and what was asked for.

use crate::bench::{self, Bench};

/// What was asked for.
#[derive(Debug, PartialEq)]
pub enum Wanted {
    Help(String),
    Run,
    Test,
    Lint,
    Bindings,
    Queries,
    Reference,
    Bench(Bench),
    /// Of the tests of the window, those that this filter of nextest lets through.
    Window(Option<String>),
    /// Target, minutes, seed; read by the fuzzer itself.
    Fuzz(Vec<String>),
    Setup,
}

/// Why it cannot be done, and how it is written.
#[derive(Debug, PartialEq)]
pub struct Misuse {
    pub why: String,
    pub usage: String,
}

/// A command that takes no arguments, or one whose arguments are read elsewhere.
struct Command {
    name: &'static str,
    /// In the list of all commands.
    line: &'static str,
    /// One screen.
    help: &'static str,
}

const COMMANDS: [Command; 10] = [
    Command {
        name: "run",
        line: "set everything up, build, and open the window on the demo feed",
        help: "cargo xtask run

Installs what is missing to build the window, builds the page and the console (a debug build), and opens the
window on the demo feed. The demo begins anew each time, in target/demo; a console of your own is not touched.

Needs Node and npm. On Debian, system packages are installed through apt-get, as root or with sudo.",
    },
    Command {
        name: "test",
        line: "what CI runs: set up, lint, build, every test, the real window among them",
        help: "cargo xtask test

What CI runs: sets up, builds the page, lints, builds everything, and runs every test, those of the real window
last. At its end it prints how long each step took and which tests were skipped.

A test that needs a program that is not there fails. Where some cannot be had, WATCHFLOOR_ALL_TESTS=0 lets such
tests be skipped; they are counted and named. Tests that need root to mount a small file system are skipped for
anybody else, and counted as well.",
    },
    Command {
        name: "lint",
        line: "rustfmt, clippy, direction of crates, licences, advisories, svelte-check, eslint",
        help: "cargo xtask lint

svelte-check and eslint over the page, rustfmt, clippy (warnings are errors), and cargo-deny: which crate may
depend on which, licences, sources, advisories.

Advisories are looked up in the copy of their database on this machine; WATCHFLOOR_ADVISORIES=fetch gets a new
one first. Where there is none it says `advisories: NOT CHECKED` and goes on. `npm audit` needs the registry and
is not run.",
    },
    Command {
        name: "bindings",
        line: "write the page's view of the commands anew (ui/src/host/bindings.ts)",
        help: "cargo xtask bindings

Writes ui/src/host/bindings.ts anew, after a command of the window or a type that it gives was changed. A test
fails while the file is not what the code says.",
    },
    Command {
        name: "queries",
        line: "check the SQL against the migrations anew (.sqlx)",
        help: "cargo xtask queries

Makes a database from migrations/, checks every query of crates/store against it, and writes what was learned to
.sqlx, which all other builds use. Needed after a query or a migration was changed. Installs sqlite3 on Debian.",
    },
    Command {
        name: "reference",
        line: "write docs/configuration.md anew",
        help: "cargo xtask reference

Writes docs/configuration.md anew from the types that read the settings, after one of them or its comment was
changed. A test fails while the page is not what the code says.",
    },
    Command { name: "bench", line: "the figures of docs/performance.md; `bench --help` names them", help: "" },
    Command {
        name: "window",
        line: "only the tests of the real window; WATCHFLOOR_SCREENSHOTS=1 renews docs/screenshots",
        help: "cargo xtask window [FILTER]

Builds the window and runs its tests, one at a time, with a display, a session bus and a keychain of their own.

  FILTER   only the tests that this filter of nextest lets through, as one argument: 'test(t1_)'

WATCHFLOOR_SCREENSHOTS=1 renews docs/screenshots.",
    },
    Command {
        name: "fuzz",
        line: "hostile input for a while; what breaks a promise goes to fuzz/corpus",
        help: "cargo xtask fuzz [TARGET|all] [MINUTES] [SEED]

Builds fuzz/ with optimisation and every check of a debug build, and reads mutated input for so long: 10 minutes
over all targets unless told. What breaks a promise is written to fuzz/corpus/TARGET/crash-HASH, and from then on
every `cargo xtask test` reads it. The seed is printed; with it a run is the same again.

  TARGET   decode, config, rules, store, query, evidence, privacy, channels, recovery, request",
    },
    Command {
        name: "setup",
        line: "only install what is missing",
        help: "cargo xtask setup

Installs the system packages that building and testing need (Debian; elsewhere it names them), and cargo-nextest,
cargo-deny and tauri-driver, each at one version. What is there in another version is replaced, and that is said.",
    },
];

/// Nothing is started, built or asked for here: help is there at once.
pub fn parse(arguments: &[String]) -> Result<Wanted, Misuse> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, rest) = match words.as_slice() {
        [] => return misuse("a command is missing", overview()),
        ["help", name] => (*name, &["--help"][..]),
        ["--help" | "-h" | "help"] => return Ok(Wanted::Help(overview())),
        [name, rest @ ..] => (*name, rest),
    };
    let Some(command) = COMMANDS.iter().find(|c| c.name == name) else {
        return misuse(&format!("there is no command '{name}'"), overview());
    };
    if command.name == "bench" {
        return bench::parse(rest);
    }
    let help = || command.help.to_owned();
    if rest.iter().any(|a| is_help(a)) {
        return Ok(Wanted::Help(help()));
    }
    match (command.name, rest) {
        ("window", []) => Ok(Wanted::Window(None)),
        ("window", [filter]) if !filter.starts_with('-') => Ok(Wanted::Window(Some((*filter).to_owned()))),
        ("fuzz", which) if which.len() <= 3 && which.iter().all(|a| !a.starts_with('-')) => {
            Ok(Wanted::Fuzz(which.iter().map(|a| (*a).to_owned()).collect()))
        }
        (_, [unknown, ..]) => misuse(&format!("'{unknown}' is not known here"), help()),
        ("run", []) => Ok(Wanted::Run),
        ("test", []) => Ok(Wanted::Test),
        ("lint", []) => Ok(Wanted::Lint),
        ("bindings", []) => Ok(Wanted::Bindings),
        ("queries", []) => Ok(Wanted::Queries),
        ("reference", []) => Ok(Wanted::Reference),
        ("setup", []) => Ok(Wanted::Setup),
        (name, []) => misuse(&format!("there is no command '{name}'"), overview()),
    }
}

pub fn misuse(why: &str, usage: String) -> Result<Wanted, Misuse> {
    Err(Misuse { why: why.to_owned(), usage })
}

pub fn is_help(argument: &str) -> bool {
    matches!(argument, "--help" | "-h")
}

fn overview() -> String {
    let mut text = "cargo xtask COMMAND\n".to_owned();
    for command in &COMMANDS {
        text.push_str(&format!("\n  {:<9}  {}", command.name, command.line));
    }
    text.push_str("\n\n`cargo xtask COMMAND --help` says more about one.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Wanted, Misuse> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_command_says_on_one_screen_what_it_does_and_nothing_is_started() {
        for command in &COMMANDS {
            for line in ["{} --help", "{} -h", "help {}"] {
                let Ok(Wanted::Help(text)) = asked(&line.replace("{}", command.name)) else {
                    panic!("{line}: {}", command.name);
                };
                assert!(text.starts_with(&format!("cargo xtask {}", command.name)), "{text}");
                assert!(text.lines().count() <= 24 && text.lines().all(|l| l.chars().count() <= 120), "{text}");
            }
        }
        let Ok(Wanted::Help(all)) = asked("--help") else { panic!("no help") };
        assert!(COMMANDS.iter().all(|c| all.contains(&format!("\n  {:<9}  {}", c.name, c.line))), "{all}");
    }

    #[test]
    fn every_command_is_asked_for_by_its_name_alone() {
        let names = [
            ("run", Wanted::Run),
            ("test", Wanted::Test),
            ("lint", Wanted::Lint),
            ("bindings", Wanted::Bindings),
            ("queries", Wanted::Queries),
            ("reference", Wanted::Reference),
            ("window", Wanted::Window(None)),
            ("fuzz", Wanted::Fuzz(Vec::new())),
            ("setup", Wanted::Setup),
        ];
        for (name, wanted) in names {
            assert_eq!(asked(name), Ok(wanted));
        }
        for command in &COMMANDS {
            assert!(asked(command.name).is_ok_and(|w| !matches!(w, Wanted::Help(_))), "{}", command.name);
        }
    }

    #[test]
    fn what_is_not_known_is_an_error_that_shows_the_usage() {
        for line in ["", "tests", "--version", "help me"] {
            assert_eq!(asked(line).unwrap_err().usage, overview(), "{line}");
        }
        for line in ["run fast", "test --release", "lint ui", "window --all", "window a b", "setup now", "fuzz --all"] {
            let wrong = asked(line).unwrap_err();
            assert!(wrong.usage.starts_with(&format!("cargo xtask {}", &line[..3])), "{line}: {wrong:?}");
        }
        assert_eq!(asked("run fast").unwrap_err().why, "'fast' is not known here");
    }

    #[test]
    fn the_tests_of_the_window_may_be_chosen() {
        assert_eq!(asked("window test(t1_)"), Ok(Wanted::Window(Some("test(t1_)".into()))));
    }
}
