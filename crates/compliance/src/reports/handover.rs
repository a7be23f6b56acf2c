//! The shift handover: what the next officer must know, and what will not wait for them.

use std::time::Duration;

use wf_api::ApiError;
use wf_api::views::*;
use wf_engine::views::feeds_view;
use wf_evidence::report::{Column, Document, Figure};
use wf_model::{IncidentState, Severity, Timestamp};
use wf_response::metrics::{self, Handled};
use wf_response::readiness;

use crate::reports::*;

const SHIFT: Duration = Duration::from_secs(12 * 3600);
/// What runs out within this is named.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

impl Reports {
    pub(crate) async fn handover_report(&self, period: &Period, last_hours: bool) -> Result<Document, ApiError> {
        let (config, now, plan, store) = (
            self.records.context.config(),
            self.records.context.now(),
            self.records.context.plan(),
            self.records.context.store(),
        );
        let said = |t: Timestamp| config.privacy.said(t);
        let (from, to) = if last_hours { (now - SHIFT, now) } else { (period.from, period.to.min(now)) };
        let mut d = self.records.document("Shift handover", &format!("{} to {}", said(from), said(to)), None);
        let incidents: Vec<_> = store.incidents_since(from).await?.into_iter().filter(|i| i.detected_at < to).collect();
        let first = store.first_actions(from).await?;
        let handled = Handled::all(&incidents, &first);
        let m = metrics::metrics(now, &handled).into_iter().next().unwrap_or_default();
        let live = self.records.context.ledger.look(|book| book.live().cloned().collect::<Vec<_>>());
        let open = |s: Severity| live.iter().filter(|i| i.severity == s).count();
        d.heading("Now");
        d.figures(vec![
            Figure::new("P1 open", open(Severity::P1), "", open(Severity::P1) > 0),
            Figure::new("P2 open", open(Severity::P2), "", false),
            Figure::new(
                "In this shift",
                incidents.len(),
                format!("{} resolved", incidents.iter().filter(|i| i.state == IncidentState::Resolved).count()),
                false,
            ),
            Figure::new(
                "Acknowledged in time",
                percent(m.sla_met, m.sla_met + m.sla_missed),
                if m.acknowledge.n > 0 { format!("median {}", span(m.acknowledge.median)) } else { String::new() },
                m.sla_missed > 0,
            ),
        ]);
        let mut grave: Vec<_> = live.iter().filter(|i| i.severity >= Severity::P2).collect();
        grave.sort_by_key(|i| (std::cmp::Reverse(i.severity), i.number));
        let rows = grave.iter().map(|i| {
            let v = IncidentView::of(i, &plan);
            vec![
                format!("#{}", i.number),
                i.severity.to_string(),
                i.title(),
                span(now.since(i.detected_at).as_millis() as f64),
                i.state.to_string(),
                v.owner.unwrap_or_else(|| "nobody".into()),
                v.next
                    .map(|n| format!("{} at {}", n.text, said(n.at.timestamp())))
                    .unwrap_or_else(|| "nothing by itself".into()),
            ]
        });
        d.table(
            "open",
            "Open P1 and P2, with what happens next.",
            vec![
                Column::number("no."),
                Column::new("", 0.5),
                Column::new("what", 4.0),
                Column::new("age", 1.0),
                Column::new("state", 1.3),
                Column::new("owner", 1.4),
                Column::new("next", 3.4),
            ],
            rows.collect(),
            100,
            "No P1 or P2 is open.",
        );
        d.heading("What runs out within a day");
        let mut rows: Vec<(Timestamp, Vec<String>)> = Vec::new();
        for i in &live {
            for (what, at) in [("acknowledgement", i.handling.acknowledged_until), ("snooze", i.handling.snoozed_until)]
            {
                if let Some(at) = at.filter(|t| *t <= now + AHEAD) {
                    rows.push((
                        at,
                        vec![
                            said(at),
                            format!("{what} of #{}", i.number),
                            i.title(),
                            i.handling.owner.clone().or_else(|| i.acknowledged_by.clone()).unwrap_or_default(),
                        ],
                    ));
                }
            }
        }
        for s in store.silences(1000).await?.into_iter().filter(|s| !s.closed && s.until <= now + AHEAD) {
            rows.push((s.until, vec![said(s.until), "silence".into(), s.reason.clone(), s.author.clone()]));
        }
        rows.sort_by_key(|r| r.0);
        d.table(
            "running-out",
            "",
            vec![Column::new("when", 2.2), Column::new("what", 2.4), Column::new("", 5.0), Column::new("who", 1.6)],
            rows.into_iter().map(|r| r.1).collect(),
            100,
            "Nothing runs out within a day.",
        );
        d.heading("Privacy deadlines");
        let breaches = self.breaches.all().await?;
        let rows: Vec<Vec<String>> = breaches
            .iter()
            .filter(|b| b.runs)
            .map(|b| {
                vec![
                    b.due.map(|t| said(t.timestamp())).unwrap_or_default(),
                    format!("breach #{}", b.breach.number),
                    b.breach.title.clone(),
                ]
            })
            .chain(self.requests.all().await?.iter().filter(|r| r.open && r.days_left <= 7).map(|r| {
                vec![
                    r.due.clone(),
                    format!("request #{}", r.request.number),
                    format!("{}, {}{}", r.request.kind, r.request.state, if r.late { ", LATE" } else { "" }),
                ]
            }))
            .collect();
        d.table(
            "privacy",
            "The 72 hours of breaches, and requests due within a week.",
            vec![Column::new("due", 2.2), Column::new("what", 1.6), Column::new("", 5.0)],
            rows,
            100,
            "No privacy deadline is near.",
        );
        d.heading("Blind spots");
        let feeds = feeds_view(&self.records.context, self.running.as_ref()).await?;
        let mut blind: Vec<Vec<String>> = feeds
            .feeds
            .iter()
            .filter(|f| !matches!(f.state.as_str(), "live" | "disabled" | "removed"))
            .map(|f| vec![f.name.clone(), format!("{} since {}", f.state, said(f.since.timestamp())), f.detail.clone()])
            .collect();
        blind.extend(feeds.gaps.iter().filter(|g| g.to.timestamp() >= from).map(|g| {
            vec![
                g.feed.clone(),
                format!("gap from {} to {}", said(g.from.timestamp()), said(g.to.timestamp())),
                g.reason.clone(),
            ]
        }));
        d.table(
            "blind-spots",
            "Feeds that are down, and gaps in this shift.",
            vec![Column::new("feed", 1.4), Column::new("since", 4.0), Column::new("why", 3.0)],
            blind,
            100,
            "Every feed is live, and none had a gap.",
        );
        let (plan, now) = (self.records.context.plan(), self.records.context.now());
        let set_up = plan.is_set_up();
        let sentences = tokio::task::spawn_blocking(move || readiness::sentences(&plan, now)).await;
        let rows: Vec<Vec<String>> = sentences.map_err(ApiError::failed)?.into_iter().map(|s| vec![s]).collect();
        d.table(
            "readiness",
            "Who could not be reached.",
            vec![Column::new("", 1.0)],
            rows,
            40,
            if set_up { "Everybody can be reached." } else { "Escalation is not set up." },
        );
        let rows: Vec<Vec<String>> = incidents
            .iter()
            .filter(|i| i.severity >= Severity::P2 && i.state == IncidentState::Resolved)
            .map(|i| {
                vec![
                    format!("#{}", i.number),
                    i.title(),
                    i.verdict.map(|v| v.as_str().replace('_', " ")).unwrap_or_default(),
                    i.resolved_by.clone().unwrap_or_default(),
                ]
            })
            .collect();
        d.heading("Closed in this shift");
        d.table(
            "closed",
            "P1 and P2.",
            vec![Column::number("no."), Column::new("what", 5.0), Column::new("verdict", 1.4), Column::new("by", 1.4)],
            rows,
            100,
            "None was closed.",
        );
        Ok(d)
    }
}
