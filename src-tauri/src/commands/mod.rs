//! What the page may call, by subject. Each forwards to a desk in one line; arguments are checked there.

#![allow(clippy::let_underscore_must_use, reason = "the command macro writes it")]

mod events;
mod evidence;
mod feeds;
mod incidents;
mod people;
mod privacy;
mod shell;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tauri::{AppHandle, Manager as _, State};
use tauri_specta::{Builder, collect_commands};
use wf_api::ApiError;
use wf_console::Console as Asked;

use crate::console::Console;

/// The search that runs; a new one ends it.
#[derive(Default)]
struct Searching(std::sync::Mutex<Arc<AtomicBool>>);

impl Searching {
    fn begin(&self) -> Arc<AtomicBool> {
        let mut running = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        running.store(true, Ordering::Relaxed);
        *running = Arc::default();
        running.clone()
    }
}

type Answer<T> = Result<T, ApiError>;

fn at(console: &State<'_, Console>) -> Answer<Arc<Asked>> {
    console.asked()
}

/// The commands, and the types the page knows them by.
pub fn builder() -> Builder<tauri::Wry> {
    // Times in milliseconds and counts: all below 2^53.
    Builder::new().dangerously_cast_bigints_to_number().commands(collect_commands![
        shell::console,
        shell::retry_start,
        shell::recover,
        shell::show_recovery_key,
        shell::watch_ticks,
        feeds::overview,
        events::pull_live,
        events::search_events,
        events::cancel_search,
        events::event,
        events::rates,
        incidents::incidents,
        incidents::incident,
        incidents::act,
        incidents::silences,
        incidents::preview_silence,
        incidents::add_silence,
        incidents::end_silence,
        people::on_call,
        people::readiness,
        people::add_override,
        people::channels,
        people::test_channel,
        people::drill,
        incidents::metrics,
        feeds::feeds,
        feeds::test_feed,
        feeds::restart_feed,
        feeds::add_feed,
        feeds::try_demo,
        feeds::health,
        evidence::verify_audit,
        privacy::privacy_board,
        privacy::privacy_act,
        privacy::find_subject,
        privacy::retention,
        privacy::job,
        privacy::cancel_job,
        evidence::preview_report,
        evidence::make_report,
        evidence::reports,
        evidence::save_export,
        evidence::save_list,
        evidence::audit_entries,
        evidence::audit_proof,
        shell::hide_window,
        shell::quit,
    ])
}

pub fn manage(app: &AppHandle) {
    app.manage(Searching::default());
}

#[cfg(test)]
mod tests {
    include!("../command_names.rs");

    /// `WATCHFLOOR_WRITE_BINDINGS=1` (or `cargo xtask bindings`) writes them anew.
    #[test]
    fn the_committed_bindings_are_those_of_the_commands() {
        let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../ui/src/host/bindings.ts");
        let fresh = std::env::temp_dir().join(format!("watchfloor-bindings-{}.ts", std::process::id()));
        super::builder().export(specta_typescript::Typescript::default(), &fresh).unwrap();
        let text = std::fs::read_to_string(&fresh).unwrap();
        std::fs::remove_file(&fresh).unwrap();
        if std::env::var_os("WATCHFLOOR_WRITE_BINDINGS").is_some() {
            std::fs::write(&committed, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(&committed).unwrap_or_default() == text,
            "run `cargo xtask bindings` and commit the result"
        );
    }

    #[test]
    fn t2_the_commands_that_are_collected_are_those_that_are_granted() {
        let bindings = include_str!("../../../ui/src/host/bindings.ts");
        let mut collected: Vec<&str> = bindings
            .split("__TAURI_INVOKE")
            .filter(|part| part.starts_with(['<', '(']))
            .filter_map(|part| part.split_once("(\"")?.1.split('"').next())
            .collect();
        let mut granted = COMMANDS.to_vec();
        collected.sort_unstable();
        granted.sort_unstable();
        assert_eq!(collected, granted);
    }
}
