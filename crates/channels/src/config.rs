//! What `[channel.NAME]` may say.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;
use wf_model::{HeaderText, SecretRef};

use crate::plain;

/// A way to reach people: `kind` says which.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ChannelConfig {
    /// A Slack room, through an incoming webhook of an app.
    Slack(Slack),
    /// PagerDuty Events v2: its own ladder pages people though this computer sleeps.
    Pagerduty(Pagerduty),
    /// Mail over SMTP, always over TLS.
    Email(Email),
    /// SMS over Twilio.
    Sms(Sms),
    /// A call over Twilio that reads the alert aloud.
    Voice(Voice),
    /// A Discord room, through a webhook.
    Discord(Discord),
    /// A Telegram chat, through a bot.
    Telegram(Telegram),
    /// A POST of JSON, signed, to n8n or anything of your own.
    Webhook(Webhook),
    /// A response action: written as `[action.NAME]`, never as a channel.
    #[serde(skip)]
    Action(Action),
}

/// A Slack room.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// The webhook's address, which is a secret: whoever has it can write into the room.
    pub webhook: SecretRef,
    /// The app's token (`xapp-…`) for Socket Mode: with it a button acknowledges from the room.
    pub app_token: Option<SecretRef>,
    /// Where Slack's API is, for Socket Mode.
    #[serde(default = "slack_url")]
    pub api: String,
}

/// PagerDuty Events v2.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagerduty {
    /// The integration's routing key.
    pub routing_key: SecretRef,
    /// `https://events.eu.pagerduty.com` for accounts in the EU.
    #[serde(default = "pagerduty_url")]
    pub url: String,
}

/// Mail over SMTP.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The server's name.
    pub host: String,
    /// 465 for TLS from the first byte, 587 for STARTTLS.
    #[serde(default = "smtp_port")]
    pub port: u16,
    /// `tls` from the first byte, or `starttls`, which is required then: nothing is ever sent in the clear.
    #[serde(default)]
    pub security: MailSecurity,
    /// The account; none when the server asks for none.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretRef>,
    /// What stands as the sender, as `watchfloor@example.com`.
    pub from: String,
    /// A certificate authority of your own, as a PEM file.
    pub ca: Option<std::path::PathBuf>,
}

/// How mail is protected on its way to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// Begun in the clear and refused if the server does not go on with TLS.
    Starttls,
}

/// SMS over Twilio.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sms {
    /// The account's SID (`AC…`).
    pub account: String,
    /// The account's token.
    pub token: SecretRef,
    /// The number it is sent from, as `+15005550006`.
    #[serde(default)]
    pub from: String,
    /// A messaging service (`MG…`) instead of a number.
    #[serde(default)]
    pub messaging_service: String,
    /// Read answers: whoever replies with the code of a message acknowledges. Needs `from`.
    #[serde(default)]
    pub replies: bool,
    /// Where Twilio's API is.
    #[serde(default = "twilio_url")]
    pub url: String,
}

/// A call over Twilio.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voice {
    /// The account's SID (`AC…`).
    pub account: String,
    /// The account's token.
    pub token: SecretRef,
    /// The number that calls, as `+15005550006`.
    pub from: String,
    /// Where Twilio's API is.
    #[serde(default = "twilio_url")]
    pub url: String,
}

/// A Discord room.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discord {
    /// The webhook's address, which is a secret.
    pub webhook: SecretRef,
}

/// A Telegram chat.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telegram {
    /// The bot's token.
    pub token: SecretRef,
    /// The chat's id, as `-1001234567890`.
    pub chat: String,
    /// Read answers: a button under the message acknowledges. Only one program may read a bot's answers.
    #[serde(default)]
    pub replies: bool,
    /// Where Telegram's API is.
    #[serde(default = "telegram_url")]
    pub url: String,
}

/// A POST of JSON.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where it goes: https, no redirects, and no address inside a private network unless `allow` names its host.
    #[serde(default)]
    pub url: String,
    /// The address when it is itself a secret; instead of `url`.
    pub secret_url: Option<SecretRef>,
    /// Signs each message: HMAC-SHA256 over time and body, in `X-Watchfloor-Signature`.
    pub signing_key: Option<SecretRef>,
    /// Hosts that may be on a private network or this machine, and be spoken to without TLS there.
    #[serde(default)]
    pub allow: Vec<String>,
    /// More headers. A value that is a secret is written as a reference, `keychain:NAME`.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderText>,
    /// A JSON document of your own instead of the usual one; `{title}`, `{severity}`, `{number}`, `{id}`, `{type}`,
    /// `{rule}`, `{entity}`, `{count}`, `{purpose}`, `{remarks}` and `{time}` in its strings are replaced.
    #[serde(default)]
    pub template: String,
}

