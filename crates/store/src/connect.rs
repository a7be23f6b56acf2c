//! Opening: key, cipher, migrations, the one writer and the readers.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::Mutex;

use crate::error::StoreError;
use crate::events::Tail;
use crate::files::{copy_whole, exists, finish_restore, with_suffix};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

const PLAIN_HEADER: &[u8] = b"SQLite format 3\0";
const READERS: u32 = 3;

/// The 256-bit key of the database, as 64 hex digits. Never printed, never logged.
#[derive(Clone)]
pub struct DatabaseKey(SecretString);

impl DatabaseKey {
    pub fn from_hex(hex: &str) -> Result<Self, StoreError> {
        let hex = hex.trim();
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(StoreError::BadKey);
        }
        Ok(Self(SecretString::from(hex.to_ascii_lowercase())))
    }

    pub fn expose_hex(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseKey(…)")
    }
}

/// The open database.
#[derive(Clone)]
pub struct Store {
    pub(crate) writer: Arc<Mutex<Writer>>,
    pub(crate) readers: SqlitePool,
    pub(crate) path: PathBuf,
    /// Goes up with each block that is rewritten or deleted.
    pub(crate) rewritten: Arc<AtomicU64>,
}

/// The only connection that writes, and what it must remember between commits.
pub(crate) struct Writer {
    connection: Option<SqliteConnection>,
    /// The end has come: nobody opens it again, because its directory may belong to somebody else by now.
    closed: bool,
    /// To open it again after a failure. Prints the key in `Debug`, so nothing here derives that.
    options: SqliteConnectOptions,
    pub tail: Tail,
    /// Whether `tail` is what is on the disk. It is not while a change is under way, nor after one that failed, nor
    /// after one whose caller went away: the library may have carried it out all the same.
    certain: bool,
}

impl Writer {
    /// The connection. If the last change did not end well, it is opened anew and what is on the disk is read again.
    pub async fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if self.closed {
            return Err(sqlx::Error::PoolClosed);
        }
        if !self.certain {
            self.give_up().await;
        }
        if self.connection.is_none() {
            self.connection = Some(self.options.connect().await?);
        }
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        if !self.certain {
            self.tail = Tail::load(connection).await?;
            self.certain = true;
        }
        Ok(connection)
    }

    /// Begins a change: `BEGIN IMMEDIATE`, so that it never turns out half-way that it cannot write. It has not ended
    /// well until [`Self::done`] says so.
    pub async fn begin(&mut self) -> Result<sqlx::Transaction<'_, sqlx::Sqlite>, sqlx::Error> {
        self.connection().await?;
        self.certain = false;
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        connection.begin_with("BEGIN IMMEDIATE").await
    }

    /// The change is on the disk, and `tail` says so.
    pub fn done(&mut self) {
        self.certain = true;
    }

    /// A commit failed. SQLite ends some transactions by itself (a full disk), and the library then counts one too
    /// many: the connection is given up. There is never a second one beside it: this waits until it is gone.
    pub async fn give_up(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(e) = connection.close().await
        {
            tracing::debug!(error = %e, "closing the connection of a failed commit");
        }
    }
}

impl Store {
    /// Opens the database at `path`, or makes it. The caller holds the lock of the data directory.
    ///
    /// # Errors
    /// [`StoreError::NotEncrypted`], [`StoreError::WrongKey`], [`StoreError::Newer`]; never falls back to plain text.
    pub async fn open(path: &Path, key: &DatabaseKey) -> Result<Self, StoreError> {
        finish_restore(path)?;
        refuse_plain(path)?;
        let mut connection = writer_options(path, key).connect().await.map_err(|e| opening(path, e))?;
        let cipher: Option<String> = sqlx::query_scalar("PRAGMA cipher_version")
            .fetch_optional(&mut connection)
            .await
            .map_err(|e| opening(path, e))?;
        if cipher.is_none_or(|v| v.is_empty()) {
            return Err(StoreError::NoCipher);
        }
        let mut connection = migrate(connection, path.to_owned()).await?;
        let tail = Tail::load(&mut connection).await?;
        // The first pages are written: what lies on the disk must not be readable.
        refuse_plain(path)?;
        restrict(path)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(Duration::from_secs(30))
            .connect_lazy_with(reader_options(path, key));
        Ok(Self {
            writer: Arc::new(Mutex::new(Writer {
                connection: Some(connection),
                closed: false,
                options: writer_options(path, key),
                tail,
                certain: true,
            })),
            readers,
            path: path.to_owned(),
            rewritten: Arc::default(),
        })
    }

