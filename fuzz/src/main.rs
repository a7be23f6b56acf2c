//! `wf-fuzz [TARGET|all] [MINUTES] [SEED]`: as long as it is told, from a seed that it prints. `cargo xtask fuzz`
//! builds and runs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for the terminal")]

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wf_fuzz::{TARGETS, Target, corpus, fuzz};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("all", String::as_str);
    let targets: Vec<&Target> = TARGETS.iter().filter(|t| name == "all" || t.name == name).collect();
    let minutes = arguments.get(1).map_or(Ok(10.0), |text| text.parse::<f64>());
    let seed = arguments.get(2).map_or(Ok(RandomState::new().hash_one(0u8)), |text| text.parse::<u64>());
    let (Ok(minutes), Ok(seed), false) = (minutes, seed, targets.is_empty()) else {
        let names: Vec<_> = TARGETS.iter().map(|t| t.name).collect();
        eprintln!("wf-fuzz [TARGET|all] [MINUTES] [SEED]; targets: {}", names.join(", "));
        return ExitCode::from(2);
    };
    if !(0.0..=1e6).contains(&minutes) {
        eprintln!("wf-fuzz: {minutes} minutes cannot be meant");
        return ExitCode::from(2);
    }
    println!("seed {seed}");
    let each = Duration::from_secs_f64(minutes * 60.0 / targets.len() as f64);
    let mut good = true;
    for target in targets {
        good &= run(target, each, seed);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(target: &Target, time: Duration, seed: u64) -> bool {
    let began = Instant::now();
    // An input that ends the process (no memory, no stack) is the one in this file.
    let last = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzzed").join(target.name);
    if let Err(e) = last.parent().map_or(Ok(()), std::fs::create_dir_all) {
        eprintln!("{}: {e}", last.display());
    }
    let mut slowest = (Duration::ZERO, 0usize);
    let mut since = Instant::now();
    let mut length = 0usize;
    let outcome = fuzz::fuzz(
        target,
        seed,
        |_| began.elapsed() < time,
        |input| {
            if length > 0 {
                slowest = slowest.max((since.elapsed(), length));
            }
            if let Err(e) = std::fs::write(&last, input) {
                eprintln!("{}: {e}", last.display());
            }
            (since, length) = (Instant::now(), input.len());
        },
    );
    if let Err(e) = std::fs::remove_file(&last) {
        eprintln!("{}: {e}", last.display());
    }
    match outcome {
        Ok(runs) => {
            println!(
                "{:>10}: {runs} mutations in {} s; the slowest took {} ms ({} bytes)",
                target.name,
                began.elapsed().as_secs(),
                slowest.0.as_millis(),
                slowest.1
            );
            true
        }
        Err(broken) => {
            println!("{:>10}: {broken}", target.name);
            match corpus::keep(target, &broken.input) {
                Ok(path) => println!("kept as {}", path.display()),
                Err(e) => eprintln!("it cannot be kept: {e}"),
            }
            false
        }
    }
}
