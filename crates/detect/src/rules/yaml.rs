//! Looks for what a rule file may not hold, before the YAML library builds anything of it.
//!
//! An anchor and its aliases make a document of a thousand bytes into one of a thousand million (threat T10), and rules
//! need neither, nor tags, nor directives. The library does not say where it met them, so this walks over the tokens
//! the way its scanner does: where a token may begin, one of these marks can mean nothing else, and where it stands
//! inside of text (quoted, block or plain) it means itself. What the library would refuse is stepped over: it refuses
//! it next.

/// What was found, and on which line (1 upwards).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forbidden {
    pub line: usize,
    pub what: &'static str,
}

/// The first anchor, alias, tag or directive of a text.
pub(super) fn forbidden(text: &str) -> Option<Forbidden> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut scanner = Scanner {
        chars: text.chars().collect(),
        at: 0,
        line: 1,
        column: 0,
        flow: 0,
        indent: -1,
        indents: Vec::new(),
        key: None,
        key_allowed: true,
    };
    scanner.run()
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    line: usize,
    column: isize,
    /// How many `[` and `{` are open.
    flow: usize,
    /// The column of the innermost block collection.
    indent: isize,
    indents: Vec<isize>,
    /// Where a key without `?` may have begun, outside of any `[` and `{`.
    key: Option<Place>,
    key_allowed: bool,
}

#[derive(Clone, Copy)]
struct Place {
    at: usize,
    line: usize,
    column: isize,
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

impl Scanner {
    /// NUL at the end, and NUL is the end: the library reads no further either.
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn is_end(&self, ahead: usize) -> bool {
        self.peek(ahead) == '\0'
    }

    /// Blank, line break or end.
    fn is_gap(&self, ahead: usize) -> bool {
        let c = self.peek(ahead);
        is_blank(c) || is_break(c) || c == '\0'
    }

    fn ends_line(&self) -> bool {
        is_break(self.peek(0)) || self.is_end(0)
    }

    fn skip(&mut self) {
        self.at += 1;
        self.column += 1;
    }

    fn skip_line(&mut self) {
        self.at += if self.peek(0) == '\r' && self.peek(1) == '\n' { 2 } else { 1 };
        self.line += 1;
        self.column = 0;
    }

    fn run(&mut self) -> Option<Forbidden> {
        loop {
            self.skip_to_token();
            if self.flow == 0 {
                self.unroll(self.column);
            }
            let (c, line, column) = (self.peek(0), self.line, self.column);
            let found = |what| Some(Forbidden { line, what });
            match c {
                '\0' => return None,
                '*' => return found("an alias"),
                '&' => return found("an anchor"),
                '!' => return found("a tag"),
                '%' if column == 0 => return found("a directive"),
                '-' | '.' if self.at_document_mark() => {
                    if self.flow == 0 {
                        self.unroll(-1);
                    }
                    (self.key, self.key_allowed) = (None, false);
                    (0..3).for_each(|_| self.skip());
                }
                '[' | '{' => {
                    self.may_be_key();
                    self.flow += 1;
                    self.key_allowed = true;
                    self.skip();
                }
                ']' | '}' => {
                    if self.flow == 0 {
                        self.key = None;
                    }
                    self.flow = self.flow.saturating_sub(1);
                    self.key_allowed = false;
                    self.skip();
                }
                ',' => {
                    if self.flow == 0 {
                        self.key = None;
                    }
                    self.key_allowed = true;
                    self.skip();
                }
                '-' if self.is_gap(1) => {
                    self.roll(column);
                    if self.flow == 0 {
                        self.key = None;
                    }
                    self.key_allowed = true;
                    self.skip();
                }
                '?' if self.flow > 0 || self.is_gap(1) => {
                    self.roll(column);
                    if self.flow == 0 {
                        self.key = None;
                    }
                    self.key_allowed = self.flow == 0;
                    self.skip();
                }
                ':' if self.flow > 0 || self.is_gap(1) => self.value(),
                '|' | '>' if self.flow == 0 => self.block_scalar(),
                '\'' | '"' => self.quoted(c),
                // Nothing may begin with these; the library stops here.
                '@' | '`' | '%' | '#' | '|' | '>' | '\t' => self.skip(),
                _ => self.plain(),
            }
        }
    }

