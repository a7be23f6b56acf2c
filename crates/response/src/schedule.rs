//! Who is on call: rotations in layers, overrides, and the next change.
//!
//! Everything is said in wall-clock time of a zone, so a hand-over at 08:00 is at 08:00 on both sides of a change of
//! the clocks. A moment that the clocks skip is taken as the first one after the hole; one that they repeat, as the
//! first of the two.

use std::time::Duration;

use chrono::{
    DateTime, Datelike as _, LocalResult, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Timelike as _, Weekday,
};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};
use wf_model::Timestamp;

/// A rota: `[schedule.NAME]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The IANA zone that its times are in, as `Europe/Berlin`.
    pub time_zone: Tz,
    /// Rotations. Where several say somebody, the last one counts.
    #[serde(default)]
    pub layer: Vec<Layer>,
    /// Somebody takes a stretch over: it counts before every layer, and the last one before those above it.
    #[serde(default, rename = "override")]
    pub overrides: Vec<Override>,
}

/// People who take turns.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Ids of people, in the order of their turns.
    pub people: Vec<String>,
    /// `daily`, `weekly`, or a number of hours or days (`12h`, `3d`).
    #[serde(deserialize_with = "rotation")]
    pub rotation: Duration,
    /// When the first turn begins; every later one begins at the same time of day.
    #[serde(deserialize_with = "local")]
    pub start: NaiveDateTime,
    /// Only at these hours of the day, as `08:00-18:00`; over midnight as `22:00-06:00`.
    #[serde(default)]
    pub hours: Option<Hours>,
    /// Only on these days, as `["Mon", "Tue"]`. A stretch over midnight belongs to the day on which it begins.
    #[serde(default)]
    pub days: Vec<Weekday>,
}

/// A stretch that somebody takes over.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The id of a person.
    pub person: String,
    /// From this moment, as `2026-03-29T20:00`.
    #[serde(deserialize_with = "local")]
    pub from: NaiveDateTime,
    /// Until this moment.
    #[serde(deserialize_with = "local")]
    pub to: NaiveDateTime,
}

/// Hours of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    pub from: NaiveTime,
    pub to: NaiveTime,
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let time = |t: &str| NaiveTime::parse_from_str(t.trim(), "%H:%M").ok();
        text.split_once('-')
            .and_then(|(a, b)| Some(Self { from: time(a)?, to: time(b)? }))
            .filter(|h| h.from != h.to)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' are no hours: write 08:00-18:00")))
    }
}

impl Hours {
    /// Whether a moment lies in them, and the day on which the stretch began.
    fn hold(&self, at: NaiveDateTime) -> Option<Weekday> {
        let (time, day) = (at.time(), at.weekday());
        if self.from < self.to {
            return (self.from <= time && time < self.to).then_some(day);
        }
        if time >= self.from {
            return Some(day);
        }
        (time < self.to).then(|| day.pred())
    }
}

fn rotation<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(d)?;
    let span = match text.as_str() {
        "daily" => Duration::from_secs(86_400),
        "weekly" => Duration::from_secs(7 * 86_400),
        other => wf_model::span::parse_span(other).map_err(serde::de::Error::custom)?,
    };
    if span < Duration::from_secs(3600) {
        return Err(serde::de::Error::custom("a turn is at least an hour long: write daily, weekly, 12h or 3d"));
    }
    Ok(span)
}

fn local<'de, D: Deserializer<'de>>(d: D) -> Result<NaiveDateTime, D::Error> {
    let text = String::deserialize(d)?;
    ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok())
        .ok_or_else(|| {
            serde::de::Error::custom(format!(
                "'{text}' is no moment: write 2026-03-29T08:00, in the schedule's own time"
            ))
        })
}

/// The moment a wall clock of the zone shows this.
pub fn instant(zone: Tz, local: NaiveDateTime) -> Timestamp {
    let at = match zone.from_local_datetime(&local) {
        LocalResult::Single(t) | LocalResult::Ambiguous(t, _) => t,
        // The clocks skip it: the first moment after the hole. No hole is longer than a day.
        LocalResult::None => {
            let mut later = local;
            loop {
                later += TimeDelta::minutes(1);
                if let Some(t) = zone.from_local_datetime(&later).earliest() {
                    break t;
                }
                if later - local > TimeDelta::days(2) {
                    break zone.from_utc_datetime(&local);
                }
            }
        }
    };
    Timestamp::from_millis(at.timestamp_millis())
}

