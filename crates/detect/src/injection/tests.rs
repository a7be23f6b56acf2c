use super::*;

const ATTACKS: &str = include_str!("../../corpus/attacks.txt");
const ORDINARY: &str = include_str!("../../corpus/ordinary.txt");

const ALL: [Family; 4] = [Family::Sql, Family::Script, Family::Command, Family::Path];

#[test]
fn every_expression_is_one() {
    assert!(SET.set.len() > 80 && SET.set.len() == SET.says.len());
    assert!(TELLING.is_some());
}

#[test]
fn every_attack_is_seen_for_what_it_is() {
    let mut missed = Vec::new();
    for line in ATTACKS.lines() {
        let (family, text) = line.split_once(' ').unwrap();
        let family = match family {
            "sql" => Family::Sql,
            "script" => Family::Script,
            "command" => Family::Command,
            "path" => Family::Path,
            other => panic!("{other}"),
        };
        if !look(text).certain(family) {
            missed.push(line);
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn nothing_ordinary_is_an_attack() {
    let attacks: Vec<_> = ORDINARY.lines().filter(|l| ALL.iter().any(|f| look(l).certain(*f))).collect();
    assert!(attacks.is_empty(), "{attacks:#?}");
    let possible = ORDINARY.lines().filter(|l| !look(l).is_nothing()).count();
    // They were chosen because they are hard: titles, questions and code.
    assert!(possible * 3 < ORDINARY.lines().count(), "{possible} of {}", ORDINARY.lines().count());
}

#[test]
fn what_pads_an_attack_hides_it_neither_at_its_beginning_nor_at_its_end() {
    for pad in [100, 9000, 100_000] {
        let pad = "a".repeat(pad);
        let pairs = "&x=1".repeat(pad.len() / 4);
        for text in [
            format!("/x?q={pad}' or 1=1 -- -"),
            format!("/x?q=' or 1=1 -- -&r={pad}"),
            format!("/x?y=1{pairs}&q=' or 1=1 -- -"),
        ] {
            assert!(look(&text).certain(Family::Sql), "{} bytes", text.len());
        }
    }
}

#[test]
fn t10_no_text_takes_long_or_breaks_it() {
    for text in [
        "%".repeat(8192),
        "&#x".repeat(4096),
        "\\u".repeat(4096),
        "/*".repeat(4096),
        "' or ".repeat(2000),
        "(".repeat(8192),
        "%25".repeat(4000),
        "\u{ff1c}".repeat(3000),
        "<a on".repeat(2000),
        "ü".repeat(20_000),
        "%e2%82".to_owned(),
        "&#1114112;&#xffffffffff;&#;&".to_owned(),
        String::new(),
    ] {
        let _found = look(&text);
    }
}

#[test]
fn what_is_certain_is_named_alone() {
    let names = |text: &str| look(text).names().collect::<Vec<_>>();
    assert_eq!(names("/x?q=' or 1=1 -- -"), ["sql_injection"]);
    assert_eq!(names("/search?q=drop table tennis"), ["possible_sql_injection"]);
    assert_eq!(names("/articles/1"), [""; 0]);
}
