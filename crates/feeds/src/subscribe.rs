//! The task that keeps a feed alive: connect, read, hand over, acknowledge, reconnect.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use secrecy::ExposeSecret as _;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use wf_model::{FeedName, Timestamp};

use crate::config::{Auth, FeedConfig, PingMode};
use crate::connect::{self, ConnectError, HARD_FRAME_LIMIT, Socket};
use crate::decode;
use crate::ingest::{Delivery, Ingest, Pressure, Seed};
use crate::mapping::Mapping;
use wf_model::SecretSource;

/// A delivery is handed over when this much is ready (about a thousand events), or when the socket has no more.
const BATCH_BYTES: usize = 512 << 10;
/// The same failure at the same cursor this often: the frame is poison.
const POISON: u32 = 3;
/// Stepping over more than this many unreadable frames in a row is not resuming, it is guessing.
const STEPS: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedState {
    Connecting,
    Live,
    /// Between attempts.
    Waiting,
    /// Only an officer can make it go on.
    Stopped,
    Disabled,
}

/// What the officer sees of a feed.
#[derive(Clone, Debug)]
pub struct FeedStatus {
    pub state: FeedState,
    pub since: Timestamp,
    /// Why it waits or stopped; the TLS version when it is live.
    pub detail: String,
    /// Connected, or failed to, at least once.
    pub tried: bool,
    /// Connections made since the start.
    pub connections: u64,
}

impl FeedStatus {
    pub fn new(state: FeedState) -> Self {
        Self {
            state,
            since: Timestamp::now(),
            detail: String::new(),
            tried: state == FeedState::Disabled,
            connections: 0,
        }
    }
}

/// Everything the task of one feed needs.
pub struct Subscription {
    pub name: FeedName,
    pub config: Arc<FeedConfig>,
    pub mappings: Arc<[Mapping]>,
    pub secrets: Arc<dyn SecretSource>,
    pub seed: Seed,
    pub out: mpsc::Sender<Delivery>,
    pub status: watch::Sender<FeedStatus>,
    /// The cursor that was committed last.
    pub committed: watch::Receiver<Option<String>>,
    /// Becomes true when the task shall end.
    pub stop: watch::Receiver<bool>,
}

