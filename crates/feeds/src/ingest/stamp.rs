//! Which time of an event is believed, and the word about it that stays on the event.

use std::sync::LazyLock;
use std::time::Duration;

use wf_model::{Event, FieldName, Fields, Timestamp, Value};

/// A stamp further in the future than this is not believed.
pub const SKEW: Duration = Duration::from_secs(300);
/// A stamp older than this is not believed: one of 1970 would make an incident half a century long.
pub const OLDEST: Duration = Duration::from_secs(400 * 86_400);

/// Why the event's time is that of its receipt: `receipt`, `skewed` or `implausible`.
pub const TIME: &str = "watchfloor.time";
/// The stamp that was not believed.
pub const CLAIMED_AT: &str = "watchfloor.claimed_at";

static TIME_NAME: LazyLock<FieldName> = LazyLock::new(|| TIME.into());
static CLAIMED_AT_NAME: LazyLock<FieldName> = LazyLock::new(|| CLAIMED_AT.into());

/// The time an event gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub occurred_at: Timestamp,
    pub skewed: bool,
}

/// Decides on the stamp that a record claims, and marks `fields` when it is not the event's time. `oldest`: how far
/// back stamps are believed; `None`: any.
pub fn settle(claimed: Option<Timestamp>, now: Timestamp, oldest: Option<Duration>, fields: &mut Fields) -> Stamp {
    let word = match claimed {
        None => "receipt",
        Some(t) if t > now + SKEW => "skewed",
        Some(t) if oldest.is_some_and(|oldest| t < now - oldest) => "implausible",
        Some(t) => return Stamp { occurred_at: t, skewed: false },
    };
    fields.set(TIME_NAME.clone(), Value::str(word));
    if let Some(t) = claimed {
        fields.set(CLAIMED_AT_NAME.clone(), Value::str(&t.rfc3339()));
    }
    Stamp { occurred_at: now, skewed: word == "skewed" }
}

/// The stamp that the record of an event claimed, believed or not.
pub fn claimed(event: &Event) -> Option<Timestamp> {
    match event.fields.get(TIME) {
        None => Some(event.occurred_at),
        Some(_) => event.fields.get_str(CLAIMED_AT).and_then(Timestamp::parse),
    }
}
