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

#[tokio::test]
async fn a_change_that_landed_although_its_disk_said_it_failed_does_not_keep_the_next_from_being_written() {
    let room = Room::new("").await;
    let ledger = &room.context.ledger;
    ledger.record(action(1)).await.unwrap();
    // On the disk, and not in memory.
    let (leaves, checkpoint, _) = ledger.log().append(Timestamp::now(), &action(2), keys::salt);
    let landed = Commit { leaves, checkpoint: Some(checkpoint), ..Commit::default() };
    ledger.store().commit(&landed).await.unwrap();
    assert_eq!(ledger.store().holds(&landed).await, Some(true));

    assert!(ledger.record(action(3)).await.is_err(), "it was built on what was not true");
    ledger.record(action(3)).await.unwrap();
    assert_eq!(ledger.log().size(), 3);
    let (leaves, checkpoints) =
        (ledger.store().audit_leaves().await.unwrap(), ledger.store().audit_checkpoints().await.unwrap());
    let signers = wf_evidence::Signers::from(&ledger.log().public_key());
    assert!(wf_evidence::verify::verify(&signers, &leaves, &checkpoints, None).good());
    ledger.close().await;
}

#[tokio::test]
async fn whether_a_commit_is_on_the_disk_is_told_by_its_events_and_its_entries() {
    let room = Room::new("").await;
    let ledger = &room.context.ledger;
    let store = ledger.store();
    let events = |from: u64| Arc::new((from..from + 3).map(|n| crate::testing::event(n, "x")).collect::<Vec<_>>());
    let commit = Commit { events: events(1), ..Commit::default() };
    assert_eq!(store.holds(&commit).await, Some(false));
    store.commit(&commit).await.unwrap();
    assert_eq!(store.holds(&commit).await, Some(true));
    assert_eq!(store.holds(&Commit { events: events(4), ..Commit::default() }).await, Some(false));
    let (leaves, ..) = ledger.log().append(Timestamp::now(), &action(1), keys::salt);
    let both = Commit { events: events(1), leaves, ..Commit::default() };
    assert_eq!(store.holds(&both).await, None, "another commit stands where this one belongs");
    ledger.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_bulk_action_that_cannot_be_written_to_its_end_each_says_whether_it_was_done() {
    let room = Room::new("").await;
    let ledger = &room.context.ledger;
    let now = Timestamp::now();
    let opened = ledger
        .change(move |book| {
            let found: Vec<_> = (0..AT_ONCE * 2).map(|n| crate::testing::found(now, &format!("u{n}"))).collect();
            Ok(book.fold(now, &found))
        })
        .await
        .unwrap();
    let ids: Vec<String> = opened.incidents.iter().map(|i| i.id.0.clone()).take(AT_ONCE * 2).collect();
    let (closing, turns) = (ledger.clone(), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let (counted, waiting) = (turns.clone(), ledger.jobs.clone());
    let acted = ledger
        .act_on_many(&ids, move |i, _| {
            // Between two turns the store is closed: it has its turn, too.
            if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                let closing = closing.clone();
                // From outside the runtime: what this thread spawns would wait for this thread.
                let runtime = tokio::runtime::Handle::current();
                std::thread::spawn(move || runtime.spawn(async move { closing.close().await }));
                while waiting.capacity() == waiting.max_capacity() {
                    std::thread::yield_now();
                }
            }
            Ok(Changes { incidents: vec![Incident { version: i.version + 1, ..i.clone() }], ..Changes::default() })
        })
        .await;
    let (changes, each) = acted.unwrap();
    assert_eq!((changes.incidents.len(), each.len()), (AT_ONCE, AT_ONCE * 2));
    assert!(each[..AT_ONCE].iter().all(Result::is_ok));
    assert!(each[AT_ONCE..].iter().all(|e| matches!(e, Err(ActError::NotWritten(_)))));
    assert_eq!(turns.load(Ordering::Relaxed), AT_ONCE);
}
