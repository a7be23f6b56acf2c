//! Plays a scenario to whoever connects: `ws://HOST/events?since=OFFSET`.
//!
//! The first frame is `{"type":"hello","epoch":…,"recovered":…}`; then one event a frame, each with `epoch` and
//! `offset`. Without `since` it begins a while back, so that there is something to see at once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::SplitSink;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use wf_model::Timestamp;

use crate::scenario::{PER_MINUTE, Scenario};

/// How it is played.
#[derive(Clone, Debug)]
pub struct Options {
    pub scenario: Scenario,
    /// The moment of the script that is now when the server starts.
    pub start: Timestamp,
    /// Script seconds a second. 0: as fast as it is taken.
    pub speed: f64,
    /// How far back a client without a cursor begins.
    pub backlog: Duration,
    /// How far back it can replay.
    pub history: Duration,
    /// No event after this moment of the script.
    pub end: Option<Timestamp>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenario: Scenario::default(),
            start: Timestamp::now(),
            speed: 1.0,
            backlog: Duration::from_secs(3600),
            history: Duration::from_secs(48 * 3600),
            end: None,
        }
    }
}

/// How it misbehaves. Each counts frames of a connection; `None` never.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Cut the connection, without a close frame, after this many.
    pub drop_after: Option<u64>,
    /// Send every n-th twice.
    pub duplicate_every: Option<u64>,
    /// Swap every n-th with the one after it.
    pub reorder_every: Option<u64>,
    /// Something that is not JSON before every n-th.
    pub garbage_every: Option<u64>,
    /// Blow every event whose offset n divides up to this many bytes.
    pub oversize: Option<(u64, usize)>,
    /// Break the WebSocket protocol (text that is not UTF-8) in place of the event with this offset.
    pub poison_at: Option<u64>,
    /// Send nothing more, and read nothing, after this many.
    pub half_open_after: Option<u64>,
    /// Answer the upgrade with this status, and `Retry-After`.
    pub refuse: Option<(u16, Option<u64>)>,
    /// Take this long to answer the upgrade.
    pub slow_upgrade: Option<Duration>,
}

/// A running server; it ends when this is dropped.
pub struct DemoServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    options: Options,
    began: Instant,
    epoch: AtomicU64,
    faults: Mutex<Faults>,
    connections: AtomicU64,
    sent: AtomicU64,
}

