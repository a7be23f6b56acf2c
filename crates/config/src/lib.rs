//! `watchfloor.toml`: strict, commented, edited by hand and by the window (comments survive).
//!
//! A new setting is a field of a type in [`schema`] with a comment and a default; `cargo xtask reference` writes it into
//! `docs/configuration.md`. What must fit together is checked in `load`; what the console writes into the file itself is
//! in [`edit`]; who is told of what follows from it in `plan`.

mod dead_man;
pub mod edit;
mod load;
mod plan;
mod privacy;
pub mod reference;
pub mod schema;

pub use dead_man::DeadMan;
pub use load::ConfigError;
pub use privacy::Privacy;
pub use schema::Config;
pub use wf_model::span::parse_span;

pub(crate) use load::ENVIRONMENT_WEBHOOK;
