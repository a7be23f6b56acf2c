//! Opening a WebSocket, with a limit on every wait: name and TCP, TLS, upgrade.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use chrono::{DateTime, NaiveDateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

use crate::config::{Auth, FeedConfig, HeaderText};
use crate::connect_error::{ConnectError, failed};
use crate::tls;
use wf_model::{SecretRef, SecretSource};

/// What a WebSocket runs over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub type Socket = WebSocketStream<Box<dyn Stream>>;

/// The largest frame ever received, to step past one that is over the feed's own limit.
pub const HARD_FRAME_LIMIT: usize = 64 << 20;

/// A server may ask for patience, but not take a feed away for a day.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How it was connected, for the officer.
#[derive(Clone, Debug, Default)]
pub struct Handshake {
    pub status: u16,
    pub subprotocol: Option<String>,
    /// `None`: not encrypted.
    pub tls: Option<String>,
}

/// Connects. `frame_limit` is what may be received at all.
pub async fn open(
    config: &FeedConfig,
    cursor: Option<&str>,
    secrets: &Arc<dyn SecretSource>,
    frame_limit: usize,
) -> Result<(Socket, Handshake), ConnectError> {
    let (url, request, key) = request(config, cursor, secrets).await?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let tcp = timeout(config.timeouts.connect, TcpStream::connect((host.as_str(), port)))
        .await
        .map_err(|_| failed(format!("{host}:{port} did not answer within {:?}", config.timeouts.connect)))?
        .map_err(|e| failed(format!("{host}:{port}: {e}")))?;
    // Without it small acknowledgements wait for others; a failure costs a little time and nothing else.
    if let Err(e) = tcp.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY");
    }
    let (stream, tls): (Box<dyn Stream>, _) = if url.scheme() == "wss" {
        let tls = tls::config(config, key).await?;
        let name = ServerName::try_from(host.clone()).map_err(|e| ConnectError::Refused(format!("{host}: {e}")))?;
        let stream = timeout(config.timeouts.handshake, tokio_rustls::TlsConnector::from(tls).connect(name, tcp))
            .await
            .map_err(|_| failed(format!("{host}:{port}: TLS took longer than {:?}", config.timeouts.handshake)))?
            .map_err(|e| failed(format!("{host}:{port}: {}", tls::in_words(&e))))?;
        let version = stream.get_ref().1.protocol_version().and_then(|v| v.as_str()).unwrap_or("TLS").to_owned();
        (Box::new(stream), Some(version))
    } else {
        (Box::new(tcp), None)
    };
    let limits = WebSocketConfig::default()
        .max_message_size(Some(frame_limit))
        .max_frame_size(Some(frame_limit))
        .read_buffer_size(128 << 10)
        .max_write_buffer_size(1 << 20);
    let (socket, response) =
        timeout(config.timeouts.handshake, client_async_with_config(request, stream, Some(limits)))
            .await
            .map_err(|_| {
                failed(format!("{host}:{port}: the WebSocket upgrade took longer than {:?}", config.timeouts.handshake))
            })?
            .map_err(|e| upgrade_error(e, Utc::now()))?;
    no_extensions(response.headers())?;
    let subprotocol = response.headers().get("sec-websocket-protocol").and_then(|v| v.to_str().ok()).map(str::to_owned);
    Ok((socket, Handshake { status: response.status().as_u16(), subprotocol, tls }))
}

/// `{cursor}` and its percent-encoded value put into the URL.
fn url_with_cursor(template: &str, cursor: Option<&str>) -> String {
    template.replace("{cursor}", &utf8_percent_encode(cursor.unwrap_or_default(), NON_ALPHANUMERIC).to_string())
}

