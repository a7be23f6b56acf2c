//! The console itself and its window: starting, keys, ticks, the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use specta::Type;
use tauri::ipc::Channel;
use tauri::{AppHandle, Manager as _, State};
use tauri_plugin_dialog::DialogExt as _;
use wf_api::ApiError;

use super::{Answer, at};
use crate::console::{Console, ConsoleView};
use crate::window::{self, QuitAsked};

/// Something may look different: compare and pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Type)]
pub struct TickView {
    pub events: u32,
    pub incidents: u32,
    pub health: u32,
    pub quit_asked: bool,
}

/// The window is told at most this often.
const TICK: Duration = Duration::from_millis(100);

#[tauri::command]
#[specta::specta]
pub fn console(console: State<'_, Console>) -> ConsoleView {
    console.view()
}

#[tauri::command]
#[specta::specta]
pub async fn retry_start(console: State<'_, Console>) -> Answer<ConsoleView> {
    console.start().await;
    Ok(console.view())
}

#[tauri::command]
#[specta::specta]
pub async fn recover(console: State<'_, Console>, key: String) -> Answer<ConsoleView> {
    let key = SecretString::from(key);
    console.recover(key.expose_secret()).await?;
    Ok(console.view())
}

/// In a native dialog: the page never sees it.
#[tauri::command]
#[specta::specta]
pub fn show_recovery_key(app: AppHandle, console: State<'_, Console>) -> Answer<()> {
    let key = console
        .recovery_key()
        .ok_or_else(|| ApiError::invalid("the recovery key is shown only in the session that made it"))?;
    let text = format!(
        "Write this down or print it, and keep it apart from this machine. Whoever has it and the database can read everything.\n\n{}",
        key.expose_secret()
    );
    app.dialog().message(text).title("Watchfloor recovery key").show(|_| {});
    Ok(())
}

#[tauri::command]
#[specta::specta]
pub async fn watch_ticks(app: AppHandle, console: State<'_, Console>, ticks: Channel<TickView>) -> Answer<()> {
    let asked = at(&console)?;
    tauri::async_runtime::spawn(async move {
        let mut tick = asked.context.recent.tick();
        let mut last = None;
        loop {
            let t = *tick.borrow_and_update();
            let view = TickView {
                events: t.events as u32,
                incidents: t.incidents as u32,
                health: t.health as u32,
                quit_asked: app.state::<QuitAsked>().0.swap(false, Ordering::SeqCst),
            };
            if last != Some(view) && ticks.send(view).is_err() {
                return;
            }
            last = Some(view);
            tokio::time::sleep(TICK).await;
            if tick.changed().await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

#[tauri::command]
#[specta::specta]
pub fn hide_window(app: AppHandle) {
    window::hide(&app);
}

#[tauri::command]
#[specta::specta]
pub fn quit(app: AppHandle) {
    window::leave(&app);
}
