//! A real sshd on loopback, attacked with real failing logins, its log lines streamed over a WebSocket.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use wf_testkit::ScriptServer;

use crate::{needs, skipped};

/// Who attacks from where, and how often. Four failures are below the rule's five.
pub const ATTACKERS: [(&str, usize); 3] = [("127.0.0.2", 7), ("127.0.0.3", 5), ("127.0.0.4", 4)];

/// It runs until dropped.
pub struct Sshd {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait()).is_ok();
    }
}

impl Sshd {
    /// With keys of its own. Half of its lines go to `feed` as journald would send them, half as plain text: both are
    /// what real systems stream. `None` where it cannot run, and then the test is counted as skipped.
    pub fn start(feed: Arc<ScriptServer>) -> Option<Self> {
        let server = "/usr/sbin/sshd";
        if !needs(&[server, "ssh", "ssh-keygen", "sshpass"]) {
            return None;
        }
        if std::fs::create_dir_all("/run/sshd").is_err() {
            skipped("root, to make /run/sshd");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("host_key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
        assert!(made.success());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = dir.path().join("sshd_config");
        std::fs::write(
            &config,
            format!("Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nLogLevel INFO\nMaxAuthTries 6\nMaxStartups 50\nStrictModes no\n", key.display()),
        )
        .unwrap();
        let mut child =
            Command::new(server).args(["-D", "-e", "-f"]).arg(&config).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let (listens, listening) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            for (n, line) in lines.lines().map_while(Result::ok).enumerate() {
                let line = line.trim_end().to_owned();
                if line.contains("Server listening") {
                    listens.send(()).unwrap();
                }
                if n % 2 == 0 {
                    feed.push(&line);
                } else {
                    feed.push(
                        &serde_json::json!({ "MESSAGE": line, "_HOSTNAME": "edge", "SYSLOG_IDENTIFIER": "sshd" })
                            .to_string(),
                    );
                }
            }
        });
        listening.recv().expect("sshd says that it listens");
        Some(Self { child, port, _dir: dir })
    }

    /// Every attacker's failing logins, one after the other.
    pub async fn attack(&self) {
        let port = self.port;
        tokio::task::spawn_blocking(move || {
            for (from, times) in ATTACKERS {
                for n in 0..times {
                    login(port, from, ["root", "admin", "nobody-here"][n % 3]);
                }
            }
        })
        .await
        .unwrap();
    }
}

/// One failing login from a loopback address of one's own.
fn login(port: u16, from: &str, user: &str) {
    let status = Command::new("sshpass")
        .args(["-p", "wrong", "ssh", "-p", &port.to_string(), "-b", from])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "NumberOfPasswordPrompts=1",
            "-o",
            "PreferredAuthentications=password",
            "-o",
            "PubkeyAuthentication=no",
            "-o",
            "ConnectTimeout=20",
        ])
        .arg(format!("{user}@127.0.0.1"))
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!status.success());
}
