//! What the window and the CLI show. Plain values: times in milliseconds since the epoch, ids and numbers as such, and
//! whole numbers stay below 2^53, because the page's numbers are floating point.

use serde::{Deserialize, Serialize};
use specta::Type;
use wf_feeds::{FeedState, FeedStatus};
use wf_model::{Gap, Incident, Quarantined, Step, TimelineEntry, Timestamp};
use wf_response::Plan;
use wf_store::events::StoredEvent;

mod desk;
mod privacy;

pub use desk::*;
pub use privacy::*;

/// Milliseconds since the epoch.
pub type Millis = i64;

pub fn millis(t: Timestamp) -> Millis {
    t.millis()
}

fn maybe(t: Option<Timestamp>) -> Option<Millis> {
    t.map(millis)
}

/// An incident, as a row of the queue and the head of its page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct IncidentView {
    pub id: String,
    pub number: u32,
    pub title: String,
    pub rule: String,
    pub rule_title: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub severity: String,
    pub entity: Option<String>,
    pub entity_field: Option<String>,
    pub state: String,
    pub count: u64,
    pub first_seen: Millis,
    pub last_seen: Millis,
    pub detected_at: Millis,
    pub feeds: Vec<String>,
    pub acknowledged_by: Option<String>,
    pub acknowledged_at: Option<Millis>,
    pub resolved_by: Option<String>,
    pub resolved_at: Option<Millis>,
    pub verdict: Option<String>,
    pub recurrence_of: Option<u32>,
    pub owner: Option<String>,
    pub acknowledged_until: Option<Millis>,
    /// Whoever acknowledged was asked whether they still stand by it.
    pub reminded_at: Option<Millis>,
    pub snoozed_until: Option<Millis>,
    /// What happens next unless somebody acts.
    pub next: Option<NextStep>,
    /// The ladder's stage, for escalating by hand.
    pub stage: Option<u32>,
    /// Every step has run and nobody has answered.
    pub exhausted: bool,
    pub silenced_by: Option<String>,
    pub in_storm: bool,
    pub merged_into: Option<u32>,
    pub merged: Vec<u32>,
    pub checklist: Vec<CheckView>,
}

/// The queue: what is shown of it, and how many fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct IncidentList {
    pub rows: Vec<IncidentView>,
    pub total: u32,
}

/// What escalation will do, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct NextStep {
    /// Of this incident.
    pub id: String,
    pub number: u32,
    pub at: Millis,
    /// `CTO by SMS, Slack`
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct CheckView {
    pub text: String,
    pub done_by: Option<String>,
    pub done_at: Option<Millis>,
    pub lasts_until: Option<Millis>,
    /// What carrying it out would do, where it can be carried out.
    pub action: Option<ActionView>,
}

/// What a step of the checklist can carry out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ActionView {
    pub title: String,
    /// What it would be done to.
    pub entity: String,
    pub undo: bool,
    /// Taken back by itself after this.
    pub lasts: Option<Millis>,
}

impl ActionView {
    fn of(i: &Incident, name: &str, plan: &Plan) -> Option<Self> {
        let info = plan.actions.get(name)?;
        let entity = i.entity.as_ref().filter(|e| e.field == info.about)?;
        Some(Self {
            title: info.title.clone(),
            entity: entity.value.clone(),
            undo: info.undo,
            lasts: info.lasts.map(|l| l.as_millis() as Millis),
        })
    }
}

/// Whom a step tells, in a few words.
fn step_text(step: &Step, plan: &Plan, at: Timestamp) -> String {
    let reach = plan.reach(step, at);
    let names: Vec<&str> = reach.people.iter().map(|p| plan.name(p)).collect();
    let mut channels: Vec<&str> = reach.to.iter().map(|d| d.channel.as_str()).collect();
    channels.dedup();
    match (names.is_empty(), channels.is_empty()) {
        (_, true) => "reaches nobody".to_owned(),
        (true, false) => channels.join(", "),
        (false, false) => format!("{} by {}", names.join(", "), channels.join(", ")),
    }
}

impl NextStep {
    pub fn of(i: &Incident, plan: &Plan) -> Option<Self> {
        let at = i.due_at()?;
        let h = &i.handling;
        let text = if h.snoozed_until == Some(at) {
            "the snooze ends".to_owned()
        } else if h.ladder.as_ref().and_then(|l| l.due) == Some(at) {
            match h.ladder.as_ref().and_then(|l| l.step()) {
                Some(step) => step_text(step, plan, at),
                None => "the ladder is at its end".to_owned(),
            }
        } else if h.reminded_at.is_some() {
            "the acknowledgement is withdrawn".to_owned()
        } else {
            format!("{} is asked whether they stand by it", i.acknowledged_by.as_deref().unwrap_or("the owner"))
        };
        Some(Self { id: i.id.0.clone(), number: i.number as u32, at: millis(at), text })
    }
}

