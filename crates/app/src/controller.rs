//! An officer acts. The window, the CLI and the control socket all come here; nothing here knows which of them it was.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use wf_evidence::log::PublicKey;
use wf_evidence::{Completeness, Export, Integrity};
use wf_feeds::{FeedStatus, Tally};
use wf_model::{Actor, AuditAction, FeedCounts, FeedName, Incident, IncidentState, Seq, Severity, Timestamp};
use wf_store::Store;
use wf_store::events::{Progress, Query};
use wf_store::incidents::IncidentFilter;

use crate::api::{ApiError, ErrorCode, Request};
use crate::config::{Config, KeySource};
use crate::keys::{Keychain, Secrets};
use crate::ledger::Ledger;
use crate::live::Live;
use crate::pipeline::Signal;
use crate::supervisor::Supervisor;
use crate::threat;
use crate::views::*;

/// What runs, when something runs. A tool that reads the disk has none of it.
pub struct Running {
    pub supervisor: Arc<Supervisor>,
    pub signals: mpsc::Sender<Signal>,
    pub outlets: Arc<crate::pipeline::Outlets>,
    pub feeds: Arc<crate::engine::Feeds>,
}

/// Answers questions and does what officers ask for.
pub struct Controller {
    pub ledger: Arc<Ledger>,
    pub live: Arc<Live>,
    pub keychain: Arc<dyn Keychain>,
    pub config: Mutex<Arc<Config>>,
    /// Sentences about rules and config that could not be taken.
    pub problems: Mutex<BTreeMap<&'static str, Vec<String>>>,
    pub authors: Mutex<HashMap<String, String>>,
    pub config_path: std::path::PathBuf,
    pub running: Option<Running>,
    /// Who is told of what, from the config and what is known of the channels.
    pub plan: Mutex<Arc<wf_response::Plan>>,
    /// What reply codes are made from.
    pub code_key: [u8; 32],
    pub privacy: crate::privacy::PrivacyDesk,
}

const SHOWN_GAPS: u32 = 200;
const SHOWN_QUARANTINE: u32 = 100;
const RELATED: u32 = 8;

impl Controller {
    pub(crate) fn store(&self) -> &Store {
        self.ledger.store()
    }

    pub fn config(&self) -> Arc<Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The person at this console.
    pub fn operator(&self) -> Actor {
        Actor::Operator(self.config().operator_name())
    }

    /// Does what a request over the control socket asks, and gives one JSON value back.
    pub async fn handle(&self, request: Request) -> Result<serde_json::Value, ApiError> {
        fn value<T: Serialize>(t: T) -> Result<serde_json::Value, ApiError> {
            serde_json::to_value(t).map(for_tools).map_err(ApiError::failed)
        }
        match request {
            Request::FeedsList => value(self.feeds().await?.feeds),
            Request::FeedsTest { name } => value(self.feeds_test(&name).await?),
            Request::EventsList { query, since, limit, after } => {
                value(self.events_for_cli(&query, since.as_deref(), limit, after.as_deref()).await?)
            }
            Request::EventsCount => Ok(json!({ "events": self.store().count_events().await? })),
            Request::IncidentsList { state, severity, limit } => {
                value(self.incidents(state.as_deref(), severity.as_deref(), limit).await?)
            }
            Request::IncidentsShow { id } => value(self.incident(&id).await?),
            Request::IncidentsAct { ids, action } => {
                let mut acted = self.act(&ids, &action).await?;
                // One that could not be done is an error; of several, each says how it went.
                if acted.len() == 1 { value(acted.remove(0).incident) } else { value(acted) }
            }
            Request::IncidentsFolded { id } => value(self.incident(&id).await?.folded),
            Request::SilencesList => value(self.silences().await?),
            Request::SilencesPreview { matcher } => value(self.silence_preview(&matcher).await?),
            Request::SilencesAdd { matcher, reason, length } => {
                value(self.silence_add(&matcher, &reason, &length).await?)
            }
            Request::SilencesEnd { id } => value(self.silence_end(&id).await?),
            Request::OnCall { at } => value(self.on_call_at(at.as_deref())?),
            Request::Readiness => value(self.readiness().await?),
            Request::Notifications { id } => value(self.receipts(&id).await?),
            Request::ChannelsList => value(self.channels().await?),
            Request::ChannelsTest { name } => value(self.channel_test(&name).await?),
            Request::Drill => value(self.drill().await?),
            Request::Metrics { since } => value(self.metrics(since.as_deref()).await?),
            Request::Privacy { action } => self.privacy(&action).await.map(for_tools),
            Request::PrivacyBoard => value(self.privacy_board().await?),
            Request::PrivacyRequests => value(self.requests().await?),
            Request::PrivacyRequest { number } => value(self.request(number).await?),
            Request::PrivacyBreach { number } => value(self.breach(number).await?),
            Request::SubjectFind { identifiers } => {
                value(self.find_subject(&identifiers, 200, &mut |_| {}, &AtomicBool::new(false)).await?)
            }
            Request::ConsentsExport => value(self.consents_csv().await?),
            Request::ActivitiesExport => value(self.activities_csv().await?),
            Request::Retention => value(self.retention().await?),
            Request::EnrolApprover { person, voucher, code } => {
                value(self.enrol_approver(&person, voucher.as_deref(), code.as_deref()).await?)
            }
            Request::Report { wanted } => value(self.report(&wanted).await?),
            Request::Reports => value(self.reports().await?),
            Request::Backup { to } => value(self.backup(&to).await?),
            Request::AuditVerify { anchor } => value(self.audit_verify(anchor.as_deref()).await?),
            Request::AuditExport => value(self.audit_export().await?),
            Request::Health => value(self.health().await?),
        }
    }

