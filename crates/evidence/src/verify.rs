//! Two verdicts: is what is here unchanged (integrity), and is everything here (completeness).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use wf_model::text::sentence;
use wf_model::{Leaf, SignedCheckpoint};

use crate::log::{leaf_data, payload_hash};
use crate::signers::{Signers, damage};
use crate::tree::{Frontier, Hash, leaf_hash};

/// Whether every leaf is what the signed checkpoints say it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// `leaves` leaves and `checkpoints` checkpoints fit together; `erased` leaves carry no payload any more.
    Intact {
        leaves: u64,
        checkpoints: u64,
        erased: u64,
    },
    Broken {
        reason: String,
    },
}

/// Whether the log reaches as far as the last statement about its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Nothing is missing up to a checkpoint that was kept outside.
    Anchored {
        size: u64,
    },
    /// No checkpoint from outside was given: complete up to its own last checkpoint, which a thief of the keys could
    /// have signed again.
    OwnWordOnly {
        size: u64,
    },
    Incomplete {
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdicts {
    pub integrity: Integrity,
    pub completeness: Completeness,
}

impl Verdicts {
    pub fn good(&self) -> bool {
        matches!(self.integrity, Integrity::Intact { .. })
            && !matches!(self.completeness, Completeness::Incomplete { .. })
    }
}

/// Checks a log. `leaves` in order of index, `checkpoints` in order of size; `anchor` is the note of
/// a checkpoint that was kept somewhere else.
pub fn verify(signers: &Signers, leaves: &[Leaf], checkpoints: &[SignedCheckpoint], anchor: Option<&str>) -> Verdicts {
    let integrity = match integrity(signers, leaves, checkpoints) {
        Ok(intact) => intact,
        Err(reason) => Integrity::Broken { reason: sentence(&reason) },
    };
    let completeness = match completeness(signers, leaves, checkpoints, anchor) {
        Ok(complete) => complete,
        Err(reason) => Completeness::Incomplete { reason: sentence(&reason) },
    };
    Verdicts { integrity, completeness }
}

fn integrity(signers: &Signers, leaves: &[Leaf], checkpoints: &[SignedCheckpoint]) -> Result<Integrity, String> {
    signers.are_ours()?;
    let mut frontier = Frontier::default();
    let mut erased = 0;
    let mut pending = checkpoints.iter().peekable();
    check_due(signers, &frontier, &mut pending)?;
    for (i, leaf) in leaves.iter().enumerate() {
        if leaf.index != i as u64 {
            return Err(format!("leaf {i} is missing: leaf {} stands in its place", leaf.index));
        }
        erased += u64::from(check_leaf(leaf)?);
        if let Some(reason) = damage(leaf) {
            return Err(reason);
        }
        frontier.push(leaf.hash);
        check_due(signers, &frontier, &mut pending)?;
    }
    if let Some(next) = pending.next() {
        return Err(format!("a checkpoint covers {} leaves, but only {} are here", next.size, leaves.len()));
    }
    Ok(Integrity::Intact { leaves: leaves.len() as u64, checkpoints: checkpoints.len() as u64, erased })
}

fn check_due<'a>(
    signers: &Signers,
    frontier: &Frontier,
    pending: &mut std::iter::Peekable<impl Iterator<Item = &'a SignedCheckpoint>>,
) -> Result<(), String> {
    while let Some(checkpoint) = pending.next_if(|c| c.size <= frontier.size()) {
        let (size, root) = signers.open(&checkpoint.note)?;
        if size != checkpoint.size || root != checkpoint.root {
            return Err(format!("the checkpoint of size {} does not say what is stored beside it", checkpoint.size));
        }
        if size < frontier.size() {
            return Err(format!("the checkpoint of size {size} is out of order"));
        }
        if root != frontier.root() {
            return Err(format!("the first {size} leaves are not those that were signed"));
        }
    }
    Ok(())
}

/// Whether the payload was erased; an error if the leaf is not what its hash says.
fn check_leaf(leaf: &Leaf) -> Result<bool, String> {
    let at = leaf.index;
    let header: serde_json::Value =
        serde_json::from_str(&leaf.header).map_err(|e| format!("leaf {at}: the header is not JSON: {e}"))?;
    if header["index"] != at {
        return Err(format!("leaf {at}: its header says it is leaf {}", header["index"]));
    }
    if leaf.hash != leaf_hash(&leaf_data(&leaf.header, &leaf.payload_hash)) {
        return Err(format!("leaf {at} was changed"));
    }
    match (&leaf.salt, &leaf.payload) {
        // The hash does not say where the salt ends: a longer one could swallow the beginning of the payload.
        (Some(salt), Some(_)) if salt.len() != 32 => {
            Err(format!("leaf {at}: the salt has another length than 32 bytes"))
        }
        (Some(salt), Some(payload)) => {
            if payload_hash(salt, payload) != leaf.payload_hash {
                return Err(format!("leaf {at}: the payload was changed"));
            }
            Ok(false)
        }
        (None, None) => Ok(true),
        _ => Err(format!("leaf {at}: half of the payload is missing")),
    }
}

