//! Actions become leaves; a signed checkpoint says how many there are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde_json::json;
use sha2::{Digest, Sha256};
use wf_model::{Actor, AuditAction, Leaf, SignedCheckpoint, Timestamp};

use crate::tree::{Frontier, Hash, hex, leaf_hash};

/// The name of the log and of the key that signs it, on the first line of each checkpoint.
pub const ORIGIN: &str = "watchfloor.audit";

/// The key that signs checkpoints. It lives in the OS keychain, apart from the database key.
#[derive(Clone)]
pub struct AuditKey {
    signing: SigningKey,
    since: Option<u64>,
}

impl std::fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditKey(…)")
    }
}

impl AuditKey {
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(seed), since: None }
    }

    /// With the first entry it signs, as it is kept beside the key.
    pub fn signing_since(self, since: Option<u64>) -> Self {
        Self { since, ..self }
    }

    /// The first entry it signs, where that is kept beside the key.
    pub fn since(&self) -> Option<u64> {
        self.since
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key())
    }
}

/// What checks a checkpoint's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(pub(crate) VerifyingKey);

impl PublicKey {
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes).ok().map(Self)
    }

    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// PEM, as `openssl` reads it.
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// How the key is told over the telephone: the first 16 bytes of its SHA-256, in groups.
    pub fn fingerprint(&self) -> String {
        let hash = hex(&Sha256::digest(self.to_bytes()));
        hash.as_bytes()[..32].chunks(4).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
    }

    /// The key's short name in a signed note: `SHA-256(name || "\n" || 0x01 || key)[..4]`.
    pub(crate) fn id(&self) -> [u8; 4] {
        self.id_for(ORIGIN)
    }

    pub(crate) fn id_for(&self, name: &str) -> [u8; 4] {
        let digest: Hash =
            Sha256::new().chain_update(name).chain_update([b'\n', 1]).chain_update(self.to_bytes()).finalize().into();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

/// The log, as far as appending needs to know it.
#[derive(Clone, Debug)]
pub struct AuditLog {
    key: AuditKey,
    frontier: Frontier,
}

impl AuditLog {
    /// Takes up a log from the hashes of its leaves, in order.
    pub fn new(key: AuditKey, leaves: impl IntoIterator<Item = Hash>) -> Self {
        Self { key, frontier: leaves.into_iter().collect() }
    }

    /// The log of these leaves, signed with the same key.
    pub fn of(&self, leaves: impl IntoIterator<Item = Hash>) -> Self {
        Self::new(self.key.clone(), leaves)
    }

    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// The first entry its key signs, where that is kept beside the key.
    pub fn key_since(&self) -> Option<u64> {
        self.key.since
    }

    /// Signs something that goes with the log: a manifest, a pack.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.signing.sign(message).to_bytes()
    }

    /// The leaves of `actions`, the checkpoint over them, and the log that holds them. `salts` gives 32 random bytes an
    /// action. Keep the returned log if, and only if, leaves and checkpoint were committed.
    pub fn append(
        &self,
        now: Timestamp,
        actions: &[AuditAction],
        mut salt: impl FnMut() -> [u8; 32],
    ) -> (Vec<Leaf>, SignedCheckpoint, Self) {
        let mut next = self.clone();
        let leaves = actions
            .iter()
            .map(|action| {
                let leaf = leaf(next.frontier.size(), action, salt());
                next.frontier.push(leaf.hash);
                leaf
            })
            .collect();
        let checkpoint = next.checkpoint(now);
        (leaves, checkpoint, next)
    }

    /// The signed statement of the log as it is now.
    pub fn checkpoint(&self, at: Timestamp) -> SignedCheckpoint {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let text = checkpoint_text(size, &root);
        let mut signed = self.key.public().id().to_vec();
        signed.extend(self.key.signing.sign(text.as_bytes()).to_bytes());
        let note = format!("{text}\n\u{2014} {ORIGIN} {}\n", BASE64.encode(signed));
        SignedCheckpoint { size, root, at, note }
    }
}

/// The three lines that are signed: origin, size, root.
pub(crate) fn checkpoint_text(size: u64, root: &Hash) -> String {
    format!("{ORIGIN}\n{size}\n{}\n", BASE64.encode(root))
}

fn leaf(index: u64, action: &AuditAction, salt: [u8; 32]) -> Leaf {
    let (kind, name) = match &action.actor {
        Actor::Operator(name) => ("operator", Some(name)),
        Actor::Reply { name, .. } => ("reply", Some(name)),
        Actor::Engine => ("engine", None),
    };
    // `serde_json` orders keys, so this text is canonical; the verifiers hash it as it stands.
    let header = json!({
        "v": 1, "index": index, "at": action.at.rfc3339(), "actor": kind, "action": action.action, "subject": action.subject,
    })
    .to_string();
    let payload = json!({ "actor": name, "detail": action.payload }).to_string();
    let payload_hash = payload_hash(&salt, &payload);
    let hash = leaf_hash(&leaf_data(&header, &payload_hash));
    Leaf { index, header, payload: Some(payload), salt: Some(salt.to_vec()), payload_hash, hash }
}

pub(crate) fn payload_hash(salt: &[u8], payload: &str) -> Hash {
    Sha256::new().chain_update(salt).chain_update(payload).finalize().into()
}

/// What a leaf hash is taken over: the header, a line feed, and the hash of the salted payload.
pub(crate) fn leaf_data(header: &str, payload_hash: &Hash) -> Vec<u8> {
    [header.as_bytes(), b"\n", payload_hash].concat()
}
