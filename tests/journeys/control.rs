//! The control socket of a whole console: for whom it is, and what a bad client can do to it.
#![cfg(unix)]

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use wf_api::{Request, Response};
use wf_platform::os::{ControlStream, connect_control};
use wf_testkit::{RunningConsole, ScriptServer, TestConsole};
use wf_tests::ctl;

async fn connect(console: &RunningConsole) -> ControlStream {
    connect_control(&console.data_dir).await.unwrap()
}

async fn line(client: &mut BufReader<ControlStream>) -> Response {
    let mut line = String::new();
    client.read_line(&mut line).await.unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Sockets that Watchfloor left in a directory that everybody may write to.
fn sockets_for_all() -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    entries.map(|e| e.path()).filter(|p| p.to_string_lossy().contains("watchfloor") && is_socket(p)).collect()
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_socket_is_for_this_user_alone_wherever_it_lies() {
    let before = sockets_for_all();
    for length in [1, 150] {
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path().join("h".repeat(length));
        std::fs::create_dir(&home).unwrap();
        let place = TestConsole::at(&home, "");
        let console = place.start().await;
        let socket = console.data_dir.join("control.sock");
        assert!(is_socket(&socket), "{}", socket.display());
        assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&console.data_dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(sockets_for_all(), before);
        assert!(console.ask_over_the_socket(Request::Health).await.is_ok());
        // A server has no runtime directory; the tool finds the socket by the data directory alone.
        let (data, config) = (place.paths.data_dir.clone(), place.paths.config.clone());
        let health = move || ctl(&data, &config).args(["health", "--json"]).env_remove("XDG_RUNTIME_DIR").output();
        let output = tokio::task::spawn_blocking(health).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        console.stop().await;
        assert!(!socket.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_socket_keeps_no_console_from_starting() {
    let temporary = tempfile::tempdir().unwrap();
    let home = temporary.path().join("h".repeat(150));
    std::fs::create_dir(&home).unwrap();
    let place = TestConsole::at(&home, "");
    place.start().await.stop().await;
    // As a crash leaves it: a socket that nobody listens on. It is made under a short name, and moved.
    let short = temporary.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&short).unwrap());
    std::fs::rename(&short, place.paths.data_dir.join("control.sock")).unwrap();
    assert!(wf_console::control::ask(&place.paths.data_dir, &Request::Health).await.is_none());
    let console = place.start().await;
    assert!(console.ask_over_the_socket(Request::Health).await.is_ok());
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_slow_rude_or_endless_harms_nobody() {
    let place = TestConsole::new("");
    let console = place.start().await;
    // As many as leave one place; they say nothing, or never end what they say.
    let mut silent = Vec::new();
    for n in 0..31 {
        let mut client = connect(&console).await;
        client.write_all(&b"{\"method\":\"health\""[..n % 18]).await.unwrap();
        silent.push(client);
    }
    assert!(console.ask_over_the_socket(Request::Health).await.is_ok());

    // Garbage is answered, and what is asked after it as well.
    let mut client = BufReader::new(connect(&console).await);
    client.write_all(b"\xff\xfe\x00garbage\n").await.unwrap();
    assert!(matches!(line(&mut client).await, Response::Error(e) if e.message.starts_with("request:")));
    // The limit is for one request: these are more in sum.
    let long = serde_json::to_string(&Request::FeedsTest { name: "x".repeat(100_000) }).unwrap() + "\n";
    for _ in 0..12 {
        client.write_all(long.as_bytes()).await.unwrap();
        assert!(matches!(line(&mut client).await, Response::Error(_)));
    }
    client.write_all(b"{\"method\":\"events_count\"}\n").await.unwrap();
    assert!(matches!(line(&mut client).await, Response::Ok(_)));
    drop(client);

    // What never ends is cut off with a word.
    let (mut read, mut write) = tokio::io::split(connect(&console).await);
    let endless = tokio::spawn(async move { while write.write_all(&[b'x'; 64 << 10]).await.is_ok() {} });
    let mut said = Vec::new();
    // The rest of what it wrote was not read, which some kernels call a reset.
    let _reset = read.read_to_end(&mut said).await.is_err();
    assert!(String::from_utf8_lossy(&said).contains("longer than"), "{}", String::from_utf8_lossy(&said));
    endless.await.unwrap();

    assert!(console.ask_over_the_socket(Request::Health).await.is_ok());
    drop(silent);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_everything_comes_in_pages_and_none_is_missing() {
    // 23 events of 1.5 MB: more than one answer holds.
    let text = "x".repeat(1_500_000);
    let frames: Vec<String> = (0..23).map(|n| format!(r#"{{"id":"{n}","event":"logout","note":"{text}"}}"#)).collect();
    let server = ScriptServer::of(&frames.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let feed = format!("[feed.shop]\nurl = \"{}\"\nmap = \"auth-event\"\ndedup = {{ id = \"/id\" }}\n", server.url());
    let place = TestConsole::new(&feed);
    let console = place.start().await;
    console.until_stored(23).await;
    let (mut after, mut pages, mut seen) = (None, 0, Vec::new());
    loop {
        let list = Request::EventsList { query: String::new(), since: None, limit: 100_000, after };
        let page = console.ask_over_the_socket(list).await.unwrap();
        assert!(page.to_string().len() < 32 << 20);
        let events = page["events"].as_array().unwrap();
        assert!(!events.is_empty());
        seen.extend(events.iter().map(|e| e["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    assert!(pages > 1, "one answer held everything");
    assert_eq!(seen, (0..23).rev().map(|n| n.to_string()).collect::<Vec<_>>());
    console.stop().await;
}
