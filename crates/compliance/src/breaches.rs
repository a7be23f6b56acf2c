//! Breaches: from an incident to the notification, and whoever must not forget the clock.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use wf_api::views::*;
use wf_api::{ApiError, PrivacyAction};
use wf_engine::views::incident_detail;
use wf_model::{Actor, Destination, Purpose, Severity, Timestamp};
use wf_privacy::breach::{Breach, Content, Exemption};
use wf_privacy::request::Request;
use wf_response::plan::Contact;
use wf_response::{Changes, about_itself};
use wf_store::{Commit, StoreError};

use crate::records::*;

/// Days before its due date at which an open request is told of, and when it is late.
const REQUEST_REMINDERS: [i64; 3] = [7, 2, 0];

/// Breaches, their clock, and who is reminded of it.
pub struct Breaches {
    pub(crate) records: Arc<Records>,
}

impl Breaches {
    pub async fn all(&self) -> Result<Vec<BreachView>, ApiError> {
        let mut all: Vec<BreachView> =
            self.records.all_records::<Breach>(BREACHES, None, 2000).await?.into_iter().map(BreachView::from).collect();
        // What runs comes first, by its end.
        all.sort_by_key(|b| (!b.runs, b.due.filter(|_| b.runs), !b.open, std::cmp::Reverse(b.breach.number)));
        Ok(all)
    }

    pub async fn one(&self, number: u64) -> Result<BreachView, ApiError> {
        Ok(BreachView::from(self.records.one_record::<Breach>(BREACHES, number).await?))
    }

    /// What the incident's own evidence says, to begin with: an officer goes over it.
    async fn content_of(&self, incidents: &[u64]) -> Result<(String, Content), ApiError> {
        let (mut titles, mut people, mut records) = (Vec::new(), BTreeSet::new(), 0);
        let (mut measures, mut first) = (Vec::new(), String::new());
        for n in incidents {
            let detail = incident_detail(&self.records.context, &n.to_string()).await?;
            if first.is_empty() {
                first.clone_from(&detail.incident.title);
            }
            titles.push(format!(
                "{} (incident #{n}, {} to {})",
                detail.incident.title,
                self.records.context.config().privacy.said(detail.incident.first_seen.timestamp()),
                self.records.context.config().privacy.said(detail.incident.last_seen.timestamp())
            ));
            let Some(incident) = self.records.context.store().incident(&n.to_string()).await? else { continue };
            for e in &self.records.events_of(&incident).await? {
                if let Some(user) = ["user.id", "user.name", "user.email"].iter().find_map(|f| e.fields.get(*f)) {
                    people.insert(user.to_string());
                }
                records += e
                    .fields
                    .get("event.records")
                    .or_else(|| e.fields.get("watchfloor.records"))
                    .and_then(serde_json::Value::as_u64)
                    .unwrap_or(0);
            }
            measures.extend(
                detail
                    .timeline
                    .iter()
                    .filter(|t| matches!(t.kind.as_str(), "checked" | "resolved" | "note"))
                    .map(|t| t.text.clone()),
            );
        }
        let content = Content {
            nature: titles.join("\n"),
            subjects: (!people.is_empty()).then_some(people.len() as u64),
            records: (records > 0).then_some(records),
            contact: self.records.context.config().privacy.contact.clone(),
            measures: measures.join("\n"),
            ..Content::default()
        };
        Ok((first, content))
    }

