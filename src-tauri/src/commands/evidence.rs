//! Reports, exports and the audit log.

use tauri::{AppHandle, State};
use tauri_plugin_dialog::DialogExt as _;
use wf_api::views::*;
use wf_api::{ApiError, ReportWanted};

use super::{Answer, at};
use crate::console::Console;

#[tauri::command]
#[specta::specta]
pub async fn verify_audit(console: State<'_, Console>) -> Answer<AuditVerdict> {
    at(&console)?.compliance.audit.verify(None).await
}

#[tauri::command]
#[specta::specta]
pub async fn preview_report(console: State<'_, Console>, wanted: ReportWanted) -> Answer<ReportPreview> {
    at(&console)?.compliance.reports.preview(&wanted).await
}

#[tauri::command]
#[specta::specta]
pub async fn make_report(console: State<'_, Console>, wanted: ReportWanted) -> Answer<KeptReport> {
    at(&console)?.compliance.reports.make(&wanted).await
}

#[tauri::command]
#[specta::specta]
pub async fn reports(console: State<'_, Console>) -> Answer<Vec<KeptReport>> {
    at(&console)?.compliance.reports.all().await
}

/// Asks in a native dialog where a file of the exports folder is to be copied to.
#[tauri::command]
#[specta::specta]
pub async fn save_export(app: AppHandle, console: State<'_, Console>, name: String) -> Answer<()> {
    let from = at(&console)?.compliance.records.hand_out(&name).await?;
    save_as(&app, &name, move |to| std::fs::copy(&from, to).map(|_| ()));
    Ok(())
}

/// `consents` or `activities`, as CSV, saved through a native dialog.
#[tauri::command]
#[specta::specta]
pub async fn save_list(app: AppHandle, console: State<'_, Console>, list: String) -> Answer<()> {
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
pub async fn audit_entries(console: State<'_, Console>, query: String, before: Option<f64>) -> Answer<AuditPage> {
    at(&console)?.compliance.audit.entries(&query, before, 200).await
}

#[tauri::command]
#[specta::specta]
pub async fn audit_proof(console: State<'_, Console>, index: f64) -> Answer<ProofView> {
    at(&console)?.compliance.audit.proof(index).await
}
