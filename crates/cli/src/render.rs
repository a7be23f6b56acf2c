//! Answers for people. Event text is made visible, so that nothing in it speaks to the terminal (threat T4).

use std::borrow::Cow;

use serde_json::Value;
use wf_console::visible;

/// As JSON that reads back as it was: what would speak to the terminal is written as `\uXXXX`, which `serde_json` does
/// for the controls of ASCII alone.
pub fn json(v: &Value) -> String {
    let text = v.to_string();
    if matches!(visible(&text), Cow::Borrowed(_)) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if matches!(visible(c.encode_utf8(&mut [0; 4])), Cow::Borrowed(_)) {
            out.push(c);
            continue;
        }
        // Only within its strings is JSON anything but ASCII.
        for unit in c.encode_utf16(&mut [0; 2]).iter() {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

fn text(v: &Value) -> String {
    match v {
        Value::Null => "-".into(),
        Value::String(s) => visible(s).into_owned(),
        other => other.to_string(),
    }
}

fn number(v: &Value) -> String {
    v.as_f64().map_or_else(|| "-".into(), |n| format!("{n:.0}"))
}

/// Columns as wide as their widest cell.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(cell.chars().count()).min(70);
        }
    }
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}", w = *w)).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut out = vec![line(head.to_vec())];
    out.extend(rows.iter().map(|r| line(r.iter().map(String::as_str).collect())));
    out.join("\n")
}

fn list(v: &Value) -> &[Value] {
    v.as_array().map_or(&[], Vec::as_slice)
}

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

pub fn incidents(v: &Value) -> String {
    if list(v).is_empty() {
        return "no incidents".into();
    }
    let rows: Vec<_> = list(v)
        .iter()
        .map(|i| {
            vec![
                format!("#{}", number(&i["number"])),
                text(&i["severity"]),
                text(&i["state"]),
                number(&i["count"]),
                text(&i["last_seen"]),
                text(&i["title"]),
                text(&i["owner"]),
                i["next"]["text"].as_str().map_or_else(String::new, |t| visible(t).into_owned()),
            ]
        })
        .collect();
    table(&["", "SEV", "STATE", "COUNT", "LAST SEEN", "WHAT", "OWNER", "NEXT"], &rows)
}

pub fn one_incident(i: &Value) -> String {
    format!("#{} {} {}: {}", number(&i["number"]), text(&i["severity"]), text(&i["state"]), text(&i["title"]))
}

pub fn incident(v: &Value) -> String {
    let i = &v["incident"];
    let mut out = vec![
        one_incident(i),
        format!(
            "id {}, rule {}, type {}, first seen {}, last seen {}, feeds {}",
            text(&i["id"]),
            text(&i["rule_title"]),
            text(&i["type"]),
            text(&i["first_seen"]),
            text(&i["last_seen"]),
            list(&i["feeds"]).iter().map(text).collect::<Vec<_>>().join(", ")
        ),
        "\nevidence".into(),
    ];
    out.extend(list(&v["evidence"]).iter().map(|e| {
        format!(
            "  {}  {}  {}  {}  {}",
            text(&e["at"]),
            text(&e["action"]),
            text(&e["who"]),
            text(&e["source"]),
            text(&e["what"])
        )
    }));
    if let Some(next) = i["next"].as_object() {
        out.push(format!("\nnext: {} at {}", text(&next["text"]), text(&next["at"])));
    }
    if !list(&v["ladder"]).is_empty() {
        out.push("\nladder".into());
        out.extend(list(&v["ladder"]).iter().enumerate().map(|(n, s)| {
            format!("  {} {}  {}", n + 1, if s["done"] == true { "done" } else { "    " }, text(&s["text"]))
        }));
    }
    if !list(&v["receipts"]).is_empty() {
        out.push(format!("\nreceipts\n{}", receipts(&v["receipts"])));
    }
    out.push("\ntimeline".into());
    out.extend(list(&v["timeline"]).iter().map(|t| {
        format!(
            "  {}  {}  {}",
            text(&t["at"]),
            t["operator"].as_str().map_or_else(|| "Watchfloor".into(), |o| visible(o).into_owned()),
            text(&t["text"])
        )
    }));
    out.join("\n")
}

