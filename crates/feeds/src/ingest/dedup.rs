//! Which events came before: identifiers seen inside a window, and the contents that came under each.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher as _, DefaultHasher, Hasher, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

use wf_model::{Event, Timestamp, Value};
use xxhash_rust::xxh3::xxh3_128;

use super::SAME_ATTEMPT;
use super::stamp;

/// Contents that are remembered under one identifier.
const CONTENTS: usize = 16;
/// Identifiers whose further contents are remembered. Beyond, a conflict is kept each time it comes.
const CONFLICTS: usize = 10_000;

/// A key of this process. Content hashes are compared within it only: those of stored events are made anew at a start.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What makes two events with one identifier the same: their fields and the time their record claims. Not the fields we
/// add ourselves, and not the order.
///
/// It is the sum of keyed hashes (SipHash, with a key that nobody outside this process knows) of each field: nobody can
/// choose fields whose sum is that of others, neither by swapping values between names nor by search.
pub fn content_hash(event: &Event) -> u64 {
    let mut sum = stamp::claimed(event).map_or(0, |t| KEY.hash_one((1u8, t.millis())));
    let own_action = event.fields.get(SAME_ATTEMPT);
    for (name, value) in event.fields.iter() {
        let value = match name {
            "watchfloor.incident" | "watchfloor.severity" | stamp::TIME | stamp::CLAIMED_AT | SAME_ATTEMPT => continue,
            "event.action" => own_action.unwrap_or(value),
            _ => value,
        };
        let mut hasher = KEY.build_hasher();
        hasher.write(name.as_bytes());
        hasher.write_u8(0xff);
        write(value, &mut hasher);
        sum = sum.wrapping_add(hasher.finish());
    }
    sum
}

/// Texts end in a byte that no text holds, so that the items of a list cannot be moved into one another.
fn write(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Str(s) => hasher.write(s.as_bytes()),
        Value::List(items) => {
            hasher.write_u8(0xfe);
            for item in items {
                write(item, hasher);
                hasher.write_u8(0xff);
            }
        }
        // As text: what is read back from the disk may have become text.
        other @ (Value::Int(_) | Value::Float(_) | Value::Bool(_)) => {
            // A hasher takes everything.
            let _written = write!(Text(hasher), "{other}");
        }
    }
}

struct Text<'h>(&'h mut DefaultHasher);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0.write(s.as_bytes());
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Sighting {
    New,
    Duplicate,
    /// The identifier is known with other content (threat T14).
    Conflict,
}

/// Identifiers seen inside the window.
pub struct Seen {
    window: Duration,
    most: usize,
    content: HashMap<u128, u64>,
    /// Further contents of the few identifiers that came with more than one.
    others: HashMap<u128, VecDeque<u64>>,
    order: VecDeque<(Timestamp, u128)>,
}

impl Seen {
    pub fn new(window: Duration, most: usize) -> Self {
        Self { window, most: most.max(1), content: HashMap::new(), others: HashMap::new(), order: VecDeque::new() }
    }

    pub fn take(&mut self, id: &str, content: u64, now: Timestamp) -> Sighting {
        while self.order.front().is_some_and(|(at, _)| *at + self.window < now || self.order.len() >= self.most) {
            if let Some((_, id)) = self.order.pop_front() {
                self.content.remove(&id);
                self.others.remove(&id);
            }
        }
        let id = xxh3_128(id.as_bytes());
        match self.content.get(&id) {
            Some(known) if *known == content => Sighting::Duplicate,
            Some(_) if self.others.len() >= CONFLICTS && !self.others.contains_key(&id) => Sighting::Conflict,
            Some(_) => {
                let others = self.others.entry(id).or_default();
                if others.contains(&content) {
                    return Sighting::Duplicate;
                }
                if others.len() >= CONTENTS {
                    others.pop_front();
                }
                others.push_back(content);
                Sighting::Conflict
            }
            None => {
                self.content.insert(id, content);
                self.order.push_back((now, id));
                Sighting::New
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wf_model::{FeedName, Fields, Raw, Seq};

    fn hash(fields: &[(&str, Value)]) -> u64 {
        let mut all = Fields::default();
        for (name, value) in fields {
            all.set((*name).into(), value.clone());
        }
        content_hash(&Event {
            seq: Seq(0),
            feed: FeedName::new("f"),
            id: None,
            occurred_at: Timestamp::EPOCH,
            received_at: Timestamp::EPOCH,
            skewed: false,
            conflict: false,
            fields: all,
            raw: Raw::default(),
        })
    }

    #[test]
    fn t14_values_that_are_moved_between_names_or_items_are_other_content() {
        let (a, b) = (Value::str("a"), Value::str("b"));
        let one = hash(&[("x", a.clone()), ("y", b.clone())]);
        assert_eq!(one, hash(&[("y", b.clone()), ("x", a.clone())]), "the order is none");
        assert_ne!(one, hash(&[("x", b.clone()), ("y", a.clone())]));
        assert_ne!(hash(&[("x", Value::str("1=2"))]), hash(&[("x=1", Value::str("2"))]));
        let list = |items: &[&str]| Value::List(items.iter().map(|i| Value::str(i)).collect());
        assert_ne!(hash(&[("x", list(&["a, b"]))]), hash(&[("x", list(&["a", "b"]))]));
        assert_ne!(hash(&[("x", list(&["ab"]))]), hash(&[("x", Value::str("ab"))]));
    }

    #[test]
    fn each_content_of_an_identifier_is_new_once() {
        let mut seen = Seen::new(Duration::from_secs(10), 100);
        let now = Timestamp::from_millis(5);
        let sightings: Vec<_> = [1, 2, 2, 2, 1, 3].iter().map(|c| seen.take("id", *c, now)).collect();
        assert_eq!(
            sightings,
            [
                Sighting::New,
                Sighting::Conflict,
                Sighting::Duplicate,
                Sighting::Duplicate,
                Sighting::Duplicate,
                Sighting::Conflict
            ]
        );
        let later = now + Duration::from_secs(11);
        assert_eq!(seen.take("id", 2, later), Sighting::New);
    }
}
