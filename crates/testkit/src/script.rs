//! A server that says what it is told to say, and remembers what it was told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// Sends its script to whoever connects, then whatever is pushed.
pub struct ScriptServer {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    requests: Arc<Mutex<Vec<String>>>,
    push: broadcast::Sender<Message>,
    task: tokio::task::JoinHandle<()>,
}

impl ScriptServer {
    pub async fn start(script: Vec<Message>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, requests) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (push, _) = broadcast::channel::<Message>(100_000);
        let (told, asked, pushing) = (heard.clone(), requests.clone(), push.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, told, asked, mut pushed) =
                    (script.clone(), told.clone(), asked.clone(), pushing.subscribe());
                tokio::spawn(async move {
                    #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
                    let note = |request: &Request, response: Response| {
                        let headers: Vec<String> = request
                            .headers()
                            .iter()
                            .map(|(k, v)| format!("{k}: {}", v.to_str().unwrap_or("?")))
                            .collect();
                        asked.lock().unwrap().push(format!("{}\n{}", request.uri(), headers.join("\n")));
                        Ok(response)
                    };
                    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, note).await else { return };
                    let (mut sink, mut source) = socket.split();
                    for message in script {
                        if sink.send(message).await.is_err() {
                            return;
                        }
                    }
                    loop {
                        tokio::select! {
                            message = pushed.recv() => match message {
                                Ok(m) => if sink.send(m).await.is_err() { return },
                                Err(_) => return,
                            },
                            message = source.next() => match message {
                                Some(Ok(Message::Text(text))) => told.lock().unwrap().push(text.to_string()),
                                Some(Ok(_)) => {}
                                _ => return,
                            },
                        }
                    }
                });
            }
        });
        Self { address, heard, requests, push, task }
    }

    /// A server of text frames.
    pub async fn of(frames: &[&str]) -> Self {
        Self::start(frames.iter().map(|f| Message::text(*f)).collect()).await
    }

    pub fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    /// Sends to everybody who is connected.
    pub fn push(&self, text: &str) {
        // Nobody may be connected; then nobody hears it, as with a real server.
        let _heard = self.push.send(Message::text(text.to_owned())).is_ok();
    }

    /// Text frames that clients sent.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Address and headers of each upgrade.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for ScriptServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