    /// The same database with a connection of its own for reading, so that its owner waits for no other reader. Its
    /// readers are closed by themselves; the writer is the same.
    pub fn with_own_reader(&self) -> Self {
        let options = (*self.readers.connect_options()).clone();
        let readers = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(30))
            .connect_lazy_with(options);
        Self { readers, ..self.clone() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One transaction, whole or not at all, that changes nothing the writer remembers.
    pub(crate) async fn change<T: Send>(
        &self,
        work: impl for<'a> FnOnce(&'a mut sqlx::Transaction<'_, sqlx::Sqlite>) -> BoxFuture<'a, Result<T, sqlx::Error>>
        + Send,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().await;
        let result = async {
            let mut tx = writer.begin().await?;
            let done = work(&mut tx).await?;
            tx.commit().await?;
            Ok(done)
        }
        .await;
        match result {
            Ok(done) => {
                writer.done();
                Ok(done)
            }
            Err(e) => {
                writer.give_up().await;
                Err(self.failed(e))
            }
        }
    }

    /// Closes the readers of this handle.
    pub async fn close_readers(&self) {
        self.readers.close().await;
    }

    /// Closes readers and writer; the write-ahead log is merged.
    pub async fn close(&self) {
        self.close_readers().await;
        let mut writer = self.writer.lock().await;
        let merged = match writer.connection().await {
            Ok(connection) => sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(connection).await.map(|_| ()),
            Err(e) => Err(e),
        };
        if let Err(e) = merged {
            tracing::warn!(error = %e, "the write-ahead log could not be merged; it will be at the next start");
        }
        writer.give_up().await;
        writer.closed = true;
    }

    /// Bytes on disk, the write-ahead log included.
    pub fn size_on_disk(&self) -> u64 {
        let size = |p: &Path| std::fs::metadata(p).map_or(0, |m| m.len());
        size(&self.path) + size(&with_suffix(&self.path, "-wal"))
    }

    /// Gives deleted pages back to the disk, at most so many. Gives how many are left to give.
    pub async fn give_back(&self, pages: u32) -> Result<u64, StoreError> {
        let mut writer = self.writer.lock().await;
        let connection = writer.connection().await.map_err(|e| self.failed(e))?;
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA incremental_vacuum({pages})")))
            .execute(&mut *connection)
            .await
            .map_err(|e| self.failed(e))?;
        let left: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut *connection).await?;
        Ok(left as u64)
    }

    /// Merges the write-ahead log and empties it, so that nothing old is left in it. [`StoreError::Busy`] while a
    /// reader needs it.
    pub async fn truncate_log(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        let connection = writer.connection().await.map_err(|e| self.failed(e))?;
        // Nobody waits for readers while holding the one connection that writes: whoever asked tries again.
        sqlx::query("PRAGMA busy_timeout = 0").execute(&mut *connection).await.map_err(|e| self.failed(e))?;
        let merged: Result<(i64, i64, i64), _> =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await;
        sqlx::query("PRAGMA busy_timeout = 10000").execute(&mut *connection).await.map_err(|e| self.failed(e))?;
        let (busy, _, _) = merged.map_err(|e| self.failed(e))?;
        if busy != 0 { Err(StoreError::Busy) } else { Ok(()) }
    }

    pub(crate) fn failed(&self, e: sqlx::Error) -> StoreError {
        match StoreError::sqlite_code(&e) {
            Some(13) => StoreError::Full { path: self.path.clone() },
            _ => e.into(),
        }
    }
}

