//! Public corpora, where they are: they are not ours to ship.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use wf_console::offline;
use wf_detect::injection::{Family, Found, look};
use wf_detect::{RuleSet, RuleSource};
use wf_feeds::Mapping;
use wf_tests::skipped;

/// Beside the repository, or where `WATCHFLOOR_CORPUS` says.
fn place(file: &str) -> PathBuf {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    std::env::var_os("WATCHFLOOR_CORPUS").map_or(beside, PathBuf::from).join(file)
}

fn corpus(file: &str) -> Option<String> {
    std::fs::read_to_string(place(file)).ok()
}

#[test]
fn community_rules_load_and_the_events_they_were_written_for_fire_them() {
    let Ok(files) = offline::rule_files(&place("sigma/rules")) else { return skipped("the corpus sigma/rules") };
    let sources: Vec<RuleSource> = files
        .iter()
        .map(|f| RuleSource { path: f.display().to_string(), text: std::fs::read_to_string(f).unwrap() })
        .collect();
    let (rules, problems) = RuleSet::load(&sources);
    assert_eq!(problems, []);
    assert!(rules.len() > 500, "{}", rules.len());
    let windows: Arc<[Mapping]> = Arc::from([Mapping::built_in("windows").unwrap()]);
    let (mut cases, mut missed) = (0, Vec::new());
    for case in std::fs::read_dir(place("sigma/regression")).unwrap().flatten() {
        let id = case.file_name().to_string_lossy().into_owned();
        for file in std::fs::read_dir(case.path()).unwrap().flatten() {
            // One event, or several, one after the other.
            let text = std::fs::read_to_string(file.path()).unwrap();
            let events = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
            let lines: Vec<String> = events.map(|e| e.unwrap().to_string()).collect();
            let mut fired = BTreeSet::new();
            let bad = offline::rules_test(rules.clone(), windows.clone(), lines.into_iter(), |f| {
                fired.insert(f.rule);
            })
            .unwrap();
            assert_eq!(bad, [""; 0], "{id}");
            cases += 1;
            if !fired.contains(&id) {
                missed.push(id.clone());
            }
        }
    }
    assert!(cases >= 40, "{cases}");
    assert!(missed.is_empty(), "{missed:#?}");
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

#[test]
fn the_logs_of_crowdsecs_own_tests_name_the_same_attackers() {
    if corpus("crowdsec-hub/LICENSE").is_none() {
        return skipped("the corpus crowdsec-hub");
    }
    let (rules, _) = RuleSet::load(&RuleSet::built_in());
    // Two of them are a single agreed word, by which somebody tests whether CrowdSec listens.
    for (name, mapping, kinds, attackers) in [
        ("nginx-http-sqli-probing", "access-log", ["SQL_INJECTION_ATTEMPT", "INJECTION_PROBING"], vec!["127.0.0.1"]),
        ("nginx-http-xss-probing", "access-log", ["XSS_ATTEMPT", "INJECTION_PROBING"], vec!["127.0.0.1"]),
        ("sshd-success-logs", "sshd", ["BRUTE_FORCE_ATTACK", "HIGH_FAILURE_RATE"], vec![]),
        ("http-generic-test", "access-log", ["WEB_SCANNING", "INJECTION_PROBING"], vec![]),
        ("ssh-generic-test", "sshd", ["BRUTE_FORCE_ATTACK", "HIGH_FAILURE_RATE"], vec![]),
    ] {
        let lines = corpus(&format!("crowdsec-hub/{name}/{name}.log")).unwrap();
        let mappings: Arc<[Mapping]> = Arc::from([Mapping::built_in(mapping).unwrap()]);
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        let bad = offline::rules_test(rules.clone(), mappings, lines.into_iter(), |f| {
            found.entry(f.kind).or_default().insert(f.entity.unwrap_or_default());
        })
        .unwrap();
        assert_eq!(bad, [""; 0], "{name}");
        let named: BTreeSet<&str> =
            kinds.iter().filter_map(|kind| found.get(*kind)).flatten().map(String::as_str).collect();
        assert_eq!(named.into_iter().collect::<Vec<_>>(), attackers, "{name}: {found:?}");
    }
}
