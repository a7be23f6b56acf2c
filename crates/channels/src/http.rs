//! The one HTTP client: TLS, no redirects, no proxies from the environment, limits on every wait, and no address that a
//! setting must not reach.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use url::{Host, Url};

use crate::Outcome;

/// No provider's answer is longer than this that we would read.
const ANSWER: usize = 64 << 10;

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// `Retry-After` in seconds; providers write whole or broken numbers.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get("retry-after")?.to_str().ok()?;
        text.trim()
            .parse::<f64>()
            .ok()
            .filter(|s| s.is_finite() && *s >= 0.0)
            .map(|s| Duration::from_secs_f64(s.min(86_400.0)))
    }

    /// A sentence about an answer that is an error: the status and the beginning of what it says.
    pub fn sentence(&self) -> String {
        format!("HTTP {}: {}", self.status, crate::text::cut(&crate::text::inert(self.body.trim()), 200))
    }

    /// What the status means where the provider says nothing more particular.
    pub fn outcome(&self) -> Outcome {
        match self.status {
            200..=299 => Outcome::Delivered { id: None },
            408 | 425 | 429 => Outcome::Retry { reason: self.sentence(), after: self.retry_after(), maybe_sent: false },
            // It may have done its work before it broke.
            500..=599 => Outcome::Retry { reason: self.sentence(), after: self.retry_after(), maybe_sent: true },
            _ => Outcome::refused(self.sentence()),
        }
    }
}

/// For providers: their addresses are settings of the config's author.
pub fn client() -> Result<Client, Outcome> {
    builder().build().map_err(|e| Outcome::retry(format!("the HTTP client: {e}")))
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(25))
        .user_agent(concat!("Watchfloor/", env!("CARGO_PKG_VERSION")))
}

/// For addresses that somebody typed in: every address the name resolves to is looked at before it is connected to
/// (threat T7).
pub fn guarded(allow: &[String]) -> Result<Client, Outcome> {
    let guard = Guard { allow: allow.to_vec().into() };
    builder().dns_resolver(Arc::new(guard)).build().map_err(|e| Outcome::retry(format!("the HTTP client: {e}")))
}

/// Checks a typed-in address: https, no credentials in it, and a literal address only where that is allowed.
pub fn target(url: &str, allow: &[String]) -> Result<Url, String> {
    let parsed = Url::parse(url).map_err(|e| format!("this is no address: {e}"))?;
    let host = parsed.host().ok_or("this address has no host")?;
    let allowed =
        allow.iter().any(|a| parsed.host_str().is_some_and(|h| h.trim_matches(['[', ']']).eq_ignore_ascii_case(a)));
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && allowed) {
        return Err("messages go over https alone, unless `allow` names the host".into());
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("a name or password does not belong into an address".into());
    }
    let literal = match host {
        Host::Ipv4(a) => Some(IpAddr::V4(a)),
        Host::Ipv6(a) => Some(IpAddr::V6(a)),
        Host::Domain(_) => None,
    };
    match literal {
        Some(a) if !allowed && !public(a) => {
            Err(format!("{a} is inside a private network; name the host in `allow` if that is meant"))
        }
        _ => Ok(parsed),
    }
}

/// Whether an address is out on the internet: not this machine, not a private, link-local, metadata or multicast one.
pub fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => public_v4(a),
        IpAddr::V6(a) => {
            if let Some(v4) = a.to_ipv4_mapped().or_else(|| embedded(a)) {
                return public_v4(v4);
            }
            let s = a.segments();
            !(a.is_loopback()
                || a.is_unspecified()
                || a.is_multicast()
                || (s[0] & 0xfe00) == 0xfc00
                || (s[0] & 0xffc0) == 0xfe80
                || (s[0] & 0xffc0) == 0xfec0
                || (s[0] == 0x2001 && s[1] == 0xdb8))
        }
    }
}

/// The IPv4 address inside one of NAT64 or 6to4, or in the old compatible form.
fn embedded(a: std::net::Ipv6Addr) -> Option<Ipv4Addr> {
    let (s, o) = (a.segments(), a.octets());
    if s[..6] == [0x64, 0xff9b, 0, 0, 0, 0] || (s[..6] == [0; 6] && !a.is_loopback() && !a.is_unspecified()) {
        return Some(Ipv4Addr::new(o[12], o[13], o[14], o[15]));
    }
    (s[0] == 0x2002).then(|| Ipv4Addr::new(o[2], o[3], o[4], o[5]))
}

