//! What is kept how long, and what a legal hold keeps longer.
//!
//! Twelve months of evidence against data minimisation (GDPR Art. 5(1)(e)) is solved by classes: what came in goes
//! early, incidents and their proof stay.

use std::fmt;

use chrono::{DateTime, Months, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};
use specta::Type;
use wf_model::Timestamp;

use crate::subject::{Finder, Identifier};
use crate::words::word_enum;
use crate::{Entry, Refused, said};

word_enum! {
    /// A class of data, with a time of its own.
    Class, "class of data" {
        /// What came in, word by word; the mapped fields stay.
        Raw = "raw",
        /// Whole events.
        Events = "events",
        /// What could not be read.
        Quarantine = "quarantine",
        /// Resolved incidents with their timeline and messages.
        Incidents = "incidents",
        /// The details of audit entries; the entries and their proofs stay.
        Audit = "audit",
        /// Requests that are closed, and consents that ended.
        Privacy = "privacy",
    }
}

/// `90d` or `12mo`: days, or calendar months.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Period {
    Days(u32),
    Months(u32),
}

impl TryFrom<String> for Period {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let n = |digits: &str| digits.parse::<u32>().ok().filter(|n| *n > 0 && *n <= 12_000);
        text.strip_suffix("mo")
            .and_then(n)
            .map(Self::Months)
            .or_else(|| text.strip_suffix('d').and_then(n).map(Self::Days))
            .ok_or_else(|| format!("'{text}' is not a period: write 90d or 12mo"))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(n) => write!(f, "{n} days"),
            Self::Months(n) => write!(f, "{n} months"),
        }
    }
}

impl Period {
    /// What is older than this has been kept long enough.
    pub fn cutoff(self, now: Timestamp) -> Timestamp {
        let at = DateTime::<Utc>::from_timestamp_millis(now.millis()).unwrap_or_default();
        let then = match self {
            Self::Days(n) => at.checked_sub_signed(chrono::TimeDelta::days(i64::from(n))),
            Self::Months(n) => at.checked_sub_months(Months::new(n)),
        };
        Timestamp::from_millis(then.unwrap_or_default().timestamp_millis())
    }
}

/// How long each class of data is kept: `[retention]`. Written `90d` or `12mo`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// What came in, word by word; the mapped fields of the events stay.
    pub raw: Period,
    /// Events.
    pub events: Period,
    /// What could not be read.
    pub quarantine: Period,
    /// Resolved incidents, with their timeline and messages.
    pub incidents: Period,
    /// The details of audit entries; the entries and their proofs stay for ever. An auditor of SOC 2 wants twelve
    /// months, and comes some weeks after they have ended.
    pub audit: Period,
    /// Closed requests of data subjects, and consents that ended.
    pub privacy: Period,
    /// The time of day at which everything over its time is deleted, as `03:30`, in the zone of `[privacy]`. Without it
    /// nothing is deleted but by hand.
    #[serde(deserialize_with = "time_of_day")]
    pub run_at: Option<NaiveTime>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            raw: Period::Days(90),
            events: Period::Months(12),
            quarantine: Period::Days(90),
            incidents: Period::Months(12),
            audit: Period::Months(12),
            privacy: Period::Months(36),
            run_at: None,
        }
    }
}

fn time_of_day<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<NaiveTime>, D::Error> {
    let text = String::deserialize(d)?;
    NaiveTime::parse_from_str(&text, "%H:%M")
        .map(Some)
        .map_err(|_| serde::de::Error::custom(format!("'{text}' is not a time of day: write 03:30")))
}

impl Retention {
    pub fn period(&self, class: Class) -> Period {
        match class {
            Class::Raw => self.raw,
            Class::Events => self.events,
            Class::Quarantine => self.quarantine,
            Class::Incidents => self.incidents,
            Class::Audit => self.audit,
            Class::Privacy => self.privacy,
        }
    }
}

/// What one run did, or would do, to one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ClassRun {
    pub class: Class,
    pub period: String,
    /// What is older has been kept long enough.
    #[specta(type = i64)]
    pub cutoff: Timestamp,
    pub delete: u64,
    /// Over their time, and kept by a hold.
    pub held: u64,
}

/// One run of retention, for the log of runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Run {
    pub number: u64,
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
    pub approved_by: Option<String>,
    pub classes: Vec<ClassRun>,
    /// Given back to the disk.
    pub bytes: u64,
    pub took_ms: u64,
}