/// What a step of a rule's checklist can carry out: `[action.NAME]`, where NAME is what the rule's `actions` call it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// As it stands on the button. The name when empty.
    #[serde(default)]
    pub title: String,
    /// `http` for a call of your own, `crowdsec` for a decision of a CrowdSec LAPI.
    #[serde(default)]
    pub does: Does,
    /// Only for incidents about this field, as `source.ip`; of addresses only those outside, never this machine or a
    /// private network.
    pub about: String,
    /// `http`: the address that is called; `{entity}` in it is replaced. `crowdsec`: where the LAPI is.
    pub url: String,
    /// `http`: the method.
    #[serde(default = "post")]
    pub method: String,
    /// `http`: a JSON document; `{entity}`, `{number}`, `{severity}`, `{type}` and `{id}` in its strings are replaced.
    #[serde(default)]
    pub body: String,
    /// `http`: the address that takes it back. None: it cannot be taken back.
    pub undo_url: Option<String>,
    /// `http`: the method that takes it back.
    #[serde(default = "delete")]
    pub undo_method: String,
    /// It is taken back by itself after this. `crowdsec`: how long the decision lasts there.
    #[serde(default, deserialize_with = "maybe_span")]
    pub lasts: Option<std::time::Duration>,
    /// `http`: sent as `Authorization: Bearer`. `crowdsec`: the machine's password.
    pub secret: Option<SecretRef>,
    /// `crowdsec`: the machine's name.
    #[serde(default)]
    pub machine: String,
    /// Carried out when the incident opens, without asking anybody.
    #[serde(default)]
    pub without_asking: bool,
    /// As in a webhook: hosts that may be on a private network.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// How an action is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// An HTTP call of your own.
    #[default]
    Http,
    /// A decision of a CrowdSec LAPI.
    Crowdsec,
}

/// What to write where a request needs a secret.
pub(crate) const BEARER: &str = "write secret = \"keychain:NAME\", which is sent as Authorization: Bearer";

impl Action {
    /// Whether it can be taken back.
    pub fn has_undo(&self) -> bool {
        self.does == Does::Crowdsec || self.undo_url.is_some()
    }

    fn secrets(&self) -> Vec<&SecretRef> {
        self.secret.iter().collect()
    }

    fn check(&self) -> Result<(), String> {
        let example =
            |url: &str| crate::http::target(&url.replace("{entity}", "198.51.100.1"), &self.allow).map(|_| ());
        example(&self.url).map_err(|e| format!("url: {e}"))?;
        plain::address("url", &self.url, BEARER)?;
        if let Some(undo) = &self.undo_url {
            example(undo).map_err(|e| format!("undo_url: {e}"))?;
            plain::address("undo_url", undo, BEARER)?;
        }
        for method in [&self.method, &self.undo_method] {
            if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
                return Err(format!("'{method}' is no method: write POST, PUT, PATCH, DELETE or GET"));
            }
        }
        if !self.body.is_empty() {
            let body = serde_json::from_str(&self.body).map_err(|e| format!("body: it is no JSON: {e}"))?;
            plain::document("body", &body, BEARER)?;
        }
        match self.does {
            Does::Crowdsec if self.machine.is_empty() || self.secret.is_none() || self.lasts.is_none() => {
                Err("a CrowdSec decision needs `machine`, `secret` and `lasts`".into())
            }
            Does::Crowdsec if self.about != "source.ip" => Err("a CrowdSec decision is about source.ip".into()),
            Does::Http if self.lasts.is_some() && self.undo_url.is_none() => {
                Err("what lasts for a while needs `undo_url`, to be taken back".into())
            }
            Does::Crowdsec | Does::Http => Ok(()),
        }
    }
}

fn maybe_span<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<std::time::Duration>, D::Error> {
    wf_model::span::span(d).map(Some)
}

fn post() -> String {
    "POST".into()
}

fn delete() -> String {
    "DELETE".into()
}

