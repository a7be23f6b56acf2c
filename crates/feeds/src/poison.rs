//! A frame that breaks the connection each time it comes. A feed that resumes would meet it for ever.
//!
//! - Only what an event can cause is suspected: a message that is too large, or text that is not UTF-8. Garbage in
//!   control frames or framing comes from a broken server or proxy, and passes when that is mended.
//! - The same fault at the same cursor, [`SAME`] times in a row, is poison. Any event that is read after it moves the
//!   cursor and clears the suspicion.
//! - A message that is too large is received once whatever its size, to learn its cursor. What cannot be received at
//!   all is stepped over, [`STEPS`] places in a row at most: more is not resuming, it is guessing.
//! - Beyond that the feed tries again with its backoff. It never stops for good: the server may be mended.

use tokio_tungstenite::tungstenite::Error as WsError;

use crate::connect::HARD_FRAME_LIMIT;

/// The same fault at the same cursor this often is poison.
const SAME: u32 = 3;
/// Most places stepped over in a row without an event in between.
const STEPS: u32 = 5;

/// What an event can do to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Larger than may be received. The same frame may be refused at another size when it comes in fragments.
    TooLarge,
    /// Not UTF-8; where, in words.
    NotText(String),
}

impl Fault {
    /// The fault of a frame, or `None` when no event can have caused this.
    pub fn of(error: &WsError) -> Option<Self> {
        match error {
            WsError::Capacity(_) => Some(Self::TooLarge),
            WsError::Utf8(place) => Some(Self::NotText(place.clone())),
            _ => None,
        }
    }
}

/// What is to be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Connect again from the same cursor.
    TryAgain,
    /// Go one place on.
    StepOver,
    /// Stepping on would be guessing. Connect again from the same cursor.
    Stuck,
}

/// What is suspected at one cursor.
#[derive(Debug)]
struct Suspect {
    cursor: Option<String>,
    fault: Fault,
    times: u32,
    /// It is received whatever its size.
    let_in: bool,
}

/// The suspicion of a feed that resumes.
#[derive(Debug, Default)]
pub struct Poison {
    suspect: Option<Suspect>,
    steps: u32,
    /// Where the last step led. Still being there means that no event came since.
    stepped_to: Option<String>,
}

impl Poison {
    /// What the next connection may receive: more than `limit` when that is how to learn a frame's cursor.
    pub fn frame_limit(&self, cursor: Option<&str>, limit: usize) -> usize {
        match &self.suspect {
            Some(s) if s.let_in && s.cursor.as_deref() == cursor => HARD_FRAME_LIMIT.max(limit),
            _ => limit,
        }
    }

    /// A connection broke on a frame, with this cursor. `limit` is the feed's own limit of a frame.
    pub fn met(&mut self, cursor: Option<&str>, fault: Fault, limit: usize) -> Remedy {
        if self.steps > 0 && self.stepped_to.as_deref() != cursor {
            self.steps = 0;
        }
        let known = self.suspect.take().filter(|s| s.cursor.as_deref() == cursor && s.fault == fault);
        let mut suspect =
            known.unwrap_or_else(|| Suspect { cursor: cursor.map(str::to_owned), fault, times: 0, let_in: false });
        suspect.times = suspect.times.saturating_add(1);
        let remedy = if suspect.times < SAME {
            Remedy::TryAgain
        } else if suspect.fault == Fault::TooLarge && !suspect.let_in && limit < HARD_FRAME_LIMIT {
            suspect.let_in = true;
            Remedy::TryAgain
        } else if self.steps < STEPS {
            Remedy::StepOver
        } else {
            Remedy::Stuck
        };
        self.suspect = Some(suspect);
        remedy
    }

