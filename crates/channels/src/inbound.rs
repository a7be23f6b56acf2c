//! Answers that come back: a button in Telegram or Slack, a code by SMS. Each asks outwards, so no address of ours must
//! be reachable.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::config::{ChannelConfig, Slack, Sms, Telegram};
use crate::text::inert;
use crate::{Channel, Outcome, http};

/// Somebody answered. Whether they may, and whether the code is good, is for the receiver to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The code of the message.
    pub code: String,
    /// Who answered, as the provider calls them: a Telegram or Slack account, a telephone number.
    pub account: String,
    /// Where reading goes on after this: to be kept once the answer was dealt with.
    pub cursor: Option<String>,
}

/// How often SMS are asked for.
const SMS_EVERY: Duration = Duration::from_secs(15);
/// A Telegram server holds the question this long.
const POLL: u64 = 20;

impl Channel {
    /// Whether anybody can answer through it: its config may leave that out.
    pub fn listens(&self) -> bool {
        match self.config() {
            ChannelConfig::Telegram(c) => c.replies,
            ChannelConfig::Sms(c) => c.replies,
            ChannelConfig::Slack(c) => c.app_token.is_some(),
            ChannelConfig::Pagerduty(_)
            | ChannelConfig::Email(_)
            | ChannelConfig::Voice(_)
            | ChannelConfig::Discord(_)
            | ChannelConfig::Webhook(_)
            | ChannelConfig::Action(_) => false,
        }
    }

    /// Reads answers until something breaks; whoever calls it waits and calls again with the last cursor.
    ///
    /// # Errors
    /// A sentence about what broke.
    pub async fn listen(&self, cursor: Option<String>, out: &mpsc::Sender<Answer>) -> Result<(), String> {
        match self.config() {
            ChannelConfig::Telegram(c) => telegram(self, c, cursor, out).await.map_err(Outcome::sentence),
            ChannelConfig::Slack(c) => slack(self, c, out).await.map_err(Outcome::sentence),
            ChannelConfig::Sms(c) => sms(self, c, cursor, out).await.map_err(Outcome::sentence),
            ChannelConfig::Pagerduty(_)
            | ChannelConfig::Email(_)
            | ChannelConfig::Voice(_)
            | ChannelConfig::Discord(_)
            | ChannelConfig::Webhook(_)
            | ChannelConfig::Action(_) => Ok(()),
        }
    }
}

/// A code as we make them; anything else is not looked at.
fn code(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    (text.len() == 6 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())).then_some(text)
}

/// The answer in an update of Telegram's, and where reading goes on after it.
pub(crate) fn of_update(update: &Value, offset: i64) -> (i64, Option<Answer>) {
    let offset = offset.max(update["update_id"].as_i64().unwrap_or(-1).saturating_add(1));
    let query = &update["callback_query"];
    let found = query["data"].as_str().and_then(|d| d.strip_prefix("ack:")).and_then(code);
    let answer = found.zip(query["from"]["id"].as_i64()).map(|(code, account)| Answer {
        code,
        account: account.to_string(),
        cursor: Some(offset.to_string()),
    });
    (offset, answer)
}

/// The answers in an envelope of Slack's.
pub(crate) fn of_envelope(envelope: &Value) -> Vec<Answer> {
    let payload = &envelope["payload"];
    let Some(account) = payload["user"]["id"].as_str() else { return Vec::new() };
    let actions = payload["actions"].as_array().into_iter().flatten().filter(|a| a["action_id"] == "acknowledge");
    actions
        .filter_map(|a| a["value"].as_str().and_then(code))
        .map(|code| Answer { code, account: account.to_owned(), cursor: None })
        .collect()
}

/// The answer in a message of Twilio's, unless it is among those `seen` before.
pub(crate) fn of_message(m: &Value, seen: &mut Vec<String>) -> Option<Answer> {
    let (sid, from, body) = (m["sid"].as_str()?, m["from"].as_str()?, m["body"].as_str()?);
    if m["direction"] != "inbound" || seen.iter().any(|s| s == sid) {
        return None;
    }
    seen.push(sid.to_owned());
    // More than a page can never come back.
    seen.drain(..seen.len().saturating_sub(100));
    let code = body.split_whitespace().find_map(code)?;
    Some(Answer { code, account: from.to_owned(), cursor: Some(seen.join(",")) })
}

