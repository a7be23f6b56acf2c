//! Discord webhooks, with `wait=true`: without it a message that was not saved returns no error.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use wf_model::{Notification, Severity};

use crate::config::Discord;
use crate::text::{facts, headline, inert, remarks, utf16, why};
use crate::{Channel, Outcome, http};

pub async fn send(c: &Discord, channel: &Channel, n: &Notification) -> Result<Outcome, Outcome> {
    let url = channel.secret(&c.webhook).await?;
    let body = message(n).to_string();
    let request = http::client()?
        .post(url.expose_secret())
        .query(&[("wait", "true")])
        .header("content-type", "application/json")
        .body(body);
    Ok(outcome(&http::ask(request).await?))
}

/// One embed (limits: title 256, description 4096, 25 fields of 256 and 1024, footer 2048, all of it 6000). Nobody is
/// ever mentioned.
fn message(n: &Notification) -> Value {
    let color = match n.severity {
        Severity::P1 => 0xff_5d5d,
        Severity::P2 => 0xff_9f43,
        Severity::P3 => 0xe8_c547,
        Severity::P4 => 0x7f_9fc4,
    };
    let fields: Vec<Value> = facts(n)
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": short(&escape(value), 500), "inline": true }))
        .collect();
    json!({
        "content": short(&escape(&format!("{} ({})", headline(n), why(n))), 1900),
        "allowed_mentions": { "parse": [] },
        "embeds": [{
            "title": short(&escape(&headline(n)), 256),
            "description": short(&escape(&inert(&n.page.title)), 1500),
            "color": color,
            "fields": fields,
            "footer": { "text": short(&remarks(n).join(" · "), 1000) },
        }],
    })
}

/// Every character that Discord's markup knows.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\*_~`|>#-[]()<@:+=.!".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// At most so many UTF-16 units, and no backslash left without what it protects.
fn short(text: &str, most: usize) -> String {
    if utf16(text) <= most {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut units = 1;
    for c in text.chars() {
        units += c.len_utf16();
        if units > most {
            break;
        }
        out.push(c);
    }
    if out.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
        out.pop();
    }
    out.push('…');
    out
}

pub(crate) fn outcome(answer: &http::Answer) -> Outcome {
    let json = answer.json();
    match answer.status {
        200 => Outcome::Delivered { id: json["id"].as_str().map(str::to_owned) },
        429 => {
            let after = json["retry_after"]
                .as_f64()
                .filter(|s| s.is_finite() && *s >= 0.0)
                .map(|s| std::time::Duration::from_secs_f64(s.min(86_400.0)));
            Outcome::Retry { reason: answer.sentence(), after: after.or(answer.retry_after()), maybe_sent: false }
        }
        400 => Outcome::Refused { reason: answer.sentence(), channel: false },
        _ => answer.outcome(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::hostile;

    #[test]
    fn nobody_is_mentioned_and_nothing_is_formatted() {
        let m = message(&hostile());
        assert_eq!(m["allowed_mentions"], json!({ "parse": [] }));
        let text = m.to_string();
        assert!(!text.contains("](http") && !text.contains("https://evil") && !text.contains("\"@everyone"), "{text}");
    }

    #[test]
    fn an_embed_stays_below_six_thousand_and_never_ends_in_half_an_escape() {
        let mut n = hostile();
        n.page.title = "*".repeat(20_000);
        n.page.entity = "_".repeat(20_000);
        n.page.rule = "`".repeat(20_000);
        n.page.remarks = vec!["r".repeat(20_000)];
        let m = message(&n);
        let e = &m["embeds"][0];
        let all: usize = [&e["title"], &e["description"], &e["footer"]["text"]]
            .iter()
            .map(|t| utf16(t.as_str().unwrap()))
            .sum::<usize>()
            + e["fields"]
                .as_array()
                .unwrap()
                .iter()
                .map(|f| utf16(f["name"].as_str().unwrap()) + utf16(f["value"].as_str().unwrap()))
                .sum::<usize>();
        assert!(all <= 6000 && utf16(m["content"].as_str().unwrap()) <= 2000, "{all}");
        assert!(!e["title"].as_str().unwrap().ends_with("\\…"));
    }
}