    /// It was stepped over; the cursor is this now.
    pub fn stepped(&mut self, to: Option<&str>) {
        self.steps += 1;
        self.stepped_to = to.map(str::to_owned);
        self.suspect = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 4 << 20;

    fn not_text() -> Fault {
        Fault::NotText("invalid utf-8 sequence of 1 bytes from index 0".into())
    }

    fn met(poison: &mut Poison, cursor: &str, fault: Fault) -> Remedy {
        poison.met(Some(cursor), fault, LIMIT)
    }

    /// Meets it until it is stepped over.
    fn step(poison: &mut Poison, from: u64) {
        for _ in 1..SAME {
            assert_eq!(met(poison, &from.to_string(), not_text()), Remedy::TryAgain);
        }
        assert_eq!(met(poison, &from.to_string(), not_text()), Remedy::StepOver);
        poison.stepped(Some(&(from + 1).to_string()));
    }

    #[test]
    fn the_same_fault_at_the_same_cursor_three_times_in_a_row_is_poison() {
        step(&mut Poison::default(), 5);
    }

    #[test]
    fn another_fault_or_another_cursor_begins_the_count_anew() {
        let mut poison = Poison::default();
        for (cursor, fault) in [
            ("5", not_text()),
            ("5", not_text()),
            ("5", Fault::NotText("from index 7".into())),
            ("5", not_text()),
            ("5", not_text()),
            ("6", not_text()),
            ("6", not_text()),
        ] {
            assert_eq!(met(&mut poison, cursor, fault), Remedy::TryAgain);
        }
        assert_eq!(met(&mut poison, "6", not_text()), Remedy::StepOver);
    }

    #[test]
    fn unreadable_frames_with_events_between_them_are_stepped_over_without_end() {
        let mut poison = Poison::default();
        for n in 0..50 {
            step(&mut poison, n * 50);
        }
    }

    #[test]
    fn after_five_steps_in_a_row_the_feed_waits_for_the_server_to_be_mended() {
        let mut poison = Poison::default();
        for n in 0..u64::from(STEPS) {
            step(&mut poison, n);
        }
        let here = STEPS.to_string();
        for _ in 1..SAME {
            assert_eq!(met(&mut poison, &here, not_text()), Remedy::TryAgain);
        }
        assert_eq!(met(&mut poison, &here, not_text()), Remedy::Stuck);
        assert_eq!(met(&mut poison, &here, not_text()), Remedy::Stuck);
        // It is well again, sends events, and later one more bad frame.
        step(&mut poison, 100);
    }

    #[test]
    fn a_frame_that_is_too_large_is_let_in_once_before_it_is_stepped_over() {
        let mut poison = Poison::default();
        for _ in 0..SAME {
            assert_eq!(poison.frame_limit(Some("5"), LIMIT), LIMIT);
            assert_eq!(met(&mut poison, "5", Fault::TooLarge), Remedy::TryAgain);
        }
        assert_eq!(poison.frame_limit(Some("5"), LIMIT), HARD_FRAME_LIMIT);
        assert_eq!(poison.frame_limit(Some("6"), LIMIT), LIMIT, "once it was read, the limit holds again");
        assert_eq!(met(&mut poison, "5", Fault::TooLarge), Remedy::StepOver);
    }

    #[test]
    fn only_what_an_event_can_cause_is_a_fault() {
        use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
        assert_eq!(
            Fault::of(&WsError::Capacity(CapacityError::MessageTooLong { size: 2, max_size: 1 })),
            Some(Fault::TooLarge)
        );
        assert_eq!(Fault::of(&WsError::Utf8("x".into())), Some(Fault::NotText("x".into())));
        for garbage in [
            ProtocolError::ControlFrameTooBig,
            ProtocolError::InvalidCloseSequence,
            ProtocolError::NonZeroReservedBits,
            ProtocolError::ResetWithoutClosingHandshake,
        ] {
            assert_eq!(Fault::of(&WsError::Protocol(garbage)), None);
        }
        assert_eq!(Fault::of(&WsError::ConnectionClosed), None);
    }
}
