//! The figures of `docs/performance.md`, measured on the release programs as processes: the sender on the same cores,
//! the database encrypted, every built-in rule running. Run it with `cargo xtask bench`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops where it cannot go on"
)]

mod desk;
mod engine;
mod ingest;
mod latency;
mod privacy;
mod year;

use clap::{Parser, Subcommand};

/// Measures Watchfloor.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// WebSocket frame to committed: events a second, CPU an event, memory, bytes on disk; then searches and a cold
    /// start on what was stored.
    Ingest {
        /// How long to feed it.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Questions and actions with ten thousand incidents open.
    Desk,
    /// Reports, searches, an erasure and retention over a million events.
    Privacy,
    /// Frame sent to incident committed, at 1,000 and 5,000 events a second.
    Latency {
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// Opening, listing and searching very many small blocks, beside the same with a thousand.
    Year {
        /// How many; each is a commit of its own, of some milliseconds.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
        blocks: u64,
    },
}

#[tokio::main]
async fn main() {
    engine::print_machine();
    match Arguments::parse().what {
        Some(What::Ingest { seconds }) => ingest::run(seconds).await,
        Some(What::Desk) => desk::run().await,
        Some(What::Privacy) => privacy::run().await,
        Some(What::Latency { seconds }) => latency::run(seconds).await,
        Some(What::Year { blocks }) => year::run(blocks).await,
        None => {
            latency::run(20).await;
            ingest::run(60).await;
            desk::run().await;
            privacy::run().await;
        }
    }
}
