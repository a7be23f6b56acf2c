//! Event text made visible. It is hostile: it may hold control characters, escape sequences for terminals, and
//! characters that reorder or hide what stands beside them (threat T4).

use std::borrow::Cow;

/// Shows every character that a reader could not see, or that would move others, as `\u{…}`. Line feeds and tabs too:
/// what comes out is one line.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_deceptive(c) {
            out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Controls, bidirectional controls, zero-width and invisible characters, and the tag block.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0x00AD | 0x061C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180E
            | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F
            | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB
            | 0xE0000..=0xE0FFF)
}

/// Longest a message about what is wrong may be, in characters.
const SENTENCE: usize = 900;

/// A message about what is wrong as one line, visible and not too long. It may repeat what somebody else wrote: an
/// unknown key, a value, the words of a library about a file.
pub fn sentence(text: &str) -> String {
    let line = if text.contains(['\n', '\r']) {
        Cow::Owned(text.split(['\n', '\r']).map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" "))
    } else {
        Cow::Borrowed(text)
    };
    let seen = visible(&line);
    let end = seen.char_indices().nth(SENTENCE).map(|(end, _)| end);
    end.map_or_else(|| seen.to_string(), |end| format!("{}…", &seen[..end]))
}

/// What makes a spreadsheet take a cell for a formula, when it stands first (OWASP, "CSV injection"); the full-width
/// forms too.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// The text as a cell that no spreadsheet computes: with `'` before it where it would (threat T5).
pub fn cell(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

/// What [`cell`] was made from.
pub fn from_cell(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t4_text_that_hides_or_moves_is_shown_as_escapes() {
        assert_eq!(visible("plain Ünïcode 日本"), "plain Ünïcode 日本");
        assert_eq!(visible("\u{1b}[31mred"), "\\u{1b}[31mred");
        assert_eq!(visible("exe.\u{202e}fdp"), "exe.\\u{202e}fdp");
        assert_eq!(visible("a\u{200b}b\nc"), "a\\u{200b}b\\u{a}c");
        assert_eq!(visible("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(visible("tag\u{e0041}"), "tag\\u{e0041}");
    }

    #[test]
    fn t4_a_message_about_what_is_wrong_is_one_line_that_hides_nothing_and_has_an_end() {
        assert_eq!(
            sentence("regex parse error:\n    (\n    ^\nerror: unclosed"),
            "regex parse error: ( ^ error: unclosed"
        );
        assert_eq!(sentence("unknown field `\u{1b}[2J\u{202e}`"), "unknown field `\\u{1b}[2J\\u{202e}`");
        let long = sentence(&"ü".repeat(100_000));
        assert!(long.ends_with('…') && long.chars().count() == SENTENCE + 1);
        assert_eq!(sentence("plain"), "plain");
    }

    #[test]
    fn t5_a_cell_is_never_a_formula_and_reads_back_as_it_was() {
        for text in ["=1+1", "+1", "-1", "@x", "\tx", "\r=1", "\u{ff1d}1", "\n=1"] {
            assert!(cell(text).starts_with('\''), "{text:?}");
            assert_eq!(from_cell(&cell(text)), text);
        }
        for plain in ["", "a=1", "'quoted'", "10"] {
            assert_eq!((cell(plain).as_str(), from_cell(plain)), (plain, plain));
        }
    }
}
