//! What the console notices by itself, and what it does not let itself be confused by: feeds that are down, files that
//! change, restarts, backups, a clock that is wrong.

use wf_api::Request;
use wf_console::offline;
use wf_demo::{DemoServer, Faults, Options};
use wf_testkit::console::demo_feed;
use wf_testkit::{RunningConsole, ScriptServer, TestConsole, until};

async fn demo(faults: Faults) -> DemoServer {
    let server = DemoServer::start(([127, 0, 0, 1], 0).into(), Options::default()).await.unwrap();
    server.set_faults(faults);
    server
}

fn refusing() -> Faults {
    Faults { refuse: Some((503, None)), ..Faults::default() }
}

async fn problems(console: &RunningConsole) -> Vec<String> {
    console.console.desk.overview.health().await.unwrap().problems
}

async fn until_problem(console: &RunningConsole, text: &str) {
    until(&format!("a problem: {text}"), || async {
        problems(console).await.iter().any(|p| p.contains(text)).then_some(())
    })
    .await;
}

async fn until_well(console: &RunningConsole) {
    until("no problem is left", || async { problems(console).await.is_empty().then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_whose_server_is_gone_is_an_incident_that_is_resolved_when_it_is_back() {
    let server = demo(refusing()).await;
    let home = TestConsole::new(&format!("{}down_after = \"1s\"\n", demo_feed("shop", &server.url())));
    let console = home.start().await;
    let incident = console.until_incident("the feed is down", |i| i.kind == "FEED_DOWN").await;
    assert_eq!((incident.entity.as_deref(), incident.severity.as_str()), (Some("shop"), "P2"));
    assert!(incident.title.contains("503"), "it says why: {}", incident.title);
    server.set_faults(Faults::default());
    let over = console.until_incident("it is over", |i| i.kind == "FEED_DOWN" && i.state == "resolved").await;
    assert_eq!(over.number, incident.number, "one outage is one incident");
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_tried_again_and_again_is_silent_all_the_same() {
    let server = demo(refusing()).await;
    let home = TestConsole::new(&format!("{}silence = \"3s\"\n", demo_feed("shop", &server.url())));
    let console = home.start().await;
    let incident = console.until_incident("the feed is silent", |i| i.kind == "FEED_SILENT").await;
    assert_eq!(incident.entity.as_deref(), Some("shop"));
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_started_again_waits_for_what_it_received_and_stores_nothing_twice() {
    let events: Vec<String> =
        (0..20).map(|n| format!(r#"{{"id":"e{n}","event":"login","username":"u","ip":"10.0.0.1"}}"#)).collect();
    let server = ScriptServer::of(&events.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let home = TestConsole::new(&format!(
        "[feed.f]\nurl = \"{}\"\nmap = \"auth-event\"\ndedup = {{ id = \"/id\" }}\n",
        server.url()
    ));
    let console = home.start().await;
    // Once something is stored, what is known of the feed is read from the disk at each start.
    console.until_stored(20).await;
    let held = console.hold_the_ledger();
    for n in 20..40 {
        server.push(&format!(r#"{{"id":"e{n}","event":"login","username":"u","ip":"10.0.0.1"}}"#));
    }
    console.until_feed("f", "twenty are in flight", |f| f.counts.in_flight == 20).await;
    console.console.desk.feeds.restart("f").unwrap();
    held.release().await;
    // The server says the first twenty again to whoever connects; the others come again by hand.
    console
        .until_feed("f", "it is live again and heard them", |f| f.state == "live" && f.counts.duplicates == 20)
        .await;
    for n in 20..40 {
        server.push(&format!(r#"{{"id":"e{n}","event":"login","username":"u","ip":"10.0.0.1"}}"#));
    }
    let feed = console.until_feed("f", "all came again", |f| f.counts.duplicates + f.counts.stored == 80).await;
    assert_eq!((feed.counts.stored, feed.counts.duplicates), (40, 40), "{:?}", feed.counts);
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_is_gone_for_a_moment_leaves_the_old_in_force_and_says_so() {
    let server = ScriptServer::of(&[]).await;
    let home = TestConsole::new(&format!("[feed.own]\nurl = \"{}\"\nmap = \"auth-event\"\n", server.url()));
    let console = home.start().await;
    console.until_feed("own", "live", |f| f.state == "live").await;
    let aside = home.dir().join("aside.toml");
    std::fs::rename(&home.paths.config, &aside).unwrap();
    until_problem(&console, "is gone").await;
    let feed = console.feed("own").await;
    assert_eq!((feed.state.as_str(), feed.connections), ("live", 1), "nobody was unsubscribed");
    std::fs::rename(&aside, &home.paths.config).unwrap();
    until_well(&console).await;
    std::fs::remove_file(&home.paths.config).unwrap();
    until_problem(&console, "is gone").await;
    // An empty one is a console without feeds, and is taken up like any other.
    std::fs::write(&home.paths.config, "").unwrap();
    until("no feed is left", || async { console.console.context.config().feed.is_empty().then_some(()) }).await;
    until_well(&console).await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_made_while_another_is_being_taken_up_is_taken_up_too() {
    let server = ScriptServer::of(&[]).await;
    let feed = |name: &str| format!("[feed.{name}]\nurl = \"{}\"\nmap = \"auth-event\"\n", server.url());
    let home = TestConsole::new(&feed("first"));
    let console = home.start().await;
    // The first edit is held up half-way, as by a slow disk.
    let held = console.hold_the_ledger();
    std::fs::write(&home.paths.config, feed("second")).unwrap();
    until("the first edit is under way", || async {
        console.console.context.config().feed.contains_key("second").then_some(())
    })
    .await;
    std::fs::write(&home.paths.config, feed("third")).unwrap();
    held.release().await;
    until("the second edit is in force", || async {
        console.console.context.config().feed.contains_key("third").then_some(())
    })
    .await;
    console.until_feed("third", "live", |f| f.state == "live").await;
    console.stop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn t9_a_link_in_a_directory_of_rules_leads_nowhere_and_holds_nothing_up() {
    let rules = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/", rules.path().join("everything")).unwrap();
    std::os::unix::fs::symlink(rules.path(), rules.path().join("again")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(rules.path().join("pipe.yml")).status().unwrap();
    assert!(pipe.success());
    let home = TestConsole::new(&format!("[rules]\npaths = [{:?}]\n", rules.path()));
    let console = home.start().await;
    until_well(&console).await;
    std::fs::write(rules.path().join("bad.yml"), "title: no rule at all\n").unwrap();
    until_problem(&console, "bad.yml").await;
    assert_eq!(
        problems(&console).await.len(),
        1,
        "nothing beyond the directory was read: {:?}",
        problems(&console).await
    );
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_put_back_and_what_came_after_it_is_kept_beside_it() {
    let server = ScriptServer::of(&[r#"{"event":"login","username":"u","ip":"10.0.0.1"}"#]).await;
    let home = TestConsole::new(&format!("[feed.f]\nurl = \"{}\"\nmap = \"auth-event\"\n", server.url()));
    let console = home.start().await;
    console.until_stored(1).await;
    let backup = home.dir().join("copy.db");
    console.ask(Request::Backup { to: backup.clone() }).await.unwrap();
    let running = offline::restore(&home.paths, home.keychain.clone(), &backup).await;
    assert!(running.is_err(), "nothing is replaced under a console that runs");
    server.push(r#"{"event":"login","username":"later","ip":"10.0.0.2"}"#);
    console.until_stored(2).await;
    console.stop().await;
    drop(server);

    let garbage = home.dir().join("garbage.db");
    std::fs::write(&garbage, vec![7u8; 8192]).unwrap();
    assert!(offline::restore(&home.paths, home.keychain.clone(), &garbage).await.is_err());
    let mut cut = std::fs::read(&backup).unwrap();
    let middle = cut.len() / 2;
    cut[middle] ^= 1;
    std::fs::write(&garbage, cut).unwrap();
    assert!(offline::restore(&home.paths, home.keychain.clone(), &garbage).await.is_err(), "a flipped bit is seen");
    let console = home.start().await;
    assert_eq!(console.stored().await, 2, "a restore that failed changes nothing");
    console.stop().await;

    let before = offline::restore(&home.paths, home.keychain.clone(), &backup).await.unwrap();
    assert!(before.is_some_and(|p| p.exists()), "what was there is kept");
    let console = home.start().await;
    assert_eq!(console.stored().await, 1);
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_made_by_themselves_and_each_can_be_put_back() {
    let home = TestConsole::new("[backup]\nto = \"copies\"\nkeep = 2\n");
    let console = home.start().await;
    let folder = home.dir().join("copies");
    let made = || {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.path());
        entries.filter(|p| p.extension().is_some_and(|e| e == "db")).collect::<Vec<_>>()
    };
    let copy = until("a backup", || async { made().pop() }).await;
    until_well(&console).await;
    console.stop().await;
    offline::restore(&home.paths, home.keychain.clone(), &copy).await.unwrap();
    let console = home.start().await;
    console.assert_sound().await;
    assert_eq!(made().len(), 1, "the next one is due tomorrow");
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_by_which_everything_is_too_old_deletes_nothing_and_is_reported() {
    let old: Vec<String> = (0..3000)
        .map(|i| format!(r#"{{"event":"login","username":"u{i}","ip":"10.0.0.1","timestamp":"2024-02-01T00:00:00Z"}}"#))
        .collect();
    let server = ScriptServer::of(&old.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let feed = format!("[feed.f]\nurl = \"{}\"\nmap = \"auth-event\"\noldest = \"1200d\"\n", server.url());
    let home = TestConsole::new(&feed);
    let console = home.start().await;
    console.until_stored(3000).await;
    console.stop().await;
    let text = std::fs::read_to_string(&home.paths.config).unwrap();
    std::fs::write(&home.paths.config, format!("{text}\n[retention]\nevents = \"12mo\"\nrun_at = \"00:00\"\n"))
        .unwrap();
    drop(server);
    let console = home.start().await;
    until_problem(&console, "retention did not run").await;
    assert_eq!(console.stored().await, 3000);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_not_let_in_is_an_incident_that_says_so() {
    let server = demo(Faults { refuse: Some((401, None)), ..Faults::default() }).await;
    let home = TestConsole::new(&format!("{}down_after = \"1s\"\n", demo_feed("shop", &server.url())));
    let console = home.start().await;
    let incident = console.until_incident("nobody lets it in", |i| i.kind == "FEED_DOWN").await;
    assert!(incident.title.contains("401"), "{}", incident.title);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_edited_is_taken_up_and_no_event_is_lost() {
    let mapping = |word: &str| {
        format!(
            "name = \"own\"\nwhen = [{{ pointer = \"/who\" }}]\n[[field]]\nfrom = [\"/who\"]\nto = \"user.{word}\"\ncast = \"text\"\n"
        )
    };
    let server = ScriptServer::of(&[r#"{"id":"1","who":"ada"}"#]).await;
    let home = TestConsole::new("");
    let file = home.dir().join("own.toml");
    std::fs::write(&file, mapping("name")).unwrap();
    let config = format!(
        "[mappings]\npaths = [\"own.toml\"]\n[feed.f]\nurl = \"{}\"\nmap = \"own\"\ndedup = {{ id = \"/id\" }}\n",
        server.url()
    );
    std::fs::write(&home.paths.config, config).unwrap();
    let console = home.start().await;
    console.until_stored(1).await;
    std::fs::write(&file, mapping("full_name")).unwrap();
    // Read in another way it says something else: what comes again is kept once more, and marked.
    console.until_stored(2).await;
    server.push(r#"{"id":"2","who":"grace"}"#);
    console.until_stored(3).await;
    let found = console
        .ask(Request::EventsList { query: "user.full_name:grace".into(), since: None, limit: 10, after: None })
        .await;
    assert!(found.unwrap().to_string().contains("grace"));
    std::fs::write(&file, "this is no mapping").unwrap();
    until_problem(&console, "own.toml").await;
    server.push(r#"{"id":"3","who":"joan"}"#);
    console.until_stored(4).await;
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_half_way_leaves_the_directory_free_and_the_next_one_whole() {
    let home = TestConsole::new("");
    let socket = home.paths.data_dir.join("control.sock");
    std::fs::create_dir_all(socket.join("in the way")).unwrap();
    let failed = home.try_start().await;
    assert!(failed.is_err(), "what lies where the socket belongs is not removed");
    std::fs::remove_dir_all(&socket).unwrap();
    let console = home.start().await;
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_edits_of_the_config_at_once_are_both_made() {
    let home = TestConsole::new("");
    let console = home.start().await;
    let context = &console.console.context;
    let add = |line: &'static str| {
        context.edit_config(line.to_owned(), move |text, _| {
            std::thread::yield_now();
            Ok(format!("{text}\n{line}\n"))
        })
    };
    let (one, other) = tokio::join!(add("# one"), add("# other"));
    one.and(other).unwrap();
    let text = std::fs::read_to_string(&home.paths.config).unwrap();
    assert!(text.contains("# one") && text.contains("# other"), "{text}");
    console.stop().await;
}
