//! For tests of this room: a server that plays a script to each connection, and a subscription to it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::SecretString;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use wf_model::{FeedName, SecretError, SecretRef, SecretSource};

use crate::config::FeedConfig;
use crate::ingest::{Delivery, Seed};
use crate::mapping::Mapping;
use crate::subscribe::{FeedState, FeedStatus, Subscription};

/// Longest any test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// One step of a script. After the last one the server listens until the client is gone.
#[derive(Clone)]
pub enum Act {
    Text(&'static str),
    /// A text frame that is not UTF-8.
    NotText,
    /// A ping longer than one may be.
    LongPing,
    /// A Close frame.
    Close,
    /// The connection is cut.
    Cut,
}

/// Plays the first script to the first connection, and so on; the last one to every further connection.
pub struct Server {
    pub url: String,
    /// Text frames that clients sent, and `close CODE` for their Close frames.
    pub heard: mpsc::Receiver<String>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let (tell, heard) = mpsc::channel(1000);
        let task = tokio::spawn(async move {
            for n in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let script = scripts[usize::min(n, scripts.len() - 1)].clone();
                tokio::spawn(play(stream, script, tell.clone()));
            }
        });
        Self { url, heard, task }
    }

    pub async fn hears(&mut self) -> String {
        patiently(self.heard.recv()).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(stream: TcpStream, script: Vec<Act>, tell: mpsc::Sender<String>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    for act in script {
        let played = match act {
            Act::Text(text) => socket.send(Message::text(text)).await.is_ok(),
            Act::NotText => {
                let frame = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
                socket.send(Message::Frame(frame)).await.is_ok()
            }
            Act::LongPing => {
                let mut frame = vec![0x89, 126, 0, 126];
                frame.extend([b'x'; 126]);
                socket.get_mut().write_all(&frame).await.is_ok()
            }
            Act::Close => socket.close(None).await.is_ok(),
            Act::Cut => false,
        };
        if !played {
            return;
        }
    }
    while let Some(Ok(message)) = socket.next().await {
        let told = match message {
            Message::Text(text) => tell.send(text.to_string()).await,
            Message::Close(frame) => {
                let code = frame.map_or(1005, |f| u16::from(f.code));
                tell.send(format!("close {code}")).await
            }
            _ => Ok(()),
        };
        if told.is_err() {
            return;
        }
    }
}

/// Secrets that are not there.
pub struct NoSecrets;

impl SecretSource for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        Err(SecretError::Missing(format!("there is no {reference}")))
    }
}

/// A feed of `auth-event`s with short waits. `more` is added to its table.
pub fn config(url: &str, more: &str) -> Arc<FeedConfig> {
    Arc::new(
        toml::from_str(&format!(
            "url = \"{url}\"\nmap = \"auth-event\"\nbackoff = {{ base = \"10ms\", cap = \"10ms\" }}\n{more}"
        ))
        .unwrap(),
    )
}

pub fn mappings() -> Arc<[Mapping]> {
    Arc::from([Mapping::built_in("auth-event").unwrap()])
}

/// A delivery of one event, to fill a channel with.
pub fn filler() -> Delivery {
    let (name, config) = (FeedName::new("filler"), config("ws://127.0.0.1:1/", ""));
    let mut ingest = crate::Ingest::new(name, config, mappings(), Seed::default());
    let frame = Bytes::from_static(br#"{"event":"login_failed","ip":"10.0.0.9"}"#);
    ingest.on_frame(wf_model::Timestamp::now(), frame, crate::ingest::Pressure::None);
    ingest.take().unwrap()
}

/// A subscription that runs.
pub struct Running {
    pub fill: mpsc::Sender<Delivery>,
    pub deliveries: mpsc::Receiver<Delivery>,
    pub status: watch::Receiver<FeedStatus>,
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
    _committed: watch::Sender<Option<String>>,
}

/// What a test gives a subscription.
pub struct Setting {
    pub seed: Seed,
    pub secrets: Arc<dyn SecretSource>,
    /// How many deliveries the engine's channel holds.
    pub capacity: usize,
    pub grace: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        Self { seed: Seed::default(), secrets: Arc::new(NoSecrets), capacity: 16, grace: PATIENCE }
    }
}

/// Subscribes; with a capacity of 1 the channel is full from the beginning.
pub fn run(config: Arc<FeedConfig>, setting: Setting) -> Running {
    let Setting { seed, secrets, capacity, grace } = setting;
    let (out, deliveries) = mpsc::channel(capacity);
    if capacity == 1 {
        out.try_send(filler()).unwrap();
    }
    let (sender, status) = watch::channel(FeedStatus::new(FeedState::Connecting));
    let (stop, stopped) = watch::channel(false);
    let (committed_in, committed) = watch::channel(None);
    let subscription = Subscription {
        name: FeedName::new("f"),
        config,
        mappings: mappings(),
        secrets,
        seed,
        out: out.clone(),
        status: sender,
        committed,
        stop: stopped,
        grace,
    };
    let task = tokio::spawn(subscription.run());
    Running { fill: out, deliveries, status, stop, task, _committed: committed_in }
}

impl Running {
    pub async fn delivery(&mut self) -> Delivery {
        patiently(self.deliveries.recv()).await.unwrap()
    }

    /// Everything up to the first delivery that brings the cursor here.
    pub async fn until_cursor(&mut self, cursor: &str) -> Vec<Delivery> {
        let mut all = Vec::new();
        loop {
            let delivery = self.delivery().await;
            let here = delivery.position.as_ref().is_some_and(|p| p.cursor.as_deref() == Some(cursor));
            all.push(delivery);
            if here {
                return all;
            }
        }
    }

    pub async fn until_state(&mut self, state: FeedState) -> String {
        patiently(self.status.wait_for(|s| s.state == state)).await.unwrap().detail.clone()
    }
}

pub async fn patiently<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("this never came to be")
}
