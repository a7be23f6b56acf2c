use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn all(text: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    words(text, |w| {
        out.insert(String::from_utf8(w.to_vec()).unwrap());
    });
    out
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

#[test]
fn words_are_what_an_officer_would_type() {
    assert_eq!(
        all("Failed password for admin from 203.0.113.45: user=Ann@X.com (pid-7)."),
        set(&[
            "failed",
            "password",
            "for",
            "admin",
            "from",
            "203.0.113.45",
            "user",
            "ann@x.com",
            "ann",
            "x.com",
            "x",
            "com",
            "pid-7",
            "pid"
        ])
    );
    assert_eq!(all("::ffff:10.0.0.1 --"), set(&["ffff:10.0.0.1", "ffff", "10.0.0.1"]));
}

#[test]
fn the_parts_of_a_word_are_words_but_no_numbers_of_an_address_or_a_date() {
    assert_eq!(all("203.0.113.45:51234"), set(&["203.0.113.45:51234", "203.0.113.45", "51234"]));
    assert_eq!(all("reason:timeout"), set(&["reason:timeout", "reason", "timeout"]));
    assert_eq!(all("/admin.php"), set(&["admin.php", "admin", "php"]));
    assert_eq!(all("2026-01-10"), set(&["2026-01-10"]));
    assert_eq!(
        all("web01.shop.example:443"),
        set(&["web01.shop.example:443", "web01.shop.example", "web01", "shop", "example", "443"])
    );
}

#[test]
fn marks_beyond_ascii_separate_words() {
    for (text, word) in [
        ("“admin”", "admin"),
        ("login—failed", "failed"),
        ("login—failed", "login"),
        ("«root»", "root"),
        ("a\u{a0}b", "a"),
        ("\u{202e}gnp.exe", "gnp.exe"),
        ("x\u{200b}y", "x"),
        ("x\u{200b}y", "xy"),
        ("🔥admin🔥", "admin"),
    ] {
        assert!(all(text).contains(word), "{text:?} has the word {word:?}");
    }
}

#[test]
fn letters_of_any_script_fold_and_what_cannot_be_seen_does_not_count() {
    assert_eq!(all("ÄRGER Straße STRASSE"), set(&["ärger", "strasse"]));
    assert_eq!(all("\u{212A}elvin"), set(&["kelvin"]));
    assert_eq!(all("ΟΔΟΣ οδος"), set(&["οδοσ"]));
    assert_eq!(all("ad\u{AD}min"), set(&["admin", "ad", "min"]));
    assert_eq!(all("Adm\u{301}in"), set(&["admin"]));
}

#[test]
fn escapes_of_json_are_read_whether_or_not_the_text_is_json() {
    assert_eq!(all(r#""a\"b\/c\\d""#), set(&["a", "b", "c", "d"]));
    for text in [
        "{\"m\":\"M\\u00fcller\"}",
        "details={\"m\":\"M\\u00FCLLER\"} x",
        "{\"m\":\"{\\\"n\\\":\\\"m\\\\u00fcller\\\"}\"}\n",
    ] {
        assert!(all(text).contains("müller"), "{text}");
    }
    let found = all("{\"payload\":\"\\u003cscript\\u003e\",\n\"log\":\"first\\nbob\"}\n");
    assert!(["script", "first", "bob"].iter().all(|w| found.contains(*w)), "{found:?}");
    assert!(all(r"C:\new\users").contains("new"), "a path is no escape");
    assert!(all("\\ud835\\udc1a").contains("𝐚"), "two halves are one letter");
    assert!(contains("{\"m\":\"say \\\"m\\u00fcller\\\"\"}", "\"müller\""));
    assert!(contains(r#"{"path":"C:\\Windows\\System32"}"#, r"c:\windows"));
}

#[test]
fn a_word_of_any_length_is_one_word() {
    let long = "Ab".repeat(200);
    assert_eq!(all(&format!("seen {long} in")), set(&["seen", &long.to_lowercase(), "in"]));
}

#[test]
fn words_inside_a_substring_are_those_with_a_separator_on_either_side() {
    assert_eq!(inner_words("een 203.0.113.45: admi").collect::<Vec<_>>(), ["203.0.113.45"]);
    assert_eq!(inner_words("one").count(), 0);
    assert_eq!(inner_words("one two").count(), 0);
    assert_eq!(inner_words(" one ").collect::<Vec<_>>(), ["one"]);
}

/// What the fast ways above rely on.
#[test]
fn every_character_folds_by_itself_into_letters_into_itself_or_into_nothing() {
    let (mut once, mut twice) = (String::new(), String::new());
    for c in '\0'..=char::MAX {
        once.clear();
        push_folded(c, &mut once);
        fold(&once, &mut twice);
        assert_eq!(once, twice, "{c:?} folded twice");
        fold(&c.to_string().to_lowercase(), &mut twice);
        assert_eq!(once, twice, "{c:?} folded after it was lower-cased");
        if is_letter(c) {
            let by_upper_case = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
            assert_eq!(once, by_upper_case.filter(|c| !is_combining(*c)).collect::<String>());
            assert!(!once.is_empty() && once.chars().all(is_letter), "{c:?} became {once:?}");
        } else if is_invisible(c) || is_combining(c) {
            assert_eq!(once, "");
        } else {
            assert_eq!(once, c.to_string());
        }
    }
}

/// The definition, in so many words.
fn reference(text: &str) -> BTreeSet<String> {
    let mut read = String::new();
    unescape(text, &mut read);
    let mut out = BTreeSet::new();
    for reading in [text, read.as_str()] {
        let runs = reading.split(|c: char| !(is_letter(c) || is_mark(c) || is_invisible(c) || is_combining(c)));
        for run in runs.flat_map(|run| run.split(is_invisible).chain([run])) {
            let whole = folded(run);
            let whole = whole.trim_matches(is_mark);
            out.insert(whole.to_owned());
            for piece in whole.split([':', '@']) {
                let piece = piece.trim_matches(is_mark);
                out.insert(piece.to_owned());
                let parts = piece.split(['.', '_', '-']).filter(|p| p.len() < piece.len());
                out.extend(parts.filter(|p| !p.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned));
            }
        }
    }
    out.remove("");
    out
}

/// Texts of pieces that are hard on it.
fn hard_text() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "B",
        "7",
        ".",
        ":",
        "@",
        "-",
        "_",
        " ",
        "\"",
        "/",
        "\\",
        "\\\\",
        "\\n",
        "\\t",
        "\\u00fc",
        "\\u200B",
        "\\u0041",
        "\\ud83d\\ude00",
        "\\ud83d",
        "u0041",
        "ß",
        "\u{212A}",
        "\u{200B}",
        "\u{301}",
        "“",
        "é",
        "登",
        "\0",
        "\n",
    ];
    let some = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..14).prop_map(|p| p.concat());
    prop_oneof![4 => some, 1 => "\\PC{0,20}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_words_of_any_text_are_those_of_the_definition(text in hard_text()) {
        prop_assert_eq!(all(&text), reference(&text));
    }

    #[test]
    fn a_needle_never_denies_a_line_that_holds_it(text in hard_text(), from in 0usize..12, n in 1usize..5) {
        let mut read = String::new();
        // As a string of JSON, as JSON that was taken as it is, and as a string inside a string.
        let string = serde_json::to_string(&text).unwrap();
        let mut texts = vec![(text, string.clone()), (string.clone(), string.clone())];
        texts.push((string.clone(), serde_json::to_string(&string).unwrap()));
        for (text, line) in texts {
            unescape(&text, &mut read);
            for reading in [&text, &read] {
                let part: String = folded(reading).chars().skip(from).take(n).collect();
                prop_assert!(contains(&text, &part));
                if let Some(needle) = stretch(&part) {
                    prop_assert!(Needle::new(needle).may_stand_in(line.as_bytes()), "{:?} in {}", needle, line);
                }
            }
        }
    }
}
