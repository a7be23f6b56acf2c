//! The tray: how many P1 and P2 are open, and the way back to the window.

use tauri::menu::{Menu, MenuItem, PredefinedMenuItem};
use tauri::tray::TrayIconBuilder;
use tauri::{AppHandle, Manager as _};

use crate::console::Console;
use crate::window;

const ID: &str = "watch";

pub fn create(app: &AppHandle) -> tauri::Result<()> {
    let menu = Menu::with_items(
        app,
        &[
            &MenuItem::with_id(app, "show", "Open Watchfloor", true, None::<&str>)?,
            &PredefinedMenuItem::separator(app)?,
            &MenuItem::with_id(app, "quit", "Quit…", true, None::<&str>)?,
        ],
    )?;
    let mut tray =
        TrayIconBuilder::with_id(ID).menu(&menu).tooltip("Watchfloor").on_menu_event(|app, event| {
            match event.id.as_ref() {
                "show" => window::show(app),
                "quit" => window::ask_to_quit(app),
                _ => {}
            }
        });
    if let Some(icon) = app.default_window_icon() {
        tray = tray.icon(icon.clone());
    }
    tray.build(app)?;
    Ok(())
}

/// Keeps the count current.
pub async fn follow(app: &AppHandle) {
    let console = app.state::<Console>();
    let mut changes = console.changes();
    loop {
        let Ok(asked) = console.asked() else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let mut tick = asked.context.recent.tick();
        let mut shown = None;
        loop {
            let open = asked.desk.overview.open_urgent().await.unwrap_or_default();
            let clock = asked.compliance.breaches.clock().await;
            if shown.replace((open, clock.clone())) != Some((open, clock.clone()))
                && let Some(tray) = app.tray_by_id(ID)
            {
                let [p1, p2] = open;
                let mut text = if p1 + p2 == 0 {
                    "Watchfloor: quiet".to_owned()
                } else {
                    format!("Watchfloor: {p1} P1, {p2} P2 open")
                };
                if let Some(clock) = clock {
                    text = format!("{text}. {clock}");
                }
                let title = (p1 + p2 > 0).then(|| (p1 + p2).to_string());
                // A desktop without a tray has nothing to update.
                let _shown = tray.set_tooltip(Some(text)).and(tray.set_title(title)).is_ok();
            }
            // A quiet console still shows how the time of a breach runs out.
            if let Ok(Err(_)) = tokio::time::timeout(std::time::Duration::from_secs(60), tick.changed()).await {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }
}
