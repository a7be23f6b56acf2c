//! The control socket: the CLI acts through the engine that runs. One JSON request a line, one JSON answer a line.
//!
//! What goes over it is as secret as the database: personal data, codes of approvers, an approver's new TOTP secret. So
//! either end refuses to speak with another user (`wf_platform::os`), and nothing is kept of what was said. A client
//! is this user's own program, which may still be broken: it gets so much time and so much room and no more.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::watch;
use tokio::time::timeout;

use wf_api::{ApiError, ErrorCode, Request, Response};
use wf_platform::os::{self, ControlListener, ControlStream, Unreachable};

use crate::console::Console;

/// What a client may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Bytes of one request.
    request: usize,
    /// How long a request may take to arrive, from the end of the one before; and how long an answer, to be taken.
    patience: Duration,
    /// Clients at once. More wait until one is done.
    clients: usize,
}

const LIMITS: Limits = Limits { request: 1 << 20, patience: Duration::from_secs(30), clients: 32 };
/// So many connections in a row that could not be accepted, and the socket is made anew.
const BAD_LUCK: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until told to stop.
pub async fn serve(
    console: Arc<Console>,
    listener: ControlListener,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let handle = move |request: Request| {
        let console = console.clone();
        async move { console.handle(request).await }
    };
    listen(listener, stop, LIMITS, handle).await
}

async fn listen<H, A>(
    mut listener: ControlListener,
    mut stop: watch::Receiver<bool>,
    limits: Limits,
    handle: H,
) -> Result<(), String>
where
    H: Fn(Request) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Value, ApiError>> + Send + 'static,
{
    let mut clients = tokio::task::JoinSet::new();
    let mut failed = 0;
    loop {
        while clients.try_join_next().is_some() {}
        let full = clients.len() >= limits.clients;
        tokio::select! {
            () = wf_engine::supervisor::told(&mut stop) => return Ok(()),
            Some(_) = clients.join_next(), if full => {}
            accepted = listener.accept(), if !full => match accepted {
                Ok(stream) => {
                    failed = 0;
                    clients.spawn(attend(stream, limits, handle.clone()));
                }
                Err(e) if failed >= BAD_LUCK => return Err(format!("control socket: {e}")),
                Err(_) => {
                    // Too many open files, perhaps. Giving up would end the requests that are at work.
                    failed += 1;
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
}

/// One client, until it is gone or has used up what it may take.
async fn attend<H, A>(stream: ControlStream, limits: Limits, handle: H)
where
    H: Fn(Request) -> A,
    A: Future<Output = Result<Value, ApiError>>,
{
    let (read, mut write) = tokio::io::split(stream);
    let mut read = BufReader::new(read);
    while let Ok(Ok(line)) = timeout(limits.patience, next_line(&mut read, limits.request)).await {
        let (response, last) = match line {
            Line::Whole(line) => match serde_json::from_slice::<Request>(&line) {
                Err(e) => (Response::Error(ApiError::invalid(format!("request: {e}"))), false),
                Ok(request) => match handle(request).await {
                    Ok(value) => (Response::Ok(value), false),
                    Err(e) => (Response::Error(e), false),
                },
            },
            Line::TooLong => {
                let why = format!("request: longer than {} bytes", limits.request);
                (Response::Error(ApiError::invalid(why)), true)
            }
            Line::End => return,
        };
        let said = timeout(limits.patience, say(&mut write, &response)).await;
        if last || !matches!(said, Ok(Ok(()))) {
            return;
        }
    }
}

enum Line {
    Whole(Vec<u8>),
    /// Where the next one would begin is not known.
    TooLong,
    End,
}

async fn next_line(read: &mut (impl AsyncBufRead + Unpin), limit: usize) -> std::io::Result<Line> {
    let mut line = Vec::new();
    // One more for the end of the line.
    read.take(limit as u64 + 1).read_until(b'\n', &mut line).await?;
    Ok(match line.last() {
        None => Line::End,
        Some(b'\n') => Line::Whole(line),
        Some(_) if line.len() > limit => Line::TooLong,
        Some(_) => Line::Whole(line),
    })
}

async fn say(write: &mut (impl AsyncWrite + Unpin), response: &Response) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(response)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    write.flush().await
}

/// Asks the engine that runs on a data directory. `None`: none does.
pub async fn ask(data_dir: &Path, request: &Request) -> Option<Result<Value, ApiError>> {
    let mut stream = match os::connect_control(data_dir).await {
        Ok(stream) => stream,
        Err(Unreachable::Nobody(_)) => return None,
        Err(e @ Unreachable::Stranger) => {
            return Some(Err(ApiError::new(ErrorCode::Refused, format!("{}: {e}", data_dir.display()))));
        }
    };
    let exchange = async {
        let mut text = serde_json::to_vec(request)?;
        text.push(b'\n');
        // One that is refused before it was read whole has an answer all the same.
        let sent = stream.write_all(&text).await;
        let mut line = Vec::new();
        let heard = BufReader::new(&mut stream).read_until(b'\n', &mut line).await;
        if line.is_empty() {
            sent?;
            heard?;
        }
        Ok::<_, std::io::Error>(serde_json::from_slice::<Response>(&line)?)
    };
    Some(match exchange.await {
        Ok(Response::Ok(value)) => Ok(value),
        Ok(Response::Error(e)) => Err(e),
        Err(e) => Err(ApiError::failed(format!("the engine did not answer: {e}"))),
    })
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
