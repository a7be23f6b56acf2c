//! Looks at JSON text without building anything of it: how deep it nests, where one value stands, where the items of an
//! array begin and end. Allocates nothing, whatever the text holds. What is found is not checked further than its
//! brackets and strings; the parser does that when the piece is used.

use std::borrow::Cow;
use std::ops::Range;

/// Whether brackets outside strings nest deeper than `most`.
pub fn deeper_than(text: &[u8], most: usize) -> bool {
    let (mut depth, mut i) = (0usize, 0);
    while i < text.len() {
        match text[i] {
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => match string_end(text, i) {
                Some(end) => {
                    i = end;
                    continue;
                }
                None => return false,
            },
            _ => {}
        }
        i += 1;
    }
    false
}

/// The text of the value at `pointer`, of the first where a key is there twice. Reads no further than the way there.
pub fn value_at<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
    let mut at = text.trim_ascii();
    for token in pointer.split('/').skip(1) {
        let token = unescaped(token);
        at = match at.as_bytes().first()? {
            b'{' => member(at, &token)?,
            b'[' => {
                let mut items = Items::of(at)?;
                for _ in 0..token.parse::<usize>().ok()? {
                    let Step::Item(_) = items.step(at.as_bytes()) else { return None };
                }
                let Step::Item(place) = items.step(at.as_bytes()) else { return None };
                at.get(place)?
            }
            _ => return None,
        };
    }
    Some(at)
}

/// A token of a JSON pointer as the key it stands for.
pub fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') { token.replace("~1", "/").replace("~0", "~").into() } else { token.into() }
}

/// What comes next in an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Item(Range<usize>),
    End,
    /// From here on it is no array.
    Broken(Range<usize>),
}

/// A place in the text of an array. Holds no text: it is given the same one at each step.
#[derive(Clone, Copy, Debug)]
pub struct Items {
    at: usize,
    first: bool,
    ended: bool,
}

impl Items {
    /// `None` when the text is no array.
    pub fn of(text: &str) -> Option<Self> {
        let at = after_blanks(text.as_bytes(), 0);
        (text.as_bytes().get(at) == Some(&b'[')).then_some(Self { at: at + 1, first: true, ended: false })
    }

    pub fn step(&mut self, text: &[u8]) -> Step {
        if self.ended {
            return Step::End;
        }
        let began = after_blanks(text, self.at);
        let start = match text.get(began) {
            Some(b']') => {
                self.ended = true;
                let rest = after_blanks(text, began + 1);
                return if rest == text.len() { Step::End } else { Step::Broken(rest..text.len()) };
            }
            Some(b',') if !self.first => Some(after_blanks(text, began + 1)),
            Some(_) if self.first => Some(began),
            Some(_) | None => None,
        };
        self.first = false;
        match start.and_then(|start| Some(start..value_end(text, start)?)) {
            Some(place) => {
                self.at = place.end;
                Step::Item(place)
            }
            None => {
                self.ended = true;
                Step::Broken(began.min(text.len())..text.len())
            }
        }
    }
}

/// The text of the value of `name` in the text of an object.
fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let text = object.as_bytes();
    let mut at = after_blanks(text, 1);
    loop {
        if text.get(at) != Some(&b'"') {
            return None;
        }
        let key_end = string_end(text, at)?;
        let key = object.get(at..key_end)?;
        at = after_blanks(text, key_end);
        if text.get(at) != Some(&b':') {
            return None;
        }
        let start = after_blanks(text, at + 1);
        let end = value_end(text, start)?;
        if is_key(key, name) {
            return object.get(start..end);
        }
        at = after_blanks(text, end);
        if text.get(at) != Some(&b',') {
            return None;
        }
        at = after_blanks(text, at + 1);
    }
}

fn is_key(quoted: &str, name: &str) -> bool {
    match quoted.get(1..quoted.len().saturating_sub(1)) {
        Some(key) if !key.contains('\\') => key == name,
        // An escape makes a key longer, by five bytes for each of the name's at most.
        Some(key) if key.len() <= name.len().saturating_mul(6) => {
            serde_json::from_str::<String>(quoted).is_ok_and(|key| key == name)
        }
        _ => false,
    }
}

fn after_blanks(text: &[u8], from: usize) -> usize {
    let blanks = |rest: &[u8]| rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
    from + text.get(from..).map_or(0, blanks)
}

/// Behind the closing quote of the string that opens at `start`.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut i = start + 1;
    loop {
        match text.get(i)? {
            b'"' => return Some(i + 1),
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
}

/// Behind the value that begins at `start`.
fn value_end(text: &[u8], start: usize) -> Option<usize> {
    match text.get(start)? {
        b'"' => string_end(text, start),
        b'{' | b'[' => {
            let (mut depth, mut i) = (0usize, start);
            loop {
                match text.get(i)? {
                    b'"' => {
                        i = string_end(text, i)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => {
                        depth = depth.saturating_sub(1);
                        if depth == 0 {
                            return Some(i + 1);
                        }
                    }
                    _ => {}
                }
                i += 1;
            }
        }
        _ => {
            let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b':' | b'"') || b.is_ascii_whitespace();
            let rest = text.get(start..)?;
            let length = rest.iter().position(ends).unwrap_or(rest.len());
            (length > 0).then_some(start + length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> (Vec<&str>, bool) {
        let (mut items, mut found) = (Items::of(text).unwrap(), Vec::new());
        loop {
            match items.step(text.as_bytes()) {
                Step::Item(place) => found.push(&text[place]),
                Step::End => return (found, true),
                Step::Broken(_) => return (found, false),
            }
        }
    }

    #[test]
    fn a_value_is_found_without_reading_what_lies_behind_it() {
        let text = r#" {"a~b":1,"s":"}\"]","x":{"y/z":[10, {"k":"v"}, true]},"x":2,"rest": this is no JSON"#;
        for (pointer, expected) in [
            ("/a~0b", Some("1")),
            ("/s", Some(r#""}\"]""#)),
            ("/x/y~1z/0", Some("10")),
            ("/x/y~1z/1/k", Some(r#""v""#)),
            ("/x/y~1z/2", Some("true")),
            ("/x/y~1z/3", None),
            ("/s/0", None),
            ("/none", None),
        ] {
            assert_eq!(value_at(text, pointer), expected, "{pointer}");
        }
        assert_eq!(value_at(r#"{"\u0061":7}"#, "/a"), Some("7"));
        assert_eq!(value_at(" [1] ", ""), Some("[1]"));
    }

    #[test]
    fn the_items_of_an_array_are_found_one_by_one_and_the_good_ones_before_a_break_too() {
        assert_eq!(items(r#" [1, {"a":"]"} ,[2,[3]],"x" ] "#), (vec!["1", r#"{"a":"]"}"#, "[2,[3]]", "\"x\""], true));
        assert_eq!(items("[]"), (vec![], true));
        assert_eq!(items(r#"[{"a":1}, {"b":"#), (vec![r#"{"a":1}"#], false));
        assert_eq!(items("[1 2]"), (vec!["1"], false));
        assert_eq!(items("[1,]"), (vec!["1"], false));
        assert_eq!(items("[1] and more"), (vec!["1"], false));
        assert!(Items::of("{}").is_none());
    }

    #[test]
    fn depth_is_counted_outside_strings_only() {
        assert!(deeper_than(b"[[[[", 3));
        assert!(!deeper_than(br#"{"a":"[[[[[[","b":[[1]]}"#, 3));
        assert!(!deeper_than(b"\"[[[[[", 3));
    }
}