/// What the zone's wall clock shows.
pub fn wall(zone: Tz, at: Timestamp) -> NaiveDateTime {
    DateTime::from_timestamp_millis(at.millis()).unwrap_or_default().with_timezone(&zone).naive_local()
}

/// A stretch during which one person is on call, or nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    pub from: Timestamp,
    pub to: Timestamp,
    pub person: Option<String>,
}

impl Schedule {
    /// Who is on call at this moment.
    pub fn at(&self, at: Timestamp) -> Option<&str> {
        let taken = self
            .overrides
            .iter()
            .rev()
            .find(|o| instant(self.time_zone, o.from) <= at && at < instant(self.time_zone, o.to));
        if let Some(o) = taken {
            return Some(&o.person);
        }
        self.layers_at(at)
    }

    fn layers_at(&self, at: Timestamp) -> Option<&str> {
        self.layer.iter().rev().find_map(|l| l.at(self.time_zone, at))
    }

    /// Stretches from `from` to `to`, without a hole between them.
    pub fn shifts(&self, from: Timestamp, to: Timestamp) -> Vec<Shift> {
        let mut edges = vec![from];
        for o in &self.overrides {
            edges.extend([instant(self.time_zone, o.from), instant(self.time_zone, o.to)]);
        }
        for layer in &self.layer {
            layer.edges(self.time_zone, from, to, &mut edges);
        }
        edges.retain(|e| from <= *e && *e < to);
        edges.sort();
        edges.dedup();
        let mut shifts: Vec<Shift> = Vec::new();
        for (n, edge) in edges.iter().enumerate() {
            let end = edges.get(n + 1).copied().unwrap_or(to);
            let person = self.at(*edge).map(str::to_owned);
            match shifts.last_mut() {
                Some(last) if last.person == person => last.to = end,
                _ => shifts.push(Shift { from: *edge, to: end, person }),
            }
        }
        shifts
    }

    /// Ids of everybody named here.
    pub fn people(&self) -> impl Iterator<Item = &str> {
        self.layer.iter().flat_map(|l| &l.people).chain(self.overrides.iter().map(|o| &o.person)).map(String::as_str)
    }
}

impl Layer {
    /// When the turn with this number begins.
    fn turn(&self, zone: Tz, n: i64) -> Timestamp {
        let seconds = i64::try_from(self.rotation.as_secs()).unwrap_or(i64::MAX).saturating_mul(n);
        instant(zone, self.start.checked_add_signed(TimeDelta::seconds(seconds)).unwrap_or(self.start))
    }

    /// The turn that runs at a moment; `None` before the first.
    fn turn_at(&self, zone: Tz, at: Timestamp) -> Option<i64> {
        let passed = (wall(zone, at) - self.start).num_seconds();
        // The clocks may have been set: the turn is the last that has begun, within one of what the wall clock says.
        let guess = passed.div_euclid(i64::try_from(self.rotation.as_secs()).unwrap_or(i64::MAX));
        (guess - 1..=guess + 1).rev().find(|n| *n >= 0 && self.turn(zone, *n) <= at)
    }

    fn at(&self, zone: Tz, at: Timestamp) -> Option<&str> {
        let local = wall(zone, at);
        let day = match &self.hours {
            Some(hours) => hours.hold(local)?,
            None => local.weekday(),
        };
        if !self.days.is_empty() && !self.days.contains(&day) {
            return None;
        }
        let n = self.turn_at(zone, at)?;
        let who = n.checked_rem(i64::try_from(self.people.len()).ok()?)?;
        self.people.get(usize::try_from(who).ok()?).map(String::as_str)
    }

    /// Every moment at which this layer may say somebody else.
    fn edges(&self, zone: Tz, from: Timestamp, to: Timestamp, out: &mut Vec<Timestamp>) {
        let mut n = self.turn_at(zone, from).unwrap_or(0);
        loop {
            let edge = self.turn(zone, n);
            if edge >= to {
                break;
            }
            out.push(edge);
            n += 1;
        }
        if self.hours.is_none() && self.days.is_empty() {
            return;
        }
        let mut day = wall(zone, from).date() - TimeDelta::days(1);
        while instant(zone, day.and_time(NaiveTime::MIN)) < to {
            out.push(instant(zone, day.and_time(NaiveTime::MIN)));
            if let Some(h) = &self.hours {
                out.extend([instant(zone, day.and_time(h.from)), instant(zone, day.and_time(h.to))]);
            }
            day += TimeDelta::days(1);
        }
    }
}

/// The hours somebody works, in their own zone.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Working {
    /// As `08:00-18:00`.
    pub hours: Hours,
    /// Monday to Friday when empty.
    #[serde(default)]
    pub days: Vec<Weekday>,
}

