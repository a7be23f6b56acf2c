//! The SOC 2 evidence pack: how monitoring is set up, how it was answered, the events, the numbers and the audit log,
//! as an auditor asks for them. A module for each section.

mod configuration;
mod events;
mod numbers;
mod responses;
mod summary;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wf_api::ApiError;
use wf_config::Config;
use wf_evidence::report::Document;
use wf_model::{Incident, Severity, Timestamp};
use wf_response::metrics::{self, Handled, Metrics};
use wf_store::rates::RateBucket;

use crate::reports::*;

/// The gravest incidents are listed one by one.
const LISTED: u8 = 2;

/// Files that only the pack holds: name and content.
type Files = Vec<(String, Vec<u8>)>;

/// What the sections are made from, collected once.
struct Collected<'a> {
    period: &'a Period,
    config: &'a Config,
    now: Timestamp,
    incidents: &'a [Incident],
    handled: Vec<Handled<'a>>,
    /// Of all severities together first, then of each.
    numbers: Vec<Metrics>,
    buckets: Vec<Bucket>,
    labels: Vec<String>,
    /// Events a day.
    rates: Vec<RateBucket>,
}

impl Collected<'_> {
    fn of(&self, severity: Severity) -> Metrics {
        self.numbers.iter().find(|m| m.severity == Some(severity)).cloned().unwrap_or_default()
    }

    fn events(&self) -> u64 {
        self.rates.iter().map(|r| r.total).sum()
    }

    fn said(&self, t: Timestamp) -> String {
        self.config.privacy.said(t)
    }
}

impl Reports {
    pub(crate) async fn soc2_report(
        &self,
        period: &Period,
        all: bool,
        cancel: &Arc<AtomicBool>,
    ) -> Result<(Document, Files), ApiError> {
        let (config, now, store) =
            (self.records.context.config(), self.records.context.now(), self.records.context.store());
        let mut d = self.records.document(
            "SOC 2 evidence",
            &format!("Security monitoring and response, {}", period.said()),
            Some(period),
        );
        let mut files = Vec::new();

        self.records.work.says("Collecting incidents", 0, 0);
        let incidents: Vec<Incident> =
            store.incidents_since(period.from).await?.into_iter().filter(|i| i.detected_at < period.to).collect();
        let first = store.first_actions(period.from).await?;
        let handled = Handled::all(&incidents, &first);
        let numbers = metrics::metrics(now, &handled);
        let buckets = period.buckets(&config.privacy);
        let labels = buckets.iter().map(|b| b.label.clone()).collect();
        let rates = store.rates(period.from, Timestamp::from_millis(period.to.millis() - 1), 1440).await?;
        let collected =
            Collected { period, config: &config, now, incidents: &incidents, handled, numbers, buckets, labels, rates };
        summary::section(&mut d, &collected);
        self.soc2_configuration(&mut d, &mut files, &collected).await?;
        self.records.work.says("Collecting responses", 0, 0);
        self.soc2_responses(&mut d, &collected).await?;
        self.soc2_events(&mut d, &mut files, &collected, all.then_some(cancel)).await?;
        numbers::section(&mut d, &collected);

        d.heading("5  Audit log");
        let verdict = self.audit.verify(None).await?;
        d.pairs(vec![
            ("Integrity", verdict.integrity),
            ("Completeness", verdict.completeness),
            ("Checkpoint", format!("{} entries, root {}", d.checkpoint.size, d.checkpoint.root)),
            ("Signing key", d.checkpoint.key.clone()),
            (
                "How to check",
                "README.txt in the pack: with sha256sum and openssl alone, with the Python script, or \
                with watchfloorctl evidence verify"
                    .into(),
            ),
            (
                "An auditor's access",
                "a person with the role auditor searches, shows, exports and verifies, in the \
                window and with watchfloorctl, and changes nothing"
                    .into(),
            ),
        ]);
        d.text(
            "What this cannot show: somebody with the rights and the keys of the officer's own account could \
            have rewritten what came after the last checkpoint that somebody else holds. Every report and every \
            digest carries one.",
        );
        Ok((d, files))
    }
}
