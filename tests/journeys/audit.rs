//! The audit log against somebody who has the database key, and a console whose signing key is gone.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use wf_evidence::signers::NEW_KEY;
use wf_evidence::{AuditKey, AuditLog};
use wf_model::{Actor, AuditAction, Timestamp};
use wf_platform::{Keychain as _, MemoryKeychain};
use wf_store::{Commit, DatabaseKey, Store};
use wf_testkit::{RunningConsole, TestConsole};

/// The keychain's entry of this kind.
fn entry(home: &TestConsole, kind: &str) -> (String, String) {
    let name = format!("{kind}:{}", home.paths.keychain_account());
    let held = home.keychain.get(&name).unwrap().expect("the console keeps it in the keychain");
    (name, held.expose_secret().to_owned())
}

/// What a thief of the database key leaves behind: the same database key, another history, signed with a key of theirs.
async fn write_anew(home: &TestConsole, entries: u64) {
    let key = DatabaseKey::from_hex(&entry(home, "database-key").1).unwrap();
    std::fs::remove_file(home.paths.database()).unwrap();
    let store = Store::open(&home.paths.database(), &key).await.unwrap();
    let theirs = AuditKey::from_seed(&[9; 32]);
    store.set_first_audit_key(&theirs.public().to_bytes()).await.unwrap();
    let mut log = AuditLog::new(theirs, []);
    for n in 0..entries {
        let at = Timestamp::from_millis(1_700_000_000_000 + n as i64);
        let action = AuditAction {
            at,
            actor: Actor::Operator("Duty officer".into()),
            action: "incident.resolve".into(),
            subject: format!("incident:{n}"),
            payload: serde_json::json!({}),
        };
        let (leaves, checkpoint, next) = log.append(at, &[action], || [1; 32]);
        store.commit(&Commit { leaves, checkpoint: Some(checkpoint), ..Commit::default() }).await.unwrap();
        log = next;
    }
    store.close().await;
}

async fn verdict(console: &RunningConsole) -> wf_api::views::AuditVerdict {
    console.console.compliance.audit.verify(None).await.unwrap()
}

fn problems(console: &RunningConsole) -> Vec<String> {
    console.console.context.state.problems().into_iter().filter(|p| p.starts_with("audit log")).collect()
}

#[tokio::test]
async fn t16_a_log_signed_anew_with_another_key_is_not_intact() {
    let home = TestConsole::new("");
    let console = home.start().await;
    console.assert_sound().await;
    assert_eq!(problems(&console), [""; 0]);
    console.stop().await;
    write_anew(&home, 20).await;

    // Nor at the next start, when this computer's key has long signed on.
    for start in 0..2 {
        let console = home.start().await;
        let verdict = verdict(&console).await;
        assert!(!verdict.good && verdict.integrity.contains("BROKEN"), "start {start}: {verdict:?}");
        assert_eq!(problems(&console).len(), 1, "start {start}: {:?}", problems(&console));
        assert_eq!(verdict.keys.len(), 2, "{verdict:?}");
        console.stop().await;
    }
}

#[tokio::test]
async fn t16_a_log_that_is_not_as_it_was_left_is_shown_at_the_start_and_stays_broken() {
    let home = TestConsole::new("");
    home.start().await.stop().await;
    let key = DatabaseKey::from_hex(&entry(&home, "database-key").1).unwrap();
    let store = Store::open(&home.paths.database(), &key).await.unwrap();
    let log = AuditLog::new(AuditKey::from_seed(&[9; 32]), store.audit_hashes().await.unwrap());
    let action = AuditAction {
        at: Timestamp::from_millis(1_700_000_000_000),
        actor: Actor::Engine,
        action: "retention.swept".into(),
        subject: "events".into(),
        payload: serde_json::json!({}),
    };
    // An entry of theirs, without a checkpoint: they do not have the key.
    let (leaves, _, _) = log.append(action.at, &[action], || [1; 32]);
    store.commit(&Commit { leaves, ..Commit::default() }).await.unwrap();
    store.close().await;

    for start in 0..2 {
        let console = home.start().await;
        let said = problems(&console);
        assert!(said.len() == 1 && said[0].contains("covers"), "start {start}: {said:?}");
        let overview = console.ask(wf_api::Request::Health).await.unwrap()["problems"].to_string();
        assert!(overview.contains("audit log"), "{overview}");
        assert!(!verdict(&console).await.good, "start {start}");
        console.stop().await;
    }
}

#[tokio::test]
async fn a_missing_signing_key_beside_a_log_is_said_and_recorded() {
    let mut home = TestConsole::new("");
    home.start().await.stop().await;
    // The keychain was reset; the recovery key brought the database key back, and only that.
    let (name, database) = entry(&home, "database-key");
    home.keychain = Arc::new(MemoryKeychain::default());
    home.keychain.set(&name, &database.into()).unwrap();

    for start in 0..2 {
        let console = home.start().await;
        let verdict = verdict(&console).await;
        assert!(verdict.good, "{verdict:?}");
        assert_eq!(verdict.keys.len(), 2, "start {start}: {verdict:?}");
        assert!(verdict.keys[1].note.contains("without the word of the key before"), "{verdict:?}");
        let entries = console.console.compliance.audit.entries(NEW_KEY, None, 10).await.unwrap();
        assert_eq!(entries.rows.iter().filter(|r| r.action == NEW_KEY).count(), 1, "start {start}: {entries:?}");
        console.stop().await;
    }
    assert!(entry(&home, "audit-signing-key").1.contains(' '), "the keychain remembers from where the key signs");
}

#[tokio::test]
async fn the_recovery_key_of_another_database_comes_with_a_signing_key_of_its_own() {
    let home = TestConsole::new("");
    home.start().await.stop().await;
    let before = entry(&home, "audit-signing-key").1;
    let recover = async |hex: &str| {
        let text = wf_platform::recovery_key(&DatabaseKey::from_hex(hex).unwrap());
        wf_platform::keys::recover(text.expose_secret(), home.keychain.clone(), &home.paths).await.unwrap();
        entry(&home, "audit-signing-key").1
    };
    assert_eq!(recover(&entry(&home, "database-key").1).await, before, "the same database, the same log");
    assert_ne!(recover(&"ab".repeat(32)).await, before);
}