    /// Live and lately resolved incidents: live first, the gravest first, the newest first.
    pub async fn incidents(
        &self,
        state: Option<&str>,
        severity: Option<&str>,
        limit: u32,
    ) -> Result<Vec<IncidentView>, ApiError> {
        let plan = self.plan();
        let filter = IncidentFilter {
            live: state == Some("live"),
            state: state
                .filter(|s| *s != "live")
                .map(str::parse::<IncidentState>)
                .transpose()
                .map_err(ApiError::invalid)?,
            severity: severity.map(str::parse::<Severity>).transpose().map_err(ApiError::invalid)?,
        };
        Ok(self
            .store()
            .incidents(&filter, limit.clamp(1, 100_000))
            .await?
            .iter()
            .map(|i| IncidentView::of(i, &plan))
            .collect())
    }

    /// The queue as the window shows it: the gravest first, then the newest, and how many fit in all. Live ones are in
    /// memory, so ten thousand of them cost no reading.
    pub async fn queue(&self, tab: &str, text: &str, limit: u32) -> Result<IncidentList, ApiError> {
        let (plan, me, limit) = (self.plan(), self.config().operator_name(), limit.clamp(1, 5000) as usize);
        let words: Vec<String> = text.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let mine = |i: &Incident| i.handling.owner.as_ref().or(i.acknowledged_by.as_ref()) == Some(&me);
        let (rows, total) = match tab {
            "live" | "mine" => {
                self.ledger
                    .look(|book| {
                        let mut fit: Vec<&Incident> = book
                            .live()
                            .filter(|i| (tab == "live" || mine(i)) && words.iter().all(|w| fits(i, w)))
                            .collect();
                        let total = fit.len();
                        fit.sort_unstable_by_key(|i| (std::cmp::Reverse(i.severity), std::cmp::Reverse(i.number)));
                        fit.truncate(limit);
                        (fit.into_iter().cloned().collect::<Vec<_>>(), total)
                    })
                    .await
            }
            "resolved" => {
                let filter = IncidentFilter { state: Some(IncidentState::Resolved), ..IncidentFilter::default() };
                let mut rows: Vec<Incident> = self
                    .store()
                    .incidents(&filter, 5000)
                    .await?
                    .into_iter()
                    .filter(|i| words.iter().all(|w| fits(i, w)))
                    .collect();
                let total = rows.len();
                rows.truncate(limit);
                (rows, total)
            }
            other => return Err(ApiError::invalid(format!("'{other}' is none of live, mine, resolved"))),
        };
        Ok(IncidentList { rows: rows.iter().map(|i| IncidentView::of(i, &plan)).collect(), total: total as u32 })
    }

