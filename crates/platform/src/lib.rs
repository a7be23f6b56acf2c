//! What differs between machines: the operating system, its keychain, where files lie, what time it is.
//!
//! Nothing here knows what a console does. What differs between operating systems is in [`os`], one small module each
//! with the same functions; a new one gets a module there. Every outward effect has a twin in memory for tests
//! ([`MemoryKeychain`], [`TestClock`]).

mod bytes;
mod clock;
pub mod environment;
pub mod files;
pub mod keychain;
pub mod keys;
pub mod os;
pub mod paths;
mod recovery_key;

pub use clock::{Clock, SystemClock, TestClock};
pub use environment::SecretEnvironment;
pub use keychain::{Keychain, KeychainError, MemoryKeychain, OsKeychain, Secrets};
pub use keys::{KeyError, KeySource, Keys};
pub use paths::{DataDirLock, Paths};
pub use recovery_key::{NotARecoveryKey, recovery_key};

/// The recovery key that stands for a database key in hex; `None` when it is none.
pub fn recovery_key_of(hex: &str) -> Option<String> {
    use secrecy::ExposeSecret as _;
    let key = wf_store::DatabaseKey::from_hex(hex).ok()?;
    Some(recovery_key(&key).expose_secret().to_owned())
}

/// Where the fuzzer (`fuzz/`) comes in.
#[doc(hidden)]
pub mod fuzzing {
    /// # Errors
    /// What is wrong with the text.
    pub fn read_recovery_key(text: &str) -> Result<wf_store::DatabaseKey, crate::NotARecoveryKey> {
        crate::recovery_key::read_recovery_key(text)
    }
}
