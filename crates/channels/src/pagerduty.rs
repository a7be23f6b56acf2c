//! PagerDuty Events v2. One alert an incident, by `dedup_key`: repeats fold into it there, and its own ladder goes on
//! while this computer sleeps.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use wf_model::{Notification, Purpose, Severity};

use crate::config::Pagerduty;
use crate::text::{cut, facts, headline, inert, remarks};
use crate::{Channel, Outcome, http};

/// Longer events are refused.
const MOST: usize = 512 << 10;

pub async fn send(c: &Pagerduty, channel: &Channel, n: &Notification) -> Result<Outcome, Outcome> {
    let key = channel.secret(&c.routing_key).await?;
    let body = message(n, key.expose_secret()).to_string();
    let url = format!("{}/v2/enqueue", c.url.trim_end_matches('/'));
    let answer = http::ask(http::client()?.post(url).header("content-type", "application/json").body(body)).await?;
    Ok(outcome(&answer))
}

fn message(n: &Notification, routing_key: &str) -> Value {
    let action = match n.purpose {
        Purpose::Acknowledged => "acknowledge",
        Purpose::Resolved => "resolve",
        Purpose::Trigger
        | Purpose::Grew
        | Purpose::Reopened
        | Purpose::Reminder
        | Purpose::Alarm
        | Purpose::Digest
        | Purpose::Test
        | Purpose::Act
        | Purpose::Undo => "trigger",
    };
    let dedup = cut(&n.page.thread, 255);
    if action != "trigger" {
        return json!({ "routing_key": routing_key, "event_action": action, "dedup_key": dedup });
    }
    let severity = match n.severity {
        Severity::P1 => "critical",
        Severity::P2 => "error",
        Severity::P3 => "warning",
        Severity::P4 => "info",
    };
    let mut details: Map<String, Value> =
        facts(n).into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    details.insert("remarks".into(), remarks(n).into());
    let mut event = json!({
        "routing_key": routing_key, "event_action": action, "dedup_key": dedup, "client": "Watchfloor",
        "payload": {
            "summary": cut(&headline(n), 1024),
            "source": if n.page.entity.is_empty() { "watchfloor".into() } else { cut(&inert(&n.page.entity), 255) },
            "severity": severity,
            "timestamp": n.page.detected_at.rfc3339(),
            "component": cut(&inert(&n.page.entity_field), 255),
            "class": cut(&inert(&n.page.kind), 255),
            "custom_details": details,
        },
    });
    if event.to_string().len() > MOST {
        event["payload"]["custom_details"] = json!({ "truncated": true });
    }
    event
}

pub(crate) fn outcome(answer: &http::Answer) -> Outcome {
    match answer.status {
        202 => Outcome::Delivered { id: answer.json()["dedup_key"].as_str().map(str::to_owned) },
        // Not taken in, says the documentation: it can be sent again without a doubt.
        429 => Outcome::Retry { reason: answer.sentence(), after: answer.retry_after(), maybe_sent: false },
        400 => Outcome::Refused {
            reason: answer.sentence(),
            channel: answer.body.contains("routing_key") || answer.body.contains("routing key"),
        },
        _ => answer.outcome(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{hostile, notification};

    #[test]
    fn one_incident_is_one_alert_from_trigger_to_resolve() {
        let mut n = notification();
        let trigger = message(&n, "R");
        n.purpose = Purpose::Acknowledged;
        let acknowledge = message(&n, "R");
        n.purpose = Purpose::Resolved;
        let resolve = message(&n, "R");
        assert_eq!(
            [&trigger["event_action"], &acknowledge["event_action"], &resolve["event_action"]],
            ["trigger", "acknowledge", "resolve"]
        );
        assert!(
            trigger["dedup_key"] == acknowledge["dedup_key"]
                && trigger["dedup_key"] == resolve["dedup_key"]
                && trigger["dedup_key"] != ""
        );
        assert_eq!(trigger["payload"]["severity"], "critical");
    }

    #[test]
    fn it_stays_below_the_limits_whatever_the_event_says() {
        let mut n = hostile();
        n.page.title = "\u{1f525}".repeat(5000);
        n.page.remarks = vec!["x".repeat(10_000); 100];
        let m = message(&n, "R");
        assert!(m["payload"]["summary"].as_str().unwrap().chars().count() <= 1024 && m.to_string().len() <= MOST);
    }
}
