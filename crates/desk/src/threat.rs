//! The threat level: a formula anybody can recompute, and the reasons in words.

use wf_model::{Incident, IncidentState, Severity};

/// What an open incident weighs; an acknowledged one weighs a third.
const WEIGHTS: [(Severity, u32); 4] = [(Severity::P1, 60), (Severity::P2, 18), (Severity::P3, 6), (Severity::P4, 0)];

/// How it is computed, for the officer who asks.
pub const FORMULA: &str = "Every open incident weighs: P1 60, P2 18, P3 6, P4 0; an acknowledged one a third of that. A sum of 0 is Quiet, below 30 Guarded, below 60 Elevated, below 150 High, above that Critical.";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threat {
    pub level: &'static str,
    pub score: u32,
    pub reasons: Vec<String>,
}

pub fn assess<'a>(live: impl Iterator<Item = &'a Incident>) -> Threat {
    let mut counts = [[0u32; 2]; 4];
    for incident in live {
        let row = usize::from(incident.severity.number() - 1);
        counts[row][usize::from(incident.state == IncidentState::Acknowledged)] += 1;
    }
    let (mut score, mut reasons) = (0, Vec::new());
    for (severity, weight) in WEIGHTS {
        let [open, acknowledged] = counts[usize::from(severity.number() - 1)];
        score += open * weight + acknowledged * weight / 3;
        if open + acknowledged > 0 && weight > 0 {
            let all = open + acknowledged;
            reasons.push(match (open, acknowledged) {
                (_, 0) => format!("{all} open {severity}, none acknowledged"),
                (0, _) => format!("{all} open {severity}, acknowledged"),
                _ => format!("{all} open {severity}, {open} not acknowledged"),
            });
        }
    }
    let level = match score {
        0 => "Quiet",
        1..30 => "Guarded",
        30..60 => "Elevated",
        60..150 => "High",
        _ => "Critical",
    };
    if reasons.is_empty() {
        reasons.push("no open incident of P1 to P3".to_owned());
    }
    Threat { level, score, reasons }
}
