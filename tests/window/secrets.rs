//! Secrets of the environment stay in the one process that needs them.

use std::os::unix::ffi::OsStrExt as _;

use super::driver::{Home, SERVER_KEY, Window};

/// The names of a window's programs; none of them may have the key.
fn programs_of(home: &Home) -> Vec<String> {
    let holds = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|w| w == part);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        let Ok(name) = std::fs::read_to_string(entry.path().join("comm")) else { continue };
        let name = name.trim().to_owned();
        // The driver has the variables: it is who starts the window.
        let ours = name == "watchfloor" || (name.starts_with("WebKit") && name != "WebKitWebDriver");
        if ours && holds(&environment, home.path().as_os_str().as_bytes()) {
            assert!(
                !holds(&environment, b"WATCHFLOOR_KEY=") && !holds(&environment, SERVER_KEY.as_bytes()),
                "{name} has the key in its environment"
            );
            found.push(name);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn t8_no_process_of_the_window_has_a_secret_in_its_environment() {
    let home = Home::with_server_key("[demo]\nenabled = true\n");
    let window = Window::open(&home, "").await;
    // The key was found all the same: the database is open.
    window.see("1 feed live").await;
    let names = programs_of(&home);
    let has = |start: &str| names.iter().any(|n| n.starts_with(start));
    assert!(has("watchfloor") && has("WebKitWeb"), "{names:?}");
    window.close().await;
}
