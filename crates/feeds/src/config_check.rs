//! What the types of a feed's config cannot say.

use std::time::Duration;

use url::{Host, Url};
use wf_model::looks_secret;

use super::{FeedConfig, Split};

const SECOND: Duration = Duration::from_secs(1);
/// The least for what a network does.
const NETWORK: Duration = Duration::from_millis(100);
/// The least between attempts: anything less is an attack on the server.
const PAUSE: Duration = Duration::from_millis(10);

pub fn check(config: &FeedConfig) -> Result<(), String> {
    address(config)?;
    pointers(config)?;
    spans(config)?;
    limits(config)?;
    headers(config)?;
    if config.resume.ack.is_some() && config.resume.cursor.is_none() {
        return Err("resume.ack needs resume.cursor".into());
    }
    Ok(())
}

/// Without query, fragment, user and password.
pub fn shown(url: &str) -> String {
    let bare = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let Some((scheme, rest)) = bare.split_once("://") else { return bare.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

fn address(config: &FeedConfig) -> Result<(), String> {
    // A cursor is no secret, whatever the parameter is called that it stands in.
    let url =
        Url::parse(&config.url.replace("{cursor}", "")).map_err(|e| format!("url '{}': {e}", shown(&config.url)))?;
    match url.scheme() {
        "wss" => {}
        "ws" if config.insecure || is_loopback(&url) => {}
        "ws" => {
            return Err(
                "ws:// to another machine can be read and changed on the way: use wss://, or write insecure = true"
                    .into(),
            );
        }
        other => return Err(format!("url: '{other}://' is not a WebSocket; use wss://")),
    }
    if url.host().is_none() {
        return Err("url: there is no host in it".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("url: a user or password in it would be written down in plain; use auth".into());
    }
    // The value may be the secret itself, so it is not repeated.
    match url.query_pairs().find(|(name, value)| !value.is_empty() && looks_secret(name)) {
        Some((name, _)) => Err(format!(
            "url: the parameter '{name}' looks like a secret; use auth = {{ scheme = \"query\", name = \"{name}\", \
             secret = \"keychain:NAME\" }}"
        )),
        None => Ok(()),
    }
}

fn pointers(config: &FeedConfig) -> Result<(), String> {
    let (decode, resume) = (&config.decode, &config.resume);
    let conditions = decode.ignore.iter().chain(config.on_connect.iter().filter_map(|e| e.expect.as_ref()));
    let own = decode.unwrap.iter().chain(&resume.cursor).chain(&resume.epoch).chain(&resume.recovered);
    for pointer in own.chain(&config.dedup.id).chain(conditions.map(|c| &c.pointer)) {
        pointer_ok(pointer)?;
    }
    if let Some(events) = &decode.events {
        let array = events.strip_suffix("/*").ok_or_else(|| format!("decode.events: '{events}' must end in /*"))?;
        pointer_ok(array)?;
        if decode.split != Split::None {
            return Err("decode: use either split or events".into());
        }
    }
    Ok(())
}

fn spans(config: &FeedConfig) -> Result<(), String> {
    let fixed = [
        ("idle", config.idle, SECOND),
        ("ping.every", config.ping.every, NETWORK),
        ("ping.timeout", config.ping.timeout, NETWORK),
        ("timeouts.connect", config.timeouts.connect, NETWORK),
        ("timeouts.handshake", config.timeouts.handshake, NETWORK),
        ("backoff.base", config.backoff.base, PAUSE),
        ("backoff.cap", config.backoff.cap, config.backoff.base),
        ("dedup.window", config.dedup.window, SECOND),
    ];
    let silence = config.silence.map(|s| ("silence", s, SECOND));
    let exchanges = config.on_connect.iter().map(|e| ("on_connect.within", e.within, NETWORK));
    match fixed.into_iter().chain(silence).chain(exchanges).find(|(_, span, least)| span < least) {
        Some((key, span, least)) => Err(format!("{key} is {span:?}; it must be {least:?} at least")),
        None => Ok(()),
    }
}

fn limits(config: &FeedConfig) -> Result<(), String> {
    let limits = &config.limits;
    if limits.frame > 64 << 20 || limits.frame < 1024 {
        return Err("limits.frame must be between 1KiB and 64MiB".into());
    }
    if limits.queue < limits.frame {
        return Err("limits.queue must hold at least one frame".into());
    }
    for (key, most) in [
        ("limits.json_depth", limits.json_depth),
        ("limits.events_per_frame", limits.events_per_frame),
        ("dedup.most", config.dedup.most),
    ] {
        if most == 0 {
            return Err(format!("{key} must be 1 at least"));
        }
    }
    Ok(())
}

fn headers(config: &FeedConfig) -> Result<(), String> {
    match config.headers.iter().find(|(name, value)| value.secret().is_none() && looks_secret(name)) {
        Some((name, _)) => Err(format!(
            "headers: '{name}' looks like a secret; use auth, or write where it is kept: {name} = \"keychain:NAME\""
        )),
        None => Ok(()),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn pointer_ok(pointer: &str) -> Result<(), String> {
    if pointer.is_empty() || pointer.starts_with('/') {
        Ok(())
    } else {
        Err(format!("'{pointer}' is not a JSON pointer: it begins with /"))
    }
}
