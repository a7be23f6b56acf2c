//! `cargo xtask fuzz [TARGET|all] [MINUTES] [SEED]`: builds `fuzz/` optimised, with every check of a debug build, and
//! runs it within a limit of memory.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;
use std::process::Command;

use crate::process::cargo;

/// KiB of address space. Readers keep megabytes; a block that claims to be as large as any may be is 1 GiB.
const MEMORY: &str = "4194304";

pub fn run(arguments: &[String]) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    cargo(&["build", "--profile", "fuzz", "-p", "wf-fuzz"])?;
    let program = root.join("target/fuzz/wf-fuzz");
    // Without a shell there is no limit; what takes all memory is then the system's to notice.
    let mut fuzzer = if cfg!(unix) {
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")]).arg(&program);
        shell
    } else {
        Command::new(&program)
    };
    let ended = fuzzer.args(arguments).current_dir(root).status().map_err(|e| format!("wf-fuzz: {e}"))?;
    match ended.code() {
        Some(0) => Ok(()),
        Some(1) => Err("a promise was broken: the input is in fuzz/corpus".into()),
        Some(2) => Err("no such target, or no such time".into()),
        _ => Err(died(root, &ended.to_string())),
    }
}

/// The process itself ended, of memory or of its stack: the input is the last one it noted.
fn died(root: &Path, how: &str) -> String {
    let last = root.join("target/fuzzed");
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(&last).into_iter().flatten().flatten() {
        let Ok(input) = std::fs::read(entry.path()) else { continue };
        let mut hasher = DefaultHasher::new();
        hasher.write(&input);
        let name = format!("crash-{:016x}", hasher.finish());
        let path = root.join("fuzz/corpus").join(entry.file_name()).join(name);
        match std::fs::write(&path, input) {
            Ok(()) => kept.push(path.display().to_string()),
            Err(e) => kept.push(format!("{}: {e}", path.display())),
        }
        // Told once: the next run begins with an empty directory.
        if let Err(e) = std::fs::remove_file(entry.path()) {
            kept.push(e.to_string());
        }
    }
    format!("wf-fuzz ended with {how}; what it was reading: {}", kept.join(", "))
}
