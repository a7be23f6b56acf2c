//! What is taken from a rule file, and what is said of the rest.

use super::*;

const RULE: &str = "logsource: {product: watchfloor}\ndetection:\n  a: {x: 1}\n  condition: a\nlevel: high\n";

fn fires(selection: &str, fields: &[(&str, Value)]) -> bool {
    let (rules, problems) = load(&format!(
        "title: T\nlogsource: {{product: watchfloor}}\ndetection:\n  a: {{{selection}}}\n  condition: a\nlevel: high\n"
    ));
    assert_eq!(problems, []);
    !run(&mut Detector::new(rules, Limits::default()), &[event(1, 1, fields)]).is_empty()
}

#[test]
fn t10_a_yaml_bomb_and_garbage_are_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..30 {
        let p = i - 1;
        bomb.push_str(&format!("a{i}: &a{i} [*a{p},*a{p},*a{p},*a{p},*a{p},*a{p},*a{p},*a{p},*a{p}]\n"));
    }
    // The library takes these: a document of 100 kB that is 40 million values.
    let list = "x, ".repeat(20_000);
    let spellings = ["- [*a]\n", "- *a\n", "-\t*a\n", "- {k: *a}\n", "- [ *a]\n"];
    let bombs = spellings.map(|s| format!("title: T\nlist: &a [{list}x]\nall:\n{}", s.repeat(2000)));
    let merged = format!("base: &a-b {{x: 1}}\ntitle: T\n<<: *a-b\n{RULE}");
    for text in bombs.iter().chain([&bomb, &merged]) {
        let (rules, problems) = load(text);
        assert_eq!((rules.len(), problems.len()), (0, 1), "{problems:?}");
        // Ours, and not the library's: it says "repetition limit exceeded", or nothing at all.
        assert!(problems[0].reason.contains("no anchor, alias, tag or directive"), "{problems:?}");
    }
    let deep = "[".repeat(100_000);
    for text in [deep.as_str(), "\u{0}\u{1}", "just words", "- a\n- b", "", "title: x"] {
        let (rules, problems) = load(text);
        assert_eq!(rules.len(), 0);
        assert!(!problems.is_empty());
    }
}

#[test]
fn t10_expressions_and_dashes_are_charged_in_sum() {
    let with = |selection: &str| {
        load(&format!(
            "title: T\nlogsource: {{product: watchfloor}}\ndetection:\n  a:\n{selection}  condition: a\nlevel: high\n"
        ))
    };
    let (rules, problems) = with("    x|re: '(a{1000}){1000}'\n");
    assert_eq!((rules.len(), problems.len()), (0, 1), "{problems:?}");
    assert!(problems[0].reason.contains("4 MiB"), "{problems:?}");
    let many: String = (0..2000).map(|i| format!("    x{i}|re: 'a{i}'\n")).collect();
    let (rules, problems) = with(&many);
    assert_eq!(rules.len(), 0);
    assert!(problems[0].reason.contains("together"), "{problems:?}");
    let dashes: String = (0..3).map(|i| format!("    x{i}|windash|contains: ' -a -b -c -d -e -f -g -h'\n")).collect();
    let (rules, problems) = with(&dashes);
    assert_eq!(rules.len(), 0);
    assert!(problems[0].reason.contains("windash"), "{problems:?}");
}

