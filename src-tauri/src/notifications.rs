//! OS notifications: a fixed template with a sound. No event text in them: it is hostile (threat T12).

use tauri::AppHandle;
use tauri_plugin_notification::NotificationExt as _;
use wf_app::engine::Notifier;
use wf_app::{Notice, NoticeReason, Severity};

pub struct Desktop {
    app: AppHandle,
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
