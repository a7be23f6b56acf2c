//! The officer's desk as it is shown: ladders, receipts, silences, rotas, readiness, channels, numbers.

use serde::{Deserialize, Serialize};
use specta::Type;
use wf_model::{Matcher, Severity, Silence, Timestamp};
use wf_response::Plan;
use wf_response::metrics::{Metrics, Spread};
use wf_response::schedule::Schedule;

use super::handling::*;
use super::incident::IncidentView;
use super::{Millis, millis};

/// What came of an action on one of several incidents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct Acted {
    pub id: String,
    pub incident: Option<IncidentView>,
    /// Why not, in a sentence.
    pub error: Option<String>,
}

/// What a silence fits: every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Type)]
#[serde(default, deny_unknown_fields)]
pub struct MatcherView {
    pub rule: Option<String>,
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// A `*` at the end stands for anything.
    pub entity: Option<String>,
    pub severity: Option<String>,
    pub feed: Option<String>,
}

impl TryFrom<&MatcherView> for Matcher {
    type Error = String;
    fn try_from(v: &MatcherView) -> Result<Self, String> {
        let given = |t: &Option<String>| t.as_ref().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let severity = given(&v.severity).map(|s| s.parse::<Severity>().map_err(|e| e.to_string())).transpose()?;
        Ok(Self {
            rule: given(&v.rule),
            kind: given(&v.kind),
            entity: given(&v.entity),
            severity,
            feed: given(&v.feed),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct SilenceView {
    pub id: String,
    pub matcher: MatcherView,
    pub author: String,
    pub reason: String,
    pub from: Millis,
    pub until: Millis,
    pub active: bool,
    pub ended_by: Option<String>,
    /// Live incidents that it keeps quiet now.
    pub hidden: u32,
}

impl SilenceView {
    pub fn of(s: &Silence, now: Timestamp, hidden: u32) -> Self {
        let m = &s.matcher;
        Self {
            id: s.id.clone(),
            matcher: MatcherView {
                rule: m.rule.clone(),
                kind: m.kind.clone(),
                entity: m.entity.clone(),
                severity: m.severity.map(|s| s.to_string()),
                feed: m.feed.clone(),
            },
            author: s.author.clone(),
            reason: s.reason.clone(),
            from: millis(s.from),
            until: millis(s.until),
            active: s.active(now),
            ended_by: s.ended_by.clone(),
            hidden,
        }
    }
}

/// A rota: who is on call at a moment, and the shifts after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct OnCallView {
    pub schedule: String,
    pub time_zone: String,
    pub at: Millis,
    pub person: Option<String>,
    pub shifts: Vec<ShiftView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ShiftView {
    pub from: Millis,
    pub to: Millis,
    /// `None`: nobody.
    pub person: Option<String>,
    /// As the rota's own clock says it: `Mon 03-30 08:00`.
    pub begins: String,
}

impl OnCallView {
    pub fn of(name: &str, s: &Schedule, plan: &Plan, at: Timestamp, ahead: std::time::Duration) -> Self {
        let called = |id: &str| plan.name(id).to_owned();
        Self {
            schedule: name.to_owned(),
            time_zone: s.time_zone.name().to_owned(),
            at: millis(at),
            person: s.at(at).map(called),
            shifts: s
                .shifts(at, at + ahead)
                .into_iter()
                .map(|x| ShiftView {
                    from: millis(x.from),
                    to: millis(x.to),
                    person: x.person.as_deref().map(called),
                    begins: wf_response::schedule::spoken(s.time_zone, x.from),
                })
                .collect(),
        }
    }
}

/// Who could not be reached, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ReadinessView {
    /// There is a channel at all.
    pub set_up: bool,
    pub sentences: Vec<String>,
    pub spans: Vec<ReadinessSpan>,
    pub policies: Vec<PolicyView>,
    pub people: Vec<PersonView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ReadinessSpan {
    pub severity: String,
    /// `None`: the ladder as a whole.
    pub person: Option<String>,
    pub from: Millis,
    pub to: Millis,
    /// `reachable`, `partly`, `not`.
    pub reachable: String,
    pub reason: String,
}

/// What would happen to an incident of this severity that opens now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct PolicyView {
    pub severity: String,
    pub policy: Option<String>,
    pub steps: Vec<LadderStep>,
    pub repeat: u32,
    /// How long an acknowledgement holds; `None`: for ever.
    pub acknowledge_for: Option<i64>,
    /// The daily digest takes it.
    pub digest: bool,
}

impl PolicyView {
    pub fn of(severity: Severity, plan: &Plan, now: Timestamp) -> Self {
        let ladder = plan.ladder(severity);
        Self {
            severity: severity.to_string(),
            policy: ladder.as_ref().map(|l| l.policy.clone()),
            steps: ladder
                .iter()
                .flat_map(|l| &l.steps)
                .map(|s| LadderStep { text: step_text(s, plan, now), done: false, wait: s.wait as i64 })
                .collect(),
            repeat: ladder.as_ref().map_or(0, |l| l.repeat),
            acknowledge_for: plan.acknowledge_for(severity).map(|d| d.as_millis() as i64),
            digest: severity == Severity::P4 && plan.digest.is_some(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct PersonView {
    pub id: String,
    pub name: String,
    pub roles: Vec<String>,
    pub email: String,
    pub phone: String,
    pub time_zone: String,
}

impl PersonView {
    pub fn of(id: &str, plan: &Plan) -> Self {
        let p = plan.people.get(id).cloned().unwrap_or_default();
        Self {
            id: id.to_owned(),
            name: plan.name(id).to_owned(),
            roles: p.roles,
            email: p.email,
            phone: p.phone,
            time_zone: p.time_zone.name().to_owned(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ChannelView {
    pub name: String,
    /// The word in the config.
    pub kind: String,
    /// As people call the kind.
    pub title: String,
    /// Severities that use it.
    pub severities: Vec<String>,
    pub worked_at: Option<Millis>,
    pub failed_at: Option<Millis>,
    pub broken: Option<String>,
    /// Whoever gets a message can acknowledge through it.
    pub answers: bool,
    /// Messages that wait for it.
    pub waiting: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct MetricsView {
    pub since: Millis,
    /// All severities together, then each.
    pub rows: Vec<MetricsRow>,
    /// Name and formula.
    pub formulas: Vec<(String, String)>,
}

/// Spans in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct SpreadView {
    pub n: u64,
    pub mean: f64,
    pub median: f64,
    pub p95: f64,
    pub open: u64,
    pub oldest_open: f64,
}

impl From<&Spread> for SpreadView {
    fn from(s: &Spread) -> Self {
        Self { n: s.n, mean: s.mean, median: s.median, p95: s.p95, open: s.open, oldest_open: s.oldest_open }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct MetricsRow {
    /// `None`: all of them.
    pub severity: Option<String>,
    pub incidents: u64,
    pub mttd: SpreadView,
    pub mtta: SpreadView,
    pub mtt_respond: SpreadView,
    pub mtt_resolve: SpreadView,
    pub sla_met: u64,
    pub sla_missed: u64,
    pub sla_at_risk: u64,
    pub verdicts: u64,
    pub false_positives: u64,
    pub false_positive_rate: Option<f64>,
}

impl From<&Metrics> for MetricsRow {
    fn from(m: &Metrics) -> Self {
        Self {
            severity: m.severity.map(|s| s.to_string()),
            incidents: m.incidents,
            mttd: (&m.detect).into(),
            mtta: (&m.acknowledge).into(),
            mtt_respond: (&m.respond).into(),
            mtt_resolve: (&m.resolve).into(),
            sla_met: m.sla_met,
            sla_missed: m.sla_missed,
            sla_at_risk: m.sla_at_risk,
            verdicts: m.verdicts,
            false_positives: m.false_positives,
            false_positive_rate: m.false_positive_rate(),
        }
    }
}