#[test]
fn two_rules_with_one_id_name_or_title_are_said_and_the_first_is_in_force() {
    for head in ["title: A\nid: same\n", "title: A\n", "title: A\nname: same\n"] {
        let (rules, problems) = load(&format!("{head}{RULE}---\n{head}{}", RULE.replace("x: 1", "x: 2")));
        assert_eq!((rules.len(), problems.len()), (1, 1), "{head}: {problems:?}");
        assert_eq!(problems[0].line, head.lines().count() + RULE.lines().count() + 2, "{problems:?}");
        assert!(problems[0].reason.contains("t.yml:1"), "{problems:?}");
        let mut d = Detector::new(rules, Limits::default());
        assert_eq!(run(&mut d, &[event(1, 1, &[("x", Value::Int(1))]), event(2, 2, &[("x", Value::Int(2))])]).len(), 1);
    }
    let (_, problems) = load(&format!(
        "title: A\nid: same\nname: b\n{RULE}---\ntitle: C\nid: same\ncorrelation:\n  type: event_count\n  \
         rules: [b]\n  timespan: 1m\n  condition: {{gte: 5}}\n"
    ));
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn a_file_that_is_named_twice_is_read_once() {
    let source = RuleSource { path: "t.yml".into(), text: format!("title: A\n{RULE}") };
    let (rules, problems) = RuleSet::load(&[source.clone(), source]);
    assert_eq!((rules.len(), problems), (1, vec![]));
}

#[test]
fn base64_is_found_at_every_offset() {
    // `http and more` behind nothing, one and two characters.
    for text in ["aHR0cCBhbmQgbW9yZQ==", "eGh0dHAgYW5kIG1vcmU=", "eHlodHRwIGFuZCBtb3Jl"] {
        for value in ["http", "http ", "http a"] {
            assert!(
                fires(&format!("x|base64offset|contains: '{value}'"), &[("x", Value::str(text))]),
                "{value} {text}"
            );
        }
        assert!(fires("x|base64offset|contains|all: ['http', 'more']", &[("x", Value::str(text))]), "{text}");
        assert!(!fires("x|base64offset|contains|all: ['http', 'less']", &[("x", Value::str(text))]), "{text}");
        assert!(!fires("x|base64offset|contains: 'ftps'", &[("x", Value::str(text))]), "{text}");
    }
    let wide = Value::str("aQBlAHgA");
    assert!(fires("x|wide|base64offset|contains: 'iex'", &[("x", wide)]));
    let (_, problems) = load(&format!("title: T\n{}", RULE.replace("x: 1", "x|base64offset|contains: 'a'")));
    assert!(problems[0].reason.contains("too short"), "{problems:?}");
}

#[test]
fn a_placeholder_that_nobody_defines_is_said() {
    let (rules, problems) = load(&format!("title: T\n{}", RULE.replace("x: 1", "x|expand: '%admins%'")));
    assert_eq!((rules.len(), problems.len()), (0, 1));
    assert!(problems[0].reason.contains("%admins%"), "{problems:?}");
}

#[test]
fn what_was_counted_under_another_meaning_does_not_count_on() {
    let text = |selection: &str, alias: &str| {
        format!(
            "title: B\nname: b\nlogsource: {{product: watchfloor}}\ndetection:\n  a: {{{selection}}}\n  z: {{y: 1}}\n  \
             condition: a\n---\ntitle: C\ncorrelation:\n  type: event_count\n  rules: [b]\n  group-by: [who]\n  \
             timespan: 1h\n  condition: {{gte: 2}}\n  aliases: {{who: {{b: {alias}}}}}\nlevel: high\n"
        )
    };
    let seen = |seq| event(seq, 1000, &[("x", Value::Int(1)), ("p", Value::str("a")), ("q", Value::str("a"))]);
    for (after, fires) in [(text("x: 1", "p"), 1), (text("x: [1, 2]", "p"), 0), (text("x: 1", "q"), 0)] {
        let (rules, problems) = load(&text("x: 1", "p"));
        assert_eq!(problems, []);
        let mut d = Detector::new(rules, Limits::default());
        assert_eq!(run(&mut d, &[seen(1)]), []);
        d.replace_rules(load(&after).0);
        assert_eq!(run(&mut d, &[seen(2)]).len(), fires, "{after}");
    }
}

#[test]
fn a_rule_finds_what_no_mapping_took_out_of_the_record() {
    let rule = |selection: &str| {
        let (rules, problems) = load(&format!(
            "title: T\nlogsource: {{product: watchfloor}}\ndetection:\n  a: {{{selection}}}\n  condition: a\nlevel: high\n\
             watchfloor: {{dedup: [tenant], message: 'of {{tenant}}'}}\n"
        ));
        assert_eq!(problems, []);
        let mut e = event(1, 1, &[("event.action", Value::str("x"))]);
        e.raw = Raw::from(r#"{"tenant":"blue","device":{"os":"x"},"disk":{"usage":91}}"#);
        run(&mut Detector::new(rules, Limits::default()), &[e])
    };
    for selection in ["device.os: x", "disk.usage|gt: 90", "tenant|startswith: bl"] {
        let matches = rule(selection);
        assert_eq!(matches.len(), 1, "{selection}");
        assert_eq!(matches[0].entity.as_ref().map(|e| e.value.as_str()), Some("blue"), "{selection}");
        assert_eq!(matches[0].message.render(1), "of blue");
    }
    for selection in ["device.os: y", "disk.usage|gt: 91", "usage: 91", "watchfloor.tenant: blue"] {
        assert_eq!(rule(selection).len(), 0, "{selection}");
    }
}
