//! Answers for people. Event text is made visible, so that nothing in it speaks to the terminal (threat T4).

mod console;
mod incidents;
mod privacy;

use serde_json::Value;
use wf_console::visible;

pub use console::*;
pub use incidents::*;
pub use privacy::*;

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
