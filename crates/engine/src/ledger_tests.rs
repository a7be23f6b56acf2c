use wf_model::Actor;

use super::*;
use crate::testing::Room;

fn action(n: u32) -> Vec<AuditAction> {
    vec![AuditAction {
        at: Timestamp::now(),
        actor: Actor::Engine,
        action: "test".into(),
        subject: format!("n{n}"),
        payload: serde_json::json!({ "n": n }),
    }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_memory_and_disk_in_step() {
    let room = Room::new("").await;
    let ledger = &room.context.ledger;
    for n in 0..200 {
        let going = tokio::spawn({
            let ledger = ledger.clone();
            async move { ledger.record(action(n)).await }
        });
        // Somewhere between before the beginning and after the end.
        for _ in 0..n % 40 {
            tokio::task::yield_now().await;
        }
        going.abort();
        ledger.record(action(n)).await.expect("the number of an entry was given twice");
    }
    let stored = ledger.store().audit_hashes().await.unwrap().len() as u64;
    assert_eq!(stored, ledger.log().size());
    ledger.close().await;
}

#[tokio::test]
async fn a_change_that_panics_ends_alone_and_the_next_one_is_carried_out() {
    let room = Room::new("").await;
    let ledger = &room.context.ledger;
    let failed = ledger.commit(|_| panic!("a caller's mistake")).await;
    assert!(failed.is_err());
    ledger.record(action(1)).await.unwrap();
    assert_eq!(ledger.log().size(), 1);
    ledger.close().await;
}

#[tokio::test]
async fn nothing_is_written_after_the_end() {
    let room = Room::new("").await;
    let ledger = &room.context.ledger;
    ledger.record(action(1)).await.unwrap();
    ledger.close().await;
    assert!(matches!(ledger.record(action(2)).await, Err(StoreError::Closed)));
    assert!(ledger.store().commit(&Commit::default()).await.is_err(), "the database was opened again behind its lock");
}

#[tokio::test]
async fn what_was_sent_before_the_end_is_carried_out() {
    let room = Room::new("").await;
    let ledger = room.context.ledger.clone();
    let (sent, closed) = tokio::join!(ledger.record(action(1)), async {
        tokio::task::yield_now().await;
        ledger.close().await;
    });
    assert_eq!((sent.is_ok(), closed), (true, ()));
}
