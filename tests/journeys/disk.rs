//! What lies on the disk, as somebody who has the key reads it.

use std::path::{Path, PathBuf};

use aes::cipher::{BlockDecryptMut as _, KeyIvInit as _};
use wf_platform::Keychain as _;
use wf_testkit::TestConsole;

/// The key of a console's database, from its keychain.
pub fn key_of(home: &TestConsole) -> Vec<u8> {
    let account = format!("database-key:{}", home.paths.keychain_account());
    let text = home.keychain.get(&account).unwrap().expect("the database has a key");
    let text = secrecy::ExposeSecret::expose_secret(&text).to_owned();
    (0..32).map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).unwrap()).collect()
}

/// The pages of an SQLCipher file, decrypted, those that are free included; of a write-ahead log, every frame in it.
pub fn pages(path: &Path, key: &[u8]) -> Vec<Vec<u8>> {
    const PAGE: usize = 4096;
    const RESERVE: usize = 80;
    let bytes = std::fs::read(path).unwrap_or_default();
    let is_log = path.to_string_lossy().ends_with("-wal");
    let frames: Vec<&[u8]> = if is_log {
        bytes.get(32..).unwrap_or_default().chunks(PAGE + 24).filter_map(|f| f.get(24..)).collect()
    } else {
        bytes.chunks(PAGE).collect()
    };
    frames
        .into_iter()
        .enumerate()
        .filter(|(_, page)| page.len() == PAGE && page.iter().any(|b| *b != 0))
        .map(|(n, page)| {
            // The first page begins with the salt. In a log any frame may be the first page; its 16 bytes are then
            // garbage, which harms nothing.
            let from = if n == 0 && !is_log { 16 } else { 0 };
            let iv = &page[PAGE - RESERVE..PAGE - RESERVE + 16];
            let mut body = page[from..PAGE - RESERVE].to_vec();
            let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(key, iv).unwrap();
            cipher.decrypt_padded_mut::<cbc::cipher::block_padding::NoPadding>(&mut body).unwrap();
            body
        })
        .collect()
}

fn has(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
}

/// Every regular file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let (path, kind) = entry.map(|e| (e.path(), e.file_type().unwrap())).unwrap();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}

/// Makes sure that none of these stands in a file below `dir`, in a page of a database among them neither.
pub fn nowhere(dir: &Path, key: &[u8], secrets: &[&str]) {
    let mut decrypted = false;
    for file in files(dir) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let is_database = name.contains(".db") && !name.ends_with("-shm");
        let parts = if is_database { pages(&file, key) } else { vec![std::fs::read(&file).unwrap()] };
        for part in parts {
            decrypted |= is_database && has(&part, "engine.start");
            for secret in secrets {
                assert!(!has(&part, secret), "t8: {secret} stands in {}", file.display());
            }
        }
    }
    assert!(decrypted, "what is read of the database is really decrypted");
}
