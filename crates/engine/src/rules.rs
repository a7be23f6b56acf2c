//! Rules from the console itself and from the files the config names.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use wf_config::Config;
use wf_detect::{RuleProblem, RuleSet, RuleSource};

/// Built-in rules and those of the config. What is wrong is said; the rest is in force.
pub fn load_rules(config: &Config) -> (RuleSet, Vec<RuleProblem>) {
    let mut sources = if config.rules.built_in { RuleSet::built_in() } else { Vec::new() };
    let mut problems = Vec::new();
    for path in &config.rules.paths {
        match read_rules(path) {
            Ok(found) => sources.extend(found),
            Err(e) => problems.push(RuleProblem { file: path.display().to_string(), line: 0, reason: e.to_string() }),
        }
    }
    let (rules, more) = RuleSet::load(&sources);
    problems.extend(more);
    (rules, problems)
}

/// Rule files below one path, and their bytes together, that are read at most: a pack of rules is far smaller.
const MOST_FILES: usize = 20_000;
const MOST_BYTES: u64 = 256 << 20;
/// A rule file larger than this is none.
const MOST_OF_ONE: u64 = 1 << 20;
const DEPTH: u32 = 8;

/// A rule file, or every one below a directory, in order of path. Links are not followed: a directory of rules must not
/// lead out of itself.
///
/// # Errors
/// The path cannot be read, or there is more below it than any pack of rules holds.
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    // The path itself is the officer's own word; it may be a link.
    let meta = std::fs::metadata(path)?;
    if meta.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !meta.is_dir() {
        return Err(std::io::Error::other("it is neither a file nor a directory"));
    }
    let mut found = Vec::new();
    walk(path, DEPTH, &mut found)?;
    Ok(found)
}

fn walk(dir: &Path, depth: u32, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(dir)?.take(MOST_FILES + 1).collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        let is_rule = path.extension().is_some_and(|e| e == "yml" || e == "yaml");
        if kind.is_dir() && depth > 0 {
            walk(&path, depth - 1, found)?;
        } else if kind.is_file() && is_rule {
            found.push(path);
        }
        if found.len() > MOST_FILES {
            return Err(std::io::Error::other(format!("there are more than {MOST_FILES} rule files below it")));
        }
    }
    Ok(())
}

/// The texts of a rule file, or of every one below a directory.
///
/// # Errors
/// As [`files`]; and when a file is larger than a rule file may be.
pub fn read_rules(path: &Path) -> std::io::Result<Vec<RuleSource>> {
    let mut bytes = 0;
    files(path)?
        .into_iter()
        .map(|path| {
            // Looked at before it is read: a device or a pipe has no end.
            let size = std::fs::metadata(&path)?.len();
            bytes += size;
            if size > MOST_OF_ONE || bytes > MOST_BYTES {
                return Err(std::io::Error::other(format!("{}: too large for rules", path.display())));
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
            Ok(RuleSource { path: path.display().to_string(), text })
        })
        .collect()
}

pub fn sentences(problems: &[RuleProblem]) -> Vec<String> {
    problems.iter().map(|p| format!("rule {p}")).collect()
}

pub fn authors(rules: &RuleSet) -> HashMap<String, String> {
    rules.authors().map(|(id, author)| (id.to_owned(), author.to_owned())).collect()
}
