use super::*;
use crate::log::{AuditKey, AuditLog};
use crate::verify::{Integrity, verify};

fn key(seed: u8) -> AuditKey {
    AuditKey::from_seed(&[seed; 32])
}

fn note(n: i64) -> AuditAction {
    AuditAction {
        at: Timestamp::from_millis(n),
        actor: Actor::Operator("Ann".into()),
        action: "incident.acknowledge".into(),
        subject: format!("incident:{n}"),
        payload: serde_json::json!({}),
    }
}

/// A log and everything that is stored of it.
#[derive(Clone)]
struct Stored {
    log: AuditLog,
    leaves: Vec<Leaf>,
    checkpoints: Vec<SignedCheckpoint>,
}

impl Stored {
    fn begun_with(key: AuditKey) -> Self {
        Self { log: AuditLog::new(key, []), leaves: Vec::new(), checkpoints: Vec::new() }
    }

    fn with(mut self, action: AuditAction) -> Self {
        let (leaves, checkpoint, log) = self.log.append(action.at, &[action], || [1; 32]);
        self.leaves.extend(leaves);
        self.checkpoints.push(checkpoint);
        Self { log, ..self }
    }

    fn go_on_with(mut self, key: AuditKey) -> Self {
        let entry = new_key_entry(Timestamp::EPOCH, &key.public(), self.signers(&self.log.public_key()).last());
        self.log = AuditLog::new(key, self.leaves.iter().map(|l| l.hash));
        self.with(entry)
    }

    fn signers(&self, first: &PublicKey) -> Signers {
        Signers::new(Some(first.clone()), self.leaves.iter().map(|l| (l.index, l.header.as_str())))
    }

    fn intact(&self, signers: &Signers) -> bool {
        matches!(verify(signers, &self.leaves, &self.checkpoints, None).integrity, Integrity::Intact { .. })
    }

    fn as_it_was_left(&self, signers: &Signers) -> Result<(), String> {
        let hashes: Vec<Hash> = self.leaves.iter().map(|l| l.hash).collect();
        signers.as_it_was_left(&hashes, self.checkpoints.last())
    }
}

#[test]
fn a_key_signs_from_its_entry_on_and_the_key_before_it_no_longer() {
    let first = key(1).public();
    let log = Stored::begun_with(key(1)).with(note(0)).with(note(1)).go_on_with(key(2)).with(note(3));
    let signers = log.signers(&first).with_own(key(2).public(), Some(2));
    assert!(log.intact(&signers) && log.as_it_was_left(&signers).is_ok());
    assert_eq!(signers.known().iter().map(|s| s.since).collect::<Vec<_>>(), [0, 2]);

    let mut late = log.clone();
    late.log = AuditLog::new(key(1), late.leaves.iter().map(|l| l.hash));
    let late = late.with(note(4));
    let signers = late.signers(&first);
    assert!(!late.intact(&signers), "the old key signs on after the new one began");
    assert!(late.as_it_was_left(&signers).unwrap_err().contains("another key"));

    let again = log.go_on_with(key(1)).with(note(5));
    let signers = again.signers(&first).with_own(key(1).public(), None);
    assert!(again.intact(&signers), "the first key is back, and an entry says so");
}

#[test]
fn t16_a_key_without_an_entry_signs_nothing() {
    let first = key(1).public();
    let mut log = Stored::begun_with(key(1)).with(note(0));
    log.log = AuditLog::new(key(2), log.leaves.iter().map(|l| l.hash));
    let log = log.with(note(1));
    assert!(!log.intact(&log.signers(&first)));
}

#[test]
fn t16_a_log_written_anew_from_its_beginning_does_not_have_this_computers_key() {
    let forged = Stored::begun_with(key(9)).with(note(0)).with(note(1));
    let signers = forged.signers(&key(9).public());
    assert!(forged.intact(&signers), "by its own word");
    assert!(!forged.intact(&signers.clone().with_own(key(1).public(), Some(0))));
    assert!(!forged.intact(&signers.with_own(key(1).public(), None)));
    // And once this computer's key signs on: from the second entry, where the keychain says from the first.
    let went_on = forged.go_on_with(key(1)).with(note(3));
    let signers = went_on.signers(&key(9).public());
    assert!(went_on.intact(&signers.clone().with_own(key(1).public(), Some(2))));
    assert!(!went_on.intact(&signers.with_own(key(1).public(), Some(0))));
}

#[test]
fn a_log_that_is_not_as_it_was_left_is_known_without_reading_its_entries() {
    let first = key(1).public();
    let log = Stored::begun_with(key(1)).with(note(0)).with(note(1)).with(note(2));
    let signers = log.signers(&first);
    assert_eq!(log.as_it_was_left(&signers), Ok(()));
    let broken = |change: fn(&mut Stored)| {
        let mut log = log.clone();
        change(&mut log);
        log.as_it_was_left(&signers)
    };
    assert!(broken(|l| l.leaves[1].hash[0] ^= 1).is_err(), "an entry changed");
    assert!(broken(|l| l.leaves.truncate(2)).is_err(), "an entry cut off");
    assert!(broken(|l| l.checkpoints.truncate(2)).is_err(), "a checkpoint cut off");
    assert!(broken(|l| l.checkpoints.clear()).is_err(), "no checkpoint");
    assert_eq!(Stored::begun_with(key(1)).as_it_was_left(&signers), Ok(()), "nothing was ever written");
}

#[test]
fn a_log_that_says_of_itself_that_it_was_damaged_is_never_intact_again() {
    let log = Stored::begun_with(key(1)).with(note(0)).with(damage_entry(Timestamp::EPOCH, "x")).with(note(2));
    let Integrity::Broken { reason } =
        verify(&log.signers(&key(1).public()), &log.leaves, &log.checkpoints, None).integrity
    else {
        panic!("it is intact")
    };
    assert!(reason.contains("entry 1") && reason.ends_with('x'), "{reason}");
}

#[test]
fn an_entry_that_names_no_key_is_no_key() {
    for subject in
        ["", "key:", "key:zz", "key:é0", "key:00", &format!("key:{}", "0".repeat(63)), "0".repeat(64).as_str()]
    {
        let header = serde_json::json!({ "action": NEW_KEY, "subject": subject }).to_string();
        assert_eq!(new_key(&header), None, "{subject}");
    }
    assert_eq!(new_key("no JSON"), None);
}
