//! The file an auditor checks without us: leaves, a proof for each, the signed checkpoint and the public key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use wf_model::{Leaf, SignedCheckpoint};

use crate::log::{AuditLog, checkpoint_text};
use crate::tree::Tree;

/// One JSON document. `checkpoint_text` and `signature` (base64) are what `openssl pkeyutl -verify -rawin` takes.
#[derive(Clone, Debug, Serialize)]
pub struct Export {
    pub format: &'static str,
    pub public_key_pem: String,
    /// The signed note (C2SP `tlog-checkpoint`).
    pub checkpoint: String,
    pub checkpoint_text: String,
    pub signature: String,
    pub leaves: Vec<ExportedLeaf>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ExportedLeaf {
    pub index: u64,
    pub header: String,
    pub payload: Option<String>,
    pub salt: Option<String>,
    pub payload_hash: String,
    /// The inclusion proof: hashes from the leaf to the root, base64.
    pub proof: Vec<String>,
}

impl Export {
    /// `checkpoint` must be of the log that `leaves` are all of.
    pub fn new(log: &AuditLog, leaves: &[Leaf], checkpoint: &SignedCheckpoint) -> Self {
        let tree = Tree::new(leaves.iter().map(|l| l.hash).collect());
        let signed = checkpoint
            .note
            .trim_end()
            .rsplit(' ')
            .next()
            .and_then(|s| BASE64.decode(s).ok())
            .unwrap_or_default();
        Self {
            format: "watchfloor-audit-export-1",
            public_key_pem: log.public_key().to_pem(),
            checkpoint: checkpoint.note.clone(),
            checkpoint_text: checkpoint_text(checkpoint.size, &checkpoint.root),
            signature: BASE64.encode(signed.get(4..).unwrap_or_default()),
            leaves: leaves
                .iter()
                .enumerate()
                .map(|(i, l)| ExportedLeaf {
                    index: l.index,
                    header: l.header.clone(),
                    payload: l.payload.clone(),
                    salt: l.salt.as_ref().map(|s| BASE64.encode(s)),
                    payload_hash: BASE64.encode(l.payload_hash),
                    proof: tree.inclusion_proof(i).iter().map(|h| BASE64.encode(h)).collect(),
                })
                .collect(),
        }
    }
}
