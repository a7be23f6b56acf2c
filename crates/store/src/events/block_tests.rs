use proptest::prelude::*;

use super::super::line::tests::any_event;
use super::*;

/// Small enough for a test to reach every bound.
const SMALL: Bounds = Bounds { events: 4, bytes: 700, line: 6000 };
/// No line is cut.
const WIDE: Bounds = Bounds { line: 1 << 20, ..SMALL };

fn sealed(bounds: Bounds, events: &[Event]) -> Vec<Sealed> {
    seal_within(bounds, events.iter()).unwrap()
}

fn read(bounds: Bounds, b: &Sealed) -> Vec<StoredEvent> {
    let unpacked = unpack_within(bounds, &b.body).expect("whatever is sealed can be unpacked");
    lines(&unpacked).map(|l| line::decode(l).unwrap()).collect()
}

fn numbered(events: Vec<Event>) -> Vec<Event> {
    (1..).zip(events).map(|(n, e)| Event { seq: Seq(n), ..e }).collect()
}

fn plain(raw: &str) -> Event {
    Event {
        seq: Seq(1),
        feed: wf_model::FeedName::new("f"),
        id: Some("id".into()),
        occurred_at: wf_model::Timestamp::from_millis(5),
        received_at: wf_model::Timestamp::from_millis(9),
        skewed: false,
        conflict: false,
        fields: Fields::default(),
        raw: raw.into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sealed_can_be_unpacked_and_is_what_went_in(
        events in prop::collection::vec((any_event(), 0..4usize), 1..24),
    ) {
        // Some are far longer than a block: the control characters become six bytes each.
        let events = events.into_iter().map(|(e, long)| {
            let raw = format!("{}{}", e.raw.as_str(), "\u{1}".repeat(long * 150));
            Event { raw: raw.as_str().into(), ..e }
        });
        let events = numbered(events.collect());
        let blocks = sealed(WIDE, &events);
        let mut next = 1;
        for b in &blocks {
            prop_assert_eq!((b.first_seq.0, b.last_seq.0), (next, next + b.n as u64 - 1), "no holes");
            next += b.n as u64;
            let unpacked = unpack_within(WIDE, &b.body).unwrap();
            prop_assert!(b.n == 1 || unpacked.len() <= WIDE.bytes, "only a single line may be longer");
        }
        prop_assert_eq!(next as usize, events.len() + 1);
        let back: Vec<_> = blocks.iter().flat_map(|b| read(WIDE, b)).collect();
        prop_assert_eq!(back, events.iter().map(StoredEvent::from).collect::<Vec<_>>());
    }
}

#[test]
fn t11_a_line_larger_than_a_block_is_a_block_of_its_own() {
    let long = "\u{1}".repeat(300);
    let events = numbered([plain("a"), plain(&long), plain("b"), plain("c")].to_vec());
    let blocks = sealed(WIDE, &events);
    assert_eq!(blocks.iter().map(|b| b.n).collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!(read(WIDE, &blocks[1])[0].raw, long);
}

#[test]
fn t11_an_event_beyond_every_bound_is_cut_and_says_so() {
    let mut monster = plain(&"ü\u{1}".repeat(5000));
    monster.fields.set("k".repeat(9000).as_str().into(), Value::Int(1));
    let blocks = sealed(SMALL, &numbered(vec![plain("before"), monster.clone(), plain("after")]));
    let back: Vec<_> = blocks.iter().flat_map(|b| read(SMALL, b)).collect();
    assert_eq!(back.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(back[1].id.as_deref(), Some("id"));
    assert_eq!(back[1].fields["watchfloor.cut"], true);
    assert!(!back[1].raw.is_empty() && monster.raw.as_str().starts_with(&back[1].raw));
}

#[test]
fn a_block_that_is_written_anew_keeps_the_line_that_cannot_be_read() {
    let entries = [Entry::Event(plain("kept")), Entry::Unreadable(b"{\"s\":2,\"f\":".to_vec())];
    let new = reseal(&entries).unwrap().unwrap();
    let span = Span { first: 1, last: 2 };
    let scanned = scan(&new.body, span, &Query::default(), None, 9);
    assert_eq!((new.n, new.times), (2, None));
    assert_eq!(scanned.hits.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [1]);
    assert_eq!((scanned.damaged[0].first, scanned.damaged[0].last), (Seq(2), Seq(2)));
    assert!(reseal(&[]).unwrap().is_none());
}

#[test]
fn a_body_that_is_not_ours_is_named_and_found_empty() {
    let span = Span { first: 10, last: 19 };
    let scanned = scan(b"nothing of zstd", span, &Query::default(), None, 9);
    assert!(scanned.hits.is_empty());
    assert_eq!((scanned.damaged[0].first, scanned.damaged[0].last), (Seq(10), Seq(19)));
}
