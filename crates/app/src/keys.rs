//! Keys and secrets: the OS keychain, or the environment for servers. Never a silent fallback to anything weaker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use wf_evidence::AuditKey;
use wf_model::{SecretRef, SecretSource};
use wf_store::DatabaseKey;

use crate::config::KeySource;
use crate::paths::Paths;

/// What our entries in the keychain are called.
pub const SERVICE: &str = "watchfloor";
const DATABASE: &str = "database-key";
const AUDIT: &str = "audit-signing-key";
/// A keychain may show a prompt; longer than this nobody is there, and the officer can try again.
const PATIENCE: Duration = Duration::from_secs(20);

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
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().map(Into::into))
    }

    fn set(&self, name: &str, value: &SecretString) -> Result<(), KeychainError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value.expose_secret().to_owned());
        Ok(())
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
    #[error("this is not a recovery key: {0}")]
    BadRecoveryKey(&'static str),
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

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    // Without randomness there can be no key; an all-zero one would be worse than none.
    #[expect(clippy::expect_used, reason = "an OS without randomness cannot keep anything secret")]
    getrandom::fill(&mut bytes).expect("the operating system gives no randomness");
    bytes
}

/// What reply codes are made from: nobody who sees codes learns anything about the key.
pub fn code_key(database: &DatabaseKey) -> [u8; 32] {
    wf_evidence::tree::leaf_hash(format!("watchfloor reply codes\n{}", database.expose_hex()).as_bytes())
}

/// 32 random bytes, for audit salts.
pub fn salt() -> [u8; 32] {
    random()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut out = [0; 32];
    for (i, slot) in out.iter_mut().enumerate() {
        *slot = u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).ok()?;
    }
    Some(out)
}

/// Finds the keys, or makes them at the first run.
///
/// A missing entry beside an existing database is never a first run: a locked keychain says "no entry" too.
pub async fn open(source: &KeySource, keychain: Arc<dyn Keychain>, paths: &Paths) -> Result<Keys, KeyError> {
    match source {
        KeySource::Env(name) => {
            let text = std::env::var(name).map_err(|_| KeyError::NoVariable(name.clone()))?;
            let database = DatabaseKey::from_hex(&text).map_err(|_| KeyError::BadVariable(name.clone()))?;
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
    let audit = match keychain.get(&name(AUDIT))?.and_then(|t| unhex(t.expose_secret())) {
        Some(seed) => seed,
        None => {
            let seed = random();
            keychain.set(&name(AUDIT), &hex(&seed).into())?;
            seed
        }
    };
    let database = DatabaseKey::from_hex(database.expose_secret())
        .map_err(|_| KeyError::Failed("the key in it is damaged".into()))?;
    Ok(Keys { database, audit: AuditKey::from_seed(&audit), fresh })
}

/// Puts the database key that a recovery key stands for back into the keychain.
pub async fn recover(text: &str, keychain: Arc<dyn Keychain>, paths: &Paths) -> Result<DatabaseKey, KeyError> {
    let key = read_recovery_key(text)?;
    let (account, stored) = (paths.keychain_account(), key.clone());
    patient(move || Ok(keychain.set(&format!("{DATABASE}:{account}"), &stored.expose_hex().to_owned().into())?))
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

/// Digits that are not mistaken for one another when copied from paper (Crockford's base 32).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The database key as something to print: 14 groups of four, the last of which is a check.
pub fn recovery_key(key: &DatabaseKey) -> SecretString {
    let bytes = unhex(key.expose_hex()).unwrap_or_default();
    let mut digits = to_digits(&bytes);
    digits.extend(check(&bytes));
    let groups: Vec<String> =
        digits.chunks(4).map(|g| g.iter().map(|d| char::from(DIGITS[usize::from(*d)])).collect()).collect();
    groups.join("-").into()
}

fn read_recovery_key(text: &str) -> Result<DatabaseKey, KeyError> {
    let mut digits = Vec::with_capacity(56);
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let c = match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let digit = DIGITS
            .iter()
            .position(|d| char::from(*d) == c)
            .ok_or(KeyError::BadRecoveryKey("it holds a character that does not occur in one"))?;
        digits.push(digit as u8);
    }
    if digits.len() != 56 {
        return Err(KeyError::BadRecoveryKey("it has 14 groups of four"));
    }
    let mut bytes = [0u8; 32];
    for bit in 0..256 {
        if digits[bit / 5] & (16 >> (bit % 5)) != 0 {
            bytes[bit / 8] |= 128 >> (bit % 8);
        }
    }
    if to_digits(&bytes) != digits[..52] || check(&bytes)[..] != digits[52..] {
        return Err(KeyError::BadRecoveryKey("a character was mistaken"));
    }
    DatabaseKey::from_hex(&hex(&bytes)).map_err(|_| KeyError::BadRecoveryKey("a character was mistaken"))
}

fn to_digits(bytes: &[u8; 32]) -> Vec<u8> {
    (0..52)
        .map(|i| {
            (0..5).fold(0, |d, b| {
                (d << 1) | bytes.get((i * 5 + b) / 8).map_or(0, |byte| (byte >> (7 - (i * 5 + b) % 8)) & 1)
            })
        })
        .collect()
}

fn check(bytes: &[u8; 32]) -> [u8; 4] {
    let hash = wf_evidence::tree::leaf_hash(bytes);
    [hash[0] & 31, hash[1] & 31, hash[2] & 31, hash[3] & 31]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_key_survives_paper_and_mistakes_are_noticed() {
        let key = DatabaseKey::from_hex(&hex(&random())).unwrap();
        let printed = recovery_key(&key).expose_secret().to_owned();
        assert_eq!(printed.len(), 14 * 4 + 13);
        let copied = printed.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(read_recovery_key(&copied).unwrap().expose_hex(), key.expose_hex());
        for at in 0..printed.len() {
            if printed.as_bytes()[at] == b'-' {
                continue;
            }
            let mut wrong = printed.clone().into_bytes();
            wrong[at] = if wrong[at] == b'7' { b'8' } else { b'7' };
            assert!(read_recovery_key(&String::from_utf8(wrong).unwrap()).is_err(), "position {at}");
        }
        assert!(read_recovery_key("").is_err() && read_recovery_key("ÄÖ!").is_err());
    }

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