impl IncidentView {
    /// As it stands now, with what `plan` would do next.
    pub fn of(i: &Incident, plan: &Plan) -> Self {
        let h = &i.handling;
        Self {
            owner: h.owner.clone(),
            acknowledged_until: maybe(h.acknowledged_until),
            reminded_at: maybe(h.reminded_at),
            snoozed_until: maybe(h.snoozed_until),
            next: NextStep::of(i, plan),
            stage: h.ladder.as_ref().map(wf_model::Ladder::stage),
            exhausted: h.ladder.as_ref().is_some_and(|l| l.exhausted),
            silenced_by: h.silenced_by.clone(),
            in_storm: h.in_storm,
            merged_into: h.merged_into.map(|n| n as u32),
            merged: h.merged.iter().filter(|m| m.count > 0).map(|m| m.number as u32).collect(),
            checklist: h
                .checklist
                .iter()
                .map(|c| CheckView {
                    text: c.text.clone(),
                    done_by: c.done_by.clone(),
                    done_at: maybe(c.done_at),
                    lasts_until: maybe(c.lasts_until),
                    action: ActionView::of(i, &c.text, plan),
                })
                .collect(),
            id: i.id.0.clone(),
            number: i.number as u32,
            title: i.title(),
            rule: i.rule.clone(),
            rule_title: i.rule_title.clone(),
            kind: i.kind.clone(),
            severity: i.severity.as_str().to_owned(),
            entity: i.entity.as_ref().map(|e| e.value.clone()),
            entity_field: i.entity.as_ref().map(|e| e.field.clone()),
            state: if h.snoozed_until.is_some() { "snoozed".to_owned() } else { i.state.as_str().to_owned() },
            count: i.count,
            first_seen: millis(i.first_seen),
            last_seen: millis(i.last_seen),
            detected_at: millis(i.detected_at),
            feeds: i.feeds.iter().map(ToString::to_string).collect(),
            acknowledged_by: i.acknowledged_by.clone(),
            acknowledged_at: maybe(i.acknowledged_at),
            resolved_by: i.resolved_by.clone(),
            resolved_at: maybe(i.resolved_at),
            verdict: i.verdict.map(|v| v.as_str().to_owned()),
            recurrence_of: i.recurrence_of.map(|n| n as u32),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct TimelineView {
    pub at: Millis,
    /// `None`: the engine.
    pub operator: Option<String>,
    /// The channel they answered through.
    pub channel: Option<String>,
    pub kind: String,
    pub text: String,
}

impl From<&TimelineEntry> for TimelineView {
    fn from(e: &TimelineEntry) -> Self {
        let (operator, channel) = match &e.actor {
            wf_model::Actor::Operator(name) => (Some(name.clone()), None),
            wf_model::Actor::Reply { name, channel } => (Some(name.clone()), Some(channel.clone())),
            wf_model::Actor::Engine => (None, None),
        };
        Self { at: millis(e.at), operator, channel, kind: e.kind.as_str().to_owned(), text: e.text.clone() }
    }
}

/// An incident's page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct IncidentDetail {
    pub incident: IncidentView,
    pub timeline: Vec<TimelineView>,
    /// Contributing events: the first and the last few, oldest first.
    pub evidence: Vec<EventView>,
    pub rule_author: Option<String>,
    /// Every step of the ladder, as it was when the incident opened.
    pub ladder: Vec<LadderStep>,
    pub receipts: Vec<ReceiptView>,
    /// What each batch of matches added: what can be moved out.
    pub folded: Vec<FoldedView>,
    /// Other incidents about the same entity or of the same rule, newest first.
    pub related: Vec<IncidentView>,
}

/// An event as a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct EventView {
    pub seq: u64,
    pub at: Millis,
    pub received_at: Millis,
    pub feed: String,
    pub action: String,
    pub who: String,
    pub source: String,
    pub what: String,
    pub severity: Option<String>,
    pub incident: Option<u32>,
    /// The stamp lay in the future and was not believed.
    pub skewed: bool,
    /// Another event with this id and other content came before.
    pub conflict: bool,
}

impl From<&StoredEvent> for EventView {
    fn from(e: &StoredEvent) -> Self {
        let text = |names: &[&str]| names.iter().find_map(|n| e.fields.get(*n).map(plain)).unwrap_or_default();
        Self {
            seq: e.seq.0,
            at: millis(e.occurred_at),
            received_at: millis(e.received_at),
            feed: e.feed.to_string(),
            action: text(&["event.action"]),
            who: text(&["user.name", "user.email", "user.id"]),
            source: text(&["source.ip", "host.name"]),
            what: what(e),
            severity: e.fields.get("watchfloor.severity").map(plain),
            incident: e.fields.get("watchfloor.incident").and_then(serde_json::Value::as_u64).map(|n| n as u32),
            skewed: e.skewed,
            conflict: e.conflict,
        }
    }
}

fn plain(v: &serde_json::Value) -> String {
    match v {
        serde_json::Value::String(s) => s.chars().take(300).collect(),
        other => other.to_string().chars().take(300).collect(),
    }
}

/// What happened, in a few words, from whatever fields there are.
fn what(e: &StoredEvent) -> String {
    let get = |name: &str| e.fields.get(name).map(plain).filter(|s| !s.is_empty());
    let mut parts = Vec::new();
    if let Some(activity) = get("watchfloor.activity").or_else(|| get("url.original")) {
        parts.push(activity);
        parts.extend(get("http.response.status_code"));
    }
    if let Some(n) = get("watchfloor.records_accessed") {
        parts.push(format!("{}{n} records", get("watchfloor.resource").map(|r| format!("{r}, ")).unwrap_or_default()));
    }
    parts.extend(get("event.reason"));
    if parts.is_empty() {
        parts.extend(get("message").or_else(|| get("source.geo.country_iso_code")));
    }
    if parts.is_empty() {
        parts.push(e.raw.chars().take(200).collect());
    }
    parts.join("  ")
}

/// One event, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct EventDetail {
    pub event: EventView,
    pub id: Option<String>,
    /// Field and value, in order of name.
    pub fields: Vec<(String, String)>,
    pub raw: String,
}

