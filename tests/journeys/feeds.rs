//! A feed misbehaves in every way it can; nothing is lost, nothing is counted twice.

use std::path::PathBuf;
use std::time::Duration;

use wf_api::Request;
use wf_demo::scenario::PER_MINUTE;
use wf_demo::{DemoServer, Faults, Options, Scenario};
use wf_model::Timestamp;
use wf_testkit::console::{TestConsole, demo_feed};
use wf_testkit::{ScriptServer, until};

/// A finished hour: attacks and all, as fast as it is taken.
fn hour() -> Options {
    let end = Timestamp::parse("2026-01-12T11:00:00Z").unwrap();
    Options {
        scenario: Scenario { per_minute: 40, ..Scenario::default() },
        start: end,
        speed: 0.0,
        backlog: Duration::from_secs(3600),
        end: Some(end - Duration::from_millis(1)),
        ..Options::default()
    }
}

/// Everything the hour holds.
fn expected(o: &Options) -> Vec<u64> {
    let last = o.end.unwrap();
    let first = (o.start - o.backlog).millis() / 60_000;
    (first..=last.millis() / 60_000)
        .flat_map(|m| o.scenario.minute(m))
        .filter(|e| e.at <= last)
        .map(|e| e.offset)
        .collect()
}

async fn serve(options: &Options, faults: Faults) -> DemoServer {
    let server = DemoServer::start(([127, 0, 0, 1], 0).into(), options.clone()).await.unwrap();
    server.set_faults(faults);
    server
}

/// What the hour must become, whatever the server did.
async fn check(console: &wf_testkit::RunningConsole, options: &Options) {
    let all = expected(options);
    console.until_stored(all.len() as u64).await;
    let feed = console
        .until_feed("demo", "the last cursor is committed", |f| {
            f.counts.in_flight == 0 && f.cursor == all.last().map(ToString::to_string)
        })
        .await;
    assert_eq!(feed.counts.stored, all.len() as u64, "nothing lost, nothing twice: {:?}", feed.counts);
    let mut incidents: Vec<_> = console
        .incidents()
        .await
        .into_iter()
        .map(|i| (i.kind, i.entity.unwrap_or_default(), i.count))
        .filter(|i| !i.0.starts_with("LOCKOUT") && i.0 != "ACCOUNT_LOCKOUT")
        .collect();
    incidents.sort();
    let expected = [
        ("BRUTE_FORCE_ATTACK", "192.0.2.10", 9),
        ("BRUTE_FORCE_ATTACK", "198.51.100.23", 9),
        ("BRUTE_FORCE_ATTACK", "198.51.100.77", 9),
        ("BRUTE_FORCE_ATTACK", "203.0.113.45", 47),
        ("BULK_DATA_ACCESS", "j.alvarez", 1840),
        ("HIGH_FAILURE_RATE", "203.0.113.45", 47),
        ("PRIVILEGE_ESCALATION_ATTEMPT", "t.meyer", 3),
        ("SENSITIVE_ROUTE_ACCESS", "j.alvarez", 8),
        ("SQL_INJECTION_ATTEMPT", "198.51.100.66", 6),
        ("SUSPICIOUS_AUTHENTICATION", "a.novak", 27),
        ("UNAUTHORIZED_PII_EXPORT", "t.meyer", 1),
        ("XSS_ATTEMPT", "192.0.2.99", 4),
    ];
    let expected: Vec<_> = expected.iter().map(|(k, e, n)| ((*k).to_owned(), (*e).to_owned(), *n)).collect();
    // Ordinary records read by the same people add to the sum of the bulk access, so only its lower bound is exact.
    let bulk = incidents.iter().position(|i| i.0 == "BULK_DATA_ACCESS" && i.1 == "j.alvarez").expect("bulk access");
    assert!(incidents[bulk].2 >= 1840);
    incidents[bulk].2 = 1840;
    assert_eq!(incidents, expected);
    console.assert_sound().await;
}

