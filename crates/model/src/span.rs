//! Spans of time, as the config and the command line write them.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A longer span is a mistake: ten years.
const MOST: Duration = Duration::from_secs(3660 * 86_400);

/// `500ms`, `5s`, `10m`, `48h`, `2d`.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let wrong = || format!("'{text}' is not a span of time: write 500ms, 5s, 10m, 48h or 2d");
    let n: u64 = text[..split].parse().map_err(|_| wrong())?;
    let ms = match &text[split..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    n.checked_mul(ms).map(Duration::from_millis).filter(|d| *d <= MOST).ok_or_else(wrong)
}

/// For config fields that are spans of time.
pub fn span<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    parse_span(&String::deserialize(d)?).map_err(serde::de::Error::custom)
}

/// `15 min`, `2 h`, `40 s`: as a sentence says it, to two units at most.
pub fn spoken(d: Duration) -> String {
    let s = d.as_secs();
    let (days, hours, minutes) = (s / 86_400, s / 3600 % 24, s / 60 % 60);
    let two = |a: u64, x: &str, b: u64, y: &str| if b == 0 { format!("{a} {x}") } else { format!("{a} {x} {b} {y}") };
    match s {
        0..60 => format!("{s} s"),
        60..3600 => two(minutes, "min", s % 60, "s"),
        3600..86_400 => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}
