//! The control socket: the CLI acts through the engine that runs. One JSON request a line, one JSON answer a line.
//!
//! Readable by this user alone (file rights and the peer's user id on Unix). It carries no secret.

use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::watch;

use wf_api::{ApiError, Request, Response};
use wf_platform::os::{self, ControlListener, ControlStream};

use crate::console::Console;

/// A request longer than this is not ours.
const REQUEST_LIMIT: u64 = 1 << 20;

/// Answers until told to stop.
pub async fn serve(
    console: Arc<Console>,
    mut listener: ControlListener,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut clients = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            () = wf_engine::supervisor::told(&mut stop) => return Ok(()),
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    while clients.try_join_next().is_some() {}
                    clients.spawn(answer(console.clone(), stream));
                }
                Err(e) => return Err(format!("control socket: {e}")),
            },
        }
    }
}

async fn answer(console: Arc<Console>, stream: ControlStream) {
    let (read, mut write) = tokio::io::split(stream);
    let mut lines = BufReader::new(tokio::io::AsyncReadExt::take(read, REQUEST_LIMIT)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let response = match serde_json::from_str::<Request>(&line) {
            Err(e) => Response::Error(ApiError::invalid(format!("request: {e}"))),
            Ok(request) => match console.handle(request).await {
                Ok(value) => Response::Ok(value),
                Err(e) => Response::Error(e),
            },
        };
        let mut text = serde_json::to_vec(&response).unwrap_or_default();
        text.push(b'\n');
        if write.write_all(&text).await.is_err() {
            return;
        }
    }
}

/// Asks the engine that runs on a data directory. `None`: none does.
pub async fn ask(data_dir: &Path, request: &Request) -> Option<Result<serde_json::Value, ApiError>> {
    let mut stream = os::connect_control(data_dir).await.ok()?;
    let exchange = async {
        let mut text = serde_json::to_vec(request)?;
        text.push(b'\n');
        stream.write_all(&text).await?;
        let mut line = String::new();
        BufReader::new(&mut stream).read_line(&mut line).await?;
        Ok::<_, std::io::Error>(serde_json::from_str::<Response>(&line)?)
    };
    Some(match exchange.await {
        Ok(Response::Ok(value)) => Ok(value),
        Ok(Response::Error(e)) => Err(e),
        Err(e) => Err(ApiError::failed(format!("the engine did not answer: {e}"))),
    })
}
