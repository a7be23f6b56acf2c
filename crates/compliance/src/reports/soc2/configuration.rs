//! Section 1: what is watched, by which rules, with which gaps, and who is told.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use wf_api::ApiError;
use wf_engine::views::feeds_view;
use wf_evidence::report::{Column, Document};
use wf_evidence::tree::hex;
use wf_model::Severity;
use wf_response::metrics;

use super::{Collected, Files};
use crate::reports::*;

impl Reports {
    pub(super) async fn soc2_configuration(
        &self,
        d: &mut Document,
        files: &mut Files,
        c: &Collected<'_>,
    ) -> Result<(), ApiError> {
        let (period, config) = (c.period, c.config);
        d.heading("1  Monitoring configuration");
        let (rules, _) = wf_engine::rules::load_rules(config);
        let described = rules.described();
        let mut per_rule: HashMap<&str, u64> = HashMap::new();
        for i in c.incidents {
            *per_rule.entry(&i.rule).or_default() += 1;
        }
        let rows = described.iter().map(|r| {
            vec![
                r.title.clone(),
                r.kind.clone(),
                r.severity.map_or_else(|| "–".to_owned(), |s| s.to_string()),
                r.threshold.clone(),
                thousands(per_rule.get(r.id.as_str()).copied().unwrap_or(0)),
                r.id.clone(),
            ]
        });
        d.table(
            "rules",
            &format!("{} rules in force when this was made.", described.len()),
            vec![
                Column::new("rule", 2.6),
                Column::new("type", 2.6),
                Column::new("", 0.5),
                Column::new("threshold", 2.8),
                Column::number("incidents"),
                Column::new("id", 2.6),
            ],
            rows.collect(),
            200,
            "No rule is in force.",
        );
        // The very files, with their hashes: which version of a rule was in force can be shown.
        let sources: Vec<wf_detect::RuleSource> =
            if config.rules.built_in { wf_detect::RuleSet::built_in() } else { Vec::new() }
                .into_iter()
                .chain(config.rules.paths.iter().flat_map(|p| wf_engine::rules::read_rules(p).unwrap_or_default()))
                .collect();
        let mut rows = Vec::new();
        for (n, s) in sources.iter().enumerate() {
            let base: String =
                std::path::Path::new(&s.path).file_name().map(|f| f.to_string_lossy().into_owned()).unwrap_or_default();
            let name = format!(
                "rules-{}-{}",
                n + 1,
                base.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).collect::<String>()
            );
            rows.push(vec![name.clone(), hex(&Sha256::digest(s.text.as_bytes()))]);
            files.push((name, s.text.clone().into_bytes()));
        }
        d.table(
            "rule-files",
            "The files those rules stand in; they are in the pack, word by word.",
            vec![Column::new("file", 2.0), Column::new("SHA-256", 5.0)],
            rows,
            60,
            "",
        );
        let feeds = feeds_view(&self.records.context, self.running.as_ref()).await?;
        let rows = feeds.feeds.iter().map(|f| {
            vec![
                f.name.clone(),
                f.state.clone(),
                f.mapping.clone(),
                f.delivery.clone(),
                thousands(f.counts.received),
                thousands(f.counts.stored),
                thousands(f.counts.duplicates),
                thousands(f.counts.quarantined),
                f.last_event.map(|t| c.said(t.timestamp())).unwrap_or_default(),
            ]
        });
        d.table(
            "feeds",
            "Monitored sources. received = stored + duplicates + quarantined + filtered + discarded + \
            in flight, \
            always.",
            vec![
                Column::new("feed", 1.6),
                Column::new("state", 1.0),
                Column::new("mapping", 1.6),
                Column::new("delivery", 1.2),
                Column::number("received"),
                Column::number("stored"),
                Column::number("dupl."),
                Column::number("quar."),
                Column::new("last event", 2.0),
            ],
            rows.collect(),
            100,
            "No feed is set up.",
        );
        let gaps = self.records.context.store().gaps(1_000_000).await?;
        let rows = gaps.iter().filter(|g| g.to >= period.from && g.from < period.to).map(|g| {
            vec![
                g.feed.to_string(),
                c.said(g.from),
                c.said(g.to),
                g.reason.as_str().to_owned(),
                g.estimated.map(thousands).unwrap_or_default(),
            ]
        });
        d.table(
            "gaps",
            "Blind spots: times in which a feed may have missed something.",
            vec![
                Column::new("feed", 1.4),
                Column::new("from", 2.2),
                Column::new("to", 2.2),
                Column::new("why", 2.0),
                Column::number("est. events"),
            ],
            rows.collect(),
            200,
            "No feed had a gap in the period.",
        );
        let plan = self.records.context.plan();
        let rows = Severity::ALL.into_iter().map(|s| {
            let view = wf_api::views::PolicyView::of(s, &plan, c.now);
            vec![
                s.to_string(),
                view.policy.clone().unwrap_or_else(|| "nobody outside this console".into()),
                plan.channels_for(s).join(", "),
                metrics::acknowledged_within(s).map_or_else(|| "–".to_owned(), wf_model::span::spoken),
            ]
        });
        d.table(
            "escalation",
            "Who is told of what.",
            vec![
                Column::new("", 0.6),
                Column::new("policy", 2.0),
                Column::new("channels", 3.0),
                Column::new("to be acknowledged within", 2.0),
            ],
            rows.collect(),
            10,
            "",
        );
        Ok(())
    }
}
