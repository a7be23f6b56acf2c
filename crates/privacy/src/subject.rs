//! A person whose data it is: the identifiers they are known by, found in text and replaced, and nobody else's.
//!
//! `ann@x.com` is not in `joann@x.com`, `10.0.0.1` not in `10.0.0.11`. An identifier also counts when it is written
//! otherwise: in another case, with JSON escapes, percent-encoded in an address, an IPv6 address in full, a telephone
//! number with spaces.
//!
//! A user id as short as `5`, or one of digits alone, cannot be told from any other number: one of fewer than six
//! characters, or without a letter, counts only where a name says that it is a user's (`"user_id": 5`, `user.id`,
//! `user_id=5`). A telephone number written as a bare number counts where a name says that it is one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use regex::{Regex, RegexSet};
use serde::{Deserialize, Serialize};

use crate::Refused;

/// What stands where an erased identifier stood.
pub const ERASED: &str = "[erased]";
/// What stands where a report leaves out a subject whose processing is restricted (Art. 18).
pub const RESTRICTED: &str = "[restricted]";
const MOST: usize = 100;

/// What kind of thing identifies somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, specta::Type)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    Email,
    Ip,
    Phone,
    UserId,
    Name,
}

impl IdentifierKind {
    pub const ALL: [Self; 5] = [Self::Email, Self::Ip, Self::Phone, Self::UserId, Self::Name];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Ip => "ip",
            Self::Phone => "phone",
            Self::UserId => "user_id",
            Self::Name => "name",
        }
    }
}

/// One identifier, as it was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, specta::Type)]
pub struct Identifier {
    pub kind: IdentifierKind,
    pub value: String,
}

impl Identifier {
    /// Reads `email:ann@x.com`, `ip:…`, `phone:…`, `user_id:…`, `name:…`; without a kind, tells it by its look.
    ///
    /// # Errors
    /// Nothing given, something too long, or a value that is none of its kind.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let text = text.trim();
        let (kind, value) = match text.split_once(':') {
            Some((k, v)) if IdentifierKind::ALL.iter().any(|kind| kind.as_str() == k) => {
                (IdentifierKind::ALL.into_iter().find(|kind| kind.as_str() == k), v.trim())
            }
            _ => (None, text),
        };
        let kind = kind.unwrap_or_else(|| guess(value));
        let wrong = |what: &str| Refused::because(format!("'{value}' is no {what}"));
        if value.is_empty() || value.chars().count() > 320 || value.chars().any(char::is_control) {
            return Refused::because(
                "an identifier is 1 to 320 characters on one line: email:ann@example.com, ip:203.0.113.4, phone:+49170…, user_id:4711, name:Ann Lee",
            );
        }
        if value == ERASED || value == RESTRICTED {
            return Refused::because("this stands for somebody who was erased, and identifies nobody");
        }
        match kind {
            IdentifierKind::Email
                if !value.contains('@')
                    || value.starts_with('@')
                    || value.ends_with('@')
                    || value.contains(char::is_whitespace) =>
            {
                return wrong("mail address");
            }
            IdentifierKind::Ip if value.parse::<IpAddr>().is_err() => return wrong("IP address"),
            IdentifierKind::Phone if digits(value).len() < 7 => return wrong("telephone number (7 digits or more)"),
            // Two letters would be half of every text.
            IdentifierKind::Name if value.chars().filter(|c| c.is_alphanumeric()).count() < 3 => {
                return wrong("name of three letters or more");
            }
            IdentifierKind::Email
            | IdentifierKind::Ip
            | IdentifierKind::Phone
            | IdentifierKind::UserId
            | IdentifierKind::Name => {}
        }
        Ok(Self { kind, value: value.to_owned() })
    }

    /// Several, each once.
    pub fn parse_all(texts: &[String]) -> Result<Vec<Self>, Refused> {
        let all: BTreeSet<Self> = texts.iter().map(|t| Self::parse(t)).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Refused::because("a subject is known by at least one identifier");
        }
        if all.len() > MOST {
            return Refused::because(format!("{} identifiers; at most {MOST}", all.len()));
        }
        Ok(all.into_iter().collect())
    }

    /// The same for everything that means the same: what duplicates are recognised by.
    pub fn normal(&self) -> String {
        let value = match self.kind {
            IdentifierKind::Email | IdentifierKind::UserId => self.value.to_lowercase(),
            IdentifierKind::Ip => {
                self.value.parse::<IpAddr>().map_or_else(|_| self.value.clone(), |ip| ip.to_canonical().to_string())
            }
            IdentifierKind::Phone => digits(&self.value),
            IdentifierKind::Name => self.value.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" "),
        };
        format!("{}:{value}", self.kind.as_str())
    }
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.value)
    }
}