/// Long polling; an update is confirmed by asking for the one after it.
async fn telegram(
    channel: &Channel,
    c: &Telegram,
    cursor: Option<String>,
    out: &mpsc::Sender<Answer>,
) -> Result<(), Outcome> {
    let token = channel.secret(&c.token).await?;
    let client = http::client()?;
    let url = |method: &str| format!("{}/bot{}/{method}", c.url.trim_end_matches('/'), token.expose_secret());
    let mut offset: i64 = cursor.and_then(|c| c.parse().ok()).unwrap_or(0);
    loop {
        let question = json!({ "offset": offset, "timeout": POLL, "allowed_updates": ["callback_query"] }).to_string();
        let answer =
            http::ask(client.post(url("getUpdates")).header("content-type", "application/json").body(question)).await?;
        let json = answer.json();
        if json["ok"] != true {
            let wait = json["parameters"]["retry_after"].as_u64().unwrap_or(5);
            tokio::time::sleep(Duration::from_secs(wait.min(300))).await;
            return Err(Outcome::retry(answer.sentence()));
        }
        for update in json["result"].as_array().into_iter().flatten() {
            let (next, answer) = of_update(update, offset);
            offset = next;
            if let Some(answer) = answer
                && out.send(answer).await.is_err()
            {
                return Ok(());
            }
            if let Some(id) = update["callback_query"]["id"].as_str() {
                let done = json!({ "callback_query_id": id, "text": "Watchfloor has it" }).to_string();
                // The button stops spinning; if this fails, it stops by itself.
                let _told = http::ask(
                    client.post(url("answerCallbackQuery")).header("content-type", "application/json").body(done),
                )
                .await
                .is_ok();
            }
        }
    }
}

/// Socket Mode: Slack gives an address to connect to, and sends what happens over it. Each envelope is confirmed.
async fn slack(channel: &Channel, c: &Slack, out: &mpsc::Sender<Answer>) -> Result<(), Outcome> {
    let Some(reference) = &c.app_token else { return Ok(()) };
    let token = channel.secret(reference).await?;
    let request = http::client()?
        .post(format!("{}/api/apps.connections.open", c.api.trim_end_matches('/')))
        .bearer_auth(token.expose_secret())
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = http::ask(request).await?;
    let json = answer.json();
    let Some(url) = json["url"].as_str().filter(|_| json["ok"] == true) else {
        return Err(Outcome::refused(format!(
            "Slack gave no socket: {}",
            json["error"].as_str().map_or_else(|| answer.sentence(), inert)
        )));
    };
    // Only where Slack, or a gateway of one's own, may lead: never to something unencrypted elsewhere.
    let here = c.api.starts_with("http://");
    if !(url.starts_with("wss://") || here && url.starts_with("ws://127.0.0.1")) {
        return Err(Outcome::refused("Slack gave an address that is not wss"));
    }
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.map_err(|e| Outcome::retry(e.to_string()))?;
    loop {
        // Slack pings; a socket that says nothing for minutes is dead.
        let frame = tokio::time::timeout(Duration::from_secs(120), socket.next())
            .await
            .map_err(|_| Outcome::retry("Slack's socket fell silent"))?;
        let text = match frame {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(_))) | None => return Ok(()),
            Some(Err(e)) => return Err(Outcome::retry(e.to_string())),
        };
        let envelope: Value = serde_json::from_str(&text).unwrap_or_default();
        if envelope["type"] == "disconnect" {
            return Ok(());
        }
        for answer in of_envelope(&envelope) {
            if out.send(answer).await.is_err() {
                return Ok(());
            }
        }
        if let Some(id) = envelope["envelope_id"].as_str() {
            let done = json!({ "envelope_id": id }).to_string();
            socket.send(Message::text(done)).await.map_err(|e| Outcome::retry(e.to_string()))?;
        }
    }
}

/// Inbound messages are listed; the cursor is the moment of the newest that was read. A message is looked at once by
/// its SID.
async fn sms(channel: &Channel, c: &Sms, cursor: Option<String>, out: &mpsc::Sender<Answer>) -> Result<(), Outcome> {
    let token = channel.secret(&c.token).await?;
    let client = http::client()?;
    let url = format!("{}/2010-04-01/Accounts/{}/Messages.json", c.url.trim_end_matches('/'), c.account);
    let mut seen: Vec<String> = cursor.map(|c| c.split(',').map(str::to_owned).collect()).unwrap_or_default();
    loop {
        let question = client
            .get(&url)
            .query(&[("To", c.from.as_str()), ("PageSize", "50")])
            .basic_auth(&c.account, Some(token.expose_secret()));
        let answer = http::ask(question).await?;
        if answer.status != 200 {
            return Err(answer.outcome());
        }
        let json = answer.json();
        // Newest first, as listed: the oldest is taken first.
        for m in json["messages"].as_array().into_iter().flatten().rev() {
            if let Some(answer) = of_message(m, &mut seen)
                && out.send(answer).await.is_err()
            {
                return Ok(());
            }
        }
        tokio::time::sleep(SMS_EVERY).await;
    }
}
