//! Whose signature counts where: every key signs from one entry on, up to the next key's.
//!
//! The first key stands beside the log. Every later one is an entry of the log, [`NEW_KEY`], under its own signature:
//! the key before is lost by then (a keychain that was reset, a recovery), so nothing vouches for it but the people who
//! were there, and every verdict says so. What else stands in the database counts for nothing: whoever holds the
//! database key can write it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use wf_model::text::sentence;
use wf_model::{Actor, AuditAction, Leaf, SignedCheckpoint, Timestamp};

use crate::log::{ORIGIN, PublicKey, checkpoint_text};
use crate::tree::{Frontier, Hash, hex};

/// The entry from which on another key signs. Its subject is `key:` and the public key in hex.
pub const NEW_KEY: &str = "audit.key";
/// The entry that says that the log was not as it had been left. No log with such an entry is intact again.
pub const DAMAGE: &str = "audit.damaged";

/// A key, and the first entry it signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    pub key: PublicKey,
    pub since: u64,
}

/// The keys of a log, the oldest first, and the one that the keychain holds.
#[derive(Clone, Debug)]
pub struct Signers {
    known: Vec<Signer>,
    own: Option<Signer>,
}

impl Signers {
    /// `first`: the key that the log began with. `entries`: index and header of every entry, or of every [`NEW_KEY`].
    pub fn new<'a>(first: Option<PublicKey>, entries: impl IntoIterator<Item = (u64, &'a str)>) -> Self {
        let later = entries.into_iter().filter_map(|(since, header)| Some(Signer { key: new_key(header)?, since }));
        let known = first.map(|key| Signer { key, since: 0 }).into_iter().chain(later).collect();
        Self { known, own: None }
    }

    /// The key in the keychain, and from which entry on it signs by the keychain's own memory. Without this, the log is
    /// taken at its word about who signs it.
    pub fn with_own(mut self, key: PublicKey, since: Option<u64>) -> Self {
        let since = since.or_else(|| Some(self.known.iter().rfind(|s| s.key == key)?.since));
        self.own = Some(Signer { key, since: since.unwrap_or_default() });
        self
    }

    pub fn known(&self) -> &[Signer] {
        &self.known
    }

    /// The key that signs what is written now.
    pub fn last(&self) -> Option<&Signer> {
        self.known.last()
    }

    /// Whose signature counts for a checkpoint over `size` entries.
    pub(crate) fn at(&self, size: u64) -> Option<&PublicKey> {
        self.known.iter().rfind(|s| s.since < size.max(1)).map(|s| &s.key)
    }

    /// Size and root of a checkpoint whose signature holds, by the key whose turn it was.
    pub fn open(&self, note: &str) -> Result<(u64, Hash), String> {
        let (text, signature) = note.split_once("\n\n").ok_or("a checkpoint has no signature")?;
        let text = format!("{text}\n");
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next(), lines.next(), lines.next());
        if origin != Some(ORIGIN) {
            return Err(format!("the checkpoint is of another log ({})", sentence(origin.unwrap_or_default())));
        }
        let size: u64 = size.and_then(|s| s.parse().ok()).ok_or("a checkpoint has no size")?;
        let root: Hash = root
            .and_then(|r| BASE64.decode(r).ok())
            .and_then(|r| r.try_into().ok())
            .ok_or("a checkpoint has no root")?;
        if checkpoint_text(size, &root) != text {
            return Err("a checkpoint is not in canonical form".into());
        }
        let signed = signature
            .strip_prefix(&format!("\u{2014} {ORIGIN} "))
            .and_then(|s| s.strip_suffix('\n'))
            .and_then(|s| BASE64.decode(s).ok())
            .ok_or("a checkpoint's signature is not readable")?;
        let key = self
            .at(size)
            .filter(|k| signed.len() == 68 && signed[..4] == k.id())
            .ok_or_else(|| format!("the checkpoint of size {size} is signed with another key"))?;
        let signature = Signature::from_slice(&signed[4..]).map_err(|e| e.to_string())?;
        key.0
            .verify_strict(text.as_bytes(), &signature)
            .map_err(|_| "a checkpoint's signature does not hold".to_owned())?;
        Ok((size, root))
    }

    /// Whether the key in the keychain signs the log from where the keychain says.
    pub(crate) fn are_ours(&self) -> Result<(), String> {
        let (Some(own), Some(last)) = (&self.own, self.last()) else { return Ok(()) };
        if own == last {
            return Ok(());
        }
        Err(if own.key == last.key {
            format!(
                "this computer's key signs from entry {} on, but by this log another key ({}) signed the entries up to {}",
                own.since,
                self.at(last.since).map_or_else(|| "none".to_owned(), PublicKey::fingerprint),
                last.since
            )
        } else {
            format!("its last entries are signed with {}, not with this computer's key", last.key.fingerprint())
        })
    }

    /// Whether a log that is taken up is as it was left: its last checkpoint covers every entry, and was signed by the
    /// key whose turn it was.
    ///
    /// # Errors
    /// Why it is not.
    pub fn as_it_was_left(&self, hashes: &[Hash], last: Option<&SignedCheckpoint>) -> Result<(), String> {
        let have = hashes.len() as u64;
        let Some(last) = last else {
            return if have == 0 { Ok(()) } else { Err(format!("no signed checkpoint covers its {have} entries")) };
        };
        let (size, root) = self.open(&last.note)?;
        if size != have {
            return Err(format!("its last checkpoint covers {size} entries, and {have} are here"));
        }
        if root != hashes.iter().copied().collect::<Frontier>().root() {
            return Err(format!("its {have} entries are not those that were signed"));
        }
        Ok(())
    }
}

