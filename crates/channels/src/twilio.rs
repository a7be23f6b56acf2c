//! SMS and calls over Twilio. After it is taken, the message is asked about until its fate is known or half a minute
//! has passed.

use std::time::Duration;

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};
use wf_model::{Notification, Severity};

use crate::config::{Sms, Voice};
use crate::text::{cut, gsm7, inert, mark};
use crate::{Channel, Outcome, http};

/// One SMS holds this much of the seven-bit alphabet.
const SEGMENT: usize = 160;
/// Longer is not asked: what was taken is not sent again only because nobody knows how it went on.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn sms(c: &Sms, channel: &Channel, n: &Notification) -> Result<Outcome, Outcome> {
    let token = channel.secret(&c.token).await?;
    let body = sms_text(n, c.replies);
    let mut form = vec![("To", n.to.address.clone()), ("Body", body)];
    match c.from.is_empty() {
        false => form.push(("From", c.from.clone())),
        true => form.push(("MessagingServiceSid", c.messaging_service.clone())),
    }
    if n.severity == Severity::P1 {
        // What arrives a quarter of an hour late only confuses: the ladder has gone on.
        form.push(("ValidityPeriod", "900".to_owned()));
    }
    let base = format!("{}/2010-04-01/Accounts/{}/Messages", c.url.trim_end_matches('/'), c.account);
    create(&base, &c.account, &token, &form, &["delivered", "sent", "read"], &["undelivered", "failed", "canceled"])
        .await
}

pub async fn call(c: &Voice, channel: &Channel, n: &Notification) -> Result<Outcome, Outcome> {
    let token = channel.secret(&c.token).await?;
    let form = [("To", n.to.address.clone()), ("From", c.from.clone()), ("Twiml", twiml(n))];
    let base = format!("{}/2010-04-01/Accounts/{}/Calls", c.url.trim_end_matches('/'), c.account);
    create(
        &base,
        &c.account,
        &token,
        &form,
        &["ringing", "in-progress", "completed"],
        &["busy", "no-answer", "failed", "canceled"],
    )
    .await
}

async fn create(
    base: &str,
    account: &str,
    token: &SecretString,
    form: &[(&str, String)],
    good: &[&str],
    bad: &[&str],
) -> Result<Outcome, Outcome> {
    let client = http::client()?;
    let signed = |r: RequestBuilder| r.basic_auth(account, Some(token.expose_secret()));
    let answer = http::ask(signed(client.post(format!("{base}.json"))).form(form)).await?;
    if answer.status != 201 {
        return Ok(refusal(&answer));
    }
    let created = answer.json();
    let Some(sid) = created["sid"]
        .as_str()
        .filter(|s| s.len() < 64 && s.bytes().all(|b| b.is_ascii_alphanumeric()))
        .map(str::to_owned)
    else {
        return Ok(Outcome::Retry { reason: "Twilio named no message".into(), after: None, maybe_sent: true });
    };
    let mut state = created;
    let until = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < until {
        let status = state["status"].as_str().unwrap_or_default();
        if good.contains(&status) {
            break;
        }
        if bad.contains(&status) {
            let why = state["error_message"]
                .as_str()
                .filter(|m| !m.is_empty())
                .map(str::to_owned)
                .or(state["error_code"].as_i64().map(|c| format!("error {c}")))
                .unwrap_or_default();
            return Ok(Outcome::Refused {
                reason: format!("{status} {}", inert(&why)).trim().to_owned(),
                channel: false,
            });
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        // Taken is taken: not knowing how it went on is no reason to send it again.
        let Ok(Ok(answer)) =
            tokio::time::timeout(PATIENCE, http::ask(signed(client.get(format!("{base}/{sid}.json"))))).await
        else {
            break;
        };
        if answer.status == 200 {
            state = answer.json();
        }
    }
    Ok(Outcome::Delivered { id: Some(sid) })
}

fn refusal(answer: &http::Answer) -> Outcome {
    let json = answer.json();
    let reason = json["message"]
        .as_str()
        .map_or_else(|| answer.sentence(), |m| format!("HTTP {}: {}", answer.status, cut(&inert(m), 200)));
    match answer.status {
        // A number that cannot be reached, or a text that is not taken, says nothing about the account.
        400 => Outcome::Refused { reason, channel: false },
        401..=404 => Outcome::refused(reason),
        _ => match answer.outcome() {
            Outcome::Retry { after, maybe_sent, .. } => Outcome::Retry { reason, after, maybe_sent },
            other => other,
        },
    }
}

/// In as few segments as can be: what comes from the event gives way first.
fn sms_text(n: &Notification, replies: bool) -> String {
    let head = gsm7(&mark(n));
    let tail = match (&n.page.code, replies) {
        (Some(code), true) => format!(" Reply {code} to acknowledge."),
        _ => String::new(),
    };
    let title = gsm7(&inert(&n.page.title));
    let room = SEGMENT.saturating_sub(head.chars().count() + tail.chars().count() + 2);
    let title = if title.chars().count() > room {
        format!("{}...", title.chars().take(room.saturating_sub(3)).collect::<String>())
    } else {
        title
    };
    format!("{head}: {title}{tail}")
}

/// What is read aloud. No event text: a voice cannot show what it quotes.
fn twiml(n: &Notification) -> String {
    let kind: String =
        n.page.kind.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).take(80).collect();
    let about = match n.page.number {
        0 if n.purpose == wf_model::Purpose::Test => "This is a test of this telephone number.".to_owned(),
        0 => format!("{} incidents. Several need you at once.", n.severity.word()),
        number => format!("{} incident. Number {number}. {kind}. Counted {} times.", n.severity.word(), n.page.count),
    };
    let said = format!(
        "<Say>This is Watchfloor. {about} Acknowledge it in the console, or by answering the text message.</Say>"
    );
    format!("<Response>{said}<Pause length=\"1\"/>{said}</Response>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{hostile, notification};

    #[test]
    fn an_sms_is_one_segment_with_its_code_whatever_the_event_says() {
        let mut n = hostile();
        n.page.title = "日本語 \u{1f525} <script>".repeat(50);
        let text = sms_text(&n, true);
        assert!(
            text.chars().count() <= 160
                && text.ends_with("Reply ABC234 to acknowledge.")
                && text.starts_with("P1 Critical #7"),
            "{text}"
        );
        assert_eq!(gsm7(&text), text);
        assert!(!sms_text(&notification(), false).contains("Reply"));
    }

    #[test]
    fn a_call_reads_nothing_that_an_attacker_wrote() {
        let mut n = hostile();
        n.page.kind = "<Dial>+1900</Dial>".into();
        let t = twiml(&n);
        assert!(t.len() < 4000 && !t.contains("Dial>") && !t.contains("evil"), "{t}");
    }
}
