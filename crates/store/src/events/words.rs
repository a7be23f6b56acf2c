//! What a word is, and how texts are compared. The index and the look both ask here, so that neither can deny what the
//! other has.
//!
//! A text is read as it stands and, where it has backslashes, once more with the escapes of JSON read ([`unescape`]):
//! whether a text is JSON need not be known. A word is a run of letters and digits of any script, which the marks
//! `. _ : @ -` join; marks at its ends are no part of it. Beside the whole run, these are words too:
//! - what stands between `:` and `@`: `203.0.113.45` and `51234` in `203.0.113.45:51234`;
//! - of that, what stands between `.`, `_` and `-` and does not begin with a digit: `shop` and `example` in
//!   `ann@shop.example`, but no numbers of an address, of a version or of a date.
//!
//! Words and texts are compared folded ([`fold`]): without case and without what cannot be seen. Where something
//! invisible stands inside a word, the word is also cut there.

use memchr::{memchr, memmem};

const LETTER: u8 = 1;
const UPPER: u8 = 2;
/// `. _ -`
const WEAK: u8 = 4;
/// `: @`
const STRONG: u8 = 8;
const ESCAPE: u8 = 16;
/// A byte of a character beyond ASCII.
const WIDE: u8 = 32;

const MARK: u8 = WEAK | STRONG;

/// What each byte is; 0 separates words.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut b = 0;
    while b < 256 {
        let c = b as u8;
        class[b] = if c.is_ascii_uppercase() {
            LETTER | UPPER
        } else if c.is_ascii_alphanumeric() {
            LETTER
        } else if matches!(c, b'.' | b'_' | b'-') {
            WEAK
        } else if matches!(c, b':' | b'@') {
            STRONG
        } else if c == b'\\' {
            ESCAPE
        } else if c >= 0x80 {
            WIDE
        } else {
            0
        };
        b += 1;
    }
    class
};

fn class(byte: u8) -> u8 {
    CLASS[usize::from(byte)]
}

/// Whether words can hold this character.
pub fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() && !is_invisible(c) && !is_combining(c) }
}

/// Whether this character joins words.
pub fn is_mark(c: char) -> bool {
    matches!(c, '.' | '_' | ':' | '@' | '-')
}

/// Scripts that write no spaces between words: what somebody looks for there is a part of a run.
pub fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Zero-width and format characters, fillers, variation selectors, tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Accents that are characters of their own.
fn is_combining(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}'
        | '\u{FE20}'..='\u{FE2F}')
}

/// Letters that lower case is enough for: most of what is written beyond ASCII.
fn is_plain(c: char) -> bool {
    c != 'ß'
        && matches!(c,
            '\u{E0}'..='\u{FE}' | '\u{400}'..='\u{52F}' | '\u{3040}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}')
}

fn push_folded(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
        return;
    }
    if is_invisible(c) || is_combining(c) {
        return;
    }
    if !c.is_alphanumeric() {
        out.push(c);
    } else if is_plain(c) {
        out.extend(c.to_lowercase());
    } else {
        // By way of upper case, so that letters which share it are one: ß and ss, ſ and s, ς and σ.
        let folded = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        out.extend(folded.filter(|c| !is_combining(*c)));
    }
}

/// Puts `text` into `out` as it is compared. Each character folds by itself, and folding twice changes nothing.
pub fn fold(text: &str, out: &mut String) {
    out.clear();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        text.chars().for_each(|c| push_folded(c, out));
    }
}

pub fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold(text, &mut out);
    out
}

/// Puts `text` into `out` with the escapes of JSON read. `\uXXXX` is read however many backslashes stand before it, so
/// that JSON inside a string of JSON reads the same.
pub fn unescape(text: &str, out: &mut String) {
    out.clear();
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let n = backslashes(&rest.as_bytes()[at..]);
        rest = &rest[at + n..];
        if let Some((c, taken)) = unicode_escape(rest) {
            out.push(c);
            rest = &rest[taken..];
            continue;
        }
        out.extend(std::iter::repeat_n('\\', n / 2));
        if n.is_multiple_of(2) {
            continue;
        }
        let c = match rest.as_bytes().first() {
            Some(b'"') => '"',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => {
                // No escape of JSON.
                out.push('\\');
                continue;
            }
        };
        out.push(c);
        rest = &rest[1..];
    }
    out.push_str(rest);
}