impl From<&StoredEvent> for EventDetail {
    fn from(e: &StoredEvent) -> Self {
        let fields = e
            .fields
            .iter()
            .map(|(n, v)| {
                (
                    n.clone(),
                    match v {
                        serde_json::Value::String(s) => s.clone(),
                        other => other.to_string(),
                    },
                )
            })
            .collect();
        Self { event: e.into(), id: e.id.clone(), fields, raw: e.raw.clone() }
    }
}

/// Some of the newest events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct LiveView {
    /// Newest first.
    pub rows: Vec<EventView>,
    pub newest: u64,
    /// How many that fit came since the asked place, shown or not.
    pub fresh: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct EventPage {
    /// Newest first.
    pub events: Vec<EventView>,
    /// Pass it to get older ones; `None` at the end.
    pub next: Option<String>,
    pub cancelled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct SearchProgress {
    pub looked_at: u64,
    pub total: u64,
    pub hits: u64,
}

/// What was received and what became of it: `received = stored + duplicates + quarantined + filtered + discarded +
/// in_flight`. `received` is counted when a record comes in, the fates when they are committed, `in_flight` is what is
/// held in between.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Type)]
pub struct Conservation {
    pub received: u64,
    pub stored: u64,
    pub duplicates: u64,
    pub quarantined: u64,
    pub filtered: u64,
    pub discarded: u64,
    pub in_flight: u64,
}

impl Conservation {
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.quarantined += other.quarantined;
        self.filtered += other.filtered;
        self.discarded += other.discarded;
        self.in_flight += other.in_flight;
    }

    /// Whether everything that came in is somewhere.
    pub fn holds(&self) -> bool {
        self.received
            == self.stored + self.duplicates + self.quarantined + self.filtered + self.discarded + self.in_flight
    }
}

