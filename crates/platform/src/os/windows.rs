//! Windows: the twin of `unix`. Built by nobody here yet; see the README on what was tested.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};

use crate::os::Unreachable;

/// Either end of a pipe.
pub enum ControlStream {
    Server(NamedPipeServer),
    Client(NamedPipeClient),
}

macro_rules! both {
    ($self:ident, $s:ident => $e:expr) => {
        match $self.get_mut() {
            Self::Server($s) => $e,
            Self::Client($s) => $e,
        }
    };
}

impl tokio::io::AsyncRead for ControlStream {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        both!(self, s => std::pin::Pin::new(s).poll_read(cx, buf))
    }
}

impl tokio::io::AsyncWrite for ControlStream {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        both!(self, s => std::pin::Pin::new(s).poll_write(cx, buf))
    }
    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        both!(self, s => std::pin::Pin::new(s).poll_flush(cx))
    }
    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        both!(self, s => std::pin::Pin::new(s).poll_shutdown(cx))
    }
}

pub fn data_home() -> PathBuf {
    std::env::var_os("LOCALAPPDATA").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

pub fn config_home() -> PathBuf {
    std::env::var_os("APPDATA").map_or_else(data_home, PathBuf::from)
}

/// A directory below the user's profile inherits its access rights: this user, and administrators.
pub fn create_private_dir(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}

pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(path, bytes)
}

/// Holds the name of the pipe. Names of pipes are one space for all users, so ours is drawn by lot at each start and
/// written where this user alone can read it: nobody can be there first, or wait there for a client.
fn control_file(data_dir: &Path) -> PathBuf {
    data_dir.join("control.pipe")
}

/// The default access rights of a named pipe let its creator and administrators write.
pub struct ControlListener {
    name: String,
    file: PathBuf,
    next: NamedPipeServer,
}

impl ControlListener {
    pub fn bind(data_dir: &Path) -> std::io::Result<Self> {
        let name = format!(r"\\.\pipe\watchfloor-{}", crate::bytes::hex(&crate::bytes::random()));
        let next = ServerOptions::new().first_pipe_instance(true).reject_remote_clients(true).create(&name)?;
        let file = control_file(data_dir);
        write_private(&file, name.as_bytes())?;
        Ok(Self { name, file, next })
    }

    pub async fn accept(&mut self) -> std::io::Result<ControlStream> {
        let connected = self.next.connect().await;
        // One that is gone already leaves its end of the pipe unusable: the next one gets another, too.
        let fresh = ServerOptions::new().reject_remote_clients(true).create(&self.name)?;
        let stream = std::mem::replace(&mut self.next, fresh);
        connected.map(|()| ControlStream::Server(stream))
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_file(&self.file) {
            tracing::debug!(error = %e, "the name of the control pipe was gone already");
        }
    }
}

/// Connects to the engine that runs on a data directory. Only who can read the data directory knows the pipe's name.
pub async fn connect_control(data_dir: &Path) -> Result<ControlStream, Unreachable> {
    const PIPE_BUSY: i32 = 231;
    let name = std::fs::read_to_string(control_file(data_dir))?;
    loop {
        match ClientOptions::new().open(&name) {
            Ok(client) => return Ok(ControlStream::Client(client)),
            Err(e) if e.raw_os_error() == Some(PIPE_BUSY) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(e) => return Err(e.into()),
        }
    }
}
