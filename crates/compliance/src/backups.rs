//! Backups: by hand and on a schedule, each read back before it gets its name.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wf_api::ApiError;
use wf_config::schema::Backup;
use wf_model::{Actor, Timestamp};

use crate::audit;
use crate::records::Records;

const PREFIX: &str = "watchfloor-";
const SUFFIX: &str = ".db";

/// Makes backups.
pub struct Backups {
    pub(crate) records: Arc<Records>,
    /// One at a time.
    pub(crate) making: tokio::sync::Mutex<()>,
}

impl Backups {
    /// A copy of the whole database, encrypted with the same key and read back, its audit log included.
    pub async fn make(&self, to: &Path) -> Result<serde_json::Value, ApiError> {
        self.records.context.may_change()?;
        let _one = self.making.lock().await;
        self.copy(to, self.records.context.operator()).await
    }

    async fn copy(&self, to: &Path, by: Actor) -> Result<serde_json::Value, ApiError> {
        self.records.context.store().backup(to, audit::proves_itself).await?;
        let bytes = std::fs::metadata(to).map(|m| m.len()).unwrap_or_default();
        let at = self.records.right_now(by);
        self.records.keep(Vec::new(), &at, "backup.make", "backup".into(), json!({ "bytes": bytes })).await?;
        Ok(json!({ "file": to, "bytes": bytes }))
    }

    /// Makes the scheduled one if it is due, beside whoever asks.
    pub(crate) fn due(self: &Arc<Self>, now: Timestamp) {
        let Some(settings) = self.records.context.config().backup.clone() else { return };
        let this = self.clone();
        tokio::spawn(async move {
            let Ok(_one) = this.making.try_lock() else { return };
            let problem = this.scheduled(&settings, now).await.err();
            if let Some(e) = &problem {
                tracing::error!(error = e.message, "the scheduled backup");
            }
            let sentence = problem.map(|e| format!("the scheduled backup was not made: {}", e.message));
            this.records.context.state.set_problems("backup", sentence.into_iter().collect());
        });
    }

    async fn scheduled(&self, settings: &Backup, now: Timestamp) -> Result<(), ApiError> {
        let folder = settings.to.clone();
        let held = tokio::task::spawn_blocking(move || {
            wf_platform::os::create_private_dir(&folder)?;
            made(&folder)
        })
        .await
        .map_err(ApiError::failed)?
        .map_err(|e| ApiError::failed(format!("{}: {e}", settings.to.display())))?;
        if !is_due(&held, now, settings.every) {
            return Ok(());
        }
        self.copy(&settings.to.join(name_of(now)), Actor::Engine).await?;
        // The one just made is not in the list.
        let surplus = (held.len() + 1).saturating_sub(settings.keep as usize);
        for (_, old) in held.into_iter().take(surplus) {
            std::fs::remove_file(&old).map_err(|e| ApiError::failed(format!("{}: {e}", old.display())))?;
        }
        Ok(())
    }
}

/// Whether none of them was made lately. One that a clock made which was ahead neither puts the next one off nor has
/// one made each minute.
fn is_due(held: &[(Timestamp, PathBuf)], now: Timestamp, every: Duration) -> bool {
    !held.iter().any(|(at, _)| *at <= now && now.since(*at) < every)
}

fn name_of(at: Timestamp) -> String {
    format!("{PREFIX}{}{SUFFIX}", at.rfc3339().replace([':', '.'], "-"))
}

/// The scheduled backups in a folder, the oldest first, by when they were written.
fn made(folder: &Path) -> std::io::Result<Vec<(Timestamp, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX));
        if ours && entry.file_type()?.is_file() {
            let at = entry.metadata()?.modified()?;
            let millis = at.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
            found.push((Timestamp::from_millis(millis), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_due_by_its_age_and_a_clock_that_jumped_back_does_not_put_it_off() {
        let (day, now) = (Duration::from_secs(86_400), Timestamp::from_millis(10 * 86_400_000));
        let made = |at: &[Timestamp]| at.iter().map(|at| (*at, PathBuf::new())).collect::<Vec<_>>();
        let hour = Duration::from_secs(3600);
        assert!(is_due(&[], now, day) && is_due(&made(&[now - day]), now, day));
        assert!(!is_due(&made(&[now - hour]), now, day));
        assert!(is_due(&made(&[now - day, now + day]), now, day), "written by a clock that was ahead");
        assert!(!is_due(&made(&[now - hour, now + day]), now, day), "and yet not one each minute");
    }

    #[test]
    fn only_our_own_files_are_counted_and_deleted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["watchfloor-2026-01-01T00-00-00Z.db", "watchfloor-x.db.part", "notes.txt", "other.db"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(dir.path().join("watchfloor-folder.db")).unwrap();
        assert_eq!(made(dir.path()).unwrap().len(), 1);
    }
}
