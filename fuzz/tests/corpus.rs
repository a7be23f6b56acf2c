//! The committed corpus and a bounded number of mutations of it, the same ones each time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on shall stop, and say where"
)]

use wf_fuzz::{TARGETS, corpus, fuzz};

const SEED: u64 = 0x5eed;

fn hold(name: &str) {
    let target = TARGETS.iter().find(|t| t.name == name).unwrap();
    if let Err(broken) = fuzz::fuzz(target, SEED, |run| run < target.runs, |_| {}) {
        let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.crash"));
        std::fs::write(&path, &broken.input).unwrap();
        panic!("{broken}\nkept as {}: put it into fuzz/corpus/{name}", path.display());
    }
}

#[test]
fn whatever_a_feed_sends_has_exactly_one_fate() {
    hold("decode");
}

#[test]
fn whatever_a_config_says_is_taken_or_answered_with_a_sentence() {
    hold("config");
}

#[test]
fn whatever_a_rule_file_says_is_taken_or_answered_with_a_sentence() {
    hold("rules");
}

#[test]
fn whatever_is_stored_is_read_back_and_whatever_was_damaged_is_an_error() {
    hold("store");
}

#[test]
fn whatever_is_searched_for_is_found_in_blocks_as_among_the_newest() {
    hold("query");
}

#[test]
fn whatever_an_auditor_hands_back_verifies_only_if_it_was_signed() {
    hold("evidence");
}

#[test]
fn whatever_list_is_taken_in_goes_out_and_comes_back_the_same() {
    hold("privacy");
}

#[test]
fn whatever_a_provider_answers_is_bounded_and_moves_no_cursor_back() {
    hold("channels");
}

#[test]
fn whatever_is_typed_in_as_a_recovery_key_is_that_key_or_none() {
    hold("recovery");
}

#[test]
fn whatever_request_is_understood_is_written_as_it_was_meant() {
    hold("request");
}

#[test]
fn every_target_has_a_corpus_and_a_test() {
    let here = include_str!("corpus.rs");
    for target in TARGETS {
        assert!(!corpus::inputs(target).is_empty(), "{} begins with nothing", target.name);
        assert!(here.contains(&format!("hold(\"{}\")", target.name)), "{} is not tested", target.name);
    }
}
