//! What an officer types into the search box.
//!
//! Terms are separated by spaces and must all hold: `word` (a whole word, whatever its case), `field=value` or
//! `field:value` (a mapped field, or `feed`), `"any text"` (a substring). A leading `-` turns a term round.

use wf_model::Timestamp;

use super::line::StoredEvent;
use super::tokens::{field_hash, push_lower, word_hash, words};

/// A parsed query. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    terms: Vec<Term>,
    /// Only events that occurred at or after this.
    pub since: Option<Timestamp>,
    /// Only events that occurred at or before this.
    pub until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
struct Term {
    negated: bool,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// Lower-cased.
    Word(String),
    Field {
        name: String,
        value: String,
    },
    /// Lower-cased.
    Substring(String),
}

/// Why a query cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("a quote is not closed; write \"text\"")]
    OpenQuote,
    #[error("'{0}' has nothing after the '='")]
    EmptyValue(String),
    #[error("the query is longer than 1000 characters")]
    TooLong,
}

impl Query {
    /// # Errors
    /// An open quote, a field without a value, or more than 1000 characters.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.len() > 1000 {
            return Err(QueryError::TooLong);
        }
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let negated = rest.len() > 1 && rest.starts_with('-') && !rest[1..].starts_with(' ');
            if negated {
                rest = &rest[1..];
            }
            let kind;
            if let Some(quoted) = rest.strip_prefix('"') {
                let end = quoted.find('"').ok_or(QueryError::OpenQuote)?;
                kind = (end > 0).then(|| Kind::Substring(quoted[..end].to_lowercase()));
                rest = &quoted[end + 1..];
            } else {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (term, after) = match rest[..end].split_once("=\"") {
                    // field="a value with spaces"
                    Some((name, _)) => {
                        let value = &rest[name.len() + 2..];
                        let close = value.find('"').ok_or(QueryError::OpenQuote)?;
                        (field(name, &value[..close])?, &value[close + 1..])
                    }
                    None => (bare(&rest[..end])?, &rest[end..]),
                };
                kind = term;
                rest = after;
            }
            if let Some(kind) = kind {
                terms.push(Term { negated, kind });
            }
            rest = rest.trim_start();
        }
        Ok(Self { terms, since: None, until: None })
    }

    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Hashes that a block must hold, all of them, for anything in it to match.
    pub(super) fn required(&self) -> Vec<u64> {
        let mut hashes = Vec::new();
        for t in self.terms.iter().filter(|t| !t.negated) {
            match &t.kind {
                Kind::Word(w) => hashes.push(word_hash(w.as_bytes())),
                Kind::Field { name, value } => hashes.push(field_hash(name, value)),
                Kind::Substring(text) => hashes.extend(inner_words(text).iter().map(|w| word_hash(w.as_bytes()))),
            }
        }
        hashes
    }

    /// A text that every matching line holds, lower-cased: a cheap look before a line is parsed.
    pub(super) fn needle(&self) -> Option<&str> {
        let positive = self.terms.iter().filter(|t| !t.negated);
        positive
            .map(|t| match &t.kind {
                Kind::Word(text) | Kind::Field { value: text, .. } | Kind::Substring(text) => text.as_str(),
            })
            // What JSON escapes, and what lower-casing changes in length, is not literally in the line.
            .filter(|s| s.is_ascii() && !s.contains(['"', '\\']) && !s.contains(char::is_control))
            .max_by_key(|s| s.len())
    }

    /// Whether the event matches, times included.
    pub fn matches(&self, event: &StoredEvent) -> bool {
        if self.since.is_some_and(|t| event.occurred_at < t) || self.until.is_some_and(|t| event.occurred_at > t) {
            return false;
        }
        self.terms.iter().all(|t| t.kind.matches(event) != t.negated)
    }
}

impl Kind {
    fn matches(&self, event: &StoredEvent) -> bool {
        match self {
            Self::Word(word) => {
                let mut found = false;
                let mut look = |text: &str| words(text.as_bytes(), false, |w| found |= w == word.as_bytes());
                look(&event.raw);
                texts(event, &mut look);
                if !found && event.raw.starts_with(['{', '[']) {
                    // The index reads JSON text with its escapes left out; the exact look must agree with it.
                    words(event.raw.as_bytes(), true, |w| found |= w == word.as_bytes());
                }
                found
            }
            Self::Field { name, value } if name == "feed" => event.feed.as_str().to_lowercase() == *value,
            Self::Field { name, value } => event.fields.get(name).is_some_and(|v| equals(v, value)),
            Self::Substring(text) => {
                let mut found = event.raw.to_lowercase().contains(text);
                texts(event, &mut |t| found = found || t.to_lowercase().contains(text));
                found
            }
        }
    }
}

