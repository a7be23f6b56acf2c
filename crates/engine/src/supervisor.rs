//! Tasks with names: watched, restarted with a growing pause, and shown in the health panel.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use wf_model::Timestamp;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A task's life so far. How it failed is data, not a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskHealth {
    pub name: String,
    pub running: bool,
    pub since: Timestamp,
    pub restarts: u32,
    pub last_failure: Option<String>,
}

/// Keeps tasks alive until told to stop.
pub struct Supervisor {
    tasks: Mutex<BTreeMap<String, TaskHealth>>,
    handles: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { tasks: Mutex::default(), handles: Mutex::default(), stop: watch::Sender::new(false) }
    }
}

impl Supervisor {
    /// Becomes true when everything shall end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    pub fn health(&self) -> Vec<TaskHealth> {
        self.tasks.lock().values().cloned().collect()
    }

    pub fn forget(&self, name: &str) {
        self.tasks.lock().remove(name);
    }

    /// Runs what `make` makes, and again whenever it panics, fails or ends before it was told to. `until` ends this
    /// task alone.
    pub fn spawn<F>(self: &Arc<Self>, name: &str, until: watch::Receiver<bool>, make: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let (this, name) = (self.clone(), name.to_owned());
        this.note(&name, |t| t.running = true);
        let mut all = self.stopping();
        let mut until = until;
        let handle = tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let began = tokio::time::Instant::now();
                let ended = tokio::spawn(make()).await;
                if *all.borrow() || *until.borrow() {
                    break;
                }
                let failure = match ended {
                    Ok(Ok(())) => "it ended early".to_owned(),
                    Ok(Err(e)) => e,
                    Err(e) if e.is_panic() => format!("it panicked: {}", panic_text(e.into_panic().as_ref())),
                    Err(_) => "it was cancelled".to_owned(),
                };
                tracing::warn!(task = name, failure, "restarting");
                this.note(&name, |t| {
                    t.running = false;
                    t.restarts += 1;
                    t.last_failure = Some(failure);
                });
                if began.elapsed() > LONGEST_PAUSE {
                    pause = FIRST_PAUSE;
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = told(&mut all) => break,
                    () = told(&mut until) => break,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                this.note(&name, |t| t.running = true);
            }
            this.note(&name, |t| t.running = false);
        });
        let mut handles = self.handles.lock();
        handles.retain(|h| !h.is_finished());
        handles.push(handle);
    }

    fn note(&self, name: &str, f: impl FnOnce(&mut TaskHealth)) {
        let mut tasks = self.tasks.lock();
        let task = tasks.entry(name.to_owned()).or_insert_with(|| TaskHealth {
            name: name.to_owned(),
            running: false,
            since: Timestamp::now(),
            restarts: 0,
            last_failure: None,
        });
        f(task);
        task.since = Timestamp::now();
    }

    /// Begins the end, waits until `deadline`, then ends what still runs by force. `false`: force was needed.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.stop.send_replace(true);
        let handles = std::mem::take(&mut *self.handles.lock());
        let until = tokio::time::Instant::now() + deadline;
        let mut orderly = true;
        for mut handle in handles {
            if tokio::time::timeout_at(until, &mut handle).await.is_err() {
                handle.abort();
                orderly = false;
            }
        }
        orderly
    }
}

/// Waits until the end is asked for, or whoever could ask is gone.
pub async fn told(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|s| *s).await.is_err();
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "without a word".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_task_that_panics_fails_or_ends_is_started_again_and_says_why() {
        let supervisor = Arc::new(Supervisor::default());
        let runs = Arc::new(AtomicU32::new(0));
        let counted = runs.clone();
        let (_keep, never) = watch::channel(false);
        let stop = supervisor.stopping();
        supervisor.spawn("worker", never, move || {
            let n = counted.fetch_add(1, Ordering::SeqCst);
            let mut stop = stop.clone();
            async move {
                match n {
                    0 => panic!("first"),
                    1 => Err("second".to_owned()),
                    _ => {
                        told(&mut stop).await;
                        Ok(())
                    }
                }
            }
        });
        while runs.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        let health = supervisor.health();
        assert_eq!((health[0].restarts, health[0].last_failure.as_deref()), (2, Some("second")));
        assert!(supervisor.stop(Duration::from_secs(5)).await);
        assert!(!supervisor.health()[0].running);
    }
}
