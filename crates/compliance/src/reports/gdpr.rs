//! The GDPR compliance report: requests, breaches, retention, consents and processing, with the reasons for each.

use wf_api::ApiError;
use wf_evidence::report::chart::{self, Series};
use wf_evidence::report::{Column, Document, Figure};
use wf_privacy::activity::Activity;
use wf_privacy::breach::{Breach, BreachState};
use wf_privacy::consent::{Consent, Standing};
use wf_privacy::request::{Request, RequestKind, RequestState};
use wf_privacy::retention::Hold;

use crate::records::*;
use crate::reports::*;

impl Reports {
    pub(crate) async fn gdpr_report(&self, period: &Period) -> Result<Document, ApiError> {
        let (config, now) = (self.records.context.config(), self.records.context.now());
        let (settings, calendar) = (&config.privacy, config.privacy.calendar());
        let today = settings.wall(now).0;
        let mut d = self.records.document("GDPR compliance report", &period.said(), Some(period));

        let all: Vec<Request> = self.records.all_records(REQUESTS, None, 100_000).await?;
        let within = |day: chrono::NaiveDate| day >= period.first && day <= period.last;
        let pending: Vec<&Request> = all.iter().filter(|r| r.state.is_open()).collect();
        let answered: Vec<&Request> = all
            .iter()
            .filter(|r| {
                matches!(r.state, RequestState::Completed | RequestState::Refused) && r.closed_on.is_some_and(within)
            })
            .collect();
        let overdue: Vec<&&Request> = pending.iter().filter(|r| r.is_late(&calendar, today)).collect();
        let late = answered.iter().filter(|r| r.is_late(&calendar, today)).count();
        let days: Vec<f64> =
            answered.iter().filter_map(|r| Some((r.closed_on? - r.received).num_days() as f64)).collect();
        let mean = if days.is_empty() {
            "–".to_owned()
        } else {
            format!("{:.1} days", days.iter().sum::<f64>() / days.len() as f64)
        };
        d.heading("Requests of data subjects");
        d.figures(vec![
            Figure::new(
                "Pending",
                pending.len(),
                match pending.iter().map(|r| r.deadline(&calendar, today).due).min() {
                    Some(due) => format!("the next is due on {due}"),
                    None => "nothing is open".into(),
                },
                false,
            ),
            Figure::new(
                "Overdue",
                overdue.len(),
                overdue.iter().map(|r| format!("#{}", r.number)).collect::<Vec<_>>().join(", "),
                !overdue.is_empty(),
            ),
            Figure::new("Answered in the period", answered.len(), format!("{late} of them late"), late > 0),
            Figure::new("Average response", mean, "from receipt to answer, in calendar days", false),
        ]);
        let buckets = period.buckets(settings);
        let labels: Vec<String> = buckets.iter().map(|b| b.label.clone()).collect();
        let in_bucket = |of: &dyn Fn(&Request) -> Option<chrono::NaiveDate>| -> Vec<Option<f64>> {
            buckets
                .iter()
                .map(|b| {
                    Some(
                        all.iter()
                            .filter(|r| {
                                of(r).is_some_and(|day| day >= settings.wall(b.from).0 && day < settings.wall(b.to).0)
                            })
                            .count() as f64,
                    )
                })
                .collect()
        };
        let received = in_bucket(&|r| Some(r.received));
        let closed = in_bucket(&|r| r.closed_on);
        if all.iter().any(|r| within(r.received) || r.closed_on.is_some_and(within)) {
            d.chart(
                "Requests received and closed",
                chart::lines(
                    &labels,
                    &[
                        Series { name: "received".into(), colour: chart::ACCENT, values: received },
                        Series { name: "closed".into(), colour: chart::SECOND, values: closed },
                    ],
                    "",
                ),
            );
        }
        let kinds = RequestKind::ALL.iter().map(|k| {
            let of: Vec<&Request> = all.iter().filter(|r| r.kind == *k).collect();
            let n = |f: &dyn Fn(&&Request) -> bool| of.iter().copied().filter(|r| f(r)).count().to_string();
            vec![
                format!("{k} ({})", k.article()),
                n(&|r| within(r.received)),
                n(&|r| r.state.is_open()),
                n(&|r| r.state == RequestState::Completed && r.closed_on.is_some_and(within)),
                n(&|r| r.state == RequestState::Refused && r.closed_on.is_some_and(within)),
                n(&|r| r.extension.is_some() && within(r.received)),
            ]
        });
        d.table(
            "requests-by-type",
            "By type, in the period; open is as of today.",
            vec![
                Column::new("type", 3.0),
                Column::number("received"),
                Column::number("open"),
                Column::number("completed"),
                Column::number("refused"),
                Column::number("extended"),
            ],
            kinds.collect(),
            20,
            "",
        );
        let mut listed: Vec<&Request> =
            all.iter().filter(|r| r.state.is_open() || within(r.received) || r.closed_on.is_some_and(within)).collect();
        listed.sort_by_key(|r| r.number);
        let rows = listed.iter().map(|r| {
            let due = r.deadline(&calendar, today).due;
            vec![
                format!("#{}", r.number),
                r.kind.to_string(),
                r.received.to_string(),
                due.to_string(),
                r.state.to_string(),
                r.closed_on.map(|c| c.to_string()).unwrap_or_default(),
                if r.is_late(&calendar, today) {
                    "late".into()
                } else if r.state.is_open() {
                    String::new()
                } else {
                    "in time".into()
                },
            ]
        });
        d.table(
            "requests",
            "Every request that was open, received or answered in the period. Subjects are not named here.",
            vec![
                Column::number("no."),
                Column::new("type", 2.0),
                Column::new("received", 1.6),
                Column::new("due", 1.6),
                Column::new("state", 1.8),
                Column::new("answered", 1.6),
                Column::new("", 1.2),
            ],
            rows.collect(),
            400,
            "No request was open, received or answered in the period.",
        );

        let breaches: Vec<Breach> = self.records.all_records(BREACHES, None, 10_000).await?;
        let concerned: Vec<&Breach> = breaches
            .iter()
            .filter(|b| {
                b.is_open()
                    || within(settings.wall(b.suspected.at).0)
                    || b.aware.as_ref().is_some_and(|a| within(settings.wall(a.at).0))
                    || b.phases.iter().any(|p| within(settings.wall(p.at).0))
            })
            .collect();
        let reported = concerned.iter().filter(|b| !b.phases.is_empty()).count();
        let known: Vec<&&Breach> = concerned.iter().filter(|b| b.aware.is_some() && b.phases.is_empty()).collect();
        let past = known.iter().filter(|b| b.clock_runs() && b.due().is_some_and(|due| due < now)).count();
        d.heading("Personal data breaches");
        d.figures(vec![
            Figure::new("Reported", reported, "notified to the authority (Art. 33)", false),
            Figure::new(
                "Unreported",
                known.len(),
                format!(
                    "{} of them not notifiable, with reasons",
                    known.iter().filter(|b| b.state == BreachState::NotNotifiable).count()
                ),
                past > 0,
            ),
            Figure::new(
                "Suspected",
                concerned.iter().filter(|b| b.state == BreachState::Suspected).count(),
                "not decided yet",
                false,
            ),
            Figure::new("Past 72 hours", past, "known, and not notified", past > 0),
        ]);
        let rows = concerned.iter().map(|b| {
            let first = b.phases.first();
            let in_time = match (first, b.due()) {
                (Some(p), Some(due)) if p.at <= due => "in time".to_owned(),
                (Some(_), Some(_)) => "late, with reasons".to_owned(),
                (None, Some(due)) if b.clock_runs() && due < now => "LATE".to_owned(),
                _ => String::new(),
            };
            vec![
                format!("#{}", b.number),
                b.title.clone(),
                b.state.to_string(),
                b.aware.as_ref().map(|a| settings.said(a.at)).unwrap_or_default(),
                first.map(|p| settings.said(p.at)).unwrap_or_default(),
                in_time,
                match &b.subjects {
                    None => "not decided".into(),
                    Some(s) => s.exemption.map_or("told".to_owned(), |e| e.to_string()),
                },
            ]
        });
        d.table(
            "breaches",
            "The register (Art. 33(5)), for the period.",
            vec![
                Column::number("no."),
                Column::new("what", 3.4),
                Column::new("state", 1.4),
                Column::new("known since", 2.0),
                Column::new("notified", 2.0),
                Column::new("", 1.2),
                Column::new("subjects (Art. 34)", 1.6),
            ],
            rows.collect(),
            200,
            "No breach was suspected or known in the period.",
        );

        let retention = self.retention.view().await?;
        let over = &retention.over_retention;
        d.heading("Retention");
        d.figures(vec![
            Figure::new(
                "Users over retention",
                format!("{}{}", if over.complete { "" } else { "≥ " }, thousands(over.users)),
                "named in events that have been kept long enough",
                over.users > 0 && retention.run_at.is_none(),
            ),
            Figure::new(
                "Scheduled deletions",
                retention.scheduled.len(),
                retention
                    .run_at
                    .as_ref()
                    .map_or("no daily run is set".to_owned(), |t| format!("a run every day at {t}")),
                retention.run_at.is_none(),
            ),
            Figure::new(
                "Entries over their time",
                thousands(retention.classes.iter().map(|c| c.delete).sum()),
                "all classes",
                false,
            ),
            Figure::new(
                "Kept by holds",
                thousands(retention.classes.iter().map(|c| c.held).sum()),
                "over their time, and not deleted",
                false,
            ),
        ]);
        let rows = retention.classes.iter().map(|c| {
            vec![c.class.to_string(), c.period.clone(), settings.day(c.cutoff), thousands(c.delete), thousands(c.held)]
        });
        d.table(
            "retention",
            "",
            vec![
                Column::new("class", 2.0),
                Column::new("kept for", 2.0),
                Column::new("older than", 2.0),
                Column::number("over their time"),
                Column::number("held"),
            ],
            rows.collect(),
            20,
            "",
        );
        let rows = retention.runs.iter().filter(|r| r.at >= period.from && r.at < period.to).map(|r| {
            vec![
                settings.said(r.at),
                r.by.clone(),
                r.approved_by.clone().unwrap_or_default(),
                thousands(r.classes.iter().map(|c| c.delete).sum()),
                thousands(r.classes.iter().map(|c| c.held).sum()),
            ]
        });
        d.table(
            "retention-runs",
            "Runs in the period.",
            vec![
                Column::new("when", 2.4),
                Column::new("by", 1.6),
                Column::new("approved by", 1.6),
                Column::number("deleted"),
                Column::number("held"),
            ],
            rows.collect(),
            400,
            "Retention did not run in the period.",
        );
        let rows: Vec<Vec<String>> = retention.scheduled.iter().map(|s| vec![s.clone()]).collect();
        d.table(
            "scheduled-deletions",
            "Scheduled deletions.",
            vec![Column::new("what", 1.0)],
            rows,
            100,
            "No deletion is scheduled.",
        );
        let holds: Vec<Hold> = self.records.all_records(HOLDS, Some(true), 10_000).await?;
        let rows = holds.iter().rev().map(|h| {
            vec![
                format!("#{}", h.number),
                h.title.clone(),
                h.reason.clone(),
                settings.day(h.placed.at),
                h.placed.by.clone(),
            ]
        });
        d.table(
            "holds",
            "Legal holds in force.",
            vec![
                Column::number("no."),
                Column::new("title", 2.0),
                Column::new("reason", 3.0),
                Column::new("since", 1.2),
                Column::new("by", 1.4),
            ],
            rows.collect(),
            200,
            "No legal hold is in force.",
        );

        let consents: Vec<Consent> = self.records.all_records(CONSENTS, None, 200_000).await?;
        let n = |s: Standing| consents.iter().filter(|c| c.standing(today) == s).count() as u64;
        d.heading("Consents");
        d.figures(vec![
            Figure::new(
                "Valid",
                thousands(n(Standing::Valid)),
                percent(n(Standing::Valid), consents.len() as u64),
                false,
            ),
            Figure::new("Expired", thousands(n(Standing::Expired)), "", false),
            Figure::new("Withdrawn", thousands(n(Standing::Withdrawn)), "", false),
        ]);
        let mut purposes: std::collections::BTreeMap<(&str, &str), [u64; 3]> = std::collections::BTreeMap::new();
        for c in &consents {
            let slot = purposes.entry((&c.purpose, &c.text_version)).or_default();
            match c.standing(today) {
                Standing::Valid => slot[0] += 1,
                // Given on a day that has not come yet.
                Standing::Future => {}
                Standing::Expired => slot[1] += 1,
                Standing::Withdrawn => slot[2] += 1,
            }
        }
        let rows = purposes
            .into_iter()
            .map(|((p, v), [a, b, c])| vec![p.to_owned(), v.to_owned(), thousands(a), thousands(b), thousands(c)]);
        d.table(
            "consents",
            "By purpose and version of the text.",
            vec![
                Column::new("purpose", 3.0),
                Column::new("text", 1.4),
                Column::number("valid"),
                Column::number("expired"),
                Column::number("withdrawn"),
            ],
            rows.collect(),
            100,
            "No consent is recorded.",
        );

        let activities: Vec<Activity> = self.records.all_records(ACTIVITIES, Some(true), 1000).await?;
        d.heading("Record of processing activities (Art. 30)");
        if activities.is_empty() {
            d.text("No processing activity is recorded.");
        }
        for a in activities.iter().rev() {
            d.pairs(vec![
                ("Activity", a.name.clone()),
                ("Controller", a.controller.clone()),
                ("Purposes", a.purposes.clone()),
                ("Legal basis", a.legal_basis.clone()),
                ("Data subjects", a.subject_categories.clone()),
                ("Data", a.data_categories.clone()),
                ("Recipients", a.recipients.clone()),
                ("Third countries", a.transfers.clone()),
                ("Kept for", a.retention.clone()),
                ("Security", a.security.clone()),
            ]);
        }
        d.heading("How it was counted");
        d.blocks.push(wf_evidence::report::Block::Formulas {
            items: [
                ("Due", format!("one calendar month after the day of receipt (three when extended), plus days the clock stood still; on a weekend or a public holiday {} the next working day (Reg. 1182/71)", if settings.country == wf_privacy::calendar::Country::None { "of the organisation's own list".to_owned() } else { format!("of {:?}", settings.country).to_uppercase().replace("OF ", "of ") })),
                ("Late", "open after its last day, or answered after it".into()),
                ("Average response", "mean of answer day − day of receipt, of requests completed or refused in the period".into()),
                ("72 hours", "from the moment of awareness, through weekends (Art. 33(1))".into()),
                ("Over retention", "events older than the period of their class".into()),
            ]
            .map(|(k, v)| (k.to_owned(), v))
            .to_vec(),
        });
        Ok(d)
    }
}