impl From<&PublicKey> for Signers {
    fn from(key: &PublicKey) -> Self {
        Self::new(Some(key.clone()), [])
    }
}

/// The entry from which on `key` signs.
pub fn new_key_entry(at: Timestamp, key: &PublicKey, before: Option<&Signer>) -> AuditAction {
    AuditAction {
        at,
        actor: Actor::Engine,
        action: NEW_KEY.into(),
        subject: format!("key:{}", hex(&key.to_bytes())),
        payload: serde_json::json!({
            "fingerprint": key.fingerprint(),
            "before": before.map(|s| s.key.fingerprint()),
            "vouched_for_by_the_key_before": false,
        }),
    }
}

/// The entry that says why the log was not as it had been left.
pub fn damage_entry(at: Timestamp, reason: &str) -> AuditAction {
    AuditAction {
        at,
        actor: Actor::Engine,
        action: DAMAGE.into(),
        subject: "audit".into(),
        payload: serde_json::json!({ "reason": reason }),
    }
}

/// Why an entry says that the log was not as it had been left; `None` for any other entry.
pub fn damage(leaf: &Leaf) -> Option<String> {
    let header: serde_json::Value = serde_json::from_str(&leaf.header).ok()?;
    (header["action"] == DAMAGE).then(|| {
        let payload: Option<serde_json::Value> = leaf.payload.as_ref().and_then(|p| serde_json::from_str(p).ok());
        let reason = payload.as_ref().and_then(|p| p["detail"]["reason"].as_str()).unwrap_or("its reason was erased");
        format!("entry {} says that the log was not as it had been left: {reason}", leaf.index)
    })
}

fn new_key(header: &str) -> Option<PublicKey> {
    let header: serde_json::Value = serde_json::from_str(header).ok()?;
    let digits = header["subject"].as_str().filter(|_| header["action"] == NEW_KEY)?.strip_prefix("key:")?;
    let bytes: Option<Vec<u8>> =
        (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok()).collect();
    VerifyingKey::from_bytes(&bytes?.try_into().ok()?).ok().map(PublicKey)
}

#[cfg(test)]
#[path = "signers_tests.rs"]
mod tests;
