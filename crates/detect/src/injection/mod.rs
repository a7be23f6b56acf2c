//! Injection in requests: SQL, script, commands and paths, told from ordinary text by their grammar.
//!
//! A text is decoded as the application behind it would (percent signs, entities, escapes, comments within SQL), then
//! looked at by expressions of two kinds. Those of the first hold what only an attack has: a quote that ends a value and
//! a condition after it, a tag with a handler, a command after a separator with an argument of its own. Those of the
//! second hold what an attack begins with and a question about SQL has as well; they say "possible".

mod decode;
mod patterns;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use compact_str::CompactString;
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use wf_model::Event;

/// What a text tries to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Sql,
    Script,
    Command,
    Path,
}

/// Of each family: whether a text holds an attack, or what may be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    certain: u8,
    possible: u8,
}

impl Found {
    pub fn certain(self, family: Family) -> bool {
        self.certain & (1 << family as u8) != 0
    }

    pub fn possible(self, family: Family) -> bool {
        self.possible & (1 << family as u8) != 0
    }

    pub fn is_nothing(self) -> bool {
        self.certain | self.possible == 0
    }

    /// Its names, for rules: what is certain, or else what is possible.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let sure = self.certain != 0;
        FAMILIES.into_iter().filter_map(move |(family, certain, possible)| match sure {
            true => self.certain(family).then_some(certain),
            false => self.possible(family).then_some(possible),
        })
    }

    pub fn join(&mut self, other: Self) {
        self.certain |= other.certain;
        self.possible |= other.possible;
    }
}

/// What rules call them: in [`FIELD`].
const FAMILIES: [(Family, &str, &str); 4] = [
    (Family::Sql, "sql_injection", "possible_sql_injection"),
    (Family::Script, "xss", "possible_xss"),
    (Family::Command, "command_injection", "possible_command_injection"),
    (Family::Path, "path_traversal", "possible_path_traversal"),
];

/// The field that rules ask. No event has it: it is read off an event's texts when it is looked at.
pub const FIELD: &str = "watchfloor.injection";

/// The fields that hold what a stranger wrote into a request.
const TEXTS: [&str; 9] = [
    "url.original",
    "url.query",
    "url.path",
    "url.full",
    "http.request.body.content",
    "http.request.referrer",
    "watchfloor.activity",
    "user.name",
    "user.email",
];
const AGENT: &str = "user_agent.original";

/// Agents repeat: what was found in so many of them is remembered.
const REMEMBERED: usize = 4096;

/// Looks at events, one after the other.
#[derive(Default)]
pub struct Looker {
    agents: HashMap<CompactString, Found>,
}

impl Looker {
    pub fn look_at(&mut self, event: &Event) -> Found {
        let mut found = Found::default();
        for text in TEXTS.iter().filter_map(|name| event.fields.get_str(name)) {
            found.join(look(text));
        }
        if let Some(agent) = event.fields.get_str(AGENT) {
            let of_agent = match self.agents.get(agent) {
                Some(known) => *known,
                None => {
                    if self.agents.len() >= REMEMBERED {
                        self.agents.clear();
                    }
                    let new = look(agent);
                    if agent.len() <= 512 {
                        self.agents.insert(agent.into(), new);
                    }
                    new
                }
            };
            found.join(of_agent);
        }
        found
    }
}

/// So many values of a query are looked at one by one; those after them within the whole.
const PAIRS: usize = 128;
/// A longer text is looked at by its beginning and its end.
const LOOKED_AT: usize = 8 << 10;

struct Set {
    set: RegexSet,
    says: Vec<Found>,
}

static SET: LazyLock<Set> = LazyLock::new(|| {
    let mut patterns = Vec::new();
    let mut says = Vec::new();
    let mut add = |family: Family, certain: bool, some: Vec<String>| {
        for p in some {
            let bit = 1 << family as u8;
            says.push(if certain { Found { certain: bit, possible: 0 } } else { Found { certain: 0, possible: bit } });
            patterns.push(format!("(?-u){p}"));
        }
    };
    let own = |some: &[&str]| some.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    add(Family::Sql, true, own(patterns::SQL));
    add(Family::Sql, false, own(patterns::SQL_POSSIBLE));
    add(Family::Script, true, own(patterns::SCRIPT));
    add(Family::Script, false, own(patterns::SCRIPT_POSSIBLE));
    add(Family::Command, true, patterns::command());
    add(Family::Command, false, patterns::command_possible());
    add(Family::Path, true, own(patterns::PATH));
    add(Family::Path, false, own(patterns::PATH_POSSIBLE));
    let set = RegexSetBuilder::new(&patterns).size_limit(64 << 20).dfa_size_limit(16 << 20).unicode(false).build();
    match set {
        Ok(set) => Set { set, says },
        // A test builds it; what cannot be built finds nothing, and takes nothing else along.
        Err(e) => {
            tracing::error!(error = %e, "requests are not looked at for injections");
            Set { set: RegexSet::empty(), says: Vec::new() }
        }
    }
});

/// What a text tries to inject. `text`: a value of a request, as it came.
pub fn look(text: &str) -> Found {
    if !is_worth_a_look(text.as_bytes()) {
        return Found::default();
    }
    let mut found = Found::default();
    let text = ends(text);
    for value in values(&text) {
        let plain = decode::normal(value);
        for i in SET.set.matches(plain.as_bytes()) {
            found.join(SET.says[i]);
        }
    }
    found
}

/// The parts of a request that are values: what stands between `&` and after the first `=`; and the path.
fn values(text: &str) -> impl Iterator<Item = &str> {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) if path.len() < 512 && !path.contains(['<', '\'', '"', ' ']) => (Some(path), query),
        _ => (None, text),
    };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value))
            if name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.[]".contains(&b)) =>
        {
            value
        }
        _ => pair,
    });
    let pairs = pairs.filter(|value| !value.is_empty()).take(PAIRS);
    // And as a whole: what was cut at `&` may be one value.
    path.into_iter().chain(pairs).chain(std::iter::once(query))
}

/// Names that no ordinary value is.
static TELLING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names = "schema|pg_catalog|msysaccess|northwind|nvarchar|sp_|xp_|utl_|openrowset|/etc|bin/|/sys|/proc|/var|/tmp|[.]sql|[.]ini|[.]bak";
    RegexBuilder::new(names).case_insensitive(true).unicode(false).build().ok()
});

fn is_worth_a_look(text: &[u8]) -> bool {
    let mut before = 0u8;
    let mut words = 0;
    for &b in text {
        match b {
            b'\'' | b'"' | b'`' | b'<' | b'>' | b';' | b'|' | b'(' | b')' | b'{' | b'}' | b'\\' | b'$' | b'%'
            | b'#' | b'!' | b'*' | b'~' | b'\n' => return true,
            b'.' if before == b'.' || before == b'/' => return true,
            b'-' if before == b'-' => return true,
            b'=' | b'+' | b' ' | b'@' => words += 1,
            0x80.. => return true,
            _ => {}
        }
        before = b;
    }
    words > 1 || TELLING.as_ref().is_some_and(|telling| telling.is_match(text))
}

fn ends(text: &str) -> Cow<'_, str> {
    if text.len() <= LOOKED_AT {
        return text.into();
    }
    let head = &text[..text.floor_char_boundary(LOOKED_AT / 2)];
    let tail = &text[text.ceil_char_boundary(text.len() - LOOKED_AT / 2)..];
    format!("{head} {tail}").into()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
