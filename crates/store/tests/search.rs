//! What a search finds: the same in blocks as in the hot table, and all that is there.
//!
//! Each test closes its store: a process that ends while a connection's thread still encrypts may crash in libcrypto's
//! own clean-up.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use wf_model::*;
use wf_store::events::{Query, StoredEvent};
use wf_store::{Commit, DatabaseKey, Store};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

async fn open(path: &Path) -> Store {
    Store::open(path, &DatabaseKey::from_hex(KEY).unwrap()).await.unwrap()
}

fn event(seq: u64, user: &str, raw: &str) -> Event {
    let mut fields = Fields::default();
    fields.set("user.name".into(), Value::str(user));
    fields.set("n".into(), Value::Int(seq as i64 % 7));
    Event {
        seq: Seq(seq),
        feed: FeedName::new("shop"),
        id: None,
        occurred_at: Timestamp::from_millis(1_000 + seq as i64),
        received_at: Timestamp::from_millis(1_000 + seq as i64),
        skewed: false,
        conflict: false,
        fields,
        raw: Raw::from(raw),
    }
}

fn events(raws: &[&str], user: &str) -> Vec<Event> {
    (1..).zip(raws).map(|(seq, raw)| event(seq, user, raw)).collect()
}

async fn find(store: &Store, query: &Query) -> Vec<StoredEvent> {
    store.search(query, None, usize::MAX, &AtomicBool::new(false), |_| {}).await.unwrap().events
}

async fn hits(store: &Store, query: &str) -> Vec<u64> {
    find(store, &Query::parse(query).unwrap()).await.iter().map(|e| e.seq.0).collect()
}

/// Asserts that each query finds these events, newest first, while they are hot and when they are sealed.
async fn assert_found(all: Vec<Event>, expected: &[(&str, &[u64])]) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("db")).await;
    store.commit(&Commit { events: Arc::new(all), ..Commit::default() }).await.unwrap();
    let mut wrong = Vec::new();
    for place in ["hot", "sealed"] {
        for (query, seqs) in expected {
            let found = hits(&store, query).await;
            if found != *seqs {
                wrong.push(format!("{place}: {query} finds {found:?}, not {seqs:?}"));
            }
        }
        store.commit(&Commit { seal: true, ..Commit::default() }).await.unwrap();
    }
    store.close().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn json_with_blanks_around_it_is_found_by_its_words_when_it_is_sealed() {
    let raws = [
        "{\"payload\":\"\\u003cscript\\u003e\"}\n",
        " {\"payload\":\"\\u003cscript\\u003e\"}",
        "{\n  \"log\": \"first\\nbob\"\n}",
    ];
    assert_found(events(&raws, "ann"), &[("script", &[2, 1]), ("bob", &[3]), ("\"<script>\"", &[2, 1])]).await;
}

#[tokio::test]
async fn an_address_is_found_beside_its_port_and_a_word_beside_a_mark() {
    let raws = [
        "client 203.0.113.45:51234 closed",
        "mail to ann@shop.example reason:timeout",
        "GET /admin.php",
        "from 10.0.0.7 and ::1",
    ];
    let expected: &[(&str, &[u64])] = &[
        ("203.0.113.45", &[1]),
        ("203.0.113.45:51234", &[1]),
        ("shop.example", &[2]),
        ("timeout", &[2]),
        ("admin", &[3]),
        ("/admin", &[3]),
        ("adm*", &[3]),
        ("*.php", &[3]),
        ("10.0.0.", &[4]),
        ("10.0.0.*", &[4]),
        ("::1", &[4]),
        ("hop.example", &[]),
        ("user.name=an*", &[4, 3, 2, 1]),
        ("user.name=*b", &[]),
    ];
    assert_found(events(&raws, "ann"), expected).await;
}

#[tokio::test]
async fn escapes_outside_mapped_fields_are_read() {
    let raws = [
        "{\"who\":\"M\\u00fcller\",\"path\":\"\\/admin\\/x\"}",
        "SUSPICIOUS | details={\"who\":\"M\\u00fcller\"}",
        "{\"who\":\"\\u0061dmin\"}",
    ];
    let expected: &[(&str, &[u64])] =
        &[("Müller", &[2, 1]), ("\"müll\"", &[2, 1]), ("admin", &[3, 1]), ("\"/admin/x\"", &[1]), ("-müller", &[3])];
    assert_found(events(&raws, "ann"), expected).await;
}

#[tokio::test]
async fn words_beside_marks_beyond_ascii_are_found() {
    let raws = ["“admin”", "login—failed", "«root»", "a\u{a0}b", "\u{202e}gnp.exe", "x\u{200b}y", "用户登录失败"];
    let expected: &[(&str, &[u64])] = &[
        ("admin", &[1]),
        ("failed", &[2]),
        ("root", &[3]),
        ("a", &[4]),
        ("gnp.exe", &[5]),
        ("x", &[6]),
        ("xy", &[6]),
        ("登录", &[7]),
    ];
    assert_found(events(&raws, "nobody"), expected).await;
}

#[tokio::test]
async fn a_phrase_with_a_very_long_word_inside_is_found() {
    let long = "0123456789abcdef".repeat(10);
    let raw = format!("has seen {long} in xylophones");
    let phrase = format!("\"seen {long} in x\"");
    let other = format!("{long}0");
    assert_found(events(&[&raw], "ann"), &[(&phrase, &[1]), (&long, &[1]), (&other, &[])]).await;
}

