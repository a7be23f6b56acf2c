//! One module a reader.

mod channels;
mod config;
mod decode;
mod evidence;
mod privacy;
mod query;
mod recovery;
mod request;
mod rules;
mod store;

use crate::Target;

pub const TARGETS: &[Target] = &[
    channels::TARGET,
    config::TARGET,
    decode::TARGET,
    evidence::TARGET,
    privacy::TARGET,
    query::TARGET,
    recovery::TARGET,
    request::TARGET,
    rules::TARGET,
    store::TARGET,
];

/// Nothing more to begin with.
fn nothing() -> Vec<Vec<u8>> {
    Vec::new()
}
