//! The real native window, driven through WebDriver. `cargo xtask window` gives it a display and runs one test at a
//! time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on shall stop, and say where"
)]

mod driver;
mod privacy;
#[cfg(target_os = "linux")]
mod secrets;
mod security;

use driver::{Home, KEYRING, Window, attacked, failure};
use fantoccini::key::Key;
use wf_testkit::{Providers, ScriptServer};
use wf_tests::ctl;
use wf_tests::sshd::Sshd;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_offers_the_demo_and_within_seconds_there_are_incidents() {
    let home = Home::new("");
    let window = Window::open(&home, KEYRING).await;
    window.see("Welcome to Watchfloor").await;
    window.see("Keep the recovery key").await;
    window.picture("first-run").await;
    window.click("[data-testid=demo]").await;
    window.see("1 feed live").await;
    window
        .until("an incident in the rail", "return document.querySelector('[data-room=incidents] .badge') !== null")
        .await;
    window
        .until("a full screen of events", "return document.querySelectorAll('[data-testid=live] .row').length > 10")
        .await;
    window.until("the chart has bars", "return document.querySelectorAll('.chart rect.all').length > 30").await;
    window.picture("watch").await;
    window.click("[data-room=incidents]").await;
    window.see("failed logins from 203.0.113.45").await;
    window.press("jj").await;
    window.until("a timeline", "return document.querySelectorAll('[data-testid=timeline] li').length > 0").await;
    window.picture("incidents").await;
    window.run("document.querySelector('[aria-label=\"Change theme\"]').click()").await;
    window.picture("incidents-light").await;
    window.click("[data-room=feeds]").await;
    window.until("the numbers of the feed", "return document.querySelector('[data-feed=demo]') !== null").await;
    window.run("document.querySelector('[aria-label=\"Change theme\"]').click()").await;
    window.picture("feeds").await;
    assert!(home.config().contains("[demo]"));
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_acknowledged_and_resolved_by_keyboard_and_a_restart_keeps_it() {
    let (_server, config) = attacked().await;
    let home = Home::with_server_key(&config);
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    window.press("2").await;
    window.see("12 failed logins from 203.0.113.45").await;
    window.until("the one with twelve is open", "for (const r of document.querySelectorAll('[data-incident]')) if (r.textContent.includes('12 failed') && !r.textContent.includes('within')) { r.click(); break } return document.querySelector('[data-testid=title]')?.textContent.startsWith('12 ')").await;
    window.press("a").await;
    window.see("Acknowledge #").await;
    window.press("looking at it").await;
    window.key(Key::Enter).await;
    window.see("Duty officer is on it").await;
    window.see("looking at it").await;
    window.picture("acknowledged").await;
    window.press("r").await;
    window.see("it was an attack").await;
    window.key(Key::Enter).await;
    window.see("Choose what it was").await;
    window.press("1").await;
    window.key(Key::Enter).await;
    window.see("Resolved: true positive").await;
    window.close().await;

    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    window.press("2").await;
    window.until("the queue", "return document.querySelectorAll('[data-incident]').length === 4").await;
    window.until("the resolved one left the queue", "return ![...document.querySelectorAll('[data-incident]')].some((r) => r.textContent.includes('12 failed') && !r.textContent.includes('within'))").await;
    window.click("[data-tab=resolved]").await;
    window.see("12 failed logins from 203.0.113.45").await;
    window.see("Resolved: true positive").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_down_is_an_incident_whose_page_speaks_of_no_events() {
    let home =
        Home::with_server_key("[feed.shop]\nurl = \"ws://127.0.0.1:9/\"\nmap = \"auth-event\"\ndown_after = \"1s\"\n");
    let window = Window::open(&home, "").await;
    window.see("0 of 1 feeds live").await;
    window.press("2").await;
    window.see("Feed shop has been down").await;
    window.click("[data-incident]").await;
    window.see("no event stands behind it").await;
    window.picture("feed-down").await;
    let page = window.text("body").await;
    assert!(!page.contains("not stored any more") && !page.contains("What it touches"), "{page}");
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_feed_pauses_filters_and_searches_what_is_stored() {
    let (server, config) = attacked().await;
    let home = Home::with_server_key(&config);
    let window = Window::open(&home, "").await;
    window.until("the events", "return document.querySelectorAll('[data-testid=live] .strong').length >= 19").await;
    window.press(" ").await;
    window.see("Resume").await;
    let before = window.text("[data-testid=live]").await;
    for n in 100..137 {
        server.push(&failure(n, "192.0.2.77"));
    }
    window.see("37 new").await;
    assert_eq!(window.text("[data-testid=live]").await, before, "a paused feed does not move");
    window.picture("paused").await;
    window.press(" ").await;
    window
        .until(
            "it runs again",
            "return document.querySelector('[data-testid=live]').textContent.includes('192.0.2.77')",
        )
        .await;
    window.press("/").await;
    window.press("198.51.100.9").await;
    window
        .until("the filter leaves six", "return document.querySelectorAll('[data-testid=live] .strong').length === 6")
        .await;
    window.key(Key::Enter).await;
    window.see("6 events found").await;
    window.run("document.activeElement.blur()").await;
    window.press("j").await;
    window.see("As it came in").await;
    window
        .until(
            "the whole event",
            "return document.querySelector('[data-testid=raw]')?.textContent.includes('198.51.100.9')",
        )
        .await;
    window.picture("search").await;
    window.key(Key::Escape).await;
    window.until("back to live", "return document.querySelector('[data-testid=found]') === null").await;
    window.key_with(Key::Control, 'k').await;
    window.see("Go to Incidents").await;
    window.key(Key::Escape).await;
    window.press("?").await;
    window.see("Pause the feed").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_keychain_is_a_screen_and_unlocking_it_goes_on() {
    let home = Home::new("");
    let window = Window::open(&home, KEYRING).await;
    window.see("Welcome to Watchfloor").await;
    window.close().await;
    // The daemon runs; nobody unlocked it.
    let window =
        Window::open(&home, "gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1; sleep 0.3;").await;
    window.see("The keychain is locked").await;
    window.see("recovery key").await;
    window.picture("keychain-locked").await;
    window
        .run("const k = document.querySelector('#key'); k.value = 'AAAA-BBBB'; k.dispatchEvent(new Event('input'))")
        .await;
    window.run("document.querySelector('form button').click()").await;
    window.see("not a recovery key").await;
    window.close().await;
    let window = Window::open(&home, KEYRING).await;
    window.see("Welcome to Watchfloor").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_is_recovered_with_the_recovery_key() {
    let home = Home::new("");
    let window = Window::open(&home, KEYRING).await;
    window.see("Welcome to Watchfloor").await;
    window.close().await;
    // The keychain forgets; what was on paper is what the key would have printed.
    let lose = format!(
        "{KEYRING} secret-tool lookup service watchfloor username \"database-key:$(realpath $WATCHFLOOR_DATA_DIR)\" > $HOME/paper; secret-tool clear service watchfloor;"
    );
    let window = Window::open(&home, &lose).await;
    window.see("The keychain is locked").await;
    let hex = std::fs::read_to_string(home.path().join("paper")).unwrap();
    let paper = wf_platform::recovery_key_of(&hex).expect("the keychain held the key");
    window.run("document.querySelector('#key').focus()").await;
    window.press(&paper).await;
    window.key(Key::Enter).await;
    window.see("Welcome to Watchfloor").await;
    window.close().await;
    let window = Window::open(&home, KEYRING).await;
    window.see("Welcome to Watchfloor").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_keychain_there_is_a_screen_that_names_the_way_out() {
    let home = Home::new("");
    let window = Window::open(&home, "export DBUS_SESSION_BUS_ADDRESS_FOR_APP=none; unset DBUS_SESSION_BUS_ADDRESS; export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent;").await;
    window.see("There is no keychain").await;
    window.close().await;
}

/// Hours of a day in which somebody is on call whenever the test runs: four of them are missing, about half a day away.
fn on_call_now() -> String {
    let hour: u32 = wf_model::Timestamp::now().rfc3339()[11..13].parse().unwrap();
    format!("{:02}:00-{:02}:00", (hour + 15) % 24, (hour + 11) % 24)
}

/// People, a rota with a hole in it, a webhook that works and an SMS account that does not.
fn response(feed: &ScriptServer, p: &Providers) -> String {
    format!(
        r#"
[feed.shop]
url = "{}"
map = ["auth-event", "security-event"]
[person.ann]
name = "Ann Berg"
roles = ["duty"]
phone = "+15005550001"
email = "ann@shop.example"
[person.ben]
name = "Ben Ode"
roles = ["officer"]
phone = "+15005550002"
[person.cleo]
name = "Cleo Marsh"
roles = ["cto"]
phone = "+15005550003"
[schedule.soc]
time_zone = "Europe/Berlin"
layer = [{{ people = ["ann", "ben"], rotation = "daily", start = "2026-01-05T08:00", hours = "{}" }}]
[channel.ops]
kind = "webhook"
url = "{}/hook"
allow = ["127.0.0.1"]
[channel.sms]
kind = "sms"
account = "AC00000000000000000000000000000001"
token = "env:WATCHFLOOR_KEY"
from = "+15005550006"
url = "{}"
"#,
        feed.url(),
        on_call_now(),
        p.url(),
        p.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn escalation_is_seen_counting_down_and_is_steered_by_keyboard() {
    let (feed, p) = (ScriptServer::of(&[]).await, Providers::start().await);
    let home = Home::with_server_key(&response(&feed, &p));
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    for n in 0..5 {
        feed.push(&format!(r#"{{"type":"SQL Injection","ip":"203.0.113.{n}","url":"/login?q=1","field":"q"}}"#));
    }
    window.press("2").await;
    window.until("five incidents", "return document.querySelectorAll('[data-incident]').length === 5").await;
    // The countdown runs, and says who is next.
    window
        .until(
            "a countdown",
            "return /^\\d\\d:\\d\\d$/.test(document.querySelector('[data-testid=countdown]')?.textContent ?? '')",
        )
        .await;
    let before = window.text("[data-testid=countdown]").await;
    window
        .until(
            "it runs",
            &format!("return document.querySelector('[data-testid=countdown]').textContent !== '{before}'"),
        )
        .await;
    window.see("Ben Ode by ops, sms").await;
    window.until("what was sent is shown", "const t = document.querySelector('[data-testid=receipts]')?.textContent ?? ''; return t.includes('delivered') && t.includes('failed')").await;
    window.picture("escalation").await;
    // Escalate by hand: the next level is told at once.
    window.press("e").await;
    window.see("The next step runs now instead of in").await;
    window.key(Key::Enter).await;
    window.see("Escalated by hand").await;
    window.see("Cleo Marsh by ops, sms").await;
    // Snooze.
    window.press("s").await;
    window.see("Four hours").await;
    window.press("2").await;
    window.key(Key::Enter).await;
    window.see("Snoozed").await;
    window.see("the snooze ends").await;
    // A step of the checklist.
    window.press("c").await;
    window.until("it is done", "return document.querySelector('[data-testid=checklist] .done') !== null").await;
    // Bulk: mark all, acknowledge them.
    window.key_with(Key::Control, 'a').await;
    window.see("5 marked").await;
    window.press("a").await;
    window.see("Acknowledge 5 incidents").await;
    window.picture("bulk").await;
    window.key(Key::Enter).await;
    window.until("all are acknowledged", "return [...document.querySelectorAll('[data-incident]')].every((r) => r.textContent.includes('Acknowledged'))").await;
    // Merge two into a third, and take it back.
    window.press("jx").await;
    window.press("m").await;
    window.see("Merge #").await;
    window.press("1").await;
    window.key(Key::Enter).await;
    window.see("1 merged").await;
    window.until("four are left", "return document.querySelectorAll('[data-incident]').length === 4").await;
    window.press("u").await;
    window.until("five again", "return document.querySelectorAll('[data-incident]').length === 5").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_says_who_could_not_be_reached_a_silence_shows_what_it_hides_and_channels_are_tested_by_a_button() {
    let (feed, p) = (ScriptServer::of(&[]).await, Providers::start().await);
    let home = Home::with_server_key(&response(&feed, &p));
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    feed.push(r#"{"type":"SQL Injection","ip":"203.0.113.7","url":"/login","field":"q"}"#);
    window.until("an incident", "return document.querySelector('[data-room=incidents] .badge') !== null").await;
    window.press("6").await;
    window.click("[data-test=ops]").await;
    window.see("All of it arrived").await;
    window.click("[data-test=sms]").await;
    window.see("did not arrive").await;
    window.see("Authenticate").await;
    window.picture("channels").await;
    window.press("4").await;
    window.see("things to mend").await;
    window.see("nobody is on call in 'soc'").await;
    window.until("the rota is drawn", "return document.querySelectorAll('[data-rota=soc] .shift').length > 10").await;
    window.picture("on-call").await;
    window.press("t").await;
    window.see("Take over soc").await;
    window.run("[...document.querySelectorAll('dialog .btn.primary')][0].click()").await;
    window.until("it is in the config", "return document.querySelector('dialog') === null").await;
    assert!(home.config().contains("override"), "{}", home.config());
    window.press("5").await;
    window.see("No silences").await;
    window.press("c").await;
    window.run("document.querySelector('[data-testid=entity]').focus()").await;
    window.press("203.0.113.*").await;
    window
        .until(
            "the preview counts",
            "return document.querySelector('[data-testid=preview]').textContent.includes('1 live incident fits')",
        )
        .await;
    window.run("document.querySelector('[data-testid=reason]').focus()").await;
    window.press("penetration test by the auditors").await;
    window.picture("silence").await;
    window.click("[data-testid=save]").await;
    window.see("penetration test by the auditors").await;
    feed.push(r#"{"type":"SQL Injection","ip":"203.0.113.8","url":"/login","field":"q"}"#);
    window
        .until("it hides what is new", "return document.querySelector('[data-silence] .num').textContent === '1'")
        .await;
    window.press("7").await;
    window.until("the numbers", "return document.querySelector('[data-testid=metrics]') !== null").await;
    window.picture("numbers").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_os_tells_of_a_p1_with_a_sound_again_until_somebody_looks_and_the_computer_is_kept_awake() {
    let feed = ScriptServer::of(&[]).await;
    let home = Home::with_server_key(&format!("[feed.shop]\nurl = \"{}\"\nmap = [\"security-event\"]\n", feed.url()));
    let said = home.path().join("desktop.ndjson");
    let mock = format!(
        "export DBUS_SYSTEM_BUS_ADDRESS=$(dbus-daemon --session --fork --print-address); export WATCHFLOOR_REPEAT_MS=400; /usr/bin/python3 {}/desktop_mock.py {} & for i in $(seq 200); do grep -q ready {} 2>/dev/null && break; sleep 0.05; done;",
        env!("CARGO_MANIFEST_DIR"),
        said.display(),
        said.display()
    );
    let heard = || {
        std::fs::read_to_string(&said)
            .unwrap_or_default()
            .lines()
            .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
            .collect::<Vec<_>>()
    };
    let window = Window::open(&home, &mock).await;
    window.see("1 feed live").await;
    wf_testkit::until("kept awake", || async {
        heard().iter().any(|h| h["inhibit"] == "idle" && h["who"] == "Watchfloor" && h["mode"] == "block").then_some(())
    })
    .await;
    // Nobody looks: the window is closed to the tray.
    window.run("window.__TAURI_INTERNALS__.invoke('hide_window')").await;
    wf_testkit::until("the window is hidden", || async {
        (window.js("return document.visibilityState").await == "hidden").then_some(())
    })
    .await;
    feed.push(r#"{"type":"SQL Injection","ip":"<b>203.0.113.7</b>","url":"/login","field":"q"}"#);
    let told = wf_testkit::until("told", || async {
        heard().into_iter().find(|h| h["notify"] == "P1 Critical: sql injection attempt")
    })
    .await;
    assert_eq!(
        (told["body"].as_str(), told["hints"]["sound-name"].as_str()),
        (Some("Incident #1, new, count 1"), Some("alarm-clock-elapsed")),
        "t12: a fixed template, no event text: {told}"
    );
    wf_testkit::until("told again", || async {
        (heard().iter().filter(|h| h["notify"] == "P1 Critical: still waiting").count() >= 2).then_some(())
    })
    .await;
    // Resolved elsewhere: nothing is left to tell of.
    let resolved = ctl(&home.path().join("data"), &home.path().join("watchfloor.toml"))
        .args(["incidents", "resolve", "1", "--verdict", "benign"])
        .output()
        .unwrap();
    assert!(resolved.status.success(), "{resolved:?}");
    wf_testkit::until("quiet", || async {
        let before = heard().len();
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        (heard().len() == before).then_some(())
    })
    .await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attack_on_a_real_sshd_is_seen_in_the_window_with_the_right_addresses_and_counts() {
    let feed = std::sync::Arc::new(ScriptServer::of(&[]).await);
    let home = Home::with_server_key(&format!("[feed.sshd-edge]\nurl = \"{}\"\nmap = \"sshd\"\n", feed.url()));
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    let Some(server) = Sshd::start(feed) else {
        return window.close().await;
    };
    server.attack().await;
    window.press("/").await;
    window.press("event.action=login_failed").await;
    window.key(Key::Enter).await;
    window.see("16 events found").await;
    window.run("document.activeElement.blur()").await;
    window.until("sixteen failures are shown", "return [...document.querySelectorAll('.row')].filter((r) => r.textContent.includes('login_failed')).length === 16").await;
    window.key(Key::Escape).await;
    window.press("2").await;
    window.see("7 failed logins from 127.0.0.2").await;
    window.see("5 failed logins from 127.0.0.3").await;
    window
        .until(
            "and nothing about the one with four failures, but for the account that all of them are after",
            "return document.querySelectorAll('[data-incident]').length === 3 && ![...document.querySelectorAll('[data-incident]')].some((r) => r.textContent.includes('127.0.0.4'))",
        )
        .await;
    window.run("for (const r of document.querySelectorAll('[data-incident]')) if (r.textContent.includes('127.0.0.2')) r.click()").await;
    window.until("the evidence is sshd's own lines", "return document.querySelector('[data-testid=title]').textContent.startsWith('7 failed') && document.body.innerText.includes('nobody-here')").await;
    window.picture("sshd").await;
    window.close().await;
}

/// Half a minute of a busy feed in the tests; `cargo xtask bench window` gives it more, and an optimised build.
#[tokio::test(flavor = "multi_thread")]
async fn while_five_thousand_events_a_second_arrive_the_page_does_not_grow_and_keeps_its_frames() {
    let minutes: f64 = std::env::var("WATCHFLOOR_FRAME_MINUTES").ok().and_then(|m| m.parse().ok()).unwrap_or(0.1);
    let server = std::sync::Arc::new(ScriptServer::of(&[]).await);
    let home = Home::with_server_key(&format!("[feed.busy]\nurl = \"{}\"\nmap = \"auth-event\"\n", server.url()));
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    let busy = server.clone();
    let sending = tokio::spawn(async move {
        let mut n = 0u64;
        let mut every = tokio::time::interval(std::time::Duration::from_millis(10));
        loop {
            every.tick().await;
            for _ in 0..50 {
                n += 1;
                busy.push(&format!(
                    r#"{{"event":"token_refresh","username":"user{}","ip":"10.2.{}.{}"}}"#,
                    n % 900,
                    n % 8,
                    n % 250
                ));
            }
        }
    });
    window.until("events pour in", "return document.querySelectorAll('[data-testid=live] .strong').length > 15").await;
    let script = |ms: f64| {
        format!(
            "const done = arguments[arguments.length - 1]; const gaps = []; const began = performance.now(); let last = began; const end = last + {ms};
             const f = (t) => {{ gaps.push(t - last); last = t; if (t < end) return requestAnimationFrame(f); gaps.sort((a, b) => a - b);
             done({{ fps: gaps.length * 1000 / (last - began), p50: gaps[gaps.length >> 1], p95: gaps[Math.floor(gaps.length * 0.95)], p99: gaps[Math.floor(gaps.length * 0.99)], worst: gaps[gaps.length - 1], nodes: document.querySelectorAll('*').length }}) }}; requestAnimationFrame(f);"
        )
    };
    let (mut nodes, mut left) = (Vec::new(), minutes * 60_000.0);
    while left > 0.0 {
        // The driver gives up on a script that takes half a minute.
        let measured = window.run_async(&script(left.min(20_000.0))).await;
        left -= 20_000.0;
        nodes.push(measured["nodes"].as_f64().unwrap());
        eprintln!("frames: {measured} resident {:?} MB", window.resident());
    }
    sending.abort();
    let (first, last) = (nodes[0], nodes[nodes.len() - 1]);
    assert!(last < first * 1.2 + 50.0, "rows are recycled: {nodes:?}");
    window.close().await;
}
