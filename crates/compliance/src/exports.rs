//! The exports folder: what was made to be handed out, and who it is about.

use std::sync::Arc;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use wf_api::views::*;
use wf_api::{ApiError, ErrorCode};
use wf_evidence::report::pack::any_line;
use wf_evidence::tree::hex;
use wf_privacy::request::{ExportFile, Request};
use wf_privacy::subject::Finder;

use crate::records::*;

impl Records {
    // ---- the exports folder

    /// An officer takes a file out: recorded, with its hash.
    pub async fn hand_out(&self, name: &str) -> Result<std::path::PathBuf, ApiError> {
        let path = self.export_file(name)?;
        let bytes = std::fs::read(&path).map_err(|e| ApiError::failed(format!("{}: {e}", path.display())))?;
        let at = self.right_now(self.context.operator());
        self.keep(
            Vec::new(),
            &at,
            "export.hand_out",
            "export".into(),
            json!({ "file": name, "sha256": hex(&Sha256::digest(&bytes)) }),
        )
        .await?;
        Ok(path)
    }

    pub(crate) fn exports_dir(&self) -> std::path::PathBuf {
        self.context.store().path().parent().map_or_else(|| "exports".into(), |d| d.join("exports"))
    }

    /// A file of the exports folder, by its name alone: no path leads out of it (threat T9).
    pub fn export_file(&self, name: &str) -> Result<std::path::PathBuf, ApiError> {
        let plain = !name.is_empty()
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let path = self.exports_dir().join(name);
        // A link is not followed.
        let is_file = plain && std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_file());
        if is_file {
            Ok(path)
        } else {
            Err(ApiError::new(ErrorCode::NotFound, format!("there is no file '{name}' in the exports folder")))
        }
    }

    /// Writes a file only this user can read, and gives its hash.
    pub(crate) async fn write_export(&self, name: &str, bytes: &[u8]) -> Result<ExportFile, ApiError> {
        let (dir, name, content) = (self.exports_dir(), name.to_owned(), bytes.to_vec());
        tokio::task::spawn_blocking(move || {
            let failed = |e: std::io::Error| ApiError::failed(format!("{}: {e}", dir.display()));
            wf_platform::os::create_private_dir(&dir).map_err(failed)?;
            wf_platform::files::write_bytes(&dir.join(&name), &content).map_err(failed)?;
            Ok(ExportFile { sha256: hex(&Sha256::digest(&content)), name, removed: false })
        })
        .await
        .map_err(ApiError::failed)?
    }

    /// Names of files in the exports folder that hold a subject's data: answers to their requests, and reports that
    /// name them.
    pub(crate) async fn exports_about(&self, finder: &Arc<Finder>) -> Result<Vec<String>, ApiError> {
        let (dir, finder) = (self.exports_dir(), finder.clone());
        tokio::task::spawn_blocking(move || {
            let mut names: Vec<String> = Vec::new();
            let entries: Vec<_> = match std::fs::read_dir(&dir) {
                Ok(entries) => entries.flatten().collect(),
                Err(_) => return Ok(names),
            };
            // The JSON of a report or an answer, or the tables in its pack, say all that its PDF says.
            for path in entries.iter().map(std::fs::DirEntry::path) {
                let holds = match path.extension().and_then(|e| e.to_str()) {
                    Some("json") => finder.holds(&std::fs::read_to_string(&path).unwrap_or_default()),
                    Some("zip") => std::fs::read(&path).is_ok_and(|bytes| any_line(&bytes, &|line| finder.holds(line))),
                    _ => false,
                };
                if holds {
                    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
                    names.extend(
                        entries
                            .iter()
                            .filter_map(|e| e.file_name().into_string().ok())
                            .filter(|n| n.rsplit_once('.').is_some_and(|(s, _)| s == stem)),
                    );
                }
            }
            names.sort();
            names.dedup();
            Ok(names)
        })
        .await
        .map_err(ApiError::failed)?
    }

    /// Removes a file from the exports folder, and says so where it is listed.
    pub(crate) async fn remove_export(&self, name: &str) -> Result<(), ApiError> {
        let path = self.exports_dir().join(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(ApiError::failed(format!("{}: {e}", path.display())));
            }
            _ => {}
        }
        let at = self.right_now(wf_model::Actor::Engine);
        for mut k in self.all_records::<KeptReport>(REPORTS, None, 10_000).await? {
            if k.files.iter().any(|f| f.name == name && !f.removed) {
                k.files.iter_mut().filter(|f| f.name == name).for_each(|f| f.removed = true);
                k.version += 1;
                self.keep(vec![record_of(REPORTS, k.number, k.version, false, at.now, &k)?], &at, "report.remove", format!("report:{}", k.number), json!({ "sha256": k.files.iter().filter(|f| f.name == name).map(|f| &f.sha256).collect::<Vec<_>>() })).await?;
            }
        }
        for r in self.all_records::<Request>(REQUESTS, None, 10_000).await? {
            if let Some(o) = r.outcome.as_ref().filter(|o| o.files.iter().any(|f| f.name == name && !f.removed)) {
                let mut o = o.clone();
                o.files.iter_mut().filter(|f| f.name == name).for_each(|f| f.removed = true);
                let r = Request { outcome: Some(o), version: r.version + 1, ..r };
                self.keep_request(&r, &at, "privacy.export.remove").await?;
            }
        }
        Ok(())
    }
}