fn backslashes(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| **b == b'\\').count()
}

/// Reads `uXXXX`, or two of them when they are halves of one character, and says how long that is.
fn unicode_escape(text: &str) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    let unit = |at: usize| {
        let (u, digits) = bytes.get(at..at + 5)?.split_first()?;
        let value = digits.iter().try_fold(0u32, |n, b| Some(n * 16 + char::from(*b).to_digit(16)?));
        value.filter(|_| *u == b'u')
    };
    let first = unit(0)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, 5));
    }
    let between = backslashes(&bytes[5..]);
    let second = if between > 0 { unit(5 + between) } else { None };
    match second {
        Some(low @ 0xDC00..=0xDFFF) if first < 0xDC00 => {
            char::from_u32(0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00)).map(|c| (c, 10 + between))
        }
        _ => Some((char::REPLACEMENT_CHARACTER, 5)),
    }
}

/// Calls `word` with each word of `text`, folded; with some of them more than once.
pub fn words(text: &str, mut word: impl FnMut(&[u8])) {
    words_as_they_stand(text, &mut word);
    // Read once more is only what an escape touches: elsewhere the words are the same.
    let bytes = text.as_bytes();
    let (mut from, mut read) = (0, String::new());
    while let Some(at) = memchr(b'\\', &bytes[from..]).map(|n| from + n) {
        let after = at + backslashes(&bytes[at..]);
        if !matches!(bytes.get(after), Some(b'b' | b'f' | b'n' | b'r' | b't' | b'u')) {
            // What it stands for separates words, as it does itself.
            from = after;
            continue;
        }
        let start = bytes[from..at].iter().rposition(|b| class(*b) == 0).map_or(from, |n| from + n + 1);
        let end = bytes[after..].iter().position(|b| class(*b) == 0).map_or(bytes.len(), |n| after + n);
        unescape(&text[start..end], &mut read);
        words_as_they_stand(&read, &mut word);
        from = end;
    }
}

/// Longer words than this need an allocation to be lower-cased.
const SHORT: usize = 128;

fn words_as_they_stand(text: &str, word: &mut impl FnMut(&[u8])) {
    let bytes = text.as_bytes();
    let mut short = [0u8; SHORT];
    let mut wide = String::new();
    let mut i = 0;
    while i < bytes.len() {
        if class(bytes[i]) & (LETTER | WIDE) == 0 {
            i += 1;
            continue;
        }
        let (start, mut seen) = (i, 0);
        while i < bytes.len() && class(bytes[i]) & (LETTER | MARK) != 0 {
            seen |= class(bytes[i]);
            i += 1;
        }
        if i < bytes.len() && class(bytes[i]) == WIDE {
            i = wide_run(text, start, &mut wide, word);
            continue;
        }
        let run = &bytes[start..i];
        if seen & UPPER == 0 {
            parts(run, seen, word);
        } else if let Some(lower) = short.get_mut(..run.len()) {
            lower.copy_from_slice(run);
            lower.make_ascii_lowercase();
            parts(lower, seen, word);
        } else {
            parts(&run.to_ascii_lowercase(), seen, word);
        }
    }
}

/// Stands where something invisible was; no word has it.
const CUT: char = '\0';