fn common(path: &Path, key: &DatabaseKey) -> SqliteConnectOptions {
    // `SqliteConnectOptions` prints its pragmas in `Debug`, the key among them: it never leaves this module.
    SqliteConnectOptions::from_str("sqlite::memory:")
        .unwrap_or_default()
        .in_memory(false)
        .shared_cache(false)
        .filename(path)
        .pragma("key", format!("\"x'{}'\"", key.expose_hex()))
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .pragma("mmap_size", "0")
        .disable_statement_logging()
}

fn writer_options(path: &Path, key: &DatabaseKey) -> SqliteConnectOptions {
    common(path, key)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", "4000")
        // What a long reading made it grow to is given back when it is over.
        .pragma("journal_size_limit", "67108864")
}

pub(crate) fn reader_options(path: &Path, key: &DatabaseKey) -> SqliteConnectOptions {
    common(path, key)
        .create_if_missing(false)
        .pragma("query_only", "ON")
        .pragma("wal_autocheckpoint", "0")
        .row_buffer_size(256)
}

/// An existing file that begins like a plain database is refused.
pub(crate) fn refuse_plain(path: &Path) -> Result<(), StoreError> {
    let file = |source| StoreError::File { path: path.to_owned(), source };
    let mut head = [0; 16];
    match std::fs::File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(file(e)),
        Ok(mut f) => {
            let n = f.read(&mut head).map_err(file)?;
            if n == 16 && head == *PLAIN_HEADER {
                return Err(StoreError::NotEncrypted { path: path.to_owned() });
            }
        }
    }
    Ok(())
}

/// Readable by this user alone.
fn restrict(path: &Path) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .map_err(|source| StoreError::File { path: path.to_owned(), source })?;
    }
    Ok(())
}

pub(crate) fn opening(path: &Path, e: sqlx::Error) -> StoreError {
    match StoreError::sqlite_code(&e) {
        // SQLITE_NOTADB: what SQLCipher says to a wrong key.
        Some(26) => StoreError::WrongKey { path: path.to_owned() },
        Some(13) => StoreError::Full { path: path.to_owned() },
        _ => e.into(),
    }
}

/// Brings the schema up to date. A database that has something to lose is copied first.
///
/// On a thread of its own: the migrator's future cannot change threads, as far as the compiler can see.
async fn migrate(mut connection: SqliteConnection, path: PathBuf) -> Result<SqliteConnection, StoreError> {
    let runtime = tokio::runtime::Handle::current();
    crate::events::blocking(move || runtime.block_on(migrate_all(&mut connection, &path)).map(|()| connection)).await
}

async fn migrate_all(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let (have, known) = migrations(connection, path).await?;
    if !have.is_empty() && have.len() < known.len() {
        let copy = with_suffix(path, &format!(".before-{}", known[known.len() - 1]));
        // One that is there was made before the first attempt; what lies here now may be half-way.
        if !exists(&copy) {
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *connection).await?;
            copy_whole(path, &copy)?;
        }
    }
    MIGRATIONS.run(connection).await?;
    Ok(())
}

/// The migrations a database has, and those that there are.
///
/// # Errors
/// [`StoreError::Newer`]: it has one that is not known.
pub(crate) async fn migrations(
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<(Vec<i64>, Vec<i64>), StoreError> {
    let known: Vec<i64> = MIGRATIONS.iter().map(|m| m.version).collect();
    let have: Vec<i64> = match sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version")
        .fetch_all(&mut *connection)
        .await
    {
        Ok(have) => have,
        Err(e) if StoreError::sqlite_code(&e) == Some(1) => Vec::new(),
        Err(e) => return Err(opening(path, e)),
    };
    match have.iter().find(|v| !known.contains(v)) {
        Some(&version) => Err(StoreError::Newer { path: path.to_owned(), version }),
        None => Ok((have, known)),
    }
}
