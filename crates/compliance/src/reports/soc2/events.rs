//! Section 3: how many events came in, each of them as a line of the pack, and how long they are kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use wf_api::ApiError;
use wf_evidence::report::chart::{self, Series};
use wf_evidence::report::{Column, Document, csv};
use wf_store::events::{Exact, Quick, StoredEvent};

use super::{Collected, Files};
use crate::reports::*;

impl Reports {
    /// `whole`: with the extract that only the pack holds, until that says that it is no longer wanted.
    pub(super) async fn soc2_events(
        &self,
        d: &mut Document,
        files: &mut Files,
        c: &Collected<'_>,
        whole: Option<&Arc<AtomicBool>>,
    ) -> Result<(), ApiError> {
        d.heading("3  Security event logs");
        let per: Vec<Option<f64>> = c
            .buckets
            .iter()
            .map(|b| {
                Some(c.rates.iter().filter(|r| r.from >= b.from && r.from < b.to).map(|r| r.total).sum::<u64>() as f64)
            })
            .collect();
        d.chart(
            "Events received",
            chart::stacked(&c.labels, &[Series { name: "events".into(), colour: chart::ACCENT, values: per }], ""),
        );
        d.text(format!(
            "{} events occurred in the period. Those that are still stored are listed in events.csv: \
            when, from which feed, what, who, from where, and the incident it belongs to; without the words they \
            came in with.",
            thousands(c.events())
        ));
        if let Some(cancel) = whole {
            let (bytes, n) = self.event_extract(c.period, cancel).await?;
            files.push(("events.csv".to_owned(), bytes));
            d.text(format!("events.csv has {} lines.", thousands(n)));
        }
        let retention = &c.config.retention;
        d.table(
            "retention-policy",
            "How long each class of data is kept.",
            vec![Column::new("class", 2.0), Column::new("kept for", 2.0)],
            wf_privacy::retention::Class::ALL
                .iter()
                .map(|c| vec![c.to_string(), retention.period(*c).to_string()])
                .collect(),
            20,
            "",
        );
        Ok(())
    }

    /// Every stored event of the period as a line, without the words it came in with.
    async fn event_extract(&self, period: &Period, cancel: &Arc<AtomicBool>) -> Result<(Vec<u8>, u64), ApiError> {
        let (from, to) = (period.from, period.to);
        let quick: Quick = Arc::new(|_: &str| true);
        let rows: Arc<Mutex<BTreeMap<u64, Vec<[String; 9]>>>> = Arc::default();
        // Lines are made where the event is read; only they are kept.
        let lines = rows.clone();
        let exact: Exact = Arc::new(move |e: &StoredEvent| {
            if e.occurred_at < from || e.occurred_at >= to {
                return false;
            }
            let field = |names: &[&str]| {
                names
                    .iter()
                    .find_map(|n| e.fields.get(*n))
                    .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                    .unwrap_or_default()
            };
            let row = [
                e.seq.0.to_string(),
                e.occurred_at.rfc3339(),
                e.received_at.rfc3339(),
                e.feed.to_string(),
                field(&["event.action"]),
                field(&["user.name", "user.id", "user.email"]),
                field(&["source.ip"]),
                field(&["watchfloor.severity"]),
                field(&["watchfloor.incident"]),
            ];
            lines.lock().entry(e.seq.0 >> 12).or_default().push(row);
            false
        });
        let what = "Collecting events";
        let sifted = self
            .records
            .context
            .store()
            .sift(&quick, &exact, cancel, |p| self.records.work.says(what, p.looked_at, p.total), |_| {})
            .await?;
        if sifted.cancelled {
            return Err(ApiError::new(wf_api::ErrorCode::Refused, "cancelled"));
        }
        if let Some(damage) = sifted.damaged.first() {
            // An extract that leaves something out is no evidence.
            return Err(ApiError::failed(format!("the extract would not be complete: {damage}")));
        }
        drop(exact);
        tokio::task::spawn_blocking(move || {
            let mut rows: Vec<[String; 9]> = std::mem::take(&mut *rows.lock()).into_values().flatten().collect();
            rows.sort_by_key(|r| r[0].parse::<u64>().unwrap_or_default());
            let n = rows.len() as u64;
            (
                csv::rows(
                    ["seq", "occurred_at", "received_at", "feed", "action", "who", "source", "severity", "incident"],
                    rows.iter().map(|r| r.iter().map(String::as_str)),
                ),
                n,
            )
        })
        .await
        .map_err(ApiError::failed)
    }
}
