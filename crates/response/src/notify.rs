//! The messages an incident owes, written down when it is decided to send them.

use wf_model::{Destination, Incident, Notification, NotificationState, Page, Purpose, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use crate::Plan;
use crate::draft::Draft;

/// Which step asks for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub step: Option<u32>,
    pub round: u32,
}

/// Owes one message to each of these places.
pub(crate) fn owe(
    draft: &mut Draft,
    plan: &Plan,
    purpose: Purpose,
    asked: Asked,
    to: &[Destination],
    remarks: &[String],
) {
    for place in to {
        let i = &draft.incident;
        let mut page = page(i, remarks);
        if purpose.asks() {
            // In a room that several share, the account that answers says who it was.
            page.code = Some(plan.code(&i.id.0, i.version, place.person.as_deref().unwrap_or(&place.channel)));
        }
        let notification = Notification {
            key: format!(
                "{}.{}.{purpose}.{}.{}.{:016x}",
                i.id,
                i.version,
                asked.step.unwrap_or(0),
                asked.round,
                xxh3_64(format!("{}\0{}", place.channel, place.address).as_bytes())
            ),
            incident: Some(i.id.clone()),
            purpose,
            severity: i.severity,
            step: asked.step,
            round: asked.round,
            to: place.clone(),
            page,
            created_at: draft.now,
            due_at: plan.not_before(place, i.severity, draft.now),
            state: NotificationState::Queued,
            attempts: 0,
            attempted_at: None,
            delivered_at: None,
            provider_id: None,
            error: None,
            possible_duplicate: false,
        };
        // Two people who share a telephone get one message.
        if draft.changes.notifications.iter().any(|n| n.key == notification.key) {
            continue;
        }
        draft.changes.notifications.push(notification);
        if !draft.incident.handling.told.iter().any(|t| t.channel == place.channel && t.address == place.address) {
            draft.incident.handling.told.push(place.clone());
        }
    }
}

/// Whoever was told is told how it goes on. The store leaves out whoever was never actually sent anything.
pub(crate) fn follow(draft: &mut Draft, plan: &Plan, purpose: Purpose, remark: String) {
    let told = draft.incident.handling.told.clone();
    owe(draft, plan, purpose, Asked::default(), &told, &[remark]);
}

fn page(i: &Incident, remarks: &[String]) -> Page {
    Page {
        number: i.number,
        version: i.version,
        thread: i.id.0.clone(),
        title: i.title(),
        kind: i.kind.clone(),
        rule: i.rule_title.clone(),
        entity: i.entity.as_ref().map(|e| e.value.clone()).unwrap_or_default(),
        entity_field: i.entity.as_ref().map(|e| e.field.clone()).unwrap_or_default(),
        count: i.count,
        detected_at: i.detected_at,
        remarks: remarks.to_vec(),
        code: None,
    }
}

/// A message about no incident: a test of a channel, a digest, an alarm about escalation itself.
pub fn about_itself(
    key: String,
    purpose: Purpose,
    severity: wf_model::Severity,
    to: Destination,
    now: Timestamp,
    title: String,
    remarks: Vec<String>,
) -> Notification {
    Notification {
        page: Page {
            thread: key.clone(),
            title,
            kind: purpose.as_str().to_uppercase(),
            detected_at: now,
            remarks,
            ..Page::default()
        },
        key,
        incident: None,
        purpose,
        severity,
        step: None,
        round: 0,
        to,
        created_at: now,
        due_at: now,
        state: NotificationState::Queued,
        attempts: 0,
        attempted_at: None,
        delivered_at: None,
        provider_id: None,
        error: None,
        possible_duplicate: false,
    }
}

/// One message for a place that asked to be spared many: the gravest first, everything named. A message of its own,
/// with a key of its own.
pub fn coalesce(now: Timestamp, waiting: &[&Notification]) -> Notification {
    let mut waiting: Vec<&Notification> = waiting.to_vec();
    waiting.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| a.created_at.cmp(&b.created_at)).then_with(|| a.key.cmp(&b.key))
    });
    let keys: String = waiting.iter().map(|n| n.key.as_str()).collect();
    let key = format!("together.{:016x}", xxh3_64(keys.as_bytes()));
    let worst = waiting.first().map_or(wf_model::Severity::P4, |n| n.severity);
    let to = waiting.first().map(|n| n.to.clone()).unwrap_or_else(|| Destination {
        channel: String::new(),
        address: String::new(),
        person: None,
    });
    let named = waiting.iter().take(20).map(|n| format!("{} #{}: {}", n.severity, n.page.number, n.page.title));
    let mut remarks: Vec<String> = named.collect();
    if waiting.len() > 20 {
        remarks.push(format!("and {} more", waiting.len() - 20));
    }
    about_itself(key, Purpose::Trigger, worst, to, now, format!("{} incidents need you", waiting.len()), remarks)
}

/// Whoever is asked anew is not told besides that it is back.
pub(crate) fn once_each(draft: &mut Draft) {
    let asked: Vec<Destination> =
        draft.changes.notifications.iter().filter(|n| n.purpose == Purpose::Trigger).map(|n| n.to.clone()).collect();
    draft.changes.notifications.retain(|n| {
        n.purpose != Purpose::Reopened || !asked.iter().any(|a| a.channel == n.to.channel && a.address == n.to.address)
    });
}
