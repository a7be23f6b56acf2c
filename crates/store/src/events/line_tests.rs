use proptest::prelude::*;
use wf_model::Value;

use super::*;

#[test]
fn a_value_that_stands_in_the_text_is_written_once_and_read_back() {
    let mut fields = wf_model::Fields::default();
    for (name, value) in [
        ("user.name", wf_model::Value::str("ann")),
        ("n", wf_model::Value::Int(3)),
        ("ok", wf_model::Value::Bool(true)),
        ("own", wf_model::Value::str("elsewhere")),
        ("user.id", wf_model::Value::str("3")),
    ] {
        fields.set(name.into(), value);
    }
    let event = Event {
        seq: Seq(1),
        feed: FeedName::new("f"),
        id: Some("e-1".into()),
        occurred_at: Timestamp::from_millis(5),
        received_at: Timestamp::from_millis(7),
        skewed: false,
        conflict: false,
        fields,
        raw: r#"{"id":"e-1","u":"bob","who":"ann","who2":"ann","count":3,"fine":true,"esc":"a\"b"}"#.into(),
    };
    let mut line = Vec::new();
    encode(&event, &mut line);
    let text = String::from_utf8(line.clone()).unwrap();
    let pointers = r##""p":{"user.name":"who","n":"count","ok":"fine","user.id":"#count"}"##;
    assert!(text.contains(&format!(r#""j":"id","t":5,"d":2,{pointers},"x":{{"own":"elsewhere"}}"#)), "{text}");
    assert_eq!(StoredEvent::from(&event), decode(&line).unwrap());
}

fn plain(raw: &str) -> Event {
    Event {
        seq: Seq(7),
        feed: FeedName::new("f"),
        id: None,
        occurred_at: Timestamp::from_millis(5),
        received_at: Timestamp::from_millis(9),
        skewed: false,
        conflict: false,
        fields: wf_model::Fields::default(),
        raw: raw.into(),
    }
}

/// The line of an event as it was written when a text in brackets was taken for JSON.
fn old_line(fields: &str, raw: &str) -> Vec<u8> {
    format!("{{\"s\":7,\"f\":\"f\",\"t\":5,\"d\":4{fields},\"w\":{raw}}}\n").into_bytes()
}

const BRACKETED: [&str; 6] = [
    "[erased]",
    "[erased] logged in as [erased]",
    "[erased] - - [..] GET /x 200 upstream=[10.0.0.2]",
    "{},\"q\":{}",
    "{\"user\":\"ann\"} and {then some}",
    "[1],\"x\":{\"user.name\":\"bob\"},\"w\":[2]",
];

#[test]
fn an_erased_text_in_brackets_is_written_so_that_it_is_read_again() {
    for raw in BRACKETED {
        let mut line = Vec::new();
        encode(&plain(raw), &mut line);
        assert!(serde_json::from_slice::<serde_json::Value>(&line).is_ok(), "{}", String::from_utf8_lossy(&line));
        assert_eq!(decode(&line).unwrap(), StoredEvent::from(&plain(raw)));
    }
}

#[test]
fn an_old_line_whose_text_is_no_json_is_read_as_it_stands() {
    for raw in BRACKETED {
        let event = decode(&old_line(",\"x\":{\"w\":1,\"a\":\"},\\\"w\\\":\"}", raw)).unwrap();
        assert_eq!(event.raw, raw);
        assert_eq!(event.fields["a"], "},\"w\":");
        assert_eq!(event.fields["w"], 1);
    }
    // Keys of the object that the text begins with were pointed to, whatever came behind it.
    let event = decode(&old_line(",\"p\":{\"user.name\":\"user\"},\"x\":{}", BRACKETED[4])).unwrap();
    assert_eq!(event.fields["user.name"], "ann");
}

#[test]
fn a_line_that_is_beyond_reading_still_tells_its_number() {
    for line in [&b"{\"s\":42,\"f\":\"sh"[..], b"{\"s\":42,\"x\":{},\"w\":\"cut"] {
        assert!(matches!(decode(line), Err(StoreError::Damaged { what: "event", .. })));
        assert_eq!(number(line), Some(Seq(42)));
    }
    assert_eq!(number(b"nonsense"), None);
}

fn value() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        ".{0,12}".prop_map(|s| Value::str(&s)),
        "-?[0-9]{1,4}".prop_map(|s| Value::str(&s)),
        any::<i32>().prop_map(|i| Value::Int(i.into())),
        // Quarters, which are written and read without rounding.
        any::<i16>().prop_map(|n| Value::Float(f64::from(n) / 4.0)),
        any::<bool>().prop_map(Value::Bool),
    ];
    one.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::List))
}

/// Any event: its text is anything at all, or looks like JSON, or holds its own fields.
pub fn any_event() -> impl Strategy<Value = Event> {
    let text = prop_oneof![
        any::<String>(),
        "[\\x00-\\xff]{0,40}",
        "[\\[{][ -~]{0,30}[\\]}]",
        "[\\[{][\\[\\]{}\",:wpsx0-9a\\\\ -]{0,30}[\\]}]",
    ];
    let fields = prop::collection::btree_map("[a-cwx.#\"\\\\é]{1,4}", value(), 0..6);
    let id = prop::option::of("[a-c0-9]{1,3}");
    (fields, text, 0..3u8, id, any::<[i64; 2]>(), any::<u32>()).prop_map(|(map, text, kind, id, [t, r], seq)| {
        let raw = match kind {
            0 => text,
            1 => serde_json::to_string(&map).unwrap(),
            _ => format!("{}{text}", serde_json::to_string(&map).unwrap()),
        };
        let mut fields = wf_model::Fields::default();
        for (name, value) in map {
            fields.set(name.as_str().into(), value);
        }
        Event {
            seq: Seq(seq.into()),
            id: id.as_deref().map(Into::into),
            occurred_at: Timestamp::from_millis(t),
            received_at: Timestamp::from_millis(r),
            skewed: t & 1 == 1,
            conflict: r & 1 == 1,
            fields,
            ..plain(&raw)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_as_a_line_is_read_back_as_it_was(event in any_event()) {
        let mut line = Vec::new();
        encode(&event, &mut line);
        prop_assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1, "a line is one line");
        prop_assert_eq!(number(&line), Some(event.seq));
        prop_assert_eq!(decode(&line).unwrap(), StoredEvent::from(&event));
    }
}
