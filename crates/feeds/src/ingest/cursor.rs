//! Whether a cursor that a server gives is believed: it decides what is asked for after the next connection, so one
//! wrong value would skip everything up to it, for ever.

use wf_model::Timestamp;

use super::stamp::SKEW;

/// A longer cursor is none: it goes into every URL and every commit.
const LONGEST: usize = 1 << 10;
/// A counter does not grow by more at once.
const LEAP: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Believed,
    /// It is behind the last one: taking it would make us read the same again for ever.
    Behind,
    Doubted,
}

/// Judges `new` after `old`. `skewed`: it comes with an event whose stamp is in the future.
pub fn judge(old: Option<&str>, new: &str, now: Timestamp, skewed: bool) -> Verdict {
    let number = |c: &str| c.parse::<u64>().ok();
    let ahead = |t: Timestamp| t > now + SKEW;
    if new.is_empty() || new.len() > LONGEST {
        return Verdict::Doubted;
    }
    let believed = match (old.map(number), number(new)) {
        // Numbers count, or are times. One that would be a time far ahead may still be a counter, unless the event says
        // that its clock is ahead.
        (_, Some(n)) if n > i64::MAX as u64 || skewed && Timestamp::from_number(n as f64).is_some_and(ahead) => false,
        (None, Some(_)) => true,
        (Some(Some(old)), Some(n)) if n <= old => return Verdict::Behind,
        (Some(Some(old)), Some(n)) => n - old <= LEAP || are_times(old, n, now),
        // A kind of cursor stays its kind.
        (Some(None), Some(_)) | (Some(Some(_)), None) => false,
        (None | Some(None), None) => !Timestamp::parse(new).is_some_and(ahead),
    };
    if believed { Verdict::Believed } else { Verdict::Doubted }
}

/// Two numbers that are moments of the last years, in the same unit: in nanoseconds a second is as much as a leap.
fn are_times(old: u64, new: u64, now: Timestamp) -> bool {
    const YEARS: std::time::Duration = std::time::Duration::from_secs(5 * 366 * 86_400);
    let recent = |n: u64| Timestamp::from_number(n as f64).is_some_and(|t| t > now - YEARS && t <= now + SKEW);
    recent(old) && recent(new) && new < old.saturating_mul(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t13_a_cursor_that_jumps_or_swells_is_not_believed() {
        let now = Timestamp::parse("2026-11-20T12:00:00Z").unwrap();
        let long = "x".repeat(1025);
        for (old, new, skewed, expected) in [
            (None, "7", false, Verdict::Believed),
            (None, "18446744073709551615", false, Verdict::Doubted),
            (Some("7"), "8", true, Verdict::Believed),
            (Some("7"), "7", false, Verdict::Behind),
            (Some("7"), "1000000007", false, Verdict::Believed),
            (Some("7"), "1000000008", false, Verdict::Doubted),
            (Some("7"), "9223372036854775807", false, Verdict::Doubted),
            (Some("7"), "seven", false, Verdict::Doubted),
            (Some("a-7"), "8", false, Verdict::Doubted),
            (Some("a-7"), "a-8", false, Verdict::Believed),
            (Some("a-7"), long.as_str(), false, Verdict::Doubted),
            // Times: in nanoseconds, an hour later, and a year ahead.
            (Some("1795176000000000000"), "1795179500000000000", false, Verdict::Doubted),
            (Some("1795172400000000000"), "1795176000000000000", false, Verdict::Believed),
            (Some("2026-11-20T11:00:00Z"), "2026-11-20T12:00:00Z", false, Verdict::Believed),
            (Some("2026-11-20T11:00:00Z"), "2027-11-20T12:00:00Z", false, Verdict::Doubted),
            (Some("1795176000"), "1795190000", true, Verdict::Doubted),
            (Some("1795176000"), "1795190000", false, Verdict::Believed),
        ] {
            assert_eq!(judge(old, new, now, skewed), expected, "{old:?} {new} {skewed}");
        }
    }
}
