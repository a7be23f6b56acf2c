//! Copies of the database: made while everything goes on, put back while it is closed. A copy counts once it was read
//! to its end; until then it has another name.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use wf_model::{SignedCheckpoint, Timestamp};

use crate::audit::hash;
use crate::connect::{migrations, opening, reader_options, refuse_plain};
use crate::events::blocking;
use crate::files::*;
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
