//! `cargo xtask`: everything one does with this repository. No dependencies, so that it builds on a machine with
//! nothing but Rust.

mod fuzz;
mod setup;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "cargo xtask COMMAND

  run        set everything up, build, and open the window on the demo feed
  test       what CI runs: set up, lint, build, every test, the real window among them
  lint       rustfmt, clippy, direction of crates, svelte-check, eslint
  bindings   write the page's view of the commands anew (ui/src/host/bindings.ts)
  queries    check the SQL against the migrations anew (.sqlx)
  reference  write docs/configuration.md anew
  bench      the figures of docs/performance.md; `bench --help` says which, and `bench window [MINUTES]` is the window's
  window     only the tests of the real window; WATCHFLOOR_SCREENSHOTS=1 renews docs/screenshots
  fuzz       hostile input for a while: `fuzz [TARGET|all] [MINUTES] [SEED]`; what breaks goes to fuzz/corpus
  setup      only install what is missing";

type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("setup") => setup::everything(),
        Some("run") => run(),
        Some("test") => test(),
        Some("lint") => lint(),
        Some("bindings") => bindings(),
        Some("queries") => queries(),
        Some("reference") => reference(),
        Some("bench") => bench(&arguments[1..]),
        Some("window") => window(&arguments[1..]),
        Some("fuzz") => fuzz::run(&arguments[1..]),
        _ => {
            println!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

fn step(what: &str) {
    println!("\n== {what}");
}

/// A command in a directory; its end is ours when it fails.
fn sh(dir: &Path, program: &str, arguments: &[&str]) -> Outcome {
    command(Command::new(program).args(arguments).current_dir(dir), program, arguments)
}

fn command(command: &mut Command, program: &str, arguments: &[&str]) -> Outcome {
    let said = format!("{program} {}", arguments.join(" "));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{said}` ended with {status}")),
        Err(e) => Err(format!("`{said}`: {e}")),
    }
}

/// The workspace's own cargo: queries are checked against the committed `.sqlx`, never against a database that happens
/// to be configured.
fn cargo(arguments: &[&str]) -> Outcome {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    command(
        Command::new(&cargo).args(arguments).current_dir(root()).env("SQLX_OFFLINE", "true").env_remove("DATABASE_URL"),
        "cargo",
        arguments,
    )
}

fn page() -> Outcome {
    step("the page");
    let ui = root().join("ui");
    sh(&ui, "npm", &["ci", "--ignore-scripts", "--no-fund", "--no-audit"])?;
    sh(&ui, "npx", &["--no-install", "vite", "build"])
}

fn run() -> Outcome {
    setup::to_build()?;
    page()?;
    step("the console (the first build takes some minutes)");
    cargo(&["build", "-p", "watchfloor"])?;
    // The demo begins anew each time, with a key that lives as long as it: it needs no keychain, and leaves no secret
    // behind.
    let home = root().join("target/demo");
    if let Err(e) = std::fs::remove_dir_all(&home)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(format!("{}: {e}", home.display()));
    }
    std::fs::create_dir_all(&home).map_err(|e| e.to_string())?;
    let key = passing_key();
    let store = if key.is_some() { "[store]\nkey = \"env:WATCHFLOOR_DEMO_KEY\"\n" } else { "" };
    let config = home.join("watchfloor.toml");
    std::fs::write(
        &config,
        format!(
            "# The demo's own settings; your console keeps its settings elsewhere.\n{store}[demo]\nenabled = true\n"
        ),
    )
    .map_err(|e| e.to_string())?;
    step("the window");
    let mut program = Command::new(root().join("target/debug/watchfloor"));
    program.env("WATCHFLOOR_DATA_DIR", home.join("data")).env("WATCHFLOOR_CONFIG", config);
    if let Some(key) = key {
        program.env("WATCHFLOOR_DEMO_KEY", key);
    }
    command(&mut program, "watchfloor", &[])
}

/// 64 hex digits from the system's randomness; without it the demo uses the keychain, as a console of one's own does.
fn passing_key() -> Option<String> {
    use std::io::Read as _;
    let mut bytes = [0u8; 32];
    std::fs::File::open("/dev/urandom").ok()?.read_exact(&mut bytes).ok()?;
    Some(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

fn test() -> Outcome {
    let began = std::time::Instant::now();
    setup::everything()?;
    page()?;
    lint_after_page()?;
    step("tests of the page");
    sh(&root().join("ui"), "npx", &["--no-install", "vitest", "run"])?;
    step("build");
    cargo(&["build", "--workspace", "--features", "watchfloor/webdriver"])?;
    step("tests");
    cargo(&[
        "nextest",
        "run",
        "--workspace",
        "--features",
        "watchfloor/webdriver",
        "--no-fail-fast",
        "-E",
        "not binary(window)",
    ])?;
    window(&[])?;
    println!("\nall of it took {} min {} s", began.elapsed().as_secs() / 60, began.elapsed().as_secs() % 60);
    Ok(())
}

fn lint() -> Outcome {
    setup::to_build()?;
    setup::tools()?;
    page()?;
    lint_after_page()
}

fn lint_after_page() -> Outcome {
    step("lints");
    let ui = root().join("ui");
    sh(&ui, "npm", &["run", "-s", "check"])?;
    sh(&ui, "npx", &["--no-install", "eslint", "."])?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--features", "watchfloor/webdriver", "--", "-D", "warnings"])?;
    // Of every platform, because deny looks at all of them.
    cargo(&["fetch", "--locked"])?;
    // The advisory database is on the network; where it can be reached, `cargo deny check` checks it too.
    cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"])
}

fn bindings() -> Outcome {
    setup::to_build()?;
    command(
        Command::new("cargo")
            .args(["test", "-q", "-p", "watchfloor", "bindings"])
            .current_dir(root())
            .env("SQLX_OFFLINE", "true")
            .env("WATCHFLOOR_WRITE_BINDINGS", "1"),
        "cargo",
        &["test -p watchfloor bindings"],
    )
}

fn reference() -> Outcome {
    command(
        Command::new("cargo")
            .args(["test", "-q", "-p", "wf-config", "config_reference"])
            .current_dir(root())
            .env("SQLX_OFFLINE", "true")
            .env("WATCHFLOOR_WRITE_REFERENCE", "1"),
        "cargo",
        &["test -p wf-config config_reference"],
    )
}

/// The macros ask a plain database made from the migrations, and leave what they learned in `.sqlx`.
fn queries() -> Outcome {
    setup::packages(&["sqlite3"])?;
    let (sqlx, database) = (root().join(".sqlx"), root().join("target/queries.db"));
    for path in [&sqlx, &database] {
        let gone = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        if let Err(e) = gone
            && e.kind() != std::io::ErrorKind::NotFound
        {
            return Err(format!("{}: {e}", path.display()));
        }
    }
    std::fs::create_dir_all(&sqlx).map_err(|e| e.to_string())?;
    std::fs::create_dir_all(root().join("target")).map_err(|e| e.to_string())?;
    let mut migrations: Vec<_> =
        std::fs::read_dir(root().join("migrations")).map_err(|e| e.to_string())?.flatten().map(|e| e.path()).collect();
    migrations.sort();
    for migration in migrations {
        let read = format!(".read {}", migration.display());
        sh(&root(), "sqlite3", &[&database.to_string_lossy(), &read])?;
    }
    let lib = root().join("crates/store/src/lib.rs");
    let text = std::fs::read(&lib).map_err(|e| e.to_string())?;
    // Written anew, unchanged, so that the crate is compiled again and every query asked.
    std::fs::write(&lib, text).map_err(|e| e.to_string())?;
    command(
        Command::new("cargo")
            .args(["check", "-p", "wf-store"])
            .current_dir(root())
            .env("DATABASE_URL", format!("sqlite://{}", database.display()))
            .env("SQLX_OFFLINE_DIR", &sqlx),
        "cargo",
        &["check -p wf-store"],
    )
}

fn bench(arguments: &[String]) -> Outcome {
    if arguments.first().is_some_and(|a| a == "window") {
        return frames(arguments.get(1).map_or("30", String::as_str));
    }
    setup::to_build()?;
    step("benchmarks (release build)");
    cargo(&["build", "--release", "-p", "wf-cli", "-p", "wf-demo", "-p", "wf-bench"])?;
    let program = root().join("target/release/watchfloor-bench");
    command(Command::new(program).args(arguments).current_dir(root()), "watchfloor-bench", &[])
}

/// Frame times of an optimised window under load. A release build has no WebDriver, so this one is a release build in
/// all but the one check of the shell's own crate that sees to that.
fn frames(minutes: &str) -> Outcome {
    setup::everything()?;
    page()?;
    cargo(&[
        "build",
        "--release",
        "-p",
        "watchfloor",
        "--features",
        "watchfloor/webdriver",
        "--config",
        "profile.release.package.watchfloor.debug-assertions=true",
    ])?;
    let programs = root().join("target/release");
    // The programs stay apart from what is shipped.
    let program = programs.join("measured");
    std::fs::create_dir_all(&program)
        .and_then(|()| std::fs::rename(programs.join("watchfloor"), program.join("watchfloor")))
        .map_err(|e| e.to_string())?;
    drive(
        "-P frames -E 'binary(window) and test(while_five_thousand)' --no-capture",
        &[("WATCHFLOOR_PROGRAMS", &program.to_string_lossy()), ("WATCHFLOOR_FRAME_MINUTES", minutes)],
    )
}

/// The window needs a display, a session bus and a keychain of its own: all three are made here and end with the tests.
fn window(arguments: &[String]) -> Outcome {
    setup::everything()?;
    step("the real window");
    if !root().join("ui/dist/index.html").exists() {
        page()?;
    }
    // The whole workspace with the same features as in `test`: another selection would compile everything once more.
    cargo(&["build", "--workspace", "--features", "watchfloor/webdriver"])?;
    let filter = arguments.first().cloned().unwrap_or_default();
    drive(&format!("-E 'binary(window)' {filter}"), &[])
}

fn drive(which: &str, environment: &[(&str, &str)]) -> Outcome {
    let inner =
        format!("exec cargo nextest run --workspace --features watchfloor/webdriver --no-fail-fast -j 1 {which}");
    let mut run = Command::new("dbus-run-session");
    run.args(["--", "xvfb-run", "-a", "-s", "-screen 0 1440x900x24", "bash", "-c", &inner])
        .current_dir(root())
        .env("SQLX_OFFLINE", "true")
        .env("NO_AT_BRIDGE", "1")
        .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
        .env("LC_ALL", "C.UTF-8")
        .envs(environment.iter().copied());
    command(&mut run, "window tests", &[])
}
