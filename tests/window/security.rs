//! What hostile event text, and a script that got in after all, can do in the real window: nothing (threats T1 to T3).

use serde_json::Value;
use wf_testkit::{Canary, ScriptServer};

use crate::driver::{Home, Window, attacked};

include!("../../src-tauri/src/command_names.rs");

/// What event text may try. Each would leave the canary behind.
fn attacks(canary: &str) -> Vec<String> {
    let js = "window.__canary=1";
    vec![
        format!("<script>{js}</script>"),
        format!("<img src=x onerror={js}>"),
        format!("<svg onload={js}>"),
        format!("\"><iframe srcdoc=\"<script>parent.{js}</script>\">"),
        format!("<img src=\"{canary}\">"),
        format!("<link rel=stylesheet href=\"{canary}\">"),
        format!("<style>@import url({canary});*{{background:url({canary})}}</style>"),
        format!("<a href=\"javascript:{js}\" autofocus onfocus={js}>x</a>"),
        "{{constructor.constructor('window.__canary=1')()}}".to_owned(),
        "${window.__canary=1}".to_owned(),
        "<meta http-equiv=refresh content=\"0;url=about:blank\">".to_owned(),
        "\u{202e}gnp.exe \u{200b}\u{1b}[31m</title><script>alert(1)</script>".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_hostile_event_text_stays_text_in_every_view() {
    let (server, canary) = (ScriptServer::of(&[]).await, Canary::start().await);
    let home = Home::with_server_key(&format!(
        "[feed.evil]\nurl = \"{}\"\nmap = [\"auth-event\", \"security-event\", \"audit-line\"]\n",
        server.url()
    ));
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    let texts = attacks(&canary.url("canary"));
    for text in &texts {
        // In every place that is shown: the user, the address, the action, the raw text, an incident's title, the
        // quarantine.
        let quoted = serde_json::Value::from(text.as_str());
        server.push(&format!(r#"{{"event":"account_locked","username":{quoted},"ip":{quoted},"reason":{quoted}}}"#));
        server.push(&format!(r#"{{"type":"SQL Injection","ip":{quoted},"url":{quoted},"field":{quoted}}}"#));
        server.push(&format!(r#"{{"event":{quoted},"username":{quoted}}}"#));
        server.push(&format!("unreadable {text}"));
    }
    let clean = "return window.__canary === undefined && document.querySelectorAll('iframe, script:not([type=module]), img, link[rel=stylesheet][href^=http], meta[http-equiv]').length === 0 && location.protocol === 'tauri:'";
    window
        .until("the events are shown", "return document.querySelectorAll('[data-testid=live] .strong').length >= 10")
        .await;
    window.until("clean: watch", clean).await;
    window.press("j").await;
    window.until("an event is open", "return document.querySelector('[data-testid=raw]') !== null").await;
    window.until("clean: event", clean).await;
    window.press("2").await;
    window.until("incidents", "return document.querySelectorAll('[data-incident]').length >= 12").await;
    for _ in 0..texts.len() {
        window.press("j").await;
        window.until("clean: incident", clean).await;
    }
    window.press("3").await;
    window
        .run("[...document.querySelectorAll('[role=tab]')].find((t) => t.textContent.startsWith('Quarantine')).click()")
        .await;
    window.see("unreadable").await;
    window.until("clean: quarantine", clean).await;
    window.until("t4: what reorders text is shown as an escape", "return document.body.textContent.includes('\\\\u{202e}gnp.exe') && !document.body.textContent.includes('\\u202e')").await;
    window.picture("hostile").await;
    assert_eq!(canary.heard(), [""; 0], "the page asked for the canary");
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_commands_refuse_what_makes_no_sense() {
    let (_server, config) = attacked().await;
    let home = Home::with_server_key(&config);
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    let script = r#"
        const done = arguments[arguments.length - 1];
        const call = (cmd, args) => window.__TAURI_INTERNALS__.invoke(cmd, args).then(() => 'ok', (e) => 'no');
        (async () => {
            const out = {};
            for (const [cmd, args] of [['act', {}], ['act', { ids: null }], ['act', { ids: ['1'], action: { do: 'drop' } }], ['act', { ids: [{ a: 1 }], action: { do: 'unmerge' } }], ['act', { ids: ['../../etc'], action: { do: 'unmerge' } }], ['act', { ids: ['1'], action: { do: 'resolve', verdict: 'x', note: null } }], ['act', { ids: ['1'], action: { do: 'snooze', minutes: 0, note: null } }], ['act', { ids: ['1'], action: { do: 'snooze', minutes: 4e9, note: null } }], ['act', { ids: ['1'], action: { do: 'merge', into: '1' } }], ['add_silence', { matcher: {}, reason: 'x', length: '1h' }], ['add_silence', { matcher: { x: 1 }, reason: 'x', length: '1h' }], ['end_silence', { id: 'none' }], ['test_channel', { name: 'none' }], ['drill', {}], ['add_override', { schedule: 'x', person: 'y', from: 0, to: 1 }], ['metrics', { since: 'yesterday' }], ['event', { seq: -1 }], ['event', { seq: 1e300 }], ['pull_live', { after: 0, limit: 1, query: '"' }], ['add_feed', { name: '../x', url: 'wss://x', mapping: 'ecs' }], ['add_feed', { name: 'x', url: 'file:///etc/passwd', mapping: 'ecs' }], ['rates', { minutes: -1, buckets: 0 }], ['incident', { id: "1' OR 1=1" }], ['recover', { key: '' }], ['act', { ids: ['1'], action: { do: 'note', text: '' } }]])
                out[cmd + JSON.stringify(args)] = await call(cmd, args);
            done(out);
        })();
    "#;
    let answers = window.run_async(script).await;
    for (call, answer) in answers.as_object().unwrap() {
        assert_eq!(answer, "no", "{call}");
    }
    assert!(window.js("return window.__TAURI__ === undefined").await.as_bool().unwrap());
    window.see("1 feed live").await;
    window.close().await;
}

/// Commands of the core, of the plugins that are here, and of some that are not.
const FOREIGN: &[(&str, &str)] = &[
    ("window", "create close destroy hide show get_all_windows title set_title set_size set_fullscreen set_focus"),
    ("window", "set_ignore_cursor_events set_content_protected set_always_on_top start_dragging cursor_position"),
    ("webview", "create_webview create_webview_window get_all_webviews webview_close webview_hide print reparent"),
    ("webview", "set_webview_zoom clear_all_browsing_data internal_toggle_devtools webview_position"),
    ("event", "listen unlisten emit emit_to"),
    ("path", "resolve_directory resolve normalize join dirname extname basename is_absolute"),
    ("app", "version name tauri_version identifier app_hide app_show exit set_app_theme default_window_icon"),
    ("image", "new from_bytes from_path rgba size"),
    ("menu", "new append get items popup create_default set_as_app_menu"),
    ("tray", "new get_by_id remove_by_id set_icon set_tooltip"),
    ("resources", "close"),
    ("dialog", "open save message ask confirm"),
    ("notification", "notify is_permission_granted request_permission permission_state"),
    ("window-state", "save_window_state restore_state filename"),
    ("fs", "read_file read_text_file write_file write_text_file read_dir remove mkdir open copy_file exists"),
    ("shell", "open execute spawn kill"),
    ("opener", "open_url open_path reveal_item_in_dir"),
    ("process", "exit restart"),
    ("http", "fetch fetch_send"),
    ("clipboard-manager", "read_text write_text"),
    ("global-shortcut", "register"),
    ("updater", "check download_and_install"),
    ("os", "platform hostname"),
    ("core:window", "create close"),
    ("core:event", "emit"),
];

/// Arguments with which each of them would do something, were it granted: what one does not know it does not look at.
const RIGHT: &str = r#"{
    label: 'main', windowLabel: 'main', value: 'x', id: 'main', title: 'x', message: 'x', url: 'https://example.com/',
    event: 'x', payload: 1, target: { kind: 'Any' }, handler: 1, eventId: 1, directory: 21, path: '/etc/passwd',
    paths: ['/etc', 'passwd'], rid: 0, kind: 'Menu', flags: 63, exitCode: 0, program: 'sh', args: ['-c', 'id'],
    cmd: 'sh', contents: [120], data: 'x', text: 'x', shortcuts: ['A'], width: 1, height: 1, rgba: [0, 0, 0, 0],
    bytes: [0], theme: 'dark', options: {}
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn t2_the_page_can_call_no_command_of_the_core_or_of_a_plugin() {
    let (_server, config) = attacked().await;
    let home = Home::with_server_key(&config);
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    let mut names: Vec<String> = FOREIGN
        .iter()
        .flat_map(|(plugin, commands)| commands.split(' ').map(move |command| format!("plugin:{plugin}|{command}")))
        .collect();
    names.extend(["no_such_command", "plugin:event", "plugin:event|", "constructor"].map(str::to_owned));
    let script = format!(
        r#"
        const done = arguments[arguments.length - 1];
        const right = {RIGHT};
        const own = {{
            'plugin:window|create': {{ options: {{ label: 'second', url: 'index.html' }} }},
            'plugin:webview|create_webview_window': {{ options: {{ label: 'second', url: 'index.html' }} }},
            'plugin:webview|create_webview': {{ options: {{ label: 'second', url: 'index.html', x: 0, y: 0, width: 9, height: 9 }} }},
            'plugin:notification|notify': {{ options: {{ title: 'x', body: 'y' }} }},
        }};
        const call = async (cmd) => {{
            try {{
                return 'ok: ' + JSON.stringify(await window.__TAURI_INTERNALS__.invoke(cmd, {{ ...right, ...own[cmd] }}));
            }} catch (e) {{
                return String(e);
            }}
        }};
        const names = {names};
        Promise.all(names.map(call)).then((said) => done(names.map((n, i) => [n, said[i]])));
        "#,
        names = serde_json::to_string(&names).unwrap()
    );
    let answers = window.run_async(&script).await;
    let answers = answers.as_array().unwrap();
    assert!(answers.len() > 100, "{answers:?}");
    // Refused for want of a permission, whatever the arguments: a command that is granted would find fault with them.
    for answer in answers {
        assert!(answer[1].as_str().unwrap().contains(" not allowed"), "{answer}");
    }
    assert_eq!(window.windows().await, 1);
    assert!(window.js("return window.__TAURI__ === undefined").await.as_bool().unwrap());
    window.close().await;
}

/// They end something, open a native window or send something as soon as they are called, with whatever.
const NOT_CALLED: &[&str] = &["retry_start", "show_recovery_key", "drill", "try_demo", "hide_window", "quit"];

/// They only look: what they make of garbage is theirs, as long as they answer.
const LOOK: &[&str] = &[
    "pull_live",
    "search_events",
    "event",
    "rates",
    "incidents",
    "incident",
    "preview_silence",
    "metrics",
    "preview_report",
    "audit_entries",
    "audit_proof",
];

const GARBAGE: &str = r#"[
    undefined, null, true, -1, 0.5, 4294967296, 1e300, '', ' ', '"', '\u0000', '\u202egnp', '../../etc/passwd',
    "1' OR 1=1 --", 'x'.repeat(100000), [], [null], [[]], ['../../etc/passwd'], [{ a: 1 }], {}, { do: 'drop' },
    { do: null }, { kind: 'x' }, { toString: 1 }, { '': { '': {} } }
]"#;

/// The names of a command's arguments, as the generated bindings have them.
fn arguments(command: &str) -> Vec<String> {
    let bindings = include_str!("../../ui/src/host/bindings.ts");
    let (_, rest) =
        bindings.split_once(&format!("(\"{command}\"")).unwrap_or_else(|| panic!("no binding of {command}"));
    match rest.strip_prefix(", { ") {
        Some(rest) => rest.split_once(" }").unwrap().0.split(", ").map(str::to_owned).collect(),
        None => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_every_command_of_the_page_takes_garbage_and_nothing_comes_of_it() {
    let (_server, config) = attacked().await;
    let home = Home::with_server_key(&config);
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    window.press("2").await;
    let queue = "return document.querySelectorAll('[data-incident]').length === 5";
    window.until("five incidents", queue).await;
    for command in COMMANDS.iter().filter(|c| !NOT_CALLED.contains(c)) {
        let names = arguments(command);
        let script = format!(
            r#"
            const done = arguments[arguments.length - 1];
            const names = {};
            const late = () => new Promise((r) => setTimeout(() => r('no answer'), 15000));
            const ask = async (args) => {{
                try {{
                    await window.__TAURI_INTERNALS__.invoke('{command}', args);
                    return 'ok';
                }} catch {{
                    return 'refused';
                }}
            }};
            const call = (g) => Promise.race([ask(Object.fromEntries(names.map((n) => [n, g]))), late()]);
            const garbage = {GARBAGE};
            Promise.all(garbage.map(call)).then((said) => done(said.map((s, i) => [s, String(JSON.stringify(garbage[i])).slice(0, 60)])));
            "#,
            serde_json::to_string(&names).unwrap()
        );
        for answer in window.run_async(&script).await.as_array().unwrap() {
            if names.is_empty() || LOOK.contains(command) {
                assert_ne!(answer[0], "no answer", "{command}: {answer}");
            } else {
                assert_eq!(answer[0], "refused", "{command}: {answer}");
            }
        }
    }
    assert_eq!(home.config().matches("[feed.").count(), 1, "{}", home.config());
    assert!(!window.log().contains("panicked"), "{}", window.log());
    window.until("and five incidents still", queue).await;
    window.press("1").await;
    window.see("1 feed live").await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_nothing_leads_out_of_the_page() {
    let canary = Canary::start().await;
    let (_server, config) = attacked().await;
    let home = Home::with_server_key(&config);
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    // Another document would not have it.
    window.run("window.__ours = 1").await;
    let url = canary.url("out");
    let port = canary.address.port();
    let link = |url: &str, more: &str| {
        format!(
            "const a = document.createElement('a'); a.href = '{url}'; {more}; document.body.append(a); a.click(); a.remove()"
        )
    };
    let form = |method: &str, more: &str| {
        format!(
            "const f = document.createElement('form'); f.action = '{url}'; f.method = '{method}'; {more}; document.body.append(f); f.submit(); f.remove()"
        )
    };
    for attempt in [
        format!("location.href = '{url}'"),
        format!("location.assign('{url}')"),
        format!("location.replace('{url}')"),
        format!("window.top.location = '{url}'"),
        format!("window.open('{url}')"),
        format!("window.open('{url}', '_self')"),
        "window.open('index.html')".to_owned(),
        "window.open('about:blank')".to_owned(),
        link(&url, ""),
        link(&url, "a.target = '_blank'"),
        link(&url, "a.target = '_top'"),
        link("index.html", "a.target = '_blank'"),
        link("data:text/plain,x", "a.download = 'canary-of-the-page.txt'"),
        form("get", ""),
        form("post", ""),
        form("post", "f.target = '_blank'"),
        format!(
            "const m = document.createElement('meta'); m.httpEquiv = 'refresh'; m.content = '0;url={url}'; document.head.append(m)"
        ),
        format!("location.href = 'http://tauri.localhost:{port}/'"),
        format!("location.href = 'http://localhost:{port}/'"),
        "location.href = 'http://tauri.localhost/'".to_owned(),
        "location.href = 'file:///etc/passwd'".to_owned(),
        "location.href = 'about:blank'".to_owned(),
        "location.href = 'data:text/html,<p>canary'".to_owned(),
        "location.href = 'javascript:document.write(1)'".to_owned(),
        "location.href = URL.createObjectURL(new Blob(['<p>canary'], { type: 'text/html' }))".to_owned(),
    ] {
        // One that is refused with an error is refused.
        window.run(&format!("try {{ {attempt} }} catch {{}}")).await;
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        let here = window.js("return window.__ours === 1 && location.href.startsWith('tauri://localhost')").await;
        assert_eq!(here, Value::Bool(true), "it led out: {attempt}");
        assert_eq!(window.windows().await, 1, "a second window: {attempt}");
        assert_eq!(canary.heard(), [""; 0], "{attempt}");
    }
    let found = std::process::Command::new("find").arg(home.path()).args(["-name", "canary-of-the-page*"]).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "", "a file was written");
    window.see("1 feed live").await;
    window.close().await;
}

/// What a script of the page would try, and what of the policy forbids it: one of these.
fn forbidden(canary: &str) -> Vec<(&'static str, String, &'static str)> {
    let script = "script-src script-src-elem script-src-attr require-trusted-types-for";
    let add =
        |kind: &str, more: &str| format!("const e = document.createElement('{kind}'); {more}; document.body.append(e)");
    let image = format!("new Image().src = '{canary}'");
    vec![
        ("an inline script", add("script", "e.append(document.createTextNode('window.__canary = 1'))"), script),
        ("a foreign script", add("script", &format!("e.setAttribute('src', '{canary}')")), script),
        ("a handler", add("button", "e.setAttribute('onclick', 'window.__canary = 1'); e.click()"), script),
        ("markup", add("div", "e.innerHTML = '<b>x</b>'"), script),
        ("eval", "eval('window.__canary = 1')".into(), script),
        ("an inline style", add("style", "e.textContent = '*{color:red}'"), "style-src style-src-elem"),
        (
            "a foreign style",
            add("link", &format!("e.rel = 'stylesheet'; e.href = '{canary}'")),
            "style-src style-src-elem",
        ),
        ("a foreign picture", image, "img-src"),
        ("a frame", add("iframe", &format!("e.src = '{canary}'")), "frame-src child-src default-src"),
        ("an object", add("object", &format!("e.data = '{canary}'")), "object-src"),
        ("a request", format!("fetch('{canary}').catch(() => 0)"), "connect-src"),
        ("a form", add("form", &format!("e.action = '{canary}'; setTimeout(() => e.submit(), 10)")), "form-action"),
        ("another base", add("base", &format!("e.href = '{canary}'")), "base-uri"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_the_policy_is_in_force_in_the_window() {
    let canary = Canary::start().await;
    let (_server, config) = attacked().await;
    let home = Home::with_server_key(&config);
    let window = Window::open(&home, "").await;
    window.see("1 feed live").await;
    for (what, attempt, directives) in forbidden(&canary.url("policy")) {
        let script = format!(
            r#"
            const done = arguments[arguments.length - 1];
            const wanted = '{directives}'.split(' ');
            const all = [];
            const seen = new Promise((found) => document.addEventListener('securitypolicyviolation', (e) => {{
                all.push(e.effectiveDirective);
                if (wanted.includes(e.effectiveDirective)) found('forbidden');
            }}));
            const never = new Promise((r) => setTimeout(() => r('not forbidden, but: ' + all), 10000));
            try {{ {attempt} }} catch {{}}
            // What else comes of it is not to be taken for the next one's.
            Promise.race([seen, never]).then((what) => setTimeout(() => done(what), 200));
            "#
        );
        assert_eq!(window.run_async(&script).await, "forbidden", "{what}");
    }
    for attempt in [
        format!("new WebSocket('ws://{}/')", canary.address),
        format!("navigator.sendBeacon('{}', 'x')", canary.url("beacon")),
        format!("new EventSource('{}')", canary.url("events")),
        format!("new FontFace('x', 'url({})').load().catch(() => 0)", canary.url("font")),
        format!(
            "const v = document.createElement('video'); v.src = '{}'; document.body.append(v)",
            canary.url("video")
        ),
        format!("new Worker('{}')", canary.url("worker")),
    ] {
        window.run(&format!("try {{ {attempt} }} catch {{}}")).await;
    }
    // Time for one that goes out after all.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(window.js("return window.__canary === undefined").await, Value::Bool(true));
    assert_eq!(canary.heard(), [""; 0]);
    window.close().await;
}
