//! What `[feed.NAME]` may say. Strict: an unknown key is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use wf_model::span::span;
use wf_model::{SecretRef, Severity};

pub use wf_model::HeaderText;

#[path = "config_check.rs"]
mod check;

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
    /// More request headers. A value that is a secret is written as a reference, `keychain:NAME`.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderText>,
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
    /// A feed that is down, refused or stopped for this long is an incident, resolved when it is back.
    #[serde(default = "five_minutes", deserialize_with = "span")]
    pub down_after: Duration,
    /// How grave it is that this feed is down, or silent.
    #[serde(default = "high")]
    pub down_severity: Severity,
    /// How long to wait between attempts.
    #[serde(default)]
    pub backoff: Backoff,
    /// The time zone of stamps that name none, as `Europe/Berlin`. Without it they are UTC.
    #[serde(default)]
    pub zone: Option<chrono_tz::Tz>,
    /// Stamps older than this are not believed: the event gets the time of its receipt.
    #[serde(default = "oldest", deserialize_with = "span")]
    pub oldest: Duration,
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn high() -> Severity {
    Severity::P2
}

fn oldest() -> Duration {
    Duration::from_secs(400 * 86_400)
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
    /// Most events taken from one frame; what is beyond is counted as discarded, and a gap says how many.
    pub events_per_frame: usize,
    /// Most that may wait between the socket and the disk.
    #[serde(deserialize_with = "size")]
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: 4 << 20, json_depth: 64, events_per_frame: 100_000, queue: 64 << 20 }
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
    /// What the answer must hold. It is read like any other frame: if it is no event, name it in `decode.ignore`.
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

    /// The address as it may be shown: without its query, which may hold what is nobody's business.
    pub fn shown_url(&self) -> String {
        check::shown(&self.url)
    }

    /// Every secret it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let login = self.auth.as_ref().map(|auth| match auth {
            Auth::Bearer { secret }
            | Auth::Basic { secret, .. }
            | Auth::Header { secret, .. }
            | Auth::Query { secret, .. }
            | Auth::FirstFrame { secret, .. }
            | Auth::Mtls { secret, .. } => secret,
        });
        login.into_iter().chain(self.headers.values().filter_map(HeaderText::secret))
    }

    /// What the types cannot say.
    ///
    /// # Errors
    /// A sentence: what is wrong and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        check::check(self)
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
#[path = "config_tests.rs"]
mod tests;