fn digits(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.strip_prefix("00").map_or(digits.clone(), str::to_owned)
}

fn guess(value: &str) -> IdentifierKind {
    if value.parse::<IpAddr>().is_ok() {
        IdentifierKind::Ip
    } else if value.contains('@') {
        IdentifierKind::Email
    } else if value.starts_with('+') && digits(value).len() >= 7 {
        IdentifierKind::Phone
    } else if value.contains(' ') {
        IdentifierKind::Name
    } else {
        IdentifierKind::UserId
    }
}

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

/// `"user": {"id": 5}` says as much as `"user.id": 5`.
fn names(parents: &[String], key: &str) -> bool {
    names_a_user(key) || parents.last().is_some_and(|p| !p.is_empty() && names_a_user(&format!("{p}.{key}")))
}

/// The text as a pattern: percent-encoding and runs of spaces are the same to it.
fn spelled(value: &str) -> String {
    let mut out = String::new();
    let mut space = false;
    for c in value.trim().chars() {
        if c.is_whitespace() {
            if !space {
                out.push_str(r"(?:\s|%20|\+)+");
            }
            space = true;
            continue;
        }
        space = false;
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else {
            let mut buffer = [0; 4];
            let encoded: String = c.encode_utf8(&mut buffer).bytes().map(|b| format!("%{b:02x}")).collect();
            out.push_str(&format!("(?:{}|{encoded})", regex::escape(&c.to_string())));
        }
    }
    out
}

/// The ways an address is written, as patterns: with and without leading zeros, any run of zeros left out, the end as
/// an IPv4 address, and an IPv4 address inside an IPv6 one.
fn addresses(value: &str) -> Vec<String> {
    let Ok(ip) = value.parse::<IpAddr>() else { return vec![regex::escape(value)] };
    let (groups, v4) = match ip.to_canonical() {
        IpAddr::V4(a) => (a.to_ipv6_mapped().segments(), Some(a)),
        IpAddr::V6(a) => (a.segments(), None),
    };
    const COLON: &str = "(?::|%3a)";
    let group = |n: u16| if n == 0 { "0{1,4}".to_owned() } else { format!("0{{0,3}}{n:x}") };
    let join = |part: &[u16]| part.iter().map(|n| group(*n)).collect::<Vec<_>>().join(COLON);
    let last = format!("{}\\.{}\\.{}\\.{}", groups[6] >> 8, groups[6] & 255, groups[7] >> 8, groups[7] & 255);
    let mut all: Vec<String> = v4.iter().map(|a| regex::escape(&a.to_string())).collect();
    all.push(join(&groups));
    all.push(format!("{}{COLON}{last}", join(&groups[..6])));
    for from in 0..8 {
        for to in from + 1..=8 {
            if groups[from..to].iter().all(|n| *n == 0) {
                all.push(format!("{}{COLON}{COLON}{}", join(&groups[..from]), join(&groups[to..])));
                if to <= 6 {
                    let between = join(&groups[to..6]);
                    all.push(format!(
                        "{}{COLON}{COLON}{between}{}{last}",
                        join(&groups[..from]),
                        if between.is_empty() { "" } else { COLON }
                    ));
                }
            }
        }
    }
    // The longest first: a shorter one may begin it.
    all.sort_by_key(|a| std::cmp::Reverse(a.len()));
    all
}

/// Long and mixed enough to mean nobody else.
fn distinctive(id: &str) -> bool {
    id.chars().count() >= 6 && id.chars().any(char::is_alphabetic)
}

/// `phone`, `mobile_number`: the number is a telephone's.
fn names_a_phone(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["phone", "mobile", "msisdn", "tel", "fax", "cell"].iter().any(|k| key.contains(k))
}

