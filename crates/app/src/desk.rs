//! The officer's desk: what is done about incidents, alone or in bulk, and everything around it: silences, who is on
//! call, channels, numbers.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use wf_channels::Channel;
use wf_model::span::parse_span;
use wf_model::{Actor, AuditAction, Destination, Folded, Matcher, Purpose, Severity, Timestamp, Verdict};
use wf_response::metrics::{self, Handled};
use wf_response::plan::Contact;
use wf_response::{Changes, Plan, about_itself, act, escalate, lifecycle, merge, readiness, schedule, silence};
use wf_store::StoreError;

use crate::api::{Action, ApiError, ErrorCode};
use crate::controller::Controller;
use crate::keys::Secrets;
use crate::ledger::ActError;
use crate::views::*;

/// Nobody means to do something to more than this many incidents at once.
const MOST_AT_ONCE: usize = 10_000;
/// How far ahead the rota is shown.
const SHOWN_DAYS: u64 = 28;

/// What an officer's action makes of one incident.
type Single =
    dyn Fn(Timestamp, &Actor, &wf_model::Incident, &Plan) -> Result<Changes, lifecycle::Refusal> + Send + Sync;

/// One that could not be done is an error when it was the only one.
fn acted(id: &str, of: usize, outcome: Result<IncidentView, ApiError>) -> Result<Acted, ApiError> {
    match outcome {
        Ok(incident) => Ok(Acted { id: id.to_owned(), incident: Some(incident), error: None }),
        Err(e) if of == 1 => Err(e),
        Err(e) => Ok(Acted { id: id.to_owned(), incident: None, error: Some(e.message) }),
    }
}

impl Controller {
    /// Does the same to each of these incidents, and says of each how that went.
    pub async fn act(&self, ids: &[String], action: &Action) -> Result<Vec<Acted>, ApiError> {
        self.may_change()?;
        if ids.len() > MOST_AT_ONCE {
            return Err(ApiError::invalid(format!("{} incidents at once; at most {MOST_AT_ONCE}", ids.len())));
        }
        let (now, who, plan) = (Timestamp::now(), self.operator(), self.plan());
        let single = match action {
            Action::Merge { .. } | Action::Unmerge | Action::Split { .. } => None,
            other => Some(self.single(other)?),
        };
        if let Some(single) = single {
            let (changes, each) = self.ledger.act_on_many(ids, |i, _| single(now, &who, i, &plan)).await?;
            self.tell(changes);
            return ids
                .iter()
                .zip(each)
                .map(|(id, outcome)| {
                    acted(id, ids.len(), outcome.map(|i| IncidentView::of(&i, &plan)).map_err(ApiError::from))
                })
                .collect();
        }
        let mut done = Vec::with_capacity(ids.len());
        for id in ids {
            done.push(acted(id, ids.len(), self.act_on_several(id, action).await)?);
        }
        Ok(done)
    }

