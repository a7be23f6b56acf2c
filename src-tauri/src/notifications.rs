//! OS notifications: a fixed template with a sound. No event text in them: it is hostile (threat T12).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tauri::{AppHandle, Manager as _, Window, WindowEvent};
use tauri_plugin_notification::NotificationExt as _;
use wf_console::Notifier;
use wf_console::{Notice, NoticeReason, Severity};

use crate::console::Console;
use crate::window;

pub struct Desktop {
    app: AppHandle,
}

/// A P1 was told that nobody has looked at yet.
#[derive(Default)]
struct Unseen(AtomicBool);

impl Unseen {
    fn seen(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

pub fn manage(app: &AppHandle) {
    app.manage(Unseen::default());
}

/// Whoever looks at the window has seen what waits.
pub fn on_event(window: &Window, event: &WindowEvent) {
    if let WindowEvent::Focused(true) = event {
        window.app_handle().state::<Unseen>().seen();
    }
}

/// A P1 that nobody looks at is told again this often.
const AGAIN: Duration = Duration::from_secs(60);

/// Tells of a waiting P1 again until somebody looks at the window or nothing of P1 is open any more.
pub async fn repeat(app: &AppHandle) {
    loop {
        tokio::time::sleep(again()).await;
        let waiting = match app.state::<Console>().asked() {
            Ok(c) => c.desk.overview.open_urgent().await.map_or(0, |[p1, _]| p1),
            Err(_) => 0,
        };
        if waiting == 0 {
            app.state::<Unseen>().seen();
        } else if app.state::<Unseen>().0.load(Ordering::SeqCst) {
            Desktop::new(app.clone()).show(
                "P1 Critical: still waiting",
                &format!("{waiting} of P1 are open, and nobody has looked"),
                Severity::P1,
            );
        }
    }
}

/// The tests do not wait a minute.
fn again() -> Duration {
    let quicker = if cfg!(feature = "webdriver") {
        std::env::var("WATCHFLOOR_REPEAT_MS").ok().and_then(|t| t.parse().ok()).map(Duration::from_millis)
    } else {
        None
    };
    quicker.unwrap_or(AGAIN)
}

impl Desktop {
    pub fn new(app: AppHandle) -> Self {
        Self { app }
    }

    fn show(&self, title: &str, body: &str, severity: Severity) {
        // Names of the freedesktop sound theme; other systems play their own sound for a name they do not know.
        let sound = if severity == Severity::P1 { "alarm-clock-elapsed" } else { "dialog-warning" };
        if let Err(e) = self.app.notification().builder().title(title).body(body).sound(sound).show() {
            tracing::warn!(error = %e, "the OS showed no notification");
        }
    }
}

impl Notifier for Desktop {
    fn notify(&self, notice: &Notice) {
        if notice.severity < Severity::P2 {
            return;
        }
        let looked_at = window::has_focus(&self.app);
        if notice.severity == Severity::P1 && !looked_at {
            self.app.state::<Unseen>().0.store(true, Ordering::SeqCst);
        }
        let (title, body) = words(notice);
        self.show(&title, &body, notice.severity);
    }

    fn waiting(&self, p1: u64, p2: u64) {
        let severity = if p1 > 0 { Severity::P1 } else { Severity::P2 };
        self.show("Incidents are waiting", &format!("{p1} of P1 and {p2} of P2 are not resolved"), severity);
    }
}

fn words(n: &Notice) -> (String, String) {
    let title = format!("{} {}: {}", n.severity, n.severity.word(), n.kind.replace('_', " ").to_lowercase());
    let why = match n.reason {
        NoticeReason::New => "new",
        NoticeReason::Recurrence => "it is back",
        NoticeReason::Grew => "it grows",
        NoticeReason::SeverityRaised => "severity raised",
        NoticeReason::Reopened => "reopened",
        NoticeReason::Reminder => "do you still stand by it?",
        NoticeReason::Alarm => "escalation needs you",
    };
    (title, format!("Incident #{}, {why}, count {}", n.number, n.count))
}
