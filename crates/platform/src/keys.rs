//! The keys of a console: found in the OS keychain, or in the environment for servers. Never a silent fallback to
//! anything weaker.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use wf_evidence::AuditKey;
use wf_store::DatabaseKey;

use crate::bytes::{hex, random, unhex};
use crate::environment;
use crate::keychain::{Keychain, KeychainError};
use crate::paths::Paths;
use crate::recovery_key::{NotARecoveryKey, read_recovery_key};

const DATABASE: &str = "database-key";
const AUDIT: &str = "audit-signing-key";
/// A keychain may show a prompt; longer than this nobody is there, and the officer can try again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the database key is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum KeySource {
    #[default]
    Keychain,
    /// The name of an environment variable.
    Env(String),
}

impl TryFrom<String> for KeySource {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "keychain" {
            return Ok(Self::Keychain);
        }
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            // It may be the key itself, so it is not repeated.
            _ => {
                Err("store.key is either \"keychain\" or \"env:NAME\"; the key itself never stands in a file"
                    .to_owned())
            }
        }
    }
}

/// The keys of a console.
pub struct Keys {
    pub database: DatabaseKey,
    pub audit: AuditKey,
    /// They were made just now: this is the first run, and a recovery key should be kept.
    pub fresh: bool,
}

/// Why there are no keys. Each has a screen of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error(
        "no keychain: Watchfloor keeps the key of its database in the keychain of this session, and there is none. Start one (gnome-keyring, KWallet), or for a server set [store] key = \"env:NAME\""
    )]
    NoKeychain,
    #[error("the keychain is locked: unlock it and try again")]
    Locked,
    #[error(
        "the keychain holds no key for the database that lies here: the keychain is locked, or the key is lost. Unlock it and try again, or enter the recovery key"
    )]
    NoKeyForDatabase,
    #[error("the keychain did not answer: {0}")]
    Failed(String),
    #[error("the environment variable {0} is not set; it must hold the database key as 64 hex digits")]
    NoVariable(String),
    #[error("the environment variable {0} does not hold 64 hex digits")]
    BadVariable(String),
    #[error(transparent)]
    BadRecoveryKey(#[from] NotARecoveryKey),
}

impl From<KeychainError> for KeyError {
    fn from(e: KeychainError) -> Self {
        match e {
            KeychainError::Missing => Self::NoKeychain,
            KeychainError::Locked => Self::Locked,
            KeychainError::Failed(why) => Self::Failed(why),
        }
    }
}

/// What reply codes are made from: nobody who sees codes learns anything about the key.
pub fn code_key(database: &DatabaseKey) -> [u8; 32] {
    wf_evidence::tree::leaf_hash(format!("watchfloor reply codes\n{}", database.expose_hex()).as_bytes())
}

/// 32 random bytes, for audit salts.
pub fn salt() -> [u8; 32] {
    random()
}

/// The entry of the database key in the keychain, if that is where it is kept.
pub fn database_entry(source: &KeySource, paths: &Paths) -> Option<String> {
    match source {
        KeySource::Keychain => Some(format!("{DATABASE}:{}", paths.keychain_account())),
        KeySource::Env(_) => None,
    }
}

/// Finds the keys, or makes them at the first run.
///
/// A missing entry beside an existing database is never a first run: a locked keychain says "no entry" too.
pub async fn open(source: &KeySource, keychain: Arc<dyn Keychain>, paths: &Paths) -> Result<Keys, KeyError> {
    match source {
        KeySource::Env(name) => {
            let text = environment::variable(name).ok_or_else(|| KeyError::NoVariable(name.clone()))?;
            let database =
                DatabaseKey::from_hex(text.expose_secret()).map_err(|_| KeyError::BadVariable(name.clone()))?;
            // A server has one secret; the signing key is derived from it, under a name of its own.
            let seed = wf_evidence::tree::leaf_hash(
                format!("watchfloor audit signing key\n{}", database.expose_hex()).as_bytes(),
            );
            Ok(Keys { database, audit: AuditKey::from_seed(&seed), fresh: false })
        }
        KeySource::Keychain => {
            let (exists, account) = (paths.database().exists(), paths.keychain_account());
            patient(move || from_keychain(&*keychain, exists, &account)).await
        }
    }
}

