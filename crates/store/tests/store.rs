//! The store as its callers see it, on a real encrypted file.
//!
//! Each test closes its store: a process that ends while a connection's thread still encrypts may crash in libcrypto's
//! own clean-up.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use wf_model::*;
use wf_store::events::{Most, Query, StoredEvent};
use wf_store::incidents::IncidentFilter;
use wf_store::{Commit, DatabaseKey, FeedProgress, Store, StoreError};

mod common;
use common::*;

#[tokio::test]
async fn events_come_back_as_they_went_in_from_the_hot_table_and_from_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    let odd_text = "plain | text with \"quotes\" \\ and\ttab\nand ünïcode";
    let mut all = Vec::new();
    for (from, n) in [(1, 10), (11, 1500), (1511, 3), (1514, 4000), (5514, 7)] {
        let mut c = events(from, n);
        Arc::get_mut(&mut c.events).unwrap()[0].raw = Raw::from(odd_text);
        store.commit(&c).await.unwrap();
        all.extend(c.events.iter().cloned());
    }
    let mut store = store;
    for _ in ["as written", "after a restart"] {
        assert_eq!(store.count_events().await.unwrap(), 5520);
        assert_eq!(store.next_seq().await, Seq(5521));
        let wanted: Vec<Seq> = [1, 2, 11, 700, 1511, 1512, 3000, 5514, 5520, 9999].map(Seq).to_vec();
        let got = store.events_by_seq(&wanted).await.unwrap();
        assert_eq!(got.len(), 9);
        for e in got {
            let original = &all[e.seq.0 as usize - 1];
            assert_eq!(&e.to_event(), &Event { fields: e.to_event().fields, ..original.clone() });
            assert_eq!(e.fields["user.name"], original.fields.get_str("user.name").unwrap());
            assert_eq!(e.raw, original.raw.as_str());
        }
        store.close().await;
        store = Store::open(&path, &key()).await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn the_file_is_encrypted_and_the_wrong_key_is_told_from_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    store.commit(&events(1, 50)).await.unwrap();
    for file in ["db", "db-wal"] {
        let bytes = std::fs::read(dir.path().join(file)).unwrap();
        assert!(!bytes.windows(4).any(|w| w == b"host"), "{file} holds plain text");
        assert!(!bytes.starts_with(b"SQLite format 3"), "{file}");
    }
    store.close().await;
    let other = DatabaseKey::from_hex(&"ab".repeat(32)).unwrap();
    assert!(matches!(Store::open(&path, &other).await, Err(StoreError::WrongKey { .. })));
    assert!(matches!(DatabaseKey::from_hex("short"), Err(StoreError::BadKey)));
    assert_eq!(format!("{:?}", key()), "DatabaseKey(…)", "t8: the key is never printed");
    let plain = dir.path().join("plain");
    std::fs::write(&plain, b"SQLite format 3\0and so on and so on and so on").unwrap();
    assert!(matches!(Store::open(&plain, &key()).await, Err(StoreError::NotEncrypted { .. })), "t15");
    let store = Store::open(&path, &key()).await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 50);
    store.close().await;
}

#[tokio::test]
async fn searches_by_word_field_substring_and_time_find_exactly_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    store.commit(&events(1, 3000)).await.unwrap();
    store.commit(&events(3001, 20)).await.unwrap();
    assert_eq!(search(&store, "", 3).await, [3020, 3019, 3018]);
    assert_eq!(search(&store, "HOST-2", 2).await, [3020, 3017]);
    assert_eq!(search(&store, "2999", 9).await, [2999]);
    assert_eq!(search(&store, "user.name=user4 feed=odd host-0", 2).await, [3009, 2979]);
    assert_eq!(search(&store, "n=3 -feed=odd", 2).await, [3020, 3006]);
    assert_eq!(search(&store, "\"ine 17 fr\"", 9).await, [17]);
    assert_eq!(search(&store, "nobody", 9).await, [] as [u64; 0]);
    assert_eq!(search(&store, "hos", 9).await, [] as [u64; 0], "a word is whole");
    assert_eq!(search(&store, "host", 2).await, [3020, 3019], "a part between marks is a word");
    let mut q = Query::parse("host-1").unwrap();
    q.since = Some(Timestamp::from_millis(1_100_000));
    q.until = Some(Timestamp::from_millis(1_105_000));
    let found = store.search(&q, None, 100, &AtomicBool::new(false), |_| {}).await.unwrap();
    assert_eq!(found.events.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [103, 100]);
    store.close().await;
}