impl From<&wf_feeds::tally::Numbers> for Conservation {
    fn from(n: &wf_feeds::tally::Numbers) -> Self {
        let c = &n.committed;
        Self {
            received: n.received,
            stored: c.stored,
            duplicates: c.duplicates,
            quarantined: c.quarantined,
            filtered: c.filtered,
            discarded: c.discarded,
            in_flight: n.in_flight,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct FeedView {
    pub name: String,
    /// `connecting`, `live`, `waiting`, `stopped`, `disabled`, `removed`.
    pub state: String,
    pub since: Millis,
    pub detail: String,
    pub url: String,
    pub mapping: String,
    /// `replay` or `best-effort`.
    pub delivery: String,
    pub counts: Conservation,
    pub last_event: Option<Millis>,
    pub cursor: Option<String>,
    pub epoch: Option<String>,
    pub connections: u64,
    pub gaps: u64,
}

pub fn state_word(status: &FeedStatus) -> &'static str {
    match status.state {
        FeedState::Connecting => "connecting",
        FeedState::Live => "live",
        FeedState::Waiting => "waiting",
        FeedState::Stopped => "stopped",
        FeedState::Disabled => "disabled",
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct GapView {
    pub feed: String,
    pub from: Millis,
    pub to: Millis,
    pub reason: String,
    pub estimated: Option<u64>,
}

impl From<&Gap> for GapView {
    fn from(g: &Gap) -> Self {
        Self {
            feed: g.feed.to_string(),
            from: millis(g.from),
            to: millis(g.to),
            reason: g.reason.as_str().to_owned(),
            estimated: g.estimated,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct QuarantineView {
    pub feed: String,
    pub at: Millis,
    pub error: String,
    /// The beginning, made visible.
    pub text: String,
    pub length: u64,
    pub sha256: String,
    pub cursor: Option<String>,
}

impl From<&Quarantined> for QuarantineView {
    fn from(q: &Quarantined) -> Self {
        let text: String = String::from_utf8_lossy(&q.raw).chars().take(500).collect();
        Self {
            feed: q.feed.to_string(),
            at: millis(q.at),
            error: q.error.clone(),
            text: wf_model::text::visible(&text).into_owned(),
            length: q.length,
            sha256: q.sha256.clone(),
            cursor: q.cursor.clone(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct FeedsView {
    pub feeds: Vec<FeedView>,
    pub gaps: Vec<GapView>,
    pub quarantine: Vec<QuarantineView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct TaskView {
    pub name: String,
    pub running: bool,
    pub restarts: u32,
    pub last_failure: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct StoreView {
    pub path: String,
    pub bytes: u64,
    pub events: u64,
    pub encrypted: bool,
    /// Where the key is: `keychain` or `environment`.
    pub key: String,
    /// Why nothing can be stored right now.
    pub blocked: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct RuleView {
    pub id: String,
    pub title: String,
    pub matches: u64,
    pub last_match: Option<Millis>,
    pub groups: u64,
    pub late: u64,
    pub incomplete: u64,
    pub shed: u64,
}

/// Everything that can be wrong, in one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct HealthView {
    pub version: String,
    /// `false`: read from the disk by a tool; nothing runs.
    pub running: bool,
    pub feeds: Vec<FeedView>,
    pub tasks: Vec<TaskView>,
    pub store: StoreView,
    pub rules: Vec<RuleView>,
    /// Sentences: rules that could not be loaded, a config that could not be read.
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ThreatView {
    pub level: String,
    pub score: u32,
    pub reasons: Vec<String>,
    pub formula: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct RateView {
    pub from: Millis,
    pub total: u64,
    /// P1 first.
    pub matched: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct TopView {
    pub name: String,
    pub count: u64,
    pub severity: String,
}

/// The status bar, the rail's badges, and the head of the Watch room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct OverviewView {
    pub operator: String,
    pub threat: ThreatView,
    /// Live incidents, P1 first.
    pub live: Vec<u32>,
    /// Open ones that nobody has acknowledged, the gravest first.
    pub needs_you: Vec<IncidentView>,
    pub most_active: Vec<TopView>,
    pub feeds: Vec<FeedView>,
    pub events_per_second: f64,
    pub lag_ms: u64,
    pub totals: Conservation,
    /// Names of everybody in the config, for assigning.
    pub people: Vec<String>,
    /// What escalation does next, of all incidents.
    pub next: Option<NextStep>,
    /// Messages that wait to be sent.
    pub owed: u32,
    pub blocked: Option<String>,
    pub privacy: PrivacyBadge,
    pub problems: Vec<String>,
    /// No feed is set up: the first run's screen is due.
    pub first_run: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct AuditVerdict {
    pub good: bool,
    pub integrity: String,
    pub completeness: String,
    pub leaves: u64,
    pub checkpoints: u64,
}

/// What a test of a feed found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ProbeView {
    pub connected: bool,
    pub problem: Option<String>,
    pub tls: Option<String>,
    pub delivery: String,
    pub cursor: Option<String>,
    pub frames: Vec<ProbeFrameView>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Type)]
pub struct ProbeFrameView {
    pub bytes: u64,
    pub text: String,
    /// Field and value of each event in it.
    pub events: Vec<Vec<(String, String)>>,
    pub quarantined: Vec<String>,
}

impl From<wf_feeds::probe::Probe> for ProbeView {
    fn from(p: wf_feeds::probe::Probe) -> Self {
        let fields = |e: &serde_json::Value| {
            e["fields"].as_object().into_iter().flatten().map(|(n, v)| (n.clone(), plain(v))).collect()
        };
        Self {
            connected: p.connected,
            problem: p.problem,
            tls: p.tls,
            delivery: p.delivery.to_owned(),
            cursor: p.cursor,
            frames: p
                .frames
                .iter()
                .map(|f| ProbeFrameView {
                    bytes: f.bytes as u64,
                    text: f.text.clone(),
                    events: f.events.iter().map(fields).collect(),
                    quarantined: f.quarantined.clone(),
                })
                .collect(),
        }
    }
}
