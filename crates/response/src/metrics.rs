//! How well it went, each number with its formula. Duplicates and parts of merged incidents are left out; one that is
//! not acknowledged or resolved yet is counted as open with its age, not dropped.

use std::collections::HashMap;
use std::time::Duration;

use wf_model::span::spoken;
use wf_model::{Incident, IncidentId, IncidentState, Severity, Timestamp, Verdict};

/// Agreed limits: acknowledged within 15 minutes (P1) or an hour (P2), detected within five minutes.
pub const SLA_ACKNOWLEDGE: [(Severity, Duration); 2] =
    [(Severity::P1, Duration::from_secs(15 * 60)), (Severity::P2, Duration::from_secs(3600))];
pub const SLA_DETECT: Duration = Duration::from_secs(300);
/// From this share of the time on, it is at risk.
pub const AT_RISK: f64 = 0.8;
/// More false positives than this is too many.
pub const FALSE_POSITIVES: f64 = 0.1;

/// A distribution of spans, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    pub n: u64,
    pub mean: f64,
    pub median: f64,
    pub p95: f64,
    /// Not there yet: how many, and how old the oldest is.
    pub open: u64,
    pub oldest_open: f64,
}

/// The numbers of one severity, or of all (`None`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    pub severity: Option<Severity>,
    pub incidents: u64,
    pub detect: Spread,
    pub acknowledge: Spread,
    pub respond: Spread,
    pub resolve: Spread,
    /// Within the agreed time, of those that were acknowledged or are past it already.
    pub sla_met: u64,
    pub sla_missed: u64,
    /// Open ones past [`AT_RISK`] of it.
    pub sla_at_risk: u64,
    pub verdicts: u64,
    pub false_positives: u64,
}

impl Metrics {
    /// False positives among all that were resolved with a verdict. `None` without any.
    pub fn false_positive_rate(&self) -> Option<f64> {
        (self.verdicts > 0).then(|| self.false_positives as f64 / self.verdicts as f64)
    }
}

/// How soon one of this severity is to be acknowledged, where that was agreed.
pub fn acknowledged_within(severity: Severity) -> Option<Duration> {
    SLA_ACKNOWLEDGE.iter().find(|(s, _)| *s == severity).map(|(_, limit)| *limit)
}

/// What was agreed, severity by severity: `P1 within 15 min`.
pub fn agreed() -> Vec<(Severity, String)> {
    SLA_ACKNOWLEDGE.iter().map(|(s, limit)| (*s, format!("{s} within {}", spoken(*limit)))).collect()
}

/// Name and formula of each number, for wherever one is shown.
pub fn formulas() -> Vec<(String, String)> {
    let limits: Vec<String> = agreed().into_iter().map(|(_, text)| text).collect();
    let sla = format!("acknowledged: {}; at risk from {:.0} % of it", limits.join(", "), AT_RISK * 100.0);
    let false_positives = format!(
        "resolved as false positive ÷ resolved with any verdict; the aim is below {:.0} %",
        FALSE_POSITIVES * 100.0
    );
    [
        ("MTTD", "detected − first contributing event"),
        ("MTTA", "first acknowledged − detected"),
        ("MTT-Respond", "first action of a person − detected"),
        ("MTT-Resolve", "resolved − detected"),
        ("SLA", sla.as_str()),
        ("False positives", false_positives.as_str()),
    ]
    .map(|(name, formula)| (name.to_owned(), formula.to_owned()))
    .to_vec()
}

/// What the numbers are made of: an incident, and when a person first did something about it.
pub struct Handled<'a> {
    pub incident: &'a Incident,
    pub first_acknowledged: Option<Timestamp>,
    pub first_action: Option<Timestamp>,
}

