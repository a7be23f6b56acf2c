//! While it is on watch, this computer does not fall asleep by itself: what is due would be told late. One library
//! speaks to all three systems (logind, IOKit, the Windows power settings); this is all of ours.

use std::time::Duration;

use tauri::{AppHandle, Manager as _};

use crate::console::Console;

/// The config may change its mind.
const LOOK: Duration = Duration::from_secs(5);

/// Holds the computer awake for as long as an engine runs and the config says so.
pub async fn follow(app: &AppHandle) {
    let console = app.state::<Console>();
    let mut held: Option<keepawake::KeepAwake> = None;
    let mut told = false;
    loop {
        let wanted = console.asked().is_ok_and(|c| c.context.config().escalation.stay_awake);
        if wanted && held.is_none() {
            // It asks over D-Bus and waits for the answer.
            let asked = tauri::async_runtime::spawn_blocking(|| {
                keepawake::Builder::default()
                    .idle(true)
                    .app_name("Watchfloor")
                    .app_reverse_domain("dev.watchfloor")
                    .reason("On watch: alerts are told from here")
                    .create()
            })
            .await;
            match asked {
                Ok(Ok(awake)) => held = Some(awake),
                Ok(Err(e)) if !told => {
                    told = true;
                    tracing::warn!(error = %e, "this computer may fall asleep while it is on watch");
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
        if !wanted {
            held = None;
        }
        tokio::time::sleep(LOOK).await;
    }
}