/// How a connection ended.
enum End {
    /// Asked to stop, or nobody listens any more.
    Stop,
    /// It broke; the reason, and whether a frame was to blame.
    Broken { reason: String, frame: Option<Fault> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Larger than may be received.
    TooLarge,
    /// Not a valid frame or text.
    Unreadable,
}

impl Subscription {
    /// Runs until stopped. What a panic here leaves behind is restarted by the supervisor, from the committed cursor.
    pub async fn run(self) {
        let Self { name, config, mappings, secrets, seed, out, status, committed, mut stop } = self;
        let queue = Arc::new(Semaphore::new((config.limits.queue / 1024).max(1)));
        let ingest = Ingest::new(name.clone(), config.clone(), mappings, seed);
        let mut runner = Runner { name, config, secrets, ingest, out, queue, committed };
        let (mut attempt, mut failures, mut steps) = (0u32, (None::<String>, 0u32), 0u32);
        let mut frame_limit = runner.config.limits.frame;
        loop {
            set(&status, FeedState::Connecting, String::new(), |_| {});
            let connected = tokio::select! {
                c = connect::open(&runner.config, runner.ingest.cursor(), &runner.secrets, frame_limit) => c,
                () = stopped(&mut stop) => return,
            };
            let (reason, after) = match connected {
                Err(ConnectError::Refused(reason)) => {
                    set(&status, FeedState::Stopped, reason, |s| s.tried = true);
                    stopped(&mut stop).await;
                    return;
                }
                Err(ConnectError::Failed { reason, after }) => (reason, after),
                Ok((socket, handshake)) => {
                    let began = Instant::now();
                    let detail = handshake.tls.unwrap_or_else(|| "not encrypted".to_owned());
                    set(&status, FeedState::Live, detail, |s| {
                        s.tried = true;
                        s.connections += 1;
                    });
                    let end = runner.session(socket, &mut stop).await;
                    if began.elapsed() >= runner.config.backoff.reset_after {
                        attempt = 0;
                    }
                    match end {
                        End::Stop => return,
                        End::Broken { reason, frame } => {
                            if let Some(fault) = frame {
                                let cursor = runner.ingest.cursor().map(str::to_owned);
                                failures = if failures.0 == cursor && failures.1 > 0 {
                                    (cursor, failures.1 + 1)
                                } else {
                                    (cursor, 1)
                                };
                                if !runner.config.resumes() {
                                    runner.ingest.lost_frame(Timestamp::now(), &reason);
                                    failures.1 = 0;
                                } else if failures.1 == POISON
                                    && fault == Fault::TooLarge
                                    && frame_limit < HARD_FRAME_LIMIT
                                {
                                    // Receive it once, whatever its size, to learn its cursor; it goes to quarantine.
                                    frame_limit = HARD_FRAME_LIMIT;
                                } else if failures.1 >= POISON {
                                    steps += 1;
                                    failures.1 = 0;
                                    if steps > STEPS || !runner.ingest.step_over_poison(Timestamp::now(), &reason) {
                                        let why = format!(
                                            "the server keeps sending a frame that cannot be read ({reason}), and there is no way around it: ask its operator, then start the feed again"
                                        );
                                        set(&status, FeedState::Stopped, why, |s| s.tried = true);
                                        stopped(&mut stop).await;
                                        return;
                                    }
                                }
                                if !runner.hand_over(&mut stop).await {
                                    return;
                                }
                            } else {
                                frame_limit = runner.config.limits.frame;
                                (failures, steps) = ((None, 0), 0);
                            }
                            (reason, None)
                        }
                    }
                }
            };
            let wait = runner.config.backoff.wait(attempt, share()).max(after.unwrap_or_default());
            attempt = attempt.saturating_add(1);
            set(&status, FeedState::Waiting, reason, |s| s.tried = true);
            tokio::select! {
                () = sleep(wait) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }
}

/// A share between 0 and 1, from the system's randomness.
fn share() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

fn set(status: &watch::Sender<FeedStatus>, state: FeedState, detail: String, more: impl FnOnce(&mut FeedStatus)) {
    status.send_modify(|s| {
        (s.state, s.since, s.detail) = (state, Timestamp::now(), detail);
        more(s);
    });
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could stop us is gone: that stops us too.
    let _gone = stop.wait_for(|s| *s).await.is_err();
}

struct Runner {
    name: FeedName,
    config: Arc<FeedConfig>,
    secrets: Arc<dyn SecretSource>,
    ingest: Ingest,
    out: mpsc::Sender<Delivery>,
    queue: Arc<Semaphore>,
    committed: watch::Receiver<Option<String>>,
}

impl Runner {
    async fn session(&mut self, mut socket: Socket, stop: &mut watch::Receiver<bool>) -> End {
        self.ingest.on_connected(Timestamp::now());
        let cursor = self.ingest.cursor().map(str::to_owned);
        let greeting = greet(&mut socket, &self.config, &self.secrets, cursor.as_deref(), |frame| {
            self.ingest.on_frame(Timestamp::now(), frame, Pressure::None)
        });
        let greeted = tokio::select! {
            g = greeting => g,
            () = stopped(stop) => return End::Stop,
        };
        if let Err(reason) = greeted {
            return self.at_end(broken(reason), stop).await;
        }
        tracing::debug!(feed = %self.name, "subscribed");
        let ping = self.config.ping.clone();
        let mut heard = Instant::now();
        let mut ping_at = heard + ping.every;
        let mut pinged: Option<Instant> = None;
        loop {
            if !self.hand_over(stop).await {
                return End::Stop;
            }
            let quiet = match (ping.mode, pinged) {
                (PingMode::Ws, Some(at)) => (at + ping.timeout).min(heard + self.config.idle),
                _ => heard + self.config.idle,
            };
            tokio::select! {
                biased;
                () = stopped(stop) => {
                    // The server sees an orderly end; if it does not answer in a second, it does not matter.
                    let _closed = timeout(Duration::from_secs(1), socket.close(None)).await.is_ok();
                    return End::Stop;
                }
                changed = self.committed.changed(), if self.config.resume.ack.is_some() => {
                    if changed.is_err() {
                        return End::Stop;
                    }
                    if let Err(end) = self.acknowledge(&mut socket).await {
                        return end;
                    }
                }
                frame = socket.next() => {
                    heard = Instant::now();
                    pinged = None;
                    if let Err(end) = self.take_frame(frame) {
                        return self.at_end(end, stop).await;
                    }
                    // What the socket already holds goes into the same delivery.
                    while self.ingest.weight() < BATCH_BYTES {
                        let Some(frame) = socket.next().now_or_never() else { break };
                        if let Err(end) = self.take_frame(frame) {
                            return self.at_end(end, stop).await;
                        }
                    }
                }
                () = sleep_until(ping_at), if ping.mode == PingMode::Ws => {
                    ping_at = Instant::now() + ping.every;
                    pinged.get_or_insert_with(Instant::now);
                    if let Err(e) = within(ping.timeout, socket.send(Message::Ping(bytes::Bytes::new()))).await {
                        return broken(e);
                    }
                }
                () = sleep_until(quiet) => {
                    return broken(format!("nothing came for {:?}", heard.elapsed().max(Duration::from_secs(1))));
                }
            }
        }
    }

    /// What was read before the end is handed over before anything else.
    async fn at_end(&mut self, end: End, stop: &mut watch::Receiver<bool>) -> End {
        if self.hand_over(stop).await { end } else { End::Stop }
    }

    fn take_frame(&mut self, frame: Option<Result<Message, WsError>>) -> Result<(), End> {
        let bytes = match frame {
            Some(Ok(Message::Text(text))) => bytes::Bytes::from(text),
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Close(frame))) => {
                let why = frame.map(|f| format!(" ({} {})", f.code, f.reason)).unwrap_or_default();
                return Err(broken(format!("the server closed the connection{why}")));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
            Some(Err(e)) => {
                let frame = match &e {
                    WsError::Capacity(_) => Some(Fault::TooLarge),
                    WsError::Utf8(_) => Some(Fault::Unreadable),
                    WsError::Protocol(p)
                        if !matches!(
                            p,
                            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
                        ) =>
                    {
                        Some(Fault::Unreadable)
                    }
                    _ => None,
                };
                return Err(End::Broken { reason: e.to_string(), frame });
            }
            None => return Err(broken("the connection ended".into())),
        };
        self.ingest.on_frame(Timestamp::now(), bytes, self.pressure());
        Ok(())
    }

    /// A feed that can replay never sheds: it stops reading instead.
    fn pressure(&self) -> Pressure {
        if self.config.resumes() {
            return Pressure::None;
        }
        let all = (self.config.limits.queue / 1024).max(1);
        // What is decoded but not handed over counts too: nobody else bounds it while the channel is full.
        let free = self.queue.available_permits().saturating_sub(self.ingest.weight() / 1024);
        match free * 100 / all {
            0..2 => Pressure::Full,
            2..25 => Pressure::High,
            _ => Pressure::None,
        }
    }

    /// Hands over what is ready. `false`: the engine is gone or the feed shall stop.
    async fn hand_over(&mut self, stop: &mut watch::Receiver<bool>) -> bool {
        if !self.config.resumes() && self.out.capacity() == 0 && self.ingest.weight() > 0 {
            // Go on reading, and shed if it gets too much, rather than let the server drop us.
            return !*stop.borrow();
        }
        let Some(mut delivery) = self.ingest.take() else { return true };
        let all = (self.config.limits.queue / 1024).max(1);
        let share = (delivery.weight / 1024).clamp(1, all) as u32;
        let send = async {
            delivery.permit = self.queue.clone().acquire_many_owned(share).await.ok();
            self.out.send(delivery).await.is_ok()
        };
        tokio::select! {
            sent = send => sent,
            // Not committed, so it comes again: from the cursor, or not at all, which the gap at the next start says.
            () = stopped(stop) => false,
        }
    }

    async fn acknowledge(&mut self, socket: &mut Socket) -> Result<(), End> {
        let cursor = self.committed.borrow_and_update().clone();
        let (Some(template), Some(cursor)) = (&self.config.resume.ack, cursor) else { return Ok(()) };
        let text = fill(template, "cursor", &cursor);
        within(Duration::from_secs(10), socket.send(Message::text(text))).await.map_err(broken)
    }
}

/// The first frame, and what `on_connect` says and expects. Frames that come in between are events already: `other`
/// takes them.
pub(crate) async fn greet(
    socket: &mut Socket,
    config: &FeedConfig,
    secrets: &Arc<dyn SecretSource>,
    cursor: Option<&str>,
    mut other: impl FnMut(bytes::Bytes),
) -> Result<(), String> {
    if let Some(Auth::FirstFrame { frame, secret }) = &config.auth {
        let secret = connect::get(secrets, secret).await.map_err(|e| e.to_string())?;
        let text = fill(frame, "secret", secret.expose_secret());
        within(config.timeouts.handshake, socket.send(Message::text(text))).await?;
    }
    for exchange in &config.on_connect {
        if let Some(send) = &exchange.send {
            let text = fill(send, "cursor", cursor.unwrap_or_default());
            within(exchange.within, socket.send(Message::text(text))).await?;
        }
        let Some(expected) = &exchange.expect else { continue };
        let answered = timeout(exchange.within, async {
            loop {
                let bytes = match socket.next().await {
                    Some(Ok(Message::Text(text))) => bytes::Bytes::from(text),
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_))) | None => return Err("the server closed the connection".to_owned()),
                    Some(Err(e)) => return Err(e.to_string()),
                };
                let fits = std::str::from_utf8(&bytes)
                    .ok()
                    .and_then(|t| decode::parse(t, &config.limits).ok().map(|j| decode::holds(expected, &j)))
                    .unwrap_or(false);
                if fits {
                    return Ok(());
                }
                other(bytes);
            }
        })
        .await;
        answered.map_err(|_| format!("the server did not say {} within {:?}", expected.pointer, exchange.within))??;
    }
    Ok(())
}

fn broken(reason: String) -> End {
    End::Broken { reason, frame: None }
}

/// `{name}` replaced by the text, escaped for the JSON string it stands in.
fn fill(template: &str, name: &str, text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    template.replace(&format!("{{{name}}}"), &quoted[1..quoted.len() - 1])
}

async fn within(limit: Duration, send: impl Future<Output = Result<(), WsError>>) -> Result<(), String> {
    match timeout(limit, send).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("nothing could be sent for {limit:?}")),
    }
}
