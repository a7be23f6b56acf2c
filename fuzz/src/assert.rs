//! What every target promises alike.

use serde_json::Value;
use wf_store::events::StoredEvent;

/// An error is a sentence that a person can read on one line: not empty, not endless, and nothing in it that a terminal
/// would obey.
pub fn is_sentence(text: &str) {
    assert!(!text.trim().is_empty(), "an error says nothing");
    let length = text.chars().count();
    assert!(length < 1000, "an error of {length} characters: {}", text.chars().take(200).collect::<String>());
    assert!(!text.chars().any(char::is_control), "an error with control characters: {}", text.escape_debug());
}

/// Whether it was read back as it was written. Floating-point numbers may differ in their last digits: they are read
/// as fast as can be, not as exactly as can be.
pub fn is_same(expected: &StoredEvent, got: &StoredEvent) {
    let rest = |e: &StoredEvent| StoredEvent { fields: Default::default(), ..e.clone() };
    assert_eq!(rest(expected), rest(got));
    assert_eq!(
        expected.fields.keys().collect::<Vec<_>>(),
        got.fields.keys().collect::<Vec<_>>(),
        "other fields than were written"
    );
    for (name, value) in &expected.fields {
        assert!(is_alike(value, &got.fields[name]), "{name:?}: {value} became {}", got.fields[name]);
    }
}

fn is_alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y
                || x.as_f64()
                    .zip(y.as_f64())
                    .is_some_and(|(x, y)| (x - y).abs() <= (x.abs() * 1e-12).max(f64::MIN_POSITIVE))
        }
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| is_alike(x, y)),
        _ => a == b,
    }
}
