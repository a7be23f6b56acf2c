//! What lies on the disk: what is written is read back, and what was damaged there is an error and nothing worse.
//!
//! The input is events (see `events`), and it is also a line, and the body of a block.

use wf_model::Seq;
use wf_store::events::{StoredEvent, fuzzing};

use super::nothing;
use crate::Target;
use crate::assert::{is_same, is_sentence};
use crate::events;

pub const TARGET: Target = Target {
    name: "store",
    check,
    words: &[
        "},\"w\":",
        "\"w\":",
        "\"x\":{",
        "\"p\":{",
        "\"j\":\"id\"",
        "\"s\":1,",
        "\"t\":-9223372036854775808",
        "\"d\":9223372036854775807",
        "\"#id\"",
        "#7",
        "~1.5",
        "!t",
        "[a,b",
        "=[",
        "[erased] by [erased]",
        "{},\"k\":{}",
    ],
    more: nothing,
    runs: 1500,
};

fn check(input: &[u8]) {
    written(input);
    garbage(input);
}

fn written(input: &[u8]) {
    let events = events::of(input);
    for event in &events {
        let line = fuzzing::write(event);
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1, "a line is one line");
        assert_eq!(line.last(), Some(&b'\n'));
        is_same(&StoredEvent::from(event), &fuzzing::read(&line).unwrap());
    }
    let mut back = Vec::new();
    let mut next = 1;
    for block in fuzzing::seal(&events).unwrap() {
        let (first, last, n) = block.covers();
        assert_eq!((first, last), (Seq(next), Seq(next + n as u64 - 1)), "no holes between blocks");
        next += n as u64;
        let unpacked = fuzzing::unpack(block.body()).unwrap();
        assert_eq!(unpacked.len(), n);
        back.extend(unpacked);
    }
    assert_eq!(back.len(), events.len());
    for (event, read) in events.iter().zip(&back) {
        is_same(&StoredEvent::from(event), read);
    }
}

fn garbage(input: &[u8]) {
    match fuzzing::read(input) {
        Ok(event) => {
            // What can be read can be written anew, as an erasure does, and is then the same.
            let event = event.to_event();
            is_same(&StoredEvent::from(&event), &fuzzing::read(&fuzzing::write(&event)).unwrap());
        }
        Err(e) => is_sentence(&e.to_string()),
    }
    if let Err(e) = fuzzing::unpack(input) {
        is_sentence(&e.to_string());
    }
}
