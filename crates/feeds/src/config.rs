//! What `[feed.NAME]` may say. Strict: an unknown key is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use url::{Host, Url};

use wf_model::SecretRef;
use wf_model::span::span;

/// One subscription.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedConfig {
    /// How the server speaks. `generic`: JSON or text lines over a WebSocket.
    #[serde(default)]
    pub kind: Kind,
    /// `wss://` (or `ws://` to this machine). `{cursor}` is replaced by the percent-encoded cursor, or by nothing.
    pub url: String,
    /// `false` keeps the feed in the file without connecting.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How to log in.
    pub auth: Option<Auth>,
    /// More request headers. No secrets: use `auth`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// WebSocket subprotocols to offer, in order.
    #[serde(default)]
    pub subprotocols: Vec<String>,
    /// Whom to trust.
    #[serde(default)]
    pub tls: Tls,
    /// Allow `ws://` to another machine: everything can be read and changed on the way.
    #[serde(default)]
    pub insecure: bool,
    /// What is refused, and how much may wait.
    #[serde(default)]
    pub limits: Limits,
    /// How long connecting may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What to say after connecting, and what to expect back.
    #[serde(default)]
    pub on_connect: Vec<Exchange>,
    /// How a dead connection is noticed.
    #[serde(default)]
    pub ping: Ping,
    /// Reconnect when nothing at all came for this long.
    #[serde(default = "idle", deserialize_with = "span")]
    pub idle: Duration,
    /// How frames become events.
    #[serde(default)]
    pub decode: Decode,
    /// One mapping by name, or several to be tried in order.
    #[serde(default)]
    pub map: Maps,
    /// How the server counts, so that nothing is missed while disconnected.
    #[serde(default)]
    pub resume: Resume,
    /// How an event that comes again is recognised.
    #[serde(default)]
    pub dedup: Dedup,
    /// Events are expected at least this often; a longer silence is an incident.
    #[serde(default, deserialize_with = "maybe_span")]
    pub silence: Option<Duration>,
    /// How long to wait between attempts.
    #[serde(default)]
    pub backoff: Backoff,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Generic,
}

/// How to log in. The secret is a reference.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Bearer …`
    Bearer { secret: SecretRef },
    /// `Authorization: Basic …`
    Basic { user: String, secret: SecretRef },
    /// A header of its own.
    Header { name: String, secret: SecretRef },
    /// A query parameter of the URL.
    Query { name: String, secret: SecretRef },
    /// A frame sent first, with `{secret}` in it.
    FirstFrame { frame: String, secret: SecretRef },
    /// A client certificate (PEM file); the secret holds its private key (PEM).
    Mtls { cert: PathBuf, secret: SecretRef },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// A PEM file of certificate authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest frame and message.
    #[serde(deserialize_with = "size")]
    pub frame: usize,
    /// Deepest nesting of JSON.
    pub json_depth: usize,
    /// Most events in one frame.
    pub events_per_frame: usize,
    /// Most that may wait between the socket and the disk.
    #[serde(deserialize_with = "size")]
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: 4 << 20, json_depth: 64, events_per_frame: 5000, queue: 64 << 20 }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For the TCP connection.
    #[serde(deserialize_with = "span")]
    pub connect: Duration,
    /// For TLS and the WebSocket upgrade, each.
    #[serde(deserialize_with = "span")]
    pub handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), handshake: Duration::from_secs(10) }
    }
}

/// Something to send, something to expect, or both.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Text to send; `{cursor}` is replaced, escaped for a JSON string.
    pub send: Option<String>,
    /// What the answer must hold; other frames until then are events.
    pub expect: Option<Condition>,
    /// How long to wait for it.
    #[serde(default = "five_seconds", deserialize_with = "span")]
    pub within: Duration,
}

