//! Finds identifiers in text and in JSON, and replaces them.

use regex::{Regex, RegexSet};

use super::identifier::digits;
use super::neighbours::{names, names_a_phone, names_a_user, stands_alone};
use super::spelling::{addresses, distinctive, spelled};
use super::{ERASED, Identifier, IdentifierKind, RESTRICTED};

/// Finds identifiers in text.
pub struct Finder {
    patterns: Vec<Pattern>,
    quick: RegexSet,
    /// User ids in lower case: for values under a name that says whose they are.
    user_ids: Vec<String>,
}

struct Pattern {
    kind: IdentifierKind,
    regex: Regex,
    /// The group that holds the identifier itself: what stands before it only says that it is one.
    group: usize,
}

impl Finder {
    pub fn new(identifiers: &[Identifier]) -> Self {
        let mut sources: Vec<(IdentifierKind, String, usize)> = Vec::new();
        let mut user_ids = Vec::new();
        // What was erased is nobody's any more: it must not bring those together who once were.
        for id in identifiers.iter().filter(|i| i.value != ERASED && i.value != RESTRICTED) {
            match id.kind {
                IdentifierKind::Email | IdentifierKind::Name => sources.push((id.kind, spelled(&id.value), 0)),
                IdentifierKind::Ip => {
                    sources.extend(addresses(&id.value).into_iter().map(|a| (IdentifierKind::Ip, a, 0)))
                }
                IdentifierKind::Phone => {
                    let spaced: Vec<String> = digits(&id.value).chars().map(|c| c.to_string()).collect();
                    sources.push((id.kind, format!(r"(?:\+|%2b|00)?{}", spaced.join(r"(?:[\s().\-/\\]|%20){0,4}")), 0));
                }
                IdentifierKind::UserId => {
                    user_ids.push(id.value.to_lowercase());
                    sources.push((
                        id.kind,
                        format!(
                            r"(?:user[ _.\-]?(?:id|name)?|uid|account(?:[ _.\-]?id)?|login)\s*[=:]\s*[\x22']?({})",
                            spelled(&id.value)
                        ),
                        1,
                    ));
                    if distinctive(&id.value) {
                        sources.push((id.kind, spelled(&id.value), 0));
                    }
                }
            }
        }
        let built = |s: &str| Regex::new(&format!("(?i){s}")).ok();
        let patterns = sources
            .iter()
            .filter_map(|(kind, s, group)| Some(Pattern { kind: *kind, regex: built(s)?, group: *group }))
            .collect();
        // What may hide one: an escape in JSON, or a short id that only its name gives away.
        let mut quick: Vec<String> =
            sources.iter().filter(|(_, _, group)| *group == 0).map(|(_, s, _)| format!("(?i){s}")).collect();
        quick.extend(user_ids.iter().map(|u| format!("(?i){}", spelled(u))));
        // Whatever JSON escapes is looked at closely: `\\` in a Windows name, `\t` between two words, `\u0040`.
        quick.push(r"\\".into());
        Self { patterns, quick: RegexSet::new(quick).unwrap_or_default(), user_ids }
    }

    /// Whether it is worth looking closely: never false where [`Self::holds`] is true of the same text.
    pub fn may_hold(&self, text: &str) -> bool {
        self.quick.is_match(text)
    }

    /// Whether any of the identifiers stands in the text, which may be JSON.
    pub fn holds(&self, text: &str) -> bool {
        self.may_hold(text) && self.replace(text, ERASED).is_some()
    }

    /// The text with every identifier replaced; `None` when there is none. JSON stays JSON: strings are looked at as
    /// what they say.
    pub fn replace(&self, text: &str, with: &str) -> Option<String> {
        if !self.may_hold(text) {
            return None;
        }
        // JSON may be indented, begin with a byte order mark, or be one string.
        let json = text.trim_start_matches(['\u{feff}', ' ', '\t', '\n', '\r']);
        if json.starts_with(['{', '[', '"']) && serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok() {
            self.replace_json(text, with)
        } else {
            self.replace_plain(text, with)
        }
    }

    /// A value whose name is known, as a mapped field: `user.id` of 5 is the user 5.
    pub fn is_value(&self, name: &str, value: &str) -> bool {
        (names_a_user(name) && self.is_user(value)) || self.holds(value)
    }

    /// A document of our own as JSON: as [`Self::replace`], but counts and numbers of ours stay what they are, and a
    /// field's name may stand beside its value (`{"field": "user.id", "value": "5"}`).
    pub fn replace_typed(&self, text: &str, with: &str) -> Option<String> {
        let mut document: serde_json::Value = serde_json::from_str(text).ok()?;
        self.replace_in(&mut document, "", with).then(|| document.to_string())
    }

