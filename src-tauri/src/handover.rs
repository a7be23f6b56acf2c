//! Secrets go from this program to itself, started again without them in its environment: over its standard input,
//! which holds them until they were read and nothing afterwards.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use secrecy::{ExposeSecret as _, SecretSlice};
use wf_platform::SecretEnvironment;
use wf_platform::environment;

/// Says that standard input holds secrets. Programs that this one starts inherit it: [`mark`] tells them apart.
const MARK: &str = "WATCHFLOOR_HANDED_OVER";
/// More than the environment itself can hold.
const MOST: u64 = 16 << 20;

/// The process is the same before and after; whoever inherits the variable is another.
#[cfg(unix)]
fn mark() -> String {
    std::process::id().to_string()
}

#[cfg(not(unix))]
fn mark() -> String {
    "1".to_owned()
}

/// Variables of the environment that the config refers to. One that cannot be read refers to none.
pub fn named(config: &Path) -> Vec<String> {
    let text = std::fs::read(config).unwrap_or_default();
    let names = environment::names_in(&String::from_utf8_lossy(&text));
    names.into_iter().filter(|name| std::env::var_os(name).is_some()).collect()
}

/// Takes what this program handed to itself, if it did.
pub fn receive() -> std::io::Result<()> {
    if std::env::var(MARK).ok() != Some(mark()) {
        return Ok(());
    }
    if !read(own_input()?)?.hold() {
        return Err(std::io::Error::other("secrets were handed over twice"));
    }
    Ok(())
}

/// Standard input without the buffer that would keep a copy.
#[cfg(unix)]
fn own_input() -> std::io::Result<impl std::io::Read> {
    use std::os::fd::AsFd as _;
    Ok(std::fs::File::from(std::io::stdin().as_fd().try_clone_to_owned()?))
}

#[cfg(not(unix))]
fn own_input() -> std::io::Result<impl std::io::Read> {
    Ok(std::io::stdin().lock())
}

fn read(from: impl std::io::Read) -> std::io::Result<SecretEnvironment> {
    let mut bytes = Vec::new();
    from.take(MOST).read_to_end(&mut bytes)?;
    let bytes = SecretSlice::from(bytes);
    SecretEnvironment::from_bytes(&bytes).ok_or_else(|| std::io::Error::other("what was handed over is damaged"))
}

/// Starts this program again, without these variables and with these secrets. Comes back when that failed, or on
/// Windows when that run has ended.
pub fn start_again(
    without: &[String],
    with: &[(&str, &str)],
    secrets: &SecretEnvironment,
) -> std::io::Result<ExitCode> {
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1)).env_remove(MARK);
    for variable in without {
        again.env_remove(variable);
    }
    again.envs(with.iter().copied());
    if !secrets.is_empty() {
        again.env(MARK, mark());
    }
    run(again, secrets)
}

#[cfg(unix)]
fn run(mut again: Command, secrets: &SecretEnvironment) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    if !secrets.is_empty() {
        again.stdin(Stdio::from(filled(secrets)?));
    }
    Err(again.exec())
}

/// The end of a socket from which the secrets can be read, once.
#[cfg(unix)]
fn filled(secrets: &SecretEnvironment) -> std::io::Result<std::os::fd::OwnedFd> {
    let (mut near, far) = std::os::unix::net::UnixStream::pair()?;
    // Nobody reads yet. More than the kernel keeps for us is an error, not a wait without an end.
    near.set_nonblocking(true)?;
    near.write_all(secrets.to_bytes().expose_secret()).map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock => {
            std::io::Error::other("the secrets in the environment are too long; keep them in the keychain")
        }
        _ => e,
    })?;
    Ok(far.into())
}

#[cfg(not(unix))]
fn run(mut again: Command, secrets: &SecretEnvironment) -> std::io::Result<ExitCode> {
    if !secrets.is_empty() {
        again.stdin(Stdio::piped());
    }
    let mut running = again.spawn()?;
    if let Some(mut input) = running.stdin.take() {
        input.write_all(secrets.to_bytes().expose_secret())?;
    }
    Ok(if running.wait()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn environment_of(value: &str) -> SecretEnvironment {
        SecretEnvironment::from_bytes(&format!("NAME\0{value}\0").into_bytes().into()).unwrap()
    }

    #[test]
    fn what_is_handed_over_can_be_read_once() {
        let secrets = environment_of(&"hunter2".repeat(500));
        let input = std::fs::File::from(filled(&secrets).unwrap());
        let again = input.try_clone().unwrap();
        let read_back = read(input).unwrap();
        assert_eq!(read_back.to_bytes().expose_secret(), secrets.to_bytes().expose_secret());
        assert!(read(again).unwrap().is_empty());
    }

    #[test]
    fn more_than_the_kernel_keeps_is_refused_and_waits_for_nobody() {
        let error = filled(&environment_of(&"x".repeat(8 << 20))).unwrap_err();
        assert!(error.to_string().contains("keychain"), "{error}");
    }

    #[test]
    fn only_variables_that_the_config_names_and_that_are_set_are_handed_over() {
        let file = std::env::temp_dir().join(format!("watchfloor-handover-{}.toml", std::process::id()));
        std::fs::write(&file, b"[store]\nkey = \"env:PATH\"\n# \xff\n[channel.a]\ntoken = \"env:NOT_SET_ANYWHERE\"\n")
            .unwrap();
        let names = named(&file);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(names, ["PATH"]);
        assert!(named(&file).is_empty());
    }
}