#[tokio::test]
async fn a_search_stops_at_a_weight_and_goes_on_from_there_in_blocks_and_out_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    store.commit(&events(1, 1500)).await.unwrap();
    store.commit(&events(1501, 40)).await.unwrap();
    let everything = store.search(&Query::default(), None, 9999, &AtomicBool::new(false), |_| {}).await.unwrap().events;
    let most = Most { events: 9999, bytes: everything.iter().map(StoredEvent::weight).sum::<usize>() / 100 };
    let (mut before, mut seen, mut pages) = (None, Vec::new(), 0);
    loop {
        let page = store.search_within(&Query::default(), before, most, &AtomicBool::new(false), |_| {}).await.unwrap();
        let heaviest = page.events.iter().map(StoredEvent::weight).max().unwrap_or_default();
        assert!(page.events.iter().map(StoredEvent::weight).sum::<usize>() < most.bytes + heaviest);
        seen.extend(page.events);
        pages += 1;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert!(pages > 50 && seen == everything, "{pages} pages, {} events", seen.len());
    store.close().await;
}

#[tokio::test]
async fn a_search_pages_without_repeating_and_can_be_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    for i in 0..8 {
        store.commit(&events(1 + i * 1500, 1500)).await.unwrap();
    }
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page =
            store.search(&Query::parse("host-1").unwrap(), before, 700, &AtomicBool::new(false), |_| {}).await.unwrap();
        seen.extend(page.events.iter().map(|e| e.seq.0));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 4000);
    assert!(seen.windows(2).all(|w| w[0] > w[1]));
    let cancel = AtomicBool::new(false);
    let mut calls = 0;
    let page = store
        .search(&Query::parse("-host-1 \"host-9\"").unwrap(), None, 10, &cancel, |p| {
            calls += 1;
            assert!(p.looked_at <= p.total);
            cancel.store(true, Ordering::Relaxed);
        })
        .await
        .unwrap();
    assert!(page.cancelled && page.next.is_some() && calls == 1);
    store.close().await;
}

#[tokio::test]
async fn a_commit_is_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let entry = TimelineEntry {
        incident: IncidentId("missing".into()),
        version: 1,
        ordinal: 0,
        at: Timestamp::EPOCH,
        actor: Actor::Engine,
        kind: EntryKind::Note,
        text: "x".into(),
    };
    // The timeline entry has no incident: the foreign key fails when everything else was written already.
    let broken = Commit { timeline: vec![entry], feeds: vec![progress(5)], ..events(1, 1200) };
    assert!(store.commit(&broken).await.is_err());
    assert_eq!(store.count_events().await.unwrap(), 0);
    assert!(store.feeds().await.unwrap().is_empty());
    store.commit(&Commit { feeds: vec![progress(5)], ..events(1, 1200) }).await.unwrap();
    assert!(matches!(store.commit(&events(1, 1)).await, Err(StoreError::Sequence { expected: 1201, got: 1 })));
    assert_eq!(store.feeds().await.unwrap()[0].counts.received, 5);
    store.close().await;
}

fn progress(received: u64) -> FeedProgress {
    FeedProgress {
        feed: FeedName::new("f"),
        position: Some(Position { epoch: Some("e".into()), cursor: Some("7".into()) }),
        counts: FeedCounts { received, stored: received, ..FeedCounts::default() },
        heard_at: Timestamp::from_millis(9),
    }
}

fn incident(number: u64, severity: Severity) -> Incident {
    Incident {
        id: IncidentId(format!("{number:016x}")),
        number,
        version: 1,
        rule: "r".into(),
        rule_title: "R".into(),
        kind: "K".into(),
        severity,
        entity: Some(Entity { field: "source.ip".into(), value: "10.0.0.1".into() }),
        state: IncidentState::Open,
        message: Message(vec![Part::Count, Part::Text(" things".into())]),
        count: 5,
        feeds: vec![FeedName::new("f")],
        first_seen: Timestamp::from_millis(1),
        last_seen: Timestamp::from_millis(2),
        detected_at: Timestamp::from_millis(3),
        acknowledged_at: None,
        acknowledged_by: None,
        acknowledged_count: None,
        resolved_at: None,
        resolved_by: None,
        verdict: None,
        recurrence_of: Some(1),
        first_events: vec![Seq(1)],
        last_events: vec![],
        actions: vec!["block_ip_30m".into()],
        handling: Default::default(),
    }
}

