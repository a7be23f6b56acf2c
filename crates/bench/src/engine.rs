//! The engine as a process, and what the kernel says about it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

pub fn program(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(name)
}

fn ctl(home: &Path) -> Command {
    let mut c = Command::new(program("watchfloorctl"));
    c.arg("--data-dir")
        .arg(home.join("data"))
        .arg("--config")
        .arg(home.join("watchfloor.toml"))
        .env("WATCHFLOOR_KEY", KEY);
    c
}

pub struct Engine {
    child: Child,
    home: PathBuf,
}

impl Engine {
    /// Starts and waits until it is ready.
    pub fn start(home: &Path, feeds: &str) -> Self {
        std::fs::write(home.join("watchfloor.toml"), format!("[store]\nkey = \"env:WATCHFLOOR_KEY\"\n{feeds}"))
            .unwrap();
        let mut child = ctl(home).arg("run").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("ready"), "the engine did not start: {line:?}");
        Self { child, home: home.to_owned() }
    }

    pub fn ask(&self, arguments: &[&str]) -> serde_json::Value {
        let output = ctl(&self.home).arg("--json").args(arguments).output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// User and system time so far, in seconds.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// Resident and peak memory, in MB.
    pub fn memory(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let kb = |name: &str| {
            status
                .lines()
                .find(|l| l.starts_with(name))
                .and_then(|l| l.split_whitespace().nth(1))
                .and_then(|n| n.parse::<f64>().ok())
                .unwrap()
        };
        (kb("VmRSS") / 1024.0, kb("VmHWM") / 1024.0)
    }

    /// In order, as SIGTERM does it.
    pub fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

pub fn print_machine() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find(|l| l.starts_with("model name"))
        .and_then(|l| l.split(':').nth(1))
        .unwrap_or("unknown")
        .trim()
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo")
        .lines()
        .next()
        .and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
        / 1024;
    println!(
        "machine: {cores} cores, {cpu}, {memory} GiB, {}",
        read("/proc/version").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
    );
    println!("watchfloor {}, release build\n", env!("CARGO_PKG_VERSION"));
}
