//! The one window. Closing it keeps watching; quitting asks first and says what it ends.

use std::sync::atomic::{AtomicBool, Ordering};

use tauri::webview::NewWindowResponse;
use tauri::{AppHandle, Manager as _, RunEvent, Url, WebviewUrl, WebviewWindowBuilder, Window, WindowEvent};

use crate::console::Console;

const LABEL: &str = "main";

/// The officer was asked and said yes.
#[derive(Default)]
struct Leaving(AtomicBool);

/// Somebody asked to quit: the page shows what that ends.
#[derive(Default)]
pub struct QuitAsked(pub AtomicBool);

pub fn create(app: &AppHandle) -> tauri::Result<()> {
    app.manage(Leaving::default());
    app.manage(QuitAsked::default());
    let builder = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::App("index.html".into()))
        .title("Watchfloor")
        .inner_size(1440.0, 900.0)
        .min_inner_size(1024.0, 640.0)
        // Nothing leads out of the page: no other address, no second window, no file (threat T3). The last two are what
        // the library does by itself, or what the system would do; said here, they stay so.
        .on_navigation(is_ours)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_download(|_, _| false)
        .devtools(false);
    builder.build()?;
    Ok(())
}

/// The address that the page is served under, and no other: with a port it would be a server on this machine.
fn is_ours(url: &Url) -> bool {
    let ours = if cfg!(windows) { ("http", "tauri.localhost") } else { ("tauri", "localhost") };
    (url.scheme(), url.host_str()) == (ours.0, Some(ours.1)) && url.port().is_none()
}

pub fn show(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(LABEL) {
        let _shown = window.show().and(window.unminimize()).and(window.set_focus()).is_ok();
    }
}

pub fn hide(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(LABEL) {
        let _hidden = window.hide().is_ok();
    }
}

/// Shows the window with the question.
pub fn ask_to_quit(app: &AppHandle) {
    app.state::<QuitAsked>().0.store(true, Ordering::SeqCst);
    if let Ok(asked) = app.state::<Console>().asked() {
        asked.context.recent.touched(|t| t.health += 1);
    } else {
        leave(app);
    }
    show(app);
}

/// Ends everything, in order.
pub fn leave(app: &AppHandle) {
    app.state::<Leaving>().0.store(true, Ordering::SeqCst);
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        app.state::<Console>().stop().await;
        app.exit(0);
    });
}

pub fn has_focus(app: &AppHandle) -> bool {
    app.get_webview_window(LABEL).is_some_and(|w| w.is_focused().unwrap_or(false))
}

pub fn on_event(window: &Window, event: &WindowEvent) {
    if let WindowEvent::CloseRequested { api, .. } = event
        && !window.app_handle().state::<Leaving>().0.load(Ordering::SeqCst)
        && window.app_handle().state::<Console>().asked().is_ok()
    {
        // Watching goes on; the tray and a second start bring the window back.
        api.prevent_close();
        hide(window.app_handle());
    }
}

pub fn on_run_event(app: &AppHandle, event: RunEvent) {
    if let RunEvent::ExitRequested { api, code, .. } = event
        && code.is_none()
        && !app.state::<Leaving>().0.load(Ordering::SeqCst)
        && app.state::<Console>().asked().is_ok()
    {
        api.prevent_exit();
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
