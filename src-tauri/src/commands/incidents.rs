//! Incidents, what is done about them, silences and numbers.

use tauri::State;
use wf_api::Action;
use wf_api::views::*;

use super::{Answer, at};
use crate::console::Console;

#[tauri::command]
#[specta::specta]
pub async fn incidents(console: State<'_, Console>, tab: String, text: String) -> Answer<IncidentList> {
    at(&console)?.desk.incidents.queue(&tab, &text, 1000).await
}

#[tauri::command]
#[specta::specta]
pub async fn incident(console: State<'_, Console>, id: String) -> Answer<IncidentDetail> {
    at(&console)?.desk.incidents.one(&id).await
}

#[tauri::command]
#[specta::specta]
pub async fn act(console: State<'_, Console>, ids: Vec<String>, action: Action) -> Answer<Vec<Acted>> {
    at(&console)?.desk.incidents.act(&ids, &action).await
}

#[tauri::command]
#[specta::specta]
pub async fn silences(console: State<'_, Console>) -> Answer<Vec<SilenceView>> {
    at(&console)?.desk.silences.all().await
}

#[tauri::command]
#[specta::specta]
pub async fn preview_silence(console: State<'_, Console>, matcher: MatcherView) -> Answer<Vec<IncidentView>> {
    at(&console)?.desk.silences.preview(&matcher)
}

#[tauri::command]
#[specta::specta]
pub async fn add_silence(
    console: State<'_, Console>,
    matcher: MatcherView,
    reason: String,
    length: String,
) -> Answer<Vec<SilenceView>> {
    at(&console)?.desk.silences.add(&matcher, &reason, &length).await
}

#[tauri::command]
#[specta::specta]
pub async fn end_silence(console: State<'_, Console>, id: String) -> Answer<Vec<SilenceView>> {
    at(&console)?.desk.silences.end(&id).await
}

#[tauri::command]
#[specta::specta]
pub async fn metrics(console: State<'_, Console>, since: String) -> Answer<MetricsView> {
    at(&console)?.desk.incidents.metrics(Some(&since)).await
}
