use std::path::PathBuf;

/// Why the store could not do it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the disk that holds {path} is full; nothing was lost: free some space and it goes on")]
    Full { path: PathBuf },
    #[error("{path} cannot be opened with this key: it is the key of another database, or the file is damaged")]
    WrongKey { path: PathBuf },
    #[error("{path} is not encrypted; Watchfloor does not open plain databases")]
    NotEncrypted { path: PathBuf },
    #[error("this build has no database encryption; it refuses to store anything")]
    NoCipher,
    #[error("the key must be 64 hex digits (256 bits)")]
    BadKey,
    #[error("{path} was written by a newer Watchfloor (migration {version})")]
    Newer { path: PathBuf, version: i64 },
    #[error("a stored {what} cannot be read: {reason}")]
    Damaged { what: &'static str, reason: String },
    #[error("events must be numbered on from {expected}, not from {got}")]
    Sequence { expected: u64, got: u64 },
    #[error("somebody is reading; try again")]
    Busy,
    #[error("the store is closed")]
    Closed,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl StoreError {
    pub(crate) fn damaged(what: &'static str, reason: impl ToString) -> Self {
        Self::Damaged { what, reason: reason.to_string() }
    }

    /// The primary SQLite result code, where this is one.
    pub(crate) fn sqlite_code(e: &sqlx::Error) -> Option<u32> {
        let code: u32 = e.as_database_error()?.code()?.parse().ok()?;
        Some(code & 0xff)
    }
}