impl<'a> Handled<'a> {
    /// Incidents with what is known of when they were first acknowledged, and first acted on.
    pub fn all(
        incidents: &'a [Incident],
        first: &HashMap<IncidentId, (Option<Timestamp>, Option<Timestamp>)>,
    ) -> Vec<Self> {
        incidents
            .iter()
            .map(|incident| {
                let (first_acknowledged, first_action) = first.get(&incident.id).copied().unwrap_or_default();
                Self { incident, first_acknowledged, first_action }
            })
            .collect()
    }
}

/// For all severities together, then for each.
pub fn metrics<'a>(now: Timestamp, all: &[Handled<'a>]) -> Vec<Metrics> {
    let counted: Vec<&Handled<'a>> = all
        .iter()
        .filter(|h| h.incident.verdict != Some(Verdict::Duplicate) && h.incident.handling.merged_into.is_none())
        .collect();
    std::iter::once(None)
        .chain(Severity::ALL.map(Some))
        .map(|s| of(now, s, counted.iter().filter(|h| s.is_none_or(|s| h.incident.severity == s)).copied()))
        .collect()
}

fn of<'a>(now: Timestamp, severity: Option<Severity>, handled: impl Iterator<Item = &'a Handled<'a>>) -> Metrics {
    let handled: Vec<_> = handled.collect();
    let spread = |end: fn(&Handled) -> Option<Timestamp>, begin: fn(&Incident) -> Timestamp| {
        let mut spans: Vec<f64> =
            handled.iter().filter_map(|h| Some(end(h)?.since(begin(h.incident)).as_millis() as f64)).collect();
        spans.sort_by(f64::total_cmp);
        // One that was resolved without it never gets there: it is not open.
        let open: Vec<f64> = handled
            .iter()
            .filter(|h| end(h).is_none() && h.incident.is_live())
            .map(|h| now.since(begin(h.incident)).as_millis() as f64)
            .collect();
        Spread {
            n: spans.len() as u64,
            mean: mean(&spans),
            median: quantile(&spans, 0.5),
            p95: quantile(&spans, 0.95),
            open: open.len() as u64,
            oldest_open: open.iter().copied().fold(0.0, f64::max),
        }
    };
    let mut m = Metrics {
        severity,
        incidents: handled.len() as u64,
        detect: spread(|h| Some(h.incident.detected_at), |i| i.first_seen),
        acknowledge: spread(|h| h.first_acknowledged, |i| i.detected_at),
        respond: spread(|h| h.first_action, |i| i.detected_at),
        resolve: spread(|h| h.incident.resolved_at, |i| i.detected_at),
        ..Metrics::default()
    };
    for h in handled {
        if let Some(limit) = acknowledged_within(h.incident.severity) {
            // Whoever resolves without acknowledging has answered, too.
            let answered = h.first_acknowledged.or(h.incident.resolved_at);
            let took = answered.unwrap_or(now).since(h.incident.detected_at);
            match (answered.is_some(), took <= limit) {
                (true, true) => m.sla_met += 1,
                (_, false) => m.sla_missed += 1,
                (false, true) => m.sla_at_risk += u64::from(took.as_secs_f64() >= limit.as_secs_f64() * AT_RISK),
            }
        }
        if h.incident.state == IncidentState::Resolved && h.incident.verdict.is_some() {
            m.verdicts += 1;
            m.false_positives += u64::from(h.incident.verdict == Some(Verdict::FalsePositive));
        }
    }
    m
}

fn mean(sorted: &[f64]) -> f64 {
    if sorted.is_empty() { 0.0 } else { sorted.iter().sum::<f64>() / sorted.len() as f64 }
}

