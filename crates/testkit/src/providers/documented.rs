//! What each provider documents, as far as we use it: what it takes, and the status with which it refuses the rest.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Asked, State, TOKEN};

fn chars(v: &Value) -> usize {
    v.as_str().map_or(0, |s| s.chars().count())
}

fn units(v: &Value) -> usize {
    v.as_str().map_or(0, |s| s.encode_utf16().count())
}

/// What each provider documents, as far as we use it.
pub(super) fn route(a: &Asked, address: SocketAddr, s: &mut State) -> (u16, String) {
    let json = a.json();
    let path = a.path.as_str();
    if path.starts_with("/services/") {
        return slack(&json);
    }
    if path == "/api/apps.connections.open" {
        return match a.header("authorization") {
            Some("Bearer xapp-token") => {
                (200, json!({ "ok": true, "url": format!("ws://{address}/socket") }).to_string())
            }
            _ => (200, json!({ "ok": false, "error": "invalid_auth" }).to_string()),
        };
    }
    if path == "/v2/enqueue" {
        return pagerduty(a, &json);
    }
    if path.starts_with("/api/webhooks/") {
        return discord(a, &json, s);
    }
    if let Some(method) = path.strip_prefix(&format!("/bot{TOKEN}/")) {
        return telegram(method, &json, s);
    }
    if path.starts_with("/bot") {
        return (401, json!({ "ok": false, "error_code": 401, "description": "Unauthorized" }).to_string());
    }
    if path.starts_with("/2010-04-01/") {
        return twilio(a, s);
    }
    if path.starts_with("/hook") {
        return match a.header("idempotency-key") {
            Some(_) if !json.is_null() => (200, "{}".into()),
            _ => (400, "no key or no JSON".into()),
        };
    }
    if let Some(ip) = path.strip_prefix("/blocks/") {
        return match (a.method.as_str(), a.header("authorization")) {
            (_, auth) if auth != Some("Bearer firewall-token") => (401, "who are you".into()),
            ("POST", _) if ip.parse::<std::net::IpAddr>().is_ok() && json["reason"].is_string() => {
                (201, json!({ "blocked": ip }).to_string())
            }
            ("DELETE", _) => (204, String::new()),
            _ => (400, "no".into()),
        };
    }
    if path.starts_with("/v1/") {
        return crowdsec(a, &json);
    }
    if path == "/alive" {
        return (200, "ok".into());
    }
    (404, "nothing here".into())
}

fn slack(m: &Value) -> (u16, String) {
    if m["text"].as_str().is_none_or(str::is_empty) && m["blocks"].is_null() {
        return (400, "no_text".into());
    }
    let blocks = m["blocks"].as_array().cloned().unwrap_or_default();
    let plain = |t: &Value, most: usize| {
        (t["type"] == "plain_text" || t["type"] == "mrkdwn") && (1..=most).contains(&chars(&t["text"]))
    };
    let good = |b: &Value| match b["type"].as_str() {
        Some("header") => b["text"]["type"] == "plain_text" && plain(&b["text"], 150),
        Some("section") if b["fields"].is_array() => {
            b["fields"].as_array().is_some_and(|f| f.len() <= 10 && f.iter().all(|t| plain(t, 2000)))
        }
        Some("section") => plain(&b["text"], 3000),
        Some("context") => {
            b["elements"].as_array().is_some_and(|e| !e.is_empty() && e.len() <= 10 && e.iter().all(|t| plain(t, 3000)))
        }
        Some("actions") => b["elements"].as_array().is_some_and(|e| {
            e.iter().all(|x| x["type"] == "button" && plain(&x["text"], 75) && chars(&x["value"]) <= 2000)
        }),
        _ => false,
    };
    if blocks.len() > 50 || !blocks.iter().all(good) {
        return (400, "invalid_blocks".into());
    }
    (200, "ok".into())
}