impl DemoServer {
    /// Listens on `address`, which must be of this machine.
    pub async fn start(address: SocketAddr, options: Options) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            options,
            began: Instant::now(),
            epoch: AtomicU64::new(1),
            faults: Mutex::default(),
            connections: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let accepting = shared.clone();
        let task = tokio::spawn(async move {
            let mut clients = tokio::task::JoinSet::new();
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        while clients.try_join_next().is_some() {}
                        clients.spawn(serve(stream, accepting.clone()));
                    }
                    Err(e) => {
                        tracing::debug!(error = %e, "accept");
                        sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        });
        Ok(Self { address, shared, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `[feed.NAME] url` is for this server.
    pub fn url(&self) -> String {
        format!("ws://{}/events?since={{cursor}}", self.address)
    }

    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// As after a loss of the server's own memory: numbering is of a new epoch, and nothing can be replayed.
    pub fn new_epoch(&self) {
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Upgrades answered so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Event frames sent so far, over all connections.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        let o = &self.options;
        if o.speed == 0.0 {
            return o.end.unwrap_or(Timestamp::from_millis(i64::MAX / 2));
        }
        o.start + self.began.elapsed().mul_f64(o.speed)
    }

    fn epoch(&self) -> String {
        format!("{:x}-{}", self.options.scenario.seed, self.epoch.load(Ordering::SeqCst))
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY");
    }
    if let Some(wait) = faults.slow_upgrade {
        sleep(wait).await;
    }
    let mut since = None;
    let mut known_epoch = None;
    #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
    let upgrade = |request: &Request, response: Response| {
        if let Some((status, after)) = faults.refuse {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            if let Some(s) = after {
                refusal.headers_mut().insert("retry-after", s.into());
            }
            return Err(refusal);
        }
        for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
            match &*name {
                "since" => since = value.parse::<u64>().ok(),
                "epoch" => known_epoch = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, upgrade).await else { return };
    shared.connections.fetch_add(1, Ordering::SeqCst);
    let epoch = shared.epoch();
    let oldest = shared.options.start - shared.options.history;
    let first_minute = oldest.millis() / 60_000;
    // Of an older epoch nothing can be replayed; the number alone does not say so when the epoch was never told.
    let replayable =
        shared.epoch.load(Ordering::SeqCst) == 1 || known_epoch.as_ref() == Some(&epoch) || since.is_none();
    let recovered = replayable && since.is_none_or(|s| s / PER_MINUTE >= first_minute as u64);
    let begin = if recovered && let Some(s) = since {
        s + 1
    } else {
        let from = if since.is_some() { shared.now() } else { shared.options.start - shared.options.backlog };
        (from.millis() / 60_000) as u64 * PER_MINUTE
    };
    let hello = format!(r#"{{"type":"hello","epoch":"{epoch}","recovered":{recovered}}}"#);
    if socket.send(Message::text(hello)).await.is_err() {
        return;
    }
    let mut play = Play { shared, faults, epoch, frames: 0, held: None };
    play.run(socket, begin).await;
}

struct Play {
    shared: Arc<Shared>,
    faults: Faults,
    epoch: String,
    frames: u64,
    /// A frame that goes after the next one.
    held: Option<String>,
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

impl Play {
    async fn run(&mut self, socket: Socket, begin: u64) {
        let (mut sink, mut source) = socket.split();
        // Pongs are answered by the library while somebody reads; acknowledgements are taken and dropped.
        let mut reading = tokio::spawn(async move { while let Some(Ok(_)) = source.next().await {} });
        let half_open = tokio::select! {
            half_open = self.play(&mut sink, begin) => half_open,
            // The client is gone.
            _ = &mut reading => false,
        };
        reading.abort();
        if half_open {
            // The connection stands and nobody is behind it: not even a ping is answered.
            std::future::pending().await
        }
    }

    /// Plays until the connection shall end; `true` when it shall stand without anybody behind it.
    async fn play(&mut self, sink: &mut SplitSink<Socket, Message>, begin: u64) -> bool {
        for minute in (begin / PER_MINUTE) as i64.. {
            for event in self.shared.options.scenario.minute(minute) {
                if event.offset < begin {
                    continue;
                }
                if self.shared.options.end.is_some_and(|end| event.at > end) {
                    // The script is over; the connection stays.
                    let _flushed = sink.flush().await.is_ok();
                    return std::future::pending().await;
                }
                let due = event.at.since(self.shared.now());
                if !due.is_zero() {
                    if sink.flush().await.is_err() {
                        return false;
                    }
                    sleep(due.div_f64(self.shared.options.speed.max(0.001))).await;
                }
                if self.epoch != self.shared.epoch() {
                    return false;
                }
                for message in self.frames_of(event.offset, &event.body) {
                    // A frame is buffered, and goes out with its neighbours or when the script pauses.
                    if sink.feed(message).await.is_err() {
                        return false;
                    }
                    self.shared.sent.fetch_add(1, Ordering::Relaxed);
                }
                self.frames += 1;
                if self.faults.drop_after.is_some_and(|n| self.frames >= n) {
                    let _flushed = sink.flush().await.is_ok();
                    return false;
                }
                if self.faults.half_open_after.is_some_and(|n| self.frames >= n) {
                    let _flushed = sink.flush().await.is_ok();
                    return true;
                }
            }
        }
        false
    }

    /// The frames that one event becomes: one, unless misbehaviour was asked for.
    fn frames_of(&mut self, offset: u64, body: &str) -> Vec<Message> {
        let (f, n) = (&self.faults, self.frames + 1);
        let every = |m: Option<u64>| m.is_some_and(|m| n.is_multiple_of(m));
        let mut frame = format!("{{\"epoch\":\"{}\",{body}}}", self.epoch);
        let mut out = Vec::with_capacity(1);
        if every(f.garbage_every) {
            out.push(Message::text(format!("{{\"garbage\": {n}, ")));
        }
        if f.poison_at == Some(offset) {
            let bytes = vec![0xff, 0xfe, 0xfd];
            out.push(Message::Frame(RawFrame::message(bytes, OpCode::Data(Data::Text), true)));
            return out;
        }
        if let Some((m, size)) = f.oversize
            && offset.is_multiple_of(m)
        {
            frame.truncate(frame.len() - 1);
            frame.push_str(&format!(",\"pad\":\"{}\"}}", "x".repeat(size)));
        }
        if every(f.reorder_every) && self.held.is_none() {
            self.held = Some(frame);
            return out;
        }
        if every(f.duplicate_every) {
            out.push(Message::text(frame.clone()));
        }
        out.push(Message::text(frame));
        if let Some(late) = self.held.take() {
            out.push(Message::text(late));
        }
        out
    }
}