    pub(crate) async fn step(&self, action: &PrivacyAction, at: &Now) -> Result<BreachView, ApiError> {
        let by = at.act().by.to_owned();
        let one = async |n: &u64| self.records.one_record::<Breach>(BREACHES, *n).await;
        let when = |text: &Option<String>| text.as_deref().map(moment).transpose().map(|t| t.unwrap_or(at.now));
        let (b, action) = match action {
            PrivacyAction::OpenBreach { incidents, title, why, suspected } => {
                let (first, content) = self.content_of(incidents).await?;
                let title = title.clone().filter(|t| !t.trim().is_empty()).unwrap_or(first);
                (
                    Breach::open(
                        at.now,
                        self.records.context.store().next_record(BREACHES).await?,
                        &title,
                        incidents.clone(),
                        wf_privacy::Entry { at: when(suspected)?, by, text: why.clone() },
                        content,
                    )
                    .map_err(invalid)?,
                    "privacy.breach.open",
                )
            }
            PrivacyAction::Aware { breach, at: known, why } => {
                (one(breach).await?.aware(at.now, &by, when(known)?, why)?, "privacy.breach.aware")
            }
            PrivacyAction::Describe { breach, content } => {
                (one(breach).await?.describe(at.now, &by, (**content).clone())?, "privacy.breach.describe")
            }
            PrivacyAction::Notify { breach, at: sent, reference, delay_reason } => (
                one(breach).await?.notify(
                    at.now,
                    &by,
                    when(sent)?,
                    reference.as_deref().unwrap_or_default(),
                    delay_reason.as_deref(),
                )?,
                "privacy.breach.notify",
            ),
            PrivacyAction::NotNotifiable { breach, reasoning } => {
                (one(breach).await?.not_notifiable(at.now, &by, reasoning)?, "privacy.breach.not_notifiable")
            }
            PrivacyAction::DecideSubjects { breach, exemption, reason, message } => {
                let exemption: Option<Exemption> = exemption.as_deref().map(str::parse).transpose().map_err(invalid)?;
                (
                    one(breach).await?.decide_subjects(
                        at.now,
                        &by,
                        exemption,
                        reason.as_deref().unwrap_or_default(),
                        message.as_deref().unwrap_or_default(),
                    )?,
                    "privacy.breach.subjects",
                )
            }
            PrivacyAction::Dismiss { breach, why } => {
                (one(breach).await?.dismiss(at.now, &by, why)?, "privacy.breach.dismiss")
            }
            PrivacyAction::CloseBreach { breach } => (one(breach).await?.close(at.now, &by)?, "privacy.breach.close"),
            _ => return Err(ApiError::invalid("this is about no breach")),
        };
        let payload = json!({ "state": b.state.as_str(), "incidents": b.incidents, "aware_at": b.aware.as_ref().map(|a| a.at.rfc3339()), "phases": b.phases.len() });
        self.records
            .keep(
                vec![record_of(BREACHES, b.number, b.version, b.is_open(), at.now, &b)?],
                at,
                action,
                format!("breach:{}", b.number),
                payload,
            )
            .await?;
        Ok(BreachView::from(b))
    }

    /// The breach whose time runs out first, in a sentence: for the tray.
    pub async fn clock(&self) -> Option<String> {
        let badge = self.records.badge().await.ok()?;
        let (number, due, now) = (badge.breach?, badge.breach_due?.timestamp(), self.records.context.now());
        let hours = |d: std::time::Duration| d.as_secs() / 3600;
        Some(if due > now {
            format!("Breach #{number}: {} h left to notify", hours(due.since(now)))
        } else {
            format!("Breach #{number}: {} h past the 72 hours", hours(now.since(due)))
        })
    }

    /// Stands for an address in a key, which says nothing about whose it is.
    fn short_hash(&self, text: &str) -> String {
        wf_evidence::tree::hex(
            &wf_evidence::tree::leaf_hash([&self.records.context.code_key[..], text.as_bytes()].concat().as_slice())
                [..6],
        )
    }

    /// Where the privacy officer is told.
    fn officer(&self) -> Vec<Destination> {
        let (config, plan) = (self.records.context.config(), self.records.context.plan());
        let Some(person) = plan.people.get(&config.privacy.officer) else { return Vec::new() };
        plan.channels
            .iter()
            .filter(|c| {
                config.privacy.channels.contains(&c.name)
                    || (config.privacy.channels.is_empty() && c.contact != Contact::Place)
            })
            .filter_map(|c| {
                let address = match c.contact {
                    Contact::Place => String::new(),
                    Contact::Email => person.email.clone(),
                    Contact::Phone => person.phone.clone(),
                };
                (c.contact == Contact::Place || !address.is_empty()).then(|| Destination {
                    channel: c.name.clone(),
                    address,
                    person: (c.contact != Contact::Place).then(|| config.privacy.officer.clone()),
                })
            })
            .collect()
    }

