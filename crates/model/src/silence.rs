//! A silence: for a while, incidents that fit are not told of. They are still opened, and their end is still told.

use serde::{Deserialize, Serialize};

use crate::{Incident, Severity, Timestamp};

/// What a silence covers. Every part that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matcher {
    /// The rule's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The incident's type, as `BRUTE_FORCE_ATTACK`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The value the incident is about; a `*` at its end stands for anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// This one and those below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
}

impl Matcher {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn fits(&self, i: &Incident) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        let entity = |wanted: &str| match (i.entity.as_ref(), wanted.strip_suffix('*')) {
            (Some(e), Some(begin)) => e.value.starts_with(begin),
            (Some(e), None) => e.value == wanted,
            (None, _) => false,
        };
        same(&self.rule, &i.rule)
            && same(&self.kind, &i.kind)
            && self.entity.as_deref().is_none_or(entity)
            && self.severity.is_none_or(|s| i.severity <= s)
            && self.feed.as_deref().is_none_or(|f| i.feeds.iter().any(|x| x.as_str() == f))
    }
}

/// Made once and never changed but for its end: what it hid can always be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    pub matcher: Matcher,
    pub author: String,
    pub reason: String,
    pub from: Timestamp,
    pub until: Timestamp,
    /// Ended by hand before its time.
    pub ended_by: Option<String>,
    /// Its end was announced.
    pub closed: bool,
}

impl Silence {
    pub fn active(&self, now: Timestamp) -> bool {
        !self.closed && self.from <= now && now < self.until
    }
}