    pub async fn incident(&self, id: &str) -> Result<IncidentDetail, ApiError> {
        let (store, plan) = (self.store(), self.plan());
        let incident = store
            .incident(id)
            .await?
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no incident '{id}'")))?;
        let seqs: Vec<Seq> = incident.first_events.iter().chain(&incident.last_events).copied().collect();
        let related = store.about_the_same(&incident, RELATED).await?;
        let rule_author = self.authors.lock().unwrap_or_else(PoisonError::into_inner).get(&incident.rule).cloned();
        Ok(IncidentDetail {
            timeline: store.timeline(&incident.id).await?.iter().map(TimelineView::from).collect(),
            evidence: store.events_by_seq(&seqs).await?.iter().map(EventView::from).collect(),
            rule_author,
            ladder: LadderStep::all(&incident, &plan, Timestamp::now()),
            receipts: store.notifications_of(&incident.id).await?.iter().map(|n| ReceiptView::of(n, &plan)).collect(),
            folded: store.folded(&incident.id).await?.iter().map(FoldedView::from).collect(),
            related: related.iter().map(|i| IncidentView::of(i, &plan)).collect(),
            incident: IncidentView::of(&incident, &plan),
        })
    }

    /// One event, whole.
    pub async fn event(&self, seq: f64) -> Result<EventDetail, ApiError> {
        let found = self.store().events_by_seq(&[Seq(seq.max(0.0) as u64)]).await?;
        found
            .first()
            .map(EventDetail::from)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, "this event is not stored any more"))
    }

    /// The newest events after `after` that fit `query`; at most a screenful.
    pub fn pull(&self, after: f64, limit: u32, query: &str) -> Result<LiveView, ApiError> {
        let query = Query::parse(query).map_err(ApiError::invalid)?;
        let pulled = self.live.pull(after.max(0.0) as u64, limit.min(500) as usize, &query);
        Ok(LiveView {
            rows: pulled.events.iter().map(EventView::from).collect(),
            newest: pulled.newest,
            fresh: pulled.fresh,
        })
    }

    /// Stored events, newest first.
    pub async fn search(
        &self,
        query: &str,
        since: Option<f64>,
        after: Option<&str>,
        limit: u32,
        cancel: &AtomicBool,
        progress: impl FnMut(SearchProgress) + Send,
    ) -> Result<EventPage, ApiError> {
        let mut query = Query::parse(query).map_err(ApiError::invalid)?;
        query.since = since.map(|ms| Timestamp::from_millis(ms as i64));
        let found = self.find(&query, after, limit, cancel, progress).await?;
        Ok(EventPage {
            events: found.events.iter().map(EventView::from).collect(),
            next: found.next.map(|s| s.0.to_string()),
            cancelled: found.cancelled,
        })
    }

    async fn find(
        &self,
        query: &Query,
        after: Option<&str>,
        limit: u32,
        cancel: &AtomicBool,
        mut progress: impl FnMut(SearchProgress) + Send,
    ) -> Result<wf_store::events::Found, ApiError> {
        let before = after
            .map(|a| {
                a.parse().map(Seq).map_err(|_| ApiError::invalid(format!("'{a}' is not a cursor of an earlier page")))
            })
            .transpose()?;
        let told =
            |p: Progress| progress(SearchProgress { looked_at: p.looked_at, total: p.total, hits: p.hits as u64 });
        Ok(self.store().search(query, before, limit.clamp(1, 100_000) as usize, cancel, told).await?)
    }

    async fn events_for_cli(
        &self,
        query: &str,
        since: Option<&str>,
        limit: u32,
        after: Option<&str>,
    ) -> Result<serde_json::Value, ApiError> {
        let mut query = Query::parse(query).map_err(ApiError::invalid)?;
        query.since = since.map(since_when).transpose()?;
        let found = self.find(&query, after, limit, &AtomicBool::new(false), |_| {}).await?;
        let events: Vec<_> = found
            .events
            .iter()
            .map(|e| {
                json!({
                    "seq": e.seq.0, "feed": e.feed, "id": e.id, "occurred_at": e.occurred_at.rfc3339(), "received_at": e.received_at.rfc3339(),
                    "skewed": e.skewed, "conflict": e.conflict, "fields": e.fields, "raw": e.raw,
                })
            })
            .collect();
        Ok(json!({ "events": events, "next": found.next.map(|s| s.0.to_string()) }))
    }

    pub async fn rates(&self, span_minutes: u32, buckets: u32) -> Result<Vec<RateView>, ApiError> {
        let now = Timestamp::now();
        let bucket = i64::from((span_minutes / buckets.clamp(1, 2000)).max(1));
        let from = now - Duration::from_secs(u64::from(span_minutes) * 60);
        Ok(self
            .store()
            .rates(from, now, bucket)
            .await?
            .into_iter()
            .map(|b| RateView { from: millis(b.from), total: b.total, matched: b.matched.to_vec() })
            .collect())
    }

    pub async fn feeds(&self) -> Result<FeedsView, ApiError> {
        let gaps = self.store().gaps(SHOWN_GAPS).await?;
        let quarantine = self.store().quarantine(SHOWN_QUARANTINE).await?;
        Ok(FeedsView {
            feeds: self.feed_views(&gaps).await?,
            gaps: gaps.iter().map(GapView::from).collect(),
            quarantine: quarantine.iter().map(QuarantineView::from).collect(),
        })
    }

    async fn feed_views(&self, gaps: &[wf_model::Gap]) -> Result<Vec<FeedView>, ApiError> {
        let config = self.config();
        let stored = self.store().feeds().await?;
        let statuses: BTreeMap<FeedName, (FeedStatus, Arc<wf_feeds::FeedConfig>)> =
            self.running.as_ref().map(|r| r.feeds.statuses()).unwrap_or_default();
        let tallies = self
            .running
            .as_ref()
            .map(|r| r.outlets.tallies.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .unwrap_or_default();
        // What runs is counted where it happens; what does not run is what is committed.
        let numbers = |name: &FeedName, committed: FeedCounts| {
            tallies.get(name).cloned().unwrap_or_else(|| Tally::since(committed)).numbers()
        };
        let mut names: Vec<FeedName> = stored.iter().map(|f| f.name.clone()).collect();
        names.extend(config.feed.keys().map(|n| FeedName::new(n)));
        names.extend(statuses.keys().cloned());
        names.sort();
        names.dedup();
        Ok(names
            .into_iter()
            .map(|name| {
                let held = stored.iter().find(|f| f.name == name);
                let status = statuses.get(&name);
                let configured = status.map(|(_, c)| c.as_ref()).or_else(|| config.feed.get(name.as_str()));
                let state = match (&status, configured) {
                    (Some((s, _)), _) => state_word(s),
                    (None, Some(c)) if !c.enabled => "disabled",
                    (None, Some(_)) => "not running",
                    (None, None) => "removed",
                };
                FeedView {
                    state: state.to_owned(),
                    since: status.map_or(0, |(s, _)| millis(s.since)),
                    detail: status.map(|(s, _)| s.detail.clone()).unwrap_or_default(),
                    url: configured.map(|c| c.url.clone()).unwrap_or_default(),
                    mapping: configured.map(|c| c.map.names().join(", ")).unwrap_or_default(),
                    delivery: configured.map_or("", |c| if c.resumes() { "replay" } else { "best-effort" }).to_owned(),
                    counts: Conservation::from(&numbers(&name, held.map(|f| f.counts).unwrap_or_default())),
                    last_event: held.map(|f| millis(f.heard_at)),
                    cursor: held.and_then(|f| f.position.cursor.clone()),
                    epoch: held.and_then(|f| f.position.epoch.clone()),
                    connections: status.map_or(0, |(s, _)| s.connections),
                    gaps: gaps.iter().filter(|g| g.feed == name).count() as u64,
                    name: name.to_string(),
                }
            })
            .collect())
    }

    /// Connects once to a configured feed and shows what came of it. Nothing is stored.
    pub async fn feeds_test(&self, name: &str) -> Result<wf_feeds::probe::Probe, ApiError> {
        let config = self.config();
        let demo = self.running.as_ref().and_then(|r| r.feeds.statuses().remove(&FeedName::new(name)).map(|(_, c)| c));
        let feed = config
            .feed
            .get(name)
            .cloned()
            .map(Arc::new)
            .or(demo)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no [feed.{name}]")))?;
        let mappings = config.mappings_of(&feed).map_err(ApiError::invalid)?;
        Ok(wf_feeds::probe::probe(feed, mappings, Arc::new(Secrets(self.keychain.clone())), Duration::from_secs(10))
            .await)
    }

    /// Starts a feed again that stopped.
    pub fn restart_feed(&self, name: &str) -> Result<(), ApiError> {
        self.may_change()?;
        let running = self.running.as_ref().ok_or_else(|| ApiError::new(ErrorCode::Refused, "no engine runs"))?;
        running.feeds.restart(&FeedName::new(name)).map_err(|e| ApiError::new(ErrorCode::NotFound, e))
    }

    /// Writes `[feed.NAME]` into the config; it is taken up within seconds.
    pub async fn add_feed(&self, name: &str, url: &str, mapping: &str) -> Result<(), ApiError> {
        if self.config().feed.contains_key(name) {
            return Err(ApiError::new(ErrorCode::Refused, format!("there is a feed '{name}' already")));
        }
        let maps: Vec<&str> = mapping.split(',').map(str::trim).filter(|m| !m.is_empty()).collect();
        let mut table = toml_edit::DocumentMut::new();
        table["url"] = toml_edit::value(url);
        table["map"] = match maps.as_slice() {
            [one] => toml_edit::value(*one),
            several => toml_edit::value(several.iter().copied().collect::<toml_edit::Array>()),
        };
        self.edit_config(format!("add feed {name}"), |text, path| {
            crate::config::with_feed(text, path, name, &table.to_string())
        })
        .await
    }

    /// Switches the demo feed on.
    pub async fn try_demo(&self) -> Result<(), ApiError> {
        self.edit_config("demo on".into(), |text, path| crate::config::with_demo(text, path, true)).await
    }

    pub(crate) async fn edit_config(
        &self,
        what: String,
        edit: impl FnOnce(&str, &std::path::Path) -> Result<String, crate::config::ConfigError>,
    ) -> Result<(), ApiError> {
        self.may_change()?;
        let text = match std::fs::read_to_string(&self.config_path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(ApiError::failed(format!("{}: {e}", self.config_path.display()))),
        };
        let edited = edit(&text, &self.config_path).map_err(|e| ApiError::invalid(e.reason))?;
        crate::config::write(&self.config_path, &edited)
            .map_err(|e| ApiError::failed(format!("{}: {e}", self.config_path.display())))?;
        let action = AuditAction {
            at: Timestamp::now(),
            actor: self.operator(),
            action: "config.edit".into(),
            subject: "config".into(),
            payload: json!({ "what": what }),
        };
        Ok(self.ledger.record(vec![action]).await?)
    }

    /// Where the database key is: `keychain` or `environment`.
    pub fn key_store(&self) -> &'static str {
        match self.config().store.key {
            KeySource::Keychain => "keychain",
            KeySource::Env(_) => "environment",
        }
    }

    /// Live P1 and P2.
    pub async fn open_urgent(&self) -> Result<[u64; 2], ApiError> {
        let [p1, p2, ..] = self.store().live_by_severity().await?;
        Ok([p1, p2])
    }

    pub async fn overview(&self) -> Result<OverviewView, ApiError> {
        let plan = self.plan();
        // Ten thousand live incidents are looked at where they lie; only what is shown is taken along.
        let (threat, counts, most_active, needs_you, next) = self
            .ledger
            .look(|book| {
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
                let mut open: Vec<&Incident> = book
                    .live()
                    .filter(|i| i.state == IncidentState::Open && i.handling.snoozed_until.is_none())
                    .collect();
                open.sort_unstable_by_key(|i| (std::cmp::Reverse(i.severity), std::cmp::Reverse(i.number)));
                let needs_you: Vec<IncidentView> =
                    open.into_iter().take(6).map(|i| IncidentView::of(i, &plan)).collect();
                let next = book
                    .live()
                    .filter(|i| i.due_at().is_some())
                    .min_by_key(|i| i.due_at())
                    .and_then(|i| NextStep::of(i, &plan));
                (threat, counts, most_active, needs_you, next)
            })
            .await;
        let feeds = self.feed_views(&[]).await?;
        let mut totals = Conservation::default();
        for f in &feeds {
            totals.add(&f.counts);
        }
        let config = self.config();
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
            events_per_second: self.live.rate.load(Ordering::Relaxed) as f64 / 10.0,
            lag_ms: self.live.lag.load(Ordering::Relaxed),
            totals,
            people: plan.people.keys().map(|id| plan.name(id).to_owned()).collect(),
            next,
            owed: self.store().next_owed(Timestamp::now()).await?.1 as u32,
            blocked: self.blocked(),
            problems: self.all_problems(),
            privacy: self.privacy_badge().await?,
            first_run: feeds.is_empty(),
            feeds,
        })
    }

    pub(crate) fn blocked(&self) -> Option<String> {
        self.running.as_ref().and_then(|r| r.outlets.blocked.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn all_problems(&self) -> Vec<String> {
        let broken = self
            .plan()
            .channels
            .iter()
            .filter_map(|c| c.broken.as_ref().map(|why| format!("channel {} does not work: {why}", c.name)))
            .collect::<Vec<_>>();
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).values().flatten().cloned().chain(broken).collect()
    }

    pub async fn health(&self) -> Result<HealthView, ApiError> {
        let store = self.store();
        let mut rules = Vec::new();
        if let Some(running) = &self.running {
            let (ask, answer) = oneshot::channel();
            if running.signals.send(Signal::Health(ask)).await.is_ok()
                && let Ok(Ok(health)) = tokio::time::timeout(Duration::from_secs(5), answer).await
            {
                rules = health;
            }
        }
        let feeds = self.feed_views(&store.gaps(SHOWN_GAPS).await?).await?;
        let mut problems = self.all_problems();
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

    /// Two verdicts about the audit log. `anchor`: the text of a checkpoint, or an earlier export, kept outside.
    pub async fn audit_verify(&self, anchor: Option<&str>) -> Result<AuditVerdict, ApiError> {
        let anchor = anchor.map(anchor_note).transpose()?;
        let store = self.store();
        let keys: Vec<PublicKey> = store.audit_keys().await?.iter().filter_map(PublicKey::from_bytes).collect();
        let (leaves, checkpoints) = (store.audit_leaves().await?, store.audit_checkpoints().await?);
        let verdicts = tokio::task::spawn_blocking({
            let (leaves, checkpoints) = (leaves.clone(), checkpoints.clone());
            move || wf_evidence::verify::verify(&keys, &leaves, &checkpoints, anchor.as_deref())
        })
        .await
        .map_err(ApiError::failed)?;
        Ok(AuditVerdict {
            good: verdicts.good(),
            integrity: match &verdicts.integrity {
                Integrity::Intact { leaves, checkpoints, erased } => format!(
                    "intact: {leaves} entries under {checkpoints} signed checkpoints, {erased} with their details erased"
                ),
                Integrity::Broken { reason } => format!("BROKEN: {reason}"),
            },
            completeness: match &verdicts.completeness {
                Completeness::Anchored { size } => format!("complete up to the anchor kept outside ({size} entries)"),
                Completeness::OwnWordOnly { size } => format!(
                    "complete by its own word only ({size} entries): no anchor from outside was given, so a rewrite with the stolen key would not show"
                ),
                Completeness::Incomplete { reason } => format!("INCOMPLETE: {reason}"),
            },
            leaves: leaves.len() as u64,
            checkpoints: checkpoints.len() as u64,
        })
    }

    /// Entries of the audit log, the newest first, that hold every word of the query.
    pub async fn audit_entries(&self, query: &str, before: Option<f64>, limit: u32) -> Result<AuditPage, ApiError> {
        let words: Vec<String> = query.to_lowercase().split_whitespace().take(20).map(str::to_owned).collect();
        let limit = limit.clamp(1, 500) as usize;
        let leaves = self.store().audit_page(&words, before.map(|b| b.max(0.0) as u64), limit).await?;
        let next = (leaves.len() == limit).then(|| leaves.last().map(|l| l.index)).flatten();
        let total = self.ledger.log().await.size();
        Ok(AuditPage { rows: leaves.iter().map(LeafView::from).collect(), total, next })
    }

    /// That one entry is in the log, as a stranger can check it.
    pub async fn audit_proof(&self, index: f64) -> Result<ProofView, ApiError> {
        use wf_evidence::tree::{Tree, root_from_proof};
        let log = self.ledger.log().await;
        let checkpoint = log.checkpoint(Timestamp::now());
        let mut hashes = self.store().audit_hashes().await?;
        hashes.truncate(checkpoint.size as usize);
        let at = index.max(0.0) as usize;
        let leaf =
            *hashes.get(at).ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("the log has no entry {at}")))?;
        let path = tokio::task::spawn_blocking(move || Tree::new(hashes).inclusion_proof(at))
            .await
            .map_err(ApiError::failed)?;
        let holds = root_from_proof(leaf, at as u64, checkpoint.size, &path) == Some(checkpoint.root);
        let hex = wf_evidence::report::pack::hex;
        Ok(ProofView {
            index: at as u64,
            size: checkpoint.size,
            root: hex(&checkpoint.root),
            leaf_hash: hex(&leaf),
            path: path.iter().map(|h| hex(h)).collect(),
            checkpoint: checkpoint.note,
            holds,
        })
    }

    /// What an auditor checks without us. The export is itself an entry of the log.
    pub async fn audit_export(&self) -> Result<Export, ApiError> {
        self.ledger
            .record(vec![AuditAction {
                at: Timestamp::now(),
                actor: self.operator(),
                action: "audit.export".into(),
                subject: "audit".into(),
                payload: json!({}),
            }])
            .await?;
        let log = self.ledger.log().await;
        let checkpoint = log.checkpoint(Timestamp::now());
        let mut leaves = self.store().audit_leaves().await?;
        leaves.truncate(checkpoint.size as usize);
        tokio::task::spawn_blocking(move || Export::new(&log, &leaves, &checkpoint)).await.map_err(ApiError::failed)
    }
}