fn from_keychain(keychain: &dyn Keychain, database_exists: bool, account: &str) -> Result<Keys, KeyError> {
    let name = |what: &str| format!("{what}:{account}");
    let held = keychain.get(&name(DATABASE))?;
    let (database, fresh) = match held {
        Some(text) => (text, false),
        None if database_exists => return Err(KeyError::NoKeyForDatabase),
        None => {
            let key: SecretString = hex(&random()).into();
            keychain.set(&name(DATABASE), &key)?;
            // Read back: a key that the keychain did not keep would lock the officer out at the next start.
            match keychain.get(&name(DATABASE))? {
                Some(kept) if kept.expose_secret() == key.expose_secret() => (key, true),
                _ => return Err(KeyError::Failed("it did not keep the key".into())),
            }
        }
    };
    let audit = match keychain.get(&name(AUDIT))?.and_then(|t| audit_entry(t.expose_secret())) {
        Some((seed, since)) => AuditKey::from_seed(&seed).signing_since(since),
        None => AuditKey::from_seed(&new_audit_key(keychain, account)?),
    };
    let database = DatabaseKey::from_hex(database.expose_secret())
        .map_err(|_| KeyError::Failed("the key in it is damaged".into()))?;
    Ok(Keys { database, audit, fresh })
}

fn new_audit_key(keychain: &dyn Keychain, account: &str) -> Result<[u8; 32], KeyError> {
    let seed = random();
    keychain.set(&format!("{AUDIT}:{account}"), &hex(&seed).into())?;
    Ok(seed)
}

/// The signing key as the keychain holds it: 64 hex digits and, once it signs a log, the number of the first entry.
fn audit_entry(text: &str) -> Option<([u8; 32], Option<u64>)> {
    let mut words = text.split(' ');
    let seed = unhex(words.next()?)?;
    Some((seed, words.next().and_then(|since| since.parse().ok())))
}

/// Keeps beside the signing key from which entry of the log on it signs. Whoever writes that log anew with a key of
/// their own cannot reach this.
pub async fn remember_since(
    source: &KeySource,
    keychain: Arc<dyn Keychain>,
    paths: &Paths,
    since: u64,
) -> Result<(), KeyError> {
    if matches!(source, KeySource::Env(_)) {
        return Ok(());
    }
    let name = format!("{AUDIT}:{}", paths.keychain_account());
    patient(move || {
        let held = keychain.get(&name)?.ok_or(KeyError::NoKeyForDatabase)?;
        let seed = held.expose_secret().split(' ').next().unwrap_or_default();
        Ok(keychain.set(&name, &format!("{seed} {since}").into())?)
    })
    .await
}

/// Puts the database key that a recovery key stands for back into the keychain. If it held the key of another database,
/// the log of this one is signed with a new key: the one that is there never signed it.
pub async fn recover(text: &str, keychain: Arc<dyn Keychain>, paths: &Paths) -> Result<DatabaseKey, KeyError> {
    let key = read_recovery_key(text)?;
    let (account, stored) = (paths.keychain_account(), key.clone());
    patient(move || {
        let name = format!("{DATABASE}:{account}");
        let held = keychain.get(&name)?;
        keychain.set(&name, &stored.expose_hex().to_owned().into())?;
        if held.is_some_and(|h| h.expose_secret() != stored.expose_hex()) {
            new_audit_key(&*keychain, &account)?;
        }
        Ok(())
    })
    .await?;
    Ok(key)
}

async fn patient<T: Send + 'static>(f: impl FnOnce() -> Result<T, KeyError> + Send + 'static) -> Result<T, KeyError> {
    match tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(f)).await {
        Err(_) => Err(KeyError::Locked),
        Ok(Err(e)) => Err(KeyError::Failed(e.to_string())),
        Ok(Ok(result)) => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keychain::MemoryKeychain;

    #[test]
    fn a_missing_key_beside_a_database_is_never_a_first_run() {
        let keychain = MemoryKeychain::default();
        assert!(matches!(from_keychain(&keychain, true, "a"), Err(KeyError::NoKeyForDatabase)));
        let first = from_keychain(&keychain, false, "a").unwrap();
        assert!(first.fresh);
        let again = from_keychain(&keychain, true, "a").unwrap();
        assert_eq!((again.fresh, again.database.expose_hex()), (false, first.database.expose_hex()));
        assert_eq!(again.audit.public(), first.audit.public());
        assert!(from_keychain(&keychain, false, "b").unwrap().fresh, "another data directory has keys of its own");
    }
}
