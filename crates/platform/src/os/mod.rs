//! What differs between operating systems, one small module each, with the same functions.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::*;

/// Why there is no connection to the control socket of a data directory.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// No engine listens there.
    #[error("{0}")]
    Nobody(#[from] std::io::Error),
    /// What listens there belongs to another user, who must not see what is asked.
    #[error("another user's program listens on the control socket")]
    Stranger,
}
