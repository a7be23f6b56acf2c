//! The console as a whole: threat level, health, what needs somebody.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use wf_api::ApiError;
use wf_api::views::*;
use wf_engine::{Context, Running};
use wf_model::{Incident, IncidentState, Severity};
use wf_platform::KeySource;

use crate::feeds::Feeds;
use crate::threat;
use wf_engine::views::SHOWN_GAPS;

/// What is shown of everything at once.
pub struct Overview {
    pub(crate) context: Arc<Context>,
    pub(crate) running: Option<Running>,
    pub(crate) feeds: Arc<Feeds>,
}

impl Overview {
    pub async fn overview(&self, privacy: PrivacyBadge) -> Result<OverviewView, ApiError> {
        let plan = self.context.plan();
        // Ten thousand live incidents are looked at where they lie; only what is shown is taken along.
        let (threat, counts, most_active, needs_you, next) = self.context.ledger.look(|book| {
            let threat = threat::assess(book.live());
            let mut counts = vec![0; 4];
            let mut active: HashMap<&str, (u64, Severity)> = HashMap::new();
            for i in book.live() {
                counts[usize::from(i.severity.number() - 1)] += 1;
                if let Some(e) = &i.entity {
                    let slot = active.entry(&e.value).or_insert((0, Severity::P4));
                    slot.0 += i.count;
                    slot.1 = slot.1.max(i.severity);
                }
            }
            let mut most_active: Vec<_> = active.into_iter().collect();
            most_active.sort_unstable_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(b.0)));
            let most_active: Vec<TopView> = most_active
                .into_iter()
                .take(5)
                .map(|(name, (count, s))| TopView { name: name.to_owned(), count, severity: s.as_str().to_owned() })
                .collect();
            let mut open: Vec<&Incident> =
                book.live().filter(|i| i.state == IncidentState::Open && i.handling.snoozed_until.is_none()).collect();
            open.sort_unstable_by_key(|i| (std::cmp::Reverse(i.severity), std::cmp::Reverse(i.number)));
            let needs_you: Vec<IncidentView> = open.into_iter().take(6).map(|i| IncidentView::of(i, &plan)).collect();
            let next = book
                .live()
                .filter(|i| i.due_at().is_some())
                .min_by_key(|i| i.due_at())
                .and_then(|i| NextStep::of(i, &plan));
            (threat, counts, most_active, needs_you, next)
        });
        let feeds = self.feeds.views(&[]).await?;
        let mut totals = Conservation::default();
        for f in &feeds {
            totals.add(&f.counts);
        }
        let config = self.context.config();
        Ok(OverviewView {
            operator: config.operator_name(),
            threat: ThreatView {
                level: threat.level.to_owned(),
                score: threat.score,
                reasons: threat.reasons,
                formula: threat::FORMULA.to_owned(),
            },
            needs_you,
            live: counts,
            most_active,
            events_per_second: self.context.recent.rate.load(Ordering::Relaxed) as f64 / 10.0,
            lag_ms: self.context.recent.lag.load(Ordering::Relaxed),
            totals,
            people: plan.people.keys().map(|id| plan.name(id).to_owned()).collect(),
            next,
            owed: self.context.store().next_owed(self.context.now()).await?.1 as u32,
            blocked: self.blocked(),
            problems: self.problems(),
            privacy,
            first_run: feeds.is_empty(),
            feeds,
        })
    }

    pub async fn health(&self) -> Result<HealthView, ApiError> {
        let store = self.context.store();
        let rules = match &self.running {
            Some(running) => running.detector.health().await,
            None => Vec::new(),
        };
        let feeds = self.feeds.views(&store.gaps(SHOWN_GAPS).await?).await?;
        let mut problems = self.problems();
        problems.extend(feeds.iter().filter(|f| !f.counts.holds()).map(|f| {
            format!("feed {}: what came in is not what is accounted for; keep the log and report this", f.name)
        }));
        Ok(HealthView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            running: self.running.is_some(),
            feeds,
            tasks: self
                .running
                .iter()
                .flat_map(|r| r.supervisor.health())
                .map(|t| TaskView {
                    name: t.name,
                    running: t.running,
                    restarts: t.restarts,
                    last_failure: t.last_failure,
                })
                .collect(),
            store: StoreView {
                path: store.path().display().to_string(),
                bytes: store.size_on_disk(),
                events: store.count_events().await? as u64,
                encrypted: true,
                key: self.key_store().to_owned(),
                blocked: self.blocked(),
            },
            rules: rules
                .into_iter()
                .map(|r| {
                    let c = r.correlation.unwrap_or_default();
                    RuleView {
                        id: r.id,
                        title: r.title,
                        matches: r.matches,
                        last_match: r.last_match.map(millis),
                        groups: c.groups as u64,
                        late: c.late,
                        incomplete: c.incomplete,
                        shed: c.shed,
                    }
                })
                .collect(),
            problems,
        })
    }

    /// Live P1 and P2.
    pub async fn open_urgent(&self) -> Result<[u64; 2], ApiError> {
        let [p1, p2, ..] = self.context.store().live_by_severity().await?;
        Ok([p1, p2])
    }

    /// Where the database key is: `keychain` or `environment`.
    pub fn key_store(&self) -> &'static str {
        match self.context.config().store.key {
            KeySource::Keychain => "keychain",
            KeySource::Env(_) => "environment",
        }
    }

    /// Why nothing can be stored right now.
    fn blocked(&self) -> Option<String> {
        self.running.as_ref().and_then(|r| r.sinks.blocked.lock().clone())
    }

    fn problems(&self) -> Vec<String> {
        let broken = self
            .context
            .plan()
            .channels
            .iter()
            .filter_map(|c| c.broken.as_ref().map(|why| format!("channel {} does not work: {why}", c.name)))
            .collect::<Vec<_>>();
        let unseen = self.running.as_ref().and_then(|r| r.sinks.unseen.lock().clone());
        self.context.state.problems().into_iter().chain(broken).chain(unseen).collect()
    }
}
