//! `feeds test`: one connection, a few frames, and what became of them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use wf_model::{FeedName, Timestamp};

use crate::config::FeedConfig;
use crate::connect::{self, HARD_FRAME_LIMIT};
use crate::ingest::{Ingest, Pressure, Seed};
use crate::mapping::Mapping;
use wf_model::SecretSource;

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
        url: config.url.clone(),
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
    let mut ingest = Ingest::new(FeedName::new("test"), config.clone(), mappings, Seed::default());
    if let Err(problem) = crate::subscribe::greet(&mut socket, &config, &secrets, None, |frame| {
        ingest.on_frame(Timestamp::now(), frame, Pressure::None)
    })
    .await
    {
        report.problem = Some(problem);
        return report;
    }
    let until = Instant::now() + wait;
    while report.frames.len() < FRAMES {
        let bytes = match timeout_at(until, socket.next()).await {
            Err(_) => break,
            Ok(Some(Ok(Message::Text(text)))) => bytes::Bytes::from(text),
            Ok(Some(Ok(Message::Binary(bytes)))) => bytes,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => continue,
            Ok(Some(Ok(Message::Close(_))) | None) => {
                report.problem = Some("the server closed the connection".into());
                break;
            }
            Ok(Some(Err(e))) => {
                report.problem = Some(e.to_string());
                break;
            }
        };
        let shown: String = String::from_utf8_lossy(&bytes).chars().take(SHOWN).collect();
        let length = bytes.len();
        ingest.on_frame(Timestamp::now(), bytes, Pressure::None);
        let delivery = ingest.take();
        report.frames.push(ProbedFrame {
            bytes: length,
            text: wf_model::text::visible(&shown).into_owned(),
            events: delivery
                .iter()
                .flat_map(|d| &d.events)
                .map(|e| serde_json::json!({ "occurred_at": e.occurred_at.rfc3339(), "id": e.id, "fields": e.fields }))
                .collect(),
            quarantined: delivery.iter().flat_map(|d| &d.quarantine).map(|q| q.error.clone()).collect(),
            filtered: delivery.as_ref().map_or(0, |d| d.counts.filtered),
        });
    }
    report.cursor = ingest.cursor().map(str::to_owned);
    report
}