async fn request(
    config: &FeedConfig,
    cursor: Option<&str>,
    secrets: &Arc<dyn SecretSource>,
) -> Result<(Url, Request, Option<SecretString>), ConnectError> {
    let refused = |e: String| ConnectError::Refused(e);
    let mut url = Url::parse(&url_with_cursor(&config.url, cursor)).map_err(|e| refused(format!("url: {e}")))?;
    let mut headers: Vec<(String, SecretString)> = Vec::with_capacity(config.headers.len() + 2);
    for (name, value) in &config.headers {
        let text = match value {
            HeaderText::Plain(text) => text.clone().into(),
            HeaderText::Secret(reference) => get(secrets, reference).await?,
        };
        headers.push((name.clone(), text));
    }
    let mut client_key = None;
    match &config.auth {
        None | Some(Auth::FirstFrame { .. }) => {}
        Some(Auth::Bearer { secret }) => {
            let value = get(secrets, secret).await?;
            headers.push(("authorization".into(), format!("Bearer {}", value.expose_secret()).into()));
        }
        Some(Auth::Basic { user, secret }) => {
            let value = get(secrets, secret).await?;
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", value.expose_secret()));
            headers.push(("authorization".into(), format!("Basic {pair}").into()));
        }
        Some(Auth::Header { name, secret }) => headers.push((name.clone(), get(secrets, secret).await?)),
        Some(Auth::Query { name, secret }) => {
            let value = get(secrets, secret).await?;
            url.query_pairs_mut().append_pair(name, value.expose_secret());
        }
        Some(Auth::Mtls { secret, .. }) => client_key = Some(get(secrets, secret).await?),
    }
    if !config.subprotocols.is_empty() {
        headers.push(("sec-websocket-protocol".into(), config.subprotocols.join(", ").into()));
    }
    let mut request = url.as_str().into_client_request().map_err(|e| refused(format!("url: {e}")))?;
    for (name, value) in headers {
        let header = HeaderName::try_from(name.as_str())
            .map_err(|_| refused(format!("headers: '{name}' is not a header's name")))?;
        let mut text = HeaderValue::try_from(value.expose_secret())
            .map_err(|_| refused(format!("headers: the value of '{name}' cannot be sent in a header")))?;
        text.set_sensitive(true);
        request.headers_mut().insert(header, text);
    }
    Ok((url, request, client_key))
}

/// Asks the keychain off the async threads: it may show a prompt.
pub(crate) async fn get(secrets: &Arc<dyn SecretSource>, reference: &SecretRef) -> Result<SecretString, ConnectError> {
    let (secrets, reference) = (secrets.clone(), reference.clone());
    Ok(tokio::task::spawn_blocking(move || secrets.get(&reference)).await.map_err(|e| failed(e.to_string()))??)
}

/// We ask for no extension, so there must be none (RFC 6455, 4.1): what it does to the frames is unknown to us.
fn no_extensions(headers: &HeaderMap) -> Result<(), ConnectError> {
    let Some(extension) = headers.get("sec-websocket-extensions") else { return Ok(()) };
    Err(failed(format!(
        "the server turned on the WebSocket extension '{}', which nobody asked for: turn it off there",
        wf_model::text::visible(extension.to_str().unwrap_or("?"))
    )))
}

/// `Retry-After`: seconds, or a moment in one of the three forms of RFC 9110. An hour at most.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A moment that has passed is no wait.
        Err(_) => (http_date(text)? - now).to_std().unwrap_or_default(),
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

fn http_date(text: &str) -> Option<DateTime<Utc>> {
    let naive = |form| NaiveDateTime::parse_from_str(text, form).ok().map(|t| t.and_utc());
    naive("%a, %d %b %Y %H:%M:%S GMT")
        .or_else(|| naive("%A, %d-%b-%y %H:%M:%S GMT"))
        .or_else(|| naive("%a %b %e %H:%M:%S %Y"))
}

fn upgrade_error(e: WsError, now: DateTime<Utc>) -> ConnectError {
    let response = match e {
        WsError::Http(response) => response,
        // A TLS server that does not like our certificate says so only now.
        WsError::Io(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => {
            return failed(format!("the WebSocket upgrade failed: {}", tls::in_words(&e)));
        }
        e => return failed(format!("the WebSocket upgrade failed: {e}")),
    };
    let status = response.status();
    let after = retry_after(response.headers(), now);
    match status.as_u16() {
        401 | 403 => ConnectError::Refused(format!(
            "the server refused the login ({status}): check auth and its secret, then start the feed again"
        )),
        300..=399 => ConnectError::Refused(format!(
            "the server sends us elsewhere ({status}); redirects are not followed: write the final address into url"
        )),
        404 | 410 => ConnectError::Failed { reason: format!("there is nothing at this address ({status})"), after },
        _ => ConnectError::Failed { reason: format!("the server answered {status}"), after },
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
