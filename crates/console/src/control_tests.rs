//! Clients as they should not be.

use wf_platform::os::connect_control;

use super::*;

/// Waits little, so that nobody waits for a test.
const STRICT: Limits = Limits { request: 200, patience: Duration::from_millis(200), clients: 1 };
/// For clients that are let finish, however busy the machine is.
const PATIENT: Limits = Limits { patience: LIMITS.patience, ..STRICT };
const LONG: usize = 16 << 20;

struct Server {
    dir: tempfile::TempDir,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<Result<(), String>>,
}

impl Server {
    /// Gives every request back; asked for the audit log, it has much to say.
    fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = ControlListener::bind(dir.path()).unwrap();
        let (stop, stopping) = watch::channel(false);
        let handle = |request: Request| async move {
            if request == Request::AuditExport {
                return Ok(Value::from("x".repeat(LONG)));
            }
            serde_json::to_value(request).map_err(ApiError::failed)
        };
        let task = tokio::spawn(listen(listener, stopping, limits, handle));
        Self { dir, stop, task }
    }

    async fn connect(&self) -> ControlStream {
        connect_control(self.dir.path()).await.unwrap()
    }

    async fn answers(&self) -> bool {
        ask(self.dir.path(), &Request::Health).await.unwrap().unwrap()["method"] == "health"
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

async fn answer(read: &mut (impl AsyncBufRead + Unpin)) -> Response {
    let mut line = Vec::new();
    read.read_until(b'\n', &mut line).await.unwrap();
    serde_json::from_slice(&line).unwrap()
}

#[tokio::test]
async fn a_client_that_holds_the_only_place_is_let_go_and_the_next_is_served() {
    let server = Server::start(STRICT);
    for said in [
        &b""[..],
        b"{\"method\":",
        b"{\"method\":\"audit_export\"}\n",
        b"\xff\xfe\n\n\n{}\n[[[[\nnull\n",
        &[b'x'; 4096],
        &[b'\n'; 4096],
    ] {
        let mut client = server.connect().await;
        // It may be shown the door before it has said everything.
        let _cut_off = client.write_all(said).await.is_err();
        assert!(server.answers().await, "{}", String::from_utf8_lossy(said));
        drop(client);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_runs_out_of_time_byte_by_byte() {
    let server = Server::start(STRICT);
    let mut client = server.connect().await;
    client.write_all(b"{").await.unwrap();
    let endless = tokio::spawn(async move {
        while client.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(server.answers().await);
    // Its next byte found nobody.
    endless.await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn garbage_has_an_answer_and_what_follows_it_too() {
    let server = Server::start(PATIENT);
    let mut client = BufReader::new(server.connect().await);
    for garbage in [&b"\xff\n"[..], b"\n", b"{}\n", b"\"health\" \"health\"\n"] {
        client.write_all(garbage).await.unwrap();
        let said = answer(&mut client).await;
        assert!(matches!(&said, Response::Error(e) if e.code == ErrorCode::Invalid), "{said:?}");
    }
    for _ in 0..STRICT.request {
        client.write_all(b"{\"method\":\"health\"}\n").await.unwrap();
        assert!(matches!(answer(&mut client).await, Response::Ok(_)), "the limit is for one request, not for all");
    }
    let mut longest = b"{\"method\":\"health\"}".to_vec();
    longest.resize(STRICT.request, b' ');
    client.write_all(&[&longest[..], b"\n"].concat()).await.unwrap();
    assert!(matches!(answer(&mut client).await, Response::Ok(_)));
    client.write_all(&[&longest[..], b" \n"].concat()).await.unwrap();
    let said = answer(&mut client).await;
    assert!(matches!(&said, Response::Error(e) if e.message.contains("longer than 200 bytes")), "{said:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_long_answer_arrives_whole() {
    let server = Server::start(PATIENT);
    let said = ask(server.dir.path(), &Request::AuditExport).await.unwrap().unwrap();
    assert_eq!(said.as_str().map(str::len), Some(LONG));
    server.stop().await;
}