    /// What an action does to one incident by itself.
    fn single(&self, action: &Action) -> Result<Box<Single>, ApiError> {
        let action = action.clone();
        Ok(match action {
            Action::Acknowledge { note, minutes } => {
                let hold = minutes.map(|m| Duration::from_secs(u64::from(m) * 60));
                Box::new(move |now, who, i, plan| lifecycle::acknowledge(now, who, i, note.as_deref(), hold, plan))
            }
            Action::Resolve { verdict, note } => {
                let verdict: Verdict = verdict.parse().map_err(ApiError::invalid)?;
                Box::new(move |now, who, i, plan| lifecycle::resolve(now, who, i, verdict, note.as_deref(), plan))
            }
            Action::Reopen { note } => {
                Box::new(move |now, who, i, plan| lifecycle::reopen(now, who, i, note.as_deref(), plan))
            }
            Action::Note { text } => Box::new(move |now, who, i, plan| lifecycle::note(now, who, i, &text, plan)),
            Action::Snooze { minutes, note } => {
                let length = Duration::from_secs(u64::from(minutes) * 60);
                Box::new(move |now, who, i, plan| {
                    lifecycle::snooze(now, who, i, now + length, note.as_deref(), plan.zone())
                })
            }
            Action::Escalate { stage } => Box::new(move |now, who, i, plan| escalate::now(now, who, i, plan, stage)),
            Action::Assign { owner, note } => {
                let owner = self.owner(&owner)?;
                Box::new(move |now, who, i, plan| lifecycle::assign(now, who, i, &owner, note.as_deref(), plan))
            }
            Action::Check { index, done } => {
                Box::new(move |now, who, i, plan| lifecycle::check(now, who, i, index as usize, done, plan))
            }
            Action::CarryOut { index } => {
                Box::new(move |now, who, i, plan| act::carry_out(now, who, i, index as usize, plan))
            }
            Action::TakeBack { index } => {
                Box::new(move |now, who, i, plan| act::take_back(now, who, i, index as usize, plan))
            }
            Action::Merge { .. } | Action::Unmerge | Action::Split { .. } => {
                return Err(ApiError::invalid("this is about several incidents"));
            }
        })
    }

    /// What changes more than the incident it is asked of.
    async fn act_on_several(&self, id: &str, action: &Action) -> Result<IncidentView, ApiError> {
        let (now, who, plan, ledger) = (Timestamp::now(), self.operator(), self.plan(), &self.ledger);
        let changes = match action {
            Action::Merge { into } => {
                ledger.act_on_two(into, id, |into, part, _| merge::merge(now, &who, into, part, &plan)).await?
            }
            Action::Unmerge => {
                let part = self.known(id).await?;
                let into = part.handling.merged_into.ok_or_else(|| {
                    ApiError::new(ErrorCode::Refused, format!("incident #{} is part of no other", part.number))
                })?;
                ledger
                    .act_on_two(&into.to_string(), id, |into, part, _| merge::unmerge(now, &who, into, part, &plan))
                    .await?
            }
            Action::Split { versions } => {
                let chosen: Vec<Folded> = self
                    .store()
                    .folded(&self.known(id).await?.id)
                    .await?
                    .into_iter()
                    .filter(|f| versions.contains(&(f.version as u32)))
                    .collect();
                ledger.act(id, |i, book| merge::split(now, &who, i, book.next_number(), &chosen, &plan)).await?
            }
            other => return Err(ApiError::invalid(format!("{other:?} is about one incident"))),
        };
        // Of two that changed, the one that was asked about; of a split, the new one.
        let view = match action {
            Action::Split { .. } => changes.incidents.last(),
            _ => changes
                .incidents
                .iter()
                .find(|i| i.id.0 == id || i.number.to_string() == id.trim_start_matches('#'))
                .or(changes.incidents.first()),
        }
        .map(|i| IncidentView::of(i, &plan));
        self.tell(changes);
        view.ok_or_else(|| ApiError::failed("nothing changed"))
    }

    async fn known(&self, id: &str) -> Result<wf_model::Incident, ApiError> {
        Ok(self.store().incident(id).await?.ok_or_else(|| ActError::NotFound(id.to_owned()))?)
    }

    /// The window and whoever listens hear of what was committed.
    pub fn tell(&self, changes: Changes) {
        if !changes.incidents.is_empty() || !changes.silences.is_empty() {
            self.live.touched(|t| t.incidents += 1);
        }
        if let Some(running) = &self.running {
            for notice in changes.notices {
                // Nobody listens any more when the window is being closed; the state is committed all the same.
                let _told = running.outlets.notices.try_send(notice).is_ok();
            }
        }
    }

    /// An auditor looks, searches, exports and verifies. Everything else is for those who work here.
    pub(crate) fn may_change(&self) -> Result<(), ApiError> {
        let config = self.config();
        let me = config.operator_name();
        let auditor = config.person.iter().any(|(id, p)| {
            (p.name == me || (p.name.is_empty() && *id == me)) && p.roles.iter().any(|r| r == "auditor")
        });
        if auditor {
            Err(ApiError::new(
                ErrorCode::Refused,
                format!("{me} is an auditor here: auditors look, and change nothing"),
            ))
        } else {
            Ok(())
        }
    }