/// Holds when the value at `pointer` exists, or equals `equals` if that is given.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// A JSON pointer (RFC 6901), as `/type`.
    pub pointer: String,
    /// The value it must have.
    pub equals: Option<toml::Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ping {
    /// `ws`: WebSocket pings. `none`: the server pings, or nobody does.
    pub mode: PingMode,
    /// How often we ping.
    #[serde(deserialize_with = "span")]
    pub every: Duration,
    /// Reconnect when nothing came back for this long.
    #[serde(deserialize_with = "span")]
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PingMode {
    Ws,
    None,
}

impl Default for Ping {
    fn default() -> Self {
        Self { mode: PingMode::Ws, every: Duration::from_secs(20), timeout: Duration::from_secs(10) }
    }
}

/// From frame to records.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decode {
    /// One document a frame, or several.
    pub split: Split,
    /// Pointers to strings that hold JSON; each is opened in turn and takes the frame's place.
    pub unwrap: Vec<String>,
    /// A pointer to an array of events, ending in `/*`. Without it the frame is the event.
    pub events: Option<String>,
    /// Frames that are no events: filtered, and counted as such.
    pub ignore: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// A frame is one document.
    #[default]
    None,
    /// A document a line.
    Ndjson,
    /// A frame is an array of documents.
    JsonArray,
}

/// Names of mappings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Maps {
    One(String),
    Several(Vec<String>),
}

impl Default for Maps {
    fn default() -> Self {
        Self::One("ecs".to_owned())
    }
}

impl Maps {
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// How the server counts, and what it wants to hear about it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resume {
    /// Pointer to the cursor, in the event or in the frame. With it the feed resumes.
    pub cursor: Option<String>,
    /// Pointer to the epoch: another one means that numbering restarted.
    pub epoch: Option<String>,
    /// Pointer to the server's word whether it could replay from our cursor.
    pub recovered: Option<String>,
    /// Sent after the commit, with `{cursor}` in it.
    pub ack: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dedup {
    /// Pointer to the event's own identifier.
    pub id: Option<String>,
    /// How long an identifier is remembered.
    #[serde(deserialize_with = "span")]
    pub window: Duration,
    /// How many are remembered; the oldest make room.
    pub most: usize,
}

impl Default for Dedup {
    fn default() -> Self {
        Self { id: None, window: Duration::from_secs(48 * 3600), most: 250_000 }
    }
}

/// Waits between attempts: full jitter, a random share of a limit that doubles.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// The first limit.
    #[serde(deserialize_with = "span")]
    pub base: Duration,
    /// The last limit.
    #[serde(deserialize_with = "span")]
    pub cap: Duration,
    /// A connection that lived this long starts the doubling anew.
    #[serde(deserialize_with = "span")]
    pub reset_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(500), cap: Duration::from_secs(60), reset_after: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The wait before attempt `attempt` (0 is the first after a failure), for a `share` between 0 and 1.
    pub fn wait(&self, attempt: u32, share: f64) -> Duration {
        let limit = self.base.saturating_mul(2u32.saturating_pow(attempt.min(20))).min(self.cap);
        limit.mul_f64(share.clamp(0.0, 1.0))
    }
}

impl FeedConfig {
    /// Whether the server can replay from where we stopped.
    pub fn resumes(&self) -> bool {
        self.resume.cursor.is_some()
    }

