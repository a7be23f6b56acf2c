//! The built-in pack against its sample events, in the shapes of real systems: each rule fires on what it is for, and
//! not on what comes near.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wf_console::offline;
use wf_detect::RuleSet;
use wf_feeds::Mapping;
use wf_model::Timestamp;

/// What README and the window name for a web application, in their order.
const WEB: [&str; 4] = ["auth-event", "security-event", "activity-log", "auth-log"];

struct Case {
    file: String,
    said: Value,
}

impl Case {
    fn name(&self) -> String {
        format!("{}: {}", self.file, self.said["case"].as_str().unwrap())
    }

    fn kinds(&self, key: &str) -> BTreeSet<String> {
        self.said[key].as_array().into_iter().flatten().map(|k| k.as_str().unwrap().to_owned()).collect()
    }

    fn mappings(&self) -> Vec<&str> {
        match self.said["map"].as_str().unwrap() {
            "web" => WEB.to_vec(),
            "all" => WEB.into_iter().chain(["ecs"]).collect(),
            one => vec![one],
        }
    }

    /// Its lines, with times and numbers filled in.
    fn lines(&self) -> Vec<String> {
        let mut at = Timestamp::parse("2026-01-05T10:00:00Z").unwrap();
        let mut lines = Vec::new();
        for event in self.said["events"].as_array().unwrap() {
            let every = event["every"].as_str().map_or(1, |e| e.trim_end_matches('s').parse().unwrap());
            for n in 0..event["times"].as_u64().unwrap_or(1) {
                let record = &event["record"];
                let text = record["line"].as_str().map_or_else(|| record.to_string(), str::to_owned);
                let stamp = at.rfc3339();
                let stamp = if record["line"].is_string() { stamp[..19].replace('T', " ") } else { stamp };
                // As access logs write it; all samples lie in January.
                let clf = format!("{}/Jan/{}:{} +0000", &stamp[8..10], &stamp[..4], &stamp[11..19]);
                lines.push(text.replace("{clf}", &clf).replace("{time}", &stamp).replace("{n}", &n.to_string()));
                at = at + Duration::from_secs(every);
            }
        }
        lines
    }

    fn fired(&self, rules: &RuleSet, mappings: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
        let mappings: Arc<[Mapping]> = mappings.iter().map(|m| Mapping::built_in(m).unwrap()).collect();
        let mut fired: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let bad = offline::rules_test(rules.clone(), mappings, self.lines().into_iter(), |f| {
            fired.entry(f.kind).or_default().insert(f.rule);
        })
        .unwrap();
        assert_eq!(bad, [""; 0], "{}", self.name());
        fired
    }
}

fn pack() -> RuleSet {
    let (rules, problems) = RuleSet::load(&RuleSet::built_in());
    assert_eq!(problems, []);
    rules
}

fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/detect/samples");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let file = entry.path().file_stem().unwrap().to_string_lossy().into_owned();
        let said: Vec<Value> = serde_json::from_slice(&std::fs::read(entry.path()).unwrap()).unwrap();
        cases.extend(said.into_iter().map(|said| Case { file: file.clone(), said }));
    }
    cases
}

#[test]
fn every_rule_of_the_pack_fires_on_its_samples_and_not_on_what_comes_near() {
    let pack = pack();
    let (mut fired, mut near) = (BTreeSet::new(), BTreeSet::new());
    let mut wrong = Vec::new();
    for case in cases() {
        let found = case.fired(&pack, &case.mappings());
        let kinds: BTreeSet<String> = found.keys().cloned().collect();
        if kinds != case.kinds("fires") {
            wrong.push(format!("{}: {kinds:?}", case.name()));
        }
        near.extend(case.kinds("near").into_iter().filter(|k| !kinds.contains(k)));
        fired.extend(found.into_values().flatten());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for rule in pack.described().into_iter().filter(|r| r.severity.is_some()) {
        assert!(fired.contains(&rule.id), "no sample makes '{}' fire", rule.title);
        assert!(near.contains(&rule.kind), "no sample comes near {} without making it fire", rule.kind);
    }
}

#[test]
fn the_incidents_of_an_application_do_not_depend_on_the_order_in_which_its_mappings_are_named() {
    let pack = pack();
    for case in cases().into_iter().filter(|c| c.said["map"] == "web") {
        let expected = case.fired(&pack, &WEB);
        let mut order = WEB.to_vec();
        for turn in 0..WEB.len() {
            order.rotate_left(1);
            assert_eq!(case.fired(&pack, &order), expected, "{}: {order:?}", case.name());
            let mut back = order.clone();
            back.reverse();
            assert_eq!(case.fired(&pack, &back), expected, "{}: {back:?} ({turn})", case.name());
        }
    }
}

#[test]
fn a_quiet_day_of_the_demo_opens_no_incident_above_p4() {
    let day = Timestamp::parse("2026-01-12T00:00:00Z").unwrap().millis() / 60_000;
    let scenario = wf_demo::Scenario { quiet: true, ..wf_demo::Scenario::default() };
    let lines = (day..day + 1440).flat_map(move |m| scenario.minute(m)).map(|e| format!("{{{}}}", e.body));
    let mappings: Arc<[Mapping]> = WEB.iter().map(|m| Mapping::built_in(m).unwrap()).collect();
    let mut fired = BTreeMap::new();
    let bad = offline::rules_test(pack(), mappings, lines, |f| {
        *fired.entry((f.severity, f.kind)).or_insert(0u32) += 1;
    })
    .unwrap();
    assert_eq!(bad, [""; 0]);
    assert!(fired.keys().all(|(severity, _)| severity == "P4"), "{fired:?}");
}
