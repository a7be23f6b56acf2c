use proptest::prelude::*;

use wf_model::FeedCounts;

use super::*;

fn config(text: &str) -> Arc<FeedConfig> {
    Arc::new(toml::from_str(&format!("url = \"wss://x\"\nmap = \"auth-event\"\n{text}")).unwrap())
}

const RESUMING: &str = r#"resume = { cursor = "/offset", epoch = "/epoch", recovered = "/recovered" }
dedup = { id = "/id" }
decode = { ignore = [{ pointer = "/type", equals = "hello" }] }"#;

fn ingest(text: &str, seed: Seed) -> Ingest {
    Ingest::new(FeedName::new("f"), config(text), Arc::from([Mapping::built_in("auth-event").unwrap()]), seed)
}

fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn feed(i: &mut Ingest, now: i64, frame: &str) -> Option<Delivery> {
    i.on_frame(at_ms(now), Bytes::copy_from_slice(frame.as_bytes()), Pressure::None);
    i.take()
}

#[test]
fn an_event_with_its_cursor_and_epoch_is_one_delivery() {
    let mut i = ingest(RESUMING, Seed::default());
    let d = feed(&mut i, 5000, r#"{"type":"hello","epoch":"e1","recovered":true}"#).unwrap();
    assert_eq!((d.counts.received, d.counts.filtered, d.gaps.len()), (1, 1, 0));
    let d = feed(&mut i, 5000, r#"{"id":"a","offset":7,"event":"login_failed","ip":"1.1.1.1","timestamp":4}"#).unwrap();
    assert_eq!(d.position, Some(Position { epoch: Some("e1".into()), cursor: Some("7".into()) }));
    assert_eq!((d.events.len(), d.counts.stored, d.events[0].occurred_at), (1, 1, at_ms(4000)));
}

#[test]
fn the_same_event_again_is_a_duplicate_and_the_same_id_with_other_content_is_kept_and_flagged() {
    let mut i = ingest(RESUMING, Seed::default());
    let one = r#"{"id":"a","offset":1,"event":"login_failed","ip":"1.1.1.1","timestamp":4}"#;
    feed(&mut i, 5000, one);
    let d = feed(&mut i, 6000, one).unwrap();
    assert_eq!((d.events.len(), d.counts.duplicates), (0, 1));
    let d =
        feed(&mut i, 7000, r#"{"id":"a","offset":2,"event":"login_success","ip":"1.1.1.1","timestamp":4}"#).unwrap();
    assert!(d.events[0].conflict, "t14: the attacker's earlier event must not suppress this one");
}

#[test]
fn an_event_without_a_time_of_its_own_that_comes_again_is_a_duplicate_and_no_conflict() {
    let mut i = ingest(RESUMING, Seed::default());
    let text = r#"{"id":"a","offset":1,"event":"login_failed","ip":"1.1.1.1"}"#;
    feed(&mut i, 5000, text);
    assert_eq!(feed(&mut i, 9000, text).unwrap().counts.duplicates, 1);
}

#[test]
fn what_was_stored_before_a_restart_is_known_after_it() {
    let mut i = ingest(RESUMING, Seed::default());
    let text = r#"{"id":"a","offset":1,"event":"login_failed","ip":"1.1.1.1","timestamp":4}"#;
    let event = feed(&mut i, 5000, text).unwrap().events.remove(0);
    let seed = Seed { recent: vec![("a".into(), content_hash(&event), event.received_at)], ..Seed::default() };
    assert_eq!(feed(&mut ingest(RESUMING, seed), 9000, text).unwrap().counts.duplicates, 1);
}

#[test]
fn a_cursor_never_goes_back_and_a_new_epoch_is_a_gap_that_starts_anew() {
    let mut i = ingest(
        RESUMING,
        Seed {
            position: Position { epoch: Some("e1".into()), cursor: Some("50".into()) },
            heard_at: Some(at_ms(1)),
            ..Seed::default()
        },
    );
    feed(&mut i, 10, r#"{"id":"a","offset":7,"event":"x"}"#);
    assert_eq!(i.cursor(), Some("50"));
    let d = feed(&mut i, 20, r#"{"type":"hello","epoch":"e2","recovered":false}"#).unwrap();
    assert_eq!(
        d.gaps.iter().map(|g| (g.reason, g.from, g.to)).collect::<Vec<_>>(),
        [(GapReason::EpochChanged, at_ms(10), at_ms(20))]
    );
    feed(&mut i, 30, r#"{"id":"b","offset":1,"event":"x"}"#);
    assert_eq!(i.cursor(), Some("1"));
}

#[test]
fn a_server_that_cannot_replay_leaves_a_gap() {
    let position = Position { epoch: Some("e".into()), cursor: Some("5".into()) };
    let mut i = ingest(RESUMING, Seed { position, heard_at: Some(at_ms(100)), ..Seed::default() });
    i.on_connected(at_ms(900));
    let d = feed(&mut i, 1000, r#"{"type":"hello","epoch":"e","recovered":false}"#).unwrap();
    assert_eq!(d.gaps.iter().map(|g| g.reason).collect::<Vec<_>>(), [GapReason::NotRecovered]);
    let mut best_effort = ingest("", Seed { heard_at: Some(at_ms(100)), ..Seed::default() });
    best_effort.on_connected(at_ms(900));
    assert_eq!(
        best_effort.take().unwrap().gaps.iter().map(|g| (g.reason, g.from)).collect::<Vec<_>>(),
        [(GapReason::Disconnected, at_ms(100))]
    );
}

#[test]
fn garbage_goes_to_quarantine_with_its_hash_and_loses_nothing_else() {
    let mut i = ingest(RESUMING, Seed::default());
    let frames: [&[u8]; 6] = [b"{", b"\xff\xfe", b"[]", b"{\"foo\":1}", b"plain text", b"\"string\""];
    for frame in frames {
        i.on_frame(at_ms(1), Bytes::copy_from_slice(frame), Pressure::None);
    }
    i.on_frame(at_ms(1), Bytes::from_static(br#"{"id":"a","offset":1,"event":"x"}"#), Pressure::None);
    let d = i.take().unwrap();
    assert_eq!((d.counts.received, d.counts.quarantined, d.counts.stored), (7, 6, 1));
    assert!(d.quarantine.iter().all(|q| q.sha256.len() == 64 && !q.error.is_empty()));
}

#[test]
fn a_frame_beyond_the_limit_is_kept_as_a_stub_and_stepped_past() {
    let mut i = ingest(&format!("{RESUMING}\nlimits = {{ frame = \"1KiB\" }}"), Seed::default());
    let d =
        feed(&mut i, 1, &format!(r#"{{"id":"a","offset":9,"event":"x","pad":"{}"}}"#, "x".repeat(200_000))).unwrap();
    assert_eq!((d.counts.quarantined, d.quarantine[0].raw.len(), d.quarantine[0].length > 200_000), (1, KEPT, true));
    assert_eq!(i.cursor(), Some("9"));
}

#[test]
fn a_stamp_far_in_the_future_is_not_believed() {
    let mut i = ingest("", Seed::default());
    let d = feed(&mut i, 1_000_000_000_000, r#"{"event":"x","timestamp":4000000000}"#).unwrap();
    assert!(d.events[0].skewed && d.events[0].occurred_at == at_ms(1_000_000_000_000));
}

#[test]
fn under_pressure_the_ordinary_is_shed_first_and_every_run_has_a_gap() {
    let mut i = ingest("", Seed::default());
    for pressure in [Pressure::High, Pressure::Full] {
        i.on_frame(at_ms(1), Bytes::from_static(br#"{"event":"token_refresh"}"#), pressure);
        i.on_frame(at_ms(2), Bytes::from_static(br#"{"event":"login_failed"}"#), pressure);
    }
    let d = i.take().unwrap();
    assert_eq!((d.counts.received, d.counts.stored, d.counts.discarded), (4, 1, 3));
    assert_eq!(d.gaps.iter().map(|g| (g.reason, g.estimated)).collect::<Vec<_>>(), [(GapReason::Overload, Some(3))]);
}

fn with_mapping(text: &str, mapping: &str) -> Ingest {
    Ingest::new(FeedName::new("f"), config(text), Arc::from([Mapping::parse(mapping).unwrap()]), Seed::default())
}

fn sshd(text: &str) -> Ingest {
    Ingest::new(FeedName::new("f"), config(text), Arc::from([Mapping::built_in("sshd").unwrap()]), Seed::default())
}

#[test]
fn t11_a_name_longer_than_512_bytes_is_dropped_and_the_event_says_so() {
    let mut i =
        Ingest::new(FeedName::new("f"), config(""), Arc::from([Mapping::built_in("ecs").unwrap()]), Seed::default());
    let leaves: Vec<_> = (0..200).map(|n| format!(r#""k{n}":1"#)).collect();
    let frame = format!(r#"{{"event":{{"action":"x"}},"{}":{{{}}}}}"#, "a".repeat(340_000), leaves.join(","));
    let d = feed(&mut i, 5000, &frame).unwrap();
    let event = &d.events[0];
    assert_eq!(event.fields.get_str("event.action"), Some("x"));
    assert_eq!(event.fields.get("watchfloor.dropped_fields"), Some(&Value::Int(1)));
    assert!(event.fields.weight() < 2000, "{}", event.fields.weight());
    assert!(event.raw.as_str() == frame && d.weight >= frame.len());
}

#[test]
fn a_small_record_of_a_large_frame_is_a_copy_and_does_not_keep_the_frame() {
    let mut i = ingest("decode = { events = \"/events/*\" }", Seed::default());
    let frame = format!(r#"{{"events":[{{"event":"x"}}],"pad":"{}"}}"#, "x".repeat(1 << 20));
    let frame = Bytes::from(frame);
    i.on_frame(at_ms(1), frame.clone(), Pressure::None);
    let d = i.take().unwrap();
    assert_eq!((d.events.len(), d.events[0].raw.as_str()), (1, r#"{"event":"x"}"#));
    assert!(frame.is_unique(), "the event holds the frame");
    assert!(d.weight < 4096, "{}", d.weight);
}

#[test]
fn a_large_record_that_is_a_slice_of_its_frame_weighs_what_it_keeps() {
    let mut i = ingest("decode = { events = \"/events/*\" }", Seed::default());
    let event = format!(r#"{{"event":"x","pad":"{}"}}"#, "x".repeat(200_000));
    let frame = format!(r#"{{"events":[{event}],"pad":"{}"}}"#, "x".repeat(100_000));
    let d = feed(&mut i, 1, &frame).unwrap();
    assert!(d.weight >= frame.len(), "{}", d.weight);
}

#[test]
fn t11_of_a_frame_of_too_many_records_the_rest_is_counted_one_by_one_and_a_gap_says_so() {
    let mut i = ingest("decode = { split = \"json-array\" }\nlimits = { events_per_frame = 5000 }", Seed::default());
    let event = r#"{"event":"x"}"#;
    let d = feed(&mut i, 1, &format!("[{}]", vec![event; 5001].join(","))).unwrap();
    assert_eq!((d.counts.received, d.counts.stored, d.counts.discarded), (5001, 5000, 1));
    assert_eq!(d.gaps.iter().map(|g| (g.reason, g.estimated)).collect::<Vec<_>>(), [(GapReason::Overload, Some(1))]);
    assert!(d.quarantine.is_empty());
}

#[test]
fn one_bad_line_of_many_is_one_row_of_quarantine() {
    let mut i = ingest("decode = { split = \"ndjson\" }", Seed::default());
    let frame = b"{\"event\":\"a\"}\n\xff\xfe{\"event\":\"b\"}\n{\"event\":\"c\"}\n{\"event\":";
    i.on_frame(at_ms(1), Bytes::from_static(frame), Pressure::None);
    let d = i.take().unwrap();
    assert_eq!((d.counts.received, d.counts.stored, d.counts.quarantined), (4, 2, 2));
    assert!(d.quarantine[0].error.contains("UTF-8") && d.quarantine[0].length == 15, "{:?}", d.quarantine[0]);
}

#[test]
fn a_line_that_begins_like_json_is_still_a_line() {
    let mut i = with_mapping(
        "",
        r"
        name = 'app'
        input = 'syslog'
        [[pattern]]
        regex = '^\[[^\]]*\] production\.(?P<level>\w+): (?P<what>.*)$'
        fields = { level = 'log.level', what = 'event.reason' }
        ",
    );
    let d = feed(&mut i, 1, "[2026-01-10 14:31:22] production.ERROR: no such table [42]").unwrap();
    assert_eq!((d.counts.stored, d.counts.quarantined), (1, 0));
    assert_eq!(d.events[0].fields.get_str("event.reason"), Some("no such table [42]"));
    let d = feed(&mut ingest("", Seed::default()), 1, "[2026-01-10 14:31:22] production.ERROR: x").unwrap();
    assert_eq!(d.counts.quarantined, 1);
    assert!(d.quarantine[0].error.starts_with("not JSON"), "{}", d.quarantine[0].error);
}

#[test]
fn an_event_stamped_in_the_millisecond_of_its_receipt_is_a_duplicate_when_it_comes_again() {
    let mut i = ingest(RESUMING, Seed::default());
    let text = r#"{"id":"a","offset":1,"event":"login_failed","timestamp":4}"#;
    assert_eq!(feed(&mut i, 4000, text).unwrap().events.len(), 1);
    assert_eq!(feed(&mut i, 9000, text).unwrap().counts.duplicates, 1);
}

#[test]
fn an_event_whose_stamp_was_too_far_ahead_is_a_duplicate_when_its_time_has_come() {
    let mut i = ingest(RESUMING, Seed::default());
    let text = r#"{"id":"a","offset":1,"event":"login_failed","timestamp":1000}"#;
    let d = feed(&mut i, 600_000, text).unwrap();
    assert!(d.events[0].skewed);
    assert_eq!(d.events[0].fields.get_str("watchfloor.claimed_at"), Some("1970-01-01T00:16:40.000Z"));
    assert_eq!(feed(&mut i, 900_000, text).unwrap().counts.duplicates, 1);
}

#[test]
fn t14_each_content_under_one_identifier_is_stored_once_however_often_it_comes() {
    let mut i = ingest(RESUMING, Seed::default());
    let mut stored = Vec::new();
    for action in ["a", "b", "b", "b", "a"] {
        let text = format!(r#"{{"id":"1","event":"{action}","timestamp":4}}"#);
        stored.extend(feed(&mut i, 5000, &text).unwrap().events);
    }
    let stored: Vec<_> = stored.iter().map(|e| (e.fields.get_str("event.action").unwrap(), e.conflict)).collect();
    assert_eq!(stored, [("a", false), ("b", true)]);
}

#[test]
fn a_stamp_of_long_ago_is_kept_beside_the_event_and_is_not_its_time() {
    let now = Timestamp::parse("2026-11-20T12:00:00Z").unwrap().millis();
    let text = r#"{"event":"x","timestamp":"1970-01-01T00:00:01Z"}"#;
    let d = feed(&mut ingest("", Seed::default()), now, text).unwrap();
    assert_eq!((d.events[0].occurred_at, d.events[0].skewed), (at_ms(now), false));
    assert_eq!(d.events[0].fields.get_str("watchfloor.time"), Some("implausible"));
    assert_eq!(d.events[0].fields.get_str("watchfloor.claimed_at"), Some("1970-01-01T00:00:01.000Z"));
    let d = feed(&mut ingest("", Seed::default()).of_recorded_events(), now, text).unwrap();
    assert_eq!((d.events[0].occurred_at, d.events[0].fields.get_str("watchfloor.time")), (at_ms(1000), None));
    let century = Duration::from_secs(100 * 366 * 86_400);
    let d = feed(&mut ingest("", Seed::default()).back_to(century), now, text).unwrap();
    assert_eq!(d.events[0].occurred_at, at_ms(1000));
    let d = feed(&mut ingest("", Seed::default()), now, r#"{"event":"x"}"#).unwrap();
    assert_eq!(d.events[0].fields.get_str("watchfloor.time"), Some("receipt"));
}

#[test]
fn a_stamp_without_a_zone_is_of_the_zone_of_its_feed() {
    let now = Timestamp::parse("2026-11-20T18:00:00Z").unwrap().millis();
    let mut i = ingest("", Seed::default()).in_zone(Tz::America__New_York);
    let d = feed(&mut i, now, r#"{"event":"x","timestamp":"2026-11-20 12:00:00"}"#).unwrap();
    assert_eq!(d.events[0].occurred_at, Timestamp::parse("2026-11-20T17:00:00Z").unwrap());
    let mut i = sshd("").in_zone(Tz::America__New_York);
    for (line, expected) in [
        ("Nov 20 12:00:00 h sshd[1]: x", "2026-11-20T17:00:00Z"),
        ("2026-11-20T12:00:00+00:00 h sshd[1]: x", "2026-11-20T12:00:00Z"),
    ] {
        let d = feed(&mut i, now, line).unwrap();
        assert_eq!(Some(d.events[0].occurred_at), Timestamp::parse(expected), "{line}");
    }
}

#[test]
fn t13_a_cursor_that_leaps_is_not_taken_and_one_gap_says_so() {
    let mut i = ingest(RESUMING, Seed::default());
    feed(&mut i, 10, r#"{"id":"a","offset":7,"event":"x"}"#);
    let leap = r#"{"offset":18446744073709551615,"event":"x"}"#;
    let d = feed(&mut i, 20, leap).unwrap();
    assert_eq!((d.position.is_none(), d.counts.stored), (true, 1));
    assert_eq!(d.gaps.iter().map(|g| g.reason).collect::<Vec<_>>(), [GapReason::NotRecovered]);
    assert!(feed(&mut i, 30, leap).unwrap().gaps.is_empty(), "it is said once");
    feed(&mut i, 40, r#"{"id":"b","offset":8,"event":"x"}"#);
    assert_eq!(i.cursor(), Some("8"));
}

#[test]
fn the_text_of_a_folded_line_is_kept_once() {
    let mut i = sshd("");
    let line = "message repeated 100 times: [ Failed password for root from 10.0.0.5 port 22 ssh2]";
    let d = feed(&mut i, 1, line).unwrap();
    assert_eq!((d.counts.received, d.events.len()), (100, 100));
    assert_eq!(d.events.iter().filter(|e| e.raw.as_str() == line).count(), 1);
    assert!(d.events.iter().all(|e| e.fields.get_str("event.action") == Some("login_failed")));
}

/// How many lines of a log count as failed logins, by address.
fn failures(log: &str) -> Vec<(String, usize)> {
    let mut i = sshd("");
    let mut found = std::collections::BTreeMap::new();
    for line in log.lines() {
        for event in feed(&mut i, 1_000_000, line).unwrap().events {
            if event.fields.get_str("event.action") == Some("login_failed") {
                *found.entry(event.fields.get_str("source.ip").unwrap().to_owned()).or_insert(0) += 1;
            }
        }
    }
    found.into_iter().collect()
}

#[test]
fn the_attackers_in_logs_of_sshd_are_found_with_passwords_and_without() {
    for (name, log, expected) in [
        ("unknown users, keys only", include_str!("../tests/sshd/unknown-users.txt"), &[("203.0.113.9", 6)][..]),
        ("known users, keys only", include_str!("../tests/sshd/keys-only.txt"), &[("198.51.100.7", 6)][..]),
        (
            "passwords",
            include_str!("../tests/sshd/passwords.txt"),
            &[("198.51.100.7", 3), ("2001:db8::9", 2), ("203.0.113.9", 4)][..],
        ),
        ("not an attack", include_str!("../tests/sshd/no-login.txt"), &[][..]),
    ] {
        let expected: Vec<_> = expected.iter().map(|(ip, n)| ((*ip).to_owned(), *n)).collect();
        assert_eq!(failures(log), expected, "{name}");
    }
}

#[test]
fn a_further_word_about_an_attempt_that_comes_again_is_a_duplicate() {
    let text = "dedup = { id = \"/id\" }";
    let failed = r#"{"id":"1","message":"Failed password for root from 10.0.0.5 port 22 ssh2"}"#;
    let closed = r#"{"id":"2","message":"Connection closed by authenticating user root 10.0.0.5 port 22 [preauth]"}"#;
    let mut i = sshd(text);
    feed(&mut i, 1000, failed);
    let event = feed(&mut i, 2000, closed).unwrap().events.remove(0);
    assert_eq!(event.fields.get_str("event.action"), Some("connection_closed"));
    let recent = vec![("2".to_owned(), content_hash(&event), event.received_at)];
    let mut after = Ingest::new(
        FeedName::new("f"),
        config(text),
        Arc::from([Mapping::built_in("sshd").unwrap()]),
        Seed { recent, ..Seed::default() },
    );
    assert_eq!(feed(&mut after, 3000, closed).unwrap().counts.duplicates, 1);
}

#[derive(Clone, Debug)]
enum Step {
    Frame(Vec<u8>),
    Event { id: u8, offset: u16, action: u8 },
    Batch(Vec<u8>),
    Hello { epoch: u8, recovered: bool },
    Connected,
    Poison,
    Take,
    Restart,
}

fn step() -> impl Strategy<Value = (Step, u8, i64)> {
    let step = prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Frame),
        8 => (any::<u8>(), any::<u16>(), 0u8..3).prop_map(|(id, offset, action)| Step::Event { id, offset, action }),
        2 => prop::collection::vec(any::<u8>(), 0..6).prop_map(Step::Batch),
        1 => (0u8..3, any::<bool>()).prop_map(|(epoch, recovered)| Step::Hello { epoch, recovered }),
        1 => Just(Step::Connected),
        1 => Just(Step::Poison),
        3 => Just(Step::Take),
        1 => Just(Step::Restart),
    ];
    (step, 0u8..6, -100_000i64..200_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// The conservation law, whatever comes, in whatever order, with the clock jumping and the process dying in
    /// between.
    #[test]
    fn everything_received_has_exactly_one_fate(steps in prop::collection::vec(step(), 1..80), batches in any::<bool>()) {
        let text = if batches { format!("{}\n", RESUMING.replace("decode = {", "decode = { events = \"/events/*\", ")) } else { RESUMING.to_owned() };
        let mut machine = ingest(&text, Seed::default());
        let mut now = 1_000_000_000;
        let (mut sent, mut total, mut stored, mut committed) = (0u64, FeedCounts::default(), Vec::<(String, u64, Timestamp)>::new(), Seed::default());
        let mut commit = |d: Option<Delivery>, committed: &mut Seed, stored: &mut Vec<_>| -> u64 {
            let Some(d) = d else { return 0 };
            assert_eq!(d.counts.settled(), d.counts.received, "a delivery leaves nothing open");
            total.add(&d.counts);
            for e in &d.events { if let Some(id) = &e.id { stored.push((id.to_string(), content_hash(e), e.received_at)); } }
            if let Some(p) = d.position { committed.position = p; }
            committed.heard_at = Some(d.heard_at);
            d.counts.received
        };
        for (step, pressure, jump) in steps {
            now += jump;
            let pressure = match pressure { 0 => Pressure::Full, 1 => Pressure::High, _ => Pressure::None };
            let t = at_ms(now);
            let frame = |machine: &mut Ingest, bytes: Vec<u8>| machine.on_frame(t, Bytes::from(bytes), pressure);
            match step {
                Step::Frame(bytes) => { sent += 1; frame(&mut machine, bytes) }
                Step::Event { id, offset, action } => { sent += 1; frame(&mut machine, format!(r#"{{"id":"{id}","offset":{offset},"event":"a{action}"}}"#).into_bytes()) }
                Step::Batch(ids) => {
                    sent += if batches { ids.len() as u64 } else { 1 };
                    let items: Vec<_> = ids.iter().map(|id| format!(r#"{{"id":"{id}","event":"x"}}"#)).collect();
                    frame(&mut machine, format!(r#"{{"offset":1,"events":[{}]}}"#, items.join(",")).into_bytes());
                }
                Step::Hello { epoch, recovered } => { sent += 1; frame(&mut machine, format!(r#"{{"type":"hello","epoch":"{epoch}","recovered":{recovered}}}"#).into_bytes()) }
                Step::Connected => machine.on_connected(t),
                Step::Poison => { if machine.step_over_poison(t, "bad frame") { sent += 1; } }
                Step::Take => { commit(machine.take(), &mut committed, &mut stored); }
                Step::Restart => {
                    // What was taken is committed; the rest dies with the process and is not counted anywhere.
                    if let Some(lost) = machine.take() { sent -= lost.counts.received; }
                    machine = ingest(&text, Seed { recent: stored.clone(), ..committed.clone() });
                }
            }
        }
        commit(machine.take(), &mut committed, &mut stored);
        prop_assert_eq!(total.settled(), total.received);
        prop_assert_eq!(total.received, sent, "every record sent is received once");
        let fates = total.stored + total.duplicates + total.quarantined + total.filtered + total.discarded;
        prop_assert_eq!(total.received, fates);
        let mut unique = stored.clone();
        unique.sort();
        unique.dedup_by(|a, b| (&a.0, a.1) == (&b.0, b.1));
        let distinct: std::collections::HashSet<_> = stored.iter().map(|(id, _, _)| id).collect();
        prop_assert!(unique.len() >= distinct.len());
    }
}
