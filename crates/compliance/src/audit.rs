//! The audit log: verified, looked through, proved, exported.

use std::sync::Arc;

use serde_json::json;
use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_evidence::log::PublicKey;
use wf_evidence::signers::Signer;
use wf_evidence::tree::Frontier;
use wf_evidence::{Completeness, Export, Integrity, Signers};
use wf_model::AuditAction;
use wf_store::CopiedAudit;
use wf_store::StoreError;

use crate::records::*;

/// What an auditor asks for.
pub struct Audit {
    pub(crate) records: Arc<Records>,
}

impl Audit {
    /// Two verdicts about the audit log. `anchor`: the text of a checkpoint, or an earlier export, kept outside.
    pub async fn verify(&self, anchor: Option<&str>) -> Result<AuditVerdict, ApiError> {
        let anchor = anchor.map(anchor_note).transpose()?;
        let store = self.records.context.store();
        let first = store.first_audit_key().await?.as_ref().and_then(PublicKey::from_bytes);
        let log = self.records.context.ledger.log();
        let (leaves, checkpoints) = (store.audit_leaves().await?, store.audit_checkpoints().await?);
        let signers = Signers::new(first, leaves.iter().map(|l| (l.index, l.header.as_str())))
            .with_own(log.public_key(), log.key_since());
        let keys = signers.known().iter().map(signing_key).collect();
        let verdicts = tokio::task::spawn_blocking({
            let (leaves, checkpoints) = (leaves.clone(), checkpoints.clone());
            move || wf_evidence::verify::verify(&signers, &leaves, &checkpoints, anchor.as_deref())
        })
        .await
        .map_err(ApiError::failed)?;
        Ok(AuditVerdict {
            good: verdicts.good(),
            integrity: match &verdicts.integrity {
                Integrity::Intact { leaves, checkpoints, erased } => format!(
                    "intact: {leaves} entries under {checkpoints} signed checkpoints, {erased} with their details erased"
                ),
                Integrity::Broken { reason } => format!("BROKEN: {reason}"),
            },
            completeness: match &verdicts.completeness {
                Completeness::Anchored { size } => format!("complete up to the anchor kept outside ({size} entries)"),
                Completeness::OwnWordOnly { size } => format!(
                    "complete by its own word only ({size} entries): no anchor from outside was given, so a rewrite with the stolen key would not show"
                ),
                Completeness::Incomplete { reason } => format!("INCOMPLETE: {reason}"),
            },
            keys,
            leaves: leaves.len() as u64,
            checkpoints: checkpoints.len() as u64,
        })
    }

    /// Entries of the audit log, the newest first, that hold every word of the query.
    pub async fn entries(&self, query: &str, before: Option<f64>, limit: u32) -> Result<AuditPage, ApiError> {
        let words: Vec<String> = query.to_lowercase().split_whitespace().take(20).map(str::to_owned).collect();
        let limit = limit.clamp(1, 500) as usize;
        let leaves = self.records.context.store().audit_page(&words, before.map(|b| b.max(0.0) as u64), limit).await?;
        let next = (leaves.len() == limit).then(|| leaves.last().map(|l| l.index)).flatten();
        let total = self.records.context.ledger.log().size();
        Ok(AuditPage { rows: leaves.iter().map(LeafView::from).collect(), total, next })
    }

    /// That one entry is in the log, as a stranger can check it.
    pub async fn proof(&self, index: f64) -> Result<ProofView, ApiError> {
        use wf_evidence::tree::{Tree, root_from_proof};
        let log = self.records.context.ledger.log();
        let checkpoint = log.checkpoint(self.records.context.now());
        let mut hashes = self.records.context.store().audit_hashes().await?;
        hashes.truncate(checkpoint.size as usize);
        let at = index.max(0.0) as usize;
        let leaf =
            *hashes.get(at).ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("the log has no entry {at}")))?;
        let path = tokio::task::spawn_blocking(move || Tree::new(hashes).inclusion_proof(at))
            .await
            .map_err(ApiError::failed)?;
        let holds = root_from_proof(leaf, at as u64, checkpoint.size, &path) == Some(checkpoint.root);
        let hex = wf_evidence::tree::hex;
        Ok(ProofView {
            index: at as u64,
            size: checkpoint.size,
            root: hex(&checkpoint.root),
            leaf_hash: hex(&leaf),
            path: path.iter().map(|h| hex(h)).collect(),
            checkpoint: checkpoint.note,
            holds,
        })
    }

    /// What an auditor checks without us. The export is itself an entry of the log.
    pub async fn export(&self) -> Result<Export, ApiError> {
        self.records
            .context
            .ledger
            .record(vec![AuditAction {
                at: self.records.context.now(),
                actor: self.records.context.operator(),
                action: "audit.export".into(),
                subject: "audit".into(),
                payload: json!({}),
            }])
            .await?;
        let log = self.records.context.ledger.log();
        let checkpoint = log.checkpoint(self.records.context.now());
        let mut leaves = self.records.context.store().audit_leaves().await?;
        leaves.truncate(checkpoint.size as usize);
        tokio::task::spawn_blocking(move || Export::new(&log, &leaves, &checkpoint)).await.map_err(ApiError::failed)
    }
}

fn signing_key(signer: &Signer) -> SigningKeyView {
    SigningKeyView {
        fingerprint: signer.key.fingerprint(),
        since: signer.since,
        note: match signer.since {
            0 => "from the beginning".to_owned(),
            n => format!("from entry {n} on, without the word of the key before"),
        },
    }
}

/// Whether the audit log of a copy is what its last checkpoint says.
///
/// # Errors
/// An entry is missing or was changed.
pub fn proves_itself(copy: &CopiedAudit) -> Result<(), StoreError> {
    let Some(checkpoint) = &copy.checkpoint else { return Ok(()) };
    let damaged = |reason: &str| StoreError::Damaged { what: "audit log of the copy", reason: reason.to_owned() };
    let signed = copy.hashes.get(..checkpoint.size as usize).ok_or_else(|| damaged("entries are missing"))?;
    if signed.iter().copied().collect::<Frontier>().root() == checkpoint.root {
        Ok(())
    } else {
        Err(damaged("its entries are not those that were signed"))
    }
}

/// The checkpoint in an anchor: the note itself, or an export that holds one.
fn anchor_note(text: &str) -> Result<String, ApiError> {
    if text.trim_start().starts_with('{') {
        let export: serde_json::Value =
            serde_json::from_str(text).map_err(|e| ApiError::invalid(format!("the anchor: {e}")))?;
        return export["checkpoint"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| ApiError::invalid("the anchor: there is no checkpoint in it"));
    }
    Ok(text.to_owned())
}
