//! One connection: greet, read, acknowledge, keep alive, and take leave.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use wf_model::SecretSource;

use crate::config::{FeedConfig, PingMode};
use crate::connect::Socket;
use crate::end::{End, Farewell, data, within};
use crate::greeting::{fill, greet};
use crate::intake::{BATCH_BYTES, Intake};

/// Longest that taking leave of a server may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Longest that sending an acknowledgement may take.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);

/// Resolves when the task shall end.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could stop us is gone: that stops us too.
    let _gone = stop.wait_for(|s| *s).await.is_err();
}

/// One connection of a feed.
pub struct Session<'a> {
    pub socket: Socket,
    pub config: &'a FeedConfig,
    pub secrets: &'a Arc<dyn SecretSource>,
    pub intake: &'a mut Intake,
    pub committed: &'a mut watch::Receiver<Option<String>>,
    pub stop: &'a mut watch::Receiver<bool>,
}

/// When something was heard, and when the next ping is due.
struct Pulse {
    heard: Instant,
    ping_at: Instant,
    /// A ping that nothing came after yet.
    pinged: Option<Instant>,
}

impl Pulse {
    fn new(config: &FeedConfig) -> Self {
        let now = Instant::now();
        Self { heard: now, ping_at: now + config.ping.every, pinged: None }
    }

    fn hear(&mut self) {
        (self.heard, self.pinged) = (Instant::now(), None);
    }

    /// When the connection counts as dead.
    fn dead_at(&self, config: &FeedConfig) -> Instant {
        let idle = self.heard + config.idle;
        match (config.ping.mode, self.pinged) {
            (PingMode::Ws, Some(at)) => (at + config.ping.timeout).min(idle),
            _ => idle,
        }
    }
}

impl Session<'_> {
    /// Keeps the connection until it ends. What was read by then may still wait to be handed over.
    pub async fn run(mut self) -> End {
        let end = match self.greet().await {
            Ok(()) => self.listen().await,
            Err(end) => end,
        };
        self.take_leave(&end).await;
        end
    }

    async fn greet(&mut self) -> Result<(), End> {
        self.intake.connected();
        tokio::select! {
            biased;
            () = stopped(self.stop) => Err(End::Stop),
            greeted = greet(&mut self.socket, self.config, self.secrets, self.intake) => greeted,
        }
    }

    async fn listen(&mut self) -> End {
        let mut pulse = Pulse::new(self.config);
        loop {
            if let Err(end) = self.turn(&mut pulse).await {
                return end;
            }
        }
    }

    /// Whatever happens next.
    async fn turn(&mut self, pulse: &mut Pulse) -> Result<(), End> {
        self.intake.pass_on()?;
        let reading = self.intake.has_room();
        let acknowledging = self.config.resume.ack.is_some();
        let pinging = reading && self.config.ping.mode == PingMode::Ws;
        tokio::select! {
            biased;
            () = stopped(self.stop) => Err(End::Stop),
            sent = self.intake.sent() => {
                if !reading {
                    // The silence was ours.
                    pulse.hear();
                }
                Ok(sent?)
            }
            changed = self.committed.changed(), if acknowledging => match changed {
                Ok(()) => self.acknowledge().await,
                Err(_) => Err(End::Stop),
            },
            frame = self.socket.next(), if reading => {
                pulse.hear();
                self.take_frames(frame)
            }
            () = sleep_until(pulse.ping_at), if pinging => self.ping(pulse).await,
            () = sleep_until(pulse.dead_at(self.config)), if reading => {
                Err(End::lost(format!("nothing came for {:?}", pulse.heard.elapsed().max(Duration::from_secs(1)))))
            }
        }
    }

    /// Takes a frame, and what the socket already holds besides: it goes into the same delivery.
    fn take_frames(&mut self, first: Option<Result<Message, WsError>>) -> Result<(), End> {
        self.take_frame(first)?;
        while self.intake.weight() < BATCH_BYTES {
            let Some(frame) = self.socket.next().now_or_never() else { break };
            self.take_frame(frame)?;
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: Option<Result<Message, WsError>>) -> Result<(), End> {
        if let Some(bytes) = data(frame)? {
            self.intake.frame(bytes);
        }
        Ok(())
    }

    async fn ping(&mut self, pulse: &mut Pulse) -> Result<(), End> {
        pulse.ping_at = Instant::now() + self.config.ping.every;
        pulse.pinged.get_or_insert_with(Instant::now);
        self.send(self.config.ping.timeout, Message::Ping(Bytes::new())).await
    }

    async fn acknowledge(&mut self) -> Result<(), End> {
        let cursor = self.committed.borrow_and_update().clone();
        let (Some(template), Some(cursor)) = (&self.config.resume.ack, cursor) else { return Ok(()) };
        self.send(ACKNOWLEDGE, Message::text(fill(template, "cursor", &cursor))).await
    }

    async fn send(&mut self, limit: Duration, message: Message) -> Result<(), End> {
        let sending = within(limit, self.socket.send(message));
        tokio::select! {
            biased;
            () = stopped(self.stop) => Err(End::Stop),
            sent = self.intake.meanwhile(sending) => sent?,
        }
    }

    /// The closing handshake, as far as the server plays along in time.
    async fn take_leave(&mut self, end: &End) {
        let farewell = match end {
            End::Stop | End::Refused(_) => Farewell::Close(CloseCode::Normal),
            End::Broken(broken) => broken.farewell,
        };
        let leaving = timeout(FAREWELL, say_farewell(&mut self.socket, farewell));
        // Whether it worked makes no difference any more.
        let _left = self.intake.meanwhile(leaving).await.is_ok();
    }
}

/// Says what is to be said, and waits until the server hangs up: whoever hangs up first on unread data may take back
/// what was said last.
async fn say_farewell(socket: &mut Socket, farewell: Farewell) {
    let said = match farewell {
        Farewell::Silent => return,
        Farewell::Answer => socket.flush().await,
        Farewell::Close(code) => socket.close(Some(CloseFrame { code, reason: "".into() })).await,
    };
    let mut rest = [0; 1024];
    while said.is_ok() && matches!(socket.get_mut().read(&mut rest).await, Ok(1..)) {}
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
