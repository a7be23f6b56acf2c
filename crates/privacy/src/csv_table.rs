//! Lists that come from, and go to, a spreadsheet: strict about columns, and never a formula.

use chrono::NaiveDate;
use wf_model::text::{cell, from_cell, sentence};

use crate::Refused;

/// Rows of exactly these columns. What is wrong is said with its line; nothing is taken then.
pub fn read<T>(
    text: &str,
    columns: &[&str],
    mut row: impl FnMut(&Row<'_>) -> Result<T, Refused>,
) -> Result<Vec<T>, Refused> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(|e| Refused(sentence(&format!("the first line: {e}"))))?.clone();
    if header.iter().ne(columns.iter().copied()) {
        return Refused::because(format!("the first line must be: {}", columns.join(",")));
    }
    let mut out = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| Refused(sentence(&e.to_string())))?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |e: Refused| Refused(sentence(&format!("line {line}: {e}")));
        out.push(row(&Row { record: &record, columns }).map_err(wrong)?);
        if out.len() > 200_000 {
            return Refused::because("more than 200,000 lines: split the file");
        }
    }
    Ok(out)
}

pub struct Row<'a> {
    record: &'a csv::StringRecord,
    columns: &'a [&'a str],
}

impl Row<'_> {
    pub fn text(&self, column: &str) -> &str {
        let at = self.columns.iter().position(|c| *c == column);
        at.and_then(|n| self.record.get(n)).map(from_cell).unwrap_or_default()
    }

    pub fn day(&self, column: &str) -> Result<Option<NaiveDate>, Refused> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| Refused(format!("{column}: '{text}' is not a day: write 2026-01-31")))
    }
}

/// The table as text.
pub fn write(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail, and every row is as long as the header.
    let _head = writer.write_record(columns).is_ok();
    for row in rows {
        let _row = writer.write_record(row.iter().map(|c| cell(c))).is_ok();
    }
    writer.into_inner().ok().and_then(|b| String::from_utf8(b).ok()).unwrap_or_default()
}