/// What must not be deleted, whatever its age and whoever asks (Art. 17(3)(e), 18(2)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Hold {
    pub number: u64,
    pub version: u64,
    pub title: String,
    /// The claim, the proceeding, the request.
    pub reason: String,
    pub placed: Entry,
    /// Whole incidents by number, with their timeline, messages and events.
    pub incidents: Vec<u64>,
    /// Data about these subjects, from these feeds, between these moments: every part that is given must fit.
    pub subject: Vec<Identifier>,
    pub feeds: Vec<String>,
    #[specta(type = Option<i64>)]
    pub from: Option<Timestamp>,
    #[specta(type = Option<i64>)]
    pub until: Option<Timestamp>,
    /// The request for restriction (Art. 18) it carries out: what it covers is kept, and left out of reports.
    pub restriction: Option<u64>,
    /// It keeps nothing; it leaves the subject out of reports (an objection, Art. 21, which must not make us store
    /// longer).
    #[serde(default)]
    pub only_masks: bool,
    pub released: Option<Entry>,
}

impl Hold {
    /// # Errors
    /// A hold that covers nothing, or everything.
    pub fn check(&self) -> Result<(), Refused> {
        said(&self.title, "what it is called")?;
        said(&self.reason, "the reason")?;
        if self.incidents.is_empty() && !self.by_match() {
            return Refused::because("a hold says what it covers: incidents, subjects, feeds or a time");
        }
        if self.from.zip(self.until).is_some_and(|(f, u)| f > u) {
            return Refused::because("it ends before it begins");
        }
        Ok(())
    }

    fn by_match(&self) -> bool {
        !self.subject.is_empty() || !self.feeds.is_empty() || self.from.is_some() || self.until.is_some()
    }

    pub fn release(&self, now: Timestamp, by: &str, why: &str) -> Result<Self, Refused> {
        if self.released.is_some() {
            return Refused::because("it was released already");
        }
        if self.restriction.is_some() && !why.contains(|c: char| c.is_ascii_digit()) {
            return Refused::because(
                "before a restriction is lifted the subject is told (Art. 18(3)): say on which day they were",
            );
        }
        Ok(Self {
            version: self.version + 1,
            released: Some(Entry { at: now, by: by.to_owned(), text: said(why, "why it is released")? }),
            ..self.clone()
        })
    }
}

/// The holds in force, ready to be asked.
#[derive(Default)]
pub struct Holds {
    active: Vec<(Hold, Option<Finder>)>,
}

/// What a hold is asked about.
pub struct Item<'a> {
    /// The time it is about; a stretch where it lasts.
    pub from: Timestamp,
    pub to: Timestamp,
    pub feeds: &'a [&'a str],
    /// The incident it is, or belongs to.
    pub incident: Option<u64>,
}

