//! Events written as text, so that a corpus can be made and read by hand.
//!
//! Events end with RS (0x1E), their parts with US (0x1F): the text as it came in, the identifier, then fields as
//! `name=value`. A value is text, or `#7`, `~1.5`, `!t`, `!f`, or a list as `[a,#1`.

use std::time::Duration;

use wf_model::{Event, FeedName, Fields, Seq, Timestamp, Value};

/// Ends an event, or a frame.
pub const RECORD: u8 = 0x1e;
const PART: char = '\u{1f}';

/// 2026-02-22T22:00:00Z
pub const NOW: Timestamp = Timestamp::from_millis(1_771_797_600_000);

/// The events of this text, numbered from 1.
pub fn of(input: &[u8]) -> Vec<Event> {
    (1..).zip(input.split(|b| *b == RECORD)).map(|(seq, text)| event(seq, &String::from_utf8_lossy(text))).collect()
}

fn event(seq: u64, text: &str) -> Event {
    let mut parts = text.split(PART);
    let raw = parts.next().unwrap_or_default();
    let id = parts.next().filter(|id| !id.is_empty());
    let mut fields = Fields::default();
    for part in parts {
        let (name, text) = part.split_once('=').unwrap_or((part, ""));
        fields.set(name.into(), value(text));
    }
    // Also moments that nobody could mean: their difference is more than a number holds.
    let (occurred_at, received_at) = match id {
        Some("!") => (Timestamp::from_millis(i64::MAX), Timestamp::from_millis(i64::MIN)),
        _ => (NOW + Duration::from_secs(seq * 7 % 60), NOW + Duration::from_secs(seq)),
    };
    Event {
        seq: Seq(seq),
        feed: FeedName::new(if seq.is_multiple_of(3) { "edge-\u{202e}\"1" } else { "shop" }),
        id: id.map(Into::into),
        occurred_at,
        received_at,
        skewed: seq.is_multiple_of(5),
        conflict: seq.is_multiple_of(7),
        fields,
        raw: raw.into(),
    }
}

fn value(text: &str) -> Value {
    match text.strip_prefix('[') {
        Some(list) => Value::List(list.split(',').map(scalar).collect()),
        None => scalar(text),
    }
}

fn scalar(text: &str) -> Value {
    let integer = text.strip_prefix('#').and_then(|t| t.parse().ok()).map(Value::Int);
    let float =
        || text.strip_prefix('~').and_then(|t| t.parse().ok()).filter(|f: &f64| f.is_finite()).map(Value::Float);
    integer.or_else(float).unwrap_or_else(|| match text {
        "!t" => Value::Bool(true),
        "!f" => Value::Bool(false),
        _ => Value::str(text),
    })
}
