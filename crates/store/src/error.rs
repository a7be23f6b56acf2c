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
    /// What is stored is not what was written: trying again does not help.
    #[error("a stored {what} cannot be read: {reason}")]
    Damaged { what: &'static str, reason: String },
    #[error("events must be numbered on from {expected}, not from {got}")]
    Sequence { expected: u64, got: u64 },
    /// Somebody else has it for a moment.
    #[error("somebody is reading; try again")]
    Busy,
    #[error("the store is closed")]
    Closed,
    /// The disk, or what lies between it and us, refused.
    #[error("the database file cannot be read or written: {0}")]
    Io(#[source] sqlx::Error),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
    #[error("migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> Self {
        match Self::sqlite_code(&e) {
            // SQLITE_BUSY, SQLITE_LOCKED
            Some(5 | 6) => Self::Busy,
            // SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN
            Some(8 | 10 | 14) => Self::Io(e),
            // SQLITE_CORRUPT, SQLITE_NOTADB
            Some(11 | 26) => Self::damaged("page of the database", e),
            _ if matches!(e, sqlx::Error::PoolTimedOut) => Self::Busy,
            _ => Self::Database(e),
        }
    }
}

impl StoreError {
    pub(crate) fn damaged(what: &'static str, reason: impl ToString) -> Self {
        // The reason may repeat a piece of what was read.
        Self::Damaged { what, reason: wf_model::text::sentence(&reason.to_string()) }
    }

    /// Why this one row cannot be read, where others may be: the caller steps over it and says so.
    ///
    /// # Errors
    /// The error itself, when the next row would meet it as well.
    pub(crate) fn of_one_row(self) -> Result<String, Self> {
        match &self {
            Self::Damaged { .. } | Self::Io(_) => Ok(self.to_string()),
            // A page that does not decrypt has no code of its own.
            Self::Database(e) if e.as_database_error().is_some() => Ok(self.to_string()),
            _ => Err(self),
        }
    }

    /// The primary SQLite result code, where this is one.
    pub(crate) fn sqlite_code(e: &sqlx::Error) -> Option<u32> {
        let code: u32 = e.as_database_error()?.code()?.parse().ok()?;
        Some(code & 0xff)
    }
}
