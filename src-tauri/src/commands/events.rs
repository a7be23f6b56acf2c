//! Events: live, searched, one, and how many.

use tauri::ipc::Channel;
use tauri::{AppHandle, Manager as _, State};
use wf_api::views::*;

use super::{Answer, Searching, at};
use crate::console::Console;

#[tauri::command]
#[specta::specta]
pub async fn pull_live(console: State<'_, Console>, after: f64, limit: u32, query: String) -> Answer<LiveView> {
    at(&console)?.desk.search.pull(after, limit, &query)
}

#[tauri::command]
#[specta::specta]
pub async fn search_events(
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
pub fn cancel_search(app: AppHandle) {
    app.state::<Searching>().begin();
}

#[tauri::command]
#[specta::specta]
pub async fn event(console: State<'_, Console>, seq: f64) -> Answer<EventDetail> {
    at(&console)?.desk.search.event(seq).await
}

#[tauri::command]
#[specta::specta]
pub async fn rates(console: State<'_, Console>, minutes: u32, buckets: u32) -> Answer<Vec<RateView>> {
    at(&console)?.desk.search.rates(minutes.min(60 * 24 * 366), buckets).await
}