#[tokio::test]
async fn letters_that_fold_alike_find_each_other_in_blocks_too() {
    let raws = ["\u{212A}elvin", "kelvin", "Straße"];
    assert_found(events(&raws, "\u{212A}im"), &[("kelvin", &[2, 1]), ("STRASSE", &[3]), ("user.name=kim", &[3, 2, 1])])
        .await;
}

/// Filters of before stand in the segments below 16, and never held a part of a word.
#[tokio::test]
async fn a_block_with_a_filter_of_before_is_opened_for_words_and_asked_for_fields() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = open(&path).await;
    let all = events(&["client 203.0.113.45:51234", "client 203.0.113.46:51235"], "ann");
    store.commit(&Commit { events: Arc::new(all), seal: true, ..Commit::default() }).await.unwrap();
    store.close().await;
    let change = async |sql: &'static str| {
        let options = sqlx::sqlite::SqliteConnectOptions::from_str("sqlite::memory:")
            .unwrap()
            .in_memory(false)
            .filename(&path)
            .pragma("key", format!("\"x'{KEY}'\""));
        let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    };
    change("UPDATE bloom SET segment = segment - 16").await;
    let store = open(&path).await;
    assert_eq!(hits(&store, "user.name=ann").await, [2, 1]);
    store.close().await;
    change("UPDATE bloom SET bits = zeroblob(8)").await;
    let store = open(&path).await;
    assert_eq!(hits(&store, "203.0.113.45").await, [1], "the filter does not know parts of words");
    assert_eq!(hits(&store, "user.name=ann").await, [] as [u64; 0], "the filter is asked for fields");
    store.close().await;
}

/// A text as one of the shapes it comes in.
fn shaped(text: &str, shape: usize) -> String {
    let json = serde_json::to_string(text).unwrap();
    let escaped = || {
        let mut out = String::new();
        for unit in json.replace('/', "\\/").encode_utf16() {
            match u8::try_from(unit) {
                Ok(b) if b.is_ascii() => out.push(char::from(b)),
                _ => out.push_str(&format!("\\u{unit:04x}")),
            }
        }
        out
    };
    match shape % 8 {
        0 => format!("| {text}"),
        1 => format!("{{\"payload\":{json}}}"),
        2 => format!("{{\"payload\":{json}}}\n"),
        3 => format!("{{\n  \"payload\": {json}\n}}"),
        // As Python and PHP write it.
        4 => format!("{{\"payload\":{}}}", escaped()),
        5 => format!("[{json},{json}]"),
        6 => format!("x | details={{\"payload\":{}}}", escaped()),
        _ => serde_json::to_string(&format!("{{\"payload\":{}}}", escaped())).unwrap(),
    }
}

fn text() -> impl Strategy<Value = String> {
    let pieces = [
        "a", "B", "c7", "7", ".", ":", "@", "-", "_", " ", " ", "\"", "/", "\\", "\\n", "\\u00fc", "\n", "ü", "ß",
        "ss", "\u{212A}", "k", "\u{200B}", "\u{301}", "“", "登", "*", "=", "🔥",
    ];
    let some = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12).prop_map(|p| p.concat());
    prop_oneof![3 => some, 1 => "\\PC{0,16}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Filters, needles and blocks change nothing, whatever the text: the result is that of reading everything.
    #[test]
    fn a_search_of_any_text_equals_a_plain_scan(
        texts in prop::collection::vec((text(), 0usize..8), 1..24),
        cuts in prop::collection::vec((0usize..24, 0usize..12, 1usize..9, 0usize..6), 8),
        other in text(),
    ) {
        let all: Vec<Event> = (1..).zip(&texts).map(|(seq, (text, shape))| {
            let user: String = text.chars().filter(|c| !c.is_control()).take(3).collect();
            event(seq, &user, &shaped(text, *shape))
        }).collect();
        // Parts of what is there, as words, phrases, beginnings, ends and fields; and something else.
        let mut queries: Vec<Query> = cuts.iter().filter_map(|(i, from, n, form)| {
            let (text, _) = &texts[i % texts.len()];
            let part: String = text.chars().skip(*from).take(*n).collect();
            Query::parse(&match form {
                0 | 1 => part,
                2 => format!("\"{}\"", part.replace('"', " ")),
                3 => format!("{part}*"),
                4 => format!("*{part}"),
                _ => format!("user.name={part}"),
            }).ok()
        }).collect();
        queries.extend(Query::parse(&other));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = open(&dir.path().join("db")).await;
            store.commit(&Commit { events: Arc::new(all.clone()), seal: true, ..Commit::default() }).await.unwrap();
            let mut answers = Vec::new();
            for query in &queries {
                answers.push(find(&store, query).await);
            }
            let everything = find(&store, &Query::default()).await;
            store.close().await;
            prop_assert_eq!(everything.len(), all.len());
            for (query, found) in queries.iter().zip(answers) {
                let sealed: Vec<StoredEvent> = everything.iter().filter(|e| query.matches(e)).cloned().collect();
                prop_assert_eq!(&found, &sealed, "{:?}", query);
                let came = all.iter().rev().filter(|e| query.matches(&StoredEvent::from(*e)));
                let came: Vec<u64> = came.map(|e| e.seq.0).collect();
                let found: Vec<u64> = found.iter().map(|e| e.seq.0).collect();
                prop_assert_eq!(found, came, "as the window filters what comes in: {:?}", query);
            }
            Ok(())
        })?;
    }
}