fn pagerduty(a: &Asked, m: &Value) -> (u16, String) {
    let no = |why: &str| {
        (400, json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [why] }).to_string())
    };
    if a.body.len() > 512 << 10 {
        return no("too large");
    }
    if m["routing_key"] != "R0000000000000000000000000000000" {
        return no("'routing_key' is invalid");
    }
    let action = m["event_action"].as_str().unwrap_or_default();
    if !["trigger", "acknowledge", "resolve"].contains(&action) || chars(&m["dedup_key"]) > 255 {
        return no("'event_action' or 'dedup_key' is invalid");
    }
    if action == "trigger" {
        let p = &m["payload"];
        if !(1..=1024).contains(&chars(&p["summary"]))
            || chars(&p["source"]) == 0
            || !["critical", "error", "warning", "info"].contains(&p["severity"].as_str().unwrap_or_default())
        {
            return no("'payload' is invalid");
        }
    } else if chars(&m["dedup_key"]) == 0 {
        return no("'dedup_key' is missing");
    }
    (202, json!({ "status": "success", "message": "Event processed", "dedup_key": m["dedup_key"] }).to_string())
}

fn discord(a: &Asked, m: &Value, s: &mut State) -> (u16, String) {
    let no = |why: &str| (400, json!({ "code": 50035, "message": why }).to_string());
    if !a.query.contains("wait=true") {
        return (204, String::new());
    }
    if units(&m["content"]) > 2000 || m["embeds"].as_array().is_some_and(|e| e.len() > 10) {
        return no("content or embeds");
    }
    let mut all = 0;
    for e in m["embeds"].as_array().into_iter().flatten() {
        let fields = e["fields"].as_array().cloned().unwrap_or_default();
        if units(&e["title"]) > 256
            || units(&e["description"]) > 4096
            || fields.len() > 25
            || fields
                .iter()
                .any(|f| !(1..=256).contains(&units(&f["name"])) || !(1..=1024).contains(&units(&f["value"])))
        {
            return no("embed");
        }
        all += units(&e["title"])
            + units(&e["description"])
            + units(&e["footer"]["text"])
            + fields.iter().map(|f| units(&f["name"]) + units(&f["value"])).sum::<usize>();
    }
    if all > 6000 {
        return no("embeds are longer than 6000");
    }
    s.created += 1;
    (200, json!({ "id": s.created.to_string() }).to_string())
}

fn telegram(method: &str, m: &Value, s: &mut State) -> (u16, String) {
    let no = |why: &str| {
        (400, json!({ "ok": false, "error_code": 400, "description": format!("Bad Request: {why}") }).to_string())
    };
    match method {
        "sendMessage" => {
            if m["chat_id"] != "-1001" {
                return no("chat not found");
            }
            let text: Vec<u16> = m["text"].as_str().unwrap_or_default().encode_utf16().collect();
            if text.is_empty() || text.len() > 4096 {
                return no("message is too long");
            }
            let outside = |e: &Value| {
                e["offset"]
                    .as_u64()
                    .zip(e["length"].as_u64())
                    .is_none_or(|(o, l)| l == 0 || (o + l) as usize > text.len())
            };
            if !m["parse_mode"].is_null() || m["entities"].as_array().into_iter().flatten().any(outside) {
                return no("can't parse entities");
            }
            let long = |b: &Value| !(1..=64).contains(&b["callback_data"].as_str().map_or(0, str::len));
            if m["reply_markup"]["inline_keyboard"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|r| r.as_array().cloned().unwrap_or_default())
                .any(|b| long(&b))
            {
                return no("BUTTON_DATA_INVALID");
            }
            s.created += 1;
            (200, json!({ "ok": true, "result": { "message_id": s.created } }).to_string())
        }
        "getUpdates" => {
            let offset = m["offset"].as_i64().unwrap_or(0);
            s.updates.retain(|u| u["update_id"].as_i64() >= Some(offset));
            (200, json!({ "ok": true, "result": s.updates }).to_string())
        }
        "answerCallbackQuery" => (200, json!({ "ok": true, "result": true }).to_string()),
        _ => (404, json!({ "ok": false, "error_code": 404, "description": "Not Found" }).to_string()),
    }
}