    /// A minute has passed: a breach may be at one of its hours, a request near its day, retention at its time.
    pub(crate) async fn minute(&self, now: Timestamp) -> Result<(), StoreError> {
        // Somebody is changing something: a minute later it is looked at again.
        let Ok(_one) = self.records.work.changing.try_lock() else { return Ok(()) };
        let settings = self.records.context.config().privacy.clone();
        let mut untold = None;
        for b in self
            .records
            .context
            .store()
            .records(BREACHES, Some(true), 1000)
            .await?
            .iter()
            .filter_map(|d| serde_json::from_str::<Breach>(d).ok())
        {
            let Some(hour) = b.reminder_due(now) else { continue };
            let left = b.due().map(|d| d.since(now)).unwrap_or_default();
            let title = match hour {
                72 => format!("Breach #{}: 72 hours have passed, and the authority has not been notified", b.number),
                h => format!(
                    "Breach #{}: {h} hours have passed; {} are left to notify the authority",
                    b.number,
                    wf_model::span::spoken(left)
                ),
            };
            let remarks = vec![
                b.title.clone(),
                format!("due {}", b.due().map(|d| settings.said(d)).unwrap_or_default()),
                b.content.missing().first().map_or_else(
                    || "the notification is complete".to_owned(),
                    |_| format!("still to be said: {}", b.content.missing().join(", ")),
                ),
            ];
            let severity = if hour >= 66 { Severity::P1 } else { Severity::P2 };
            let officer = self.officer();
            if officer.is_empty() {
                // Nobody was told, so nothing is written as told; the clock stands in the window, the tray and the
                // reports.
                untold = Some(format!(
                    "breach #{}: {hour} of its 72 hours have passed, and nobody is told: [privacy] names no officer that a channel reaches",
                    b.number
                ));
                continue;
            }
            let notifications = officer
                .into_iter()
                .map(|to| {
                    about_itself(
                        format!("breach.{}.{hour}.{}.{}", b.number, to.channel, self.short_hash(&to.address)),
                        Purpose::Alarm,
                        severity,
                        to,
                        now,
                        title.clone(),
                        remarks.clone(),
                    )
                })
                .collect();
            let next = b.reminded(now, hour);
            let Ok(record) = record_of(BREACHES, next.number, next.version, true, now, &next) else { continue };
            let audit = wf_model::AuditAction {
                at: now,
                actor: Actor::Engine,
                action: "privacy.breach.reminder".into(),
                subject: format!("breach:{}", b.number),
                payload: json!({ "hour": hour }),
            };
            let changes = self
                .records
                .context
                .ledger
                .commit(|_| {
                    (
                        Commit { records: vec![record], ..Commit::default() },
                        Changes { notifications, audit: vec![audit], ..Changes::default() },
                    )
                })
                .await?;
            self.records.context.tell(changes);
            self.records.context.recent.touched(|t| t.health += 1);
        }
        let today = settings.wall(now).0;
        let calendar = settings.calendar();
        for r in self
            .records
            .context
            .store()
            .records(REQUESTS, Some(true), 1000)
            .await?
            .iter()
            .filter_map(|d| serde_json::from_str::<Request>(d).ok())
        {
            let left = (r.deadline(&calendar, today).due - today).num_days();
            let Some(mark) =
                REQUEST_REMINDERS.into_iter().rev().find(|d| left <= *d).map(|d| if left < 0 { -1 } else { d })
            else {
                continue;
            };
            let title = match left {
                ..0 => format!("Request #{} ({}) is late by {} days", r.number, r.kind, -left),
                0 => format!("Request #{} ({}) is due today", r.number, r.kind),
                1 => format!("Request #{} ({}) is due tomorrow", r.number, r.kind),
                n => format!("Request #{} ({}) is due in {n} days", r.number, r.kind),
            };
            // The key is what makes it once: a mark of a request, counted anew when its due date moved.
            let due = r.deadline(&calendar, today).due;
            let mut notifications = Vec::new();
            for to in self.officer() {
                let key = format!("request.{}.{due}.{mark}.{}.{}", r.number, to.channel, self.short_hash(&to.address));
                if self.records.context.store().notification(&key).await?.is_none() {
                    notifications.push(about_itself(
                        key,
                        Purpose::Alarm,
                        Severity::P3,
                        to,
                        now,
                        title.clone(),
                        vec![format!("it is {}", r.state)],
                    ));
                }
            }
            if !notifications.is_empty() {
                let changes = self
                    .records
                    .context
                    .ledger
                    .commit(|_| (Commit::default(), Changes { notifications, ..Changes::default() }))
                    .await?;
                self.records.context.tell(changes);
            }
        }
        self.records.context.state.set_problems("privacy", untold.into_iter().collect());
        Ok(())
    }
}
