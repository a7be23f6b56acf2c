//! A line of the control socket.

use wf_api::Request;

use crate::Target;

pub const TARGET: Target = Target {
    name: "request",
    check,
    words: &[
        "\"method\":\"",
        "\"params\":{",
        "events_list",
        "incidents_act",
        "silences_add",
        "privacy",
        "report",
        "backup",
        "\"do\":\"",
        "acknowledge",
        "snooze",
        "split",
        "add_request",
        "\"ids\":[",
        "\"query\":",
        "\"limit\":4294967296",
        "\"versions\":[",
        "\"matcher\":{}",
        "\"to\":\"/\"",
    ],
    more,
    runs: 4000,
};

fn check(input: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Request>(input) else { return };
    let text = serde_json::to_string(&request).unwrap();
    assert!(!text.contains('\n'), "a request is one line");
    assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
}

fn more() -> Vec<Vec<u8>> {
    vec![format!("{}{}", "{\"method\":".repeat(5000), "}".repeat(5000)).into_bytes()]
}
