//! What providers answer, and what they tell of people who answered.
//!
//! The first line is the status and `Retry-After`; the rest is the body.

use std::time::Duration;

use serde_json::Value;
use wf_channels::inbound::Answer;
use wf_channels::{Outcome, fuzzing};

use super::nothing;
use crate::Target;
use crate::assert::is_sentence;

pub const TARGET: Target = Target {
    name: "channels",
    check,
    words: &[
        "200 ",
        "202 ",
        "400 ",
        "429 1e309\n",
        "429 -1\n",
        "500 ",
        "\"ok\":true",
        "\"ok\":false",
        "\"result\":",
        "\"update_id\":",
        "9223372036854775807",
        "\"callback_query\":",
        "\"data\":\"ack:ABC234\"",
        "\"from\":{\"id\":7}",
        "\"parameters\":{",
        "\"retry_after\":",
        "\"migrate_to_chat_id\":",
        "\"description\":\"",
        "\"actions\":[",
        "\"action_id\":\"acknowledge\"",
        "\"value\":\"abc234\"",
        "\"user\":{\"id\":\"U1\"}",
        "\"sid\":\"SM1\"",
        "\"direction\":\"inbound\"",
        "\"body\":\" ABC234 \"",
        "\"dedup_key\":",
        "routing_key",
    ],
    more: nothing,
    runs: 3000,
};

fn check(input: &[u8]) {
    let (head, body) = match input.iter().position(|b| *b == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &b""[..]),
    };
    let space = head.iter().position(|b| *b == b' ').unwrap_or(head.len());
    let status = String::from_utf8_lossy(&head[..space]).parse().unwrap_or(200);
    let body = String::from_utf8_lossy(body);
    for outcome in fuzzing::outcomes(status, head.get(space + 1..).unwrap_or_default(), &body) {
        match outcome {
            Outcome::Delivered { .. } => assert!((200..300).contains(&status), "{status} delivered something"),
            Outcome::Retry { reason, after, .. } => {
                is_sentence(&reason);
                assert!(after.is_none_or(|a| a <= Duration::from_secs(86_400)), "it waits for {after:?}");
            }
            Outcome::Refused { reason, .. } => is_sentence(&reason),
        }
    }
    let Ok(json) = serde_json::from_str::<Value>(&body) else { return };
    let (offset, answers) = fuzzing::telegram(&json, 5);
    assert!(offset >= 5, "reading goes back to {offset}");
    answers.iter().for_each(is_answer);
    let mut last = 5;
    for answer in &answers {
        let cursor: i64 = answer.cursor.as_ref().unwrap().parse().unwrap();
        assert!(cursor >= last && cursor <= offset, "the cursor goes from {last} to {cursor}");
        last = cursor;
    }
    fuzzing::slack(&json).iter().for_each(is_answer);
    let mut seen = Vec::new();
    fuzzing::sms(&json, &mut seen).iter().for_each(is_answer);
    assert!(seen.len() <= 100, "{} are remembered", seen.len());
    if json.as_array().is_some_and(|list| list.len() <= 50) {
        assert!(fuzzing::sms(&json, &mut seen).is_empty(), "a message answers twice");
    }
}

fn is_answer(answer: &Answer) {
    let is_digit = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    assert!(answer.code.len() == 6 && answer.code.bytes().all(is_digit), "{:?} is no code", answer.code);
}
