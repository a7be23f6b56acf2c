//! Feeds, and how the whole console is.

use tauri::State;
use wf_api::views::*;

use super::{Answer, at};
use crate::console::Console;

#[tauri::command]
#[specta::specta]
pub async fn overview(console: State<'_, Console>) -> Answer<OverviewView> {
    at(&console)?.overview().await
}

#[tauri::command]
#[specta::specta]
pub async fn feeds(console: State<'_, Console>) -> Answer<FeedsView> {
    at(&console)?.desk.feeds.all().await
}

#[tauri::command]
#[specta::specta]
pub async fn test_feed(console: State<'_, Console>, name: String) -> Answer<ProbeView> {
    at(&console)?.desk.feeds.test(&name).await.map(ProbeView::from)
}

#[tauri::command]
#[specta::specta]
pub async fn restart_feed(console: State<'_, Console>, name: String) -> Answer<()> {
    at(&console)?.desk.feeds.restart(&name)
}

#[tauri::command]
#[specta::specta]
pub async fn add_feed(console: State<'_, Console>, name: String, url: String, mapping: String) -> Answer<()> {
    at(&console)?.desk.feeds.add(&name, &url, &mapping).await
}

#[tauri::command]
#[specta::specta]
pub async fn try_demo(console: State<'_, Console>) -> Answer<()> {
    at(&console)?.desk.feeds.try_demo().await
}

#[tauri::command]
#[specta::specta]
pub async fn health(console: State<'_, Console>) -> Answer<HealthView> {
    at(&console)?.desk.overview.health().await
}
