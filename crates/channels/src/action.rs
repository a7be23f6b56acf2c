//! Response actions: what an officer decided is carried out, or taken back. What it is done to comes from an event, so
//! it is checked before anything is done, and can be nothing but a value where it is put.

use std::net::IpAddr;

use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;
use wf_model::{Notification, Purpose, Timestamp};

use crate::config::{Action, Does};
use crate::text::cut;
use crate::{Channel, Outcome, http};

pub async fn run(c: &Action, channel: &Channel, n: &Notification) -> Result<Outcome, Outcome> {
    let refused = |reason: String| Outcome::Refused { reason, channel: false };
    let entity = target(c, &n.to.address).map_err(refused)?;
    match c.does {
        Does::Http => call(c, channel, n, &entity).await,
        Does::Crowdsec => decide(c, channel, n, &entity).await,
    }
}

/// What it may be done to: of addresses only those out on the internet, or an attacker who writes events could have us
/// block ourselves.
pub fn target(c: &Action, entity: &str) -> Result<String, String> {
    if c.about.ends_with(".ip") {
        let address: IpAddr =
            entity.parse().map_err(|_| format!("'{}' is no address", cut(&crate::text::inert(entity), 60)))?;
        // Addresses for documentation are public enough to be told apart from our own.
        let ours = match address {
            IpAddr::V4(a) => {
                a.is_loopback() || a.is_private() || a.is_link_local() || a.is_unspecified() || a.is_broadcast()
            }
            IpAddr::V6(a) => {
                a.is_loopback()
                    || a.is_unspecified()
                    || a.to_ipv4_mapped().is_some()
                    || (a.segments()[0] & 0xfe00) == 0xfc00
                    || (a.segments()[0] & 0xffc0) == 0xfe80
            }
        };
        if ours {
            return Err(format!(
                "{address} is an address of this machine or of a private network; do that by hand if it is meant"
            ));
        }
        return Ok(address.to_string());
    }
    if entity.is_empty() || entity.chars().count() > 256 || entity.chars().any(char::is_control) {
        return Err("what the incident is about is nothing an action could be told".into());
    }
    Ok(entity.to_owned())
}

async fn call(c: &Action, channel: &Channel, n: &Notification, entity: &str) -> Result<Outcome, Outcome> {
    let undo = n.purpose == Purpose::Undo;
    let (template, method) = match (undo, &c.undo_url) {
        (true, Some(url)) => (url, &c.undo_method),
        (true, None) => {
            return Err(Outcome::Refused {
                reason: "it cannot be taken back: there is no undo_url".into(),
                channel: false,
            });
        }
        (false, _) => (&c.url, &c.method),
    };
    let url = address(template, entity, &c.allow).map_err(Outcome::refused)?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|e| Outcome::refused(e.to_string()))?;
    let mut request = http::guarded(&c.allow)?.request(method, url).header("idempotency-key", &n.key);
    if let Some(reference) = &c.secret {
        request = request.bearer_auth(channel.secret(reference).await?.expose_secret());
    }
    if !undo && !c.body.is_empty() {
        request = request.header("content-type", "application/json").body(body(c, n, entity).to_string());
    }
    let answer = http::ask(request).await?;
    Ok(match answer.outcome() {
        Outcome::Delivered { .. } => Outcome::Delivered { id: Some(cut(&answer.sentence(), 120)) },
        // Taken back already is taken back.
        Outcome::Refused { .. } if undo && answer.status == 404 => {
            Outcome::Delivered { id: Some("it was gone already".into()) }
        }
        Outcome::Refused { reason, .. } => Outcome::Refused { reason, channel: false },
        other => other,
    })
}

/// The value goes into the address percent-encoded, so it stays one segment or one value.
pub fn address(template: &str, entity: &str, allow: &[String]) -> Result<Url, String> {
    let encoded: String = entity
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_~.".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    http::target(&template.replace("{entity}", &encoded), allow)
}

/// The document with its values in place.
pub fn body(c: &Action, n: &Notification, entity: &str) -> Value {
    let mut document: Value = serde_json::from_str(&c.body).unwrap_or_default();
    let p = &n.page;
    fill(
        &mut document,
        &[
            ("{entity}", entity),
            ("{number}", &p.number.to_string()),
            ("{severity}", n.severity.as_str()),
            ("{type}", &p.kind),
            ("{id}", &p.thread),
        ],
    );
    document
}

