//! Who may know whom: crates, from cargo's own account (`cargo deny` says it too), and the modules of each. And what the
//! docs name is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below that ends like this, but for what was built or installed.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(dir).into_iter().flatten().map(|e| e.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !matches!(name, "target" | "node_modules" | "gen") {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// The code of a file without comments and tests.
fn code(path: &Path) -> String {
    if path.to_str().unwrap().ends_with("tests.rs") {
        return String::new();
    }
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The words that follow this, those of a list in braces as well.
fn words_after(code: &str, before: &str) -> BTreeSet<String> {
    let word = |s: &str| s.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let places = code.split(before).skip(1);
    places
        .flat_map(|rest| match rest.strip_prefix('{').and_then(|list| list.split("};").next()) {
            Some(list) => list.split(',').map(word).collect::<Vec<String>>(),
            None => vec![word(rest)],
        })
        .collect()
}

/// Which of the modules of a folder name which others of it. `path` is how the crate calls the folder.
fn modules(folder: &Path, path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut text: BTreeMap<String, String> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let name = entry.file_stem().unwrap().to_str().unwrap().to_owned();
        if matches!(name.as_str(), "lib" | "main" | "mod" | "bin") {
            continue;
        }
        let of = if entry.is_dir() { files(&entry, ".rs") } else { vec![entry] };
        text.entry(name).or_default().extend(of.iter().map(|f| code(f)));
    }
    let mut known = BTreeMap::new();
    for (name, code) in &text {
        let mut named = words_after(code, &format!("{path}::"));
        if path != "crate" {
            named.extend(words_after(code, "super::"));
        }
        named.retain(|n| n != name && text.contains_key(n));
        known.insert(name.clone(), named);
    }
    known
}

/// Takes away what knows nobody, again and again: what is left stands in a circle or leads into one.
fn circle(mut known: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let free: Vec<String> = known.iter().filter(|(_, n)| n.is_empty()).map(|(n, _)| n.clone()).collect();
        if free.is_empty() {
            return known;
        }
        known.retain(|n, _| !free.contains(n));
        known.values_mut().for_each(|n| n.retain(|other| !free.contains(other)));
    }
}

#[test]
fn no_two_modules_of_a_crate_know_each_other_not_even_by_way_of_a_third() {
    let mut sources: Vec<PathBuf> =
        std::fs::read_dir(root().join("crates")).unwrap().map(|e| e.unwrap().path().join("src")).collect();
    sources.push(root().join("src-tauri/src"));
    for source in sources {
        let mut folders = vec![(source.clone(), "crate".to_owned())];
        while let Some((folder, path)) = folders.pop() {
            let circle = circle(modules(&folder, &path));
            assert!(circle.is_empty(), "{}: {circle:?}", folder.display());
            for inner in std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
                let name = inner.file_name().unwrap().to_str().unwrap().to_owned();
                folders.push((inner, format!("{path}::{name}")));
            }
        }
    }
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let mut there = BTreeSet::new();
    for dir in ["crates", "tests", "src-tauri", "xtask", "fuzz"] {
        for file in files(&root().join(dir), ".rs") {
            there.extend(words_after(&std::fs::read_to_string(file).unwrap(), "fn "));
        }
    }
    let page: String =
        files(&root().join("ui/src"), ".ts").iter().map(|f| std::fs::read_to_string(f).unwrap()).collect();
    let named: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("| T"))
        .flat_map(|l| l.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 50, "{named:?}");
    let sentence =
        |n: &&str| n.contains('_') && n.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit());
    for name in named.into_iter().filter(sentence) {
        assert!(
            there.contains(name) || page.contains(name),
            "the threat model names {name}, and there is no such test"
        );
    }
}