/// The smallest value that this share of all is not above.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = (q * sorted.len() as f64).ceil().max(1.0) as usize - 1;
    sorted.get(at).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(severity: Severity, detected: i64, resolved: Option<(i64, Verdict)>) -> Incident {
        let registry = crate::IncidentRegistry::default();
        let m = wf_model::Match {
            rule: "r".into(),
            title: "R".into(),
            kind: "K".into(),
            severity,
            entity: None,
            at: Timestamp::from_millis(detected - 2000),
            first_at: Timestamp::from_millis(detected - 2000),
            count: 1,
            value: 1,
            contribution: wf_model::Contribution::Fired,
            message: wf_model::Message::default(),
            actions: vec![],
            events: vec![],
            feeds: vec![],
        };
        let mut i = registry.fold(Timestamp::from_millis(detected), &[m]).incidents.remove(0);
        if let Some((at, verdict)) = resolved {
            (i.state, i.resolved_at, i.verdict) =
                (IncidentState::Resolved, Some(Timestamp::from_millis(at)), Some(verdict));
        }
        i
    }

    #[test]
    fn each_number_is_what_its_formula_says_open_ones_count_with_their_age_and_duplicates_not_at_all() {
        let minute = 60_000;
        let at = |m: i64| Some(Timestamp::from_millis(m * minute));
        let quick = incident(Severity::P1, 10 * minute, Some((40 * minute, Verdict::TruePositive)));
        let slow = incident(Severity::P1, 10 * minute, Some((70 * minute, Verdict::FalsePositive)));
        let open = incident(Severity::P1, 87 * minute, None);
        let late = incident(Severity::P2, 10 * minute, None);
        let double = incident(Severity::P1, 10 * minute, Some((11 * minute, Verdict::Duplicate)));
        let handled = [
            Handled { incident: &quick, first_acknowledged: at(12), first_action: at(11) },
            Handled { incident: &slow, first_acknowledged: at(30), first_action: at(30) },
            Handled { incident: &open, first_acknowledged: None, first_action: None },
            Handled { incident: &late, first_acknowledged: None, first_action: None },
            Handled { incident: &double, first_acknowledged: at(10), first_action: at(10) },
        ];
        let all = metrics(Timestamp::from_millis(100 * minute), &handled);
        let p1 = all.iter().find(|m| m.severity == Some(Severity::P1)).unwrap();
        let minutes = |ms: f64| ms / 60_000.0;
        assert_eq!((all[0].incidents, p1.incidents), (4, 3));
        assert_eq!((p1.detect.n, p1.detect.mean), (3, 2000.0));
        assert_eq!(
            (
                p1.acknowledge.n,
                minutes(p1.acknowledge.mean),
                minutes(p1.acknowledge.median),
                minutes(p1.acknowledge.p95)
            ),
            (2, 11.0, 2.0, 20.0)
        );
        assert_eq!((p1.acknowledge.open, minutes(p1.acknowledge.oldest_open)), (1, 13.0));
        assert_eq!((minutes(p1.respond.mean), minutes(p1.resolve.mean)), (10.5, 45.0));
        // Two minutes and twenty, of fifteen; thirteen is past 80 % of it. P2: ninety minutes of sixty.
        assert_eq!((p1.sla_met, p1.sla_missed, p1.sla_at_risk), (1, 1, 1));
        assert_eq!(all[0].sla_missed, 2);
        assert_eq!((p1.verdicts, p1.false_positives, p1.false_positive_rate()), (2, 1, Some(0.5)));
    }

    #[test]
    fn the_formula_of_the_sla_says_the_limits_that_are_counted_by() {
        let formulas = formulas();
        let of = |name: &str| formulas.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(of("SLA"), "acknowledged: P1 within 15 min, P2 within 1 h; at risk from 80 % of it");
        assert!(of("False positives").ends_with("below 10 %"));
        for (severity, text) in agreed() {
            assert!(text.contains(&spoken(acknowledged_within(severity).unwrap())), "{text}");
        }
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!((quantile(&[], 0.5), quantile(&[3.0], 0.95), quantile(&[1.0, 2.0, 3.0, 4.0], 0.5)), (0.0, 3.0, 2.0));
        assert_eq!(quantile(&(1..=100).map(f64::from).collect::<Vec<_>>(), 0.95), 95.0);
    }
}
