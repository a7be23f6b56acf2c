//! `watchfloor-demo`: the demo feed as a server of its own, for trying things out and for benchmarks.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use wf_demo::{DemoServer, Options, Scenario};
use wf_model::Timestamp;

/// Plays a web shop's day, attacks included, over a WebSocket on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8790")]
    listen: SocketAddr,
    /// Another seed, another day.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Script seconds a second; 0 is as fast as it is taken.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Ordinary events a minute at the busiest hour.
    #[arg(long, default_value_t = 120)]
    per_minute: u32,
    /// When the script begins (RFC 3339); now if it is not given.
    #[arg(long)]
    start: Option<String>,
    /// Minutes played at once to a client without a cursor.
    #[arg(long, default_value_t = 60)]
    backlog: u64,
    /// Leave the attacks out.
    #[arg(long)]
    quiet: bool,
}

#[expect(clippy::print_stdout, reason = "a program that is asked for its address")]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    let a = Arguments::parse();
    let start = match &a.start {
        None => Timestamp::now(),
        Some(text) => Timestamp::parse(text).ok_or_else(|| {
            std::io::Error::other(format!("--start: '{text}' is not a moment; write 2026-01-12T07:00:00Z"))
        })?,
    };
    if !a.listen.ip().is_loopback() {
        return Err(std::io::Error::other("--listen: the demo feed is for this machine alone; use 127.0.0.1"));
    }
    let options = Options {
        scenario: Scenario { seed: a.seed, per_minute: a.per_minute, quiet: a.quiet },
        start,
        speed: a.speed,
        backlog: Duration::from_secs(a.backlog * 60),
        ..Options::default()
    };
    let server = DemoServer::start(a.listen, options).await?;
    println!("{}", server.url());
    tokio::signal::ctrl_c().await
}
