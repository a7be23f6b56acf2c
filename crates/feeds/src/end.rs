//! How a connection ends, and what is still to be said then.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::connect_error::ConnectError;
use crate::handover::Gone;
use crate::poison::Fault;

/// How a connection ended.
#[derive(Debug)]
pub enum End {
    /// Asked to stop, or nobody takes what comes.
    Stop,
    /// Only an officer can make it go on.
    Refused(String),
    Broken(Broken),
}

/// A connection that broke.
#[derive(Debug)]
pub struct Broken {
    pub reason: String,
    /// What a frame did to it, if a frame did.
    pub fault: Option<Fault>,
    pub(crate) farewell: Farewell,
}

/// What is still to be said when a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// Nobody is there to hear it.
    Silent,
    /// The server closed; our Close frame is the answer (RFC 6455, 5.5.1).
    Answer,
    /// We close, for this reason.
    Close(CloseCode),
}

impl End {
    /// It broke without a frame being to blame, and the server is to know.
    pub fn broken(reason: impl Into<String>) -> Self {
        Self::new(reason, None, Farewell::Close(CloseCode::Normal))
    }

    /// It broke, and nobody is at the other end.
    pub fn lost(reason: impl Into<String>) -> Self {
        Self::new(reason, None, Farewell::Silent)
    }

    fn new(reason: impl Into<String>, fault: Option<Fault>, farewell: Farewell) -> Self {
        Self::Broken(Broken { reason: reason.into(), fault, farewell })
    }
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Stop
    }
}

impl From<WsError> for End {
    fn from(e: WsError) -> Self {
        let farewell = match &e {
            WsError::Capacity(_) => Farewell::Close(CloseCode::Size),
            WsError::Utf8(_) => Farewell::Close(CloseCode::Invalid),
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Farewell::Silent,
            WsError::Protocol(_) => Farewell::Close(CloseCode::Protocol),
            _ => Farewell::Silent,
        };
        Self::new(e.to_string(), Fault::of(&e), farewell)
    }
}

impl From<ConnectError> for End {
    fn from(e: ConnectError) -> Self {
        match e {
            ConnectError::Refused(reason) => Self::Refused(reason),
            ConnectError::Failed { reason, .. } => Self::broken(reason),
        }
    }
}

/// The data of a frame; `None` for a control frame.
pub fn data(frame: Option<Result<Message, WsError>>) -> Result<Option<Bytes>, End> {
    match frame {
        Some(Ok(Message::Text(text))) => Ok(Some(Bytes::from(text))),
        Some(Ok(Message::Binary(bytes))) => Ok(Some(bytes)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Close(frame))) => {
            let why = frame.map(|f| format!(" ({} {})", f.code, f.reason)).unwrap_or_default();
            Err(End::new(format!("the server closed the connection{why}"), None, Farewell::Answer))
        }
        Some(Err(e)) => Err(e.into()),
        None => Err(End::lost("the connection ended")),
    }
}

/// Sends within a limit of time.
pub async fn within(limit: Duration, send: impl Future<Output = Result<(), WsError>>) -> Result<(), End> {
    match timeout(limit, send).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(e.into()),
        Err(_) => Err(End::lost(format!("nothing could be sent for {limit:?}"))),
    }
}
