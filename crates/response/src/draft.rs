//! One incident on its way to its next version, with the traces that the change leaves.

use serde_json::{Value, json};
use wf_model::{Actor, AuditAction, EntryKind, Incident, Notice, NoticeReason, TimelineEntry, Timestamp};

use crate::Changes;

pub(crate) struct Draft {
    pub now: Timestamp,
    pub incident: Incident,
    pub changes: Changes,
}

impl Draft {
    /// The next version of an incident.
    pub fn of(now: Timestamp, incident: &Incident) -> Self {
        let mut incident = incident.clone();
        incident.version += 1;
        Self { now, incident, changes: Changes::default() }
    }

    /// The first version of a new one.
    pub fn new(now: Timestamp, incident: Incident) -> Self {
        Self { now, incident, changes: Changes::default() }
    }

    pub fn entry(&mut self, actor: &Actor, kind: EntryKind, text: String) {
        self.changes.timeline.push(TimelineEntry {
            incident: self.incident.id.clone(),
            version: self.incident.version,
            ordinal: self.changes.timeline.len() as u32,
            at: self.now,
            actor: actor.clone(),
            kind,
            text,
        });
    }

    /// One notice an incident and change: the first reason if it is that the incident is new, else the last.
    pub fn notice(&mut self, reason: NoticeReason) {
        let i = &self.incident;
        let notice = Notice {
            incident: i.id.clone(),
            number: i.number,
            severity: i.severity,
            kind: i.kind.clone(),
            count: i.count,
            reason,
        };
        match self.changes.notices.first_mut() {
            Some(earlier) => {
                let first = earlier.reason;
                *earlier = notice;
                if matches!(first, NoticeReason::New | NoticeReason::Recurrence) {
                    earlier.reason = first;
                }
            }
            None => self.changes.notices.push(notice),
        }
    }

    pub fn audit(&mut self, actor: &Actor, action: &str, mut payload: Value) {
        payload["number"] = json!(self.incident.number);
        payload["count"] = json!(self.incident.count);
        self.changes.audit.push(AuditAction {
            at: self.now,
            actor: actor.clone(),
            action: action.into(),
            subject: format!("incident:{}", self.incident.id),
            payload,
        });
    }

    /// What was asked of people about it and not sent yet is owed no longer.
    pub fn withdraw(&mut self) {
        self.changes.withdraw.push(self.incident.id.clone());
    }

    pub fn finish(self) -> Changes {
        let mut changes = self.changes;
        changes.incidents.push(self.incident);
        changes
    }
}
