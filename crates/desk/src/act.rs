//! What an officer does to incidents, alone or in bulk.

use std::time::Duration;

use wf_api::views::{Acted, IncidentView};
use wf_api::{Action, ApiError, ErrorCode};
use wf_model::{Actor, Folded, Timestamp, Verdict};
use wf_response::{Changes, Plan, Refusal, act, escalate, lifecycle, merge};

use crate::Incidents;

/// Nobody means to do something to more than this many incidents at once.
const MOST_AT_ONCE: usize = 10_000;
/// What an officer's action makes of one incident.
type Single = dyn Fn(Timestamp, &Actor, &wf_model::Incident, &Plan) -> Result<Changes, Refusal> + Send + Sync;

/// One that could not be done is an error when it was the only one.
fn acted(id: &str, of: usize, outcome: Result<IncidentView, ApiError>) -> Result<Acted, ApiError> {
    match outcome {
        Ok(incident) => Ok(Acted { id: id.to_owned(), incident: Some(incident), error: None }),
        Err(e) if of == 1 => Err(e),
        Err(e) => Ok(Acted { id: id.to_owned(), incident: None, error: Some(e.message) }),
    }
}

impl Incidents {
    /// Does the same to each of these incidents, and says of each how that went.
    pub async fn act(&self, ids: &[String], action: &Action) -> Result<Vec<Acted>, ApiError> {
        self.context.may_change()?;
        if ids.len() > MOST_AT_ONCE {
            return Err(ApiError::invalid(format!("{} incidents at once; at most {MOST_AT_ONCE}", ids.len())));
        }
        let (now, who, plan) = (self.context.now(), self.context.operator(), self.context.plan());
        let single = match action {
            Action::Merge { .. } | Action::Unmerge | Action::Split { .. } => None,
            other => Some(self.single(other)?),
        };
        if let Some(single) = single {
            let (changes, each) =
                self.context.ledger.act_on_many(ids, move |i, book| single(now, &who, i, book.plan())).await?;
            self.context.tell(changes);
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
        let (now, who, plan, ledger) =
            (self.context.now(), self.context.operator(), self.context.plan(), &self.context.ledger);
        let changes = match action {
            Action::Merge { into } => {
                ledger
                    .act_on_two(into, id, move |into, part, book| merge::merge(now, &who, into, part, book.plan()))
                    .await?
            }
            Action::Unmerge => {
                let part = self.known(id).await?;
                let into = part.handling.merged_into.ok_or_else(|| {
                    ApiError::new(ErrorCode::Refused, format!("incident #{} is part of no other", part.number))
                })?;
                ledger
                    .act_on_two(&into.to_string(), id, move |into, part, book| {
                        merge::unmerge(now, &who, into, part, book.plan())
                    })
                    .await?
            }
            Action::Split { versions } => {
                let chosen: Vec<Folded> = self
                    .context
                    .store()
                    .folded(&self.known(id).await?.id)
                    .await?
                    .into_iter()
                    .filter(|f| versions.contains(&(f.version as u32)))
                    .collect();
                ledger
                    .act(id, move |i, book| {
                        merge::split(now, &who, i, book.next_number(), &book.current_pieces(&chosen), book.plan())
                    })
                    .await?
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
        self.context.tell(changes);
        view.ok_or_else(|| ApiError::failed("nothing changed"))
    }

    /// A person by id or by name.
    fn owner(&self, text: &str) -> Result<String, ApiError> {
        let config = self.context.config();
        let plan = self.context.plan();
        if let Some(id) = config.person.keys().find(|id| *id == text || plan.name(id) == text) {
            return Ok(plan.name(id).to_owned());
        }
        if text == config.operator_name() {
            return Ok(text.to_owned());
        }
        Err(ApiError::invalid(format!("'{text}' is nobody: there is no [person.{text}]")))
    }
}
