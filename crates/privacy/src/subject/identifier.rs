//! An identifier: read as it was given, and told by its look where no kind was given.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{ERASED, RESTRICTED};
use crate::Refused;

/// One person is known by this many identifiers at most.
const MOST: usize = 100;

/// What kind of thing identifies somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    Email,
    Ip,
    Phone,
    UserId,
    Name,
}

impl IdentifierKind {
    pub const ALL: [Self; 5] = [Self::Email, Self::Ip, Self::Phone, Self::UserId, Self::Name];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Ip => "ip",
            Self::Phone => "phone",
            Self::UserId => "user_id",
            Self::Name => "name",
        }
    }
}

/// One identifier, as it was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, specta::Type)]
pub struct Identifier {
    pub kind: IdentifierKind,
    pub value: String,
}

impl Identifier {
    /// Reads `email:ann@x.com`, `ip:…`, `phone:…`, `user_id:…`, `name:…`; without a kind, tells it by its look.
    ///
    /// # Errors
    /// Nothing given, something too long, or a value that is none of its kind.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let text = text.trim();
        let (kind, value) = match text.split_once(':') {
            Some((k, v)) if IdentifierKind::ALL.iter().any(|kind| kind.as_str() == k) => {
                (IdentifierKind::ALL.into_iter().find(|kind| kind.as_str() == k), v.trim())
            }
            _ => (None, text),
        };
        let kind = kind.unwrap_or_else(|| guess(value));
        let wrong = |what: &str| Refused::because(format!("'{value}' is no {what}"));
        if value.is_empty() || value.chars().count() > 320 || value.chars().any(char::is_control) {
            return Refused::because(
                "an identifier is 1 to 320 characters on one line: email:ann@example.com, ip:203.0.113.4, phone:+49170…, \
                 user_id:4711, name:Ann Lee",
            );
        }
        if value == ERASED || value == RESTRICTED {
            return Refused::because("this stands for somebody who was erased, and identifies nobody");
        }
        match kind {
            IdentifierKind::Email
                if !value.contains('@')
                    || value.starts_with('@')
                    || value.ends_with('@')
                    || value.contains(char::is_whitespace) =>
            {
                return wrong("mail address");
            }
            IdentifierKind::Ip if value.parse::<IpAddr>().is_err() => return wrong("IP address"),
            IdentifierKind::Phone if digits(value).len() < 7 => return wrong("telephone number (7 digits or more)"),
            // Two letters would be half of every text.
            IdentifierKind::Name if value.chars().filter(|c| c.is_alphanumeric()).count() < 3 => {
                return wrong("name of three letters or more");
            }
            IdentifierKind::Email
            | IdentifierKind::Ip
            | IdentifierKind::Phone
            | IdentifierKind::UserId
            | IdentifierKind::Name => {}
        }
        Ok(Self { kind, value: value.to_owned() })
    }

    /// Several, each once.
    pub fn parse_all(texts: &[String]) -> Result<Vec<Self>, Refused> {
        let all: BTreeSet<Self> = texts.iter().map(|t| Self::parse(t)).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Refused::because("a subject is known by at least one identifier");
        }
        if all.len() > MOST {
            return Refused::because(format!("{} identifiers; at most {MOST}", all.len()));
        }
        Ok(all.into_iter().collect())
    }

    /// The same for everything that means the same: what duplicates are recognised by.
    pub fn normal(&self) -> String {
        let value = match self.kind {
            IdentifierKind::Email | IdentifierKind::UserId => self.value.to_lowercase(),
            IdentifierKind::Ip => {
                self.value.parse::<IpAddr>().map_or_else(|_| self.value.clone(), |ip| ip.to_canonical().to_string())
            }
            IdentifierKind::Phone => digits(&self.value),
            IdentifierKind::Name => self.value.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" "),
        };
        format!("{}:{value}", self.kind.as_str())
    }
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.value)
    }
}

pub(super) fn digits(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.strip_prefix("00").map_or(digits.clone(), str::to_owned)
}

fn guess(value: &str) -> IdentifierKind {
    if value.parse::<IpAddr>().is_ok() {
        IdentifierKind::Ip
    } else if value.contains('@') {
        IdentifierKind::Email
    } else if value.starts_with('+') && digits(value).len() >= 7 {
        IdentifierKind::Phone
    } else if value.contains(' ') {
        IdentifierKind::Name
    } else {
        IdentifierKind::UserId
    }
}
