//! Answers as scripts get them.

use wf_model::Timestamp;

/// The page counts in milliseconds; scripts get RFC 3339.
pub(crate) fn for_tools(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    const TIMES: &[&str] = &[
        "first_seen",
        "last_seen",
        "detected_at",
        "acknowledged_at",
        "resolved_at",
        "at",
        "received_at",
        "since",
        "last_event",
        "last_match",
        "from",
        "to",
        "until",
        "created_at",
        "due_at",
        "delivered_at",
        "attempted_at",
        "worked_at",
        "failed_at",
        "acknowledged_until",
        "snoozed_until",
        "reminded_at",
        "done_at",
        "registered_at",
        "closed_at",
        "cutoff",
        "oldest",
        "made_at",
        "due",
        "breach_due",
    ];
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(k, v)| match v.as_i64() {
                    Some(ms) if TIMES.contains(&k.as_str()) => (k, Value::String(Timestamp::from_millis(ms).rfc3339())),
                    _ => (k, for_tools(v)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(for_tools).collect()),
        other => other,
    }
}
