//! Linux and macOS.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

mod control;

pub use control::{ControlListener, ControlStream, connect_control};

fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

#[cfg(target_os = "macos")]
pub fn data_home() -> PathBuf {
    home().join("Library/Application Support")
}

#[cfg(target_os = "macos")]
pub fn config_home() -> PathBuf {
    data_home()
}

#[cfg(not(target_os = "macos"))]
pub fn data_home() -> PathBuf {
    xdg("XDG_DATA_HOME", ".local/share")
}

#[cfg(not(target_os = "macos"))]
pub fn config_home() -> PathBuf {
    xdg("XDG_CONFIG_HOME", ".config")
}

#[cfg(not(target_os = "macos"))]
fn xdg(variable: &str, fallback: &str) -> PathBuf {
    // The base directory specification: a relative path in the variable is to be ignored.
    std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute()).unwrap_or_else(|| home().join(fallback))
}

pub fn create_private_dir(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

/// Writes a file that only this user can read; one that stands there, a link included, is replaced and not followed.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
