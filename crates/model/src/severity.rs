//! The one scale of severity. Foreign scales are mapped onto it at the door.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How bad it is: P1 Critical, P2 High, P3 Medium, P4 Low. Ordered so that `P1` is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    P4,
    P3,
    P2,
    P1,
}

impl Severity {
    /// From the most to the least severe.
    pub const ALL: [Self; 4] = [Self::P1, Self::P2, Self::P3, Self::P4];

    /// 1 for P1 to 4 for P4.
    pub const fn number(self) -> u8 {
        match self {
            Self::P1 => 1,
            Self::P2 => 2,
            Self::P3 => 3,
            Self::P4 => 4,
        }
    }

    pub const fn from_number(n: i64) -> Option<Self> {
        match n {
            1 => Some(Self::P1),
            2 => Some(Self::P2),
            3 => Some(Self::P3),
            4 => Some(Self::P4),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
        }
    }

    /// `Critical`, `High`, `Medium`, `Low`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::P1 => "Critical",
            Self::P2 => "High",
            Self::P3 => "Medium",
            Self::P4 => "Low",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no severity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a severity: use P1, P2, P3 or P4")]
pub struct UnknownSeverity(pub String);

impl FromStr for Severity {
    type Err = UnknownSeverity;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.to_ascii_lowercase().as_str() {
            "p1" | "critical" => Ok(Self::P1),
            "p2" | "high" => Ok(Self::P2),
            "p3" | "medium" => Ok(Self::P3),
            "p4" | "low" => Ok(Self::P4),
            _ => Err(UnknownSeverity(s.to_owned())),
        }
    }
}
