//! Where the fuzzer (`fuzz/`) comes in: what a provider answered, and what it tells of people who answered.

use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use crate::http::Answer as HttpAnswer;
use crate::inbound::{Answer, of_envelope, of_message, of_update};
use crate::{Outcome, discord, pagerduty, slack, telegram};

/// What each provider's reader makes of this answer.
pub fn outcomes(status: u16, retry_after: &[u8], body: &str) -> Vec<Outcome> {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(retry_after) {
        headers.insert(RETRY_AFTER, value);
    }
    let answer = HttpAnswer { status, headers, body: body.to_owned() };
    vec![
        slack::outcome(&answer),
        discord::outcome(&answer),
        telegram::outcome(&answer),
        pagerduty::outcome(&answer),
        answer.outcome(),
    ]
}

/// The answers in a list of Telegram's updates, and where reading goes on.
pub fn telegram(updates: &Value, mut offset: i64) -> (i64, Vec<Answer>) {
    let mut answers = Vec::new();
    for update in updates.as_array().into_iter().flatten() {
        let (next, answer) = of_update(update, offset);
        offset = next;
        answers.extend(answer);
    }
    (offset, answers)
}

/// The answers in an envelope of Slack's.
pub fn slack(envelope: &Value) -> Vec<Answer> {
    of_envelope(envelope)
}

/// The answers in a list of Twilio's, newest first; `seen` are those looked at before.
pub fn sms(messages: &Value, seen: &mut Vec<String>) -> Vec<Answer> {
    messages.as_array().into_iter().flatten().rev().filter_map(|m| of_message(m, seen)).collect()
}
