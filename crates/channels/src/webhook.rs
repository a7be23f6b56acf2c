//! A signed POST of JSON: `{type, ip, url, banned, ban_duration, timestamp}`, as receivers of such alerts expect it,
//! and what else is known.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::Sha256;
use wf_model::{HeaderText, Notification, Timestamp};

use crate::action::fill;
use crate::config::Webhook;
use crate::text::remarks;
use crate::{Channel, Outcome, http};

pub async fn send(c: &Webhook, channel: &Channel, n: &Notification) -> Result<Outcome, Outcome> {
    let secret_url = match &c.secret_url {
        Some(reference) => Some(channel.secret(reference).await?),
        None => None,
    };
    let url = http::target(secret_url.as_ref().map_or(c.url.as_str(), |s| s.expose_secret()), &c.allow)
        .map_err(Outcome::refused)?;
    let body = message(c, n).to_string();
    let mut request =
        http::guarded(&c.allow)?.post(url).header("content-type", "application/json").header("idempotency-key", &n.key);
    for (name, value) in &c.headers {
        request = match value {
            HeaderText::Plain(text) => request.header(name, text),
            HeaderText::Secret(reference) => {
                let secret = channel.secret(reference).await?;
                let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| {
                    Outcome::refused(format!("header {name}: no header can hold what {reference} holds"))
                })?;
                value.set_sensitive(true);
                request.header(name, value)
            }
        };
    }
    if let Some(reference) = &c.signing_key {
        let key = channel.secret(reference).await?;
        request = request.header(
            "x-watchfloor-signature",
            signature(key.expose_secret().as_bytes(), Timestamp::now(), body.as_bytes()),
        );
    }
    Ok(http::ask(request.body(body)).await?.outcome())
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 over the seconds, a dot, and the body. Whoever checks it refuses what is older than
/// five minutes.
pub(crate) fn signature(key: &[u8], at: Timestamp, body: &[u8]) -> String {
    let seconds = (at.millis() / 1000).to_string();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(seconds.as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

fn message(c: &Webhook, n: &Notification) -> Value {
    let template = serde_json::from_str::<Value>(&c.template).ok().filter(|_| !c.template.is_empty());
    if let Some(mut template) = template {
        let p = &n.page;
        let (number, count, purpose, said, time) = (
            p.number.to_string(),
            p.count.to_string(),
            n.purpose.to_string(),
            remarks(n).join("; "),
            p.detected_at.rfc3339(),
        );
        let known = [
            ("{title}", p.title.as_str()),
            ("{severity}", n.severity.as_str()),
            ("{number}", &number),
            ("{id}", &p.thread),
            ("{type}", &p.kind),
            ("{rule}", &p.rule),
            ("{entity}", &p.entity),
            ("{count}", &count),
            ("{purpose}", &purpose),
            ("{remarks}", &said),
            ("{time}", &time),
        ];
        fill(&mut template, &known);
        return template;
    }
    let p = &n.page;
    let is = |field: &str| if p.entity_field == field { json!(p.entity) } else { Value::Null };
    json!({
        "type": p.kind, "ip": is("source.ip"), "url": is("url.original"), "banned": false, "ban_duration": Value::Null, "timestamp": p.detected_at.rfc3339(),
        "id": p.thread, "number": p.number, "severity": n.severity, "title": p.title, "count": p.count, "rule": p.rule, "entity": p.entity,
        "purpose": n.purpose, "step": n.step, "remarks": remarks(n), "key": n.key, "possible_duplicate": n.possible_duplicate,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use secrecy::SecretString;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use wf_model::{SecretError, SecretRef, SecretSource};

    use super::*;
    use crate::ChannelConfig;
    use crate::tests::{hostile, notification};

    fn config(template: &str) -> Webhook {
        Webhook {
            url: "https://example.com/".into(),
            secret_url: None,
            signing_key: None,
            allow: vec![],
            headers: Default::default(),
            template: template.into(),
        }
    }

    #[test]
    fn a_template_is_filled_once_and_event_text_stays_in_its_string() {
        let mut n = hostile();
        n.page.title = "\",\"admin\":true,\"x\":\"{severity}".into();
        let m = message(&config(r#"{"text": "{severity} {title} {unknown}", "list": ["{count}"], "n": 1}"#), &n);
        assert_eq!(m["text"], "P1 \",\"admin\":true,\"x\":\"{severity} {unknown}");
        assert!(m.get("admin").is_none() && m["list"][0] == "47" && m["n"] == 1);
    }

    #[test]
    fn the_signature_is_the_documented_one() {
        // RFC 4231 has no vector for our form; this one was made with `printf '1.{}' | openssl dgst -sha256 -hmac key`.
        assert_eq!(
            signature(b"key", Timestamp::from_millis(1999), b"{}"),
            "t=1,v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"
        );
    }

    /// Holds whatever is asked for.
    struct Vault;

    impl SecretSource for Vault {
        fn get(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
            Ok(format!("what {reference} holds").into())
        }
    }

    #[tokio::test]
    async fn a_header_that_is_a_secret_is_sent_as_what_its_place_holds() {
        let _first = rustls::crypto::aws_lc_rs::default_provider().install_default().is_ok();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut c = config("");
        c.url = format!("http://{}/hook", listener.local_addr().unwrap());
        c.allow = vec!["127.0.0.1".into()];
        c.headers = [("X-Source", "watchfloor"), ("X-Api-Key", "keychain:hook")]
            .map(|(name, value)| (name.to_owned(), HeaderText::from(value.to_owned())))
            .into();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.windows(4).any(|w| w == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0);
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            // Open until the answer was read.
            (stream, String::from_utf8_lossy(&heard).into_owned())
        };
        let channel = Channel::new(Arc::new(ChannelConfig::Webhook(c)), Arc::new(Vault));
        let notification = notification();
        let (outcome, (_open, heard)) = tokio::join!(channel.send(&notification), server);
        assert!(matches!(outcome, Outcome::Delivered { .. }), "{outcome:?}");
        assert!(heard.contains("x-api-key: what keychain:hook holds\r\n"), "{heard}");
        assert!(heard.contains("x-source: watchfloor\r\n"), "{heard}");
    }
}
