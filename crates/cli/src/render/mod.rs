//! Answers for people. Event text is made visible, so that nothing in it speaks to the terminal (threat T4).

mod console;
mod incidents;
mod privacy;

use std::borrow::Cow;

use serde_json::Value;
use wf_console::visible;

pub use console::*;
pub use incidents::*;
pub use privacy::*;

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