/// `user_id`, `user.name`, `uid`, `login`: the value names a user.
fn names_a_user(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    matches!(
        plain.as_str(),
        "user"
            | "userid"
            | "username"
            | "uid"
            | "login"
            | "account"
            | "accountid"
            | "accountname"
            | "customer"
            | "customerid"
            | "member"
            | "memberid"
            | "employee"
            | "employeeid"
            | "subject"
            | "subjectid"
            | "sub"
            | "actor"
            | "actorid"
            | "owner"
            | "ownerid"
            | "usertargetid"
            | "usertargetname"
            | "usereffectiveid"
            | "relateduser"
    )
}

/// Whether what stands before and after belongs to something else.
fn stands_alone(kind: IdentifierKind, text: &str, start: usize, end: usize) -> bool {
    let before = decoded_before(text, start);
    let mut rest = text[end..].chars();
    let (after, then) = (rest.next(), rest.next());
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let goes_on = |c: char| after == Some(c) && word(then);
    match kind {
        IdentifierKind::Email => {
            !word(before)
                && !before.is_some_and(|c| "._+-!#$&'*/=?^`{|}~".contains(c) && !"='/{|`".contains(c))
                && !word(after)
                && !goes_on('.')
                && !goes_on('-')
                && after != Some('@')
                && after != Some('_')
        }
        IdentifierKind::Ip if text[start..end].contains('.') && !text[start..end].contains(':') => {
            !word(before) && !preceded(text, start, '.') && !word(after) && !goes_on('.')
        }
        IdentifierKind::Ip => {
            !before.is_some_and(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
                && !after.is_some_and(|c| c.is_alphanumeric() || c == ':')
                && !goes_on('.')
        }
        IdentifierKind::Phone => {
            !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '+')
                && !word(after)
                && !preceded(text, start, '.')
                && !goes_on('.')
        }
        IdentifierKind::Name => !word(before) && !word(after),
        IdentifierKind::UserId => {
            let joins = |c: Option<char>| c.is_some_and(|c| c == '_' || c == '-' || c == '@');
            !word(before)
                && !joins(before)
                && !preceded(text, start, '.')
                && !word(after)
                && !joins(after)
                && !goes_on('.')
        }
    }
}

/// Whether `mark` stands before, with a letter or digit before that.
fn preceded(text: &str, start: usize, mark: char) -> bool {
    let mut back = text[..start].chars().rev();
    back.next() == Some(mark) && back.next().is_some_and(char::is_alphanumeric)
}

