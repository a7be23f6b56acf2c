//! Somebody outside notices a dead console: an address is asked for as long as the engine finds nothing wrong with
//! itself, and no longer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use wf_config::DeadMan;
use wf_model::Timestamp;

use crate::Running;
use crate::context::Context;
use crate::outbox::Pulse;

const MINUTE: Duration = Duration::from_secs(60);
/// A feed that has been down for this long is wrong, whatever it says of itself in between.
const DOWN: Duration = Duration::from_secs(300);
/// An outbox that has not looked for this long does not move.
const STUCK: Duration = Duration::from_secs(120);

/// Runs until told to stop.
pub async fn run(
    context: Arc<Context>,
    running: Running,
    pulse: Arc<Pulse>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        let settings = context.config().dead_man.clone();
        let wait = settings.as_ref().map_or(MINUTE, |s| s.every.max(Duration::from_secs(1)));
        if let Some(settings) = settings {
            let wrong = wrong(&context, &running, &pulse);
            if wrong.is_empty() {
                if let Err(e) = ask(&context, &settings).await {
                    tracing::warn!(error = e, "the dead man's address did not answer");
                }
            } else {
                tracing::warn!(wrong = wrong.join("; "), "the dead man is not told that all is well");
            }
        }
        tokio::select! {
            () = crate::supervisor::told(&mut stop) => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// What the engine finds wrong with itself: a feed that is down, a step that should have run, an outbox that does not
/// move, a disk that takes nothing.
pub fn wrong(context: &Context, running: &Running, pulse: &Pulse) -> Vec<String> {
    let now = context.now();
    let mut wrong = Vec::new();
    {
        for (name, (status, _)) in running.feeds.statuses() {
            if let Some(since) = status.down_since(now).filter(|at| now.since(*at) > DOWN) {
                wrong.push(format!("feed {name} has been down for {}", wf_model::span::spoken(now.since(since))));
            }
        }
        let down = running.supervisor.health().into_iter().filter(|t| !t.running && t.last_failure.is_some());
        wrong.extend(down.map(|t| format!("the task '{}' is down", t.name)));
    }
    let overdue = context.ledger.look(|book| {
        book.live().filter(|i| i.due_at().is_some_and(|d| d + wf_response::escalate::OVERDUE < now)).count()
    });
    if overdue > 0 {
        wrong.push(format!("{overdue} incidents wait for a step that should have run"));
    }
    if now.since(Timestamp::from_millis(pulse.looked_at.load(Ordering::Relaxed))) > STUCK {
        wrong.push("the outbox does not move".into());
    }
    wrong.extend(running.sinks.blocked.lock().clone().map(|b| format!("nothing can be stored: {b}")));
    wrong
}

async fn ask(context: &Context, settings: &DeadMan) -> Result<(), String> {
    use secrecy::ExposeSecret as _;
    let (secrets, reference) = (context.secrets(), settings.url.clone());
    let url = tokio::task::spawn_blocking(move || secrets.get(&reference)).await.map_err(|e| e.to_string())??;
    let url = wf_channels::http::target(url.expose_secret(), &settings.allow)?;
    wf_channels::http::visit(url, &settings.allow).await
}
