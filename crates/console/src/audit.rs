//! Taking up the audit log at the start: whether it is as it was left, and who signs it from now on.

use wf_evidence::log::PublicKey;
use wf_evidence::signers::{self, Signers};
use wf_evidence::{AuditKey, AuditLog};
use wf_model::Timestamp;
use wf_platform::keys;
use wf_store::{Commit, Store, StoreError};

pub(crate) struct TakenUp {
    pub log: AuditLog,
    /// From which entry on the key signs, to be kept beside it; `None` where that is contested.
    pub signs_since: Option<u64>,
    /// What an officer must know about the log.
    pub problems: Vec<String>,
}

/// Takes the log up with the key that the keychain holds. A key that is new to it, and damage, are entries of the log
/// before anything else is.
pub(crate) async fn take_up(store: &Store, key: &AuditKey, now: Timestamp) -> Result<TakenUp, StoreError> {
    let hashes = store.audit_hashes().await?;
    let (own, size) = (key.public(), hashes.len() as u64);
    let mut about = store.audit_of_the_audit().await?;
    if size == 0 {
        store.set_first_audit_key(&own.to_bytes()).await?;
    }
    let first = store.first_audit_key().await?.as_ref().and_then(PublicKey::from_bytes);
    let signers = Signers::new(first, about.iter().map(|l| (l.index, l.header.as_str())));

    let mut news = Vec::new();
    let mut found = signers.as_it_was_left(&hashes, store.last_audit_checkpoint().await?.as_ref()).err();
    let mut signs_since = signers.last().filter(|last| last.key == own).map(|last| last.since);
    if signs_since.is_none() {
        news.push(signers::new_key_entry(now, &own, signers.last()));
        signs_since = Some(size);
    }
    // What the keychain remembers is not changed by what a database says.
    if let Some(kept) = key.since().filter(|kept| Some(*kept) != signs_since && *kept < size) {
        let contested = format!("this computer's key signs from entry {kept} on, and others stand in its place");
        found = found.or_else(|| signers.last().is_some_and(|l| l.key != own).then_some(contested));
        signs_since = None;
    }
    news.extend(found.iter().map(|reason| signers::damage_entry(now, reason)));

    let mut log = AuditLog::new(key.clone(), hashes);
    if !news.is_empty() {
        let (leaves, checkpoint, next) = log.append(now, &news, keys::salt);
        let commit = Commit { leaves, checkpoint: Some(checkpoint), ..Commit::default() };
        store.commit(&commit).await?;
        about.extend(commit.leaves);
        log = next;
    }
    let problems = about.iter().filter_map(signers::damage).map(|d| problem(&d)).collect();
    Ok(TakenUp { log, signs_since, problems })
}

fn problem(damage: &str) -> String {
    format!(
        "audit log: {damage}. Keep a copy of this database, and compare what is before that entry with a checkpoint kept outside (watchfloorctl audit verify --anchor FILE)"
    )
}
