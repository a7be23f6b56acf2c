//! What an auditor hands back: a checkpoint's note, an exported log, a signed pack. Nothing verifies but what was
//! signed.

use std::sync::LazyLock;

use wf_evidence::export::Export;
use wf_evidence::log::PublicKey;
use wf_evidence::report::pack;
use wf_evidence::verify::{Completeness, Integrity, verify};
use wf_evidence::{AuditKey, AuditLog, Signers};
use wf_model::{Actor, AuditAction, Leaf, SignedCheckpoint};

use crate::Target;
use crate::assert::is_sentence;
use crate::events::NOW;

pub const TARGET: Target = Target {
    name: "evidence",
    check,
    words: &[
        "watchfloor.audit\n",
        "watchfloor.evidence\n",
        "\n\n\u{2014} watchfloor.audit ",
        "\"index\":",
        "\"payload\":null",
        "\"salt\":null",
        "\"proof\":[]",
        "\"leaves\":[",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "\n5\n",
        "=",
        "PK\u{5}\u{6}",
        "PK\u{3}\u{4}",
    ],
    more,
    runs: 250,
};

struct Honest {
    key: PublicKey,
    pem: String,
    leaves: Vec<Leaf>,
    checkpoints: Vec<SignedCheckpoint>,
    export: Vec<u8>,
    bare: Vec<u8>,
    pack: Vec<u8>,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let mut log = AuditLog::new(AuditKey::from_seed(&[7; 32]), []);
    let (mut leaves, mut checkpoints) = (Vec::new(), Vec::new());
    for n in 0..4u8 {
        let action = AuditAction {
            at: NOW,
            actor: Actor::Operator("Ann".into()),
            action: "incident.acknowledge".into(),
            subject: format!("incident:{n}"),
            payload: serde_json::json!({ "note": "\u{202e}x" }),
        };
        let (leaf, checkpoint, next) = log.append(NOW, &[action], || [n; 32]);
        leaves.extend(leaf);
        checkpoints.push(checkpoint);
        log = next;
    }
    let last = &checkpoints[3];
    let files = vec![("report.csv".to_owned(), b"a,b\n1,2\n".repeat(20))];
    Honest {
        key: log.public_key(),
        pem: log.public_key().to_pem(),
        export: serde_json::to_vec(&Export::new(&log, &leaves, last)).unwrap(),
        bare: serde_json::to_vec(&Export::without_proofs(&log, &leaves, last)).unwrap(),
        pack: pack::pack(&log, &leaves, last, files).unwrap(),
        leaves,
        checkpoints,
    }
});

fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let signers = Signers::from(&HONEST.key);
    match signers.open(&text) {
        Ok(said) => assert!(HONEST.checkpoints.iter().any(|c| (c.size, c.root) == said), "nobody signed {said:?}"),
        Err(e) => is_sentence(&e),
    }
    let verdicts = verify(&signers, &HONEST.leaves, &HONEST.checkpoints, Some(&text));
    assert!(matches!(verdicts.integrity, Integrity::Intact { leaves: 4, erased: 0, .. }));
    match verdicts.completeness {
        Completeness::Anchored { size } => assert!(size <= 4),
        Completeness::OwnWordOnly { .. } => panic!("the anchor was not looked at"),
        Completeness::Incomplete { reason } => is_sentence(&reason),
    }
    if let Ok(export) = serde_json::from_slice::<Export>(input) {
        exported(&export, &signers);
    }
    let verdict = pack::verify(input, Some(&HONEST.pem));
    verdict.findings.iter().for_each(|f| is_sentence(f));
    assert!(!verdict.good || input == HONEST.pack, "a pack that nobody signed");
}

fn exported(export: &Export, signers: &Signers) {
    let (leaves, checkpoint) = match export.open(&HONEST.key) {
        Ok(opened) => opened,
        Err(e) => return is_sentence(&e),
    };
    let verdicts = verify(signers, &leaves, std::slice::from_ref(&checkpoint), None);
    match (&verdicts.integrity, &verdicts.completeness) {
        (Integrity::Intact { .. }, Completeness::OwnWordOnly { .. }) => {
            for (leaf, honest) in leaves.iter().zip(&HONEST.leaves) {
                assert_eq!((leaf.hash, &leaf.header), (honest.hash, &honest.header), "a leaf that nobody signed");
                assert!(leaf.payload.is_none() || leaf.payload == honest.payload, "a payload that nobody signed");
            }
            assert_eq!(leaves.len() as u64, checkpoint.size);
        }
        (integrity, completeness) => {
            if let Integrity::Broken { reason } = integrity {
                is_sentence(reason);
            }
            if let Completeness::Incomplete { reason } = completeness {
                is_sentence(reason);
            }
        }
    }
}

fn more() -> Vec<Vec<u8>> {
    let notes = HONEST.checkpoints.iter().map(|c| c.note.clone().into_bytes());
    notes.chain([HONEST.export.clone(), HONEST.bare.clone(), HONEST.pack.clone()]).collect()
}