fn public_v4(a: Ipv4Addr) -> bool {
    let o = a.octets();
    !(a.is_loopback()
        || a.is_private()
        || a.is_link_local()
        || a.is_broadcast()
        || a.is_documentation()
        || a.is_multicast()
        || o[0] == 0
        || o[0] >= 240
        || (o[0] == 100 && (o[1] & 0xc0) == 64)
        || (o[0] == 198 && (o[1] & 0xfe) == 18)
        || (o[0] == 192 && o[1] == 0 && o[2] == 0))
}

struct Guard {
    allow: Arc<[String]>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.allow.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed = allow.iter().any(|a| a.eq_ignore_ascii_case(&host));
            if let Some(inside) = found.iter().find(|a| !allowed && !public(a.ip())) {
                return Err(format!(
                    "{host} leads to {}, inside a private network; name the host in `allow` if that is meant",
                    inside.ip()
                )
                .into());
            }
            // What was looked at is what is connected to.
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Asks for an address and reads nothing but whether that went well.
///
/// # Errors
/// A sentence.
pub async fn visit(url: Url, allow: &[String]) -> Result<(), String> {
    let said = |o: Outcome| match o {
        Outcome::Retry { reason, .. } | Outcome::Refused { reason, .. } => reason,
        Outcome::Delivered { .. } => String::new(),
    };
    let answer = ask(guarded(allow).map_err(said)?.get(url)).await.map_err(said)?;
    if answer.status < 300 { Ok(()) } else { Err(answer.sentence()) }
}

/// Sends and reads. What could not even be sent is told apart from what may have arrived.
pub async fn ask(request: RequestBuilder) -> Result<Answer, Outcome> {
    let mut response = request.send().await.map_err(|e| failure(&e))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(ANSWER - body.len())]),
            Ok(None) => break,
            // The status is what counts, unless it said yes and then broke off.
            Err(e) if status < 300 => {
                return Err(Outcome::Retry { reason: sentence(&e), after: None, maybe_sent: true });
            }
            Err(_) => break,
        }
        if body.len() >= ANSWER {
            break;
        }
    }
    Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn failure(e: &reqwest::Error) -> Outcome {
    let reason = sentence(e);
    if reason.contains("inside a private network") {
        return Outcome::refused(reason);
    }
    // Before the connection stood, nothing was said.
    Outcome::Retry { reason, after: None, maybe_sent: !e.is_connect() && !e.is_builder() }
}

/// Every cause, but never the address: it may be a secret.
fn sentence(e: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut text = if e.is_timeout() {
        "no answer in time".to_owned()
    } else if e.is_connect() {
        "no connection".to_owned()
    } else {
        "the exchange failed".to_owned()
    };
    let mut cause = e.source();
    while let Some(c) = cause {
        text = format!("{text}: {c}");
        cause = c.source();
    }
    crate::text::cut(&crate::text::inert(&text), 300)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t7_addresses_inside_are_refused_however_they_are_written() {
        for url in [
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://0/",
            "https://10.1.2.3/",
            "https://192.168.0.1/",
            "https://172.16.5.5/",
            "https://169.254.169.254/latest/",
            "https://100.64.0.1/",
            "https://[::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[2002:7f00:1::]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[::127.0.0.1]/",
            "http://example.com/",
            "ftp://example.com/",
            "https://user:pw@example.com/",
            "https://user@example.com/",
            "file:///etc/passwd",
            "nonsense",
        ] {
            assert!(target(url, &[]).is_err(), "{url}");
        }
        for url in ["https://example.com/", "https://8.8.8.8/", "https://[2606:4700::1111]/"] {
            assert!(target(url, &[]).is_ok(), "{url}");
        }
        assert!(target("http://127.0.0.1:5678/", &["127.0.0.1".into()]).is_ok(), "named on purpose");
        assert!(target("http://127.0.0.2:5678/", &["127.0.0.1".into()]).is_err());
    }

    #[tokio::test]
    async fn t7_a_name_that_leads_inside_is_refused_when_it_is_resolved() {
        let _first = rustls_provider();
        let client = guarded(&[]).unwrap();
        let outcome = ask(client.get("https://localhost:1/")).await.unwrap_err();
        assert!(
            matches!(&outcome, Outcome::Refused { reason, .. } if reason.contains("inside a private network")),
            "{outcome:?}"
        );
    }

    fn rustls_provider() -> bool {
        rustls::crypto::aws_lc_rs::default_provider().install_default().is_ok()
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod servers;
