//! The time a report covers, in days of the organisation, and the bars of its charts.

use chrono::{Datelike as _, Days, Months, NaiveDate, TimeZone as _};
use wf_api::ApiError;
use wf_config::Privacy;
use wf_model::Timestamp;

/// The stretch of time a report covers: from the beginning of a day to the end of a day, in the organisation's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
    pub first: NaiveDate,
    pub last: NaiveDate,
}

/// A bar of a chart over time.
pub(crate) struct Bucket {
    pub label: String,
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Period {
    pub fn of(settings: &Privacy, first: NaiveDate, last: NaiveDate) -> Result<Self, ApiError> {
        if last < first {
            return Err(ApiError::invalid(format!("{last} is before {first}")));
        }
        if (last - first).num_days() > 5 * 366 {
            return Err(ApiError::invalid("a report covers five years at most"));
        }
        Ok(Self { from: midnight(settings, first), to: midnight(settings, last + Days::new(1)), first, last })
    }

    pub fn said(&self) -> String {
        if self.first == self.last {
            self.first.format("%-d %B %Y").to_string()
        } else {
            format!("{} to {}", self.first.format("%-d %B %Y"), self.last.format("%-d %B %Y"))
        }
    }

    /// Days, weeks or months, whichever gives a chart one can read.
    pub fn buckets(&self, settings: &Privacy) -> Vec<Bucket> {
        let days = (self.last - self.first).num_days() + 1;
        let mut all = Vec::new();
        let mut day = self.first;
        while day <= self.last {
            let (next, label) = match days {
                ..=35 => (day + Days::new(1), day.format("%-d %b").to_string()),
                36..=120 => (day + Days::new(7), day.format("%-d %b").to_string()),
                _ => {
                    let first = day.with_day(1).unwrap_or(day);
                    (
                        first + Months::new(1),
                        if first.month() == 1 {
                            first.format("%b %y").to_string()
                        } else {
                            first.format("%b").to_string()
                        },
                    )
                }
            };
            all.push(Bucket {
                label,
                from: midnight(settings, day),
                to: midnight(settings, next.min(self.last + Days::new(1))),
            });
            day = next;
        }
        all
    }
}

/// The first moment of a day; where the clocks skip midnight, the first there is.
fn midnight(settings: &Privacy, day: NaiveDate) -> Timestamp {
    let at = (0..4).find_map(|h| settings.time_zone.from_local_datetime(&day.and_hms_opt(h, 0, 0)?).earliest());
    Timestamp::from_millis(at.map_or(0, |t| t.timestamp_millis()))
}
