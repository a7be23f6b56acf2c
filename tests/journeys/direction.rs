//! Who may know whom. `cargo deny` says it too; this says it of our own crates, from cargo's own account.

use std::collections::{BTreeMap, BTreeSet};

const ROOMS: [&str; 8] =
    ["wf-channels", "wf-demo", "wf-detect", "wf-evidence", "wf-feeds", "wf-privacy", "wf-response", "wf-store"];

/// What stands above the rooms, from the bottom up. Each may know what stands below it, the rooms and the model.
const FLOORS: [&[&str]; 6] = [
    &["wf-platform", "wf-api"],
    &["wf-config"],
    &["wf-engine"],
    &["wf-desk", "wf-compliance"],
    &["wf-console"],
    &["wf-cli", "watchfloor"],
];

#[test]
fn every_crate_knows_only_what_stands_below_it() {
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
    let of = |name: &str| direct[name].iter().map(String::as_str).collect::<BTreeSet<_>>();
    assert_eq!(of("wf-model"), BTreeSet::new());
    for room in ROOMS {
        assert_eq!(of(room), BTreeSet::from(["wf-model"]), "{room}: rooms never import each other");
    }
    let mut below: BTreeSet<&str> = ROOMS.into_iter().chain(["wf-model"]).collect();
    for floor in FLOORS {
        for name in floor {
            let above: Vec<_> = of(name).difference(&below).copied().collect();
            assert!(above.is_empty(), "{name} knows {above:?}, which do not stand below it");
        }
        below.extend(floor);
    }
    // The shells ask the console, and nothing that it is made of.
    let shell = BTreeSet::from(["wf-api", "wf-config", "wf-console", "wf-platform"]);
    for name in ["wf-cli", "watchfloor"] {
        assert!(of(name).is_subset(&shell), "{name} knows {:?}", of(name));
    }
    let known: BTreeSet<&str> =
        below.into_iter().chain(["wf-testkit", "wf-bench", "wf-fuzz", "wf-tests", "xtask"]).collect();
    assert!(direct.keys().all(|n| known.contains(n.as_str())), "a new crate has a floor: {:?}", direct.keys());
}
