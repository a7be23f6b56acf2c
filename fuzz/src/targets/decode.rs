//! From frames to events: cutting, mapping, deduplication, quarantine, and the line an event is stored as.
//!
//! The first byte, a digit, chooses how the feed is configured; RS ends a frame. Each built-in mapping reads it alone,
//! then all of them in turn.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use wf_feeds::ingest::{Pressure, Seed};
use wf_feeds::mapping::BUILT_IN;
use wf_feeds::{Delivery, FeedConfig, Ingest, Mapping, Tally};
use wf_model::{Event, FeedCounts, FeedName, GapReason, Seq};
use wf_store::events::{StoredEvent, fuzzing};

use crate::Target;
use crate::assert::{is_same, is_sentence};
use crate::events::{NOW, RECORD};

pub const TARGET: Target = Target {
    name: "decode",
    check,
    words: &[
        "\"timestamp\":",
        "\"event\":",
        "\"type\":",
        "\"id\":\"1\"",
        "\"offset\":7",
        "\"offset\":8",
        "\"epoch\":\"a\"",
        "\"epoch\":\"b\"",
        "\"recovered\":false",
        "\"events\":[",
        "\"data\":\"",
        "login_failed",
        "\"ip\":\"203.0.113.9\"",
        "Jan 12 10:00:01 edge sshd[4711]: ",
        "Failed password for root from 203.0.113.45 port 51234 ssh2",
        "message repeated 1000000 times: [ ",
        "]",
        " | level=WARNING | event=login_failed | ",
        "<34>1 ",
        "Feb 29 23:59:60 ",
        "\"@timestamp\":\"2026-02-22T22:00:00Z\"",
        "\"source\":{\"ip\":",
        "ssh2: RSA SHA256:",
    ],
    more,
    runs: 800,
};

/// How hostile, or merely odd, a feed may be configured.
const SETTINGS: &[&str] = &[
    "",
    "decode = { split = 'ndjson' }",
    "decode = { split = 'json-array' }",
    "decode = { events = '/events/*', ignore = [{ pointer = '/type', equals = 'hello' }] }",
    "decode = { unwrap = ['/data'] }",
    "decode = { unwrap = ['', '/0'], events = '/*' }",
    "decode = { split = 'ndjson', ignore = [{ pointer = '/type' }, { pointer = '/n', equals = 1.5 }] }",
    "limits = { frame = '1KiB', json_depth = 3, events_per_frame = 2 }",
    "decode = { split = 'ndjson', unwrap = ['/data'] }\nzone = 'Europe/Berlin'\noldest = '1d'",
    "decode = { events = '/a~1b/0/~0/*' }\nlimits = { json_depth = 1, events_per_frame = 1 }",
];

struct Feed {
    config: Arc<FeedConfig>,
    mappings: Vec<Arc<[Mapping]>>,
}

static FEEDS: LazyLock<Vec<Feed>> = LazyLock::new(|| {
    let each = BUILT_IN.iter().map(|(name, _)| Mapping::built_in(name).unwrap());
    let mut mappings: Vec<Arc<[Mapping]>> = each.clone().map(|m| Arc::from([m])).collect();
    mappings.push(each.collect());
    let feed = |settings: &&str| {
        let text = format!(
            "url = 'ws://127.0.0.1/'\ndedup = {{ id = '/id', most = 4 }}\nresume = {{ cursor = '/offset', epoch = \
             '/epoch', recovered = '/recovered' }}\n{settings}\n"
        );
        let config: FeedConfig = toml::from_str(&text).unwrap();
        Feed { config: Arc::new(config), mappings: mappings.clone() }
    };
    SETTINGS.iter().map(feed).collect()
});

fn check(input: &[u8]) {
    let Some((choice, frames)) = input.split_first() else { return };
    let feed = &FEEDS[usize::from(choice.wrapping_sub(b'0')) % FEEDS.len()];
    let frames: Vec<&[u8]> = frames.split(|b| *b == RECORD).collect();
    for mappings in &feed.mappings {
        run(feed.config.clone(), mappings.clone(), &frames);
    }
}

