//! Tests of channels: by hand, and by themselves for those that were not heard of for a while.

use serde_json::json;
use wf_api::{ApiError, ErrorCode};
use wf_model::{Actor, AuditAction, Destination, Purpose, Severity, Timestamp};
use wf_response::plan::Contact;
use wf_response::{Changes, about_itself};
use wf_store::StoreError;

use crate::context::Context;

/// Owes one test message to everybody a channel can reach, or to the place it is. Gives the keys of the messages.
pub async fn owe_test(context: &Context, name: &str, who: Actor) -> Result<Vec<String>, ApiError> {
    let plan = context.plan();
    let info = plan
        .channel(name)
        .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("there is no [channel.{name}]")))?;
    let now = context.now();
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
        payload: json!({ "messages": keys.len() }),
    }];
    context.ledger.settle(Vec::new(), Vec::new(), Changes { notifications, audit, ..Changes::default() }).await?;
    Ok(keys)
}

/// Channels that were not heard of for as long as the config says are tested; those that wake people never by
/// themselves.
pub(crate) async fn scheduled_drill(context: &Context, now: Timestamp) -> Result<(), StoreError> {
    let plan = context.plan();
    let Some(every) = plan.escalation.drill_every else { return Ok(()) };
    let standings = context.store().channels().await?;
    for channel in plan.channels.iter().filter(|c| c.contact != Contact::Phone) {
        let heard = standings.iter().find(|s| s.name == channel.name).and_then(|s| s.worked_at.max(s.failed_at));
        if heard.is_none_or(|t| t + every <= now)
            && let Err(e) = owe_test(context, &channel.name, Actor::Engine).await
        {
            tracing::warn!(channel = channel.name, error = e.message, "the scheduled drill could not test it");
        }
    }
    Ok(())
}
