//! Deadlines in calendar months, as Regulation (EEC, Euratom) 1182/71 counts them.
//!
//! Art. 3(1): the day of the event does not count. Art. 3(2)(c): a period in months ends with the day of the same
//! number in its last month, or with that month's last day where there is none. Art. 3(4): a period that ends on a
//! public holiday, a Sunday or a Saturday ends with the next working day. The last rule is not for periods in hours:
//! the 72 hours of Art. 33 run through weekends (see [`crate::breach`]). The United Kingdom counts the same way for its
//! own law (guidance of the Information Commissioner on Art. 12).

use chrono::{Datelike as _, Days, Months, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Whose law answers are given under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "lowercase")]
pub enum Law {
    /// Regulation (EU) 2016/679.
    #[default]
    Eu,
    /// UK GDPR and the Data Protection Act 2018.
    Uk,
}

impl Law {
    /// How its articles are cited.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eu => "GDPR",
            Self::Uk => "UK GDPR",
        }
    }

    /// What somebody who is refused may do (Art. 12(4)).
    pub const fn remedies(self) -> &'static str {
        match self {
            Self::Eu => {
                "You may lodge a complaint with a supervisory authority (Art. 77 GDPR), in particular where you live, where you work or where the alleged infringement took place, and you may seek a judicial remedy (Art. 79 GDPR)."
            }
            Self::Uk => {
                "You may complain to the Information Commissioner (s. 165 Data Protection Act 2018), and you may apply to a court for a compliance order (s. 167 Data Protection Act 2018)."
            }
        }
    }
}

/// Whose public holidays count. National ones; those of a region are added by date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Country {
    /// Weekends alone.
    #[default]
    None,
    /// Austria.
    At,
    /// Belgium.
    Be,
    /// Germany: the nine of all states.
    De,
    /// Spain: the national ones.
    Es,
    /// France.
    Fr,
    /// England and Wales.
    Gb,
    /// Ireland.
    Ie,
    /// Italy.
    It,
    /// Netherlands, as its law on time limits (Algemene termijnenwet) has them.
    Nl,
    /// Poland.
    Pl,
}

/// Which days nobody works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    pub country: Country,
    /// Further days, as of a region.
    pub extra: BTreeSet<NaiveDate>,
}

impl Calendar {
    pub fn of(country: Country) -> Self {
        Self { country, extra: BTreeSet::new() }
    }

    pub fn is_holiday(&self, day: NaiveDate) -> bool {
        self.extra.contains(&day) || is_public_holiday(self.country, day)
    }

    pub fn is_working_day(&self, day: NaiveDate) -> bool {
        !is_weekend(day) && !self.is_holiday(day)
    }

    /// That day, or the next one on which somebody works.
    pub fn working_day_from(&self, day: NaiveDate) -> NaiveDate {
        // No country rests for a month.
        day.iter_days().take(31).find(|d| self.is_working_day(*d)).unwrap_or(day)
    }
}

fn is_weekend(day: NaiveDate) -> bool {
    matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

/// A stretch during which the clock stood still (see [`crate::request::Stop`]): these days are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub from: NaiveDate,
    /// Not yet over: it counts up to today.
    pub until: Option<NaiveDate>,
}

/// When an answer is due, and why then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The last day of the period, before weekends and holidays are looked at.
    pub ends: NaiveDate,
    /// The last day on which the answer is in time.
    pub due: NaiveDate,
    /// How it was counted, in a sentence.
    pub reasoning: String,
}

/// `months` calendar months after `received`, and the days the clock stood still.
pub fn deadline(calendar: &Calendar, received: NaiveDate, months: u32, pauses: &[Pause], today: NaiveDate) -> Deadline {
    let same_number = received.checked_add_months(Months::new(months)).unwrap_or(received);
    let mut reasoning = format!(
        "received on {}; {} from then ends on {}",
        said(received),
        if months == 1 { "one month".to_owned() } else { format!("{months} months") },
        said(same_number)
    );
    if same_number.day() != received.day() {
        reasoning.push_str(&format!(" (that month has no {}.)", received.day()));
    }
    let paused: i64 = pauses.iter().map(|p| (p.until.unwrap_or(today) - p.from).num_days().max(0)).sum();
    let ends = same_number.checked_add_days(Days::new(paused as u64)).unwrap_or(same_number);
    if paused > 0 {
        reasoning.push_str(&format!(
            "; the clock stood still for {paused} {}, which makes it {}",
            if paused == 1 { "day" } else { "days" },
            said(ends)
        ));
    }
    let due = calendar.working_day_from(ends);
    if due != ends {
        let why = match ends.weekday() {
            Weekday::Sat | Weekday::Sun => "is on a weekend",
            Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu | Weekday::Fri => "is a public holiday",
        };
        reasoning.push_str(&format!("; that {why}, so the next working day counts: {}", said(due)));
    }
    Deadline { ends, due, reasoning }
}

fn said(day: NaiveDate) -> String {
    day.format("%a %-d %b %Y").to_string()
}

/// Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876, as Meeus gives it).
pub fn easter(year: i32) -> NaiveDate {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    NaiveDate::from_ymd_opt(year, month as u32, day as u32).unwrap_or_default()
}

