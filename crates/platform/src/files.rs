//! Files that only this user reads, written so that a crash leaves the old one or the new one.

use std::path::{Path, PathBuf};

/// Writes a text so that a crash leaves either the old or the new file, readable by this user alone.
pub fn write(path: &Path, text: &str) -> std::io::Result<()> {
    write_bytes(path, text.as_bytes())
}

/// As [`write`], for bytes.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(dir) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    crate::os::write_private(&temporary, bytes)?;
    std::fs::rename(&temporary, path)
}