#[tokio::test]
async fn applying_a_change_twice_or_an_older_one_later_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let first = incident(1, Severity::P2);
    let mut second = first.clone();
    (second.version, second.count, second.state) = (2, 9, IncidentState::Acknowledged);
    second.acknowledged_by = Some("Ann".into());
    let entry = TimelineEntry {
        incident: first.id.clone(),
        version: 2,
        ordinal: 0,
        at: Timestamp::EPOCH,
        actor: Actor::Operator("Ann".into()),
        kind: EntryKind::Acknowledged,
        text: "t".into(),
    };
    for incidents in [vec![first.clone()], vec![second.clone()], vec![second.clone()], vec![first.clone()]] {
        let timeline = if incidents[0].version == 2 { vec![entry.clone()] } else { vec![] };
        store.commit(&Commit { incidents, timeline, ..Commit::default() }).await.unwrap();
    }
    assert_eq!(store.incident("1").await.unwrap(), Some(second.clone()));
    assert_eq!(store.incident("#1").await.unwrap(), Some(second.clone()));
    assert_eq!(store.incident(&first.id.0).await.unwrap(), Some(second));
    assert_eq!(store.timeline(&first.id).await.unwrap(), [entry]);
    store
        .commit(&Commit { incidents: vec![incident(2, Severity::P1), incident(3, Severity::P4)], ..Commit::default() })
        .await
        .unwrap();
    let all = store.incidents(&IncidentFilter::default(), 10).await.unwrap();
    assert_eq!(all.iter().map(|i| i.number).collect::<Vec<_>>(), [2, 1, 3]);
    assert_eq!(store.live_by_severity().await.unwrap(), [1, 1, 0, 1]);
    let p4 = IncidentFilter { severity: Some(Severity::P4), ..IncidentFilter::default() };
    assert_eq!(store.incidents(&p4, 10).await.unwrap().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn the_quarantine_is_bounded_and_keeps_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let stub = |i: i64| Quarantined {
        feed: FeedName::new("f"),
        at: Timestamp::from_millis(i),
        error: "e".into(),
        raw: vec![0xff],
        length: 1,
        sha256: "00".into(),
        cursor: None,
    };
    store.commit(&Commit { quarantine: (0..10_100).map(stub).collect(), ..Commit::default() }).await.unwrap();
    let kept = store.quarantine(20_000).await.unwrap();
    assert_eq!((kept.len(), kept[0].at), (10_000, Timestamp::from_millis(10_099)));
    store.close().await;
}

#[tokio::test]
async fn gaps_are_bounded_and_the_newest_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let gap = |i: i64| Gap {
        feed: FeedName::new("f"),
        from: Timestamp::from_millis(i),
        to: Timestamp::from_millis(i + 1),
        reason: GapReason::parse("overload").unwrap(),
        estimated: None,
    };
    store.commit(&Commit { gaps: (0..10_050).map(gap).collect(), ..Commit::default() }).await.unwrap();
    let kept = store.gaps(20_000).await.unwrap();
    assert_eq!((kept.len(), kept[0].from), (10_000, Timestamp::from_millis(10_049)));
    store.close().await;
}

#[tokio::test]
async fn minutes_before_retention_and_minutes_that_no_clock_has_come_to_are_deleted() {
    use wf_store::rates::RateDelta;
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let minute = |m: i64| RateDelta { minute: m, total: 1, ..RateDelta::default() };
    let now = 30_000_000;
    // One event of 1970 for each of many minutes, the last two hours, and a day that lies in the year 3000.
    let minutes = (0..6000).chain(now - 120..=now + 60).chain([now * 20]);
    store.commit(&Commit { rates: minutes.map(minute).collect(), ..Commit::default() }).await.unwrap();
    let at = |m: i64| Timestamp::from_millis(m * 60_000);
    assert_eq!(store.prune_rates(at(now - 60), at(now)).await.unwrap(), 6000 + 60 + 1);
    let left = store.rates(at(0), at(now * 30), 1).await.unwrap();
    assert_eq!((left.len(), left[0].from), (121, at(now - 60)));
    assert_eq!(store.prune_rates(at(now - 60), at(now)).await.unwrap(), 0);
    store.close().await;
}

