//! Copies of the database: made while everything goes on, put back while it is closed. A copy counts once it was read
//! to its end; until then it has another name.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use wf_model::{SignedCheckpoint, Timestamp};

use crate::audit::hash;
use crate::connect::{migrations, opening, reader_options, refuse_plain, with_suffix};
use crate::events::blocking;
use crate::{DatabaseKey, Store, StoreError};

/// The audit log of a copy, for its caller to check: what it proves is `evidence`'s business.
#[derive(Clone, Debug)]
pub struct CopiedAudit {
    /// Of all leaves, in order.
    pub hashes: Vec<[u8; 32]>,
    /// The last checkpoint.
    pub checkpoint: Option<SignedCheckpoint>,
}

impl Store {
    /// Copies the database to a new file, encrypted with the same key, while everything goes on; reads the copy to see
    /// that it is whole, and lets `check` look at its audit log. Only then it gets its name.
    ///
    /// # Errors
    /// The file exists already; the disk is full; the copy does not check out (it is removed then).
    pub async fn backup(
        &self,
        to: &Path,
        check: impl FnOnce(&CopiedAudit) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        refuse_existing(to)?;
        let part = with_suffix(to, ".part");
        let reading = (*self.readers.connect_options()).clone();
        let made = async {
            create_private(&part)?;
            // A connection of its own: it reads one moment of the database, and nobody waits. Like a reader it leaves
            // the write-ahead log alone; `query_only` would forbid it to write the copy.
            let copying = reading.clone().pragma("query_only", "OFF");
            let mut connection = copying.connect().await.map_err(|e| self.failed(e))?;
            let copied = sqlx::query("VACUUM INTO ?").bind(part.display().to_string()).execute(&mut connection).await;
            connection.close().await?;
            copied.map_err(|e| self.failed(e))?;
            let path = part.clone();
            blocking(move || sync(&path)).await?;
            check(&checked(reading.filename(&part), &part).await?)?;
            refuse_existing(to)?;
            rename(&part, to)?;
            sync_folder(to)
        }
        .await;
        if made.is_err() {
            remove(&part)?;
        }
        made
    }

    /// Copies that were made before migrations and restores, beside the database.
    pub fn old_copies(&self) -> Vec<PathBuf> {
        let (Some(dir), Some(name)) = (self.path.parent(), self.path.file_name().and_then(|n| n.to_str())) else {
            return Vec::new();
        };
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries
            .filter(|e| e.file_name().to_str().is_some_and(|n| n.starts_with(&format!("{name}.before-"))))
            .map(|e| e.path())
            .collect()
    }
}

/// Puts a backup in the place of a closed database. It is read to its end before anything is touched, and `check` looks
/// at its audit log. Gives where the database that was there lies now. The caller holds the lock of the data directory.
///
/// # Errors
/// The backup cannot be opened with this key, is damaged, was written by a newer version, or is a database that was not
/// closed: nothing was changed.
pub async fn restore(
    from: &Path,
    key: &DatabaseKey,
    to: &Path,
    check: impl FnOnce(&CopiedAudit) -> Result<(), StoreError> + Send,
) -> Result<Option<PathBuf>, StoreError> {
    refuse_plain(from)?;
    if std::fs::metadata(with_suffix(from, "-wal")).is_ok_and(|m| m.len() > 0) {
        let why = "a part of it lies in the -wal file beside it: open and close it as a database first, or take a \
                   file that a backup made";
        return Err(StoreError::damaged("backup", why));
    }
    let ready = with_suffix(to, RESTORED);
    let (source, copy) = (from.to_owned(), ready.clone());
    remove(&ready)?;
    let part = blocking(move || {
        let part = with_suffix(&copy, ".part");
        copy_private(&source, &part)?;
        Ok(part)
    })
    .await?;
    // The copy is checked, not the original: that may lie on a disk that is pulled out.
    let verdict = match checked(reader_options(&part, key), &part).await {
        Ok(audit) => check(&audit),
        Err(e) => Err(e),
    };
    if let Err(e) = verdict {
        remove(&part)?;
        return Err(e);
    }
    rename(&part, &ready)?;
    sync_folder(&ready)?;
    put_in_place(to)
}

