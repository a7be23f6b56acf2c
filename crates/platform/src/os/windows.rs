//! Windows: the twin of `unix`. Built by nobody here yet; see the README on what was tested.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions};

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

fn control_name(data_dir: &Path) -> String {
    let name = std::fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for b in name.as_os_str().as_encoded_bytes() {
        hash = (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
    }
    format!(r"\\.\pipe\watchfloor-{hash:016x}")
}

/// The default access rights of a named pipe let its creator and administrators write.
pub struct ControlListener {
    name: String,
    next: NamedPipeServer,
}

impl ControlListener {
    pub fn bind(data_dir: &Path) -> std::io::Result<Self> {
        let name = control_name(data_dir);
        let next = ServerOptions::new().first_pipe_instance(true).reject_remote_clients(true).create(&name)?;
        Ok(Self { name, next })
    }

    pub async fn accept(&mut self) -> std::io::Result<ControlStream> {
        self.next.connect().await?;
        let fresh = ServerOptions::new().reject_remote_clients(true).create(&self.name)?;
        Ok(ControlStream::Server(std::mem::replace(&mut self.next, fresh)))
    }
}

pub async fn connect_control(data_dir: &Path) -> std::io::Result<ControlStream> {
    const PIPE_BUSY: i32 = 231;
    loop {
        match ClientOptions::new().open(control_name(data_dir)) {
            Ok(client) => return Ok(ControlStream::Client(client)),
            Err(e) if e.raw_os_error() == Some(PIPE_BUSY) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(e) => return Err(e),
        }
    }
}
