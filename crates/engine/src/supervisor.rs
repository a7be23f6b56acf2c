//! Tasks with names: watched, restarted with a growing pause, and shown in the health panel.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use wf_model::Timestamp;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A task that is ended by force ends at its next wait; one that does not wait is given up after this.
const FORCE: Duration = Duration::from_secs(2);

/// A task's life so far. How it failed is data, not a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskHealth {
    pub name: String,
    pub running: bool,
    pub since: Timestamp,
    pub restarts: u32,
    pub last_failure: Option<String>,
}

impl TaskHealth {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), running: true, since: Timestamp::now(), restarts: 0, last_failure: None }
    }
}

/// Keeps tasks alive until told to stop.
pub struct Supervisor {
    /// With the number of the task that speaks under this name: what an older one still says does not count.
    tasks: Mutex<BTreeMap<String, (u64, TaskHealth)>>,
    started: AtomicU64,
    handles: Mutex<Vec<JoinHandle<()>>>,
    stop: watch::Sender<bool>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self {
            tasks: Mutex::default(),
            started: AtomicU64::new(0),
            handles: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }
}

impl Supervisor {
    /// Becomes true when everything shall end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    pub fn health(&self) -> Vec<TaskHealth> {
        self.tasks.lock().values().map(|(_, health)| health.clone()).collect()
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
        let number = this.started.fetch_add(1, Ordering::Relaxed);
        this.tasks.lock().insert(name.clone(), (number, TaskHealth::new(&name)));
        let mut all = self.stopping();
        let mut until = until;
        let handle = tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let began = tokio::time::Instant::now();
                // In this very task, so that what is ended by force is the work itself and not somebody who watches it.
                let ended = AssertUnwindSafe(make()).catch_unwind().await;
                if *all.borrow() || *until.borrow() {
                    break;
                }
                let failure = match ended {
                    Ok(Ok(())) => "it ended early".to_owned(),
                    Ok(Err(e)) => e,
                    Err(panic) => format!("it panicked: {}", panic_text(panic.as_ref())),
                };
                tracing::warn!(task = name, failure, "restarting");
                this.note(&name, number, |t| {
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
                this.note(&name, number, |t| t.running = true);
            }
            this.note(&name, number, |t| t.running = false);
        });
        let mut handles = self.handles.lock();
        handles.retain(|h| !h.is_finished());
        handles.push(handle);
    }

    fn note(&self, name: &str, number: u64, f: impl FnOnce(&mut TaskHealth)) {
        if let Some((_, task)) = self.tasks.lock().get_mut(name).filter(|(n, _)| *n == number) {
            f(task);
            task.since = Timestamp::now();
        }
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
                // Until it is really gone: whoever stops closes the store next.
                let _gone = tokio::time::timeout(FORCE, handle).await.is_ok();
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
    use std::sync::atomic::AtomicU32;

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

    #[tokio::test]
    async fn a_task_that_does_not_end_in_time_is_ended_and_does_no_more() {
        let supervisor = Arc::new(Supervisor::default());
        let turns = Arc::new(AtomicU32::new(0));
        let counted = turns.clone();
        let (_keep, never) = watch::channel(false);
        supervisor.spawn("deaf", never, move || {
            let counted = counted.clone();
            async move {
                loop {
                    counted.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
            }
        });
        while turns.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        assert!(!supervisor.stop(Duration::ZERO).await, "force was needed");
        let at_the_end = turns.load(Ordering::SeqCst);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(turns.load(Ordering::SeqCst), at_the_end, "what was ended by force goes on");
    }

    #[tokio::test]
    async fn what_a_forgotten_task_still_says_is_not_taken_for_its_successor() {
        let supervisor = Arc::new(Supervisor::default());
        let begin = |until: watch::Receiver<bool>| {
            supervisor.spawn("feed a", until, || async {
                std::future::pending::<()>().await;
                Ok(())
            });
        };
        let (stop_old, old) = watch::channel(false);
        let (_keep, new) = watch::channel(false);
        begin(old);
        stop_old.send_replace(true);
        supervisor.forget("feed a");
        begin(new);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(supervisor.health()[0].running, "{:?}", supervisor.health());
    }
}
