//! What an officer types into the search box.
//!
//! Terms are separated by spaces and must all hold:
//! - `word`: a whole word, as the module `words` has it, or one of its parts; `word*` and `*word` are its beginning and
//!   its end, `*word*` any part of it;
//! - `field=value` or `field:value`: a mapped field, or `feed`; the value may have such a `*` too;
//! - `"any text"`: a substring. So is a term that is no whole word, as `/admin`, `10.0.0.` or `::1`, and one in a script
//!   without spaces.
//!
//! Case does not count, nor do invisible characters. A leading `-` turns a term round.

use wf_model::Timestamp;
use wf_model::text::sentence;

use super::line::StoredEvent;
use super::tokens::{Required, field_hash, word_hash};
use super::words::{contains, folded, inner_words, is_letter, is_mark, is_unspaced, stretch, words};

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
    /// Folded, as are the next three.
    Word(String),
    WordBegins(String),
    WordEnds(String),
    Substring(String),
    /// The value lower-cased, as is the next.
    Field {
        name: String,
        value: String,
    },
    FieldPart {
        name: String,
        part: String,
        /// Whether anything may stand before, and after.
        open: (bool, bool),
    },
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
        if text.chars().count() > 1000 {
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
                kind = substring(&quoted[..end]);
                rest = &quoted[end + 1..];
            } else {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (term, after) = match quoted_field(&rest[..end]) {
                    // field="a value with spaces"
                    Some(name) => {
                        let value = &rest[name.len() + 2..];
                        let close = value.find('"').ok_or(QueryError::OpenQuote)?;
                        (Some(field(name, &value[..close])?), &value[close + 1..])
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

    /// What a block must hold, all of it, for anything in it to match.
    pub(super) fn required(&self) -> Vec<Required> {
        let mut required = Vec::new();
        for t in self.terms.iter().filter(|t| !t.negated) {
            match &t.kind {
                Kind::Word(word) => required.push(Required::Word(word_hash(word.as_bytes()))),
                Kind::Field { name, value } => required.push(Required::Field(field_hash(name, value))),
                Kind::Substring(text) => {
                    required.extend(inner_words(text).map(|w| Required::Word(word_hash(w.as_bytes()))));
                }
                Kind::WordBegins(_) | Kind::WordEnds(_) | Kind::FieldPart { .. } => {}
            }
        }
        required
    }

    /// A folded text that every matching line holds: a cheap look before a line is parsed.
    pub(super) fn needle(&self) -> Option<String> {
        let positive = self.terms.iter().filter(|t| !t.negated);
        let needles = positive.filter_map(|t| match &t.kind {
            Kind::Word(text) | Kind::WordBegins(text) | Kind::WordEnds(text) | Kind::Substring(text) => {
                stretch(text).map(str::to_owned)
            }
            // Values that are equal when lower-cased are equal when folded.
            Kind::Field { value: text, .. } | Kind::FieldPart { part: text, .. } => {
                stretch(&folded(text)).map(str::to_owned)
            }
        });
        needles.max_by_key(String::len)
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
            Self::Word(word) => any_word(event, |w| w == word.as_bytes()),
            Self::WordBegins(part) => any_word(event, |w| w.starts_with(part.as_bytes())),
            Self::WordEnds(part) => any_word(event, |w| w.ends_with(part.as_bytes())),
            Self::Substring(part) => {
                let mut found = false;
                texts(event, &mut |text| found = found || contains(text, part));
                found
            }
            Self::Field { name, value } => any_value(event, name, &|v| v == value),
            Self::FieldPart { name, part, open } => any_value(event, name, &|v| match open {
                (true, true) => v.contains(part.as_str()),
                (true, false) => v.ends_with(part.as_str()),
                (false, _) => v.starts_with(part.as_str()),
            }),
        }
    }
}

fn any_word(event: &StoredEvent, test: impl Fn(&[u8]) -> bool) -> bool {
    let mut found = false;
    texts(event, &mut |text| {
        if !found {
            words(text, |w| found = found || test(w));
        }
    });
    found
}

/// The texts of an event that words and substrings are looked for in: those that `line::index` takes words from.
fn texts(event: &StoredEvent, visit: &mut dyn FnMut(&str)) {
    visit(&event.raw);
    event.fields.values().for_each(|v| each_text(v, visit));
}

fn each_text(v: &serde_json::Value, visit: &mut dyn FnMut(&str)) {
    match v {
        serde_json::Value::String(s) => visit(s),
        serde_json::Value::Array(items) => items.iter().for_each(|i| each_text(i, visit)),
        serde_json::Value::Null | serde_json::Value::Object(_) => {}
        // As text: a query has no types.
        other @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => visit(&other.to_string()),
    }
}

/// Whether a value of the field passes, lower-cased.
fn any_value(event: &StoredEvent, name: &str, test: &dyn Fn(&str) -> bool) -> bool {
    if name == "feed" {
        return test(&event.feed.as_str().to_lowercase());
    }
    let mut found = false;
    if let Some(v) = event.fields.get(name) {
        each_text(v, &mut |text| found = found || test(&text.to_lowercase()));
    }
    found
}

/// The name of `name="` and `name:"`.
fn quoted_field(term: &str) -> Option<&str> {
    let name = &term[..term.find('"')?];
    name.strip_suffix('=').or_else(|| name.strip_suffix(':').filter(|n| is_field_name(n)))
}

/// Whether what stands before a colon is a field; an address with colons is a word.
fn is_field_name(name: &str) -> bool {
    name == "feed" || (name.contains('.') && name.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn bare(term: &str) -> Result<Option<Kind>, QueryError> {
    if let Some((name, value)) = term.split_once('=') {
        return open_field(name, value).map(Some);
    }
    // `field:value` for those used to it.
    if let Some((name, value)) = term.split_once(':')
        && is_field_name(name)
        && !value.is_empty()
    {
        return open_field(name, value).map(Some);
    }
    let (body, open) = without_stars(term);
    if body.is_empty() {
        return Ok(None);
    }
    let body = folded(body);
    if !body.chars().any(is_letter) {
        // Marks alone, a star of a comment among them.
        return Ok(substring(term));
    }
    let of_words = body.chars().all(|c| (is_letter(c) && !is_unspaced(c)) || is_mark(c));
    let (begins, ends) = (body.starts_with(is_letter), body.ends_with(is_letter));
    Ok(Some(match open {
        (false, false) if of_words && begins && ends => Kind::Word(body),
        (false, true) if of_words && begins => Kind::WordBegins(body),
        (true, false) if of_words && ends => Kind::WordEnds(body),
        _ => Kind::Substring(body),
    }))
}

/// A term without the stars at its ends, and at which ends there were some.
fn without_stars(term: &str) -> (&str, (bool, bool)) {
    (term.trim_matches('*'), (term.starts_with('*'), term.ends_with('*')))
}

/// `None` when there is nothing in it that could be seen.
fn substring(text: &str) -> Option<Kind> {
    Some(folded(text)).filter(|text| !text.is_empty()).map(Kind::Substring)
}

fn open_field(name: &str, value: &str) -> Result<Kind, QueryError> {
    let (part, open) = without_stars(value);
    if open == (false, false) || value.is_empty() {
        return field(name, value);
    }
    Ok(Kind::FieldPart { name: name.to_owned(), part: part.to_lowercase(), open })
}

fn field(name: &str, value: &str) -> Result<Kind, QueryError> {
    if value.is_empty() {
        return Err(QueryError::EmptyValue(sentence(name)));
    }
    Ok(Kind::Field { name: name.to_owned(), value: value.to_lowercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Kind {
        Kind::Word(text.into())
    }

    fn substring(text: &str) -> Kind {
        Kind::Substring(text.into())
    }

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
        assert_eq!(kinds("user.name:\"Ann Lee\" x"), [(false, field("user.name", "ann lee")), (false, word("x"))]);
        assert_eq!(kinds("\"or 1=1\""), [(false, substring("or 1=1"))]);
        assert_eq!(kinds("fe80::1"), [(false, word("fe80::1"))]);
        assert_eq!(kinds("\u{212A}elvin stra\u{200B}ße"), [(false, word("kelvin")), (false, word("strasse"))]);
        assert_eq!(kinds("   "), []);
        assert_eq!(kinds("\u{200B} \"\" *"), []);
    }

    #[test]
    fn a_term_that_is_no_whole_word_is_looked_for_as_it_stands() {
        let kind = |q: &str| Query::parse(q).unwrap().terms.remove(0).kind;
        for q in ["/admin/x", "/admin", "10.0.0.", "::1", ".htaccess", "a|b", "/**/", "/*", "*/", "登录"] {
            assert_eq!(kind(q), substring(q));
        }
        assert_eq!(kind("Admin*"), Kind::WordBegins("admin".into()));
        assert_eq!(kind("10.0.0.*"), Kind::WordBegins("10.0.0.".into()));
        assert_eq!(kind("*@Shop.example"), Kind::WordEnds("@shop.example".into()));
        assert_eq!(kind("*admin*"), substring("admin"));
        assert_eq!(kind("/admin*"), substring("/admin"));
        let part = |part: &str, open| Kind::FieldPart { name: "source.ip".into(), part: part.into(), open };
        assert_eq!(kind("source.ip=10.0.*"), part("10.0.", (false, true)));
        assert_eq!(kind("source.ip:*.7"), part(".7", (true, false)));
        assert_eq!(kind("source.ip=*"), part("", (true, true)));
        assert_eq!(kind("a=\"b*\""), Kind::Field { name: "a".into(), value: "b*".into() });
    }

    #[test]
    fn a_query_that_cannot_be_meant_says_why() {
        assert_eq!(Query::parse("\"open"), Err(QueryError::OpenQuote));
        assert_eq!(Query::parse("user.name="), Err(QueryError::EmptyValue("user.name".into())));
        assert_eq!(Query::parse(&"x".repeat(1001)), Err(QueryError::TooLong));
        assert!(Query::parse(&"д".repeat(1000)).is_ok(), "characters are counted, not bytes");
    }
}
