//! The native shell: one window, a tray, OS notifications, and commands that forward. Thin on purpose: what
//! can be decided without a window is decided by the desks behind `wf-console`.
//!
//! `console` knows none of the others; `window` knows it; `notifications`, `tray` and `commands` know both. They meet
//! here.
#![cfg_attr(all(not(debug_assertions), target_os = "windows"), windows_subsystem = "windows")]

#[cfg(all(feature = "webdriver", not(debug_assertions)))]
compile_error!("the webdriver feature lets anybody drive the window; a release build must not have it");

mod awake;
mod commands;
mod console;
mod handover;
mod launch;
mod notifications;
mod tray;
mod window;

use std::process::ExitCode;
use std::sync::Arc;

use tauri::Manager as _;

use console::Console;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("WATCHFLOOR_LOG").unwrap_or_else(|_| "warn".into()),
        )
        .init();
    if let Some(code) = launch::clean_environment() {
        return code;
    }
    let paths = launch::paths();
    let specta = commands::builder();
    let built = tauri::Builder::default()
        // First, so that a second start ends before it touches anything.
        .plugin(tauri_plugin_single_instance::init(|app, _, _| window::show(app)))
        .plugin(tauri_plugin_notification::init())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_window_state::Builder::default().with_denylist(&[]).build())
        .invoke_handler(specta.invoke_handler())
        .setup(move |app| {
            let handle = app.handle().clone();
            commands::manage(&handle);
            notifications::manage(&handle);
            let desktop = notifications::Desktop::new(handle.clone());
            app.manage(Console::new(paths, Arc::new(desktop)));
            window::create(&handle)?;
            tray::create(&handle)?;
            tauri::async_runtime::spawn(async move {
                let console = handle.state::<Console>();
                console.start().await;
                tray::follow(&handle).await;
            });
            let handle = app.handle().clone();
            tauri::async_runtime::spawn(async move { awake::follow(&handle).await });
            let handle = app.handle().clone();
            tauri::async_runtime::spawn(async move { notifications::repeat(&handle).await });
            Ok(())
        })
        .on_window_event(|of, event| {
            notifications::on_event(of, event);
            window::on_event(of, event);
        })
        .build(tauri::generate_context!());
    match built {
        Ok(app) => {
            app.run(window::on_run_event);
            ExitCode::SUCCESS
        }
        Err(e) => {
            tracing::error!(error = %e, "the window could not be made");
            ExitCode::FAILURE
        }
    }
}
