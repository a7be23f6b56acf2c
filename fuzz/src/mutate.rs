//! Small changes to an input, drawn from a seed: the same seed makes the same inputs on every machine.

/// Longer than this no mutation becomes.
pub const MOST: usize = 64 << 10;

/// SplitMix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 when that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.draw() % (n as u64).max(1)) as usize
    }
}

/// What breaks readers of many kinds: ends of ranges, marks of several syntaxes, characters that hide or move others.
const WORDS: &[&str] = &[
    "\0",
    "\n",
    "\r\n",
    "\t",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "[]",
    ",",
    ":",
    "=",
    "-",
    "--",
    "/",
    "//",
    "#",
    "%",
    "&",
    "*",
    "null",
    "true",
    "0",
    "-0",
    "-1",
    "1e999",
    "-1e-999",
    "0.1",
    "NaN",
    "inf",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1970-01-01",
    "9999-12-31T23:59:60Z",
    "0000-00-00",
    "\u{202e}",
    "\u{200b}",
    "\u{feff}",
    "\u{2028}",
    "\u{1b}[2J",
    "\u{e0041}",
    "\u{fffd}",
    "İ",
    "ß",
    "\u{1d4d0}",
    "[erased]",
    "\u{1e}",
    "\u{1f}",
];

/// `input` with one to five changes, `other` lending pieces.
pub fn mutated(input: &[u8], other: &[u8], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut bytes = input[..input.len().min(MOST)].to_vec();
    for _ in 0..=random.below(5) {
        change(&mut bytes, other, words, random);
        bytes.truncate(MOST);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], words: &[&str], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let (from, to) = range(bytes.len(), random);
    match random.below(11) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.draw() as u8;
            }
        }
        2 => {
            bytes.drain(from..to);
        }
        3 => bytes.truncate(at),
        4 => {
            // Again and again: what is cheap once may not be cheap a thousand times.
            let piece = bytes[from..to].to_vec();
            let times = (1usize << random.below(11)).min(MOST / piece.len().max(1));
            insert(bytes, to, &piece.repeat(times));
        }
        5 => {
            let piece = bytes[from..to].to_vec();
            insert(bytes, at, &piece);
        }
        6 => {
            // The beginning of this one, the end of the other.
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        7 => {
            let (from, to) = range(other.len(), random);
            insert(bytes, at, &other[from..to]);
        }
        8 => insert(bytes, at, word(words, random).as_bytes()),
        9 => {
            let word = word(words, random);
            bytes.splice(from..to.min(from + word.len().max(1)), word.bytes());
        }
        _ => number(bytes, at, random),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

/// A part of something this long; mostly a short one.
fn range(length: usize, random: &mut Random) -> (usize, usize) {
    let from = random.below(length + 1);
    let longest = if random.below(4) == 0 { length } else { 32 };
    (from, (from + random.below(longest + 1)).min(length))
}

fn word<'a>(own: &[&'a str], random: &mut Random) -> &'a str {
    let n = random.below(own.len() + WORDS.len());
    own.get(n).copied().unwrap_or_else(|| WORDS[(n - own.len()) % WORDS.len()])
}

/// Another number in the place of the next one after `at`.
fn number(bytes: &mut Vec<u8>, at: usize, random: &mut Random) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|n| at + n) else { return };
    let end = bytes[start..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| start + n);
    let value = match random.below(4) {
        0 => u64::MAX - random.draw() % 3,
        1 => 1 << random.below(64),
        2 => random.draw() % 100,
        _ => random.draw(),
    };
    bytes.splice(start..end, value.to_string().bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs_and_no_input_is_endless() {
        let made = |seed| {
            let mut random = Random::new(seed);
            let mut inputs = vec![b"{\"a\": 12, \"b\": [\"x\"]}".to_vec()];
            for n in 0..500 {
                let next = mutated(&inputs[n], &inputs[n / 2], &["timestamp"], &mut random);
                assert!(next.len() <= MOST);
                inputs.push(next);
            }
            inputs
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }
}