    /// A person by id or by name.
    fn owner(&self, text: &str) -> Result<String, ApiError> {
        let config = self.config();
        let plan = self.plan();
        if let Some(id) = config.person.keys().find(|id| *id == text || plan.name(id) == text) {
            return Ok(plan.name(id).to_owned());
        }
        if text == config.operator_name() {
            return Ok(text.to_owned());
        }
        Err(ApiError::invalid(format!("'{text}' is nobody: there is no [person.{text}]")))
    }

    pub fn plan(&self) -> std::sync::Arc<Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Builds the plan anew: the config changed, or a channel was seen to work or not to.
    pub async fn replan(&self) -> Result<(), StoreError> {
        let standings = self.store().channels().await?;
        let plan = std::sync::Arc::new(self.config().plan(self.code_key, &standings));
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan.clone();
        self.ledger.set_plan(plan).await;
        self.live.touched(|t| t.health += 1);
        Ok(())
    }

    pub fn secrets(&self) -> std::sync::Arc<dyn wf_model::SecretSource> {
        std::sync::Arc::new(Secrets(self.keychain.clone()))
    }

    /// A channel of the config, ready to send.
    pub fn channel(&self, name: &str) -> Option<Channel> {
        let config = self.config();
        let known = match name.strip_prefix("action.") {
            Some(action) => wf_channels::ChannelConfig::Action(config.action.get(action)?.clone()),
            None => config.channel.get(name)?.clone(),
        };
        Some(Channel::new(std::sync::Arc::new(known), self.secrets()))
    }

    // ---- silences

    pub async fn silences(&self) -> Result<Vec<SilenceView>, ApiError> {
        let now = Timestamp::now();
        let hidden: BTreeMap<String, u32> = self
            .ledger
            .look(|book| {
                let mut hidden = BTreeMap::new();
                for i in book.live() {
                    if let Some(s) = &i.handling.silenced_by {
                        *hidden.entry(s.clone()).or_insert(0) += 1;
                    }
                }
                hidden
            })
            .await;
        Ok(self
            .store()
            .silences(500)
            .await?
            .iter()
            .map(|s| SilenceView::of(s, now, hidden.get(&s.id).copied().unwrap_or(0)))
            .collect())
    }

    /// Live incidents a silence would fit, so that nobody hides more than they mean.
    pub async fn silence_preview(&self, matcher: &MatcherView) -> Result<Vec<IncidentView>, ApiError> {
        let (matcher, plan) = (Matcher::try_from(matcher).map_err(ApiError::invalid)?, self.plan());
        let mut hit = self
            .ledger
            .look(|book| book.live().filter(|i| !matcher.is_empty() && matcher.fits(i)).cloned().collect::<Vec<_>>())
            .await;
        hit.sort_by_key(|i| std::cmp::Reverse(i.number));
        Ok(hit.iter().take(500).map(|i| IncidentView::of(i, &plan)).collect())
    }

    pub async fn silence_add(
        &self,
        matcher: &MatcherView,
        reason: &str,
        length: &str,
    ) -> Result<Vec<SilenceView>, ApiError> {
        self.may_change()?;
        let (now, who, matcher) =
            (Timestamp::now(), self.operator(), Matcher::try_from(matcher).map_err(ApiError::invalid)?);
        let length = parse_span(length).map_err(ApiError::invalid)?;
        let mut bytes = [0u8; 4];
        getrandom::fill(&mut bytes).map_err(ApiError::failed)?;
        let id: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let changes = self.ledger.change(|_| silence::add(now, &who, id, matcher, reason, now + length)).await?;
        self.tell(changes);
        self.silences().await
    }

