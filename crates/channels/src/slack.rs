//! Slack incoming webhooks. Success is HTTP 200 and the body `ok`. Event text stands in `plain_text` alone, which Slack
//! reads as nothing but text.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use wf_model::{Notification, Purpose, Severity};

use crate::config::Slack;
use crate::text::{cut, facts, headline, inert, mark, remarks, why};
use crate::{Channel, Outcome, http};

pub async fn send(c: &Slack, channel: &Channel, n: &Notification) -> Result<Outcome, Outcome> {
    let url = channel.secret(&c.webhook).await?;
    let body = message(n, c.app_token.is_some()).to_string();
    let answer =
        http::ask(http::client()?.post(url.expose_secret()).header("content-type", "application/json").body(body))
            .await?;
    Ok(outcome(&answer))
}

/// Blocks with a fallback text (limits: header 150, section 3000, 10 fields of 2000, button 75 characters, 50 blocks).
fn message(n: &Notification, button: bool) -> Value {
    let plain = |text: &str, most: usize| json!({ "type": "plain_text", "text": cut(text, most), "emoji": false });
    let mut blocks = vec![json!({ "type": "header", "text": plain(&format!("{}: {}", mark(n), why(n)), 150) })];
    blocks.push(json!({ "type": "section", "text": plain(&inert(&n.page.title), 3000) }));
    let fields: Vec<Value> =
        facts(n).iter().map(|(name, value)| plain(&format!("{name}\n{value}"), 2000)).take(10).collect();
    if !fields.is_empty() {
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let said = remarks(n);
    if !said.is_empty() {
        blocks.push(
            json!({ "type": "context", "elements": said.iter().take(10).map(|r| plain(r, 2000)).collect::<Vec<_>>() }),
        );
    }
    // Only our own code calls the room, and only for what wakes people.
    let calls = n.severity == Severity::P1 && n.purpose == Purpose::Trigger;
    if calls {
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": "<!channel>", "verbatim": true } }));
    }
    if let (Some(code), true) = (&n.page.code, button) {
        blocks.push(json!({ "type": "actions", "elements": [{ "type": "button", "action_id": "acknowledge", "style": "primary", "text": plain("Acknowledge", 75), "value": code }] }));
    }
    json!({ "text": cut(&escape(&headline(n)), 3000), "blocks": blocks, "unfurl_links": false, "unfurl_media": false })
}

/// The three characters that mean something to Slack.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(crate) fn outcome(answer: &http::Answer) -> Outcome {
    match (answer.status, answer.body.trim()) {
        (200, "ok") => Outcome::Delivered { id: None },
        // Slack may have posted it before it said no.
        (429, _) => Outcome::Retry { reason: answer.sentence(), after: answer.retry_after(), maybe_sent: true },
        (200, _) => Outcome::Retry {
            reason: format!("Slack did not say ok: {}", answer.sentence()),
            after: None,
            maybe_sent: true,
        },
        // This one message is wrong; the room is not.
        (400, "invalid_payload" | "invalid_blocks" | "too_many_attachments") => {
            Outcome::Refused { reason: answer.sentence(), channel: false }
        }
        _ => answer.outcome(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{hostile, notification};

    #[test]
    fn event_text_cannot_mention_link_or_format() {
        let text = message(&hostile(), true).to_string();
        assert!(!text.contains("https://evil") && !text.contains('\u{202e}'), "{text}");
        let m = message(&hostile(), true);
        // What Slack reads as markup is ours alone.
        for block in m["blocks"].as_array().unwrap() {
            if block["text"]["type"] == "mrkdwn" {
                assert_eq!(block["text"]["text"], "<!channel>");
            }
        }
        assert!(m["text"].as_str().unwrap().contains("&lt;!channel&gt;"), "{m}");
    }

    #[test]
    fn no_part_is_longer_than_slack_takes() {
        let mut n = notification();
        n.page.title = "x".repeat(10_000);
        n.page.entity = "é".repeat(10_000);
        n.page.remarks = vec!["r".repeat(9000); 40];
        let m = message(&n, true);
        let blocks = m["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50 && m["text"].as_str().unwrap().chars().count() <= 3000);
        assert!(blocks[0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
        assert!(blocks[1]["text"]["text"].as_str().unwrap().chars().count() <= 3000);
    }
}
