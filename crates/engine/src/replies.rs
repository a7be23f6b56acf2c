//! Somebody answers through a channel: whether the code is good, and whether they may, is decided here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use wf_channels::inbound::Answer;
use wf_channels::{Channel, ChannelConfig};
use wf_model::channel::{Account, ChannelStanding};
use wf_model::{Actor, Notification};
use wf_response::{Changes, Refusal, lifecycle};

use crate::context::Context;

/// Between two tries to listen, when listening fails.
const AGAIN: Duration = Duration::from_secs(10);
/// A changed config is heard of this soon.
const LOOK: Duration = Duration::from_secs(2);

/// Keeps an ear on every channel through which one can answer, as the config has them.
pub async fn run(context: Arc<Context>, mut stop: watch::Receiver<bool>) -> Result<(), String> {
    let mut heard: BTreeMap<String, (ChannelConfig, watch::Sender<bool>)> = BTreeMap::new();
    let mut ears = JoinSet::new();
    loop {
        let config = context.config();
        heard.retain(|name, (known, stop)| {
            let stays = config.channel.get(name) == Some(known);
            if !stays {
                stop.send_replace(true);
            }
            stays
        });
        for (name, known) in &config.channel {
            let Some(channel) = context.channel(name).filter(|c| c.listens() && !heard.contains_key(name)) else {
                continue;
            };
            let (sender, stopped) = watch::channel(false);
            heard.insert(name.clone(), (known.clone(), sender));
            ears.spawn(listen(context.clone(), name.clone(), channel, stopped));
        }
        tokio::select! {
            () = crate::supervisor::told(&mut stop) => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
            // The store failed under it: everything is heard anew after a moment.
            Some(Ok(Err(e))) = ears.join_next() => return Err(e),
        }
    }
}

/// Listens to one channel until told to stop.
async fn listen(
    context: Arc<Context>,
    name: String,
    channel: Channel,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let (send, mut answers) = mpsc::channel::<Answer>(16);
    loop {
        let cursor = standing(&context, &name).await?.cursor;
        let listening = channel.listen(cursor, &send);
        tokio::pin!(listening);
        let ended = loop {
            tokio::select! {
                () = crate::supervisor::told(&mut stop) => return Ok(()),
                ended = &mut listening => break ended,
                Some(answer) = answers.recv() => take(&context, &name, channel.config(), answer).await?,
            }
        };
        // What came before it broke is still an answer.
        while let Ok(answer) = answers.try_recv() {
            take(&context, &name, channel.config(), answer).await?;
        }
        if let Err(reason) = ended {
            tracing::warn!(channel = name, reason, "answers cannot be read");
        }
        tokio::select! {
            () = crate::supervisor::told(&mut stop) => return Ok(()),
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn standing(context: &Context, name: &str) -> Result<ChannelStanding, String> {
    let all = context.ledger.store().channels().await.map_err(|e| e.to_string())?;
    Ok(all
        .into_iter()
        .find(|c| c.name == name)
        .unwrap_or_else(|| ChannelStanding { name: name.to_owned(), ..ChannelStanding::default() }))
}

async fn take(context: &Context, name: &str, config: &ChannelConfig, answer: Answer) -> Result<(), String> {
    let n = context.ledger.store().notification_by_code(&answer.code, name).await.map_err(|e| e.to_string())?;
    match n
        .as_ref()
        .ok_or("there is no such code")
        .and_then(|n| Ok((n, who(context, name, config, n, &answer.account)?)))
    {
        Ok((n, person)) => acknowledge(context, name, n, person).await,
        // Whoever guesses codes learns nothing; the log keeps that it was tried, not what was written.
        Err(why) => tracing::warn!(channel = name, why, "an answer was not taken"),
    }
    let _one = context.standings.lock().await;
    let mut standing = standing(context, name).await?;
    if answer.cursor.is_some() && standing.cursor != answer.cursor {
        standing.cursor = answer.cursor;
        context.ledger.settle(Vec::new(), vec![standing], Changes::default()).await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// The person behind an account, if the code is theirs to use.
fn who(
    context: &Context,
    name: &str,
    config: &ChannelConfig,
    n: &Notification,
    account: &str,
) -> Result<String, &'static str> {
    if n.to.channel != name {
        return Err("the code belongs to another channel");
    }
    let people = &context.config().person;
    let theirs = |p: &wf_response::plan::Person| match config.traits().answers {
        Some(Account::Telegram) => p.telegram == account,
        Some(Account::Slack) => p.slack == account,
        Some(Account::Phone) => p.phone == account,
        None => false,
    };
    let (id, person) = people.iter().find(|(_, p)| theirs(p)).ok_or("the account belongs to nobody in the config")?;
    if n.to.person.as_ref().is_some_and(|meant| meant != id) {
        return Err("the code was sent to somebody else");
    }
    Ok(if person.name.is_empty() { id.clone() } else { person.name.clone() })
}

async fn acknowledge(context: &Context, name: &str, n: &Notification, person: String) {
    let Some(id) = &n.incident else { return };
    let actor = Actor::Reply { name: person, channel: name.to_owned() };
    let (now, version) = (context.now(), n.page.version);
    let acted = context
        .ledger
        .act(&id.0, move |incident, book| {
            // Each code counts once: an acknowledgement spends all that were sent before it.
            if incident.handling.answered(version) {
                return Err(Refusal::Stale { number: incident.number });
            }
            lifecycle::acknowledge(now, &actor, incident, None, None, book.plan())
        })
        .await;
    match acted {
        Ok(changes) => context.tell(changes),
        Err(e) => tracing::info!(channel = name, error = %e, "an answer changed nothing"),
    }
}
