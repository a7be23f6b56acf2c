//! Incidents, what is done about them, who is told, and how well it went.

use serde_json::Value;
use wf_console::visible;

use super::{list, number, table, text};

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
