//! What an officer types into the search box: the filter of a block and the look at its bytes never deny what a look at
//! each event finds.
//!
//! Up to the first RS the input is the query, behind it events (see `events`).

use wf_model::Seq;
use wf_store::events::{Query, fuzzing};

use super::nothing;
use crate::Target;
use crate::assert::is_sentence;
use crate::events::{self, NOW, RECORD};

pub const TARGET: Target = Target {
    name: "query",
    check,
    words: &[
        "source.ip=",
        "source.ip:",
        "feed=shop",
        "user.name=\"",
        "-",
        "*",
        "\"",
        " ",
        "ann",
        "ANN*",
        "*@shop.example",
        "10.0.0.*",
        "/admin",
        "::1",
        "\u{212a}",
        "Straße",
        "straſſe",
        "Σ",
        "ς",
        "ﬁ",
        "日本",
        "\u{200b}",
        "\\u0041",
        "\\n",
        "%41",
        "a.b_c-d:e@f",
        "1.0",
        "true",
    ],
    more: nothing,
    runs: 2500,
};

fn check(input: &[u8]) {
    let (text, rest) = match input.iter().position(|b| *b == RECORD) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &b""[..]),
    };
    let mut query = match Query::parse(&String::from_utf8_lossy(text)) {
        Ok(query) => query,
        Err(e) => return is_sentence(&e.to_string()),
    };
    let events = events::of(rest);
    let blocks = fuzzing::seal(&events).unwrap();
    for since in [None, Some(NOW + std::time::Duration::from_secs(20))] {
        query.since = since;
        let looked_at = events.iter().map(|e| fuzzing::read(&fuzzing::write(e)).unwrap());
        let expected: Vec<Seq> = looked_at.filter(|e| query.matches(e)).map(|e| e.seq).collect();
        if query.is_everything() && since.is_none() {
            assert_eq!(expected.len(), events.len(), "the empty query finds everything");
        }
        let mut found = Vec::new();
        for block in &blocks {
            let (hits, damaged) = block.search(&query);
            assert!(damaged.is_empty(), "{damaged:?}");
            found.extend(hits.iter().map(|e| e.seq));
        }
        found.sort_unstable();
        assert_eq!(found, expected, "sealed and hot events answer {query:?} differently");
    }
}
