use super::*;

fn parse(text: &str) -> Result<FeedConfig, String> {
    let config: FeedConfig = toml::from_str(text).map_err(|e| e.message().to_owned())?;
    config.check().map(|()| config)
}

#[test]
fn the_whole_table_of_the_design_is_understood() {
    let config = parse(
        r#"
        kind = "generic"
        url = "wss://shop.example/security/events?since={cursor}"
        auth = { scheme = "bearer", secret = "keychain:shop" }
        headers = { }
        subprotocols = [ ]
        tls = { ca = "corp.pem" }
        limits = { frame = "4MiB", json_depth = 64, events_per_frame = 5000, queue = "64MiB" }
        on_connect = [ { send = '{"subscribe":"security","since":"{cursor}"}', expect = { pointer = "/type", equals = "ack" }, within = "5s" } ]
        ping = { mode = "ws", every = "20s", timeout = "10s" }
        idle = "90s"
        decode = { split = "none", unwrap = [ ], events = "/events/*", ignore = [ ] }
        map = "ecs"
        resume = { cursor = "/offset", epoch = "/epoch", recovered = "/recovered", ack = '{"ack":"{cursor}"}' }
        dedup = { id = "/id", window = "48h" }
        silence = "10m"
        backoff = { base = "500ms", cap = "60s", reset_after = "60s" }
        "#,
    )
    .unwrap();
    assert_eq!(config.silence, Some(Duration::from_secs(600)));
    assert!(config.resumes());
}

#[test]
fn what_is_wrong_is_said_in_a_sentence() {
    for (text, expected) in [
        ("url = \"wss://x\"\nurll = 1", "unknown field `urll`"),
        ("url = \"ws://shop.example/\"", "insecure = true"),
        ("url = \"https://shop.example/\"", "not a WebSocket"),
        ("url = \"nonsense\"", "nonsense"),
        ("url = \"wss://u:p@x/\"", "auth"),
        ("url = \"wss://x\"\nidle = \"soon\"", "not a span of time"),
        ("url = \"wss://x\"\nauth = { scheme = \"bearer\", secret = \"hunter2\" }", "reference"),
        ("url = \"wss://x\"\nheaders = { Authorization = \"Bearer x\" }", "use auth"),
        ("url = \"wss://x\"\nresume = { cursor = \"offset\" }", "JSON pointer"),
        ("url = \"wss://x\"\ndecode = { events = \"/events\" }", "must end in /*"),
        ("url = \"wss://x\"\nlimits = { frame = \"1GiB\" }", "limits.frame"),
        ("url = \"wss://x\"\nkind = \"carrier-pigeon\"", "carrier-pigeon"),
    ] {
        let error = parse(text).map(|_| ()).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("hunter2"), "t8: the secret was repeated");
    }
    assert!(parse("url = \"ws://127.0.0.1:9/\"").is_ok());
    assert!(parse("url = \"ws://10.0.0.1:9/\"\ninsecure = true").is_ok());
}

#[test]
fn the_wait_doubles_up_to_its_cap_and_is_a_random_share() {
    let b = Backoff::default();
    let most: Vec<_> = (0..9).map(|n| b.wait(n, 1.0).as_millis()).collect();
    assert_eq!(most, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
    assert_eq!(b.wait(3, 0.25).as_millis(), 1000);
    assert_eq!(b.wait(u32::MAX, 0.0).as_millis(), 0);
}

#[test]
fn t8_nothing_that_looks_like_a_secret_is_taken_or_shown() {
    for text in [
        "url = \"wss://x/?since={cursor}&access_token=hunter2\"",
        "url = \"wss://x/?apiKey=hunter2\"",
        "url = \"wss://x\"\nheaders = { X-Api-Key = \"hunter2\" }",
        "url = \"wss://x\"\nheaders = { Cookie = \"s=hunter2\" }",
        "url = \"wss:///?token=hunter2\"",
        "url = \"x?token=hunter2\"",
    ] {
        let error = parse(text).map(|_| ()).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
    let named = parse("url = \"wss://x/?token=hunter2\"").map(|_| ()).unwrap_err();
    assert!(named.contains("'token'") && named.contains("auth"), "{named}");
    let config = parse(
        "url = \"wss://x/events?continuation_token={cursor}&routing_key=a\"\n\
         headers = { X-Api-Key = \"keychain:shop\", X-Scope = \"s\" }",
    )
    .unwrap();
    assert_eq!(config.shown_url(), "wss://x/events");
    assert_eq!(config.secrets().map(ToString::to_string).collect::<Vec<_>>(), ["keychain:shop"]);
    assert_eq!(check::shown("wss://u:p@x:1/a?b#c"), "wss://x:1/a");
}

#[test]
fn a_limit_of_nothing_is_refused_by_its_key() {
    for (text, key) in [
        ("idle = \"0s\"", "idle"),
        ("ping = { every = \"0s\" }", "ping.every"),
        ("ping = { timeout = \"0s\" }", "ping.timeout"),
        ("backoff = { base = \"0s\" }", "backoff.base"),
        ("backoff = { cap = \"100ms\" }", "backoff.cap"),
        ("timeouts = { connect = \"0s\" }", "timeouts.connect"),
        ("timeouts = { handshake = \"0s\" }", "timeouts.handshake"),
        ("on_connect = [{ send = \"x\", within = \"0s\" }]", "on_connect.within"),
        ("silence = \"0s\"", "silence"),
        ("dedup = { window = \"0s\" }", "dedup.window"),
        ("dedup = { most = 0 }", "dedup.most"),
        ("limits = { json_depth = 0 }", "limits.json_depth"),
        ("limits = { events_per_frame = 0 }", "limits.events_per_frame"),
    ] {
        let error = parse(&format!("url = \"wss://x\"\n{text}")).map(|_| ()).unwrap_err();
        assert!(error.starts_with(key), "{text}: {error}");
    }
}
