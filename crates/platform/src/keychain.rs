//! The keychain of the operating system, its twin in memory, and the secrets a config refers to.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use wf_model::{SecretError, SecretRef, SecretSource};

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

/// The secrets a config refers to.
pub struct Secrets {
    keychain: Arc<dyn Keychain>,
    /// An entry that certainly exists: some keychains say "no entry" while they are locked, and then this one is not
    /// there either.
    witness: Option<String>,
}

impl Secrets {
    pub fn new(keychain: Arc<dyn Keychain>, witness: Option<String>) -> Self {
        Self { keychain, witness }
    }

    fn is_locked(&self) -> bool {
        self.witness.as_ref().is_some_and(|name| matches!(self.keychain.get(name), Ok(None)))
    }
}

impl SecretSource for Secrets {
    fn get(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        match reference {
            SecretRef::Env(name) => crate::environment::variable(name)
                .ok_or_else(|| SecretError::Missing(format!("the environment variable {name} is not set"))),
            SecretRef::Keychain(name) => match self.keychain.get(name) {
                Ok(Some(secret)) => Ok(secret),
                Ok(None) if self.is_locked() => {
                    Err(SecretError::Unavailable(format!("secret '{name}': the keychain is locked")))
                }
                Ok(None) => {
                    Err(SecretError::Missing(format!("the keychain has no entry '{name}' of service '{SERVICE}'")))
                }
                Err(e) => Err(SecretError::Unavailable(format!("secret '{name}': {e}"))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_is_missing_while_the_keychain_is_locked_is_asked_for_again() {
        let keychain = Arc::new(MemoryKeychain::default());
        let secrets = Secrets::new(keychain.clone(), Some("database-key:x".into()));
        let token = SecretRef::Keychain("token".into());
        // A locked Secret Service says of every entry that there is none.
        assert!(matches!(secrets.get(&token), Err(SecretError::Unavailable(_))));
        keychain.set("database-key:x", &"k".to_owned().into()).unwrap();
        assert!(matches!(secrets.get(&token), Err(SecretError::Missing(_))), "unlocked, and not there");
        keychain.set("token", &"t".to_owned().into()).unwrap();
        assert!(secrets.get(&token).is_ok());
    }
}