/// The local API: a machine logs in, adds alerts with decisions, deletes decisions.
fn crowdsec(a: &Asked, m: &Value) -> (u16, String) {
    if a.path == "/v1/watchers/login" {
        return match (m["machine_id"].as_str(), m["password"].as_str()) {
            (Some("watchfloor"), Some("crowdsec-password")) => {
                (200, json!({ "code": 200, "expire": "2099-01-01T00:00:00Z", "token": "jwt" }).to_string())
            }
            _ => (403, json!({ "code": 403, "message": "incorrect Username or Password" }).to_string()),
        };
    }
    if a.header("authorization") != Some("Bearer jwt") {
        return (401, json!({ "code": 401, "message": "cookie token is empty" }).to_string());
    }
    match (a.method.as_str(), a.path.as_str()) {
        ("POST", "/v1/alerts") => {
            let alert = &m[0];
            let text = ["scenario", "scenario_version", "message", "start_at", "stop_at", "leakspeed"]
                .iter()
                .all(|k| alert[*k].is_string())
                && alert["scenario_hash"].is_string();
            let decision = &alert["decisions"][0];
            let good = text
                && alert["events"].is_array()
                && alert["simulated"].is_boolean()
                && alert["capacity"].is_i64()
                && alert["source"]["scope"] == "Ip"
                && decision["duration"].as_str().is_some_and(|d| d.ends_with('s'))
                && decision["type"] == "ban"
                && decision["value"].as_str().is_some_and(|v| v.parse::<std::net::IpAddr>().is_ok());
            if good {
                (201, json!(["7"]).to_string())
            } else {
                (400, json!({ "message": "validation failure" }).to_string())
            }
        }
        ("DELETE", "/v1/decisions") if a.query.starts_with("ip=") => (200, json!({ "nbDeleted": "1" }).to_string()),
        _ => (404, json!({ "message": "no" }).to_string()),
    }
}

fn twilio(a: &Asked, s: &mut State) -> (u16, String) {
    let no = |status: u16, code: u32, why: &str| {
        (status, json!({ "code": code, "message": why, "status": status }).to_string())
    };
    // AC…1:twilio-token
    if a.header("authorization") != Some("Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTp0d2lsaW8tdG9rZW4=") {
        return no(401, 20003, "Authenticate");
    }
    let kind = if a.path.contains("/Calls") { "Calls" } else { "Messages" };
    if a.method == "GET" && a.path.ends_with(&format!("/{kind}.json")) {
        return (200, json!({ "messages": s.sms }).to_string());
    }
    let done = s.fate.unwrap_or(if kind == "Calls" { "completed" } else { "delivered" });
    if a.method == "GET" {
        return (
            200,
            json!({ "sid": a.path.rsplit('/').next().map(|p| p.trim_end_matches(".json")), "status": done })
                .to_string(),
        );
    }
    let to = a.form("To").unwrap_or_default();
    if !(to.starts_with('+') && to.len() > 6 && to[1..].bytes().all(|b| b.is_ascii_digit())) {
        return no(400, 21211, "Invalid 'To' Phone Number");
    }
    if a.form("From").is_none() && a.form("MessagingServiceSid").is_none() {
        return no(400, 21603, "A 'From' phone number is required.");
    }
    match kind {
        "Messages" if a.form("Body").is_none_or(|b| b.is_empty() || b.chars().count() > 1600) => {
            return no(400, 21617, "The concatenated message body exceeds the 1600 character limit.");
        }
        "Calls" if a.form("Twiml").is_none_or(|t| t.len() > 4000 || !t.starts_with("<Response>")) => {
            return no(400, 21205, "Twiml");
        }
        _ => {}
    }
    s.created += 1;
    (
        201,
        json!({ "sid": format!("{}{:032}", if kind == "Calls" { "CA" } else { "SM" }, s.created), "status": "queued" })
            .to_string(),
    )
}
