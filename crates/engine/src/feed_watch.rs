//! Feeds that are down, and feeds that should have spoken by now: each an incident of its own, resolved when it is over.

use std::collections::BTreeMap;

use wf_feeds::{FeedConfig, FeedState, FeedStatus};
use wf_model::span::spoken;
use wf_model::{Actor, Contribution, Entity, FeedName, IncidentId, Match, Message, Part, Severity, Timestamp, Verdict};
use wf_response::lifecycle;
use wf_store::{Commit, StoreError};

use crate::context::Context;
use crate::feeds::FeedControl;
use crate::ledger::ActError;

const DOWN: &str = "watchfloor.feed-down";
const SILENT: &str = "watchfloor.feed-silent";

/// What is known of one feed between two looks.
#[derive(Default)]
struct Seen {
    /// When it was first looked at: what it did before that is not held against it.
    since: Timestamp,
    /// The outage and the silence that were told of, by their beginning: an officer who resolves the incident meanwhile
    /// is not told again.
    told_down: Option<Timestamp>,
    told_silent: Option<Timestamp>,
}

/// Looks after feeds, again and again.
#[derive(Default)]
pub(crate) struct FeedWatch {
    seen: BTreeMap<FeedName, Seen>,
}

/// One look at one feed: since when it is down or silent, if it has been for too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Trouble {
    down: Option<Timestamp>,
    silent: Option<Timestamp>,
}

impl Trouble {
    fn of(
        now: Timestamp,
        status: &FeedStatus,
        config: &FeedConfig,
        heard_at: Option<Timestamp>,
        seen_since: Timestamp,
    ) -> Self {
        if status.state == FeedState::Disabled {
            return Self::default();
        }
        let down = status.down_since(now).map(|at| at.max(seen_since));
        // While it is down nothing is heard, and that counts; a connection that stands is given its time anew.
        let heard = heard_at.unwrap_or(seen_since).max(seen_since);
        let heard = if down.is_none() { heard.max(status.since.min(now)) } else { heard };
        Self {
            down: down.filter(|at| now.since(*at) >= config.down_after),
            silent: config.silence.filter(|limit| now.since(heard) >= *limit).map(|_| heard),
        }
    }
}

impl FeedWatch {
    /// Opens an incident for every feed that is in trouble and was not told of yet, and resolves those that are over.
    pub(crate) async fn look(&mut self, context: &Context, feeds: &dyn FeedControl) -> Result<(), StoreError> {
        let now = context.now();
        let statuses = feeds.statuses();
        let stored = context.store().feeds().await?;
        self.seen.retain(|name, _| statuses.contains_key(name));
        let (mut matches, mut well) = (Vec::new(), Vec::new());
        for (name, (status, config)) in &statuses {
            let seen = self.seen.entry(name.clone()).or_insert_with(|| Seen { since: now, ..Seen::default() });
            let heard_at = stored.iter().find(|f| f.name == *name).map(|f| f.heard_at);
            let trouble = Trouble::of(now, status, config, heard_at, seen.since);
            match trouble.down {
                Some(at) if seen.told_down != Some(at) => {
                    seen.told_down = Some(at);
                    matches.push(down(now, at, name, config.down_severity, &status.detail));
                }
                Some(_) => {}
                // Down, but not for long enough yet: nothing is over.
                None if status.down_since(now).is_some() => {}
                None => well.push((DOWN, name, "the feed is live again")),
            }
            match trouble.silent {
                Some(at) if seen.told_silent != Some(at) => {
                    seen.told_silent = Some(at);
                    matches.push(silent(now, at, name, config.down_severity));
                }
                Some(_) => {}
                None if status.down_since(now).is_some() => {}
                None => well.push((SILENT, name, "the feed speaks again")),
            }
        }
        let over = context.ledger.look(|book| {
            book.live()
                .filter(|i| i.rule == DOWN || i.rule == SILENT)
                .filter_map(|i| {
                    let name = &i.entity.as_ref()?.value;
                    if !statuses.keys().any(|n| n.as_str() == name) {
                        return Some((i.id.clone(), "the feed is not in the config any more"));
                    }
                    let over = well.iter().find(|(rule, n, _)| *rule == i.rule && n.as_str() == name)?;
                    Some((i.id.clone(), over.2))
                })
                .collect::<Vec<_>>()
        });
        if !matches.is_empty() {
            let changes = context.ledger.commit(move |book| (Commit::default(), book.fold(now, &matches))).await?;
            context.tell(changes);
        }
        for (id, why) in over {
            resolve(context, now, &id, why).await?;
        }
        Ok(())
    }
}

