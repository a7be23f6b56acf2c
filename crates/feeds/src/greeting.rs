//! The first frame, and what `on_connect` says and expects.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::ExposeSecret as _;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use wf_model::SecretSource;

use crate::config::{Auth, Condition, FeedConfig, Limits};
use crate::connect::{self, Socket};
use crate::decode;
use crate::end::{End, data, within};
use crate::intake::Intake;

/// Logs in and subscribes. Every frame that comes meanwhile goes to `intake`, the expected answers too.
pub async fn greet(
    socket: &mut Socket,
    config: &FeedConfig,
    secrets: &Arc<dyn SecretSource>,
    intake: &mut Intake,
) -> Result<(), End> {
    let cursor = intake.cursor().map(str::to_owned).unwrap_or_default();
    if let Some(Auth::FirstFrame { frame, secret }) = &config.auth {
        let secret = intake.meanwhile(connect::get(secrets, secret)).await??;
        let text = fill(frame, "secret", secret.expose_secret());
        say(socket, intake, config.timeouts.handshake, text).await?;
    }
    for exchange in &config.on_connect {
        if let Some(template) = &exchange.send {
            say(socket, intake, exchange.within, fill(template, "cursor", &cursor)).await?;
        }
        let Some(expected) = &exchange.expect else { continue };
        match timeout(exchange.within, hear(socket, intake, expected, &config.limits)).await {
            Ok(heard) => heard?,
            Err(_) => {
                let (what, limit) = (&expected.pointer, exchange.within);
                return Err(End::broken(format!("the server did not say {what} within {limit:?}")));
            }
        }
    }
    Ok(())
}

async fn say(socket: &mut Socket, intake: &mut Intake, limit: Duration, text: String) -> Result<(), End> {
    intake.meanwhile(within(limit, socket.send(Message::text(text)))).await?
}

/// Reads until the expected answer came.
async fn hear(socket: &mut Socket, intake: &mut Intake, expected: &Condition, limits: &Limits) -> Result<(), End> {
    loop {
        let Some(frame) = data(intake.meanwhile(socket.next()).await?)? else { continue };
        let answered = answers(expected, &frame, limits);
        // The answer too: it may name the epoch, say that nothing was recovered, or be an event.
        intake.frame(frame);
        intake.pass_on()?;
        if answered {
            return Ok(());
        }
        // What comes before the answer is read no faster than it is taken.
        while !intake.has_room() {
            intake.sent().await?;
            intake.pass_on()?;
        }
    }
}

fn answers(expected: &Condition, frame: &Bytes, limits: &Limits) -> bool {
    std::str::from_utf8(frame)
        .ok()
        .and_then(|text| decode::parse(text, limits).ok().map(|json| decode::holds(expected, &json)))
        .unwrap_or(false)
}

/// `{name}` replaced by the text, escaped for the JSON string it stands in.
pub fn fill(template: &str, name: &str, text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    template.replace(&format!("{{{name}}}"), &quoted[1..quoted.len() - 1])
}
