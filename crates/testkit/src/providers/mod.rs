//! A server that knows what Slack, PagerDuty, Discord, Telegram, Twilio and a webhook's owner document, refuses what
//! they would refuse, and misbehaves on request.

mod documented;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;

use documented::route;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// What was answered.
    pub status: u16,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A field of a form.
    pub fn form(&self, name: &str) -> Option<String> {
        field(&self.body, name)
    }
}

fn field(form: &str, name: &str) -> Option<String> {
    let raw = form.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='))?;
    let mut out = Vec::new();
    let mut bytes = raw.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'+' => out.push(b' '),
            b'%' => {
                let hex: String = [bytes.next()?, bytes.next()?].iter().map(|b| char::from(*b)).collect();
                out.push(u8::from_str_radix(&hex, 16).ok()?);
            }
            b => out.push(b),
        }
    }
    String::from_utf8(out).ok()
}

/// What goes wrong with the next request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing is looked at; this is answered.
    Answer(u16, &'static str, Option<&'static str>),
    /// Nothing is done, and after this long the answer is that the server broke.
    Slow(Duration),
    /// The work is done, and the connection closed before the answer.
    LostAnswer,
    /// The work is done, and half an answer comes.
    HalfAnswer,
    /// The connection is closed before anything is done.
    Refuse,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    faults: VecDeque<Fault>,
    /// Answers that people give: Telegram updates, inbound SMS.
    updates: Vec<Value>,
    sms: Vec<Value>,
    created: u64,
    /// What becomes of the messages of Twilio.
    fate: Option<&'static str>,
}

/// All of them on one port of this machine.
pub struct Providers {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    slack: broadcast::Sender<String>,
}

pub const TOKEN: &str = "123456:telegram-token";
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";

impl Providers {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let (slack, _) = broadcast::channel(64);
        let (shared, sockets) = (state.clone(), slack.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, address, shared.clone(), sockets.clone()));
            }
        });
        Self { address, state, slack }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// What was asked of a path that begins so, and was taken.
    pub fn taken(&self, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|a| a.path.starts_with(path) && a.status < 300 && a.method == "POST").collect()
    }

    pub fn fault(&self, fault: Fault, times: usize) {
        self.state.lock().unwrap().faults.extend(std::iter::repeat_n(fault, times));
    }

    pub fn no_more_faults(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// Every message of Twilio ends like this.
    pub fn fate(&self, status: &'static str) {
        self.state.lock().unwrap().fate = Some(status);
    }

    /// Somebody presses the button in Telegram.
    pub fn telegram_press(&self, account: i64, code: &str) {
        let mut s = self.state.lock().unwrap();
        let id = 100 + s.updates.len() as i64;
        s.updates.push(json!({ "update_id": id, "callback_query": { "id": id.to_string(), "from": { "id": account }, "data": format!("ack:{code}") } }));
    }

    /// Somebody answers by SMS.
    pub fn sms_reply(&self, from: &str, body: &str) {
        let mut s = self.state.lock().unwrap();
        let sid = format!("SM{:032}", s.sms.len());
        s.sms.insert(0, json!({ "sid": sid, "from": from, "body": body, "direction": "inbound" }));
    }

    /// Somebody presses the button in Slack.
    pub fn slack_press(&self, account: &str, code: &str) {
        let envelope = json!({ "type": "interactive", "envelope_id": format!("e-{code}"), "payload": { "type": "block_actions", "user": { "id": account }, "actions": [{ "action_id": "acknowledge", "value": code }] } });
        self.slack.send(envelope.to_string()).unwrap();
    }

    /// Sockets of Slack that are open.
    pub fn slack_sockets(&self) -> usize {
        self.slack.receiver_count()
    }
}

async fn serve(mut stream: TcpStream, address: SocketAddr, state: Arc<Mutex<State>>, slack: broadcast::Sender<String>) {
    let mut peek = [0u8; 512];
    let n = stream.peek(&mut peek).await.unwrap_or(0);
    if String::from_utf8_lossy(&peek[..n]).starts_with("GET /socket") {
        return socket(stream, slack).await;
    }
    let Some(mut asked) = read(&mut stream).await else { return };
    // Long polling answers when there is something, or after a moment.
    let polls = asked.path.ends_with("/getUpdates");
    let fault = if polls || asked.method == "GET" { None } else { state.lock().unwrap().faults.pop_front() };
    let mut reply = match &fault {
        Some(Fault::Refuse) => return,
        Some(Fault::Slow(time)) => {
            tokio::time::sleep(*time).await;
            (500, "too slow".to_owned(), String::new())
        }
        Some(Fault::Answer(status, body, after)) => {
            (*status, (*body).to_owned(), after.map(|a| format!("retry-after: {a}\r\n")).unwrap_or_default())
        }
        Some(Fault::LostAnswer | Fault::HalfAnswer) | None => {
            let (status, body) = route(&asked, address, &mut state.lock().unwrap());
            (status, body, String::new())
        }
    };
    if polls && reply.1.contains("\"result\":[]") {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (status, body) = route(&asked, address, &mut state.lock().unwrap());
            reply = (status, body, String::new());
            if !reply.1.contains("\"result\":[]") {
                break;
            }
        }
    }
    asked.status = reply.0;
    if !polls {
        state.lock().unwrap().asked.push(asked);
    }
    let text = format!(
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\n{}content-length: {}\r\nconnection: close\r\n\r\n{}",
        reply.0,
        reply.2,
        reply.1.len(),
        reply.1
    );
    match fault {
        Some(Fault::LostAnswer) => {}
        Some(Fault::HalfAnswer) => drop(stream.write_all(&text.as_bytes()[..text.len() - 1 - reply.1.len() / 2]).await),
        _ => drop(stream.write_all(text.as_bytes()).await),
    }
    drop(stream.shutdown().await);
}

async fn socket(stream: TcpStream, slack: broadcast::Sender<String>) {
    let Ok(mut ws) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut said = slack.subscribe();
    drop(ws.send(Message::text(json!({ "type": "hello" }).to_string())).await);
    loop {
        tokio::select! {
            Ok(text) = said.recv() => if ws.send(Message::text(text)).await.is_err() { return },
            frame = ws.next() => if !matches!(frame, Some(Ok(_))) { return },
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut data = Vec::new();
    let mut chunk = [0u8; 8192];
    let head = loop {
        let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        data.extend_from_slice(&chunk[..n]);
        if let Some(at) = data.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
    };
    let text = String::from_utf8_lossy(&data[..head]).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
    let length: usize =
        headers.iter().find(|(n, _)| n == "content-length").and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
    while data.len() < head + 4 + length {
        let n = stream.read(&mut chunk).await.ok().filter(|n| *n > 0)?;
        data.extend_from_slice(&chunk[..n]);
    }
    let (path, query) =
        target.split_once('?').map_or((target.clone(), String::new()), |(p, q)| (p.to_owned(), q.to_owned()));
    Some(Asked {
        method,
        path,
        query,
        headers,
        body: String::from_utf8_lossy(&data[head + 4..head + 4 + length]).into_owned(),
        status: 0,
    })
}
