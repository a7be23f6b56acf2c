//! Telegram bots. Formatting by `entities` (UTF-16 offsets), so that event text needs no escaping; what is covered by
//! `code` is made no link of.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use wf_model::Notification;

use crate::config::Telegram;
use crate::text::{cut, facts, inert, mark, remarks, utf16, why};
use crate::{Channel, Outcome, http};

pub async fn send(c: &Telegram, channel: &Channel, n: &Notification) -> Result<Outcome, Outcome> {
    let token = channel.secret(&c.token).await?;
    let body = message(n, &c.chat, c.replies).to_string();
    let url = format!("{}/bot{}/sendMessage", c.url.trim_end_matches('/'), token.expose_secret());
    let answer = http::ask(http::client()?.post(url).header("content-type", "application/json").body(body)).await?;
    Ok(outcome(&answer))
}

/// At most 4096 characters. What comes from events is `code`, which Telegram shows as it is.
fn message(n: &Notification, chat: &str, button: bool) -> Value {
    let mut text = String::new();
    let mut entities = Vec::new();
    let add = |text: &mut String, part: &str, kind: Option<&str>, entities: &mut Vec<Value>| {
        if let Some(kind) = kind.filter(|_| !part.is_empty()) {
            entities.push(json!({ "type": kind, "offset": utf16(text), "length": utf16(part) }));
        }
        text.push_str(part);
    };
    add(&mut text, &format!("{}: {}", mark(n), why(n)), Some("bold"), &mut entities);
    text.push('\n');
    add(&mut text, &cut(&inert(&n.page.title), 1200), Some("code"), &mut entities);
    for (name, value) in facts(n) {
        text.push_str(&format!("\n{name}: "));
        add(&mut text, &cut(&value, 300), Some("code"), &mut entities);
    }
    for remark in remarks(n).iter().take(5) {
        text.push('\n');
        add(&mut text, &cut(remark, 200), Some("italic"), &mut entities);
    }
    let mut m =
        json!({ "chat_id": chat, "text": text, "entities": entities, "link_preview_options": { "is_disabled": true } });
    if let (Some(code), true) = (&n.page.code, button) {
        m["reply_markup"] =
            json!({ "inline_keyboard": [[{ "text": "Acknowledge", "callback_data": format!("ack:{code}") }]] });
    }
    m
}

pub(crate) fn outcome(answer: &http::Answer) -> Outcome {
    let json = answer.json();
    if answer.status == 200 && json["ok"] == true {
        return Outcome::Delivered { id: json["result"]["message_id"].as_i64().map(|n| n.to_string()) };
    }
    let said = json["description"]
        .as_str()
        .map_or_else(|| answer.sentence(), |d| format!("HTTP {}: {}", answer.status, cut(&inert(d), 200)));
    if let Some(chat) = json["parameters"]["migrate_to_chat_id"].as_i64() {
        return Outcome::Refused {
            reason: format!("the group became a supergroup: write chat = \"{chat}\""),
            channel: true,
        };
    }
    let after = json["parameters"]["retry_after"].as_u64().map(|s| std::time::Duration::from_secs(s.min(86_400)));
    match answer.status {
        429 => Outcome::Retry { reason: said, after: after.or(answer.retry_after()), maybe_sent: false },
        500..=599 | 200 => Outcome::Retry { reason: said, after, maybe_sent: true },
        400 if !said.contains("chat not found") => Outcome::Refused { reason: said, channel: false },
        _ => Outcome::refused(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{hostile, notification};

    #[test]
    fn entities_cover_event_text_to_the_unit_and_it_stays_below_the_limit() {
        let mut n = hostile();
        n.page.title = format!("\u{1f525} {} <b>x</b> [a](https://evil)", "é".repeat(5000));
        let m = message(&n, "-100", true);
        let units: Vec<u16> = m["text"].as_str().unwrap().encode_utf16().collect();
        assert!(units.len() <= 4096);
        for e in m["entities"].as_array().unwrap() {
            let (offset, length) = (e["offset"].as_u64().unwrap() as usize, e["length"].as_u64().unwrap() as usize);
            assert!(
                offset + length <= units.len() && String::from_utf16(&units[offset..offset + length]).is_ok(),
                "no half of a character: {e}"
            );
        }
        let title = &m["entities"][1];
        assert_eq!(title["type"], "code");
        let (o, l) = (title["offset"].as_u64().unwrap() as usize, title["length"].as_u64().unwrap() as usize);
        assert!(String::from_utf16(&units[o..o + l]).unwrap().starts_with('\u{1f525}'));
        assert_eq!(
            message(&notification(), "-100", true)["reply_markup"]["inline_keyboard"][0][0]["callback_data"],
            "ack:ABC234"
        );
    }
}