/// The words of the run that begins at `start` and has something beyond ASCII in it; returns where to go on.
fn wide_run(text: &str, start: usize, run: &mut String, word: &mut impl FnMut(&[u8])) -> usize {
    run.clear();
    let (mut end, mut cut) = (text.len(), false);
    for (at, c) in text[start..].char_indices() {
        if !c.is_ascii() && is_invisible(c) {
            run.push(CUT);
            cut = true;
        } else if is_letter(c) || is_mark(c) || is_combining(c) {
            push_folded(c, run);
        } else {
            end = start + at + c.len_utf8();
            break;
        }
    }
    if cut {
        run.split(CUT).for_each(|part| parts(part.as_bytes(), MARK, word));
        run.retain(|c| c != CUT);
    }
    parts(run.as_bytes(), MARK, word);
    end
}

/// Calls `word` with the folded run and with its parts; `seen` is what its bytes are.
fn parts(run: &[u8], seen: u8, word: &mut impl FnMut(&[u8])) {
    if seen & MARK == 0 {
        word(run);
        return;
    }
    let run = without_marks_at_ends(run);
    if run.is_empty() {
        return;
    }
    word(run);
    for piece in run.split(|b| class(*b) == STRONG) {
        let piece = without_marks_at_ends(piece);
        if piece.is_empty() {
            continue;
        }
        if piece.len() < run.len() {
            word(piece);
        }
        for part in piece.split(|b| class(*b) == WEAK) {
            if part.len() < piece.len() && part.first().is_some_and(|b| !b.is_ascii_digit()) {
                word(part);
            }
        }
    }
}

fn without_marks_at_ends(run: &[u8]) -> &[u8] {
    let start = run.iter().position(|b| class(*b) & MARK == 0).unwrap_or(run.len());
    let end = run.iter().rposition(|b| class(*b) & MARK == 0).map_or(start, |n| n + 1);
    &run[start..end]
}

/// Whether the folded `part` stands in `text`, in either reading.
pub fn contains(text: &str, part: &str) -> bool {
    let mut as_compared = String::with_capacity(text.len());
    fold(text, &mut as_compared);
    if as_compared.contains(part) {
        return true;
    }
    if !text.contains('\\') {
        return false;
    }
    let mut read = String::with_capacity(text.len());
    unescape(text, &mut read);
    fold(&read, &mut as_compared);
    as_compared.contains(part)
}

/// The runs of a folded text that are words of every text it stands in: those with a separator on either side.
pub fn inner_words(folded: &str) -> impl Iterator<Item = &str> {
    let mut runs = folded.split(|c: char| !is_letter(c) && !is_mark(c));
    runs.next();
    runs.next_back();
    runs.map(|run| run.trim_matches(is_mark)).filter(|run| !run.is_empty())
}

/// The longest stretch of a folded text that JSON always writes as it is, but for `\uXXXX`.
pub fn stretch(folded: &str) -> Option<&str> {
    let stretches = folded.split(|c: char| matches!(c, '"' | '\\' | '/') || c.is_control());
    stretches.filter(|s| !s.is_empty()).max_by_key(|s| s.len())
}

/// A cheap look at lines before they are parsed: never false of a line with a text that holds the needle.
pub struct Needle {
    needle: memmem::Finder<'static>,
    escape: memmem::Finder<'static>,
    line: String,
    read: String,
}

impl Needle {
    /// From a [`stretch`].
    pub fn new(stretch: &str) -> Self {
        Self {
            needle: memmem::Finder::new(stretch).into_owned(),
            escape: memmem::Finder::new("\\u").into_owned(),
            line: String::new(),
            read: String::new(),
        }
    }

    pub fn may_stand_in(&mut self, line: &[u8]) -> bool {
        // What is not UTF-8 is damaged; whoever parses it says so.
        let Ok(text) = std::str::from_utf8(line) else { return true };
        fold(text, &mut self.line);
        if self.needle.find(self.line.as_bytes()).is_some() {
            return true;
        }
        // Other escapes stand for nothing that a needle has in it.
        if self.escape.find(line).is_none() {
            return false;
        }
        unescape(text, &mut self.read);
        fold(&self.read, &mut self.line);
        self.needle.find(self.line.as_bytes()).is_some()
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