/// Ends a restore that was interrupted after its backup was checked. [`Store::open`] does so; whoever asks whether a
/// database is there calls it before.
pub fn finish_restore(path: &Path) -> Result<(), StoreError> {
    put_in_place(path).map(|_| ())
}

const RESTORED: &str = ".restored";

/// Moves what lies in `path` aside and the checked backup, if there is one, into its place. Each step can be the last
/// one before a crash: the next call goes on with the one after it.
fn put_in_place(path: &Path) -> Result<Option<PathBuf>, StoreError> {
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

/// Reads a copy to its end, with the options of a reader.
async fn checked(options: SqliteConnectOptions, path: &Path) -> Result<CopiedAudit, StoreError> {
    refuse_plain(path)?;
    let mut copy = options.connect().await.map_err(|e| opening(path, e))?;
    let audit = audit_of_whole(&mut copy, path).await;
    copy.close().await?;
    // A copy that was open as a database before has them while it is read.
    for left in ["-wal", "-shm"] {
        remove(&with_suffix(path, left))?;
    }
    audit
}

async fn audit_of_whole(copy: &mut SqliteConnection, path: &Path) -> Result<CopiedAudit, StoreError> {
    let (have, _) = migrations(copy, path).await?;
    if have.is_empty() {
        return Err(StoreError::damaged("backup", "it is no database of Watchfloor"));
    }
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut *copy).await?;
    let cipher: Vec<String> = sqlx::query_scalar("PRAGMA cipher_integrity_check").fetch_all(&mut *copy).await?;
    let keys: Vec<String> =
        sqlx::query_scalar("SELECT \"table\" FROM pragma_foreign_key_check").fetch_all(&mut *copy).await?;
    if whole != "ok" || !cipher.is_empty() || !keys.is_empty() {
        return Err(StoreError::damaged("backup", format!("{whole} {} {}", cipher.join(" "), keys.join(" "))));
    }
    // These two tables are in every schema there ever was.
    let rows: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT hash FROM audit_leaf ORDER BY idx").fetch_all(&mut *copy).await?;
    let last: Option<(i64, Vec<u8>, i64, String)> =
        sqlx::query_as("SELECT size, root, at, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
            .fetch_optional(&mut *copy)
            .await?;
    let checkpoint = match last {
        None => None,
        Some((size, root, at, note)) => {
            Some(SignedCheckpoint { size: size as u64, root: hash(&root)?, at: Timestamp::from_millis(at), note })
        }
    };
    Ok(CopiedAudit { hashes: rows.iter().map(|h| hash(h)).collect::<Result<_, _>>()?, checkpoint })
}

/// Copies a file so that it is there whole or not at all.
pub(crate) fn copy_whole(from: &Path, to: &Path) -> Result<(), StoreError> {
    let part = with_suffix(to, ".part");
    copy_private(from, &part)?;
    rename(&part, to)?;
    sync_folder(to)
}

fn copy_private(from: &Path, to: &Path) -> Result<(), StoreError> {
    let mut source = File::open(from).map_err(of(from))?;
    let mut copy = create_private(to)?;
    std::io::copy(&mut source, &mut copy).map_err(of(to))?;
    copy.sync_all().map_err(of(to))
}

/// An empty file that this user alone can read. What an earlier attempt left is removed, and no link is followed.
fn create_private(path: &Path) -> Result<File, StoreError> {
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

fn refuse_existing(path: &Path) -> Result<(), StoreError> {
    if exists(path) { Err(of(path)(std::io::ErrorKind::AlreadyExists.into())) } else { Ok(()) }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(of(path)(e)),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(of(to))
}

fn sync(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new().write(true).open(path).and_then(|f| f.sync_all()).map_err(of(path))
}

/// A name is on the disk when its folder is. Windows does so by itself.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(of(folder))?;
    }
    #[cfg(not(unix))]
    let _unused = path;
    Ok(())
}

fn of(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| match source.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full { path },
        _ => StoreError::File { path, source },
    }
}
