//! One incident, from its first event to its verdict.

use wf_api::ApiError;
use wf_api::views::Millis;
use wf_engine::views::incident_detail;
use wf_evidence::report::{Column, Document};

use crate::reports::*;

impl Reports {
    pub(crate) async fn incident_report(&self, id: &str) -> Result<Document, ApiError> {
        let detail = incident_detail(&self.records.context, id).await?;
        let config = self.records.context.config();
        let said = |t: Millis| config.privacy.said(t.timestamp());
        let between = |begin: Millis, end: Millis| span(end.timestamp().since(begin.timestamp()).as_millis() as f64);
        let i = &detail.incident;
        let mut d = self.records.document(&format!("Incident #{}", i.number), &i.title, None);
        d.heading("What happened");
        let after = |end: Option<Millis>| {
            end.map_or("not yet".to_owned(), |e| format!("{} ({} after detection)", said(e), between(i.detected_at, e)))
        };
        d.pairs(vec![
            ("Severity", i.severity.clone()),
            ("Type", i.kind.clone()),
            (
                "About",
                match (&i.entity_field, &i.entity) {
                    (Some(f), Some(e)) => format!("{e} ({f})"),
                    _ => "no single thing".into(),
                },
            ),
            ("Events that matched", thousands(i.count)),
            ("First and last event", format!("{} to {}", said(i.first_seen), said(i.last_seen))),
            (
                "Detected",
                format!("{} ({} after the first event)", said(i.detected_at), between(i.first_seen, i.detected_at)),
            ),
            (
                "Acknowledged",
                i.acknowledged_by
                    .as_ref()
                    .map_or_else(|| after(i.acknowledged_at), |by| format!("{} by {by}", after(i.acknowledged_at))),
            ),
            (
                "Resolved",
                i.resolved_by
                    .as_ref()
                    .map_or_else(|| after(i.resolved_at), |by| format!("{} by {by}", after(i.resolved_at))),
            ),
            ("Verdict", i.verdict.clone().unwrap_or_else(|| "none yet".into()).replace('_', " ")),
            ("Owner", i.owner.clone().unwrap_or_else(|| "nobody".into())),
        ]);
        d.heading("Why we think so");
        d.pairs(vec![
            ("Rule", format!("{} ({})", i.rule_title, i.rule)),
            ("Author", detail.rule_author.clone().unwrap_or_else(|| "ships with Watchfloor".into())),
            ("Feeds", i.feeds.join(", ")),
        ]);
        let rows = detail
            .evidence
            .iter()
            .map(|e| {
                vec![
                    said(e.at),
                    e.feed.clone(),
                    [&e.action, &e.who, &e.source, &e.what]
                        .into_iter()
                        .filter(|t| !t.is_empty())
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(" · "),
                ]
            })
            .collect();
        d.table(
            "evidence",
            "The first and the last events that contributed.",
            vec![Column::new("when", 2.2), Column::new("feed", 1.2), Column::new("event", 6.0)],
            rows,
            60,
            "The events are not stored any more.",
        );
        d.heading("What was done");
        let rows = detail
            .timeline
            .iter()
            .map(|t| {
                vec![
                    said(t.at),
                    t.operator.clone().unwrap_or_else(|| "Watchfloor".into()),
                    t.kind.replace('_', " "),
                    t.text.clone(),
                ]
            })
            .collect();
        d.table(
            "timeline",
            "",
            vec![Column::new("when", 2.2), Column::new("who", 1.6), Column::new("what", 1.4), Column::new("", 5.0)],
            rows,
            300,
            "",
        );
        d.heading("Who was told");
        let rows = detail
            .receipts
            .iter()
            .map(|r| {
                vec![
                    said(r.created_at),
                    r.channel.clone(),
                    r.person.clone().unwrap_or_default(),
                    r.purpose.clone(),
                    r.state.clone(),
                    r.delivered_at.map(said).unwrap_or_default(),
                    r.error.clone().unwrap_or_default(),
                ]
            })
            .collect();
        d.table(
            "messages",
            "",
            vec![
                Column::new("owed", 2.0),
                Column::new("over", 1.2),
                Column::new("to", 1.4),
                Column::new("why", 1.2),
                Column::new("state", 1.2),
                Column::new("arrived", 2.0),
                Column::new("", 2.0),
            ],
            rows,
            200,
            "Nobody was told outside this console.",
        );
        let rows: Vec<Vec<String>> = detail
            .related
            .iter()
            .map(|r| {
                vec![
                    format!("#{}", r.number),
                    said(r.detected_at),
                    r.title.clone(),
                    r.state.clone(),
                    r.verdict.clone().unwrap_or_default().replace('_', " "),
                ]
            })
            .collect();
        d.heading("Others about the same");
        d.table(
            "related",
            "",
            vec![
                Column::number("no."),
                Column::new("detected", 2.2),
                Column::new("what", 5.0),
                Column::new("state", 1.4),
                Column::new("verdict", 1.4),
            ],
            rows,
            50,
            "There are none.",
        );
        Ok(d)
    }
}
