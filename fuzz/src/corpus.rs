//! What to begin with: files under `corpus/NAME/`, and what a target adds.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

use crate::Target;

pub fn directory(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// Names and contents, in order of name: the order is part of what a seed means.
pub fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let dir = directory(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let committed = files.into_iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, std::fs::read(&path).unwrap())
    });
    let more = (target.more)().into_iter().enumerate().map(|(n, input)| (format!("made-{n}"), input));
    committed.chain(more).collect()
}

/// Keeps an input that broke a promise; the tests begin with it from then on.
pub fn keep(target: &Target, input: &[u8]) -> std::io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    hasher.write(input);
    let path = directory(target).join(format!("crash-{:016x}", hasher.finish()));
    std::fs::write(&path, input)?;
    Ok(path)
}