impl Working {
    fn works(&self, local: NaiveDateTime) -> bool {
        let weekdays = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];
        let days = if self.days.is_empty() { &weekdays[..] } else { &self.days };
        self.hours.hold(local).is_some_and(|d| days.contains(&d))
    }

    /// This moment when they work, else the next at which they do.
    pub fn next(&self, zone: Tz, at: Timestamp) -> Timestamp {
        let local = wall(zone, at);
        if self.works(local) {
            return at;
        }
        (0..=8)
            .map(|d| (local.date() + TimeDelta::days(d)).and_time(self.hours.from))
            .find(|begin| self.works(*begin) && instant(zone, *begin) > at)
            .map_or(at, |begin| instant(zone, begin))
    }
}

/// The next moment at which the zone's wall clock shows this time of day.
pub fn next_at(zone: Tz, time: NaiveTime, after: Timestamp) -> Timestamp {
    let today = wall(zone, after).date();
    (0..=2).map(|d| instant(zone, (today + TimeDelta::days(d)).and_time(time))).find(|t| *t > after).unwrap_or(after)
}

/// `Mon 08:00`, for sentences.
pub fn spoken(zone: Tz, at: Timestamp) -> String {
    let t = wall(zone, at);
    format!("{} {:02}-{:02} {:02}:{:02}", t.weekday(), t.month(), t.day(), t.hour(), t.minute())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(text: &str) -> Schedule {
        toml::from_str(text).unwrap()
    }

    fn at(zone: Tz, text: &str) -> Timestamp {
        instant(zone, NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").unwrap())
    }

    #[test]
    fn a_weekly_hand_over_stays_at_eight_over_both_changes_of_the_clocks_in_three_zones() {
        // Europe/Berlin changes on 2026-03-29 and 2026-10-25, America/New_York on 2026-03-08 and 2026-11-01,
        // Australia/Lord_Howe (by half an hour) on 2026-04-05 and 2026-10-04.
        for (zone, spring, autumn) in [
            ("Europe/Berlin", "2026-03-29", "2026-10-25"),
            ("America/New_York", "2026-03-08", "2026-11-01"),
            ("Australia/Lord_Howe", "2026-10-04", "2026-04-05"),
        ] {
            let s = schedule(&format!(
                "time_zone = \"{zone}\"\nlayer = [{{ people = [\"a\", \"b\"], rotation = \"daily\", start = \"2026-01-01T08:00\" }}]"
            ));
            let zone = s.time_zone;
            for day in [spring, autumn] {
                let (before, after) = (at(zone, &format!("{day}T07:59")), at(zone, &format!("{day}T08:00")));
                assert_eq!(after.millis() - before.millis(), 60_000);
                assert_ne!(s.at(before), s.at(after), "{zone} {day}: the hand-over is at eight by the wall clock");
                let shifts = s.shifts(before, after + Duration::from_secs(2 * 86_400));
                assert!(
                    shifts.windows(2).all(|w| w[0].to == w[1].from && w[0].person != w[1].person),
                    "no hole, no one twice in a row: {shifts:?}"
                );
                for shift in &shifts[1..shifts.len() - 1] {
                    assert_eq!(wall(zone, shift.from).time(), NaiveTime::from_hms_opt(8, 0, 0).unwrap());
                }
            }
        }
    }

    #[test]
    fn a_hand_over_in_the_hour_that_is_skipped_or_repeated_happens_once() {
        let s = schedule(
            "time_zone = \"Europe/Berlin\"\nlayer = [{ people = [\"a\", \"b\"], rotation = \"daily\", start = \"2026-03-01T02:30\" }]",
        );
        for day in ["2026-03-28T12:00", "2026-10-24T12:00"] {
            let from = at(s.time_zone, day);
            let shifts = s.shifts(from, from + Duration::from_secs(2 * 86_400));
            assert_eq!(shifts.len(), 3, "two hand-overs in two days: {shifts:?}");
            // Minute by minute nobody is on call twice.
            let people: Vec<_> =
                (0..2 * 1440).map(|m| s.at(from + Duration::from_secs(m * 60)).unwrap().to_owned()).collect();
            assert_eq!(people.windows(2).filter(|w| w[0] != w[1]).count(), 2);
        }
    }

    #[test]
    fn a_rota_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let s = schedule(
            "time_zone = \"UTC\"\nlayer = [{ people = [\"night\"], rotation = \"weekly\", start = \"2026-01-01T00:00\", hours = \"22:00-06:00\", days = [\"Fri\"] }]",
        );
        for (moment, on) in [
            ("2026-01-02T21:59", None),
            ("2026-01-02T22:00", Some("night")),
            ("2026-01-03T05:59", Some("night")),
            ("2026-01-03T06:00", None),
            ("2026-01-03T22:30", None),
        ] {
            assert_eq!(s.at(at(Tz::UTC, moment)), on, "{moment}");
        }
    }

    #[test]
    fn an_override_counts_before_every_layer_and_ends_on_the_minute() {
        let s = schedule(
            "time_zone = \"UTC\"\nlayer = [{ people = [\"a\"], rotation = \"weekly\", start = \"2026-01-01T00:00\" }, { people = [\"day\"], rotation = \"weekly\", start = \"2026-01-01T00:00\", hours = \"08:00-18:00\" }]
             override = [{ person = \"c\", from = \"2026-01-02T10:00\", to = \"2026-01-02T12:00\" }]",
        );
        for (moment, on) in [
            ("2026-01-02T07:00", "a"),
            ("2026-01-02T09:59", "day"),
            ("2026-01-02T10:00", "c"),
            ("2026-01-02T11:59", "c"),
            ("2026-01-02T12:00", "day"),
            ("2026-01-02T18:00", "a"),
        ] {
            assert_eq!(s.at(at(Tz::UTC, moment)), Some(on), "{moment}");
        }
        assert_eq!(s.at(at(Tz::UTC, "2025-12-31T23:59")), None, "nobody before the first turn");
    }

    #[test]
    fn what_is_wrong_in_a_rota_is_said() {
        for (text, expected) in [
            ("time_zone = \"Middle/Earth\"", "Middle/Earth"),
            (
                "time_zone = \"UTC\"\nlayer = [{ people = [\"a\"], rotation = \"often\", start = \"2026-01-01T00:00\" }]",
                "not a span",
            ),
            (
                "time_zone = \"UTC\"\nlayer = [{ people = [\"a\"], rotation = \"5m\", start = \"2026-01-01T00:00\" }]",
                "at least an hour",
            ),
            (
                "time_zone = \"UTC\"\nlayer = [{ people = [\"a\"], rotation = \"daily\", start = \"monday\" }]",
                "no moment",
            ),
            (
                "time_zone = \"UTC\"\nlayer = [{ people = [\"a\"], rotation = \"daily\", start = \"2026-01-01T00:00\", hours = \"8-8\" }]",
                "no hours",
            ),
        ] {
            let error = toml::from_str::<Schedule>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn work_that_is_not_urgent_waits_for_the_morning() {
        let w: Working = toml::from_str("hours = \"08:00-18:00\"").unwrap();
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        assert_eq!(
            w.next(zone, at(zone, "2026-03-27T19:00")),
            at(zone, "2026-03-30T08:00"),
            "Friday evening to Monday morning, over the change of the clocks"
        );
        assert_eq!(w.next(zone, at(zone, "2026-03-27T09:00")), at(zone, "2026-03-27T09:00"));
        assert_eq!(
            next_at(zone, NaiveTime::from_hms_opt(8, 0, 0).unwrap(), at(zone, "2026-03-28T09:00")),
            at(zone, "2026-03-29T08:00")
        );
    }

    proptest! {
        #[test]
        fn shifts_cover_the_time_without_a_hole_and_agree_with_asking_at_any_moment(
            start in 0i64..2000, hours in 1u64..400, people in 1usize..4, probe in 0u64..2000, zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]),
        ) {
            let zone: Tz = zone.parse().unwrap();
            let begin = NaiveDateTime::parse_from_str("2026-01-01T08:00", "%Y-%m-%dT%H:%M").unwrap() + TimeDelta::hours(start);
            let s = Schedule { time_zone: zone, overrides: vec![], layer: vec![Layer { people: (0..people).map(|p| p.to_string()).collect(), rotation: Duration::from_secs(hours * 3600), start: begin, hours: None, days: vec![] }] };
            let (from, to) = (instant(zone, begin), instant(zone, begin + TimeDelta::days(90)));
            let shifts = s.shifts(from, to);
            prop_assert_eq!(shifts[0].from, from);
            prop_assert_eq!(shifts[shifts.len() - 1].to, to);
            prop_assert!(shifts.windows(2).all(|w| w[0].to == w[1].from));
            let moment = from + Duration::from_secs(probe * 3600);
            if moment < to {
                let shift = shifts.iter().find(|s| s.from <= moment && moment < s.to).unwrap();
                prop_assert_eq!(shift.person.as_deref(), s.at(moment));
            }
        }
    }
}