fn completeness(
    signers: &Signers,
    leaves: &[Leaf],
    checkpoints: &[SignedCheckpoint],
    anchor: Option<&str>,
) -> Result<Completeness, String> {
    let have = leaves.len() as u64;
    let own = checkpoints.last().map_or(0, |c| c.size);
    if own != have {
        return Err(format!("the last checkpoint covers {own} leaves, {have} are here"));
    }
    let Some(note) = anchor else { return Ok(Completeness::OwnWordOnly { size: have }) };
    let (size, root) = match on_paper(note) {
        Some(known) => known,
        None => signers.open(note).map_err(|e| format!("the anchor: {e}"))?,
    };
    if size > have {
        return Err(format!("the anchor covers {size} leaves, only {have} are here"));
    }
    let frontier: Frontier = leaves[..size as usize].iter().map(|l| l.hash).collect();
    if frontier.root() != root {
        return Err(format!("the first {size} leaves are not those of the anchor"));
    }
    Ok(Completeness::Anchored { size })
}

/// `27 EMXYXcUf…=`: size and root as a report prints them. Nothing signs them but the paper they were kept on.
fn on_paper(text: &str) -> Option<(u64, Hash)> {
    let (size, root) = text.trim().split_once(char::is_whitespace)?;
    Some((size.parse().ok()?, BASE64.decode(root.trim()).ok()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{AuditKey, AuditLog, PublicKey};
    use wf_model::{Actor, AuditAction, Timestamp};

    fn log_of(n: u64) -> (PublicKey, Vec<Leaf>, Vec<SignedCheckpoint>) {
        let mut log = AuditLog::new(AuditKey::from_seed(&[7; 32]), []);
        let (mut leaves, mut checkpoints) = (Vec::new(), Vec::new());
        for i in 0..n {
            let action = AuditAction {
                at: Timestamp::from_millis(i as i64),
                actor: Actor::Operator("Ann".into()),
                action: "incident.acknowledge".into(),
                subject: format!("incident:{i}"),
                payload: serde_json::json!({ "note": "x" }),
            };
            let (l, c, next) = log.append(action.at, &[action], || [i as u8; 32]);
            leaves.extend(l);
            checkpoints.push(c);
            log = next;
        }
        (log.public_key(), leaves, checkpoints)
    }

    #[test]
    fn an_untouched_log_is_intact_and_complete_as_far_as_can_be_known() {
        let (key, leaves, checkpoints) = log_of(5);
        let v = verify(&Signers::from(&key), &leaves, &checkpoints, None);
        assert_eq!(v.integrity, Integrity::Intact { leaves: 5, checkpoints: 5, erased: 0 });
        assert_eq!(v.completeness, Completeness::OwnWordOnly { size: 5 });
        let v = verify(&Signers::from(&key), &leaves, &checkpoints, Some(&checkpoints[2].note));
        assert_eq!(v.completeness, Completeness::Anchored { size: 3 });
        // As a report prints it.
        let paper = |n: usize| format!("{} {}\n", checkpoints[n].size, BASE64.encode(checkpoints[n].root));
        let v = verify(&Signers::from(&key), &leaves, &checkpoints, Some(&paper(2)));
        assert_eq!(v.completeness, Completeness::Anchored { size: 3 });
        let other = paper(2).replacen('3', "2", 1);
        assert!(matches!(
            verify(&Signers::from(&key), &leaves, &checkpoints, Some(&other)).completeness,
            Completeness::Incomplete { .. }
        ));
    }

    #[test]
    fn t16_every_flipped_byte_is_found() {
        let (key, leaves, checkpoints) = log_of(4);
        let mut flips = 0;
        let mut check = |leaves: &[Leaf], checkpoints: &[SignedCheckpoint], what: &str| {
            flips += 1;
            assert!(!verify(&Signers::from(&key), leaves, checkpoints, None).good(), "{what}");
        };
        for i in 0..leaves.len() {
            let flip_text = |s: &str, at: usize| {
                let mut b = s.as_bytes().to_vec();
                b[at] ^= 1;
                String::from_utf8(b).ok()
            };
            for at in 0..leaves[i].header.len() {
                let mut changed = leaves.clone();
                if let Some(t) = flip_text(&leaves[i].header, at) {
                    changed[i].header = t;
                    check(&changed, &checkpoints, "header");
                }
            }
            let payload = leaves[i].payload.clone().unwrap();
            for at in 0..payload.len() {
                let mut changed = leaves.clone();
                if let Some(t) = flip_text(&payload, at) {
                    changed[i].payload = Some(t);
                    check(&changed, &checkpoints, "payload");
                }
            }
            for at in 0..32 {
                let mut changed = leaves.clone();
                changed[i].hash[at] ^= 1;
                check(&changed, &checkpoints, "hash");
                let mut changed = leaves.clone();
                changed[i].payload_hash[at] ^= 1;
                check(&changed, &checkpoints, "payload hash");
                let mut changed = leaves.clone();
                changed[i].salt.as_mut().unwrap()[at] ^= 1;
                check(&changed, &checkpoints, "salt");
                let mut changed = checkpoints.clone();
                changed[i].root[at] ^= 1;
                check(&leaves, &changed, "root");
            }
            for at in 0..checkpoints[i].note.len() {
                let mut changed = checkpoints.clone();
                if let Some(t) = flip_text(&checkpoints[i].note, at) {
                    changed[i].note = t;
                    check(&leaves, &changed, "note");
                }
            }
        }
        assert!(flips > 1000);
    }

    #[test]
    fn t16_a_salt_that_swallows_the_beginning_of_its_payload_is_found() {
        let (key, mut leaves, checkpoints) = log_of(2);
        let payload = leaves[1].payload.take().unwrap();
        let (swallowed, rest) = payload.split_at(payload.find(',').unwrap());
        leaves[1].salt.as_mut().unwrap().extend(swallowed.bytes());
        leaves[1].payload = Some(rest.to_owned());
        assert!(!verify(&Signers::from(&key), &leaves, &checkpoints, None).good());
    }

    #[test]
    fn t16_truncated_reordered_and_forked_logs_are_found() {
        let (key, leaves, checkpoints) = log_of(6);
        assert!(!verify(&Signers::from(&key), &leaves[..5], &checkpoints, None).good(), "a leaf cut off");
        assert!(!verify(&Signers::from(&key), &leaves[1..], &checkpoints, None).good(), "the first leaf gone");
        let mut swapped = leaves.clone();
        swapped.swap(2, 3);
        assert!(!verify(&Signers::from(&key), &swapped, &checkpoints, None).good(), "two leaves swapped");
        let mut swapped = checkpoints.clone();
        swapped.swap(2, 3);
        assert!(!verify(&Signers::from(&key), &leaves, &swapped, None).good(), "two checkpoints swapped");
        // Leaves and checkpoints cut together look whole from inside; only the anchor tells.
        let (short, fewer) = (&leaves[..4], &checkpoints[..4]);
        assert!(verify(&Signers::from(&key), short, fewer, None).good());
        assert!(!verify(&Signers::from(&key), short, fewer, Some(&checkpoints[5].note)).good(), "cut below the anchor");
        // A second history, signed with the stolen key.
        let mut fork = AuditLog::new(AuditKey::from_seed(&[7; 32]), leaves[..3].iter().map(|l| l.hash));
        let action = AuditAction {
            at: Timestamp::EPOCH,
            actor: Actor::Engine,
            action: "x".into(),
            subject: String::new(),
            payload: serde_json::Value::Null,
        };
        let (mut forked, mut signed) = (leaves[..3].to_vec(), checkpoints[..3].to_vec());
        for _ in 0..3 {
            let (l, c, next) = fork.append(Timestamp::EPOCH, std::slice::from_ref(&action), || [0; 32]);
            forked.extend(l);
            signed.push(c);
            fork = next;
        }
        assert!(verify(&Signers::from(&key), &forked, &signed, None).good(), "inside it is consistent");
        assert!(!verify(&Signers::from(&key), &forked, &signed, Some(&checkpoints[5].note)).good(), "the anchor tells");
        let other = AuditKey::from_seed(&[8; 32]).public();
        assert!(!verify(&Signers::from(&other), &leaves, &checkpoints, None).good(), "another key");
    }

    #[test]
    fn an_erased_payload_leaves_the_proof_valid() {
        let (key, mut leaves, checkpoints) = log_of(3);
        leaves[1].payload = None;
        leaves[1].salt = None;
        assert_eq!(
            verify(&Signers::from(&key), &leaves, &checkpoints, None).integrity,
            Integrity::Intact { leaves: 3, checkpoints: 3, erased: 1 }
        );
    }
}
