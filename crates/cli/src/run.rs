//! `run`: the engine without a window.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wf_api::{ApiError, ErrorCode};
use wf_console::Silent;
use wf_console::{Instance, Options, StartError};
use wf_platform::OsKeychain;
use wf_platform::Paths;

/// Runs until SIGTERM or Ctrl-C, or for `duration`. Prints `ready` once every feed was tried and the control socket
/// listens.
pub async fn run(paths: Paths, duration: Option<Duration>) -> Result<ExitCode, ApiError> {
    let mut end = Box::pin(signal());
    let engine =
        Instance::start(Options::new(paths, Arc::new(OsKeychain), Arc::new(Silent))).await.map_err(|e| match e {
            StartError::AlreadyRunning(_) => ApiError::new(ErrorCode::Refused, e),
            StartError::Config(_) => ApiError::invalid(e),
            other => ApiError::failed(other),
        })?;
    if engine.fresh.is_some() {
        crate::fail(&ApiError::failed(
            "note: a new database key was made and put into the keychain; print its recovery key in the window (Settings) and keep it apart",
        ));
    }
    let until = async {
        match duration {
            Some(d) => tokio::time::sleep(d).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(until);
    let ended = tokio::select! {
        () = engine.tried_every_feed() => false,
        () = &mut end => true,
        () = &mut until => true,
    };
    if !ended {
        crate::print(&crate::render::json(&json!({ "event": "ready", "ready": true })));
        tokio::select! {
            () = &mut end => {}
            () = &mut until => {}
        }
    }
    engine.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// Listens from now on, so that a signal during the start is heard as well.
#[cfg(unix)]
fn signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let both = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut term), Ok(mut int)) = both else { return std::future::pending().await };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
