//! Copies count once they were read to their end, and a copy put back leaves nothing half-way.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use wf_model::*;
use wf_store::{Commit, DatabaseKey, Store, StoreError, finish_restore, restore};

mod common;
use common::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn refused() -> StoreError {
    StoreError::Damaged { what: "audit log", reason: "the root is another".into() }
}

async fn with_events(path: &Path, n: u64) -> Store {
    let store = Store::open(path, &key()).await.unwrap();
    let leaf = Leaf { index: 0, header: "{}".into(), payload: None, salt: None, payload_hash: [1; 32], hash: [2; 32] };
    store.commit(&Commit { leaves: vec![leaf], ..events(1, n) }).await.unwrap();
    store
}

#[tokio::test]
async fn a_backup_is_whole_encrypted_with_the_same_key_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    store.commit(&events(1, 1500)).await.unwrap();
    let to = dir.path().join("copy.db");
    store.backup(&to, |_| Ok(())).await.unwrap();
    assert!(store.backup(&to, |_| Ok(())).await.is_err());
    store.commit(&events(1501, 10)).await.unwrap();
    let copy = Store::open(&to, &key()).await.unwrap();
    assert_eq!((copy.count_events().await.unwrap(), search(&copy, "line", 5000).await.len()), (1500, 1500));
    copy.close().await;
    let other = DatabaseKey::from_hex(&"22".repeat(32)).unwrap();
    assert!(matches!(Store::open(&to, &other).await, Err(StoreError::WrongKey { .. })));
    store.close().await;
}

#[tokio::test]
async fn a_backup_has_its_name_only_after_it_was_checked() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_events(&dir.path().join("db"), 20).await;
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let to = out.join("copy.db");
    std::fs::write(out.join("copy.db.part"), "what a killed attempt left").unwrap();
    let failed = store
        .backup(&to, |audit| {
            assert_eq!((audit.hashes.as_slice(), &audit.checkpoint), (&[[2; 32]][..], &None));
            assert_eq!(names(&out), ["copy.db.part"], "it is not there yet");
            Err(refused())
        })
        .await;
    assert!(matches!(failed, Err(StoreError::Damaged { what: "audit log", .. })));
    assert_eq!(names(&out), [] as [&str; 0]);
    store.backup(&to, |_| Ok(())).await.unwrap();
    assert_eq!(names(&out), ["copy.db"]);
    store.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn t9_a_backup_is_private_from_its_first_byte_and_follows_no_link() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let store = with_events(&dir.path().join("db"), 20).await;
    let (to, target) = (dir.path().join("copy.db"), dir.path().join("elsewhere"));
    std::os::unix::fs::symlink(&target, &to).unwrap();
    assert!(store.backup(&to, |_| Ok(())).await.is_err(), "a dangling link is not the way to another file");
    std::fs::remove_file(&to).unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join("copy.db.part")).unwrap();
    let part = dir.path().join("copy.db.part");
    store
        .backup(&to, |_| {
            assert_eq!(std::fs::symlink_metadata(&part).unwrap().permissions().mode() & 0o777, 0o600);
            Ok(())
        })
        .await
        .unwrap();
    assert!(!target.exists());
    store.close().await;
}

#[tokio::test]
async fn a_backup_is_put_back_and_the_database_that_was_there_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("db"), dir.path().join("copy.db"));
    let store = with_events(&path, 20).await;
    store.backup(&copy, |_| Ok(())).await.unwrap();
    store.commit(&events(21, 5)).await.unwrap();
    store.close().await;
    let before = names(dir.path());
    let other = DatabaseKey::from_hex(&"22".repeat(32)).unwrap();
    assert!(matches!(restore(&copy, &other, &path, |_| Ok(())).await, Err(StoreError::WrongKey { .. })));
    assert!(restore(&copy, &key(), &path, |_| Err(refused())).await.is_err());
    let broken = dir.path().join("broken.db");
    let mut bytes = std::fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&broken, bytes).unwrap();
    assert!(restore(&broken, &key(), &path, |_| Ok(())).await.is_err());
    std::fs::remove_file(&broken).unwrap();
    assert_eq!(names(dir.path()), before, "nothing was changed");
    let aside = restore(&copy, &key(), &path, |_| Ok(())).await.unwrap().unwrap();
    for (file, n) in [(&path, 20), (&aside, 25), (&copy, 20)] {
        let store = Store::open(file, &key()).await.unwrap();
        assert_eq!(store.count_events().await.unwrap(), n, "{}", file.display());
        store.close().await;
    }
    let store = Store::open(&path, &key()).await.unwrap();
    assert_eq!(store.old_copies(), [aside], "an erasure finds it");
    store.close().await;
}

#[tokio::test]
async fn a_database_that_was_not_closed_is_not_put_back_without_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let (path, killed) = (dir.path().join("db"), dir.path().join("killed.db"));
    let store = with_events(&path, 20).await;
    std::fs::copy(&path, &killed).unwrap();
    std::fs::copy(dir.path().join("db-wal"), dir.path().join("killed.db-wal")).unwrap();
    store.close().await;
    let refused = restore(&killed, &key(), &path, |_| Ok(())).await.unwrap_err();
    assert!(refused.to_string().contains("-wal"), "{refused}");
    Store::open(&killed, &key()).await.unwrap().close().await;
    restore(&killed, &key(), &path, |_| Ok(())).await.unwrap();
    let store = Store::open(&path, &key()).await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 20);
    store.close().await;
}

#[tokio::test]
async fn a_restore_that_was_interrupted_is_ended_by_the_next_start() {
    // After the backup was checked, after the log was moved, after the database was.
    for moved in [vec![], vec!["-wal"], vec!["-wal", ""]] {
        let dir = tempfile::tempdir().unwrap();
        let (path, ready) = (dir.path().join("db"), dir.path().join("db.restored"));
        let store = with_events(&path, 20).await;
        store.backup(&ready, |_| Ok(())).await.unwrap();
        store.commit(&events(21, 5)).await.unwrap();
        store.close().await;
        std::fs::write(dir.path().join("db-wal"), "of the old one").unwrap();
        for suffix in &moved {
            let (from, to) = (format!("db{suffix}"), format!("db.before-restore-1{suffix}"));
            std::fs::rename(dir.path().join(from), dir.path().join(to)).unwrap();
        }
        finish_restore(&path).unwrap();
        assert_eq!(names(dir.path()), ["db", "db.before-restore-1", "db.before-restore-1-wal"], "{moved:?}");
        let store = Store::open(&path, &key()).await.unwrap();
        assert_eq!(store.count_events().await.unwrap(), 20);
        store.close().await;
    }
}
