//! Feeds, events, the audit log and the console itself.

use serde_json::Value;

use super::{list, number, table, text};

pub fn feeds(v: &Value) -> String {
    if list(v).is_empty() {
        return "no feeds: write [feed.NAME] into the config".into();
    }
    let rows: Vec<_> = list(v)
        .iter()
        .map(|f| {
            let c = &f["counts"];
            vec![
                text(&f["name"]),
                text(&f["state"]),
                text(&f["delivery"]),
                number(&c["received"]),
                number(&c["stored"]),
                number(&c["duplicates"]),
                number(&c["quarantined"]),
                number(&c["filtered"]),
                number(&c["discarded"]),
                number(&f["gaps"]),
                text(&f["detail"]),
            ]
        })
        .collect();
    table(
        &[
            "FEED",
            "STATE",
            "DELIVERY",
            "RECEIVED",
            "STORED",
            "DUPLICATES",
            "QUARANTINED",
            "FILTERED",
            "DISCARDED",
            "GAPS",
            "",
        ],
        &rows,
    )
}

pub fn probe(v: &Value) -> String {
    let mut out = vec![format!("url        {}", text(&v["url"])), format!("connected  {}", text(&v["connected"]))];
    if v["connected"] == true {
        out.push(format!("handshake  {} {}", number(&v["status"]), v["tls"].as_str().unwrap_or("not encrypted")));
        out.push(format!("delivery   {}", text(&v["delivery"])));
        out.push(format!("cursor     {}", text(&v["cursor"])));
    }
    if !v["problem"].is_null() {
        out.push(format!("problem    {}", text(&v["problem"])));
    }
    for f in list(&v["frames"]) {
        out.push(format!("\nframe of {} bytes: {}", number(&f["bytes"]), text(&f["text"])));
        for e in list(&f["events"]) {
            out.push(format!("  event of {}", text(&e["occurred_at"])));
            for (name, value) in e["fields"].as_object().into_iter().flatten() {
                out.push(format!("    {name} = {}", text(value)));
            }
        }
        for q in list(&f["quarantined"]) {
            out.push(format!("  not readable: {}", text(q)));
        }
    }
    out.join("\n")
}

pub fn events(v: &Value) -> String {
    let rows: Vec<_> = list(&v["events"])
        .iter()
        .map(|e| {
            let f = &e["fields"];
            vec![
                text(&e["occurred_at"]),
                text(&e["feed"]),
                text(&f["event.action"]),
                text(&f["user.name"]),
                text(&f["source.ip"]),
                text(&e["raw"]).chars().take(70).collect(),
            ]
        })
        .collect();
    let mut out = table(&["TIME", "FEED", "ACTION", "USER", "SOURCE", "RAW"], &rows);
    if let Some(next) = v["next"].as_str() {
        out.push_str(&format!("\n\nmore: --after {next}"));
    }
    out
}

pub fn verdict(v: &Value) -> String {
    let keys =
        list(&v["keys"]).iter().map(|k| format!("\nsigned by     {}, {}", text(&k["fingerprint"]), text(&k["note"])));
    format!(
        "integrity     {}\ncompleteness  {}{}",
        text(&v["integrity"]),
        text(&v["completeness"]),
        keys.collect::<String>()
    )
}

pub fn health(v: &Value) -> String {
    let s = &v["store"];
    let mut out = vec![
        format!(
            "watchfloor {}, {}",
            text(&v["version"]),
            if v["running"] == true { "running" } else { "not running (read from the disk)" }
        ),
        format!(
            "store: {} events, {} bytes, encrypted, key in the {}, {}",
            number(&s["events"]),
            number(&s["bytes"]),
            text(&s["key"]),
            text(&s["path"])
        ),
    ];
    if !s["blocked"].is_null() {
        out.push(format!("BLOCKED: {}", text(&s["blocked"])));
    }
    out.extend(list(&v["problems"]).iter().map(|p| format!("problem: {}", text(p))));
    out.push(format!("\n{}", feeds(&v["feeds"])));
    if !list(&v["tasks"]).is_empty() {
        let rows: Vec<_> = list(&v["tasks"])
            .iter()
            .map(|t| {
                vec![
                    text(&t["name"]),
                    if t["running"] == true { "running".into() } else { "DOWN".into() },
                    number(&t["restarts"]),
                    text(&t["last_failure"]),
                ]
            })
            .collect();
        out.push(format!("\n{}", table(&["TASK", "", "RESTARTS", "LAST FAILURE"], &rows)));
    }
    out.join("\n")
}
