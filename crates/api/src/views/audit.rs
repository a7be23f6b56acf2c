//! The audit log as it is shown.

use serde::{Deserialize, Serialize};
use specta::Type;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct AuditVerdict {
    pub good: bool,
    pub integrity: String,
    pub completeness: String,
    /// The keys that signed it, the oldest first.
    pub keys: Vec<SigningKeyView>,
    pub leaves: u64,
    pub checkpoints: u64,
}

/// A key that signs the audit log from one entry on, up to the next key's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct SigningKeyView {
    /// The first 16 bytes of its SHA-256, in hex groups.
    pub fingerprint: String,
    pub since: u64,
    /// From where, and who says so.
    pub note: String,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct LeafView {
    pub index: u64,
    pub at: String,
    pub action: String,
    pub actor: String,
    pub subject: String,
    /// JSON; `None` once erased.
    pub details: Option<String>,
}

impl From<&wf_model::Leaf> for LeafView {
    fn from(l: &wf_model::Leaf) -> Self {
        let header: serde_json::Value = serde_json::from_str(&l.header).unwrap_or_default();
        let word = |k: &str| header[k].as_str().unwrap_or_default().to_owned();
        let details: Option<serde_json::Value> = l.payload.as_ref().and_then(|p| serde_json::from_str(p).ok());
        let name = details.as_ref().and_then(|d| d["actor"].as_str()).unwrap_or_default().to_owned();
        Self {
            index: l.index,
            at: word("at"),
            action: word("action"),
            actor: if name.is_empty() {
                if l.payload.is_none() { String::new() } else { "Watchfloor".into() }
            } else {
                name
            },
            subject: word("subject"),
            details: details.map(|d| d["detail"].to_string()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct AuditPage {
    pub rows: Vec<LeafView>,
    pub total: u64,
    /// Where to go on.
    pub next: Option<u64>,
}

/// That an entry is in the log: everything a stranger needs to check it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ProofView {
    pub index: u64,
    pub size: u64,
    pub root: String,
    pub leaf_hash: String,
    pub path: Vec<String>,
    pub checkpoint: String,
    /// Checked here just now.
    pub holds: bool,
}