/// The character before; of a percent-encoded one, what it stands for.
fn decoded_before(text: &str, start: usize) -> Option<char> {
    let head = &text[..start];
    if let Some(code) = head.len().checked_sub(3).and_then(|at| head.get(at..)).and_then(|t| t.strip_prefix('%'))
        && let Ok(byte) = u8::from_str_radix(code, 16)
    {
        return Some(char::from(byte));
    }
    head.chars().next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder(ids: &[&str]) -> Finder {
        Finder::new(&Identifier::parse_all(&ids.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap())
    }

    #[test]
    fn look_alikes_are_somebody_else() {
        for (id, others) in [
            (
                "ann@x.com",
                vec![
                    "joann@x.com",
                    "ann@x.com.au",
                    "ann@x.community",
                    "j.ann@x.com",
                    "ann+shop@x.com",
                    "o-ann@x.com",
                    "a%2Bann@x.com",
                    "ann@x.com@y.org",
                    "ann@xxcom",
                ],
            ),
            (
                "10.0.0.1",
                vec!["10.0.0.11", "110.0.0.1", "10.0.0.1.5", "1.10.0.0.1", "10.0.0.12", "10a0.0.1", "10.0.0.100"],
            ),
            ("2001:db8::1", vec!["2001:db8::11", "2001:db8::1:2", "12001:db8::1", "2001:db8::"]),
            ("name:Ann Lee", vec!["Joann Lee", "Ann Leeds", "Ann Sue Lee", "AnnLee"]),
            ("user_id:100000", vec![r#"{"bytes":100000}"#, "100000 rows", r#"{"order_id":100000}"#]),
            ("+491701234567", vec![r#"{"bytes":491701234567}"#]),
            (
                "user_id:4711",
                vec![r#"{"count":4711}"#, "4711 failures", r#"{"user_id":47110}"#, "user_id=14711", "port 4711"],
            ),
            ("user_id:alice99", vec!["alice991", "malice99", "alice99-test", "alice99@y.com", "alice99.smith"]),
            ("+491701234567", vec!["+4917012345678", "14917012345671", "4917012345670"]),
        ] {
            let f = finder(&[id]);
            for other in others {
                assert_eq!(f.replace(other, "X"), None, "{id} is not in {other}");
            }
        }
    }

    #[test]
    fn an_identifier_is_found_however_it_is_written() {
        for (id, text, becomes) in [
            ("ann@x.com", "mail to ANN@X.COM.", "mail to X."),
            ("ann@x.com", "mailto:ann@x.com, <ann@x.com>", "mailto:X, <X>"),
            ("ann@x.com", "/reset?to=ann%40x.com&x=1", "/reset?to=X&x=1"),
            (
                "ann@x.com",
                r#"{"a":"ann\u0040x.com","n":1,"b":[ "see ann@x.com" ]}"#,
                r#"{"a":"X","n":1,"b":[ "see X" ]}"#,
            ),
            ("ann@x.com", r#"{"msg":"{\"email\":\"ann@x.com\"}"}"#, r#"{"msg":"{\"email\":\"X\"}"}"#),
            ("user_id:CORP\\alice", r#"{"who":"CORP\\alice","x":1}"#, r#"{"who":"X","x":1}"#),
            ("name:Ann Lee", r#"{"n":"Ann\tLee"}"#, r#"{"n":"X"}"#),
            ("+491701234567", r#"{"phone":"+49 170\/1234567"}"#, r#"{"phone":"X"}"#),
            ("2001:db8::1", "2001:0db8::1 2001:db8:0::1 2001:0DB8::0001 and 2001:db8::2", "X X X and 2001:db8::2"),
            ("10.0.0.1", "::ffff:a00:1 0:0:0:0:0:ffff:0a00:0001 ::ffff:a00:11", "X X ::ffff:a00:11"),
            ("user_id:100000", r#"{"user_id":100000,"bytes":100000}"#, r#"{"user_id":"X","bytes":100000}"#),
            ("ann@x.com", r#"{"ann@x.com":5}"#, r#"{"X":5}"#),
            ("10.0.0.1", "from 10.0.0.1:443 to 10.0.0.11", "from X:443 to 10.0.0.11"),
            ("10.0.0.1", "::ffff:10.0.0.1", "X"),
            (
                "2001:db8::1",
                "[2001:0db8:0000:0000:0000:0000:0000:0001]:443 2001:DB8::1 2001:db8:0:0:0:0:0:1",
                "[X]:443 X X",
            ),
            ("name:Ann Lee", "Ann  Lee, ann lee and Ann%20Lee's", "X, X and X's"),
            ("name:Jos\u{e9} Diaz", r#"{"n":"Jos\u00e9 Diaz"}"#, r#"{"n":"X"}"#),
            (
                "user_id:5",
                r#"{"user_id":5,"count":5,"userId":"5","user":{"id":5}}"#,
                r#"{"user_id":"X","count":5,"userId":"X","user":{"id":"X"}}"#,
            ),
            ("user_id:5", "pin_failed | ip=10.0.0.5 | user_id=5 | n=5", "pin_failed | ip=10.0.0.5 | user_id=X | n=5"),
            ("user_id:alice99", "login of alice99 failed", "login of X failed"),
            ("+49 170 1234567", "call +49 (170) 123-4567 or 0049170 1234567", "call X or X"),
            ("+49 170 1234567", r#"{"phone":491701234567}"#, r#"{"phone":"X"}"#),
        ] {
            assert_eq!(finder(&[id]).replace(text, "X").as_deref(), Some(becomes), "{id} in {text}");
        }
    }

    #[test]
    fn json_behind_blanks_is_json() {
        let f = finder(&["ann@x.com"]);
        for before in [" ", "\n\t", "\r\n  ", "\u{feff}"] {
            for (json, becomes) in [
                (r#"{"email":"ann\u0040x.com"}"#, r#"{"email":"X"}"#),
                (r#"["ann\u0040x.com"]"#, r#"["X"]"#),
                (r#""ann\u0040x.com""#, r#""X""#),
            ] {
                let replaced = f.replace(&format!("{before}{json}"), "X");
                assert_eq!(replaced, Some(format!("{before}{becomes}")), "{before:?}");
            }
        }
    }

    #[test]
    fn in_documents_of_our_own_numbers_stay_and_a_name_beside_a_value_counts() {
        let f = finder(&["user_id:5", "+491701234567", "ann@x.com"]);
        for (text, becomes) in [
            (
                r#"{"count":5,"entity":{"field":"user.id","value":"5"},"n":491701234567}"#,
                Some(r#"{"count":5,"entity":{"field":"user.id","value":"X"},"n":491701234567}"#),
            ),
            (
                r#"{"entity":"5","entity_field":"user.id","number":5}"#,
                Some(r#"{"entity":"X","entity_field":"user.id","number":5}"#),
            ),
            (r#"{"kind":"user_id","value":"5"}"#, Some(r#"{"kind":"user_id","value":"X"}"#)),
            (r#"{"field":"source.port","value":"5"}"#, None),
            (r#"[{"text":"by ann@x.com"}]"#, Some(r#"[{"text":"by X"}]"#)),
        ] {
            assert_eq!(f.replace_typed(text, "X").as_deref(), becomes, "{text}");
        }
    }

    #[test]
    fn what_was_erased_identifies_nobody() {
        let f = Finder::new(&[
            Identifier { kind: IdentifierKind::Email, value: ERASED.into() },
            Identifier { kind: IdentifierKind::UserId, value: RESTRICTED.into() },
        ]);
        assert!(!f.holds("by [erased] and [restricted]"));
        assert!(Identifier::parse(ERASED).is_err());
    }

    #[test]
    fn replacing_leaves_nothing_to_replace() {
        let f = finder(&["ann@x.com", "10.0.0.1", "name:Ann Lee", "user_id:5", "+491701234567"]);
        for text in [
            "ann@x.com ann@x.com",
            r#"{"user_id":5,"ip":"10.0.0.1","who":"Ann Lee <ann@x.com>"}"#,
            "user_id=5, Ann Lee, +49 170 1234567",
        ] {
            let replaced = f.replace(text, ERASED).unwrap();
            assert_eq!(f.replace(&replaced, ERASED), None, "{replaced}");
        }
    }

    #[test]
    fn what_identifies_nobody_is_refused_with_the_reason() {
        for bad in [
            "",
            "   ",
            "email:ann",
            "email:@x",
            "ip:10.0.0",
            "phone:123",
            "name:A",
            "email:a b@x.com",
            &"x".repeat(400),
            "name:Ann\nLee",
        ] {
            assert!(Identifier::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Identifier::parse_all(&[]).is_err());
        for (text, kind) in [
            ("ann@x.com", IdentifierKind::Email),
            ("10.0.0.1", IdentifierKind::Ip),
            ("fe80::1", IdentifierKind::Ip),
            ("+491701234567", IdentifierKind::Phone),
            ("Ann Lee", IdentifierKind::Name),
            ("4711", IdentifierKind::UserId),
        ] {
            assert_eq!(Identifier::parse(text).unwrap().kind, kind, "{text}");
        }
        assert_eq!(Identifier::parse("ip:::ffff:10.0.0.1").unwrap().normal(), "ip:10.0.0.1");
    }

    proptest::proptest! {
        #[test]
        fn the_quick_look_never_misses_what_the_close_look_finds(before in ".{0,20}", after in ".{0,20}", pick in 0usize..4) {
            let id = ["ann@x.com", "10.0.0.1", "name:Ann Lee", "user_id:alice99"][pick];
            let value = id.split_once(':').map_or(id, |(_, v)| v);
            let f = finder(&[id]);
            for text in [format!("{before} {value} {after}"), serde_json::json!({ "a": format!("{before} {value} {after}") }).to_string()] {
                proptest::prop_assert!(f.may_hold(&text));
                let replaced = f.replace(&text, ERASED);
                proptest::prop_assert!(replaced.is_some(), "{}", text);
                proptest::prop_assert!(!f.holds(&replaced.unwrap_or_default()));
            }
        }
    }
}