    fn replace_in(&self, value: &mut serde_json::Value, key: &str, with: &str) -> bool {
        use serde_json::Value;
        match value {
            Value::String(text) => {
                let new = if names_a_user(key) && self.is_user(text) {
                    Some(with.to_owned())
                } else {
                    self.replace(text, with)
                };
                let found = new.is_some();
                if let Some(new) = new {
                    *text = new;
                }
                found
            }
            Value::Array(items) => {
                let mut found = false;
                for v in items {
                    found |= self.replace_in(v, key, with);
                }
                found
            }
            Value::Object(map) => {
                // `field` names what `value` is; so do `kind` and `entity_field`.
                let named: Vec<(&str, String)> = [
                    ("field", "value"),
                    ("kind", "value"),
                    ("entity_field", "entity"),
                    ("entity_field", "entity_value"),
                ]
                .into_iter()
                .filter_map(|(name, v)| Some((v, map.get(name)?.as_str()?.to_owned())))
                .collect();
                let mut found = false;
                for (k, v) in map.iter_mut() {
                    let key = named.iter().find(|(v, _)| v == k).map_or(k.as_str(), |(_, name)| name);
                    found |= self.replace_in(v, key, with);
                }
                found
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn is_user(&self, value: &str) -> bool {
        !self.user_ids.is_empty() && self.user_ids.contains(&value.to_lowercase())
    }

    fn replace_plain(&self, text: &str, with: &str) -> Option<String> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for p in &self.patterns {
            let mut at = 0;
            while let Some(found) = p.regex.captures_at(text, at) {
                let Some(m) = found.get(p.group) else { break };
                if stands_alone(p.kind, text, m.start(), m.end()) {
                    spans.push((m.start(), m.end()));
                    at = m.end().max(at + 1);
                } else {
                    // Another may begin inside.
                    at = m.start() + text[m.start()..].chars().next().map_or(1, char::len_utf8);
                }
                if at >= text.len() {
                    break;
                }
            }
        }
        if spans.is_empty() {
            return None;
        }
        spans.sort_unstable();
        let (mut out, mut from) = (String::with_capacity(text.len()), 0);
        for (start, end) in spans {
            if start >= from {
                out.push_str(&text[from..start]);
                out.push_str(with);
            }
            from = from.max(end);
        }
        out.push_str(&text[from..]);
        Some(out)
    }

    /// Goes through JSON text literal by literal; what is not touched stays as it was written.
    fn replace_json(&self, text: &str, with: &str) -> Option<String> {
        let bytes = text.as_bytes();
        let (mut out, mut copied, mut i) = (String::with_capacity(text.len()), 0, 0);
        let mut changed = false;
        let (mut key, mut parents) = (String::new(), Vec::new());
        let quoted = serde_json::to_string(with).unwrap_or_default();
        while i < bytes.len() {
            let start = i;
            match bytes[i] {
                b'"' => {
                    i += 1;
                    while i < bytes.len() && bytes[i] != b'"' {
                        i += if bytes[i] == b'\\' { 2 } else { 1 };
                    }
                    i = (i + 1).min(bytes.len());
                    let literal = text.get(start..i)?;
                    let Ok(said) = serde_json::from_str::<String>(literal) else { continue };
                    let is_key = bytes[i..].iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':');
                    let new = if !is_key && names(&parents, &key) && self.is_user(&said) {
                        Some(with.to_owned())
                    } else {
                        self.replace(&said, with)
                    };
                    if let Some(new) = new {
                        out.push_str(&text[copied..start]);
                        out.push_str(&serde_json::to_string(&new).unwrap_or_default());
                        copied = i;
                        changed = true;
                    }
                    if is_key {
                        key = said;
                    }
                }
                b'-' | b'0'..=b'9' => {
                    while i < bytes.len() && matches!(bytes[i], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
                        i += 1;
                    }
                    let number = &text[start..i];
                    if (names(&parents, &key) && self.is_user(number))
                        || (names_a_phone(&key) && self.replace_plain(number, with).is_some())
                    {
                        out.push_str(&text[copied..start]);
                        out.push_str(&quoted);
                        copied = i;
                        changed = true;
                    }
                }
                b'{' => {
                    parents.push(std::mem::take(&mut key));
                    i += 1;
                }
                b'}' => {
                    key = parents.pop().unwrap_or_default();
                    i += 1;
                }
                _ => i += 1,
            }
        }
        out.push_str(&text[copied..]);
        changed.then_some(out)
    }
}
