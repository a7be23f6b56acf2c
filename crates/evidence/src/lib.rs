//! The audit log: append-only, provable, erasable where it holds personal data.
//!
//! - [`tree`] is the Merkle tree of RFC 6962 (hashes, frontier, inclusion proofs).
//! - [`log`] turns actions into leaves and signs checkpoints (C2SP `tlog-checkpoint`, Ed25519).
//! - [`signers`] says whose signature counts where.
//! - [`verify`] gives the two verdicts, integrity and completeness.
//! - [`export`] is the file an auditor checks with public tools alone.
//!
//! No database here: the caller stores the leaves and the checkpoint in the transaction of the change they record, and
//! keeps the new [`log::AuditLog`] only if that transaction held. What this cannot promise: somebody with this user's
//! rights and keys can rewrite what came after the last checkpoint that someone else holds.

pub mod export;
pub mod log;
pub mod report;
pub mod signers;
pub mod tree;
pub mod verify;

pub use export::Export;
pub use log::{AuditKey, AuditLog};
pub use signers::Signers;
pub use verify::{Completeness, Integrity, Verdicts};
