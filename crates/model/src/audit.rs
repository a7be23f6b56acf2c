//! The records of the audit log, as they are kept. How they are hashed, signed and proved is `evidence`'s business.

use serde::{Deserialize, Serialize};

use crate::{Actor, Timestamp};

/// Something that must be provable later: who did what to which thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditAction {
    pub at: Timestamp,
    pub actor: Actor,
    /// A dotted verb: `incident.acknowledge`, `engine.start`, `config.change`.
    pub action: String,
    /// The thing acted on, by id; no personal data.
    pub subject: String,
    /// Details, which may hold personal data. Erasable without breaking any proof.
    pub payload: serde_json::Value,
}

/// A leaf of the audit log, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// 0 upwards, without holes.
    pub index: u64,
    /// Canonical JSON without personal data.
    pub header: String,
    /// JSON; `None` once erased.
    pub payload: Option<String>,
    /// 32 random bytes; `None` once erased.
    pub salt: Option<Vec<u8>>,
    /// SHA-256(salt || payload); stays when both are erased.
    pub payload_hash: [u8; 32],
    /// The RFC 6962 leaf hash.
    pub hash: [u8; 32],
}

/// A signed statement of how long the log is and what its root is (C2SP `tlog-checkpoint`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCheckpoint {
    pub size: u64,
    pub root: [u8; 32],
    pub at: Timestamp,
    /// The signed note, text.
    pub note: String,
}
