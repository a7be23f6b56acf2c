//! Who is on call, and over which channels they are told.

use tauri::State;
use wf_api::views::*;

use super::{Answer, at};
use crate::console::Console;

#[tauri::command]
#[specta::specta]
pub async fn on_call(console: State<'_, Console>) -> Answer<Vec<OnCallView>> {
    at(&console)?.desk.on_call.at(None)
}

#[tauri::command]
#[specta::specta]
pub async fn readiness(console: State<'_, Console>) -> Answer<ReadinessView> {
    at(&console)?.desk.on_call.readiness().await
}

#[tauri::command]
#[specta::specta]
pub async fn add_override(
    console: State<'_, Console>,
    schedule: String,
    person: String,
    from: f64,
    to: f64,
) -> Answer<()> {
    at(&console)?.desk.on_call.add_override(&schedule, &person, from, to).await
}

#[tauri::command]
#[specta::specta]
pub async fn channels(console: State<'_, Console>) -> Answer<Vec<ChannelView>> {
    at(&console)?.desk.channels.all().await
}

#[tauri::command]
#[specta::specta]
pub async fn test_channel(console: State<'_, Console>, name: String) -> Answer<Vec<ReceiptView>> {
    at(&console)?.desk.channels.test(&name).await
}

#[tauri::command]
#[specta::specta]
pub async fn drill(console: State<'_, Console>) -> Answer<Vec<ReceiptView>> {
    at(&console)?.desk.channels.drill().await
}