    pub async fn silence_end(&self, id: &str) -> Result<Vec<SilenceView>, ApiError> {
        self.may_change()?;
        let (now, who) = (Timestamp::now(), self.operator());
        let changes = self.ledger.change(|book| silence::end(now, &who, book, id)).await?;
        self.tell(changes);
        self.silences().await
    }

    // ---- on call

    /// Who is on call in every rota at a moment.
    pub fn on_call_at(&self, at: Option<&str>) -> Result<Vec<OnCallView>, ApiError> {
        let at = match at {
            Some(text) => Timestamp::parse(text)
                .ok_or_else(|| ApiError::invalid(format!("'{text}' is no moment: write 2026-02-22T22:00:00Z")))?,
            None => Timestamp::now(),
        };
        let plan = self.plan();
        Ok(plan
            .schedules
            .iter()
            .map(|(name, s)| OnCallView::of(name, s, &plan, at, Duration::from_secs(SHOWN_DAYS * 86_400)))
            .collect())
    }

    /// Who could not be reached, in sentences, and the hours behind them.
    pub async fn readiness(&self) -> Result<ReadinessView, ApiError> {
        let plan = self.plan();
        tokio::task::spawn_blocking(move || {
            let now = Timestamp::now();
            ReadinessView {
                set_up: plan.is_set_up(),
                sentences: readiness::sentences(&plan, now),
                spans: readiness::look_ahead(&plan, now)
                    .into_iter()
                    .map(|f| ReadinessSpan {
                        severity: f.severity.to_string(),
                        person: f.person.map(|p| plan.name(&p).to_owned()),
                        from: millis(f.from),
                        to: millis(f.to),
                        reachable: f.reachable.as_str().to_owned(),
                        reason: f.reason,
                    })
                    .collect(),
                policies: Severity::ALL.into_iter().map(|s| PolicyView::of(s, &plan, now)).collect(),
                people: plan.people.keys().map(|id| PersonView::of(id, &plan)).collect(),
            }
        })
        .await
        .map_err(ApiError::failed)
    }

    /// Somebody takes a rota over for a while: written into the config.
    pub async fn override_add(&self, name: &str, person: &str, from: f64, to: f64) -> Result<(), ApiError> {
        self.may_change()?;
        let plan = self.plan();
        let rota = plan
            .schedules
            .get(name)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no [schedule.{name}]")))?;
        if !plan.people.contains_key(person) {
            return Err(ApiError::invalid(format!("there is no [person.{person}]")));
        }
        let local = |ms: f64| {
            schedule::wall(rota.time_zone, Timestamp::from_millis(ms as i64)).format("%Y-%m-%dT%H:%M").to_string()
        };
        let (from, to) = (local(from), local(to));
        self.edit_config(format!("override of {name} by {person} from {from} to {to}"), |text, path| {
            crate::config::with_override(text, path, name, person, &from, &to)
        })
        .await
    }

    // ---- channels and what went over them

    pub async fn receipts(&self, id: &str) -> Result<Vec<ReceiptView>, ApiError> {
        let (incident, plan) = (self.known(id).await?, self.plan());
        Ok(self.store().notifications_of(&incident.id).await?.iter().map(|n| ReceiptView::of(n, &plan)).collect())
    }

    pub async fn channels(&self) -> Result<Vec<ChannelView>, ApiError> {
        let (config, standings) = (self.config(), self.store().channels().await?);
        let plan = self.plan();
        let waiting = self.store().waiting().await?;
        Ok(config
            .channel
            .iter()
            .map(|(name, c)| {
                let s = standings.iter().find(|s| s.name == *name);
                ChannelView {
                    name: name.clone(),
                    kind: c.kind().to_owned(),
                    severities: Severity::ALL
                        .into_iter()
                        .filter(|s| plan.channels_for(*s).contains(name))
                        .map(|s| s.to_string())
                        .collect(),
                    worked_at: s.and_then(|s| s.worked_at).map(millis),
                    failed_at: s.and_then(|s| s.failed_at).map(millis),
                    broken: s.and_then(|s| s.broken.clone()),
                    answers: Channel::new(std::sync::Arc::new(c.clone()), self.secrets()).listens(),
                    waiting: waiting.iter().find(|(c, _)| c == name).map_or(0, |(_, n)| *n as u32),
                }
            })
            .collect())
    }

