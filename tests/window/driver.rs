//! One window, one driver, one D-Bus session, one home.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use wf_testkit::{ScriptServer, until};
use wf_tests::program;

/// Starts and unlocks a keyring inside the window's session.
pub const KEYRING: &str =
    "printf pw | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null 2>&1; sleep 0.3;";

/// The key of [`Home::with_server_key`].
pub const SERVER_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

const STUCK: std::time::Duration = std::time::Duration::from_secs(30);

pub fn failure(n: u32, ip: &str) -> String {
    format!(
        r#"{{"id":"{ip}-{n}","event":"login_failed","username":"s.lindqvist","ip":"{ip}","reason":"bad password"}}"#
    )
}

/// A server with two attacks in it, and the config that subscribes to it.
pub async fn attacked() -> (ScriptServer, String) {
    let mut frames: Vec<String> = (0..12).map(|n| failure(n, "203.0.113.45")).collect();
    frames.extend((0..6).map(|n| failure(n, "198.51.100.9")));
    frames
        .push(r#"{"id":"p","event":"privilege_escalation_attempt","username":"t.meyer","ip":"10.2.6.52"}"#.to_owned());
    let server = ScriptServer::of(&frames.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let config =
        format!("[feed.shop-auth]\nurl = \"{}\"\nmap = \"auth-event\"\ndedup = {{ id = \"/id\" }}\n", server.url());
    (server, config)
}

/// The directories of one officer.
pub struct Home {
    dir: tempfile::TempDir,
    server_key: bool,
}

impl Home {
    pub fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("watchfloor.toml"), format!("[operator]\nname = \"Duty officer\"\n{config}"))
            .unwrap();
        Self { dir, server_key: false }
    }

    /// With a key from the environment: for tests that are not about the keychain.
    pub fn with_server_key(config: &str) -> Self {
        Self { server_key: true, ..Self::new(&format!("[store]\nkey = \"env:WATCHFLOOR_KEY\"\n{config}")) }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> String {
        std::fs::read_to_string(self.path().join("watchfloor.toml")).unwrap()
    }
}

pub struct Window {
    client: Client,
    driver: Child,
    log: PathBuf,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Window {
    /// Opens the window. `before` is shell, run inside the session first.
    pub async fn open(home: &Home, before: &str) -> Self {
        let (port, native) = (free_port(), free_port());
        let log = home.path().join("window.log");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let script = format!("{before} exec tauri-driver --port {port} --native-port {native}");
        let mut command = Command::new("dbus-run-session");
        command
            .args(["--", "bash", "-c", &script])
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("share"))
            .env("XDG_CONFIG_HOME", home.path().join("config"))
            .env("XDG_CACHE_HOME", home.path().join("cache"))
            .env("XDG_RUNTIME_DIR", home.path())
            .env("WATCHFLOOR_DATA_DIR", home.path().join("data"))
            .env("WATCHFLOOR_CONFIG", home.path().join("watchfloor.toml"))
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .stdin(Stdio::null());
        if let Ok(path) = std::env::var("CARGO_HOME")
            .map(|h| format!("{h}/bin"))
            .or_else(|_| std::env::var("HOME").map(|h| format!("{h}/.cargo/bin")))
        {
            command.env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap_or_default()));
        }
        if home.server_key {
            command.env("WATCHFLOOR_KEY", SERVER_KEY);
        }
        let driver = command.spawn().expect("dbus-run-session, tauri-driver and WebKitWebDriver are installed");
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("tauri:options".into(), json!({ "application": program("watchfloor") }));
        let url = format!("http://127.0.0.1:{port}");
        let client = until(&format!("a window (see {})", log.display()), || {
            let (url, capabilities) = (url.clone(), capabilities.clone());
            async move {
                let connector = hyper_util::client::legacy::connect::HttpConnector::new();
                ClientBuilder::new(connector).capabilities(capabilities).connect(&url).await.ok()
            }
        })
        .await;
        Self { client, driver, log }
    }

    pub async fn close(mut self) {
        // Closing the session ends the program at once, as a crash would: the next start must cope.
        let _closed = self.client.clone().close().await.is_ok();
        let _ended = self.driver.kill().and_then(|()| self.driver.wait()).is_ok();
    }

    async fn fail(&self, what: &str) -> ! {
        let picture = std::env::temp_dir().join("watchfloor-window-failure.png");
        if let Ok(png) = self.client.screenshot().await {
            let _kept = std::fs::write(&picture, png).is_ok();
        }
        let text = self.js("return document.body.innerText").await;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        panic!("the window never showed: {what}\npicture: {}\ntext: {text}\nlog: {log}", picture.display());
    }

    /// The driver does not answer: the page is busy for ever, or a native dialog holds it.
    fn stuck(&self, what: &str) -> ! {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        panic!("the driver did not answer at: {what}\nlog: {log}");
    }

    async fn waits(&self, what: &str, script: &str) {
        let deadline = tokio::time::Instant::now() + wf_testkit::PATIENCE / 2;
        loop {
            match tokio::time::timeout(STUCK, self.client.execute(script, vec![])).await {
                Ok(Ok(Value::Bool(true))) => return,
                Ok(_) => {}
                Err(_) => self.stuck(what),
            }
            if tokio::time::Instant::now() > deadline {
                self.fail(what).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Waits until the script answers true.
    pub async fn until(&self, what: &str, script: &str) {
        self.waits(what, script).await;
    }

    /// Waits until the text is on the page.
    pub async fn see(&self, text: &str) {
        let script = format!("return document.body.innerText.includes({})", Value::from(text));
        self.waits(text, &script).await;
    }

    pub async fn js(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.unwrap_or(Value::Null)
    }

    pub async fn run(&self, script: &str) {
        self.client.execute(script, vec![]).await.unwrap();
    }

    pub async fn run_async(&self, script: &str) -> Value {
        match tokio::time::timeout(STUCK, self.client.execute_async(script, vec![])).await {
            Ok(answer) => answer.unwrap(),
            Err(_) => self.stuck(script),
        }
    }

    /// How many windows there are that a driver can drive.
    pub async fn windows(&self) -> usize {
        self.client.windows().await.unwrap().len()
    }

    /// What the program has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub async fn text(&self, selector: &str) -> String {
        self.client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap()
    }

    pub async fn click(&self, selector: &str) {
        let script =
            format!("const e = document.querySelector({}); e?.click(); return e !== null", Value::from(selector));
        self.waits(selector, &script).await;
    }

    /// What the programs of the window hold in memory, in MB: the shell with the engine, and the page's process.
    pub fn resident(&self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
            let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
            let Some(name) = field("Name:").filter(|n| *n == "watchfloor" || n.starts_with("WebKitWebProces")) else {
                continue;
            };
            let kb = field("VmRSS:").and_then(|v| v.split(' ').next()).and_then(|v| v.parse::<u64>().ok());
            found.push((name.to_owned(), kb.unwrap_or(0) / 1024));
        }
        found
    }

    /// Types, as a keyboard does, to whatever has the focus.
    pub async fn press(&self, text: &str) {
        let mut keys = KeyActions::new("keyboard".into());
        for value in text.chars() {
            keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        let Ok(done) = tokio::time::timeout(STUCK, self.client.perform_actions(keys)).await else { self.stuck("keys") };
        done.unwrap();
    }

    pub async fn key(&self, key: Key) {
        let value: char = key.into();
        let keys = KeyActions::new("keyboard".into()).then(KeyAction::Down { value }).then(KeyAction::Up { value });
        let Ok(done) = tokio::time::timeout(STUCK, self.client.perform_actions(keys)).await else { self.stuck("keys") };
        done.unwrap();
    }

    pub async fn key_with(&self, modifier: Key, value: char) {
        let held: char = modifier.into();
        let keys = KeyActions::new("keyboard".into())
            .then(KeyAction::Down { value: held })
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value })
            .then(KeyAction::Up { value: held });
        let Ok(done) = tokio::time::timeout(STUCK, self.client.perform_actions(keys)).await else { self.stuck("keys") };
        done.unwrap();
    }

    /// A screenshot; kept for the README when `WATCHFLOOR_SCREENSHOTS` is set. A flat one is a failure.
    pub async fn picture(&self, name: &str) {
        // WebKit answers with the next frame it paints, and a page at rest paints none.
        self.run("window.__paint = setInterval(() => (document.body.style.opacity = document.body.style.opacity === '1' ? '0.9999' : '1'), 40)").await;
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        let Ok(png) = tokio::time::timeout(STUCK, self.client.screenshot()).await else { self.stuck(name) };
        let png = png.unwrap();
        self.run("clearInterval(window.__paint); document.body.style.opacity = ''").await;
        assert!(png.len() > 15_000, "the picture {name} is one flat colour ({} bytes)", png.len());
        if std::env::var_os("WATCHFLOOR_SCREENSHOTS").is_some() {
            let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/screenshots");
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(format!("{name}.png")), png).unwrap();
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ended = self.driver.kill().is_ok();
    }
}