/// Whether an incident fits a word of the filter: `severity:p1`, `entity:…`, `type:…`, or any text in it. The word is
/// in lower case.
fn fits(i: &Incident, word: &str) -> bool {
    let entity = || i.entity.as_ref().map(|e| e.value.to_lowercase()).unwrap_or_default();
    match word.split_once([':', '=']) {
        Some(("severity", value)) => i.severity.as_str().eq_ignore_ascii_case(value),
        Some(("entity", value)) => entity().contains(value),
        Some(("type", value)) => i.kind.to_lowercase().contains(value),
        Some(("owner", value)) => i.handling.owner.as_ref().is_some_and(|o| o.to_lowercase().contains(value)),
        _ => format!(
            "#{} {} {} {} {} {}",
            i.number,
            i.title(),
            i.entity.as_ref().map_or("", |e| &e.value),
            i.kind,
            i.rule_title,
            i.state
        )
        .to_lowercase()
        .contains(word),
    }
}

/// The checkpoint in an anchor: the note itself, or an export that holds one.
fn anchor_note(text: &str) -> Result<String, ApiError> {
    if text.trim_start().starts_with('{') {
        let export: serde_json::Value =
            serde_json::from_str(text).map_err(|e| ApiError::invalid(format!("the anchor: {e}")))?;
        return export["checkpoint"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| ApiError::invalid("the anchor: there is no checkpoint in it"));
    }
    Ok(text.to_owned())
}

