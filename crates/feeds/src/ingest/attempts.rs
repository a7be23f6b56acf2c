//! Several lines that tell of one attempt to log in: the first counts, the others say that they are further words.
//!
//! A program such as sshd writes `Invalid user …`, `Failed password …` and `Connection closed …` for one wrong
//! password. Which of them come depends on how it is set up, so no line alone can say whether it is the first. What is
//! remembered here is small, and lost at a restart: at worst an attempt that lies across it counts twice.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use compact_str::{CompactString, ToCompactString as _};
use wf_model::{Fields, Timestamp};

use crate::mapping::SignOf;

/// sshd ends a connection that has not logged in after two minutes, unless it is told otherwise.
const REMEMBERED: Duration = Duration::from_secs(600);
const MOST: usize = 10_000;

/// Address and port of the client; an empty port for lines that do not say it.
type Connection = (CompactString, CompactString);

#[derive(Default)]
pub struct Attempts {
    open: HashMap<Connection, Told>,
    order: VecDeque<(Timestamp, Connection)>,
}

struct Told {
    since: Timestamp,
    host: Option<CompactString>,
    /// Attempts that were counted when they began, and whose failure may still be written.
    begun: u32,
    /// Some failure of this connection is known.
    failed: bool,
}

impl Attempts {
    /// Whether this sign is the first of its attempt.
    pub fn is_first(&mut self, sign: SignOf, fields: &Fields, now: Timestamp) -> bool {
        let text = |name: &str| fields.get(name).map(|v| v.to_compact_string());
        let Some(address) = text("source.ip") else { return true };
        let key = (address, text("source.port").unwrap_or_default());
        self.forget(now);
        match sign {
            SignOf::Start => {
                self.at(&key, text("host.name"), now).begun += 1;
                true
            }
            SignOf::Failure | SignOf::Limit => {
                let begun = self.take_begun(&key);
                let told = self.at(&key, text("host.name"), now);
                let known = std::mem::replace(&mut told.failed, true);
                !begun && (sign == SignOf::Failure || !known)
            }
            SignOf::End => {
                let begun = self.take_begun(&key);
                let host = text("host.name");
                let known = self.open.remove(&key).is_some_and(|t| t.failed && same_host(&t.host, &host));
                !begun && !known
            }
        }
    }

    /// Takes back one attempt that was counted when it began, on this connection or, where the line that told of its
    /// beginning had no port, from this address.
    fn take_begun(&mut self, key: &Connection) -> bool {
        let address = (key.0.clone(), CompactString::default());
        [key, &address].into_iter().any(|key| match self.open.get_mut(key) {
            Some(told) if told.begun > 0 => {
                told.begun -= 1;
                told.failed = true;
                true
            }
            _ => false,
        })
    }

    fn at(&mut self, key: &Connection, host: Option<CompactString>, now: Timestamp) -> &mut Told {
        if self.open.get(key).is_some_and(|told| !same_host(&told.host, &host)) {
            self.open.remove(key);
        }
        let order = &mut self.order;
        self.open.entry(key.clone()).or_insert_with(|| {
            order.push_back((now, key.clone()));
            Told { since: now, host, begun: 0, failed: false }
        })
    }

    fn forget(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(since, _)| *since + REMEMBERED < now || self.order.len() >= MOST) {
            let Some((since, key)) = self.order.pop_front() else { return };
            // It may have ended, and another begun on the same port since.
            if self.open.get(&key).is_some_and(|told| told.since == since) {
                self.open.remove(&key);
            }
        }
    }
}

/// Two hosts may see the same address and port. A line that does not name its host is of either.
fn same_host(a: &Option<CompactString>, b: &Option<CompactString>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wf_model::Value;

    fn first(attempts: &mut Attempts, sign: SignOf, port: &str) -> bool {
        let mut fields = Fields::default();
        fields.set("source.ip".into(), Value::str("203.0.113.9"));
        if !port.is_empty() {
            fields.set("source.port".into(), Value::str(port));
        }
        attempts.is_first(sign, &fields, Timestamp::from_millis(1000))
    }

    #[test]
    fn what_sshd_writes_of_one_attempt_counts_once_however_it_is_set_up() {
        use SignOf::{End, Failure, Limit, Start};
        for (signs, counted) in [
            // Passwords, a user that exists: one wrong, three wrong, six wrong.
            (&[Failure, End][..], 1),
            (&[Failure, Failure, Failure, End][..], 3),
            (&[Failure, Failure, Failure, Failure, Failure, Failure, Limit, End][..], 6),
            // Passwords, a user that does not exist.
            (&[Start, Failure, End][..], 1),
            (&[Start, Failure, Failure, End][..], 2),
            // Keys alone.
            (&[End][..], 1),
            (&[Start, End][..], 1),
            (&[Limit, End][..], 1),
            // One port after the other has ended.
            (&[Failure, End, Failure, End][..], 2),
            (&[End, End, End][..], 3),
            (&[Start, Start, Start][..], 3),
        ] {
            let mut attempts = Attempts::default();
            let n = signs.iter().filter(|sign| first(&mut attempts, **sign, "4242")).count();
            assert_eq!(n, counted, "{signs:?}");
        }
    }

    #[test]
    fn a_beginning_without_a_port_belongs_to_the_next_failure_from_its_address() {
        let mut attempts = Attempts::default();
        assert!(first(&mut attempts, SignOf::Start, ""));
        assert!(!first(&mut attempts, SignOf::End, "4242"));
        assert!(first(&mut attempts, SignOf::End, "4243"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut attempts = Attempts::default();
        for port in 0..MOST + 500 {
            first(&mut attempts, SignOf::Failure, &port.to_string());
        }
        assert!(attempts.open.len() <= MOST && attempts.order.len() <= MOST);
    }
}
