//! What takes long: one at a time, with how far it is, and a way to end it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use wf_api::views::JobView;

/// What is under way.
#[derive(Default)]
pub struct Work {
    /// One change after the other.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// One long work at a time.
    pub(crate) working: tokio::sync::Mutex<()>,
    job: Mutex<Option<Job>>,
}

struct Job {
    view: JobView,
    cancel: Arc<AtomicBool>,
}

impl Work {
    pub(crate) fn begin(&self, what: &str) -> Arc<AtomicBool> {
        let cancel = Arc::new(AtomicBool::new(false));
        *self.job.lock() =
            Some(Job { view: JobView { what: what.to_owned(), done: 0, total: 0 }, cancel: cancel.clone() });
        cancel
    }

    pub(crate) fn says(&self, what: &str, done: u64, total: u64) {
        if let Some(job) = self.job.lock().as_mut() {
            job.view = JobView { what: what.to_owned(), done, total };
        }
    }

    pub(crate) fn end(&self) {
        *self.job.lock() = None;
    }

    /// What is being done right now, and how far it is.
    pub fn job(&self) -> Option<JobView> {
        self.job.lock().as_ref().map(|j| j.view.clone())
    }

    /// What is being done ends at its next step, where it can end without harm.
    pub fn cancel(&self) {
        if let Some(job) = self.job.lock().as_ref() {
            job.cancel.store(true, Ordering::Relaxed);
        }
    }
}
