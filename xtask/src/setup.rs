//! Installs what is missing: Debian packages (as root or through sudo) and cargo tools. Nothing else is downloaded.

use std::process::{Command, Stdio};

use crate::{Outcome, cargo, step};

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

const TOOLS: &[(&str, &str, &str)] = &[
    ("cargo-nextest", "0.9.143", "cargo-nextest"),
    ("cargo-deny", "0.20.2", "cargo-deny"),
    ("tauri-driver", "2.1.0", "tauri-driver"),
];

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

/// Programs from crates.io, each at one version.
pub fn tools() -> Outcome {
    for (program, version, krate) in TOOLS {
        if !have(program) {
            step(&format!("installing {krate} {version}"));
            cargo(&["install", krate, "--version", version, "--locked", "--quiet"])?;
        }
    }
    Ok(())
}
