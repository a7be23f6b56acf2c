//! Installs what is missing: Debian packages (as root or through sudo) and cargo tools. Nothing else is downloaded.

use std::process::{Command, Stdio};

use crate::process::{Outcome, cargo, cargo_command, note, step};

/// Needed to build the window.
const BUILD: &[&str] = &[
    "build-essential",
    "pkg-config",
    "libssl-dev",
    "libwebkit2gtk-4.1-dev",
    "libayatana-appindicator3-dev",
    "librsvg2-dev",
    "libxdo-dev",
];

/// Needed to test it: a display, a driver, a keychain, an sshd to attack, and what checks the audit export.
const TEST: &[&str] = &[
    "webkit2gtk-driver",
    "xvfb",
    "xauth",
    "dbus",
    "gnome-keyring",
    "libsecret-tools",
    "openssh-server",
    "openssh-client",
    "sshpass",
    "openssl",
    "python3",
    "python3-aiosmtpd",
    "python3-dbus",
    "python3-gi",
    "poppler-utils",
    "libreoffice-calc-nogui",
    "xdotool",
    "fonts-dejavu-core",
];

/// Programs from crates.io, each at one version.
const TOOLS: [(&str, &str); 3] = [("cargo-nextest", "0.9.143"), ("cargo-deny", "0.20.2"), ("tauri-driver", "2.1.0")];

pub fn to_build() -> Outcome {
    packages(BUILD)
}

pub fn everything() -> Outcome {
    let all: Vec<&str> = BUILD.iter().chain(TEST).copied().collect();
    packages(&all)?;
    tools()
}

/// Debian packages. Elsewhere the person is told what to have.
pub fn packages(wanted: &[&str]) -> Outcome {
    let missing: Vec<&str> = wanted.iter().copied().filter(|p| !installed(p)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !have("apt-get") {
        println!("this is no Debian: make sure that you have the equivalents of {}", missing.join(", "));
        return Ok(());
    }
    step(&format!("installing {}", missing.join(" ")));
    let root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    let apt = |arguments: &[&str]| -> Outcome {
        let (program, mut all) = if root { ("apt-get", Vec::new()) } else { ("sudo", vec!["apt-get"]) };
        all.extend_from_slice(arguments);
        let status = Command::new(program).args(&all).env("DEBIAN_FRONTEND", "noninteractive").status();
        match status {
            Ok(s) if s.success() => Ok(()),
            _ => Err(format!("`{program} {}` failed; install these by hand: {}", all.join(" "), missing.join(" "))),
        }
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend_from_slice(&missing);
    apt(&install)
}

fn installed(package: &str) -> bool {
    if !have("dpkg-query") {
        return false;
    }
    Command::new("dpkg-query")
        .args(["-W", "-f=${Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|o| o.stdout == b"install ok installed")
}

fn have(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// What is there of a tool.
#[derive(Debug, PartialEq)]
enum Standing {
    Missing,
    Right,
    Other(String),
    /// It does not say, and cargo has not installed it.
    Unknown,
}

pub fn tools() -> Outcome {
    for (program, version) in TOOLS {
        match standing(program, version) {
            Standing::Right => continue,
            Standing::Missing => step(&format!("installing {program} {version}")),
            Standing::Other(found) => step(&format!("installing {program} {version} in place of {found}")),
            Standing::Unknown => {
                note(&format!("{program}: which version it is cannot be found out; {version} is what is tested with"));
                continue;
            }
        }
        cargo(&["install", program, "--version", version, "--quiet"])?;
        if let Standing::Other(found) = standing(program, version) {
            return Err(format!(
                "{program} {version} was installed, and another one, {found}, comes first in PATH: remove that, or put \
                 cargo's own bin directory before it"
            ));
        }
    }
    Ok(())
}

fn standing(program: &str, version: &str) -> Standing {
    if !have(program) {
        return Standing::Missing;
    }
    let said = |command: &mut Command| -> String {
        let output = command.stdin(Stdio::null()).output();
        output.map_or_else(|_| String::new(), |o| String::from_utf8_lossy(&o.stdout).into_owned())
    };
    // The program itself knows best; tauri-driver does not say.
    let own = said(Command::new(program).arg("--version"));
    let found = version_in(&own, program).or_else(|| {
        let listed = said(&mut cargo_command(&["install", "--list"]));
        version_in(&listed, program)
    });
    match found {
        Some(found) if found == version => Standing::Right,
        Some(found) => Standing::Other(found),
        None => Standing::Unknown,
    }
}

/// Of `cargo-deny 0.20.2`, and of `tauri-driver v2.1.0:` in a list.
fn version_in(said: &str, program: &str) -> Option<String> {
    said.lines().find_map(|line| {
        let mut words = line.split(' ');
        let version = words.next().filter(|w| *w == program).and_then(|_| words.next())?;
        let version = version.trim_start_matches('v').trim_end_matches(':');
        version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_tool_is_read_from_itself_or_from_the_list_of_what_cargo_installed() {
        assert_eq!(version_in("cargo-deny 0.20.2\n", "cargo-deny").as_deref(), Some("0.20.2"));
        assert_eq!(
            version_in("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143\n", "cargo-nextest").as_deref(),
            Some("0.9.143")
        );
        let list = "cargo-deny v0.20.2:\n    cargo-deny\ntauri-driver v2.1.0:\n    tauri-driver\n";
        assert_eq!(version_in(list, "tauri-driver").as_deref(), Some("2.1.0"));
        assert_eq!(version_in("Error: unused arguments left: [\"--version\"]\n", "tauri-driver"), None);
        assert_eq!(version_in("tauri-driver comes without\n", "tauri-driver"), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_missing() {
        assert_eq!(standing("watchfloor-no-such-program", "1.0.0"), Standing::Missing);
    }
}
