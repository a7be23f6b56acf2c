//! Where things lie.

use std::path::{Path, PathBuf};

/// The places one console uses.
#[derive(Clone, Debug)]
pub struct Paths {
    pub data_dir: PathBuf,
    pub config: PathBuf,
}

impl Paths {
    /// `--data-dir` and `--config`, or the user's own directories. With a data directory alone, the config lies in it.
    pub fn new(data_dir: Option<PathBuf>, config: Option<PathBuf>) -> Self {
        let config = config.unwrap_or_else(|| match &data_dir {
            Some(dir) => dir.join("watchfloor.toml"),
            None => crate::os::config_home().join("watchfloor").join("watchfloor.toml"),
        });
        let data_dir = data_dir.unwrap_or_else(|| crate::os::data_home().join("watchfloor"));
        Self { data_dir, config }
    }

    pub fn database(&self) -> PathBuf {
        self.data_dir.join("watchfloor.db")
    }

    pub fn lock(&self) -> PathBuf {
        self.data_dir.join("watchfloor.lock")
    }

    /// What the keychain entries of this console are called: one for each data directory.
    pub fn keychain_account(&self) -> String {
        let path = std::fs::canonicalize(&self.data_dir).unwrap_or_else(|_| self.data_dir.clone());
        path.display().to_string()
    }

    /// Makes the data directory, readable by this user alone.
    pub fn prepare(&self) -> std::io::Result<()> {
        crate::os::create_private_dir(&self.data_dir)
    }
}

/// Holds the data directory: no second engine may open its database.
pub struct DataDirLock {
    _file: std::fs::File,
}

impl DataDirLock {
    /// `Ok(None)`: another engine has it.
    pub fn take(path: &Path) -> std::io::Result<Option<Self>> {
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(e)) => Err(e),
        }
    }
}