/// Days after Easter Sunday.
const GOOD_FRIDAY: i64 = -2;
const EASTER_MONDAY: i64 = 1;
const ASCENSION: i64 = 39;
const WHIT_MONDAY: i64 = 50;
const CORPUS_CHRISTI: i64 = 60;

fn is_public_holiday(country: Country, day: NaiveDate) -> bool {
    let fixed = |days: &[(u32, u32)]| days.contains(&(day.month(), day.day()));
    let moving = |days: &[i64]| days.contains(&(day - easter(day.year())).num_days());
    match country {
        Country::None => false,
        Country::At => {
            fixed(&[(1, 1), (1, 6), (5, 1), (8, 15), (10, 26), (11, 1), (12, 8), (12, 25), (12, 26)])
                || moving(&[EASTER_MONDAY, ASCENSION, WHIT_MONDAY, CORPUS_CHRISTI])
        }
        Country::Be => {
            fixed(&[(1, 1), (5, 1), (7, 21), (8, 15), (11, 1), (11, 11), (12, 25)])
                || moving(&[EASTER_MONDAY, ASCENSION, WHIT_MONDAY])
        }
        Country::De => {
            fixed(&[(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)])
                || moving(&[GOOD_FRIDAY, EASTER_MONDAY, ASCENSION, WHIT_MONDAY])
        }
        Country::Es => {
            fixed(&[(1, 1), (1, 6), (5, 1), (8, 15), (10, 12), (11, 1), (12, 6), (12, 8), (12, 25)])
                || moving(&[GOOD_FRIDAY])
        }
        Country::Fr => {
            fixed(&[(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)])
                || moving(&[EASTER_MONDAY, ASCENSION, WHIT_MONDAY])
        }
        Country::Gb => {
            moving(&[GOOD_FRIDAY, EASTER_MONDAY])
                || weekday_of_month(day, 5, Weekday::Mon, Nth::First)
                || weekday_of_month(day, 5, Weekday::Mon, Nth::Last)
                || weekday_of_month(day, 8, Weekday::Mon, Nth::Last)
                || british_fixed(day)
        }
        Country::Ie => {
            fixed(&[(1, 1), (3, 17), (12, 25), (12, 26)])
                || moving(&[EASTER_MONDAY])
                || weekday_of_month(day, 5, Weekday::Mon, Nth::First)
                || weekday_of_month(day, 6, Weekday::Mon, Nth::First)
                || weekday_of_month(day, 8, Weekday::Mon, Nth::First)
                || weekday_of_month(day, 10, Weekday::Mon, Nth::Last)
                || saint_brigid(day)
        }
        Country::It => {
            fixed(&[(1, 1), (1, 6), (4, 25), (5, 1), (6, 2), (8, 15), (11, 1), (12, 8), (12, 25), (12, 26)])
                || moving(&[EASTER_MONDAY])
        }
        Country::Nl => {
            fixed(&[(1, 1), (5, 5), (12, 25), (12, 26)])
                || moving(&[GOOD_FRIDAY, EASTER_MONDAY, ASCENSION, WHIT_MONDAY])
                || kings_day(day)
        }
        Country::Pl => {
            fixed(&[(1, 1), (1, 6), (5, 1), (5, 3), (8, 15), (11, 1), (11, 11), (12, 25), (12, 26)])
                || moving(&[EASTER_MONDAY, CORPUS_CHRISTI])
                || (fixed(&[(12, 24)]) && day.year() >= 2025)
        }
    }
}

enum Nth {
    First,
    Last,
}

fn weekday_of_month(day: NaiveDate, month: u32, weekday: Weekday, nth: Nth) -> bool {
    day.month() == month
        && day.weekday() == weekday
        && match nth {
            Nth::First => day.day() <= 7,
            Nth::Last => (day + Days::new(7)).month() != month,
        }
}

/// New Year, Christmas and Boxing Day; on a weekend, the next weekdays stand in (Banking and Financial Dealings Act
/// 1971).
fn british_fixed(day: NaiveDate) -> bool {
    use Weekday::{Mon, Tue};
    matches!(
        (day.month(), day.day(), day.weekday()),
        (1, 1, _) | (12, 25 | 26, _) | (1, 2 | 3, Mon) | (12, 27 | 28, Mon) | (12, 27 | 28, Tue)
    )
}

/// Since 2023 the first Monday of February, or its first day when that is a Friday.
fn saint_brigid(day: NaiveDate) -> bool {
    let first = day.with_day(1).map(|d| d.weekday());
    day.year() >= 2023
        && day.month() == 2
        && if first == Some(Weekday::Fri) { day.day() == 1 } else { weekday_of_month(day, 2, Weekday::Mon, Nth::First) }
}

/// The 27th of April, or the 26th when that is a Sunday.
fn kings_day(day: NaiveDate) -> bool {
    match (day.month(), day.day()) {
        (4, 27) => day.weekday() != Weekday::Sun,
        (4, 26) => day.weekday() == Weekday::Sat,
        _ => false,
    }
}

#[cfg(test)]
#[path = "calendar_tests.rs"]
mod tests;
