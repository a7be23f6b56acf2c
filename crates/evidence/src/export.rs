//! The file an auditor checks without us: leaves, a proof for each, the signed checkpoint and the public key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use wf_model::{Leaf, SignedCheckpoint};

use crate::log::{AuditLog, PublicKey, checkpoint_text, leaf_data};
use crate::signers::Signers;
use crate::tree::{Hash, Tree, leaf_hash, root_from_proof};

/// One JSON document. `checkpoint_text` and `signature` (base64) are what `openssl pkeyutl -verify -rawin` takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Export {
    pub format: String,
    pub public_key_pem: String,
    /// The signed note (C2SP `tlog-checkpoint`).
    pub checkpoint: String,
    pub checkpoint_text: String,
    pub signature: String,
    pub leaves: Vec<ExportedLeaf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExportedLeaf {
    pub index: u64,
    pub header: String,
    pub payload: Option<String>,
    pub salt: Option<String>,
    pub payload_hash: String,
    /// The inclusion proof: hashes from the leaf to the root, base64. Left out where all leaves are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Vec<String>>,
}

impl Export {
    /// `checkpoint` must be of the log that `leaves` are all of.
    pub fn new(log: &AuditLog, leaves: &[Leaf], checkpoint: &SignedCheckpoint) -> Self {
        let tree = Tree::new(leaves.iter().map(|l| l.hash).collect());
        Self::made(log, leaves, checkpoint, |i| {
            Some(tree.inclusion_proof(i).iter().map(|h| BASE64.encode(h)).collect())
        })
    }

    /// All leaves: the root follows from them, so they need no proofs.
    pub fn without_proofs(log: &AuditLog, leaves: &[Leaf], checkpoint: &SignedCheckpoint) -> Self {
        Self::made(log, leaves, checkpoint, |_| None)
    }

    fn made(
        log: &AuditLog,
        leaves: &[Leaf],
        checkpoint: &SignedCheckpoint,
        proof: impl Fn(usize) -> Option<Vec<String>>,
    ) -> Self {
        let signed =
            checkpoint.note.trim_end().rsplit(' ').next().and_then(|s| BASE64.decode(s).ok()).unwrap_or_default();
        Self {
            format: "watchfloor-audit-export-1".into(),
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
                    proof: proof(i),
                })
                .collect(),
        }
    }

    /// The leaves and the checkpoint again, with their hashes computed anew; the signature is checked with `key`.
    ///
    /// # Errors
    /// Something is not readable, or a proof does not lead to the signed root.
    pub fn open(&self, key: &PublicKey) -> Result<(Vec<Leaf>, SignedCheckpoint), String> {
        let (size, root) = Signers::from(key).open(&self.checkpoint)?;
        if self.checkpoint_text != checkpoint_text(size, &root) {
            return Err("the checkpoint and its text differ".into());
        }
        let bytes = |text: &str, what: &str| BASE64.decode(text).map_err(|_| format!("{what} is not readable"));
        let leaves = self
            .leaves
            .iter()
            .map(|l| {
                let what = format!("leaf {}", l.index);
                let payload_hash: Hash =
                    bytes(&l.payload_hash, &what)?.try_into().map_err(|_| format!("{what} has no payload hash"))?;
                let hash = leaf_hash(&leaf_data(&l.header, &payload_hash));
                if let Some(proof) = &l.proof {
                    let proof: Vec<Hash> = proof
                        .iter()
                        .map(|h| {
                            bytes(h, &what)?
                                .try_into()
                                .map_err(|_| format!("{what}: a hash of the proof is not readable"))
                        })
                        .collect::<Result<_, String>>()?;
                    if root_from_proof(hash, l.index, size, &proof) != Some(root) {
                        return Err(format!("{what} is not in the signed tree"));
                    }
                }
                Ok(Leaf {
                    index: l.index,
                    header: l.header.clone(),
                    payload: l.payload.clone(),
                    salt: l.salt.as_ref().map(|s| bytes(s, &what)).transpose()?,
                    payload_hash,
                    hash,
                })
            })
            .collect::<Result<_, String>>()?;
        Ok((leaves, SignedCheckpoint { size, root, at: wf_model::Timestamp::EPOCH, note: self.checkpoint.clone() }))
    }
}
