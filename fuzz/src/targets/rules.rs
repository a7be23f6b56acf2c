//! Sigma rule files.

use wf_detect::{BUILT_IN, Detector, Limits, RuleSet, RuleSource};

use crate::Target;
use crate::assert::is_sentence;
use crate::events::{self, NOW};

pub const TARGET: Target = Target {
    name: "rules",
    check,
    words: &[
        "detection:\n",
        "  condition: ",
        "1 of them",
        "all of sel*",
        "not ",
        "|re: ",
        "|contains|all: ",
        "|base64offset|contains: ",
        "|windash: ",
        "|cidr: ",
        "|fieldref: ",
        "|expand: ",
        "|gt: ",
        "|exists: ",
        "(a+)+$",
        "(?i)",
        "\\d{1,1000}{1,1000}",
        "*",
        "?",
        "correlation:\n",
        "type: value_count",
        "type: event_count",
        "type: value_sum",
        "group-by:",
        "timespan: 1h",
        "timespan: 99999999d",
        "aliases:\n",
        "generate: true",
        "action: global",
        "&a ",
        "*a",
        "[*a]",
        "<<: *a",
        "!!python/object ",
        "%TAG ! x",
        "---\n",
        "watchfloor:\n",
        "dedup: [source.ip]",
        "message: '{source.ip}'",
        "level: critical",
        "at line 18446744073709551615",
    ],
    more,
    runs: 80,
};

fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    let source = RuleSource { path: "fuzz.yml".into(), text };
    let (rules, problems) = RuleSet::load(std::slice::from_ref(&source));
    assert!(!rules.is_empty() || !problems.is_empty(), "a file that holds nothing says so");
    for problem in &problems {
        is_sentence(&problem.reason);
        assert!(problem.line >= 1, "{problem}");
    }
    let described = rules.described();
    assert_eq!(described.len(), rules.len());
    // Twice the same file is the same rules: a directory and a file in it may both be configured.
    let (again, _) = RuleSet::load(&[source.clone(), source]);
    assert_eq!(again.described(), described);
    let mut detector = Detector::new(rules, Limits::default());
    let events = events::of(
        b"{\"event\":\"login_failed\"}\x1f1\x1fevent.action=login_failed\x1fsource.ip=203.0.113.9\x1fuser.name=ann\
          \x1ex\x1f2\x1fevent.action=\xe2\x80\xae\x1fsource.ip=[::1,#7\x1furl.original=/a?b=%27 OR 1=1--\x1fn=~1.5",
    );
    for found in detector.on_batch(NOW, &events) {
        assert!(!found.rule.is_empty() && found.first_at <= found.at, "{found:?}");
    }
    for rule in detector.health() {
        assert_eq!(rule.panics, 0, "{} panicked on an event", rule.id);
    }
}

fn more() -> Vec<Vec<u8>> {
    let built_in = BUILT_IN.iter().map(|(_, text)| text.as_bytes().to_vec());
    let rule = |selection: &str| {
        format!("title: T\nid: t\nlogsource: {{product: watchfloor}}\ndetection:\n  a: {selection}\n  condition: a\n")
    };
    let made = [
        rule(&format!("{{x: [{}]}}", "'*a*',".repeat(300))),
        rule(&format!("{}x: 1{}", "{".repeat(200), "}".repeat(200))),
        rule(&format!("{{x|re: '{}'}}", "(a|b)*".repeat(200))),
    ];
    built_in.chain(made.map(String::into_bytes)).collect()
}
