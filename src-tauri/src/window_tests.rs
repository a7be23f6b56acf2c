//! What the page may do, as the settings of the window say it.

use super::*;

include!("command_names.rs");

const SETTINGS: &str = include_str!("../tauri.conf.json");

/// The whole policy. Whoever changes it changes it here too, and says why.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src ipc: http://ipc.localhost; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     object-src 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html";

#[test]
fn t2_the_one_window_is_granted_its_commands_and_nothing_else() {
    let text = include_str!("../capabilities/main.json");
    let capability: serde_json::Value = serde_json::from_str(text).unwrap();
    let granted: Vec<String> =
        capability["permissions"].as_array().unwrap().iter().map(|p| p.as_str().unwrap().to_owned()).collect();
    let expected: Vec<String> = COMMANDS.iter().map(|c| format!("allow-{}", c.replace('_', "-"))).collect();
    assert_eq!(granted, expected);
    assert_eq!(capability["identifier"], "main");
    assert_eq!(capability["windows"], serde_json::json!(["main"]));
    assert!(capability.get("remote").is_none() && capability.get("webviews").is_none());
    // A capability in another file would be in force as soon as the settings do not name this one alone.
    let settings: serde_json::Value = serde_json::from_str(SETTINGS).unwrap();
    assert_eq!(settings["app"]["security"]["capabilities"], serde_json::json!(["main"]));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("capabilities");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files, ["main.json"]);
}

#[test]
fn the_window_settings_are_those_of_the_threat_model() {
    let settings: serde_json::Value = serde_json::from_str(SETTINGS).unwrap();
    let app = &settings["app"];
    assert_eq!(app["withGlobalTauri"], false);
    assert_eq!(app["windows"], serde_json::json!([]));
    let security = app["security"].as_object().unwrap();
    // Every key: no asset protocol, no `dangerous…`, no other policy for development.
    let mut keys: Vec<&str> = security.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["capabilities", "csp", "freezePrototype"]);
    assert_eq!(security["freezePrototype"], true);
    assert_eq!(security["csp"], CSP);
    assert_eq!(settings["build"]["removeUnusedCommands"], true);
}

#[test]
fn t3_only_the_page_itself_is_navigated_to() {
    let (ours, root) = if cfg!(windows) {
        ("http://tauri.localhost/index.html#x", "http://tauri.localhost")
    } else {
        ("tauri://localhost/index.html#x", "tauri://localhost")
    };
    for address in [ours, root] {
        assert!(is_ours(&address.parse().unwrap()), "{address}");
    }
    for address in [
        "https://evil.example/",
        "http://tauri.localhost:8080/",
        "https://tauri.localhost/",
        "http://tauri.localhost.evil.example/",
        "http://localhost/",
        "tauri://evil.example/",
        "tauri://localhost:8080/",
        "tauri:localhost",
        "file:///etc/passwd",
        "about:blank",
        "data:text/html,x",
        "blob:tauri://localhost/x",
        "javascript:1",
        "ipc://localhost/quit",
    ] {
        assert!(!is_ours(&address.parse().unwrap()), "{address}");
    }
}
