//! In short: how many, how quickly, and how both went over the period.

use wf_evidence::report::chart::{self, Series};
use wf_evidence::report::{Document, Figure};
use wf_model::{Incident, Severity};
use wf_response::metrics::{self, Handled, Metrics};

use super::Collected;
use crate::reports::{percent, thousands};

pub(super) fn section(d: &mut Document, c: &Collected<'_>) {
    let (incidents, handled, buckets, labels) = (c.incidents, &c.handled, &c.buckets, &c.labels);
    let total = c.numbers.first().cloned().unwrap_or_default();
    d.heading("In short");
    let (met, missed) = (total.sla_met, total.sla_missed);
    d.figures(vec![
        Figure::new("Events", thousands(c.events()), "received and evaluated", false),
        Figure::new(
            "Incidents",
            thousands(total.incidents),
            format!("{} P1, {} P2", c.of(Severity::P1).incidents, c.of(Severity::P2).incidents),
            false,
        ),
        Figure::new(
            "Acknowledged in time",
            percent(met, met + missed),
            format!("{met} of {} P1 and P2", met + missed),
            missed > 0,
        ),
        Figure::new(
            "False positives",
            percent(total.false_positives, total.verdicts),
            format!("{} of {} verdicts", total.false_positives, total.verdicts),
            total.false_positive_rate().is_some_and(|r| r > metrics::FALSE_POSITIVES),
        ),
    ]);
    let by_bucket = |keep: &dyn Fn(&Incident) -> bool| -> Vec<Option<f64>> {
        buckets
            .iter()
            .map(|b| {
                Some(incidents.iter().filter(|i| i.detected_at >= b.from && i.detected_at < b.to && keep(i)).count()
                    as f64)
            })
            .collect()
    };
    let load: Vec<Series> = Severity::ALL
        .into_iter()
        .enumerate()
        .map(|(n, s)| Series {
            name: s.to_string(),
            colour: chart::SEVERITY[n],
            values: by_bucket(&|i| i.severity == s),
        })
        .collect();
    d.chart("Incidents by severity", chart::stacked(labels, &load, ""));
    let left_out = incidents.len() as u64 - total.incidents.min(incidents.len() as u64);
    if left_out > 0 {
        d.text(format!(
            "{} incidents that were merged into others or resolved as duplicates are in the chart and \
            in the tables, and not in the figures and metrics.",
            thousands(left_out)
        ));
    }
    let spread = |value: &dyn Fn(&Metrics) -> f64, n: &dyn Fn(&Metrics) -> u64| -> Vec<Option<f64>> {
        buckets
            .iter()
            .map(|b| {
                let mine: Vec<Handled> = handled
                    .iter()
                    .filter(|h| {
                        h.incident.detected_at >= b.from
                            && h.incident.detected_at < b.to
                            && h.incident.severity >= Severity::P2
                    })
                    .map(|h| Handled {
                        incident: h.incident,
                        first_acknowledged: h.first_acknowledged,
                        first_action: h.first_action,
                    })
                    .collect();
                metrics::metrics(c.now, &mine).first().filter(|m| n(m) > 0).map(|m| (value(m) / 6000.0).round() / 10.0)
            })
            .collect()
    };
    for (caption, name, values) in [
        ("Minutes to acknowledge, P1 and P2 (median)", "MTTA", spread(&|m| m.acknowledge.median, &|m| m.acknowledge.n)),
        ("Minutes to resolve, P1 and P2 (median)", "MTTR", spread(&|m| m.resolve.median, &|m| m.resolve.n)),
    ] {
        if values.iter().any(Option::is_some) {
            d.chart(caption, chart::lines(labels, &[Series { name: name.into(), colour: chart::ACCENT, values }], ""));
        } else {
            d.text(format!("{caption}: there was none in the period."));
        }
    }
}
