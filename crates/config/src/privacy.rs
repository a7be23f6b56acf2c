//! `[privacy]` of the config.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use wf_model::Timestamp;
use wf_privacy::calendar::{Calendar, Country, Law};

/// Whose law answers are given under, on which days nobody works, and who is told.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// The controller, as reports name it.
    pub organisation: String,
    /// The data protection officer or another contact, as notifications of breaches name it.
    pub contact: String,
    /// `eu` (GDPR) or `uk` (UK GDPR).
    pub law: Law,
    /// Whose public holidays move a deadline: `AT`, `BE`, `DE`, `ES`, `FR`, `GB`, `IE`, `IT`, `NL`, `PL`, or `NONE` for
    /// weekends alone.
    pub country: Country,
    /// Further days nobody works, as those of a region: `["2026-10-31"]`.
    pub holidays: Vec<NaiveDate>,
    /// The IANA zone in which days begin and end.
    pub time_zone: Tz,
    /// The privacy officer, as a person's id: told 24, 48 and 66 hours after a breach became known, and of requests
    /// that fall due.
    pub officer: String,
    /// The channels that goes over; all that reach the officer when empty.
    pub channels: Vec<String>,
    /// How many persons an erasure or a purge by hand takes: 2, or 1 where there is nobody else.
    pub approvals: u32,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            organisation: String::new(),
            contact: String::new(),
            law: Law::Eu,
            country: Country::None,
            holidays: Vec::new(),
            time_zone: Tz::UTC,
            officer: String::new(),
            channels: Vec::new(),
            approvals: 2,
        }
    }
}

impl Privacy {
    pub fn calendar(&self) -> Calendar {
        Calendar { country: self.country, extra: self.holidays.iter().copied().collect::<BTreeSet<_>>() }
    }

    /// The day and the time of day it is here.
    pub fn wall(&self, now: Timestamp) -> (NaiveDate, NaiveTime) {
        let at =
            DateTime::<Utc>::from_timestamp_millis(now.millis()).unwrap_or_default().with_timezone(&self.time_zone);
        (at.date_naive(), at.time())
    }

    /// A moment as it is written in reports: in the zone of the organisation, and named.
    pub fn said(&self, at: Timestamp) -> String {
        let at = DateTime::<Utc>::from_timestamp_millis(at.millis()).unwrap_or_default().with_timezone(&self.time_zone);
        at.format("%Y-%m-%d %H:%M:%S %Z").to_string()
    }

    pub fn day(&self, at: Timestamp) -> String {
        self.wall(at).0.to_string()
    }
}
