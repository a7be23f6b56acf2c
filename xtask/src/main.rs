//! `cargo xtask`: everything one does with this repository. No dependencies, so that it builds on a machine with
//! nothing but Rust.
//!
//! - [`commands`] reads the arguments: what is asked for, or a screen of help, before anything is started.
//! - [`process`] starts other programs; cargo is called from there alone.
//! - [`setup`] installs what is missing, [`page`] builds the page, [`demo`] opens the window on the demo.
//! - [`lint`], [`suite`] (`cargo xtask test`), [`window`] and [`bench`] are commands; [`generated`] is those that write
//!   files which are committed.

mod bench;
mod commands;
mod demo;
mod fuzz;
mod generated;
mod lint;
mod page;
mod process;
mod setup;
mod skipped;
mod suite;
mod window;

use std::process::ExitCode;

use commands::Wanted;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = match commands::parse(&arguments) {
        Ok(wanted) => wanted,
        Err(misuse) => {
            eprintln!("xtask: {}\n\n{}", misuse.why, misuse.usage);
            return ExitCode::from(2);
        }
    };
    let outcome = match wanted {
        Wanted::Help(text) => {
            println!("{text}");
            Ok(())
        }
        Wanted::Run => demo::open(),
        Wanted::Test => suite::test(),
        Wanted::Lint => lint::lint(),
        Wanted::Bindings => generated::bindings(),
        Wanted::Queries => generated::queries(),
        Wanted::Reference => generated::reference(),
        Wanted::Bench(bench) => bench::run(&bench),
        Wanted::Window(filter) => window::window(filter.as_deref()),
        Wanted::Fuzz(which) => fuzz::run(&which),
        Wanted::Setup => setup::everything(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}