fn slack_url() -> String {
    "https://slack.com".into()
}

fn pagerduty_url() -> String {
    "https://events.pagerduty.com".into()
}

fn twilio_url() -> String {
    "https://api.twilio.com".into()
}

fn telegram_url() -> String {
    "https://api.telegram.org".into()
}

const fn smtp_port() -> u16 {
    465
}

impl ChannelConfig {
    /// Every secret it needs.
    pub fn secrets(&self) -> Vec<&SecretRef> {
        match self {
            Self::Slack(c) => std::iter::once(&c.webhook).chain(&c.app_token).collect(),
            Self::Pagerduty(c) => vec![&c.routing_key],
            Self::Email(c) => c.password.iter().collect(),
            Self::Sms(c) => vec![&c.token],
            Self::Voice(c) => vec![&c.token],
            Self::Discord(c) => vec![&c.webhook],
            Self::Telegram(c) => vec![&c.token],
            Self::Webhook(c) => {
                let headers = c.headers.values().filter_map(HeaderText::secret);
                c.signing_key.iter().chain(&c.secret_url).chain(headers).collect()
            }
            Self::Action(c) => c.secrets(),
        }
    }

    /// What is wrong with it, in a sentence.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Slack(c) => base(&c.api),
            Self::Pagerduty(c) => base(&c.url),
            Self::Discord(_) => Ok(()),
            Self::Telegram(c) => {
                if c.chat.parse::<i64>().is_err() && !c.chat.starts_with('@') {
                    return Err(format!("chat: '{}' is neither a chat's number nor @channel", c.chat));
                }
                base(&c.url)
            }
            Self::Sms(c) => {
                if c.from.is_empty() == c.messaging_service.is_empty() {
                    return Err("an SMS needs either `from` or `messaging_service`".into());
                }
                if c.replies && c.from.is_empty() {
                    return Err("replies: answers are read from a number of your own; write `from`".into());
                }
                account(&c.account)?;
                base(&c.url)
            }
            Self::Voice(c) => {
                account(&c.account)?;
                base(&c.url)
            }
            Self::Email(c) => {
                let clean = |t: &str| !t.is_empty() && !t.chars().any(|c| c.is_control() || c.is_whitespace());
                if !clean(&c.host) {
                    return Err("host: the mail server's name is missing".into());
                }
                if !c.from.contains('@') || !clean(&c.from) {
                    return Err(format!("from: '{}' is no mail address", c.from));
                }
                if c.username.is_some() != c.password.is_some() {
                    return Err("username and password belong together".into());
                }
                Ok(())
            }
            Self::Action(c) => c.check(),
            Self::Webhook(c) => {
                if c.url.is_empty() == c.secret_url.is_none() {
                    return Err("a webhook needs either `url` or `secret_url`".into());
                }
                if !c.url.is_empty() {
                    crate::http::target(&c.url, &c.allow)?;
                    plain::address("url", &c.url, "keep the whole address as one: secret_url = \"keychain:NAME\"")?;
                }
                plain::headers(&c.headers)?;
                if !c.template.is_empty() {
                    let template =
                        serde_json::from_str(&c.template).map_err(|e| format!("template: it is no JSON: {e}"))?;
                    plain::document(
                        "template",
                        &template,
                        "send it as a header: headers = { NAME = \"keychain:NAME\" }",
                    )?;
                }
                Ok(())
            }
        }
    }
}

fn account(sid: &str) -> Result<(), String> {
    if sid.len() < 4 || !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("account: this is no SID of an account (AC…)".into());
    }
    Ok(())
}

/// The base of an API: https, or http on this very machine (a gateway of one's own, and the tests). It is not repeated:
/// somebody may have put a secret into it.
fn base(url: &str) -> Result<(), String> {
    let parsed = Url::parse(url).map_err(|e| format!("this is no address: {e}"))?;
    let here = parsed.host().is_some_and(|h| match h {
        url::Host::Ipv4(a) => a.is_loopback(),
        url::Host::Ipv6(a) => a.is_loopback(),
        url::Host::Domain(d) => d == "localhost",
    });
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
        return Err("neither a name, a password nor a parameter belongs into the address of an API".into());
    }
    match parsed.scheme() {
        "https" => Ok(()),
        "http" if here => Ok(()),
        other => Err(format!("{other}: messages go over https alone")),
    }
}
