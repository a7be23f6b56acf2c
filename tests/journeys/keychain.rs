//! Keys in a real gnome-keyring, in a D-Bus session of its own: present, locked, missing, lost, recovered.

use std::path::Path;
use std::process::{Command, Output};

use wf_tests::{needs, program};

/// Runs a shell script in a fresh D-Bus session with a home of its own.
fn session(home: &Path, script: &str) -> Output {
    std::fs::create_dir_all(home).unwrap();
    Command::new("dbus-run-session")
        .args(["--", "bash", "-c", script])
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("share"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_RUNTIME_DIR", home)
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env("CTL", program("watchfloorctl"))
        .env("D", home.join("data"))
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const UNLOCK: &str =
    "printf pw | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null 2>&1; sleep 0.3;";

fn ready() -> bool {
    needs(&["dbus-run-session", "gnome-keyring-daemon", "secret-tool"])
}

#[test]
fn the_first_run_makes_a_key_in_the_keychain_and_the_next_session_finds_it() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let first = session(
        dir.path(),
        &format!(
            "{UNLOCK} $CTL --data-dir $D run --for 300ms && secret-tool search --all service watchfloor 2>&1 | grep -c 'attribute.*database-key\\|username = database-key'"
        ),
    );
    assert!(first.status.success(), "{}", said(&first));
    assert!(said(&first).contains("recovery key"), "{}", said(&first));
    let second = session(dir.path(), &format!("{UNLOCK} $CTL --data-dir $D audit verify"));
    assert!(second.status.success() && said(&second).contains("intact"), "{}", said(&second));
}

#[test]
fn a_locked_keychain_beside_a_database_is_said_and_never_taken_for_a_first_run() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(session(dir.path(), &format!("{UNLOCK} $CTL --data-dir $D run --for 200ms")).status.success());
    let size = std::fs::metadata(dir.path().join("data/watchfloor.db")).unwrap().len();
    // The daemon runs but nobody unlocked it; and one that was given the wrong password.
    for unlock in [
        "gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1; sleep 0.3;",
        "printf wrong | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null 2>&1; sleep 0.3;",
    ] {
        let locked = session(dir.path(), &format!("{unlock} timeout 80 $CTL --data-dir $D incidents list"));
        assert_eq!(locked.status.code(), Some(1), "{}", said(&locked));
        assert!(said(&locked).contains("locked"), "{}", said(&locked));
    }
    assert_eq!(
        std::fs::metadata(dir.path().join("data/watchfloor.db")).unwrap().len(),
        size,
        "the database was not touched"
    );
    assert!(session(dir.path(), &format!("{UNLOCK} $CTL --data-dir $D incidents list")).status.success());
}

#[test]
fn without_a_keychain_nothing_is_stored_and_the_way_out_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(program("watchfloorctl"))
        .args(["run", "--for", "200ms", "--data-dir"])
        .arg(dir.path().join("data"))
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .env("XDG_RUNTIME_DIR", dir.path())
        .env("HOME", dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("keychain") && said(&output).contains("env:NAME"), "{}", said(&output));
    assert!(!dir.path().join("data/watchfloor.db").exists(), "no silent fallback to plain text");
}

#[test]
fn a_lost_key_is_told_from_a_first_run_and_another_directory_has_its_own() {
    if !ready() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "{UNLOCK} $CTL --data-dir $D run --for 200ms; secret-tool clear service watchfloor; $CTL --data-dir $D incidents list; echo code=$?; $CTL --data-dir $D.other run --for 200ms; echo other=$?"
    );
    let output = session(dir.path(), &script);
    assert!(
        said(&output).contains("code=1") && said(&output).contains("recovery key") && said(&output).contains("other=0"),
        "{}",
        said(&output)
    );
}
