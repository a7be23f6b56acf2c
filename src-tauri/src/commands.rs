//! What the page may call. Each forwards to a desk in one line; arguments are checked there.

#![allow(clippy::let_underscore_must_use, reason = "the command macro writes it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use specta::Type;
use tauri::ipc::Channel;
use tauri::{AppHandle, Manager as _, State};
use tauri_plugin_dialog::DialogExt as _;
use tauri_specta::{Builder, collect_commands};
use wf_api::views::KeptReport;
use wf_api::views::*;
use wf_api::{Action, ApiError, PrivacyAction, ReportWanted};
use wf_console::Console as Asked;

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

#[tauri::command]
#[specta::specta]
fn console(console: State<'_, Console>) -> ConsoleView {
    console.view()
}

#[tauri::command]
#[specta::specta]
async fn retry_start(console: State<'_, Console>) -> Answer<ConsoleView> {
    console.start().await;
    Ok(console.view())
}

#[tauri::command]
#[specta::specta]
async fn recover(console: State<'_, Console>, key: String) -> Answer<ConsoleView> {
    let key = SecretString::from(key);
    console.recover(key.expose_secret()).await?;
    Ok(console.view())
}

/// In a native dialog: the page never sees it.
#[tauri::command]
#[specta::specta]
fn show_recovery_key(app: AppHandle, console: State<'_, Console>) -> Answer<()> {
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
async fn watch_ticks(app: AppHandle, console: State<'_, Console>, ticks: Channel<TickView>) -> Answer<()> {
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
async fn overview(console: State<'_, Console>) -> Answer<OverviewView> {
    at(&console)?.overview().await
}

#[tauri::command]
#[specta::specta]
async fn pull_live(console: State<'_, Console>, after: f64, limit: u32, query: String) -> Answer<LiveView> {
    at(&console)?.desk.search.pull(after, limit, &query)
}

#[tauri::command]
#[specta::specta]
async fn search_events(
    app: AppHandle,
    console: State<'_, Console>,
    query: String,
    since: Option<f64>,
    after: Option<String>,
    limit: u32,
    progress: Channel<SearchProgress>,
) -> Answer<EventPage> {
    let cancel = app.state::<Searching>().begin();
    // A page that has gone hears nothing, and needs nothing.
    at(&console)?
        .desk
        .search
        .search(&query, since, after.as_deref(), limit.min(1000), &cancel, |p| drop(progress.send(p)))
        .await
}

#[tauri::command]
#[specta::specta]
fn cancel_search(app: AppHandle) {
    app.state::<Searching>().begin();
}

#[tauri::command]
#[specta::specta]
async fn event(console: State<'_, Console>, seq: f64) -> Answer<EventDetail> {
    at(&console)?.desk.search.event(seq).await
}

#[tauri::command]
#[specta::specta]
async fn rates(console: State<'_, Console>, minutes: u32, buckets: u32) -> Answer<Vec<RateView>> {
    at(&console)?.desk.search.rates(minutes.min(60 * 24 * 366), buckets).await
}

#[tauri::command]
#[specta::specta]
async fn incidents(console: State<'_, Console>, tab: String, text: String) -> Answer<IncidentList> {
    at(&console)?.desk.incidents.queue(&tab, &text, 1000).await
}

#[tauri::command]
#[specta::specta]
async fn incident(console: State<'_, Console>, id: String) -> Answer<IncidentDetail> {
    at(&console)?.desk.incidents.one(&id).await
}

#[tauri::command]
#[specta::specta]
async fn act(console: State<'_, Console>, ids: Vec<String>, action: Action) -> Answer<Vec<Acted>> {
    at(&console)?.desk.incidents.act(&ids, &action).await
}

#[tauri::command]
#[specta::specta]
async fn silences(console: State<'_, Console>) -> Answer<Vec<SilenceView>> {
    at(&console)?.desk.silences.all().await
}

#[tauri::command]
#[specta::specta]
async fn preview_silence(console: State<'_, Console>, matcher: MatcherView) -> Answer<Vec<IncidentView>> {
    at(&console)?.desk.silences.preview(&matcher).await
}

#[tauri::command]
#[specta::specta]
async fn add_silence(
    console: State<'_, Console>,
    matcher: MatcherView,
    reason: String,
    length: String,
) -> Answer<Vec<SilenceView>> {
    at(&console)?.desk.silences.add(&matcher, &reason, &length).await
}

#[tauri::command]
#[specta::specta]
async fn end_silence(console: State<'_, Console>, id: String) -> Answer<Vec<SilenceView>> {
    at(&console)?.desk.silences.end(&id).await
}

#[tauri::command]
#[specta::specta]
async fn on_call(console: State<'_, Console>) -> Answer<Vec<OnCallView>> {
    at(&console)?.desk.on_call.at(None)
}

#[tauri::command]
#[specta::specta]
async fn readiness(console: State<'_, Console>) -> Answer<ReadinessView> {
    at(&console)?.desk.on_call.readiness().await
}

#[tauri::command]
#[specta::specta]
async fn add_override(console: State<'_, Console>, schedule: String, person: String, from: f64, to: f64) -> Answer<()> {
    at(&console)?.desk.on_call.add_override(&schedule, &person, from, to).await
}

#[tauri::command]
#[specta::specta]
async fn channels(console: State<'_, Console>) -> Answer<Vec<ChannelView>> {
    at(&console)?.desk.channels.all().await
}

#[tauri::command]
#[specta::specta]
async fn test_channel(console: State<'_, Console>, name: String) -> Answer<Vec<ReceiptView>> {
    at(&console)?.desk.channels.test(&name).await
}

#[tauri::command]
#[specta::specta]
async fn drill(console: State<'_, Console>) -> Answer<Vec<ReceiptView>> {
    at(&console)?.desk.channels.drill().await
}

#[tauri::command]
#[specta::specta]
async fn metrics(console: State<'_, Console>, since: String) -> Answer<MetricsView> {
    at(&console)?.desk.incidents.metrics(Some(&since)).await
}

#[tauri::command]
#[specta::specta]
async fn feeds(console: State<'_, Console>) -> Answer<FeedsView> {
    at(&console)?.desk.feeds.all().await
}

#[tauri::command]
#[specta::specta]
async fn test_feed(console: State<'_, Console>, name: String) -> Answer<ProbeView> {
    at(&console)?.desk.feeds.test(&name).await.map(ProbeView::from)
}

#[tauri::command]
#[specta::specta]
async fn restart_feed(console: State<'_, Console>, name: String) -> Answer<()> {
    at(&console)?.desk.feeds.restart(&name)
}

#[tauri::command]
#[specta::specta]
async fn add_feed(console: State<'_, Console>, name: String, url: String, mapping: String) -> Answer<()> {
    at(&console)?.desk.feeds.add(&name, &url, &mapping).await
}

#[tauri::command]
#[specta::specta]
async fn try_demo(console: State<'_, Console>) -> Answer<()> {
    at(&console)?.desk.feeds.try_demo().await
}

#[tauri::command]
#[specta::specta]
async fn health(console: State<'_, Console>) -> Answer<HealthView> {
    at(&console)?.desk.overview.health().await
}

#[tauri::command]
#[specta::specta]
async fn verify_audit(console: State<'_, Console>) -> Answer<AuditVerdict> {
    at(&console)?.compliance.audit.verify(None).await
}

#[tauri::command]
#[specta::specta]
async fn privacy_board(console: State<'_, Console>) -> Answer<PrivacyBoard> {
    at(&console)?.compliance.privacy.board().await
}

/// Gives the number of the record that was changed, where it has one.
#[tauri::command]
#[specta::specta]
async fn privacy_act(console: State<'_, Console>, action: PrivacyAction) -> Answer<Option<f64>> {
    at(&console)?.compliance.privacy.act(&action).await.map(|v| v["number"].as_f64())
}

#[tauri::command]
#[specta::specta]
async fn find_subject(
    app: AppHandle,
    console: State<'_, Console>,
    identifiers: Vec<String>,
    progress: Channel<SearchProgress>,
) -> Answer<SubjectView> {
    let cancel = app.state::<Searching>().begin();
    at(&console)?.compliance.subjects.find(&identifiers, 200, &mut |p| drop(progress.send(p)), &cancel).await
}

#[tauri::command]
#[specta::specta]
async fn retention(console: State<'_, Console>) -> Answer<RetentionView> {
    at(&console)?.compliance.retention.view().await
}

#[tauri::command]
#[specta::specta]
fn job(console: State<'_, Console>) -> Answer<Option<JobView>> {
    Ok(at(&console)?.compliance.records.work.job())
}

#[tauri::command]
#[specta::specta]
fn cancel_job(console: State<'_, Console>) -> Answer<()> {
    at(&console)?.compliance.records.work.cancel();
    Ok(())
}

#[tauri::command]
#[specta::specta]
async fn preview_report(console: State<'_, Console>, wanted: ReportWanted) -> Answer<ReportPreview> {
    at(&console)?.compliance.reports.preview(&wanted).await
}

#[tauri::command]
#[specta::specta]
async fn make_report(console: State<'_, Console>, wanted: ReportWanted) -> Answer<KeptReport> {
    at(&console)?.compliance.reports.make(&wanted).await
}

#[tauri::command]
#[specta::specta]
async fn reports(console: State<'_, Console>) -> Answer<Vec<KeptReport>> {
    at(&console)?.compliance.reports.all().await
}

/// Asks in a native dialog where a file of the exports folder is to be copied to.
#[tauri::command]
#[specta::specta]
async fn save_export(app: AppHandle, console: State<'_, Console>, name: String) -> Answer<()> {
    let from = at(&console)?.compliance.records.hand_out(&name).await?;
    save_as(&app, &name, move |to| std::fs::copy(&from, to).map(|_| ()));
    Ok(())
}

/// `consents` or `activities`, as CSV, saved through a native dialog.
#[tauri::command]
#[specta::specta]
async fn save_list(app: AppHandle, console: State<'_, Console>, list: String) -> Answer<()> {
    let asked = at(&console)?;
    let text = match list.as_str() {
        "consents" => asked.compliance.privacy.consents_csv().await?,
        "activities" => asked.compliance.privacy.activities_csv().await?,
        other => return Err(ApiError::invalid(format!("there is no list '{other}'"))),
    };
    save_as(&app, &format!("{list}.csv"), move |to| wf_platform::files::write_bytes(to, text.as_bytes()));
    Ok(())
}

fn save_as(app: &AppHandle, name: &str, write: impl FnOnce(&std::path::Path) -> std::io::Result<()> + Send + 'static) {
    let shown = app.clone();
    app.dialog().file().set_file_name(name).save_file(move |chosen| {
        let Some(path) = chosen.and_then(|c| c.into_path().ok()) else { return };
        if let Err(e) = write(&path) {
            shown
                .dialog()
                .message(format!("{}: {e}", path.display()))
                .title("The file could not be written")
                .show(|_| {});
        }
    });
}

#[tauri::command]
#[specta::specta]
async fn audit_entries(console: State<'_, Console>, query: String, before: Option<f64>) -> Answer<AuditPage> {
    at(&console)?.compliance.audit.entries(&query, before, 200).await
}

#[tauri::command]
#[specta::specta]
async fn audit_proof(console: State<'_, Console>, index: f64) -> Answer<ProofView> {
    at(&console)?.compliance.audit.proof(index).await
}

#[tauri::command]
#[specta::specta]
fn hide_window(app: AppHandle) {
    window::hide(&app);
}

#[tauri::command]
#[specta::specta]
fn quit(app: AppHandle) {
    window::leave(&app);
}

/// The commands, and the types the page knows them by.
pub fn builder() -> Builder<tauri::Wry> {
    // Times in milliseconds and counts: all below 2^53.
    Builder::new().dangerously_cast_bigints_to_number().commands(collect_commands![
        console,
        retry_start,
        recover,
        show_recovery_key,
        watch_ticks,
        overview,
        pull_live,
        search_events,
        cancel_search,
        event,
        rates,
        incidents,
        incident,
        act,
        silences,
        preview_silence,
        add_silence,
        end_silence,
        on_call,
        readiness,
        add_override,
        channels,
        test_channel,
        drill,
        metrics,
        feeds,
        test_feed,
        restart_feed,
        add_feed,
        try_demo,
        health,
        verify_audit,
        privacy_board,
        privacy_act,
        find_subject,
        retention,
        job,
        cancel_job,
        preview_report,
        make_report,
        reports,
        save_export,
        save_list,
        audit_entries,
        audit_proof,
        hide_window,
        quit,
    ])
}

pub fn manage(app: &AppHandle) {
    app.manage(Searching::default());
}

#[cfg(test)]
mod tests {
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
}