impl Holds {
    pub fn new(all: impl IntoIterator<Item = Hold>) -> Self {
        Self {
            active: all
                .into_iter()
                .filter(|h| h.released.is_none())
                .map(|h| (Finder::new(&h.subject), h))
                .map(|(f, h)| (h.clone(), (!h.subject.is_empty()).then_some(f)))
                .collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Without the restrictions of these requests: what a subject asked for protects them from others, not from
    /// themselves.
    pub fn without_restrictions_of(all: impl IntoIterator<Item = Hold>, requests: &[u64]) -> Self {
        Self::new(all.into_iter().filter(|h| h.restriction.is_none_or(|r| !requests.contains(&r))))
    }

    /// Numbers of the incidents that are kept whole, with the hold that does.
    pub fn incidents(&self) -> impl Iterator<Item = (u64, &Hold)> {
        self.active.iter().flat_map(|(h, _)| h.incidents.iter().map(move |n| (*n, h)))
    }

    /// The hold that covers this, if any. `about` says whether a subject's identifiers stand in it.
    pub fn covering(&self, item: &Item<'_>, about: impl Fn(&Finder) -> bool) -> Option<&Hold> {
        self.active
            .iter()
            .filter(|(h, _)| !h.only_masks)
            .find(|(h, finder)| {
                item.incident.is_some_and(|n| h.incidents.contains(&n))
                    || (h.by_match()
                        && h.from.is_none_or(|t| item.to >= t)
                        && h.until.is_none_or(|t| item.from <= t)
                        && (h.feeds.is_empty() || item.feeds.iter().any(|f| h.feeds.iter().any(|held| held == f)))
                        && finder.as_ref().is_none_or(&about))
            })
            .map(|(h, _)| h)
    }

    /// Whether any hold could cover something of this time: what decides if a block must be looked into.
    pub fn may_cover(&self, from: Timestamp, to: Timestamp) -> bool {
        self.active.iter().filter(|(h, _)| !h.only_masks).any(|(h, _)| {
            !h.incidents.is_empty()
                || (h.by_match() && h.from.is_none_or(|t| to >= t) && h.until.is_none_or(|t| from <= t))
        })
    }

    /// Subjects whose processing is restricted: left out of reports.
    pub fn restricted(&self) -> Vec<Identifier> {
        self.active.iter().filter(|(h, _)| h.restriction.is_some()).flat_map(|(h, _)| h.subject.clone()).collect()
    }
}

/// Whether today's run is due: its time has come, and the last one was before it.
pub fn run_due(retention: &Retention, today: NaiveDate, time: NaiveTime, last_run: Option<NaiveDate>) -> bool {
    retention.run_at.is_some_and(|at| time >= at) && last_run.is_none_or(|d| d < today)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn hold(change: impl FnOnce(&mut Hold)) -> Hold {
        let mut h = Hold {
            number: 1,
            version: 1,
            title: "claim".into(),
            reason: "court".into(),
            placed: Entry { at: Timestamp::EPOCH, by: "Ann".into(), text: String::new() },
            incidents: vec![],
            subject: vec![],
            feeds: vec![],
            from: None,
            until: None,
            restriction: None,
            only_masks: false,
            released: None,
        };
        change(&mut h);
        h
    }

    fn covers(h: Hold, when: &str, feed: &str, incident: Option<u64>, text: &str) -> bool {
        let t = at(when);
        Holds::new([h]).covering(&Item { from: t, to: t, feeds: &[feed], incident }, |f| f.holds(text)).is_some()
    }

    #[test]
    fn a_hold_covers_exactly_what_it_says() {
        let may = |h: &mut Hold| {
            h.subject = vec![Identifier::parse("ann@x.com").unwrap()];
            h.feeds = vec!["shop".into()];
            (h.from, h.until) = (Some(at("2026-05-01T00:00:00Z")), Some(at("2026-05-31T23:59:59Z")));
        };
        for (when, feed, text, expected) in [
            ("2026-05-15T00:00:00Z", "shop", "by ann@x.com", true),
            ("2026-05-15T00:00:00Z", "shop", "by joann@x.com", false),
            ("2026-05-15T00:00:00Z", "vpn", "by ann@x.com", false),
            ("2026-04-30T23:59:59Z", "shop", "by ann@x.com", false),
            ("2026-06-01T00:00:00Z", "shop", "by ann@x.com", false),
        ] {
            assert_eq!(covers(hold(may), when, feed, None, text), expected, "{when} {feed} {text}");
        }
        let one = |h: &mut Hold| h.incidents = vec![7];
        assert!(
            covers(hold(one), "2020-01-01", "x", Some(7), "")
                && !covers(hold(one), "2020-01-01", "x", Some(8), "")
                && !covers(hold(one), "2020-01-01", "x", None, "")
        );
        let released = hold(one).release(at("2026-01-01"), "Ann", "settled").unwrap();
        assert!(!covers(released, "2020-01-01", "x", Some(7), ""), "a released hold covers nothing");
    }

    #[test]
    fn a_hold_without_a_scope_is_refused() {
        assert!(hold(|_| {}).check().is_err());
        assert!(hold(|h| (h.from, h.until) = (Some(at("2026-02-01")), Some(at("2026-01-01")))).check().is_err());
        assert!(hold(|h| h.feeds = vec!["shop".into()]).check().is_ok());
    }

    #[test]
    fn periods_are_days_or_calendar_months() {
        for (text, cutoff) in
            [("90d", "2026-02-28T10:00:00Z"), ("12mo", "2025-05-29T10:00:00Z"), ("3mo", "2026-02-28T10:00:00Z")]
        {
            assert_eq!(
                Period::try_from(text.to_owned()).unwrap().cutoff(at("2026-05-29T10:00:00Z")),
                at(cutoff),
                "{text}"
            );
        }
        for bad in ["", "12", "0d", "-1d", "1y", "mo", "99999999999d"] {
            assert!(Period::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_run_is_due_once_a_day_after_its_time() {
        let r = Retention { run_at: NaiveTime::from_hms_opt(3, 30, 0), ..Retention::default() };
        let (day, before, after) = (
            "2026-05-02".parse().unwrap(),
            NaiveTime::from_hms_opt(3, 29, 0).unwrap(),
            NaiveTime::from_hms_opt(9, 0, 0).unwrap(),
        );
        assert!(
            !run_due(&r, day, before, None)
                && run_due(&r, day, after, None)
                && !run_due(&r, day, after, Some(day))
                && run_due(&r, day, after, day.pred_opt())
        );
        assert!(!run_due(&Retention::default(), day, after, None), "without a time nothing is deleted");
    }
}
