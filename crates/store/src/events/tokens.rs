//! The Bloom filter that says which blocks cannot hold a word. What a word is stands in `words`.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use xxhash_rust::xxh3::xxh3_64;

pub fn word_hash(word: &[u8]) -> u64 {
    xxh3_64(word)
}

/// The hash of `field=value`, the value lower-cased.
pub fn field_hash(field: &str, value: &str) -> u64 {
    let from = field.len() + 1;
    let mut short = [0u8; 256];
    if value.is_ascii()
        && let Some(buffer) = short.get_mut(..from + value.len())
    {
        buffer[..field.len()].copy_from_slice(field.as_bytes());
        buffer[field.len()] = b'=';
        buffer[from..].copy_from_slice(value.as_bytes());
        buffer[from..].make_ascii_lowercase();
        return xxh3_64(buffer);
    }
    let mut buffer = Vec::with_capacity(from + value.len());
    buffer.extend_from_slice(field.as_bytes());
    buffer.push(b'=');
    buffer.extend_from_slice(value.to_lowercase().as_bytes());
    xxh3_64(&buffer)
}

/// Spreads hashes over a table by a secret of the table: whoever sends events knows how words are hashed, and could
/// choose words that would all fall into one place.
#[derive(Clone, Copy)]
pub struct Secret {
    xor: u64,
    multiply: u64,
}

impl Default for Secret {
    fn default() -> Self {
        let random = RandomState::new();
        Self { xor: random.hash_one(0u64), multiply: random.hash_one(1u64) | 1 }
    }
}

impl BuildHasher for Secret {
    type Hasher = Spread;
    fn build_hasher(&self) -> Spread {
        Spread { secret: *self, hash: 0 }
    }
}

/// Takes what is a hash already.
pub struct Spread {
    secret: Secret,
    hash: u64,
}

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.hash
    }
    fn write(&mut self, bytes: &[u8]) {
        self.write_u64(xxh3_64(bytes));
    }
    fn write_u64(&mut self, n: u64) {
        // Twice: one secret in some hundreds would spread hashes that differ in their upper bits alone too little.
        self.hash = folded(folded(n ^ self.secret.xor, self.secret.multiply), GOLDEN);
    }
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

pub type HashesOfWords = HashSet<u64, Secret>;

/// At least; sizes double, so that filters of many blocks can be turned into slices of one size (`groups`).
const BITS_PER_WORD: usize = 12;
/// Of a segment, in bits.
const SMALLEST: usize = 64;
const PROBES: u64 = 6;

/// A filter is kept in this many segments; a word lives in one of them.
pub const SEGMENTS: usize = 16;
/// Segments are stored under numbers from here on. Those below hold the filters of blocks that were sealed when parts
/// of words were not indexed and other characters made words: they know the same of fields, and of words too little to
/// deny one.
const FIRST_STORED: usize = 16;

fn segment(hash: u64) -> usize {
    (hash % SEGMENTS as u64) as usize
}

/// The number that the `n`th segment of a [`bloom`] is stored under.
pub fn stored_as(n: usize) -> i64 {
    (FIRST_STORED + n) as i64
}

/// What a block must hold for anything in it to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    Word(u64),
    Field(u64),
}

impl Required {
    pub fn hash(self) -> u64 {
        match self {
            Self::Word(hash) | Self::Field(hash) => hash,
        }
    }

    pub fn segment(self) -> usize {
        segment(self.hash())
    }

    /// The stored segments that can deny it. A block has one of them, or none.
    pub fn segments(self) -> impl Iterator<Item = i64> {
        let n = segment(self.hash());
        let older = match self {
            Self::Word(_) => None,
            Self::Field(_) => Some(n as i64),
        };
        std::iter::once(stored_as(n)).chain(older)
    }
}

/// 12 to 24 bits a distinct word, 6 probes: between one false alarm in two hundred and one in five thousand. All
/// segments are of one size.
pub fn bloom(hashes: &HashesOfWords) -> Vec<Vec<u8>> {
    let bits = (hashes.len().div_ceil(SEGMENTS) * BITS_PER_WORD).next_power_of_two().max(SMALLEST);
    let mut filter = vec![vec![0u8; bits / 8]; SEGMENTS];
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

/// The bits of a word in a segment of so many. Of twice as many, they are one of the two that come of each.
pub fn probes(hash: u64, bits: u64) -> impl Iterator<Item = u64> {
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

    #[test]
    fn words_chosen_to_fall_into_one_place_are_spread() {
        for shift in [0, 20, 40, 52] {
            let places = (0..2000).map(|_| {
                let secret = Secret::default();
                (0..4096u64).map(|i| secret.hash_one(i << shift) % 4096).collect::<HashSet<_>>().len()
            });
            let least = places.min().unwrap();
            assert!(least > 2000, "{least} places of 4096 for hashes that differ from bit {shift} on");
        }
        let (secret, other) = (Secret::default(), Secret::default());
        assert!((0..64u64).any(|i| secret.hash_one(i) != other.hash_one(i)), "each table has a secret of its own");
    }

    #[test]
    fn a_field_is_hashed_the_same_however_long_it_is_and_whatever_its_case() {
        let reference = |field: &str, value: &str| xxh3_64(format!("{field}={}", value.to_lowercase()).as_bytes());
        let long = "Xy".repeat(300);
        for (field, value) in
            [("user.name", "Ann"), ("user.name", ""), ("user.name", "ÄRGER"), ("url.original", long.as_str())]
        {
            assert_eq!(field_hash(field, value), reference(field, value));
        }
        assert_eq!(field_hash("a", &"B".repeat(254)), reference("a", &"b".repeat(254)));
    }

    #[test]
    fn an_older_filter_is_asked_for_fields_alone() {
        let hash = 35;
        assert_eq!(Required::Word(hash).segments().collect::<Vec<_>>(), [19]);
        assert_eq!(Required::Field(hash).segments().collect::<Vec<_>>(), [19, 3]);
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
