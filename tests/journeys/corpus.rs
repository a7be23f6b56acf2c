//! Public corpora, where they are: they are not ours to ship.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wf_detect::injection::{Family, Found, look};
use wf_tests::skipped;

/// Beside the repository, or where `WATCHFLOOR_CORPUS` says.
fn corpus(file: &str) -> Option<String> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let dir = std::env::var_os("WATCHFLOOR_CORPUS").map_or(beside, PathBuf::from);
    std::fs::read_to_string(dir.join(file)).ok()
}

#[test]
fn the_payloads_of_the_core_rule_set_are_seen() {
    let Some(lines) = corpus("injection/crs.ndjson") else {
        return skipped("the corpus injection/crs.ndjson");
    };
    let mut seen: BTreeMap<&str, (u32, u32, u32)> = BTreeMap::new();
    for line in lines.lines() {
        let payload: serde_json::Value = serde_json::from_str(line).unwrap();
        let (name, family) = match payload["family"].as_str().unwrap() {
            "sql_injection" => ("SQL injection", Family::Sql),
            "xss" => ("cross-site scripting", Family::Script),
            "command_injection" => ("command injection", Family::Command),
            _ => ("path traversal", Family::Path),
        };
        let mut found = Found::default();
        for text in ["uri", "data"].iter().filter_map(|part| payload[part].as_str()) {
            found.join(look(text));
        }
        let (all, certain, possible) = seen.entry(name).or_default();
        *all += 1;
        *certain += u32::from(found.certain(family));
        *possible += u32::from(found.certain(family) || found.possible(family));
    }
    // Nine of the thirty-one path traversals have nothing in their address or body.
    for (name, least) in
        [("SQL injection", 90), ("cross-site scripting", 90), ("command injection", 80), ("path traversal", 70)]
    {
        let (all, certain, possible) = seen[name];
        assert!(
            possible * 100 >= all * least,
            "{name}: of {all} payloads {certain} are certain, {possible} certain or possible"
        );
    }
}
