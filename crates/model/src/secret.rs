//! References to secrets. Secrets themselves never stand in a config.

use std::fmt;

use secrecy::SecretString;
use serde::Deserialize;

/// Where a secret is: `keychain:NAME` or, for servers, `env:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SecretRef {
    Keychain(String),
    Env(String),
}

impl TryFrom<String> for SecretRef {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("keychain", name)) if !name.is_empty() => Ok(Self::Keychain(name.to_owned())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            // The text may be the secret itself, so it is not repeated.
            _ => Err("a secret is written as a reference, keychain:NAME or env:NAME, never as itself".to_owned()),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keychain(name) => write!(f, "keychain:{name}"),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

/// The value of a request header in a config.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum HeaderText {
    /// As it stands.
    Plain(String),
    /// `keychain:NAME` or `env:NAME`: what that holds.
    Secret(SecretRef),
}

impl HeaderText {
    /// The reference, when it is one.
    pub const fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Secret(reference) => Some(reference),
            Self::Plain(_) => None,
        }
    }
}

impl From<String> for HeaderText {
    fn from(text: String) -> Self {
        SecretRef::try_from(text.clone()).map_or(Self::Plain(text), Self::Secret)
    }
}

/// Whether what goes by this name is likely to open something: a header, a parameter, a key of a document.
pub fn looks_secret(name: &str) -> bool {
    const WORDS: [&str; 11] = [
        "token",
        "secret",
        "password",
        "passwd",
        "passphrase",
        "authorization",
        "cookie",
        "credential",
        "bearer",
        "jwt",
        "signature",
    ];
    /// Keys that open nothing.
    const HARMLESS: [&str; 8] =
        ["routingkey", "partitionkey", "groupkey", "sortkey", "dedupkey", "publickey", "projectkey", "issuekey"];
    let name = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
        || ["key", "auth", "pwd", "sig"].iter().any(|end| name.ends_with(end))
            && !HARMLESS.iter().any(|end| name.ends_with(end))
}

/// Why a secret cannot be had. Each holds a sentence for the officer; the secret itself is never in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no such entry. Asking again changes nothing: somebody has to make it.
    #[error("{0}")]
    Missing(String),
    /// The keychain is locked or did not answer. The same question may succeed later.
    #[error("{0}")]
    Unavailable(String),
}

/// For those to whom one sentence is enough.
impl From<SecretError> for String {
    fn from(e: SecretError) -> Self {
        match e {
            SecretError::Missing(why) | SecretError::Unavailable(why) => why,
        }
    }
}

/// Gives secrets out. The OS keychain behind it may ask the person, so this can take long.
pub trait SecretSource: Send + Sync {
    /// # Errors
    /// Which secret is missing and how to provide it, or why it cannot be read right now.
    fn get(&self, reference: &SecretRef) -> Result<SecretString, SecretError>;
}