/// Values go into the strings of a parsed document, in one pass: none of them can break out of its string, or be looked
/// at again.
pub(crate) fn fill(value: &mut Value, known: &[(&str, &str)]) {
    match value {
        Value::String(text) => {
            let (mut out, mut rest) = (String::new(), text.as_str());
            while let Some(at) = rest.find('{') {
                out.push_str(&rest[..at]);
                rest = &rest[at..];
                let (put, skip) = known
                    .iter()
                    .find(|(name, _)| rest.starts_with(name))
                    .map_or(("{", 1), |(name, value)| (*value, name.len()));
                out.push_str(put);
                rest = &rest[skip..];
            }
            out.push_str(rest);
            *text = out;
        }
        Value::Array(items) => items.iter_mut().for_each(|v| fill(v, known)),
        Value::Object(map) => map.values_mut().for_each(|v| fill(v, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A machine logs in, then adds an alert with a decision, or deletes the decisions about the address.
async fn decide(c: &Action, channel: &Channel, n: &Notification, entity: &str) -> Result<Outcome, Outcome> {
    let Some(reference) = &c.secret else { return Err(Outcome::refused("there is no password")) };
    let base = http::target(&c.url, &c.allow).map_err(Outcome::refused)?;
    let base = base.as_str().trim_end_matches('/');
    let client = http::guarded(&c.allow)?;
    let json_to = |client: &Client, url: String, body: Value| -> RequestBuilder {
        client.post(url).header("content-type", "application/json").body(body.to_string())
    };
    let password = channel.secret(reference).await?;
    let login = http::ask(json_to(
        &client,
        format!("{base}/v1/watchers/login"),
        json!({ "machine_id": c.machine, "password": password.expose_secret(), "scenarios": [SCENARIO] }),
    ))
    .await?;
    let token = login.json()["token"].as_str().map(str::to_owned);
    let Some(token) = token.filter(|_| login.status == 200) else {
        return Ok(match login.outcome() {
            Outcome::Retry { reason, after, .. } => Outcome::Retry { reason, after, maybe_sent: false },
            _ => Outcome::refused(format!("CrowdSec did not let the machine in: HTTP {}", login.status)),
        });
    };
    if n.purpose == Purpose::Undo {
        let answer = http::ask(
            client
                .delete(format!("{base}/v1/decisions"))
                .query(&[("ip", entity), ("scenario", SCENARIO)])
                .bearer_auth(&token),
        )
        .await?;
        return Ok(match answer.outcome() {
            Outcome::Delivered { .. } => Outcome::Delivered {
                id: Some(format!("{} decisions deleted", answer.json()["nbDeleted"].as_str().unwrap_or("0"))),
            },
            other => other,
        });
    }
    let seconds = c.lasts.unwrap_or_default().as_secs();
    let now = Timestamp::now().rfc3339();
    let alert = json!([{
        "scenario": SCENARIO, "scenario_hash": "", "scenario_version": "1", "message": format!("Watchfloor incident #{}", n.page.number),
        "events_count": n.page.count.min(i32::MAX as u64), "events": [], "start_at": n.page.detected_at.rfc3339(), "stop_at": now, "capacity": 0, "leakspeed": "0", "simulated": false,
        "source": { "scope": "Ip", "value": entity, "ip": entity },
        "decisions": [{ "duration": format!("{seconds}s"), "type": "ban", "scope": "Ip", "value": entity, "origin": "watchfloor", "scenario": SCENARIO }],
    }]);
    let answer = http::ask(json_to(&client, format!("{base}/v1/alerts"), alert).bearer_auth(&token)).await?;
    Ok(match answer.status {
        201 => Outcome::Delivered { id: answer.json()[0].as_str().map(|id| format!("alert {id}")) },
        _ => match answer.outcome() {
            Outcome::Refused { reason, .. } => Outcome::Refused { reason, channel: false },
            other => other,
        },
    })
}

const SCENARIO: &str = "watchfloor/response";

#[cfg(test)]
mod tests {
    use super::*;

    fn action() -> Action {
        Action {
            title: String::new(),
            does: Does::Http,
            about: "source.ip".into(),
            url: "https://fw.example/block/{entity}?why=x".into(),
            method: "POST".into(),
            body: r#"{"ip": "{entity}", "note": "incident {number} {entity}"}"#.into(),
            undo_url: None,
            undo_method: "DELETE".into(),
            lasts: None,
            secret: None,
            machine: String::new(),
            without_asking: false,
            allow: vec![],
        }
    }

    #[test]
    fn what_an_attacker_wrote_is_one_value_or_nothing() {
        let c = action();
        for bad in [
            "127.0.0.1",
            "10.0.0.1",
            "::1",
            "::ffff:10.0.0.1",
            "fd00::1",
            "169.254.1.1",
            "0.0.0.0",
            "x",
            "",
            "1.2.3.4/../../admin",
            "1.2.3.4\r\nHost: x",
        ] {
            assert!(target(&c, bad).is_err(), "{bad}");
        }
        assert_eq!(target(&c, "203.0.113.9").unwrap(), "203.0.113.9");
        let user = Action { about: "user.name".into(), ..action() };
        assert_eq!(
            address(&user.url, "../admin?x=1#{entity}/%2e", &[]).unwrap().as_str(),
            "https://fw.example/block/..%2Fadmin%3Fx%3D1%23%7Bentity%7D%2F%252e?why=x"
        );
        let filled = body(&user, &crate::tests::notification(), "\",\"admin\":true,\"x\":\"{number}");
        assert!(filled.get("admin").is_none() && filled["ip"] == "\",\"admin\":true,\"x\":\"{number}", "{filled}");
    }

    #[test]
    fn what_is_wrong_with_an_action_is_said() {
        for (change, expected) in [
            (Action { url: "http://fw.example/{entity}".into(), ..action() }, "https"),
            (Action { method: "BLOCK".into(), ..action() }, "no method"),
            (Action { body: "{".into(), ..action() }, "no JSON"),
            (Action { lasts: Some(std::time::Duration::from_secs(60)), ..action() }, "undo_url"),
            (Action { does: Does::Crowdsec, ..action() }, "machine"),
        ] {
            let error = crate::ChannelConfig::Action(change).check().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