/// `2026-02-22T22:00:00Z`, or a span back from now: `15m`, `24h`, `7d`.
pub(crate) fn since_when(text: &str) -> Result<Timestamp, ApiError> {
    if let Ok(span) = wf_model::span::parse_span(text) {
        return Ok(Timestamp::now() - span);
    }
    Timestamp::parse(text).ok_or_else(|| {
        ApiError::invalid(format!("'{text}' is neither a moment (2026-02-22T22:00:00Z) nor a span (15m, 24h, 7d)"))
    })
}

/// The page counts in milliseconds; scripts get RFC 3339.
fn for_tools(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    const TIMES: &[&str] = &[
        "first_seen",
        "last_seen",
        "detected_at",
        "acknowledged_at",
        "resolved_at",
        "at",
        "received_at",
        "since",
        "last_event",
        "last_match",
        "from",
        "to",
        "until",
        "created_at",
        "due_at",
        "delivered_at",
        "attempted_at",
        "worked_at",
        "failed_at",
        "acknowledged_until",
        "snoozed_until",
        "reminded_at",
        "done_at",
        "registered_at",
        "closed_at",
        "cutoff",
        "oldest",
        "made_at",
        "due",
        "breach_due",
    ];
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(k, v)| match v.as_i64() {
                    Some(ms) if TIMES.contains(&k.as_str()) => (k, Value::String(Timestamp::from_millis(ms).rfc3339())),
                    _ => (k, for_tools(v)),
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(for_tools).collect()),
        other => other,
    }
}
