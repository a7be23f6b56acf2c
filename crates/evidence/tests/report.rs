//! A report as its reader gets it: set, and read back.
#![allow(clippy::unwrap_used)]

use wf_evidence::report::chart::{self, Series};
use wf_evidence::report::{Block, Checkpoint, Column, Document, Figure, pdf};

/// What event text may try: markup of every kind that a report could pass through.
fn hostile() -> Vec<String> {
    [
        "#read(\"/etc/passwd\")",
        "#import \"x.typ\"",
        "= Heading",
        "*bold* _it_ `raw`",
        "$ x^2 $",
        "<script>alert(1)</script>",
        "#let x = 1",
        "\\ \\u{41}",
        "[#h(1fr)]",
        "@ref <label>",
        "{{1+1}}",
        "\u{202e}txt.exe",
        "a\u{200b}b",
        "\"}], \"blocks\": []",
        &"W".repeat(300),
        "日本語 العربية 🙂",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn document() -> Document {
    let mut d = Document {
        title: "GDPR compliance report".into(),
        subtitle: "1 January to 31 March 2026".into(),
        organisation: "Shop GmbH".into(),
        facts: vec![("Made".into(), "20 Nov 2026 18:00 Europe/Berlin".into()), ("By".into(), "Ann Lee".into())],
        checkpoint: Checkpoint {
            origin: "watchfloor.audit".into(),
            size: 1234,
            root: "q1W7m0n1Xy8kq2o0JtV6pQ4mGv4kN2b1yJ8c0VnqZ5A=".into(),
            key: "0123 4567 89ab cdef".into(),
        },
        blocks: Vec::new(),
    };
    d.heading("Requests of data subjects");
    d.figures(vec![
        Figure::new("Pending", 3, "2 due within a week", false),
        Figure::new("Overdue", 1, "#12, since 3 days", true),
        Figure::new("Completed", 41, "", false),
        Figure::new("Average answer", "9.5 days", "median 7", false),
    ]);
    let months: Vec<String> = ["Jan", "Feb", "Mar"].map(str::to_owned).to_vec();
    let severities = ["P1", "P2", "P3", "P4"];
    let series: Vec<Series> = severities
        .iter()
        .enumerate()
        .map(|(i, n)| Series {
            name: (*n).into(),
            colour: chart::SEVERITY[i],
            values: vec![Some(3.0), Some(12.0 + i as f64), Some(7.0)],
        })
        .collect();
    d.chart("Incidents by month and severity", chart::stacked(&months, &series, ""));
    d.chart(
        "Minutes to acknowledge (median), by month",
        chart::lines(
            &months,
            &[Series { name: "MTTA".into(), colour: chart::ACCENT, values: vec![Some(4.0), None, Some(6.5)] }],
            " min",
        ),
    );
    d.chart(
        "Top rules",
        chart::ranks(
            &[("Brute force attack".into(), 41.0, "41".into()), ("<b>hostile</b>".into(), 3.0, "3".into())],
            None,
        ),
    );
    d.heading("What was received");
    d.table(
        "hostile",
        "As it came in.",
        vec![Column::number("n"), Column::new("text", 3.0), Column::new("again", 2.0)],
        hostile().into_iter().enumerate().map(|(n, h)| vec![n.to_string(), h.clone(), h]).collect(),
        100,
        "",
    );
    d.table("none", "", vec![Column::new("x", 1.0)], vec![], 10, "There was nothing.");
    d.blocks.push(Block::Formulas { items: vec![("MTTA".into(), "acknowledged_at - notified_at, median".into())] });
    d
}

/// What `wf_tests::needs` does of a program that is missing, which no room can know: a failure where all tests are to be
/// run, and otherwise written down for `cargo xtask test` to count.
fn skipped(test: &str, program: &str) {
    use std::io::Write as _;
    assert!(std::env::var_os("WATCHFLOOR_ALL_TESTS").is_none_or(|v| v != "1"), "{test}: needs {program}");
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/skipped-tests.txt");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{test}: needs {program}\n").as_bytes()).unwrap();
}

#[test]
fn t6_hostile_text_stands_in_the_pdf_as_text_and_does_nothing() {
    let d = document();
    let bytes = pdf::pdf(&d).unwrap();
    assert!(bytes.starts_with(b"%PDF-"));
    for active in [&b"/JavaScript"[..], b"/Launch", b"/SubmitForm", b"/EmbeddedFile", b"/OpenAction"] {
        assert!(!bytes.windows(active.len()).any(|w| w == active), "{}", String::from_utf8_lossy(active));
    }
    let (pages, n) = pdf::preview(&d).unwrap();
    assert!(n >= 2 && pages.len() == n && pages.iter().all(|p| p.starts_with("<svg") && !p.contains("<script")));
    // Read back, where the tool for that is there: letter by letter what was said.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.pdf");
    std::fs::write(&path, &bytes).unwrap();
    if let Some(keep) = std::env::var_os("WATCHFLOOR_REPORTS") {
        std::fs::write(std::path::Path::new(&keep).join("sample.pdf"), &bytes).unwrap();
    }
    let Ok(out) = std::process::Command::new("pdftotext").arg("-raw").arg(&path).arg("-").output() else {
        return skipped("t6_hostile_text_stands_in_the_pdf_as_text_and_does_nothing", "pdftotext");
    };
    let plain = |t: &str| t.chars().filter(|c| !c.is_whitespace() && *c != '\u{200b}').collect::<String>();
    let text = plain(&String::from_utf8_lossy(&out.stdout));
    for h in hostile().iter().filter(|h| h.is_ascii()) {
        assert!(text.contains(&plain(h)), "{h} is in the report as it is");
    }
    assert!(text.contains("\\u{202e}txt.exe"), "what hides is shown");
    assert!(text.contains("rootq1W7m0n1Xy8kq2o0"), "the root is on every page");
}

#[test]
fn a_table_says_what_is_not_on_paper() {
    let mut d = document();
    d.blocks.clear();
    d.table("many", "All.", vec![Column::new("n", 1.0)], (0..5000).map(|n| vec![n.to_string()]).collect(), 20, "");
    let (_, pages) = pdf::preview(&d).unwrap();
    assert!(pages <= 3, "{pages}");
    assert_eq!(
        wf_evidence::report::csv::table(d.tables().next().unwrap()).iter().filter(|b| **b == b'\n').count(),
        5001
    );
}