#[tokio::test]
async fn what_was_folded_into_an_incident_is_read_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
    let i = incident(1, Severity::P2);
    let part = |version: u64| Folded {
        incident: i.id.clone(),
        version,
        at: Timestamp::from_millis(1),
        first_seen: Timestamp::from_millis(1),
        last_seen: Timestamp::from_millis(2),
        count: 1,
        rule: "r".into(),
        entity: None,
        events: vec![Seq(version)],
        moved_to: (version == 4).then_some(9),
    };
    let folded = (1..=2500).map(part).collect();
    store.commit(&Commit { incidents: vec![i.clone()], folded, ..Commit::default() }).await.unwrap();
    let versions = |page: Vec<Folded>| page.iter().map(|f| f.version).collect::<Vec<_>>();
    assert_eq!(versions(store.folded_page(&i.id, 0, 4).await.unwrap()), [1, 2, 3, 5]);
    assert_eq!(versions(store.folded_page(&i.id, 2498, 4).await.unwrap()), [2499, 2500]);
    assert_eq!(versions(store.folded(&i.id).await.unwrap()).len(), 2499);
    store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bloom filters, needles and blocks change nothing: the result is that of reading everything.
    #[test]
    fn a_search_equals_a_plain_scan(
        texts in prop::collection::vec("[a-cA-C .=\"\\\\é{}\\[\\]-]{0,14}", 1..60),
        query in "(\"[a-cé .]{1,6}\"|[a-c.-]{1,5}|user.name=[a-c]{1,2})( [a-c]{1,2})?",
        repeat in 1usize..40,
    ) {
        let Ok(query) = Query::parse(&query) else { return Ok(()) };
        let all: Vec<Event> = texts.iter().cycle().take(texts.len() * repeat).enumerate()
            .map(|(i, t)| event(i as u64 + 1, &t.chars().filter(|c| c.is_alphanumeric()).take(2).collect::<String>(), &serde_json::to_string(&[t]).unwrap()[..])).collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&dir.path().join("db"), &key()).await.unwrap();
            store.commit(&Commit { events: Arc::new(all.clone()), ..Commit::default() }).await.unwrap();
            let found = store.search(&query, None, usize::MAX, &AtomicBool::new(false), |_| {}).await.unwrap();
            let got: Vec<u64> = found.events.iter().map(|e| e.seq.0).collect();
            let everything = store.search(&Query::default(), None, usize::MAX, &AtomicBool::new(false), |_| {}).await.unwrap();
            let expected: Vec<u64> = everything.events.iter().filter(|e| query.matches(e)).map(|e| e.seq.0).collect();
            prop_assert_eq!(everything.events.len(), all.len());
            store.close().await;
            prop_assert_eq!(got, expected);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn blocks_are_rewritten_event_by_event_and_found_again_by_their_new_words_alone() {
    use wf_store::events::{Decide, Fate, Quick, StoredEvent};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    for (from, n) in [(1, 3000), (3001, 20)] {
        store.commit(&events(from, n)).await.unwrap();
    }
    let quick: Quick = Arc::new(|text: &str| text.contains("user3"));
    let decide: Decide = Arc::new(|e: &StoredEvent| match e.fields.get("user.name").and_then(|v| v.as_str()) {
        Some("user3") if e.seq.0.is_multiple_of(2) => Fate::Drop,
        Some("user3") => {
            let mut new = e.clone();
            new.fields.insert("user.name".into(), "nobody".into());
            Fate::Replace(Box::new(new))
        }
        _ => Fate::Keep,
    });
    let done = store.rewrite_events(&quick, &decide).await.unwrap();
    assert_eq!((done.replaced, done.dropped), (302, 302));
    assert_eq!(store.rewrite_events(&quick, &decide).await.unwrap(), Default::default(), "done again, nothing changes");
    let check = async |store: &Store| {
        assert_eq!(
            (
                search(store, "user.name=user3", 5000).await.len(),
                search(store, "user.name=nobody", 5000).await.len(),
                search(store, "user.name=user4", 5000).await.len()
            ),
            (0, 302, 604)
        );
        assert_eq!(store.count_events().await.unwrap(), 3020 - 302);
    };
    check(&store).await;
    store.commit(&events(3021, 5)).await.unwrap();
    store.close().await;
    let store = Store::open(&path, &key()).await.unwrap();
    assert_eq!(store.next_seq().await, Seq(3026), "numbers go on");
    store.close().await;
}

#[tokio::test]
async fn deleted_blocks_give_their_space_back_and_their_numbers_are_never_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path, &key()).await.unwrap();
    let mut c = events(1, 120_000);
    c.detector = Some((Seq(120_000), vec![1]));
    store.commit(&c).await.unwrap();
    store.truncate_log().await.unwrap();
    let before = store.size_on_disk();
    let all = store.blocks(Seq(0), Timestamp::from_millis(i64::MAX), false).await.unwrap();
    for some in all.chunks(wf_store::events::DELETED_AT_ONCE) {
        store.delete_blocks(&some.iter().map(|b| b.first).collect::<Vec<_>>()).await.unwrap();
    }
    while store.give_back(64).await.unwrap() > 0 {}
    store.truncate_log().await.unwrap();
    assert_eq!(store.count_events().await.unwrap(), 0);
    assert!(store.size_on_disk() * 3 < before, "{before} became {}", store.size_on_disk());
    store.close().await;
    let store = Store::open(&path, &key()).await.unwrap();
    assert_eq!(store.next_seq().await, Seq(120_001));
    store.close().await;
}
