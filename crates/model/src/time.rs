//! Moments, in the one unit the product uses inside: milliseconds since the Unix epoch, UTC.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Offset as _, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z. Ordered, copyable, and never a local time.
///
/// A number in JSON. It is written as a newtype of this name, by which a serializer can tell it from other numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch; also what an unknown moment is before anything is known.
    pub const EPOCH: Self = Self(0);

    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The system clock. Only the edges of the product call this; cores take `now` as an argument.
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// Reads a moment the way real feeds write it: RFC 3339, `YYYY-MM-DD HH:MM:SS[.fff]` (taken as UTC), a date, or
    /// a number of seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by magnitude.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_in(text, &Utc)
    }

    /// As [`parse`](Self::parse), with the zone that a stamp without one is in.
    pub fn parse_in<Z: TimeZone>(text: &str, zone: &Z) -> Option<Self> {
        let text = text.trim();
        if let Ok(t) = DateTime::parse_from_rfc3339(text) {
            return Some(Self(t.timestamp_millis()));
        }
        for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S,%3f"] {
            if let Ok(t) = NaiveDateTime::parse_from_str(text, form) {
                return Some(Self::from_local(t, zone));
            }
        }
        for form in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"] {
            if let Ok(t) = DateTime::parse_from_str(text, form) {
                return Some(Self(t.timestamp_millis()));
            }
        }
        if let Ok(d) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Some(Self::from_local(d.and_hms_opt(0, 0, 0)?, zone));
        }
        text.parse::<f64>().ok().and_then(Self::from_number)
    }

    /// The moment at which clocks in `zone` show `t`: the first one where they show it twice, and where they skip it,
    /// what it would be without the skip.
    pub fn from_local<Z: TimeZone>(t: NaiveDateTime, zone: &Z) -> Self {
        Self(match zone.from_local_datetime(&t).earliest() {
            Some(found) => found.timestamp_millis(),
            None => {
                let offset = zone.offset_from_utc_datetime(&t).fix().local_minus_utc();
                t.and_utc().timestamp_millis() - i64::from(offset) * 1000
            }
        })
    }

    /// A number of seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by magnitude
    /// (seconds until the year 5138). Nothing for a negative or non-finite number.
    pub fn from_number(n: f64) -> Option<Self> {
        if !n.is_finite() || n < 0.0 {
            return None;
        }
        let ms = match n {
            n if n < 1e11 => n * 1e3,
            n if n < 1e14 => n,
            n if n < 1e17 => n / 1e3,
            n => n / 1e6,
        };
        Some(Self(ms as i64))
    }

    pub fn saturating_sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(millis(d)))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// RFC 3339 in UTC with milliseconds, as `2026-01-10T14:31:22.000Z`.
    pub fn rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(millis(d)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        self.saturating_sub(d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_real_feeds_write_are_read() {
        let expected = Timestamp::from_millis(1_771_797_600_000);
        for text in [
            "2026-02-22T22:00:00Z",
            "2026-02-22T22:00:00",
            "2026-02-22 22:00:00",
            "2026-02-22T23:00:00+01:00",
            "2026-02-22 22:00:00+00",
            "1771797600",
            "1771797600000",
            "1771797600000000",
            "1771797600.0",
        ] {
            assert_eq!(Timestamp::parse(text), Some(expected), "{text}");
        }
        assert_eq!(Timestamp::parse("2026-02-22"), Some(Timestamp::from_millis(1_771_718_400_000)));
    }

    #[test]
    fn a_stamp_without_a_zone_is_of_the_zone_that_is_given() {
        let zone = chrono::FixedOffset::west_opt(5 * 3600).unwrap();
        let expected = Timestamp::parse("2026-02-22T22:00:00Z");
        for text in ["2026-02-22 17:00:00", "2026-02-22T17:00:00.0", "2026-02-22T22:00:00Z", "1771797600"] {
            assert_eq!(Timestamp::parse_in(text, &zone), expected, "{text}");
        }
        assert_eq!(Timestamp::parse_in("2026-02-22", &zone), Timestamp::parse("2026-02-22T05:00:00Z"));
    }

    #[test]
    fn what_is_not_a_moment_is_refused() {
        for text in ["", "yesterday", "NaN", "-1", "inf", "22:00", "2026-13-01"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }
}
