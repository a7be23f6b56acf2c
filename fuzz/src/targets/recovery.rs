//! The database key on paper, as somebody typed it in.

use secrecy::ExposeSecret as _;
use wf_platform::fuzzing::read_recovery_key;
use wf_platform::recovery_key;
use wf_store::DatabaseKey;

use super::nothing;
use crate::Target;
use crate::assert::is_sentence;

pub const TARGET: Target = Target {
    name: "recovery",
    check,
    words: &["O", "o", "I", "l", "U", "-", " ", "0000", "ZZZZ", "\u{ff10}", "\u{131}", "\u{17f}"],
    more: nothing,
    runs: 4000,
};

fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match read_recovery_key(&text) {
        Ok(key) => {
            let letters = |t: &str| {
                let kept = t.chars().filter(|c| !c.is_whitespace() && *c != '-');
                kept.map(|c| c.to_ascii_uppercase()).collect::<String>().replace('O', "0").replace(['I', 'L'], "1")
            };
            assert_eq!(letters(recovery_key(&key).expose_secret()), letters(&text), "one key, two papers");
        }
        Err(e) => is_sentence(&e.to_string()),
    }
    // And any key survives the paper.
    if let Some(bytes) = input.first_chunk::<32>() {
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let key = DatabaseKey::from_hex(&hex).unwrap();
        let printed = recovery_key(&key).expose_secret().to_lowercase();
        assert_eq!(read_recovery_key(&printed).unwrap().expose_hex(), key.expose_hex());
    }
}
