//! What cannot be read is named and stepped over; nothing else suffers from it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use wf_model::*;
use wf_store::events::{Decide, Fate, Quick, StoredEvent};
use wf_store::{Commit, Store};

mod common;
use common::*;

#[tokio::test]
async fn an_erased_text_in_brackets_stops_neither_a_search_nor_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    for (n, place) in [(3, "hot"), (1500, "sealed")] {
        let store = Store::open(&path, &key()).await.unwrap();
        let from = store.next_seq().await.0;
        store.commit(&events(from, n)).await.unwrap();
        let quick: Quick = Arc::new(|_: &str| true);
        let decide: Decide = Arc::new(move |e: &StoredEvent| {
            if e.seq != Seq(from) {
                return Fate::Keep;
            }
            Fate::Replace(Box::new(StoredEvent { raw: "[erased] logged in as [erased]".into(), ..e.clone() }))
        });
        assert_eq!(store.rewrite_events(&quick, &decide).await.unwrap().replaced, 1);
        assert_eq!(search(&store, "\"logged in\"", 1).await, [from], "{place}");
        store.close().await;
        let store = Store::open(&path, &key()).await.unwrap();
        assert_eq!(store.events_by_seq(&[Seq(from)]).await.unwrap()[0].raw, "[erased] logged in as [erased]");
        store.commit(&Commit { seal: true, ..Commit::default() }).await.unwrap();
        store.close().await;
    }
}