async fn journey(options: Options, faults: Faults) -> (wf_testkit::RunningConsole, TestConsole, DemoServer) {
    let server = serve(&options, faults).await;
    let home = TestConsole::new(&demo_feed("demo", &server.url()));
    let console = home.start().await;
    check(&console, &options).await;
    (console, home, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_at_the_shop_becomes_its_incidents_and_the_officer_is_told_of_each_once() {
    let (console, home, _server) = journey(hour(), Faults::default()).await;
    let told = home.told.0.lock().unwrap().clone();
    for kind in ["UNAUTHORIZED_PII_EXPORT", "BULK_DATA_ACCESS"] {
        let new = told.iter().filter(|n| n.kind == kind && n.reason == wf_console::NoticeReason::New).count();
        assert_eq!(new, 1, "{kind}: {told:?}");
    }
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_drops_the_connection_again_and_again_is_resumed_without_loss() {
    let (console, _home, server) = journey(hour(), Faults { drop_after: Some(211), ..Faults::default() }).await;
    assert!(server.connections() > 5);
    let feed = console.feed("demo").await;
    assert_eq!((feed.gaps, feed.counts.discarded), (0, 0));
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_disorder_and_garbage_change_nothing_but_their_counts() {
    let faults = Faults { duplicate_every: Some(7), garbage_every: Some(50), ..Faults::default() };
    let (console, _home, _server) = journey(hour(), faults).await;
    let feed = console.feed("demo").await;
    assert!(feed.counts.duplicates > 100 && feed.counts.quarantined > 20, "{:?}", feed.counts);
    assert!(!console.console.desk.feeds.all().await.unwrap().quarantine[0].error.is_empty());
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_out_of_order_are_all_stored_and_counted() {
    let (console, _home, _server) = journey(hour(), Faults { reorder_every: Some(9), ..Faults::default() }).await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_slow_to_answer_is_waited_for() {
    let (console, _home, _server) =
        journey(hour(), Faults { slow_upgrade: Some(Duration::from_millis(700)), ..Faults::default() }).await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_noticed_and_replaced() {
    let options = hour();
    let server = serve(&options, Faults { half_open_after: Some(300), ..Faults::default() }).await;
    let home = TestConsole::new(&demo_feed("demo", &server.url()));
    let console = home.start().await;
    console.until_stored(290).await;
    server.set_faults(Faults::default());
    check(&console, &options).await;
    assert!(server.connections() >= 2);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_over_the_limit_go_to_quarantine_and_the_rest_comes_through() {
    let options = hour();
    let server = serve(&options, Faults { oversize: Some((311, 100_000)), ..Faults::default() }).await;
    let config = demo_feed("demo", &server.url()) + "limits = { frame = \"16KiB\" }\n";
    let home = TestConsole::new(&config);
    let console = home.start().await;
    let all = expected(&options);
    let feed = console
        .until_feed("demo", "the end is reached", |f| {
            f.counts.in_flight == 0 && f.cursor == all.last().map(ToString::to_string)
        })
        .await;
    assert_eq!(feed.counts.stored + feed.counts.quarantined, all.len() as u64, "{:?}", feed.counts);
    assert!(feed.counts.quarantined >= 3, "{:?}", feed.counts);
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_frame_is_stepped_over_after_three_tries_with_a_gap() {
    let options = hour();
    let all = expected(&options);
    let server = serve(&options, Faults { poison_at: Some(all[123]), ..Faults::default() }).await;
    let home = TestConsole::new(&demo_feed("demo", &server.url()));
    let console = home.start().await;
    let feed = console
        .until_feed("demo", "the end is reached", |f| {
            f.counts.in_flight == 0 && f.cursor == all.last().map(ToString::to_string)
        })
        .await;
    assert_eq!((feed.counts.stored, feed.counts.quarantined), (all.len() as u64 - 1, 1), "{:?}", feed.counts);
    assert_eq!(console.console.desk.feeds.all().await.unwrap().gaps[0].reason, "poison_frame");
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_is_a_gap_and_the_feed_goes_on_from_there() {
    let start = Timestamp::now();
    let options = Options {
        scenario: Scenario { per_minute: 6000, quiet: true, ..Scenario::default() },
        start,
        backlog: Duration::from_secs(60),
        ..Options::default()
    };
    let server = serve(&options, Faults::default()).await;
    let home = TestConsole::new(&demo_feed("demo", &server.url()));
    let console = home.start().await;
    console.until_stored(100).await;
    server.new_epoch();
    let gap =
        until("a gap", || async { console.console.desk.feeds.all().await.unwrap().gaps.into_iter().next() }).await;
    assert_eq!(gap.reason, "epoch_changed");
    let before = console.stored().await;
    console.until_stored(before + 50).await;
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_resumes_from_the_cursor_and_counts_nothing_twice() {
    let options = hour();
    let all = expected(&options);
    // Held half-way by silence, so that the first run certainly ends in the middle.
    let server = serve(&options, Faults { half_open_after: Some(all.len() as u64 / 2), ..Faults::default() }).await;
    let home = TestConsole::new(&demo_feed("demo", &server.url()));
    let console = home.start().await;
    console.until_stored(all.len() as u64 / 2).await;
    console.stop().await;
    server.set_faults(Faults::default());
    let console = home.start().await;
    check(&console, &options).await;
    let feed = console.feed("demo").await;
    assert_eq!(feed.gaps, 0, "a resumed feed has no hole");
    assert!(all.last().unwrap() / PER_MINUTE > 0);
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_stop_the_feed_and_retry_after_is_honoured() {
    let options = hour();
    let server = serve(&options, Faults { refuse: Some((401, None)), ..Faults::default() }).await;
    let home = TestConsole::new(&demo_feed("demo", &server.url()));
    let console = home.start().await;
    let feed = console.until_feed("demo", "stopped", |f| f.state == "stopped").await;
    assert!(feed.detail.contains("401"), "{}", feed.detail);
    server.set_faults(Faults { refuse: Some((503, Some(3600))), ..Faults::default() });
    console.console.desk.feeds.restart("demo").unwrap();
    let feed = console.until_feed("demo", "waiting", |f| f.state == "waiting").await;
    assert!(feed.detail.contains("503"), "{}", feed.detail);
    server.set_faults(Faults::default());
    console.ask(Request::FeedsRestart { name: "demo".into() }).await.unwrap();
    assert!(console.ask(Request::FeedsRestart { name: "nobody".into() }).await.is_err());
    check(&console, &options).await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_cursor_greeting_and_acknowledgement_go_over_the_wire_as_configured() {
    let server = ScriptServer::of(&[r#"{"type":"ack"}"#, r#"{"n":7,"event":"login_failed","ip":"10.0.0.1"}"#]).await;
    let home = TestConsole::new(&format!(
        r#"
[feed.own]
url = "{}?since={{cursor}}"
auth = {{ scheme = "bearer", secret = "keychain:shop" }}
headers = {{ X-Scope = "security" }}
on_connect = [ {{ send = '{{"subscribe":"security","since":"{{cursor}}"}}', expect = {{ pointer = "/type", equals = "ack" }}, within = "5s" }} ]
map = "auth-event"
resume = {{ cursor = "/n", ack = '{{"ack":"{{cursor}}"}}' }}
backoff = {{ base = "20ms", cap = "100ms" }}
"#,
        server.url()
    ));
    let console = home.start().await;
    let feed = console.until_feed("own", "stopped without its secret", |f| f.state == "stopped").await;
    assert!(feed.detail.contains("shop"), "{}", feed.detail);
    use wf_platform::Keychain as _;
    home.keychain.set("shop", &"canary-5f2c".to_owned().into()).unwrap();
    console.console.desk.feeds.restart("own").unwrap();
    console.until_stored(1).await;
    until("the acknowledgement, after the commit", || async {
        server.heard().contains(&r#"{"ack":"7"}"#.to_owned()).then_some(())
    })
    .await;
    assert_eq!(server.heard()[0], r#"{"subscribe":"security","since":""}"#);
    let request = server.requests()[0].clone();
    assert!(
        request.contains("authorization: Bearer canary-5f2c") && request.contains("x-scope: security"),
        "{request}"
    );
    console.stop().await;
    let again = home.start().await;
    until("a second subscription from the cursor", || async {
        server.requests().iter().any(|r| r.starts_with("/?since=7")).then_some(())
    })
    .await;
    again.stop().await;
    // T8: the secret is on the wire and nowhere else.
    crate::disk::nowhere(&home.dir(), &crate::disk::key_of(&home), &["canary-5f2c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_best_effort_feed_that_was_away_has_a_gap() {
    let server = ScriptServer::of(&[r#"{"event":"login_success","ip":"10.0.0.1"}"#]).await;
    let home = TestConsole::new(&format!("[feed.own]\nurl = \"{}\"\nmap = \"auth-event\"\n", server.url()));
    let console = home.start().await;
    console.until_stored(1).await;
    console.stop().await;
    let console = home.start().await;
    console.until_stored(2).await;
    let gaps = console.console.desk.feeds.all().await.unwrap().gaps;
    assert_eq!(gaps.iter().map(|g| g.reason.as_str()).collect::<Vec<_>>(), ["disconnected"]);
    console.assert_sound().await;
    console.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_feed_that_falls_silent_is_an_incident() {
    let server = ScriptServer::of(&[r#"{"event":"login_success","ip":"10.0.0.1"}"#]).await;
    let home =
        TestConsole::new(&format!("[feed.own]\nurl = \"{}\"\nmap = \"auth-event\"\nsilence = \"2s\"\n", server.url()));
    let console = home.start().await;
    let incident = console.until_incident("the feed is silent", |i| i.kind == "FEED_SILENT").await;
    assert_eq!((incident.entity.as_deref(), incident.severity.as_str()), (Some("own"), "P2"));
    console.stop().await;
}

fn mount(arguments: &[&str], dir: &std::path::Path) -> bool {
    std::process::Command::new("mount").args(arguments).arg(dir).status().is_ok_and(|s| s.success())
}

/// A disk of 3 MB; `None` where there cannot be one.
fn small_disk() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().unwrap();
    if mount(&["-t", "tmpfs", "-o", "size=3m", "tmpfs"], dir.path()) {
        return Some(dir);
    }
    wf_tests::skipped("root, and the right to mount a small tmpfs");
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_holds_everything_up_and_loses_nothing() {
    let Some(dir) = small_disk() else { return };
    let options = hour();
    let server = serve(&options, Faults::default()).await;
    let home = TestConsole::at(dir.path(), &demo_feed("demo", &server.url()));
    let filler = dir.path().join("filler");
    let console = home.start().await;
    // Fill what is left, to the last page.
    let _full = std::fs::write(&filler, vec![1u8; 4 << 20]).is_err();
    let health = until("the store says that it is full", || async {
        let h = console.console.desk.overview.health().await.ok()?;
        h.store.blocked.clone()
    })
    .await;
    assert!(health.contains("full"), "{health}");
    std::fs::remove_file(&filler).unwrap();
    assert!(mount(&["-o", "remount,size=64m"], dir.path()));
    check(&console, &options).await;
    console.stop().await;
    assert!(std::process::Command::new("umount").arg(dir.path()).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_became_read_only_is_said_at_the_start_and_nothing_on_it_is_lost() {
    let Some(dir) = small_disk() else { return };
    assert!(mount(&["-o", "remount,size=64m"], dir.path()));
    let options = hour();
    let server = serve(&options, Faults::default()).await;
    let home = TestConsole::at(dir.path(), &demo_feed("demo", &server.url()));
    let console = home.start().await;
    console.until_stored(20).await;
    console.stop().await;
    assert!(mount(&["-o", "remount,ro"], dir.path()));
    let refused = home.try_start().await.err().expect("nothing can be written").to_string();
    assert!(refused.contains("ead-only") && refused.contains(dir.path().to_str().unwrap()), "{refused}");
    assert!(mount(&["-o", "remount,rw"], dir.path()));
    let console = home.start().await;
    check(&console, &options).await;
    console.stop().await;
    assert!(std::process::Command::new("umount").arg(dir.path()).status().unwrap().success());
}

/// A file system in a file, which becomes read-only when it meets an error, and how to have it meet one; `None` where
/// there cannot be one.
fn failing_disk(image: &std::path::Path, dir: &std::path::Path) -> Option<PathBuf> {
    let ran = |program: &str, args: &[&str]| {
        std::process::Command::new(program).args(args).output().is_ok_and(|o| o.status.success())
    };
    std::fs::File::create(image).and_then(|f| f.set_len(64 << 20)).unwrap();
    let file = image.to_str().unwrap();
    let mounted = ran("mkfs.ext4", &["-q", "-F", file]) && mount(&["-o", "loop,errors=remount-ro", file], dir);
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let device = mounts.lines().find(|l| l.split(' ').nth(1) == dir.to_str()).and_then(|l| l.split(' ').next());
    let trigger = device.map(|d| PathBuf::from(d.replace("/dev/", "/sys/fs/ext4/")).join("trigger_fs_error"));
    let there = trigger.filter(|t| mounted && t.exists());
    if there.is_none() {
        wf_tests::skipped("root, loop devices, and an ext4 that can be made to fail");
        let _unmounted = ran("umount", &[dir.to_str().unwrap()]);
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_becomes_read_only_while_it_runs_is_said_and_what_was_not_stored_comes_again() {
    let outside = tempfile::tempdir().unwrap();
    let (image, disk) = (outside.path().join("image"), outside.path().join("disk"));
    std::fs::create_dir(&disk).unwrap();
    let Some(trigger) = failing_disk(&image, &disk) else { return };
    // Half an hour at once, and half an hour within seconds.
    let half = Duration::from_secs(1800);
    let options = Options { start: hour().start - half, backlog: half, speed: 200.0, ..hour() };
    let server = serve(&options, Faults::default()).await;
    let home = TestConsole::at(&disk, &demo_feed("demo", &server.url()));
    let console = home.start().await;
    console.until_stored(100).await;
    // The config was written an instant ago and by nobody who waits for the disk.
    assert!(std::process::Command::new("sync").status().unwrap().success());
    std::fs::write(&trigger, "a test").unwrap();
    let said = until("the store says that it cannot write", || async {
        console.console.desk.overview.health().await.ok()?.store.blocked
    })
    .await;
    assert!(!said.is_empty() && !said.contains("full"), "{said}");
    assert!(console.try_stop().await.is_err(), "its end cannot be recorded");

    // Repaired and mounted again, it goes on from what is on it.
    let image = image.to_str().unwrap();
    let done = |program: &str, args: &[&str]| std::process::Command::new(program).args(args).output().unwrap().status;
    // What read the database ends in its own time.
    until("the disk is let go", || async { done("umount", &[disk.to_str().unwrap()]).success().then_some(()) }).await;
    assert!(done("e2fsck", &["-f", "-y", image]).code().is_some_and(|c| c <= 1));
    assert!(mount(&["-o", "loop", image], &disk));
    let console = home.start().await;
    check(&console, &options).await;
    console.stop().await;
    assert!(done("umount", &[disk.to_str().unwrap()]).success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_disk_is_in_flight_until_it_is_stored() {
    let server = ScriptServer::of(&[]).await;
    let home = TestConsole::new(&format!(
        "[feed.f]\nurl = \"{}\"\nmap = \"auth-event\"\ndedup = {{ id = \"/id\" }}\n",
        server.url()
    ));
    let console = home.start().await;
    console.until_feed("f", "live", |f| f.state == "live").await;
    // Whoever holds the ledger keeps everybody from writing, as a slow disk does.
    let held = console.hold_the_ledger();
    for n in 0..40 {
        server.push(&format!(r#"{{"id":"{}","event":"login","username":"u","ip":"10.0.0.1"}}"#, n / 2));
    }
    server.push("not json {");
    let waiting = console.until_feed("f", "everything is in flight", |f| f.counts.in_flight == 41).await;
    assert!(
        waiting.counts.received == 41 && waiting.counts.stored == 0 && waiting.counts.holds(),
        "{:?}",
        waiting.counts
    );
    held.release().await;
    let settled = console.until_feed("f", "nothing is in flight", |f| f.counts.in_flight == 0).await;
    let c = settled.counts;
    assert!(c.received == 41 && c.stored == 20 && c.duplicates == 20 && c.quarantined == 1 && c.holds(), "{c:?}");
    console.assert_sound().await;
    console.stop().await;
    // What the disk says is the same.
    let console = home.start().await;
    let again = console.feed("f").await.counts;
    assert!(again.stored == 20 && again.holds(), "{again:?}");
    console.stop().await;
}
