//! `feeds test`: one connection, a few frames, and what became of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use wf_model::{FeedName, SecretSource};

use crate::config::FeedConfig;
use crate::connect::{self, HARD_FRAME_LIMIT, Socket};
use crate::end::{End, data};
use crate::greeting::greet;
use crate::ingest::Seed;
use crate::intake::Intake;
use crate::mapping::Mapping;

/// Deliveries that are taken while the server is greeted.
const GREETING: usize = 16;
const FRAMES: usize = 5;
const SHOWN: usize = 2000;

/// What a test of a feed found. No secret is in it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Probe {
    pub url: String,
    pub connected: bool,
    /// Why not, or why it ended early.
    pub problem: Option<String>,
    pub status: u16,
    pub subprotocol: Option<String>,
    pub tls: Option<String>,
    /// `replay`: resumes from a cursor. `best-effort`: what is missed while disconnected is missed.
    pub delivery: &'static str,
    pub frames: Vec<ProbedFrame>,
    pub cursor: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ProbedFrame {
    pub bytes: usize,
    /// The beginning.
    pub text: String,
    pub events: Vec<serde_json::Value>,
    pub quarantined: Vec<String>,
    pub filtered: u64,
}

/// Connects once, reads until five frames came or `wait` is over, and stores nothing.
pub async fn probe(
    config: Arc<FeedConfig>,
    mappings: Arc<[Mapping]>,
    secrets: Arc<dyn SecretSource>,
    wait: Duration,
) -> Probe {
    let mut report = Probe {
        url: config.shown_url(),
        delivery: if config.resumes() { "replay" } else { "best-effort" },
        ..Probe::default()
    };
    let (mut socket, handshake) = match connect::open(&config, None, &secrets, HARD_FRAME_LIMIT).await {
        Ok(connected) => connected,
        Err(e) => {
            report.problem = Some(e.to_string());
            return report;
        }
    };
    (report.connected, report.status, report.subprotocol, report.tls) =
        (true, handshake.status, handshake.subprotocol, handshake.tls);
    // Nobody takes what comes during the greeting; it waits there, and is dropped with everything else.
    let (out, _untaken) = mpsc::channel(GREETING);
    let mut intake = Intake::new(FeedName::new("test"), config.clone(), mappings, Seed::default(), out);
    let looked = match greet(&mut socket, &config, &secrets, &mut intake).await {
        Ok(()) => look(&mut socket, &mut intake, Instant::now() + wait, &mut report.frames).await,
        Err(end) => Err(end),
    };
    report.problem = match looked {
        Ok(()) | Err(End::Stop) => None,
        Err(End::Refused(reason)) => Some(reason),
        Err(End::Broken(broken)) => Some(broken.reason),
    };
    report.cursor = intake.cursor().map(str::to_owned);
    report
}

/// Reads until there are enough frames, or the time is over.
async fn look(
    socket: &mut Socket,
    intake: &mut Intake,
    until: Instant,
    frames: &mut Vec<ProbedFrame>,
) -> Result<(), End> {
    while frames.len() < FRAMES {
        let Ok(frame) = timeout_at(until, socket.next()).await else { break };
        if let Some(bytes) = data(frame)? {
            frames.push(probed(intake, bytes));
        }
    }
    Ok(())
}

fn probed(intake: &mut Intake, frame: Bytes) -> ProbedFrame {
    let shown: String = String::from_utf8_lossy(&frame).chars().take(SHOWN).collect();
    let bytes = frame.len();
    intake.frame(frame);
    let delivery = intake.take();
    ProbedFrame {
        bytes,
        text: wf_model::text::visible(&shown).into_owned(),
        events: delivery
            .iter()
            .flat_map(|d| &d.events)
            .map(|e| serde_json::json!({ "occurred_at": e.occurred_at.rfc3339(), "id": e.id, "fields": e.fields }))
            .collect(),
        quarantined: delivery.iter().flat_map(|d| &d.quarantine).map(|q| q.error.clone()).collect(),
        filtered: delivery.as_ref().map_or(0, |d| d.counts.filtered),
    }
}