pub fn verdict(v: &Value) -> String {
    format!("integrity     {}\ncompleteness  {}", text(&v["integrity"]), text(&v["completeness"]))
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

pub fn acted(v: &Value) -> String {
    match v.as_array() {
        None => one_incident(v),
        Some(all) => all
            .iter()
            .map(|a| {
                if a["error"].is_null() {
                    one_incident(&a["incident"])
                } else {
                    format!("{}: {}", text(&a["id"]), text(&a["error"]))
                }
            })
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

pub fn folded(v: &Value) -> String {
    let rows: Vec<_> = list(v)
        .iter()
        .map(|f| vec![number(&f["version"]), text(&f["at"]), number(&f["count"]), text(&f["entity"])])
        .collect();
    table(&["MATCHES", "TAKEN UP", "COUNT", "ABOUT"], &rows)
}

pub fn silences(v: &Value) -> String {
    if list(v).is_empty() {
        return "no silences".into();
    }
    let fits = |m: &Value| {
        m.as_object()
            .into_iter()
            .flatten()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| format!("{k}={}", text(v)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let rows: Vec<_> = list(v)
        .iter()
        .map(|s| {
            vec![
                text(&s["id"]),
                if s["active"] == true { "lasts".into() } else { "ended".into() },
                fits(&s["matcher"]),
                text(&s["until"]),
                number(&s["hidden"]),
                text(&s["author"]),
                text(&s["reason"]),
            ]
        })
        .collect();
    table(&["ID", "", "FITS", "UNTIL", "HIDES", "BY", "REASON"], &rows)
}

pub fn on_call(v: &Value) -> String {
    if list(v).is_empty() {
        return "no rotas: write [schedule.NAME] into the config".into();
    }
    let rows: Vec<_> = list(v)
        .iter()
        .map(|s| {
            let next = list(&s["shifts"])
                .iter()
                .skip(1)
                .take(2)
                .map(|x| {
                    format!(
                        "{} {}",
                        text(&x["begins"]),
                        x["person"].as_str().map_or_else(|| "nobody".into(), |p| visible(p).into_owned())
                    )
                })
                .collect::<Vec<_>>()
                .join("; then ");
            vec![
                text(&s["schedule"]),
                s["person"].as_str().map_or_else(|| "NOBODY".into(), |p| visible(p).into_owned()),
                next,
                text(&s["time_zone"]),
            ]
        })
        .collect();
    table(&["ROTA", "ON CALL", "NEXT", "ZONE"], &rows)
}

pub fn readiness(v: &Value) -> String {
    if list(&v["sentences"]).is_empty() {
        return "everybody who should be told can be told, at any hour of the coming four weeks".into();
    }
    list(&v["sentences"]).iter().map(text).collect::<Vec<_>>().join("\n")
}

pub fn receipts(v: &Value) -> String {
    if list(v).is_empty() {
        return "nothing was sent".into();
    }
    let rows: Vec<_> = list(v)
        .iter()
        .map(|r| {
            let state = if r["possible_duplicate"] == true {
                format!("{} (possible duplicate)", text(&r["state"]))
            } else {
                text(&r["state"])
            };
            vec![
                text(&r["created_at"]),
                text(&r["purpose"]),
                text(&r["channel"]),
                text(&r["person"]),
                state,
                number(&r["attempts"]),
                text(&r["delivered_at"]),
                text(&r["provider_id"]),
                text(&r["error"]),
            ]
        })
        .collect();
    table(&["OWED", "WHY", "CHANNEL", "FOR", "STATE", "TRIES", "DELIVERED", "PROVIDER'S ID", ""], &rows)
}

pub fn channels(v: &Value) -> String {
    if list(v).is_empty() {
        return "no channels: write [channel.NAME] into the config".into();
    }
    let rows: Vec<_> = list(v)
        .iter()
        .map(|c| {
            vec![
                text(&c["name"]),
                text(&c["kind"]),
                list(&c["severities"]).iter().map(text).collect::<Vec<_>>().join(" "),
                text(&c["worked_at"]),
                number(&c["waiting"]),
                text(&c["broken"]),
            ]
        })
        .collect();
    table(&["CHANNEL", "KIND", "FOR", "LAST SEEN TO WORK", "WAITING", "BROKEN"], &rows)
}

pub fn metrics(v: &Value) -> String {
    let span = |s: &Value| {
        if s["n"] == 0 && s["open"] == 0 {
            return "-".to_owned();
        }
        let time = |ms: &Value| wf_console::spoken(std::time::Duration::from_millis(ms.as_f64().unwrap_or(0.0) as u64));
        let open = if s["open"] == 0 {
            String::new()
        } else {
            format!(", {} open ({})", number(&s["open"]), time(&s["oldest_open"]))
        };
        format!("{} / {} / {}, n {}{open}", time(&s["mean"]), time(&s["median"]), time(&s["p95"]), number(&s["n"]))
    };
    let rows: Vec<_> = list(&v["rows"])
        .iter()
        .map(|m| {
            let rate = m["false_positive_rate"].as_f64().map_or_else(|| "-".into(), |r| format!("{:.0} %", r * 100.0));
            vec![
                m["severity"].as_str().unwrap_or("all").to_owned(),
                number(&m["incidents"]),
                span(&m["mttd"]),
                span(&m["mtta"]),
                span(&m["mtt_respond"]),
                span(&m["mtt_resolve"]),
                format!(
                    "{} met, {} missed, {} at risk",
                    number(&m["sla_met"]),
                    number(&m["sla_missed"]),
                    number(&m["sla_at_risk"])
                ),
                rate,
            ]
        })
        .collect();
    let formulas =
        list(&v["formulas"]).iter().map(|f| format!("{}: {}", text(&f[0]), text(&f[1]))).collect::<Vec<_>>().join("\n");
    format!(
        "since {}; spans are mean / median / p95\n\n{}\n\n{formulas}",
        text(&v["since"]),
        table(&["", "N", "MTTD", "MTTA", "MTT-RESPOND", "MTT-RESOLVE", "SLA", "FALSE POSITIVES"], &rows)
    )
}

pub fn requests(v: &Value) -> String {
    if list(v).is_empty() {
        return "no requests".into();
    }
    let rows: Vec<_> = list(v)
        .iter()
        .map(|r| {
            let left = if r["open"] != true {
                String::new()
            } else if r["late"] == true {
                format!("LATE by {} d", -r["days_left"].as_i64().unwrap_or(0))
            } else {
                format!("{} d", r["days_left"])
            };
            vec![
                format!("#{}", r["number"]),
                text(&r["kind"]),
                text(&r["state"]).replace('_', " "),
                text(&r["received"]),
                text(&r["due"]),
                left,
                list(&r["subject"]).iter().map(identifier).collect::<Vec<_>>().join(", "),
            ]
        })
        .collect();
    table(&["NO.", "TYPE", "STATE", "RECEIVED", "DUE", "LEFT", "SUBJECT"], &rows)
}

fn identifier(v: &Value) -> String {
    format!("{}:{}", text(&v["kind"]), text(&v["value"]))
}

pub fn request(v: &Value) -> String {
    let mut out = vec![
        format!("request    #{} {} ({})", v["number"], text(&v["kind"]), text(&v["article"])),
        format!("state      {}", text(&v["state"]).replace('_', " ")),
        format!(
            "due        {}{}",
            text(&v["due"]),
            if v["clock_stopped"] == true { " (the clock stands still)" } else { "" }
        ),
        format!("           {}", text(&v["due_reasoning"])),
        format!("subject    {}", list(&v["subject"]).iter().map(identifier).collect::<Vec<_>>().join(", ")),
    ];
    if let Some(n) = v["may_be_duplicate_of"].as_f64() {
        out.push(format!("note       may be a duplicate of #{n:.0}"));
    }
    for t in list(&v["tasks"]) {
        out.push(format!(
            "task       {}: {}",
            text(&t["system"]),
            if t["receipt"].is_null() { text(&t["failed"]) } else { text(&t["receipt"]["text"]) }
        ));
    }
    for d in list(&v["outcome"]["done"]) {
        out.push(format!(
            "done       {}: {} found, {} changed, {} kept {}",
            text(&d["place"]),
            number(&d["found"]),
            number(&d["changed"]),
            number(&d["kept"]),
            text(&d["ground"])
        ));
    }
    for f in list(&v["outcome"]["files"]) {
        out.push(format!(
            "file       {} sha256 {}{}",
            text(&f["name"]),
            text(&f["sha256"]),
            if f["removed"] == true { " (removed)" } else { "" }
        ));
    }
    for r in list(&v["outcome"]["remarks"]) {
        out.push(format!("           {}", text(r)));
    }
    if let Some(refusal) = v["refusal"].as_str() {
        out.push(format!("refused    {}", visible(refusal)));
    }
    for h in list(&v["history"]) {
        out.push(format!("{}  {}  {}", text(&h["at"]), text(&h["by"]), text(&h["text"])));
    }
    out.join("\n")
}

pub fn subject(v: &Value) -> String {
    if list(&v["places"]).is_empty() {
        return format!(
            "nothing is held about {}",
            list(&v["identifiers"]).iter().map(text).collect::<Vec<_>>().join(", ")
        );
    }
    let rows: Vec<_> =
        list(&v["places"]).iter().map(|p| vec![text(&p["place"]), number(&p["found"]), number(&p["kept"])]).collect();
    let samples: Vec<_> = list(&v["samples"])
        .iter()
        .map(|s| format!("{}  {}  {}", text(&s["place"]), text(&s["at"]), text(&s["text"])))
        .collect();
    format!("{}\n\n{}", table(&["PLACE", "FOUND", "KEPT"], &rows), samples.join("\n"))
}

pub fn breaches(v: &Value) -> String {
    if list(v).is_empty() {
        return "no breaches".into();
    }
    let rows: Vec<_> = list(v)
        .iter()
        .map(|b| {
            vec![format!("#{}", b["number"]), text(&b["state"]).replace('_', " "), text(&b["due"]), text(&b["title"])]
        })
        .collect();
    table(&["NO.", "STATE", "DUE", "WHAT"], &rows)
}

pub fn breach(v: &Value) -> String {
    let mut out = vec![
        format!("breach     #{} {}", v["number"], text(&v["title"])),
        format!("state      {}", text(&v["state"]).replace('_', " ")),
        format!("suspected  {}", text(&v["suspected"]["at"])),
    ];
    if !v["aware"].is_null() {
        out.push(format!(
            "known      {} by {}: {}",
            text(&v["aware"]["at"]),
            text(&v["aware"]["by"]),
            text(&v["aware"]["text"])
        ));
        out.push(format!("due        {}", text(&v["due"])));
    }
    if !list(&v["missing"]).is_empty() {
        out.push(format!("missing    {}", list(&v["missing"]).iter().map(text).collect::<Vec<_>>().join(", ")));
    }
    for h in list(&v["history"]) {
        out.push(format!("{}  {}  {}", text(&h["at"]), text(&h["by"]), text(&h["text"])));
    }
    out.join("\n")
}

pub fn consents(v: &Value) -> String {
    let rows: Vec<_> = list(v)
        .iter()
        .map(|c| {
            vec![
                format!("#{}", c["number"]),
                identifier(&c["subject"]),
                text(&c["purpose"]),
                text(&c["text_version"]),
                text(&c["given"]),
                text(&c["standing"]),
            ]
        })
        .collect();
    if rows.is_empty() {
        "no consents".into()
    } else {
        table(&["NO.", "SUBJECT", "PURPOSE", "TEXT", "GIVEN", "STANDING"], &rows)
    }
}

pub fn consent(v: &Value) -> String {
    format!(
        "consent #{}: {} to {} ({})",
        v["number"],
        identifier(&v["subject"]),
        text(&v["purpose"]),
        text(&v["text_version"])
    )
}

pub fn activities(v: &Value) -> String {
    let rows: Vec<_> = list(v)
        .iter()
        .map(|a| vec![format!("#{}", a["number"]), text(&a["name"]), text(&a["purposes"]), text(&a["retention"])])
        .collect();
    if rows.is_empty() {
        "no processing activity is recorded".into()
    } else {
        table(&["NO.", "ACTIVITY", "PURPOSES", "KEPT FOR"], &rows)
    }
}

pub fn imported(v: &Value) -> String {
    format!("{} imported", v["imported"])
}

pub fn holds(v: &Value) -> String {
    let rows: Vec<_> = list(v)
        .iter()
        .map(|h| {
            vec![
                format!("#{}", h["number"]),
                if h["released"].is_null() { "in force".into() } else { "released".into() },
                text(&h["title"]),
                text(&h["reason"]),
            ]
        })
        .collect();
    if rows.is_empty() { "no holds".into() } else { table(&["NO.", "", "TITLE", "REASON"], &rows) }
}

pub fn hold(v: &Value) -> String {
    format!(
        "hold #{} {}: {}",
        v["number"],
        text(&v["title"]),
        if v["released"].is_null() { "in force" } else { "released" }
    )
}

pub fn retention(v: &Value) -> String {
    let rows: Vec<_> = list(&v["classes"])
        .iter()
        .map(|c| {
            vec![text(&c["class"]), text(&c["period"]), text(&c["cutoff"]), number(&c["delete"]), number(&c["held"])]
        })
        .collect();
    let mut out = table(&["CLASS", "KEPT FOR", "OLDER THAN", "DELETE", "HELD"], &rows);
    if let Some(n) = v["over_retention"]["users"].as_f64() {
        out.push_str(&format!("\n\nusers over retention: {n:.0}"));
    }
    for s in list(&v["scheduled"]) {
        out.push_str(&format!("\nscheduled: {}", text(s)));
    }
    if let Some(bytes) = v["bytes"].as_f64() {
        out.push_str(&format!("\n{bytes:.0} bytes given back in {} ms", number(&v["took_ms"])));
    }
    out
}

pub fn pack(v: &Value) -> String {
    let mut out: Vec<String> = list(&v["findings"])
        .iter()
        .map(|f| format!("{} {}", if v["good"] == true { "ok  " } else { "    " }, text(f)))
        .collect();
    out.push(if v["good"] == true {
        format!("GOOD: {} files, {} audit entries", v["files"], v["leaves"])
    } else {
        "BAD: this pack is not what was signed".into()
    });
    if v["good"] == true {
        out.push(format!(
            "signed with the key {}{}",
            text(&v["key"]),
            if v["key_given"] == true {
                ", which is the one given"
            } else {
                ": the pack's own word; compare it with the fingerprint on a report you already have, or give --key"
            }
        ));
    }
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t4_json_is_inert_for_a_terminal_and_reads_back_as_it_was() {
        let value =
            serde_json::json!({ "a\u{202e}": "\u{1b}[31m \u{9b}2J \u{7f} \u{2066}\u{e0041} Ünïcode 日本 \u{1f525}" });
        let text = json(&value);
        assert!(matches!(visible(&text), Cow::Borrowed(_)), "{text}");
        assert!(text.contains("日本 \u{1f525}"), "what hides nothing stays as it is: {text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