    /// Blanks, comments and line breaks.
    fn skip_to_token(&mut self) {
        loop {
            if self.column == 0 && self.peek(0) == '\u{feff}' {
                self.skip();
            }
            while self.peek(0) == ' ' || (self.peek(0) == '\t' && (self.flow > 0 || !self.key_allowed)) {
                self.skip();
            }
            if self.peek(0) == '#' {
                while !self.ends_line() {
                    self.skip();
                }
            }
            if !is_break(self.peek(0)) {
                return;
            }
            self.skip_line();
            if self.flow == 0 {
                self.key_allowed = true;
            }
        }
    }

    fn at_document_mark(&self) -> bool {
        let c = self.peek(0);
        self.column == 0 && (c == '-' || c == '.') && self.peek(1) == c && self.peek(2) == c && self.is_gap(3)
    }

    fn unroll(&mut self, column: isize) {
        while self.indent > column {
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn roll(&mut self, column: isize) {
        if self.flow == 0 && self.indent < column {
            self.indents.push(self.indent);
            self.indent = column;
        }
    }

    fn may_be_key(&mut self) {
        if self.flow == 0 && self.key_allowed {
            self.key = Some(Place { at: self.at, line: self.line, column: self.column });
        }
    }

    /// A `:`. The key before it says how far its mapping is indented.
    fn value(&mut self) {
        if self.flow > 0 {
            self.key_allowed = false;
        } else {
            match self.key.take() {
                Some(key) if key.line == self.line && key.at + 1024 >= self.at => {
                    self.roll(key.column);
                    self.key_allowed = false;
                }
                _ => {
                    self.roll(self.column);
                    self.key_allowed = true;
                }
            }
        }
        self.skip();
    }

    fn block_scalar(&mut self) {
        (self.key, self.key_allowed) = (None, true);
        self.skip();
        let mut indent = 0;
        for _ in 0..2 {
            let c = self.peek(0);
            if let Some(n) = c.to_digit(10).filter(|n| indent == 0 && *n > 0) {
                indent = self.indent.max(0) + n as isize;
            } else if c != '+' && c != '-' {
                break;
            }
            self.skip();
        }
        while is_blank(self.peek(0)) {
            self.skip();
        }
        if self.peek(0) == '#' {
            while !self.ends_line() {
                self.skip();
            }
        }
        if !self.ends_line() {
            return;
        }
        if !self.is_end(0) {
            self.skip_line();
        }
        self.block_breaks(&mut indent);
        while self.column == indent && !self.is_end(0) {
            while !self.ends_line() {
                self.skip();
            }
            if !self.is_end(0) {
                self.skip_line();
            }
            self.block_breaks(&mut indent);
        }
    }

    /// Empty lines and indentation; the first line that is not empty says how deep the scalar is, if nothing did.
    fn block_breaks(&mut self, indent: &mut isize) {
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.column < *indent) && self.peek(0) == ' ' {
                self.skip();
            }
            deepest = self.column.max(deepest);
            if !is_break(self.peek(0)) {
                break;
            }
            self.skip_line();
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
    }

    fn quoted(&mut self, quote: char) {
        self.may_be_key();
        self.key_allowed = false;
        self.skip();
        while !self.is_end(0) {
            let c = self.peek(0);
            if is_break(c) {
                self.skip_line();
            } else if c == quote {
                self.skip();
                if quote == '"' || self.peek(0) != quote {
                    return;
                }
                self.skip();
            } else if c == '\\' && quote == '"' {
                self.skip();
                if is_break(self.peek(0)) {
                    self.skip_line();
                } else {
                    self.skip();
                }
            } else {
                self.skip();
            }
        }
    }

    fn plain(&mut self) {
        self.may_be_key();
        self.key_allowed = false;
        let indent = self.indent + 1;
        let (start, mut new_line) = (self.at, false);
        while !self.at_document_mark() && self.peek(0) != '#' {
            while !self.is_gap(0) {
                let c = self.peek(0);
                if (c == ':' && self.is_gap(1)) || (self.flow > 0 && matches!(c, ',' | '[' | ']' | '{' | '}')) {
                    break;
                }
                new_line = false;
                self.skip();
            }
            if !self.is_gap(0) || self.is_end(0) {
                break;
            }
            while is_blank(self.peek(0)) || is_break(self.peek(0)) {
                if is_break(self.peek(0)) {
                    new_line = true;
                    self.skip_line();
                } else {
                    self.skip();
                }
            }
            if self.flow == 0 && self.column < indent {
                break;
            }
        }
        self.key_allowed |= new_line;
        // What stands here began no token after all; the library stops at it.
        if self.at == start {
            self.skip();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_spelling_of_an_anchor_or_alias_is_found_and_the_same_marks_in_text_are_not() {
        for (line, text) in [
            (1, "a: *b"),
            (1, "a: &b c"),
            (2, "a:\n- *a-b"),
            (1, "- [*a]"),
            (1, "[x,*a]"),
            (1, "{a: *b}"),
            (1, "{*a : b}"),
            (1, "a:\t*b"),
            (2, "? a\n: *b"),
            (1, "- - - *b"),
            (4, "a: |\n  text\n\nb: *c"),
            (2, "a: 'it''s'\nb: *c"),
            (2, "a: \"\\\"\"\nb: *c"),
            (3, "a: plain\n  text\nb: *c"),
            (1, "&a"),
            (1, "a: !!str b"),
            (1, "%TAG ! tag:x"),
            (2, "a: # *not* this\n  *this"),
            (2, "a: |2-\n *a"),
            (1, "<<: *a"),
            (1, "'a': &x [1]"),
            (2, "---\n*a"),
            (1, "--- *a"),
        ] {
            assert_eq!(forbidden(text).map(|f| f.line), Some(line), "{text:?}");
        }
        for text in [
            "a: '*b &c !d'",
            "a: \"*b\"",
            "a: b *c &d !e",
            "a: b\n  *c\n  &d",
            "a: |\n  *b\n  &c\nd: e",
            "a: >-\n\n   *b\n\n   &c",
            "# *a &b\na: b # *c",
            "a: x*y&z!",
            "a|re: '(?i)^.*&&.*$'",
            "a:\n  - '*\\cmd.exe'\n  - 'b'",
            "url: http://x/?a=1&b=2",
            "100%: 5%",
            "a: [b*, c&d]",
            "a: 'x\n  *b'",
            "",
        ] {
            assert_eq!(forbidden(text), None, "{text:?}");
        }
        for (name, text) in crate::BUILT_IN {
            assert_eq!(forbidden(text), None, "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        /// The library says so when it meets an alias of an anchor it does not know: wherever it meets one, we did.
        #[test]
        fn no_alias_that_the_library_sees_escapes_us(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "*a", "*a", "x", "y z", "'", "''", "\"", "\\", "\n", "\n", "\n ", "\n  ", "\n   ", " ", "- ", "-",
                ": ", ":", "k: ", "? ", "[", "]", "{", "}", ", ", ",", "|", "|\n", ">-\n", "|2\n", "#", " #", "\t",
                "\r\n", "---\n", "\u{2028}", "é",
            ]), 1..24),
        ) {
            let text: String = pieces.concat();
            let read = rsigma_parser::parse_sigma_yaml(&text);
            let met = read.is_ok_and(|c| c.errors.iter().any(|e| e.contains("unknown anchor")));
            prop_assert!(!met || forbidden(&text).is_some(), "{:?}", text);
        }
    }
}
