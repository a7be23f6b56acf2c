//! `watchfloor.toml`.

use std::path::Path;

use wf_config::Config;

use crate::Target;
use crate::assert::is_sentence;

pub const TARGET: Target = Target {
    name: "config",
    check,
    words: &[
        "[feed.x]\nurl = \"wss://x\"\n",
        "[channel.x]\nkind = \"webhook\"\n",
        "[person.x]\n",
        "[schedule.x]\n",
        "[policy.x]\n",
        "[severity.P1]\n",
        "[action.x]\n",
        "[connector.x]\n",
        "[privacy]\n",
        "[demo]\nenabled = true\n",
        "secret = \"keychain:x\"",
        "secret = \"env:X\"",
        "\"366d\"",
        "\"1ms\"",
        "\"64MiB\"",
        "\"99999999999GiB\"",
        "{cursor}",
        "\"Europe/Berlin\"",
        "\"1900-01-01T00:00\"",
        "\"24:00-00:00\"",
        "\"Mon\"",
        "ws://",
        "wss://[::1]:0/",
        "decode = { events = \"/*\" }",
        "map = []",
        "\"\"\"",
        "'''",
    ],
    more,
    runs: 250,
};

fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let path = Path::new("/nowhere/watchfloor.toml");
    let config = match Config::parse(&text, path) {
        Ok(config) => config,
        Err(e) => {
            is_sentence(&e.to_string());
            return;
        }
    };
    for (name, feed) in &config.feed {
        feed.check().unwrap();
        assert!(!config.mappings_of(feed).unwrap().is_empty(), "{name} has no mapping");
        assert!(!feed.shown_url().contains(['?', '#']), "a query may hold a secret: {}", feed.shown_url());
    }
    for channel in config.channel.values() {
        channel.check().unwrap();
    }
    // What was taken once is taken again: the console reads the file anew every time it changes.
    assert!(Config::parse(&text, path).is_ok());
}

fn more() -> Vec<Vec<u8>> {
    let example = include_str!("../../../docs/watchfloor.example.toml");
    let everything = example.replace("#: ", "");
    vec![
        example.as_bytes().to_vec(),
        everything.into_bytes(),
        format!("a = {}1{}", "[".repeat(2000), "]".repeat(2000)).into_bytes(),
        format!("{} = 1", ["a"; 2000].join(".")).into_bytes(),
        format!("[feed.x]\nurl = \"wss://x\"\nmap = \"{}\"\n", "m".repeat(5000)).into_bytes(),
    ]
}
