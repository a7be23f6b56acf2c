//! What a privacy officer does.

use tauri::ipc::Channel;
use tauri::{AppHandle, Manager as _, State};
use wf_api::PrivacyAction;
use wf_api::views::*;

use super::{Answer, Searching, at};
use crate::console::Console;

#[tauri::command]
#[specta::specta]
pub async fn privacy_board(console: State<'_, Console>) -> Answer<PrivacyBoard> {
    at(&console)?.compliance.privacy.board().await
}

/// Gives the number of the record that was changed, where it has one.
#[tauri::command]
#[specta::specta]
pub async fn privacy_act(console: State<'_, Console>, action: PrivacyAction) -> Answer<Option<f64>> {
    at(&console)?.compliance.privacy.act(&action).await.map(|v| v["number"].as_f64())
}

#[tauri::command]
#[specta::specta]
pub async fn find_subject(
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
pub async fn retention(console: State<'_, Console>) -> Answer<RetentionView> {
    at(&console)?.compliance.retention.view().await
}

#[tauri::command]
#[specta::specta]
pub fn job(console: State<'_, Console>) -> Answer<Option<JobView>> {
    Ok(at(&console)?.compliance.records.work.job())
}

#[tauri::command]
#[specta::specta]
pub fn cancel_job(console: State<'_, Console>) -> Answer<()> {
    at(&console)?.compliance.records.work.cancel();
    Ok(())
}
