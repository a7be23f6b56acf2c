//! A value of a request as the application behind it reads it.

/// As the application behind the request reads it, in lower case, with one blank for many.
pub fn normal(text: &str) -> String {
    let mut plain = unescape(text, true);
    // What was escaped twice; and entities within what was escaped.
    for _ in 0..2 {
        if !plain.contains(['%', '&', '\\']) {
            break;
        }
        let again = unescape(&plain, false);
        if again == plain {
            break;
        }
        plain = again;
    }
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        let c = match c {
            '\u{2018}' | '\u{2019}' | '\u{b4}' | '\u{2032}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
            '\0' => continue,
            '\n' => {
                out.push('\n');
                continue;
            }
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if c == ' ' && out.ends_with(' ') {
            continue;
        }
        out.extend(c.to_lowercase());
    }
    if out.contains("/*") {
        out = without_comments(&out);
    }
    out.trim().to_owned()
}

/// `sel/**/ect` stays two words and `union/**/select` becomes `union select`; what MySQL runs (`/*!50000or*/`) is kept.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("/*") {
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        if let Some(run) = inside.strip_prefix('!') {
            out.push_str("/*! ");
            rest = run.trim_start_matches(|c: char| c.is_ascii_digit());
            continue;
        }
        match inside.find("*/") {
            Some(end) => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
                rest = inside[end + 2..].trim_start();
            }
            None => {
                out.push_str("/*");
                rest = inside;
            }
        }
    }
    out.push_str(rest);
    out.replace("*/", " ")
}

fn unescape(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let rest = &bytes[i..];
        let taken = match rest {
            [b'+', ..] if plus => Some((1, u32::from(b' '))),
            [b'%', b'u' | b'U', ..] => hex(rest, 2, 4).map(|c| (6, c)),
            [b'%', ..] => hex(rest, 1, 2).map(|c| (3, c)),
            [b'\\', b'u', ..] => hex(rest, 2, 4).map(|c| (6, c)),
            [b'\\', b'x', ..] => hex(rest, 2, 2).map(|c| (4, c)),
            [b'&', ..] => entity(rest),
            _ => None,
        };
        match taken {
            Some((length, c)) => {
                // Bytes of UTF-8 come one by one; whatever else is a character.
                if length == 3 || c < 0x80 {
                    out.push(c as u8);
                } else if let Some(c) = char::from_u32(c) {
                    out.extend(c.to_string().bytes());
                }
                i += length;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&without_overlong(out)).into_owned()
}

/// Longer than UTF-8 allows, and read all the same by what should refuse it.
fn without_overlong(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.iter().any(|b| matches!(b, 0xc0 | 0xc1)) {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let (byte, left) = match rest {
            [0xc0, 0xaf, left @ ..] => (b'/', left),
            [0xc0, 0xae, left @ ..] => (b'.', left),
            [0xc1, 0x9c, left @ ..] => (b'\\', left),
            _ => (*first, after),
        };
        out.push(byte);
        rest = left;
    }
    out
}

fn hex(bytes: &[u8], from: usize, digits: usize) -> Option<u32> {
    let text = std::str::from_utf8(bytes.get(from..from + digits)?).ok()?;
    u32::from_str_radix(text, 16).ok()
}

/// `&lt;`, `&#60;`, `&#x3c;`, with or without its semicolon.
fn entity(bytes: &[u8]) -> Option<(usize, u32)> {
    const NAMED: [(&str, char); 8] = [
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("amp", '&'),
        ("tab", ' '),
        ("newline", ' '),
        ("colon", ':'),
    ];
    let name: String = bytes
        .iter()
        .skip(1)
        .take(10)
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'#')
        .map(|b| b.to_ascii_lowercase() as char)
        .collect();
    let ended = bytes.get(1 + name.len()) == Some(&b';');
    let length = 1 + name.len() + usize::from(ended);
    if let Some(digits) = name.strip_prefix('#') {
        let (digits, base) = digits.strip_prefix('x').map_or((digits, 10), |d| (d, 16));
        let digits: String = digits.chars().take_while(|c| c.is_digit(base)).collect();
        let c = u32::from_str_radix(&digits, base).ok()?;
        let own = 2 + usize::from(base == 16) + digits.len();
        return Some((own + usize::from(bytes.get(own) == Some(&b';')), c));
    }
    NAMED.iter().find(|(n, _)| ended && *n == name).map(|(_, c)| (length, *c as u32))
}
