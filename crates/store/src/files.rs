//! The database as files: copied whole, put in place, moved aside.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Ends a restore that was interrupted after its backup was checked. [`Store::open`] does so; whoever asks whether a
/// database is there calls it before.
pub fn finish_restore(path: &Path) -> Result<(), StoreError> {
    put_in_place(path).map(|_| ())
}

pub(crate) const RESTORED: &str = ".restored";

/// Moves what lies in `path` aside and the checked backup, if there is one, into its place. Each step can be the last
/// one before a crash: the next call goes on with the one after it.
pub(crate) fn put_in_place(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let ready = with_suffix(path, RESTORED);
    if !exists(&ready) {
        return Ok(None);
    }
    let aside = (1..u32::MAX)
        .map(|n| with_suffix(path, &format!(".before-restore-{n}")))
        .find(|p| !exists(p))
        .filter(|_| exists(path));
    if let Some(aside) = &aside {
        // The log first: beside the new database it would be taken for its own.
        let log = with_suffix(path, "-wal");
        if exists(&log) {
            rename(&log, &with_suffix(aside, "-wal"))?;
        }
        rename(path, aside)?;
    }
    for left in ["-wal", "-shm"] {
        remove(&with_suffix(path, left))?;
    }
    rename(&ready, path)?;
    sync_folder(path)?;
    Ok(aside)
}

/// Copies a file so that it is there whole or not at all.
pub(crate) fn copy_whole(from: &Path, to: &Path) -> Result<(), StoreError> {
    let part = with_suffix(to, ".part");
    copy_private(from, &part)?;
    rename(&part, to)?;
    sync_folder(to)
}

pub(crate) fn copy_private(from: &Path, to: &Path) -> Result<(), StoreError> {
    let mut source = File::open(from).map_err(of(from))?;
    let mut copy = create_private(to)?;
    std::io::copy(&mut source, &mut copy).map_err(of(to))?;
    copy.sync_all().map_err(of(to))
}

/// An empty file that this user alone can read. What an earlier attempt left is removed, and no link is followed.
pub(crate) fn create_private(path: &Path) -> Result<File, StoreError> {
    remove(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map_err(of(path))
}

/// Whether anything has this name, a dangling link included.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

pub(crate) fn refuse_existing(path: &Path) -> Result<(), StoreError> {
    if exists(path) { Err(of(path)(std::io::ErrorKind::AlreadyExists.into())) } else { Ok(()) }
}

pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(of(path)(e)),
        _ => Ok(()),
    }
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(of(to))
}

pub(crate) fn sync(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new().write(true).open(path).and_then(|f| f.sync_all()).map_err(of(path))
}

/// A name is on the disk when its folder is. Windows does so by itself.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(of(folder))?;
    }
    #[cfg(not(unix))]
    let _unused = path;
    Ok(())
}

pub(crate) fn of(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| match source.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full { path },
        _ => StoreError::File { path, source },
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
