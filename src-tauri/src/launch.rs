//! Before anything else: an environment nobody else steers, and where things lie.

use std::path::PathBuf;
use std::process::ExitCode;

use wf_platform::Paths;

/// With these set, another program could drive the window or look into it.
#[cfg(not(feature = "webdriver"))]
const AUTOMATION: &[&str] =
    &["TAURI_WEBVIEW_AUTOMATION", "TAURI_AUTOMATION", "WEBKIT_INSPECTOR_SERVER", "WEBKIT_INSPECTOR_HTTP_SERVER"];
#[cfg(feature = "webdriver")]
const AUTOMATION: &[&str] = &[];

/// Starts this program again with a clean environment where the one it was given is not. `Some`: that was done, and
/// this is its end.
#[cfg(unix)]
pub fn clean_environment() -> Option<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    let dirty: Vec<_> = AUTOMATION.iter().filter(|v| std::env::var_os(v).is_some()).collect();
    // Without a GPU the DMA-BUF renderer costs twice the time of a frame (WebKitGTK 2.50, measured).
    let slow =
        cfg!(target_os = "linux") && !has_render_node() && std::env::var_os("WEBKIT_DISABLE_DMABUF_RENDERER").is_none();
    if dirty.is_empty() && !slow {
        return None;
    }
    let me = std::env::current_exe().ok()?;
    let mut again = std::process::Command::new(me);
    again.args(std::env::args_os().skip(1));
    for variable in dirty {
        again.env_remove(variable);
    }
    if slow {
        again.env("WEBKIT_DISABLE_DMABUF_RENDERER", "1");
    }
    let _failed = again.exec();
    // It could not be started again: running with a foreign hand on the window is worse than not running.
    (!AUTOMATION.iter().all(|v| std::env::var_os(v).is_none())).then_some(ExitCode::FAILURE)
}

#[cfg(not(unix))]
pub fn clean_environment() -> Option<ExitCode> {
    let dirty = AUTOMATION.iter().any(|v| std::env::var_os(v).is_some());
    if !dirty {
        return None;
    }
    let mut again = std::process::Command::new(std::env::current_exe().ok()?);
    again.args(std::env::args_os().skip(1));
    for variable in AUTOMATION {
        again.env_remove(variable);
    }
    let ended = again.status().ok()?;
    Some(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(unix)]
fn has_render_node() -> bool {
    std::fs::read_dir("/dev/dri")
        .is_ok_and(|entries| entries.flatten().any(|e| e.file_name().to_string_lossy().starts_with("renderD")))
}

/// `WATCHFLOOR_DATA_DIR` and `WATCHFLOOR_CONFIG`, or the user's own directories.
pub fn paths() -> Paths {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    Paths::new(variable("WATCHFLOOR_DATA_DIR"), variable("WATCHFLOOR_CONFIG"))
}
