//! Before anything else: an environment nobody else steers, and where things lie.

use std::path::PathBuf;
use std::process::ExitCode;

use wf_platform::{Paths, SecretEnvironment};

use crate::handover;

/// With these set, another program could drive the window or look into it.
#[cfg(not(feature = "webdriver"))]
const AUTOMATION: &[&str] =
    &["TAURI_WEBVIEW_AUTOMATION", "TAURI_AUTOMATION", "WEBKIT_INSPECTOR_SERVER", "WEBKIT_INSPECTOR_HTTP_SERVER"];
#[cfg(feature = "webdriver")]
const AUTOMATION: &[&str] = &[];

/// Starts this program again with a clean environment where the one it was given is not: without what would let others
/// steer the window, and without the secrets that the window's processes would inherit. `Some`: that was done, and this
/// is its end.
pub fn clean_environment() -> Option<ExitCode> {
    started_again().unwrap_or_else(|e| {
        tracing::error!(error = %e, "Watchfloor could not be started with a clean environment");
        Some(ExitCode::FAILURE)
    })
}

fn started_again() -> std::io::Result<Option<ExitCode>> {
    handover::receive()?;
    let secret = handover::named(&paths().config);
    let secrets = SecretEnvironment::gather(secret.iter().map(String::as_str));
    let automation = AUTOMATION.iter().filter(|v| std::env::var_os(v).is_some()).map(|v| (*v).to_owned());
    let away: Vec<String> = automation.chain(secret).collect();
    let slow = is_slow();
    if away.is_empty() && !slow {
        return Ok(None);
    }
    let with: &[(&str, &str)] = if slow { &[(RENDERER, "1")] } else { &[] };
    match handover::start_again(&away, with, &secrets) {
        // A slow window is better than none; one with a foreign hand on it is not.
        Err(e) if away.is_empty() => {
            tracing::warn!(error = %e, "the window could not be started with another renderer");
            Ok(None)
        }
        started => started.map(Some),
    }
}

const RENDERER: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";

/// Without a GPU the DMA-BUF renderer costs twice the time of a frame (WebKitGTK 2.50, measured).
#[cfg(target_os = "linux")]
fn is_slow() -> bool {
    let has_render_node = std::fs::read_dir("/dev/dri")
        .is_ok_and(|entries| entries.flatten().any(|e| e.file_name().to_string_lossy().starts_with("renderD")));
    !has_render_node && std::env::var_os(RENDERER).is_none()
}

#[cfg(not(target_os = "linux"))]
fn is_slow() -> bool {
    false
}

/// `WATCHFLOOR_DATA_DIR` and `WATCHFLOOR_CONFIG`, or the user's own directories.
pub fn paths() -> Paths {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    Paths::new(variable("WATCHFLOOR_DATA_DIR"), variable("WATCHFLOOR_CONFIG"))
}
