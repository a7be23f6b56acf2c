//! Addends of a sum, in millionths: exact to add and to take away again, as floating point is not.

use wf_model::Value;

use crate::rules::MICROS;

/// No field that is worth adding up says more than this of one event (ten trillion); what does is cut to it, and
/// counted. Its millionths still fit an [`Addend`], and no number of entries we hold overflows an `i128` of them.
const MOST: u64 = 10_000_000_000_000;

/// What one event adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addend {
    pub micros: u64,
    /// It said more than we believe.
    pub clamped: bool,
}

/// Nothing for what is no number, and for what is below zero: an attacker could take a sum back with it.
pub(super) fn addend(value: &Value) -> Option<Addend> {
    let exact = match value {
        Value::Int(n) => Some(u64::try_from(*n).ok()?),
        Value::Str(s) => s.parse().ok(),
        Value::Float(_) | Value::Bool(_) | Value::List(_) => None,
    };
    match exact {
        Some(n) if n > MOST => Some(Addend { micros: MOST * 1_000_000, clamped: true }),
        Some(n) => Some(Addend { micros: n * 1_000_000, clamped: false }),
        None => real(value.as_f64()?),
    }
}

fn real(n: f64) -> Option<Addend> {
    if n.is_nan() || n < 0.0 {
        return None;
    }
    if n > MOST as f64 {
        return Some(Addend { micros: MOST * 1_000_000, clamped: true });
    }
    Some(Addend { micros: (n * 1e6).round() as u64, clamped: false })
}

/// The millionths of a whole number are left over: what was told, and what is still to tell.
pub(super) fn told(micros: i128) -> (u64, u32) {
    (whole(micros), u32::try_from(micros.max(0) % MICROS).unwrap_or_default())
}

/// Rounded down.
pub(super) fn whole(micros: i128) -> u64 {
    u64::try_from(micros.max(0) / MICROS).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addends_are_exact_and_what_is_absurd_is_cut() {
        let micros = |v: Value| addend(&v).map(|a| (a.micros, a.clamped));
        assert_eq!(micros(Value::Float(0.98)), Some((980_000, false)));
        assert_eq!(micros(Value::str("1.1")), Some((1_100_000, false)));
        assert_eq!(micros(Value::Int(0)), Some((0, false)));
        assert_eq!(micros(Value::Int(7)), Some((7_000_000, false)));
        for absurd in
            [Value::Float(1e30), Value::str("1e400"), Value::Int(i64::MAX), Value::str("99999999999999999999")]
        {
            assert_eq!(micros(absurd), Some((10_000_000_000_000_000_000, true)));
        }
        for no_number in
            [Value::Float(f64::NAN), Value::Float(-1.0), Value::Int(-1), Value::str("x"), Value::Bool(true)]
        {
            assert_eq!(micros(no_number), None);
        }
        assert_eq!((whole(1_999_999), whole(0), whole(i128::MAX)), (1, 0, u64::MAX));
    }
}
