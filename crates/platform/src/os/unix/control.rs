//! The control socket: where it lies, who listens on it and who may connect.
//!
//! It lies in the data directory, which is this user's alone. The kernel takes a socket's path of about 100 bytes only;
//! a longer one is never answered with a shared directory as `/tmp`, where another user could be there first. On Linux
//! the kernel is told the directory by its handle, so that the socket lies where it always does. Elsewhere it lies in a
//! directory of our own under the user's home. Either end looks at the user id of the other.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::os::Unreachable;

pub type ControlStream = UnixStream;

const NAME: &str = "control.sock";
/// The longest path that every kernel takes: `sun_path` has 104 bytes on macOS and 108 on Linux.
const LONGEST: usize = 100;

/// Where a socket is, and what the kernel is told.
struct Place {
    path: PathBuf,
    /// Leads to `path`, and is short.
    address: PathBuf,
    /// The directory that `address` goes through is open as long as this lives.
    _directory: Option<std::fs::File>,
}

impl Place {
    fn of(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(NAME);
        if path.as_os_str().len() <= LONGEST {
            return Ok(Self { address: path.clone(), path, _directory: None });
        }
        Self::of_long(data_dir)
    }

    #[cfg(target_os = "linux")]
    fn of_long(data_dir: &Path) -> io::Result<Self> {
        use std::os::fd::AsRawFd as _;
        let directory = std::fs::File::open(data_dir)?;
        let address = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd()));
        Ok(Self { path: data_dir.join(NAME), address, _directory: Some(directory) })
    }

    #[cfg(not(target_os = "linux"))]
    fn of_long(data_dir: &Path) -> io::Result<Self> {
        let path = below_home(&super::home(), data_dir)?;
        Ok(Self { address: path.clone(), path, _directory: None })
    }
}

/// The socket of a data directory in a directory of our own under `home`.
#[cfg(any(test, not(target_os = "linux")))]
fn below_home(home: &Path, data_dir: &Path) -> io::Result<PathBuf> {
    let directory = home.join(".watchfloor");
    // A link would lead to a directory whose rights say nothing about who may exchange the link.
    if std::fs::symlink_metadata(&directory).is_ok_and(|d| d.is_symlink()) {
        let why = format!("{} is a link; the control socket needs a directory there", directory.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    super::create_private_dir(&directory)?;
    let name = std::fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for b in name.as_os_str().as_encoded_bytes() {
        hash = (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
    }
    let path = directory.join(format!("{hash:016x}.sock"));
    if path.as_os_str().len() > LONGEST {
        let why = format!("{} is too long a path for a socket; choose a shorter data directory", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(path)
}

/// This user's id as the kernel shows it to the other end of a socket.
fn own_uid() -> io::Result<u32> {
    let (here, _there) = UnixStream::pair()?;
    Ok(here.peer_cred()?.uid())
}

pub struct ControlListener {
    listener: UnixListener,
    path: PathBuf,
    uid: u32,
}

impl ControlListener {
    /// Listens for this user alone. The caller holds the data directory's lock, so a socket that stands there is a dead
    /// one.
    pub fn bind(data_dir: &Path) -> io::Result<Self> {
        let place = Place::of(data_dir)?;
        match std::fs::remove_file(&place.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(&place.address)?;
        std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: place.path, uid: own_uid()? })
    }

    /// The next connection of this very user; others are turned away.
    pub async fn accept(&mut self) -> io::Result<ControlStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            // Who is gone before one could look is nobody.
            let Ok(peer) = stream.peer_cred() else { continue };
            if peer.uid() == self.uid {
                return Ok(stream);
            }
            tracing::warn!(uid = peer.uid(), "another user was turned away from the control socket");
        }
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_file(&self.path) {
            tracing::debug!(error = %e, "the control socket was gone already");
        }
    }
}

/// Connects to the engine that runs on a data directory, if it is this user's.
pub async fn connect_control(data_dir: &Path) -> Result<ControlStream, Unreachable> {
    connect_as(own_uid()?, data_dir).await
}

async fn connect_as(uid: u32, data_dir: &Path) -> Result<ControlStream, Unreachable> {
    let place = Place::of(data_dir)?;
    let stream = UnixStream::connect(&place.address).await?;
    if stream.peer_cred()?.uid() == uid { Ok(stream) } else { Err(Unreachable::Stranger) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// A data directory whose path has at least so many bytes.
    fn directory(bytes: usize) -> (tempfile::TempDir, PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let missing = bytes.saturating_sub(temporary.path().as_os_str().len() + 1);
        let path = temporary.path().join("d".repeat(missing.max(1)));
        super::super::create_private_dir(&path).unwrap();
        (temporary, path)
    }

    #[tokio::test]
    async fn the_socket_lies_in_the_data_directory_however_long_its_path_is() {
        for bytes in [0, LONGEST - NAME.len() - 1, LONGEST - NAME.len(), 150, 230] {
            let (_temporary, data) = directory(bytes);
            let mut listener = ControlListener::bind(&data).unwrap();
            let (client, server) = tokio::join!(connect_control(&data), listener.accept());
            assert!(client.is_ok() && server.is_ok(), "{bytes}");
            let socket = std::fs::metadata(data.join(NAME)).unwrap();
            assert!(socket.file_type().is_socket() && socket.mode() & 0o777 == 0o600, "{bytes}");
            drop(listener);
            assert!(!data.join(NAME).exists(), "{bytes}");
            assert!(matches!(connect_control(&data).await, Err(Unreachable::Nobody(_))), "{bytes}");
        }
    }

    #[tokio::test]
    async fn another_user_is_turned_away_at_either_end() {
        let (_temporary, data) = directory(0);
        let mut listener = ControlListener::bind(&data).unwrap();
        let uid = own_uid().unwrap();
        assert!(connect_as(uid, &data).await.is_ok());
        assert!(matches!(connect_as(uid + 1, &data).await, Err(Unreachable::Stranger)));
        // From here on the listener takes itself for somebody else's.
        assert!(listener.accept().await.is_ok());
        listener.uid = uid + 1;
        let mut stranger = UnixStream::connect(data.join(NAME)).await.unwrap();
        let ended = async {
            let mut byte = [0];
            stranger.read(&mut byte).await
        };
        tokio::select! {
            _ = listener.accept() => panic!("a stranger was let in"),
            read = ended => assert_eq!(read.unwrap(), 0),
        }
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_one_owned_by_nobody_is_no_engine() {
        let (_temporary, data) = directory(150);
        let file = std::fs::File::create(data.join(NAME)).unwrap();
        drop(file);
        assert!(matches!(connect_control(&data).await, Err(Unreachable::Nobody(_))));
        let dead = ControlListener::bind(&data).unwrap();
        std::mem::forget(dead);
        let mut listener = ControlListener::bind(&data).unwrap();
        let (client, server) = tokio::join!(connect_control(&data), listener.accept());
        assert!(client.is_ok() && server.is_ok());
    }

    #[test]
    fn the_directory_under_the_home_is_ours_alone_and_no_link() {
        let home = tempfile::tempdir().unwrap();
        let data = Path::new("/a/data/directory");
        let socket = below_home(home.path(), data).unwrap();
        let directory = home.path().join(".watchfloor");
        assert_eq!(socket.parent(), Some(directory.as_path()));
        assert_eq!(std::fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        assert_ne!(socket, below_home(home.path(), Path::new("/another")).unwrap());
        std::fs::remove_dir(&directory).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), &directory).unwrap();
        assert!(below_home(home.path(), data).is_err());
        assert!(below_home(&home.path().join("h".repeat(100)), data).is_err());
    }
}