    /// What the types cannot say.
    ///
    /// # Errors
    /// A sentence: what is wrong and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        let url = Url::parse(&self.url.replace("{cursor}", "0")).map_err(|e| format!("url '{}': {e}", self.url))?;
        match url.scheme() {
            "wss" => {}
            "ws" if self.insecure || is_loopback(&url) => {}
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
        for pointer in self
            .decode
            .unwrap
            .iter()
            .chain(&self.resume.cursor)
            .chain(&self.resume.epoch)
            .chain(&self.resume.recovered)
            .chain(&self.dedup.id)
        {
            pointer_ok(pointer)?;
        }
        for c in self.decode.ignore.iter().chain(self.on_connect.iter().filter_map(|e| e.expect.as_ref())) {
            pointer_ok(&c.pointer)?;
        }
        if let Some(events) = &self.decode.events {
            let array = events.strip_suffix("/*").ok_or_else(|| format!("decode.events: '{events}' must end in /*"))?;
            pointer_ok(array)?;
            if self.decode.split != Split::None {
                return Err("decode: use either split or events".into());
            }
        }
        if self.limits.frame > 64 << 20 || self.limits.frame < 1024 {
            return Err("limits.frame must be between 1KiB and 64MiB".into());
        }
        if self.limits.queue < self.limits.frame {
            return Err("limits.queue must hold at least one frame".into());
        }
        if self.resume.ack.is_some() && self.resume.cursor.is_none() {
            return Err("resume.ack needs resume.cursor".into());
        }
        for name in ["authorization", "cookie", "proxy-authorization"] {
            if self.headers.keys().any(|k| k.eq_ignore_ascii_case(name)) {
                return Err(format!("headers: '{name}' holds a secret; use auth"));
            }
        }
        Ok(())
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
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

fn yes() -> bool {
    true
}

fn idle() -> Duration {
    Duration::from_secs(90)
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

/// `512KiB`, `4MiB`, `1GiB`, or bytes.
fn parse_size(text: &str) -> Result<usize, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let wrong = || format!("'{text}' is not a size: write 512KiB, 4MiB or 1GiB");
    let n: usize = text[..split].parse().map_err(|_| wrong())?;
    let unit: usize = match &text[split..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    n.checked_mul(unit).ok_or_else(wrong)
}

fn maybe_span<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
    span(d).map(Some)
}

fn size<'de, D: Deserializer<'de>>(d: D) -> Result<usize, D::Error> {
    parse_size(&String::deserialize(d)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FeedConfig, String> {
        let config: FeedConfig = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        config.check().map(|()| config)
    }

    #[test]
    fn the_whole_table_of_the_design_is_understood() {
        let config = parse(
            r#"
            kind = "generic"
            url = "wss://shop.example/security/events?since={cursor}"
            auth = { scheme = "bearer", secret = "keychain:shop" }
            headers = { }
            subprotocols = [ ]
            tls = { ca = "corp.pem" }
            limits = { frame = "4MiB", json_depth = 64, events_per_frame = 5000, queue = "64MiB" }
            on_connect = [ { send = '{"subscribe":"security","since":"{cursor}"}', expect = { pointer = "/type", equals = "ack" }, within = "5s" } ]
            ping = { mode = "ws", every = "20s", timeout = "10s" }
            idle = "90s"
            decode = { split = "none", unwrap = [ ], events = "/events/*", ignore = [ ] }
            map = "ecs"
            resume = { cursor = "/offset", epoch = "/epoch", recovered = "/recovered", ack = '{"ack":"{cursor}"}' }
            dedup = { id = "/id", window = "48h" }
            silence = "10m"
            backoff = { base = "500ms", cap = "60s", reset_after = "60s" }
            "#,
        )
        .unwrap();
        assert_eq!(config.silence, Some(Duration::from_secs(600)));
        assert!(config.resumes());
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence() {
        for (text, expected) in [
            ("url = \"wss://x\"\nurll = 1", "unknown field `urll`"),
            ("url = \"ws://shop.example/\"", "insecure = true"),
            ("url = \"https://shop.example/\"", "not a WebSocket"),
            ("url = \"nonsense\"", "nonsense"),
            ("url = \"wss://u:p@x/\"", "auth"),
            ("url = \"wss://x\"\nidle = \"soon\"", "not a span of time"),
            ("url = \"wss://x\"\nauth = { scheme = \"bearer\", secret = \"hunter2\" }", "reference"),
            ("url = \"wss://x\"\nheaders = { Authorization = \"Bearer x\" }", "use auth"),
            ("url = \"wss://x\"\nresume = { cursor = \"offset\" }", "JSON pointer"),
            ("url = \"wss://x\"\ndecode = { events = \"/events\" }", "must end in /*"),
            ("url = \"wss://x\"\nlimits = { frame = \"1GiB\" }", "limits.frame"),
            ("url = \"wss://x\"\nkind = \"carrier-pigeon\"", "carrier-pigeon"),
        ] {
            let error = parse(text).map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "t8: the secret was repeated");
        }
        assert!(parse("url = \"ws://127.0.0.1:9/\"").is_ok());
        assert!(parse("url = \"ws://10.0.0.1:9/\"\ninsecure = true").is_ok());
    }

    #[test]
    fn the_wait_doubles_up_to_its_cap_and_is_a_random_share() {
        let b = Backoff::default();
        let most: Vec<_> = (0..9).map(|n| b.wait(n, 1.0).as_millis()).collect();
        assert_eq!(most, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        assert_eq!(b.wait(3, 0.25).as_millis(), 1000);
        assert_eq!(b.wait(u32::MAX, 0.0).as_millis(), 0);
    }
}
