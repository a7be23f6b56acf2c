//! What privacy officers and auditors see.

use serde_json::Value;
use wf_console::visible;

use super::{list, number, table, text};

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
