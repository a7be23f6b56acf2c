//! The keychain of the operating system, its twin in memory, and the secrets a config refers to.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use wf_model::{SecretRef, SecretSource};

/// What our entries in the keychain are called.
pub const SERVICE: &str = "watchfloor";

/// A place for secrets that belongs to the OS. The twin in memory is for tests.
pub trait Keychain: Send + Sync {
    /// `Ok(None)`: there is no such entry, or the keychain does not say so because it is locked.
    fn get(&self, name: &str) -> Result<Option<SecretString>, KeychainError>;
    fn set(&self, name: &str, value: &SecretString) -> Result<(), KeychainError>;
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// There is none in this session.
    #[error("there is no keychain in this session")]
    Missing,
    /// It is there, but it does not open.
    #[error("the keychain is locked")]
    Locked,
    #[error("the keychain did not answer: {0}")]
    Failed(String),
}

/// The keychain of the OS: Secret Service, macOS Keychain, Windows Credential Manager.
pub struct OsKeychain;

impl OsKeychain {
    fn entry(name: &str) -> Result<keyring::v1::Entry, KeychainError> {
        keyring::v1::Entry::new(SERVICE, name).map_err(explain)
    }
}

fn explain(e: keyring::v1::Error) -> KeychainError {
    use keyring::v1::Error;
    match e {
        Error::NoDefaultStore => KeychainError::Missing,
        Error::NoStorageAccess(_) => KeychainError::Locked,
        other => KeychainError::Failed(other.to_string()),
    }
}

impl Keychain for OsKeychain {
    fn get(&self, name: &str) -> Result<Option<SecretString>, KeychainError> {
        match Self::entry(name)?.get_password() {
            Ok(text) => Ok(Some(text.into())),
            Err(keyring::v1::Error::NoEntry) => Ok(None),
            Err(e) => Err(explain(e)),
        }
    }

    fn set(&self, name: &str, value: &SecretString) -> Result<(), KeychainError> {
        Self::entry(name)?.set_password(value.expose_secret()).map_err(explain)
    }
}

/// The twin in memory.
#[derive(Default)]
pub struct MemoryKeychain(Mutex<HashMap<String, String>>);

impl Keychain for MemoryKeychain {
    fn get(&self, name: &str) -> Result<Option<SecretString>, KeychainError> {
        Ok(self.0.lock().get(name).cloned().map(Into::into))
    }

    fn set(&self, name: &str, value: &SecretString) -> Result<(), KeychainError> {
        self.0.lock().insert(name.to_owned(), value.expose_secret().to_owned());
        Ok(())
    }
}

/// Secrets of feeds, by reference.
pub struct Secrets(pub Arc<dyn Keychain>);

impl SecretSource for Secrets {
    fn get(&self, reference: &SecretRef) -> Result<SecretString, String> {
        match reference {
            SecretRef::Env(name) => {
                std::env::var(name).map(Into::into).map_err(|_| format!("the environment variable {name} is not set"))
            }
            SecretRef::Keychain(name) => match self.0.get(name) {
                Ok(Some(secret)) => Ok(secret),
                Ok(None) => Err(format!("the keychain has no entry '{name}' of service '{SERVICE}', or it is locked")),
                Err(e) => Err(format!("secret '{name}': {e}")),
            },
        }
    }
}
