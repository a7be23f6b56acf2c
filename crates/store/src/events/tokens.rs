//! Words of a text, and the Bloom filter that says which blocks cannot hold them.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

/// A word is longer than any address or identifier; what is longer is cut for the index.
const WORD: usize = 128;

/// 1: part of a word. 2: part of a word, needs lower-casing. 3: joins words (`. _ : @ -`), cut from both ends.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        class[b] = if c.is_ascii_uppercase() {
            2
        } else if c.is_ascii_alphanumeric() || c >= 0x80 {
            1
        } else if matches!(c, b'.' | b'_' | b':' | b'@' | b'-') {
            3
        } else {
            0
        };
        b += 1;
    }
    class
};

/// Calls `word` with each word of `text`, lower-cased: runs of letters, digits and `. _ : @ -`, the latter not at the
/// ends. In JSON text (`escaped`) a backslash and what it escapes are no part of a word.
pub fn words(text: &[u8], escaped: bool, mut word: impl FnMut(&[u8])) {
    let mut buffer = [0u8; WORD];
    let mut i = 0;
    while i < text.len() {
        let class = CLASS[text[i] as usize];
        if class == 0 || class == 3 {
            if escaped && text[i] == b'\\' {
                i += if text.get(i + 1) == Some(&b'u') { 6 } else { 2 };
            } else {
                i += 1;
            }
            continue;
        }
        let (mut n, mut end, mut ascii) = (0, 0, true);
        while i < text.len() {
            let b = text[i];
            let class = CLASS[b as usize];
            if class == 0 {
                break;
            }
            if n < WORD {
                buffer[n] = if class == 2 { b + 32 } else { b };
                ascii &= b < 0x80;
                n += 1;
                if class != 3 {
                    end = n;
                }
            }
            i += 1;
        }
        if ascii {
            word(&buffer[..end]);
        } else {
            word(String::from_utf8_lossy(&buffer[..end]).to_lowercase().as_bytes());
        }
    }
}

pub fn word_hash(word: &[u8]) -> u64 {
    xxh3_64(word)
}

/// The hash of `field=value`, the value lower-cased.
pub fn field_hash(field: &str, value: &str) -> u64 {
    let mut buffer = Vec::with_capacity(field.len() + value.len() + 1);
    buffer.extend_from_slice(field.as_bytes());
    buffer.push(b'=');
    push_lower(&mut buffer, value);
    xxh3_64(&buffer)
}

pub fn push_lower(buffer: &mut Vec<u8>, text: &str) {
    if text.is_ascii() {
        let from = buffer.len();
        buffer.extend_from_slice(text.as_bytes());
        buffer[from..].make_ascii_lowercase();
    } else {
        buffer.extend_from_slice(text.to_lowercase().as_bytes());
    }
}

/// The values are hashes already.
#[derive(Default)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

pub type HashesOfWords = HashSet<u64, BuildHasherDefault<AsIs>>;

const BITS_PER_WORD: usize = 10;
const PROBES: u64 = 6;

/// A filter is kept in this many segments; a word lives in one of them.
pub const SEGMENTS: usize = 16;

pub fn segment(hash: u64) -> usize {
    (hash % SEGMENTS as u64) as usize
}

/// 10 bits a distinct word, 6 probes: about one false alarm in a hundred.
pub fn bloom(hashes: &HashesOfWords) -> Vec<Vec<u8>> {
    let mut counts = [0usize; SEGMENTS];
    hashes.iter().for_each(|h| counts[segment(*h)] += 1);
    let mut filter: Vec<_> = counts.iter().map(|n| vec![0u8; (n * BITS_PER_WORD).div_ceil(8).max(8)]).collect();
    for &h in hashes {
        let bytes = &mut filter[segment(h)];
        for bit in probes(h, bytes.len() as u64 * 8) {
            bytes[(bit / 8) as usize] |= 1 << (bit % 8);
        }
    }
    filter
}

/// `false`: certainly not in the block. `bits` is the segment that `hash` belongs to.
pub fn may_hold(bits: &[u8], hash: u64) -> bool {
    let n = bits.len() as u64 * 8;
    n > 0 && probes(hash, n).all(|bit| bits[(bit / 8) as usize] & (1 << (bit % 8)) != 0)
}

fn probes(hash: u64, bits: u64) -> impl Iterator<Item = u64> {
    let step = hash.rotate_left(32) | 1;
    // Multiply-shift instead of a remainder: six divisions an event word would show in the profile.
    (0..PROBES).map(move |i| {
        let h = hash.wrapping_add(step.wrapping_mul(i));
        ((u128::from(h) * u128::from(bits)) >> 64) as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, escaped: bool) -> Vec<String> {
        let mut out = Vec::new();
        words(text.as_bytes(), escaped, |w| out.push(String::from_utf8_lossy(w).into_owned()));
        out
    }

    #[test]
    fn words_are_what_an_officer_would_type() {
        assert_eq!(
            all("Failed password for admin from 203.0.113.45: user=Ann@X.com (pid-7).", false),
            ["failed", "password", "for", "admin", "from", "203.0.113.45", "user", "ann@x.com", "pid-7"]
        );
        assert_eq!(all("ÄRGER Straße", false), ["ärger", "straße"]);
        assert_eq!(all("::ffff:10.0.0.1 --", false), ["ffff:10.0.0.1"]);
    }

    #[test]
    fn escapes_of_json_do_not_stick_to_words() {
        assert_eq!(all(r#"a\nb\"c\u0041d"#, true), ["a", "b", "c", "d"]);
    }

    #[test]
    fn the_filter_never_denies_what_is_there_and_seldom_claims_what_is_not() {
        let hash = |i: u32| word_hash(&i.to_le_bytes());
        let held: HashesOfWords = (0..10_000).map(hash).collect();
        let filter = bloom(&held);
        assert!((0..10_000).all(|i| may_hold(&filter[segment(hash(i))], hash(i))));
        let wrong = (10_000..110_000).filter(|i| may_hold(&filter[segment(hash(*i))], hash(*i))).count();
        assert!(wrong < 2_000, "{wrong} of 100000");
    }
}
