//! A real sshd on loopback, attacked with real failing logins; its log lines come over a WebSocket and become the right incidents.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use wf_testkit::{ScriptServer, TestConsole, until};
use wf_tests::have;

struct Sshd {
    child: Child,
    port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait()).is_ok();
    }
}

/// sshd with keys of its own, on all of loopback, logging to its standard error.
fn sshd(dir: &Path) -> Option<(Sshd, BufReader<std::process::ChildStderr>)> {
    let server = ["/usr/sbin/sshd"].into_iter().find(|p| Path::new(p).exists())?;
    if !have("ssh") || !have("sshpass") || !have("ssh-keygen") {
        return None;
    }
    std::fs::create_dir_all("/run/sshd").ok()?;
    let key = dir.join("host_key");
    Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().ok()?.success().then_some(())?;
    let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let config = dir.join("sshd_config");
    std::fs::write(
        &config,
        format!("Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nLogLevel INFO\nMaxAuthTries 6\nMaxStartups 50\nStrictModes no\n", key.display()),
    )
    .ok()?;
    let mut child = Command::new(server).args(["-D", "-e", "-f"]).arg(&config).stderr(Stdio::piped()).spawn().ok()?;
    let lines = BufReader::new(child.stderr.take()?);
    Some((Sshd { child, port }, lines))
}

/// One failing login from a loopback address of one's own.
fn attack(port: u16, from: &str, user: &str) {
    let status = Command::new("sshpass")
        .args(["-p", "wrong", "ssh", "-p", &port.to_string(), "-b", from])
        .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "NumberOfPasswordPrompts=1", "-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no", "-o", "ConnectTimeout=20"])
        .arg(format!("{user}@127.0.0.1"))
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn real_failing_logins_at_a_real_sshd_become_the_right_incidents() {
    let dir = tempfile::tempdir().unwrap();
    let Some((server, lines)) = sshd(dir.path()) else {
        eprintln!("SKIPPED: openssh-server, openssh-client and sshpass are needed");
        return;
    };
    let feed = std::sync::Arc::new(ScriptServer::of(&[]).await);
    let home = TestConsole::new(&format!("[feed.sshd-edge]\nurl = \"{}\"\nmap = \"sshd\"\n", feed.url()));
    let console = home.start().await;
    console.until_feed("sshd-edge", "live", |f| f.state == "live").await;
    // Half of the lines as journald would send them, half as plain text: both are what real systems stream.
    let streaming = feed.clone();
    std::thread::spawn(move || {
        for (n, line) in lines.lines().map_while(Result::ok).enumerate() {
            let line = line.trim_end().to_owned();
            if n % 2 == 0 {
                streaming.push(&line);
            } else {
                streaming.push(&serde_json::json!({ "MESSAGE": line, "_HOSTNAME": "edge", "SYSLOG_IDENTIFIER": "sshd" }).to_string());
            }
        }
    });
    let port = server.port;
    tokio::task::spawn_blocking(move || {
        let attackers = [("127.0.0.2", 7), ("127.0.0.3", 5), ("127.0.0.4", 4)];
        for (from, times) in attackers {
            for n in 0..times {
                attack(port, from, ["root", "admin", "nobody-here"][n % 3]);
            }
        }
    })
    .await
    .unwrap();
    console.until_incident("127.0.0.2", |i| i.entity.as_deref() == Some("127.0.0.2") && i.count == 7).await;
    console.until_incident("127.0.0.3", |i| i.entity.as_deref() == Some("127.0.0.3") && i.count == 5).await;
    let all = until("all failures are stored", || async {
        let page = console.controller.search("event.action=login_failed", None, None, 100, &false.into(), |_| {}).await.ok()?;
        (page.events.len() == 16).then_some(page.events)
    })
    .await;
    assert_eq!(all.iter().filter(|e| e.source == "127.0.0.4").count(), 4);
    let incidents = console.incidents().await;
    assert_eq!(incidents.len(), 2, "four failures are not an attack: {incidents:?}");
    assert!(incidents.iter().all(|i| i.kind == "BRUTE_FORCE_ATTACK"));
    console.assert_sound().await;
    console.stop().await;
}
