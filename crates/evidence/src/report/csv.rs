//! Tables for a spreadsheet: RFC 4180, and never a formula (threat T5).

use wf_model::text::cell;

use super::Table;

/// The whole table.
pub fn table(t: &Table) -> Vec<u8> {
    rows(t.columns.iter().map(|c| c.title.as_str()), t.rows.iter().map(|r| r.iter().map(String::as_str)))
}

/// Any rows below a header.
pub fn rows<'a, R: IntoIterator<Item = &'a str>>(
    header: impl IntoIterator<Item = &'a str>,
    rows: impl IntoIterator<Item = R>,
) -> Vec<u8> {
    let mut out = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    // Writing to memory does not fail.
    let _head = out.write_record(header.into_iter().map(cell)).is_ok();
    for row in rows {
        let _row = out.write_record(row.into_iter().map(cell)).is_ok();
    }
    out.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Column;

    #[test]
    fn t5_no_cell_begins_like_a_formula_whatever_stands_in_it() {
        let hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\u{ff1d}1", "a,b\"c\nd", "plain"];
        let t = Table {
            columns: vec![Column::new("=x", 1.0)],
            rows: hostile.iter().map(|h| vec![(*h).to_owned()]).collect(),
            ..Table::default()
        };
        let bytes = table(&t);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
        let cells: Vec<String> = reader.records().map(|r| r.unwrap()[0].to_owned()).collect();
        assert_eq!(cells.len(), hostile.len() + 1);
        for c in &cells {
            assert!(!c.starts_with(['=', '+', '-', '@', '\t', '\r', '\u{ff1d}']), "{c:?}");
        }
        assert_eq!((cells[8].as_str(), cells[9].as_str()), ("a,b\"c\nd", "plain"));
    }
}