    /// Sends a test over one channel, to everybody it can reach or to the place it is.
    pub async fn channel_test(&self, name: &str) -> Result<Vec<ReceiptView>, ApiError> {
        self.may_change()?;
        let keys = self.owe_test(name, self.operator()).await?;
        self.outcomes(&keys).await
    }

    async fn owe_test(&self, name: &str, who: Actor) -> Result<Vec<String>, ApiError> {
        let plan = self.plan();
        let info = plan
            .channel(name)
            .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no [channel.{name}]")))?;
        let now = Timestamp::now();
        let to: Vec<Destination> = match info.contact {
            Contact::Place => vec![Destination { channel: name.to_owned(), address: String::new(), person: None }],
            contact => plan
                .people
                .iter()
                .map(|(id, p)| Destination {
                    channel: name.to_owned(),
                    address: if contact == Contact::Email { p.email.clone() } else { p.phone.clone() },
                    person: Some(id.clone()),
                })
                .filter(|d| !d.address.is_empty())
                .collect(),
        };
        if to.is_empty() {
            return Err(ApiError::new(
                ErrorCode::Refused,
                format!("nobody has an address for {name}: give a person an email or a phone"),
            ));
        }
        let notifications: Vec<_> = to
            .into_iter()
            .enumerate()
            .map(|(n, d)| {
                about_itself(
                    format!("test.{}.{n}.{name}", now.millis()),
                    Purpose::Test,
                    Severity::P4,
                    d,
                    now,
                    format!("Test of {name}: nothing has happened"),
                    vec![format!("{who} tests this channel")],
                )
            })
            .collect();
        let keys: Vec<String> = notifications.iter().map(|n| n.key.clone()).collect();
        let audit = vec![AuditAction {
            at: now,
            actor: who,
            action: "channel.test".into(),
            subject: format!("channel:{name}"),
            payload: serde_json::json!({ "messages": keys.len() }),
        }];
        self.ledger.settle(Vec::new(), Vec::new(), Changes { notifications, audit, ..Changes::default() }).await?;
        Ok(keys)
    }

    /// Channels that were not heard of for as long as the config says are tested; those that wake people never by
    /// themselves.
    async fn scheduled_drill(&self, now: Timestamp) -> Result<(), StoreError> {
        let plan = self.plan();
        let Some(every) = plan.escalation.drill_every else { return Ok(()) };
        let standings = self.store().channels().await?;
        for channel in plan.channels.iter().filter(|c| c.contact != Contact::Phone) {
            let heard = standings.iter().find(|s| s.name == channel.name).and_then(|s| s.worked_at.max(s.failed_at));
            if heard.is_none_or(|t| t + every <= now)
                && let Err(e) = self.owe_test(&channel.name, Actor::Engine).await
            {
                tracing::warn!(channel = channel.name, error = e.message, "the scheduled drill could not test it");
            }
        }
        Ok(())
    }

    /// A test of every channel at once.
    pub async fn drill(&self) -> Result<Vec<ReceiptView>, ApiError> {
        let names: Vec<String> = self.plan().channels.iter().map(|c| c.name.clone()).collect();
        if names.is_empty() {
            return Err(ApiError::new(ErrorCode::Refused, "there is no channel to drill: write a [channel.NAME]"));
        }
        let drills = names.iter().map(|name| self.channel_test(name));
        let mut all = Vec::new();
        for (name, receipts) in names.iter().zip(futures_util::future::join_all(drills).await) {
            match receipts {
                Ok(r) => all.extend(r),
                Err(e) => all.push(ReceiptView::untold(name, &e.message)),
            }
        }
        Ok(all)
    }

