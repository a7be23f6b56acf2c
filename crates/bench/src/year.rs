//! A quiet year: very many small blocks, because an event that comes alone is sealed with few others. What is asked of
//! them must not take longer because there are many, except for what has to look at every filter; the ratio to a
//! database of a thousand blocks says so.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use wf_model::{Event, FeedName, Fields, Raw, Seq, Timestamp, Value};
use wf_store::events::Query;
use wf_store::{Commit, DatabaseKey, Store};

const FEW: u64 = 1000;
const EVENTS: u64 = 3;
const YEAR: u64 = 365 * 86_400_000;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const FEED: &str = "quiet";
/// In an event of the oldest block, which a search meets last.
const WORD: &str = "rarest-word-of-all";
const TIMES: usize = 11;
const OPENINGS: usize = 5;

#[derive(Clone, Copy)]
enum Question {
    Count,
    Newest,
    LastHour,
    Once,
    Nowhere,
    RecentIds,
}

const QUESTIONS: [(&str, Question); 6] = [
    ("count the events", Question::Count),
    ("the newest page, 100 events", Question::Newest),
    ("everything of the last hour", Question::LastHour),
    ("a word that is in one event", Question::Once),
    ("a word that is nowhere", Question::Nowhere),
    ("the ids of the last day", Question::RecentIds),
];

/// A database, and its blocks' times.
struct Built {
    dir: tempfile::TempDir,
    blocks: u64,
}

impl Built {
    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("watchfloor.db")
    }
}

pub async fn run(blocks: u64) {
    // The smaller one is the end of such a year: its last hour and its last day hold as much.
    let (apart, now) = ((YEAR / blocks.max(1)) as i64, Timestamp::now());
    println!(
        "\nyear: {blocks} blocks of {EVENTS} events over 365 days, each sealed by a commit of its own; beside it {FEW} \
         blocks as far apart"
    );
    let few = build(FEW, apart, now).await;
    let many = build(blocks, apart, now).await;
    println!(
        "  in one process, encrypted, pages in the system's cache: the median of {TIMES} after one that does not \
         count, of opening of {OPENINGS}"
    );
    let (few, many) = (figures(&few, now).await, figures(&many, now).await);
    let (what, small, large, ratio) = ("", format!("{FEW} blocks"), format!("{blocks} blocks"), "ratio");
    println!("  {what:<30}{small:>16}{large:>16}{ratio:>10}");
    for ((what, small), (_, large)) in few.iter().zip(&many) {
        println!("  {what:<30}{small:>13.3} ms{large:>13.3} ms{:>10.1}", large / small);
    }
}

fn key() -> DatabaseKey {
    DatabaseKey::from_hex(&"07".repeat(32)).unwrap()
}

fn event(seq: u64, at: Timestamp) -> Event {
    let h = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let (ip, user) = (format!("10.{}.{}.{}", h % 7, (h >> 8) % 250, (h >> 16) % 250), format!("user{}", h % 900));
    let word = if seq == 1 { WORD } else { "GET" };
    let raw = format!(
        r#"{{"id":"{seq:016x}","event":"login_success","ip":"{ip}","username":"{user}","key":"{h:016x}","a":"{word}"}}"#
    );
    let mut fields = Fields::with_capacity(3);
    fields.set("event.action".into(), Value::str("login_success"));
    fields.set("source.ip".into(), Value::str(&ip));
    fields.set("user.name".into(), Value::str(&user));
    Event {
        seq: Seq(seq),
        feed: FeedName::new(FEED),
        id: Some(format!("{seq:016x}").into()),
        occurred_at: at,
        received_at: at,
        skewed: false,
        conflict: false,
        fields,
        raw: Raw::from(raw.as_str()),
    }
}

/// So many blocks, the last of them now.
async fn build(blocks: u64, apart: i64, now: Timestamp) -> Built {
    let built = Built { dir: tempfile::tempdir_in("target").unwrap(), blocks };
    let store = Store::open(&built.path(), &key()).await.unwrap();
    let began = Instant::now();
    for block in 0..blocks {
        let at = Timestamp::from_millis(now.millis() - (blocks - 1 - block) as i64 * apart);
        let events = (0..EVENTS).map(|n| event(block * EVENTS + n + 1, at)).collect();
        store.commit(&Commit { events: Arc::new(events), seal: true, ..Commit::default() }).await.unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    let (turning, mut groups) = (Instant::now(), 0u32);
    while store.group_filters().await.unwrap() {
        groups += 1;
    }
    if groups > 0 {
        println!(
            "  filters turned: {groups} groups, {:.0} ms each",
            turning.elapsed().as_secs_f64() * 1e3 / f64::from(groups)
        );
    }
    store.close().await;
    assert_eq!(count_blocks(&built.path()).await, blocks);
    println!(
        "  built: {blocks} blocks in {took:.1} s, {:.2} ms a commit, {:.1} MB on the disk, {:.0} bytes a block",
        took * 1e3 / blocks as f64,
        store.size_on_disk() as f64 / 1e6,
        store.size_on_disk() as f64 / blocks as f64
    );
    built
}

async fn count_blocks(path: &Path) -> u64 {
    let store = Store::open(path, &key()).await.unwrap();
    let (mut n, mut after) = (0, Seq(0));
    loop {
        let page = store.blocks(after, Timestamp::from_millis(i64::MAX), false).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.first;
        n += page.len() as u64;
    }
    store.close().await;
    n
}

/// Milliseconds.
async fn figures(built: &Built, now: Timestamp) -> Vec<(&'static str, f64)> {
    let mut openings = Vec::with_capacity(OPENINGS);
    for _ in 0..OPENINGS {
        let began = Instant::now();
        let store = Store::open(&built.path(), &key()).await.unwrap();
        openings.push(began.elapsed());
        store.close().await;
    }
    let mut figures = vec![("open", median(openings))];
    let store = Store::open(&built.path(), &key()).await.unwrap();
    for (what, question) in QUESTIONS {
        let found = ask(&store, question, now).await;
        match question {
            Question::Count => assert_eq!(found as u64, built.blocks * EVENTS),
            Question::Newest => assert_eq!(found as u64, 100.min(built.blocks * EVENTS)),
            Question::Once => assert_eq!(found, 1),
            Question::Nowhere => assert_eq!(found, 0),
            // The newest block is of now; how many more there are depends on how far apart they lie.
            Question::LastHour | Question::RecentIds => assert!(found as u64 >= EVENTS),
        }
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = Instant::now();
            assert_eq!(ask(&store, question, now).await, found);
            times.push(began.elapsed());
        }
        figures.push((what, median(times)));
    }
    store.close().await;
    figures
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// How many there are.
async fn ask(store: &Store, question: Question, now: Timestamp) -> usize {
    match question {
        Question::Count => store.count_events().await.unwrap() as usize,
        Question::Newest => search(store, "", None, 100).await,
        Question::LastHour => search(store, "", Some(now - HOUR), 10_000).await,
        Question::Once => search(store, WORD, None, 100).await,
        Question::Nowhere => search(store, "never-seen-anywhere", None, 100).await,
        Question::RecentIds => store.recent_ids(&FeedName::new(FEED), now - DAY, 10_000).await.unwrap().len(),
    }
}

async fn search(store: &Store, text: &str, since: Option<Timestamp>, limit: usize) -> usize {
    let mut query = Query::parse(text).unwrap();
    query.since = since;
    let found = store.search(&query, None, limit, &AtomicBool::new(false), |_| {}).await.unwrap();
    assert!(found.damaged.is_empty(), "{:?}", found.damaged);
    found.events.len()
}
