//! Opening a WebSocket, with a limit on every wait: name and TCP, TLS, upgrade.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

use crate::config::{Auth, FeedConfig};
use wf_model::{SecretRef, SecretSource};

/// What a WebSocket runs over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub type Socket = WebSocketStream<Box<dyn Stream>>;

/// The largest frame ever received, to step past one that is over the feed's own limit.
pub const HARD_FRAME_LIMIT: usize = 64 << 20;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Trying again changes nothing: the officer must do something.
    #[error("{0}")]
    Refused(String),
    /// Worth another try, not before `after` if the server said so.
    #[error("{reason}")]
    Failed { reason: String, after: Option<Duration> },
}

fn failed(reason: impl Into<String>) -> ConnectError {
    ConnectError::Failed { reason: reason.into(), after: None }
}

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
        let tls = tls_config(config, key).await?;
        let name = ServerName::try_from(host.clone()).map_err(|e| ConnectError::Refused(format!("{host}: {e}")))?;
        let stream = timeout(config.timeouts.handshake, tokio_rustls::TlsConnector::from(tls).connect(name, tcp))
            .await
            .map_err(|_| failed(format!("{host}:{port}: TLS took longer than {:?}", config.timeouts.handshake)))?
            .map_err(|e| failed(format!("{host}:{port}: {e}")))?;
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
            .map_err(upgrade_error)?;
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
    let mut headers: Vec<(String, SecretString)> =
        config.headers.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
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
    tokio::task::spawn_blocking(move || secrets.get(&reference))
        .await
        .map_err(|e| failed(e.to_string()))?
        .map_err(ConnectError::Refused)
}

async fn tls_config(config: &FeedConfig, key: Option<SecretString>) -> Result<Arc<rustls::ClientConfig>, ConnectError> {
    let (tls, auth) = (config.tls.clone(), config.auth.clone());
    let build = move || -> Result<rustls::ClientConfig, String> {
        let mut roots = rustls::RootCertStore::empty();
        match &tls.ca {
            Some(path) => {
                for cert in
                    CertificateDer::pem_file_iter(path).map_err(|e| format!("tls.ca {}: {e}", path.display()))?
                {
                    let cert = cert.map_err(|e| format!("tls.ca {}: {e}", path.display()))?;
                    roots.add(cert).map_err(|e| format!("tls.ca {}: {e}", path.display()))?;
                }
                if roots.is_empty() {
                    return Err(format!("tls.ca {}: there is no certificate in it", path.display()));
                }
            }
            None => {
                for cert in rustls_native_certs::load_native_certs().certs {
                    // One unreadable certificate of the system's store must not take the others with it.
                    if let Err(e) = roots.add(cert) {
                        tracing::debug!(error = %e, "a system certificate was left out");
                    }
                }
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots);
        match (auth, key) {
            (Some(Auth::Mtls { cert, .. }), Some(key)) => {
                let chain = CertificateDer::pem_file_iter(&cert)
                    .and_then(Iterator::collect)
                    .map_err(|e| format!("auth.cert {}: {e}", cert.display()))?;
                let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
                    .map_err(|_| "auth.secret holds no private key in PEM form".to_owned())?;
                builder.with_client_auth_cert(chain, key).map_err(|e| format!("auth.cert {}: {e}", cert.display()))
            }
            _ => Ok(builder.with_no_client_auth()),
        }
    };
    let config =
        tokio::task::spawn_blocking(build).await.map_err(|e| failed(e.to_string()))?.map_err(ConnectError::Refused)?;
    Ok(Arc::new(config))
}

fn upgrade_error(e: WsError) -> ConnectError {
    let WsError::Http(response) = e else { return failed(format!("the WebSocket upgrade failed: {e}")) };
    let status = response.status();
    let after = response
        .headers()
        .get("retry-after")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok())
        .map(|s: u64| Duration::from_secs(s.min(3600)));
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
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_encoded_into_the_url() {
        assert_eq!(url_with_cursor("wss://h/?since={cursor}&x=1", Some("a/b c&d")), "wss://h/?since=a%2Fb%20c%26d&x=1");
        assert_eq!(url_with_cursor("wss://h/?since={cursor}", None), "wss://h/?since=");
    }
}