    /// Waits until these have an outcome, or a minute has passed.
    async fn outcomes(&self, keys: &[String]) -> Result<Vec<ReceiptView>, ApiError> {
        let (plan, deadline) = (self.plan(), tokio::time::Instant::now() + Duration::from_secs(60));
        if self.running.is_none() {
            // No engine runs: nothing is sent until one does.
            return Err(ApiError::new(
                ErrorCode::Refused,
                "no engine runs, so nothing is sent: start the window or `watchfloorctl run`, then test again",
            ));
        }
        loop {
            let mut found = Vec::new();
            for key in keys {
                found.extend(self.store().notification(key).await?);
            }
            // A failed try that will be made again is an answer, too.
            let settled =
                |n: &wf_model::Notification| n.attempts > 0 && n.state != wf_model::NotificationState::Attempting;
            if found.iter().all(settled) || tokio::time::Instant::now() > deadline {
                return Ok(found.iter().map(|n| ReceiptView::of(n, &plan)).collect());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    // ---- numbers

    /// How it went since a moment: `30d`, or 2026-02-22T22:00:00Z.
    pub async fn metrics(&self, since: Option<&str>) -> Result<MetricsView, ApiError> {
        let since = crate::controller::since_when(since.unwrap_or("30d"))?;
        let (incidents, first) = (self.store().incidents_since(since).await?, self.store().first_actions(since).await?);
        let handled = Handled::all(&incidents, &first);
        let now = Timestamp::now();
        Ok(MetricsView {
            since: millis(since),
            rows: metrics::metrics(now, &handled).iter().map(MetricsRow::from).collect(),
            formulas: metrics::FORMULAS.iter().map(|(n, f)| ((*n).to_owned(), (*f).to_owned())).collect(),
        })
    }

    /// A moment has passed: everything that became due happens. Called by the timers, and by nothing else.
    pub(crate) async fn time_passes(&self, now: Timestamp) -> Result<(), StoreError> {
        let ledger = &self.ledger;
        let (due, ended) = ledger.look(|book| (book.due_at().is_some_and(|d| d <= now), silence::due(now, book))).await;
        if due {
            // In the order they became due, each in a commit of its own: one that cannot be written holds nobody else
            // up.
            let mut ids: Vec<_> = ledger
                .look(|book| {
                    book.live().filter_map(|i| Some((i.due_at().filter(|d| *d <= now)?, i.id.clone()))).collect()
                })
                .await;
            ids.sort();
            for (_, id) in ids {
                let changes = ledger
                    .commit(|book| {
                        (
                            Default::default(),
                            book.get(&id).and_then(|i| escalate::on_due(now, i, book.plan())).unwrap_or_default(),
                        )
                    })
                    .await?;
                self.tell(changes);
            }
        }
        for id in ended {
            match ledger.change(|book| silence::end(now, &Actor::Engine, book, &id)).await {
                Ok(changes) => self.tell(changes),
                Err(ActError::Store(e)) => return Err(e),
                Err(e) => tracing::debug!(error = %e, "a silence ended twice"),
            }
        }
        Ok(())
    }

    /// Every minute: escalation is looked after, a storm may be over, a digest may be due.
    pub(crate) async fn minute_passes(&self, now: Timestamp) -> Result<(), StoreError> {
        let changes =
            self.ledger.commit(|book| (Default::default(), escalate::watch(now, book.plan(), book.live()))).await?;
        self.tell(changes);
        let calm = self
            .ledger
            .commit(|book| {
                (
                    Default::default(),
                    book.calm(now)
                        .unwrap_or_else(|| if book.in_storm() { Changes::default() } else { book.after_storm(now) }),
                )
            })
            .await?;
        self.tell(calm);
        self.scheduled_drill(now).await?;
        self.privacy_minute(now).await?;
        crate::digest::due(self, now).await
    }
}