fn texts(event: &StoredEvent, visit: &mut dyn FnMut(&str)) {
    fn walk(v: &serde_json::Value, visit: &mut dyn FnMut(&str)) {
        match v {
            serde_json::Value::String(s) => visit(s),
            serde_json::Value::Array(items) => items.iter().for_each(|i| walk(i, visit)),
            serde_json::Value::Null | serde_json::Value::Object(_) => {}
            other @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => visit(&other.to_string()),
        }
    }
    event.fields.values().for_each(|v| walk(v, visit));
}

fn equals(v: &serde_json::Value, value: &str) -> bool {
    match v {
        serde_json::Value::String(s) => s.to_lowercase() == value,
        serde_json::Value::Array(items) => items.iter().any(|i| equals(i, value)),
        serde_json::Value::Null | serde_json::Value::Object(_) => false,
        // As text: a query has no types.
        serde_json::Value::Bool(b) => b.to_string() == value,
        serde_json::Value::Number(n) => n.to_string() == value,
    }
}

fn bare(term: &str) -> Result<Option<Kind>, QueryError> {
    if let Some((name, value)) = term.split_once('=') {
        return field(name, value);
    }
    // `field:value` for those used to it; an address with colons is a word.
    if let Some((name, value)) = term.split_once(':')
        && (name == "feed" || (name.contains('.') && name.starts_with(|c: char| c.is_ascii_alphabetic())))
        && !value.is_empty()
    {
        return field(name, value);
    }
    let mut found = Vec::new();
    words(term.as_bytes(), false, |w| found.push(String::from_utf8_lossy(w).into_owned()));
    Ok(match (found.len(), found.pop()) {
        (1, Some(word)) => Some(Kind::Word(word)),
        // Punctuation inside: not one word, so look for the text as it stands.
        _ => Some(Kind::Substring(term.to_lowercase())),
    })
}

fn field(name: &str, value: &str) -> Result<Option<Kind>, QueryError> {
    if value.is_empty() {
        return Err(QueryError::EmptyValue(name.to_owned()));
    }
    let mut lower = Vec::new();
    push_lower(&mut lower, value);
    Ok(Some(Kind::Field { name: name.to_owned(), value: String::from_utf8_lossy(&lower).into_owned() }))
}

/// Words of a substring that are certainly whole: those with something on both sides.
fn inner_words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let parts: Vec<&str> =
        text.split(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ';' | '(' | ')')).collect();
    if parts.len() > 2 {
        for part in &parts[1..parts.len() - 1] {
            if part.chars().all(|c| c.is_ascii_alphanumeric()) && !part.is_empty() {
                out.push((*part).to_owned());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_read_as_an_officer_means_them() {
        let kinds =
            |q: &str| Query::parse(q).unwrap().terms.into_iter().map(|t| (t.negated, t.kind)).collect::<Vec<_>>();
        let field = |n: &str, v: &str| Kind::Field { name: n.into(), value: v.into() };
        assert_eq!(
            kinds("Failed 203.0.113.45"),
            [(false, Kind::Word("failed".into())), (false, Kind::Word("203.0.113.45".into()))]
        );
        assert_eq!(
            kinds("source.ip:203.0.113.45 -feed=Shop"),
            [(false, field("source.ip", "203.0.113.45")), (true, field("feed", "shop"))]
        );
        assert_eq!(kinds("user.name=\"Ann Lee\""), [(false, field("user.name", "ann lee"))]);
        assert_eq!(kinds("\"or 1=1\""), [(false, Kind::Substring("or 1=1".into()))]);
        assert_eq!(kinds("fe80::1"), [(false, Kind::Word("fe80::1".into()))]);
        assert_eq!(kinds("/admin/x"), [(false, Kind::Substring("/admin/x".into()))]);
        assert_eq!(kinds("   "), []);
    }

    #[test]
    fn a_query_that_cannot_be_meant_says_why() {
        assert_eq!(Query::parse("\"open"), Err(QueryError::OpenQuote));
        assert_eq!(Query::parse("user.name="), Err(QueryError::EmptyValue("user.name".into())));
        assert_eq!(Query::parse(&"x".repeat(1001)), Err(QueryError::TooLong));
    }
}
