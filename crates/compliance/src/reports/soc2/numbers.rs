//! Section 4: the numbers of each severity, with their formulas.

use std::collections::BTreeMap;

use wf_evidence::report::chart;
use wf_evidence::report::{Block, Column, Document};
use wf_response::metrics;

use super::Collected;
use crate::reports::{percent, span, thousands};

pub(super) fn section(d: &mut Document, c: &Collected<'_>) {
    d.heading("4  Incident metrics");
    let cell = |s: &metrics::Spread| {
        if s.n == 0 {
            "–".to_owned()
        } else {
            format!("{} (mean {}, p95 {})", span(s.median), span(s.mean), span(s.p95))
        }
    };
    let rows = c.numbers.iter().map(|m| {
        vec![
            m.severity.map_or("all".to_owned(), |s| s.to_string()),
            thousands(m.incidents),
            cell(&m.detect),
            cell(&m.acknowledge),
            cell(&m.respond),
            cell(&m.resolve),
            percent(m.sla_met, m.sla_met + m.sla_missed),
            percent(m.false_positives, m.verdicts),
        ]
    });
    d.table(
        "metrics",
        "Medians; mean and 95th percentile in brackets.",
        vec![
            Column::new("", 0.6),
            Column::number("incidents"),
            Column::new("MTTD", 2.0),
            Column::new("MTTA", 2.0),
            Column::new("MTT-Respond", 2.0),
            Column::new("MTT-Resolve", 2.0),
            Column::number("SLA"),
            Column::number("false pos."),
        ],
        rows.collect(),
        10,
        "",
    );
    let attainment: Vec<(String, f64, String)> = metrics::agreed()
        .into_iter()
        .map(|(severity, text)| (text, c.of(severity)))
        .filter(|(_, m)| m.sla_met + m.sla_missed > 0)
        .map(|(text, m)| {
            let answered = m.sla_met + m.sla_missed;
            (text, m.sla_met as f64 / answered as f64, percent(m.sla_met, answered))
        })
        .collect();
    if !attainment.is_empty() {
        d.chart("Acknowledged within the agreed time", chart::ranks(&attainment, Some(1.0)));
    }
    let mut top: Vec<(&str, u64)> = c
        .incidents
        .iter()
        .fold(BTreeMap::<&str, u64>::new(), |mut m, i| {
            *m.entry(&i.rule_title).or_default() += 1;
            m
        })
        .into_iter()
        .collect();
    top.sort_by_key(|t| std::cmp::Reverse(t.1));
    if !top.is_empty() {
        d.chart(
            "Incidents by rule",
            chart::ranks(
                &top.iter()
                    .take(10)
                    .map(|(name, n)| ((*name).to_owned(), *n as f64, thousands(*n)))
                    .collect::<Vec<_>>(),
                None,
            ),
        );
    }
    d.blocks.push(Block::Formulas { items: metrics::formulas() });
}
