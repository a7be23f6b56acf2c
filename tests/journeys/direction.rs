//! Who may know whom. `cargo deny` says it too; this says it of our own crates, from cargo's own account.

use std::collections::{BTreeMap, BTreeSet};

#[test]
fn the_rooms_never_import_each_other() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let ours = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["kind"].is_null())
            .map(|d| d["name"].as_str().unwrap().to_owned())
            .filter(|n| n.starts_with("wf-"));
        direct.insert(package["name"].as_str().unwrap().to_owned(), ours.collect());
    }
    let of = |name: &str| direct[name].iter().map(String::as_str).collect::<Vec<_>>();
    for room in ["wf-channels", "wf-detect", "wf-response", "wf-evidence", "wf-feeds", "wf-store", "wf-demo"] {
        assert_eq!(of(room), ["wf-model"], "{room}");
    }
    assert_eq!(of("wf-model"), [] as [&str; 0]);
    assert_eq!(of("wf-cli"), ["wf-app"]);
    assert_eq!(of("watchfloor"), ["wf-app"]);
    assert!(!of("wf-app").contains(&"wf-testkit"), "the product does not ship its tests");
}
