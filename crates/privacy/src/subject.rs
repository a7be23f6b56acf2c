//! A person whose data it is: the identifiers they are known by, found in text and replaced, and nobody else's.
//!
//! `ann@x.com` is not in `joann@x.com`, `10.0.0.1` not in `10.0.0.11`. An identifier also counts when it is written
//! otherwise: in another case, with JSON escapes, percent-encoded in an address, an IPv6 address in full, a telephone
//! number with spaces.
//!
//! A user id as short as `5`, or one of digits alone, cannot be told from any other number: one of fewer than six
//! characters, or without a letter, counts only where a name says that it is a user's (`"user_id": 5`, `user.id`,
//! `user_id=5`). A telephone number written as a bare number counts where a name says that it is one.

mod finder;
mod identifier;
mod neighbours;
mod spelling;

pub use finder::Finder;
pub use identifier::{Identifier, IdentifierKind};

/// What stands where an erased identifier stood.
pub const ERASED: &str = "[erased]";
/// What stands where a report leaves out a subject whose processing is restricted (Art. 18).
pub const RESTRICTED: &str = "[restricted]";

#[cfg(test)]
#[path = "subject_tests.rs"]
mod tests;
