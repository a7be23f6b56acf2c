//! Linux and macOS.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

pub type ControlStream = UnixStream;

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

/// Where the control socket of a data directory is. Unix limits a socket's path to about 100 bytes; a longer directory
/// gets one under the user's runtime directory.
fn control_path(data_dir: &Path) -> PathBuf {
    let plain = data_dir.join("control.sock");
    if plain.as_os_str().len() < 100 {
        return plain;
    }
    let name = std::fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for b in name.as_os_str().as_encoded_bytes() {
        hash = (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
    }
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    base.join(format!("watchfloor-{hash:016x}.sock"))
}

pub struct ControlListener {
    listener: UnixListener,
    path: PathBuf,
    uid: u32,
}

impl ControlListener {
    /// Listens for this user alone. The caller holds the data directory's lock, so a socket that stands there is a dead
    /// one.
    pub fn bind(data_dir: &Path) -> std::io::Result<Self> {
        let path = control_path(data_dir);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let uid = std::fs::metadata(data_dir)?.uid();
        Ok(Self { listener, path, uid })
    }

    /// The next connection of this very user; others are turned away.
    pub async fn accept(&mut self) -> std::io::Result<ControlStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if stream.peer_cred()?.uid() == self.uid {
                return Ok(stream);
            }
        }
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_file(&self.path) {
            tracing::debug!(error = %e, "the control socket was gone already");
        }
    }
}

pub async fn connect_control(data_dir: &Path) -> std::io::Result<ControlStream> {
    UnixStream::connect(control_path(data_dir)).await
}
