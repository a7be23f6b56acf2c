//! The database key on paper.

use secrecy::SecretString;
use wf_store::DatabaseKey;

use crate::bytes::{hex, unhex};

/// Digits that are not mistaken for one another when copied from paper (Crockford's base 32).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a text is no recovery key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a recovery key: {0}")]
pub struct NotARecoveryKey(&'static str);

/// The database key as something to print: 14 groups of four, the last of which is a check.
pub fn recovery_key(key: &DatabaseKey) -> SecretString {
    let bytes = unhex(key.expose_hex()).unwrap_or_default();
    let mut digits = to_digits(&bytes);
    digits.extend(check(&bytes));
    let groups: Vec<String> =
        digits.chunks(4).map(|g| g.iter().map(|d| char::from(DIGITS[usize::from(*d)])).collect()).collect();
    groups.join("-").into()
}

pub(crate) fn read_recovery_key(text: &str) -> Result<DatabaseKey, NotARecoveryKey> {
    let mut digits = Vec::with_capacity(56);
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let c = match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let digit = DIGITS
            .iter()
            .position(|d| char::from(*d) == c)
            .ok_or(NotARecoveryKey("it holds a character that does not occur in one"))?;
        digits.push(digit as u8);
    }
    if digits.len() != 56 {
        return Err(NotARecoveryKey("it has 14 groups of four"));
    }
    let mut bytes = [0u8; 32];
    for bit in 0..256 {
        if digits[bit / 5] & (16 >> (bit % 5)) != 0 {
            bytes[bit / 8] |= 128 >> (bit % 8);
        }
    }
    if to_digits(&bytes) != digits[..52] || check(&bytes)[..] != digits[52..] {
        return Err(NotARecoveryKey("a character was mistaken"));
    }
    DatabaseKey::from_hex(&hex(&bytes)).map_err(|_| NotARecoveryKey("a character was mistaken"))
}

fn to_digits(bytes: &[u8; 32]) -> Vec<u8> {
    (0..52)
        .map(|i| {
            (0..5).fold(0, |d, b| {
                (d << 1) | bytes.get((i * 5 + b) / 8).map_or(0, |byte| (byte >> (7 - (i * 5 + b) % 8)) & 1)
            })
        })
        .collect()
}

fn check(bytes: &[u8; 32]) -> [u8; 4] {
    let hash = wf_evidence::tree::leaf_hash(bytes);
    [hash[0] & 31, hash[1] & 31, hash[2] & 31, hash[3] & 31]
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::bytes::random;

    #[test]
    fn a_recovery_key_survives_paper_and_mistakes_are_noticed() {
        let key = DatabaseKey::from_hex(&hex(&random())).unwrap();
        let printed = recovery_key(&key).expose_secret().to_owned();
        assert_eq!(printed.len(), 14 * 4 + 13);
        let copied = printed.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(read_recovery_key(&copied).unwrap().expose_hex(), key.expose_hex());
        for at in 0..printed.len() {
            if printed.as_bytes()[at] == b'-' {
                continue;
            }
            let mut wrong = printed.clone().into_bytes();
            wrong[at] = if wrong[at] == b'7' { b'8' } else { b'7' };
            assert!(read_recovery_key(&String::from_utf8(wrong).unwrap()).is_err(), "position {at}");
        }
        assert!(read_recovery_key("").is_err() && read_recovery_key("ÄÖ!").is_err());
    }
}