async fn resolve(context: &Context, now: Timestamp, id: &IncidentId, why: &'static str) -> Result<(), StoreError> {
    let resolved = context.ledger.act(&id.0, move |incident, book| {
        lifecycle::resolve(now, &Actor::Engine, incident, Verdict::TruePositive, Some(why), book.plan())
    });
    match resolved.await {
        Ok(changes) => context.tell(changes),
        Err(ActError::Store(e)) => return Err(e),
        Err(e) => tracing::debug!(error = %e, "an officer was quicker"),
    }
    Ok(())
}

fn down(now: Timestamp, since: Timestamp, name: &FeedName, severity: Severity, why: &str) -> Match {
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    let text =
        format!("Feed {name} has been down for {}{why}: nothing of it can be detected", spoken(now.since(since)));
    about(now, name, (DOWN, "Feed down", "FEED_DOWN"), severity, text)
}

fn silent(now: Timestamp, since: Timestamp, name: &FeedName, severity: Severity) -> Match {
    let text = format!("Feed {name} has been silent for {}: nothing of it can be detected", spoken(now.since(since)));
    about(now, name, (SILENT, "Feed silent", "FEED_SILENT"), severity, text)
}

fn about(
    now: Timestamp,
    name: &FeedName,
    (rule, title, kind): (&str, &str, &str),
    severity: Severity,
    text: String,
) -> Match {
    Match {
        rule: rule.into(),
        title: title.into(),
        kind: kind.into(),
        severity,
        entity: Some(Entity { field: "feed".into(), value: name.to_string() }),
        at: now,
        first_at: now,
        count: 1,
        value: 1,
        contribution: Contribution::Fired,
        message: Message(vec![Part::Text(text)]),
        actions: vec!["check_feed".into()],
        events: vec![],
        feeds: vec![name.clone()],
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(text: &str) -> FeedConfig {
        toml::from_str(&format!("url = \"wss://x\"\n{text}")).unwrap()
    }

    #[test]
    fn silence_goes_on_while_the_connection_is_tried_again_and_again() {
        let start = Timestamp::now();
        let config = config("silence = \"10m\"");
        // Between two attempts: the state is a moment old, however long nothing came.
        let status = FeedStatus::new(FeedState::Waiting);
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        let look = |now| Trouble::of(now, &status, &config, Some(start), start);
        assert_eq!(look(at(4)), Trouble::default());
        assert_eq!(look(at(11)).silent, Some(start), "a server that is down is silent");
        assert!(look(at(6)).down.is_some(), "and it is down after five minutes");
    }

    #[test]
    fn what_a_feed_did_before_the_console_ran_is_not_held_against_it() {
        let start = Timestamp::now();
        let config = config("silence = \"10m\"");
        let long_ago = Timestamp::from_millis(start.millis() - 86_400_000);
        let status = FeedStatus::new(FeedState::Connecting);
        assert_eq!(
            Trouble::of(start + Duration::from_secs(60), &status, &config, Some(long_ago), start),
            Trouble::default()
        );
    }

    #[test]
    fn nobody_waits_for_a_feed_that_is_switched_off() {
        let start = Timestamp::now();
        let status = FeedStatus::new(FeedState::Disabled);
        let later = start + Duration::from_secs(86_400);
        assert_eq!(Trouble::of(later, &status, &config("silence = \"1m\""), None, start), Trouble::default());
    }
}