fn run(config: Arc<FeedConfig>, mappings: Arc<[Mapping]>, frames: &[&[u8]]) {
    let tally = Tally::default();
    let mut ingest =
        Ingest::new(FeedName::new("f"), config.clone(), mappings, Seed { tally: tally.clone(), ..Seed::default() })
            .back_to(config.oldest);
    if let Some(zone) = config.zone {
        ingest = ingest.in_zone(zone);
    }
    let mut sum = FeedCounts::default();
    for (n, frame) in frames.iter().enumerate() {
        let now = NOW + Duration::from_secs(n as u64);
        if n % 5 == 0 {
            ingest.on_connected(now);
        }
        if frame.is_empty() {
            // A frame that cannot even be received.
            if !ingest.step_over_poison(now, "it breaks the stream") {
                ingest.lost_frame(now, "it breaks the stream");
            }
        }
        let pressure = [Pressure::None, Pressure::None, Pressure::High, Pressure::Full][n % 4];
        ingest.on_frame(now, Bytes::copy_from_slice(frame), pressure);
        if n % 2 == 0
            && let Some(delivery) = ingest.take()
        {
            sum.add(&delivery.counts);
            delivered(delivery, &config);
        }
    }
    if let Some(delivery) = ingest.take() {
        sum.add(&delivery.counts);
        delivered(delivery, &config);
    }
    assert!(ingest.take().is_none(), "what was taken is taken again");
    let numbers = tally.numbers();
    assert!(numbers.balance() && numbers.in_flight == 0 && numbers.committed == sum, "{numbers:?} {sum:?}");
}

fn delivered(delivery: Delivery, config: &FeedConfig) {
    let counts = delivery.counts;
    assert_eq!(counts.received, counts.settled(), "what was received has one fate: {counts:?}");
    assert_eq!(counts.stored, delivery.events.len() as u64);
    assert_eq!(counts.quarantined, delivery.quarantine.len() as u64);
    let shed: u64 = delivery.gaps.iter().filter(|g| g.reason == GapReason::Overload).filter_map(|g| g.estimated).sum();
    assert_eq!(counts.discarded, shed, "what is shed is in a gap");
    for gap in &delivery.gaps {
        assert!(gap.from <= gap.to, "{gap:?}");
    }
    for q in &delivery.quarantine {
        is_sentence(&q.error);
        assert!(q.raw.len() as u64 <= q.length && q.raw.len() <= 64 << 10 && q.sha256.len() == 64);
    }
    let held: usize = delivery.events.iter().map(|e| e.raw.len()).sum();
    assert!(delivery.weight >= held, "{} bytes weigh {}", held, delivery.weight);
    for (n, event) in delivery.events.iter().enumerate() {
        admitted(event, config);
        let numbered = Event { seq: Seq(n as u64 + 1), ..event.clone() };
        let line = fuzzing::write(&numbered);
        is_same(&StoredEvent::from(&numbered), &fuzzing::read(&line).unwrap());
    }
    delivery.held.settle(&counts);
}

fn admitted(event: &Event, config: &FeedConfig) {
    assert!(event.raw.len() <= config.limits.frame);
    assert!(event.occurred_at <= event.received_at + Duration::from_secs(300), "a stamp of the future was believed");
    assert!(event.occurred_at >= event.received_at - config.oldest, "a stamp of long ago was believed");
    // What a mapping itself says comes on top of what a record may hold.
    assert!(event.fields.len() <= 200 + 64, "{} fields", event.fields.len());
    assert!(event.fields.weight() < 1 << 20, "fields of {} bytes", event.fields.weight());
    let mut names: Vec<&str> = event.fields.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), event.fields.len(), "a field is there twice");
    assert!(names.iter().all(|n| n.len() <= 512), "a name of {:?} bytes", names.iter().map(|n| n.len()).max());
}

/// Shapes that once took all memory, and lines that were once all refused.
fn more() -> Vec<Vec<u8>> {
    let key = "k".repeat(340 << 10);
    let leaves: Vec<String> = (0..200).map(|n| format!("\"a{n}\":\"v\"")).collect();
    let keys: Vec<String> = (0..300).map(|n| format!("\"{}{n}\":{n}", "n".repeat(300))).collect();
    vec![
        format!("0{{\"{key}\":{{{}}}}}", leaves.join(",")).into_bytes(),
        format!("0{{{}}}", keys.join(",")).into_bytes(),
        format!("2[{}1]", "1,".repeat(60_000)).into_bytes(),
        format!("0{}1{}", "[".repeat(30_000), "]".repeat(30_000)).into_bytes(),
        format!("0{}", "{\"event\":".repeat(3000)).into_bytes(),
        format!("0{{\"event\":\"x\",\"timestamp\":{}}}", "9".repeat(400)).into_bytes(),
        format!("1{}", "[2026-01-12 10:00:01] INFO x\n".repeat(50)).into_bytes(),
    ]
}
