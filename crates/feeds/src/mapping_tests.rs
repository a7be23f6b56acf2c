use super::*;

fn map(names: &[&str], text: &str) -> Result<Mapped, String> {
    let mappings: Vec<_> = names.iter().map(|n| Mapping::built_in(n).unwrap()).collect();
    let json = text.starts_with('{').then(|| parse(text, &Limits::default()).unwrap());
    apply_at(&mappings, text, json.as_ref(), "2026-11-20T12:00:00Z")
}

fn apply_at(mappings: &[Mapping], text: &str, json: Option<&Json>, now: &str) -> Result<Mapped, String> {
    let now = Timestamp::parse(now).unwrap();
    apply(mappings, text, json, Reading { limits: &Limits::default(), now, zone: Tz::UTC })
}

fn get(m: &Mapped, field: &str) -> String {
    m.fields.get(field).map(ToString::to_string).unwrap_or_default()
}

#[track_caller]
fn check(names: &[&str], text: &str, at: &str, expected: &[(&str, &str)]) {
    let m = map(names, text).unwrap();
    assert_eq!(m.occurred_at, Timestamp::parse(at), "time of {text}");
    for (field, value) in expected {
        assert_eq!(get(&m, field), *value, "{field} of {text}");
    }
}

#[test]
fn every_mapping_that_ships_can_be_chosen_for_a_new_feed_and_nothing_else_can() {
    let mut offered: Vec<&str> = SHAPES.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    let mut shipped: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    offered.sort_unstable();
    shipped.sort_unstable();
    assert_eq!(offered, shipped);
}

#[test]
fn every_built_in_mapping_compiles_and_is_called_as_it_says() {
    for (name, text) in BUILT_IN {
        assert_eq!(Mapping::parse(text).unwrap().name(), *name);
    }
}

#[test]
fn the_shapes_of_a_web_application_are_read() {
    check(
        &["activity-log"],
        r#"{"user_id":104,"action":"POST /articles","ip_address":"103.1.2.3","user_agent":"Mozilla/5.0","created_at":"2026-02-22 22:00:00"}"#,
        "2026-02-22T22:00:00Z",
        &[
            ("user.id", "104"),
            ("source.ip", "103.1.2.3"),
            ("watchfloor.activity", "POST /articles"),
            ("event.action", "activity"),
        ],
    );
    check(
        &["security-event"],
        r#"{"type":"SQL Injection","ip":"103.1.2.3","user_agent":"x","url":"/search?q=1' OR 1=1","field":"q","pattern":"matched_regex","user_id":null,"timestamp":"2026-02-22T22:00:00"}"#,
        "2026-02-22T22:00:00Z",
        &[
            ("event.action", "sql_injection"),
            ("url.original", "/search?q=1' OR 1=1"),
            ("user.id", ""),
            ("watchfloor.field", "q"),
        ],
    );
    check(
        &["auth-event"],
        r#"{"event":"login_failed","user_id":7,"email":"ann@shop.example","ip_address":"10.0.0.1","timestamp":"2026-02-22T22:00:00Z"}"#,
        "2026-02-22T22:00:00Z",
        &[
            ("event.action", "login_failed"),
            ("event.outcome", "failure"),
            ("user.name", "ann@shop.example"),
            ("user.id", "7"),
        ],
    );
    check(
        &["auth-log"],
        r#"{"id":"1","user_id":"9f","event_type":"login_failed","ip_address":"10.0.0.1","country":"CN","success":false,"failure_reason":"bad password","mfa_used":false,"created_at":"2026-02-22T22:00:00Z"}"#,
        "2026-02-22T22:00:00Z",
        &[
            ("event.action", "login_failed"),
            ("event.outcome", "failure"),
            ("source.geo.country_iso_code", "CN"),
            ("event.reason", "bad password"),
            ("watchfloor.mfa", "false"),
        ],
    );
    check(
        &["audit-line"],
        "2026-01-10 14:31:22 | WARNING | event=pin_failed | success=false | ip=192.168.1.2 | user_id=5",
        "2026-01-10T14:31:22Z",
        &[
            ("event.action", "pin_failed"),
            ("event.outcome", "failure"),
            ("source.ip", "192.168.1.2"),
            ("user.id", "5"),
            ("log.level", "warning"),
        ],
    );
    check(
        &["audit-line"],
        "2026-01-10 14:32:00 | ERROR | SUSPICIOUS | ip=192.168.1.3 | reason=high_failure_rate | details={'failures': 15}",
        "2026-01-10T14:32:00Z",
        &[
            ("event.action", "suspicious"),
            ("event.reason", "high_failure_rate"),
            ("watchfloor.details", "{'failures': 15}"),
        ],
    );
    check(
        &["ecs"],
        r#"{"@timestamp":"2026-02-22T22:00:00Z","event":{"action":"login_failed"},"source.ip":"10.0.0.1","user":{"id":9007199254740993},"x":null,"list":["a","b"]}"#,
        "2026-02-22T22:00:00Z",
        &[
            ("event.action", "login_failed"),
            ("source.ip", "10.0.0.1"),
            ("user.id", "9007199254740993"),
            ("list", "a, b"),
        ],
    );
}

#[test]
fn the_first_mapping_that_fits_wins_and_none_is_said() {
    let all = ["auth-event", "auth-log", "security-event", "activity-log"];
    check(
        &all,
        r#"{"type":"XSS","ip":"1.1.1.1","timestamp":"2026-02-22T22:00:00Z"}"#,
        "2026-02-22T22:00:00Z",
        &[("event.action", "xss")],
    );
    let error = map(&all, r#"{"foo":1}"#).unwrap_err();
    assert!(
        error.contains("auth-event: it needs /event") && error.contains("security-event: it needs /type"),
        "{error}"
    );
    assert!(map(&["auth-event"], "plain text").unwrap_err().contains("not JSON"));
    assert!(map(&["audit-line"], "no pipes").is_err());
}

#[test]
fn lines_of_sshd_are_read_in_each_form_they_come_in() {
    for text in [
        "Nov 20 12:00:01 web1 sshd[812]: Failed password for invalid user admin from 203.0.113.45 port 51122 ssh2",
        "2026-11-20T12:00:01.000000+00:00 web1 sshd[812]: Failed password for invalid user admin from 203.0.113.45 port 51122 ssh2",
        "<38>Nov 20 12:00:01 web1 sshd[812]: Failed password for invalid user admin from 203.0.113.45 port 51122 ssh2",
        r#"{"message":"Failed password for invalid user admin from 203.0.113.45 port 51122 ssh2","@timestamp":"2026-11-20T12:00:01Z","host":"web1"}"#,
        r#"{"MESSAGE":"Failed password for invalid user admin from 203.0.113.45 port 51122 ssh2","__REALTIME_TIMESTAMP":"1795176001000000","_HOSTNAME":"web1","_PID":"812","SYSLOG_IDENTIFIER":"sshd"}"#,
        r#"{"message":"Nov 20 12:00:01 web1 sshd[812]: Failed password for invalid user admin from 203.0.113.45 port 51122 ssh2"}"#,
    ] {
        check(
            &["sshd"],
            text,
            "2026-11-20T12:00:01Z",
            &[
                ("event.action", "login_failed"),
                ("source.ip", "203.0.113.45"),
                ("user.name", "admin"),
                ("host.name", "web1"),
                ("source.port", "51122"),
            ],
        );
    }
    for (message, action, user, ip) in [
        (
            "Accepted publickey for deploy from 10.0.0.5 port 22 ssh2: ED25519 SHA256:abc",
            "login_success",
            "deploy",
            "10.0.0.5",
        ),
        ("Failed password for root from 2001:db8::1 port 22 ssh2", "login_failed", "root", "2001:db8::1"),
        ("Failed password for invalid user  from 10.0.0.5 port 22 ssh2", "login_failed", "", "10.0.0.5"),
        ("Invalid user test from 10.0.0.5 port 22", "login_failed", "test", "10.0.0.5"),
        ("Invalid user a b from 10.0.0.5", "login_failed", "a b", "10.0.0.5"),
        ("User root from 10.0.0.5 not allowed because not listed in AllowUsers", "login_failed", "root", "10.0.0.5"),
        ("Failed none for invalid user test from 10.0.0.5 port 22 ssh2", "methods_asked", "test", "10.0.0.5"),
        ("Disconnected from invalid user ftp 10.0.0.5 port 22 [preauth]", "login_failed", "ftp", "10.0.0.5"),
        ("Disconnected from nosuch user ftp 10.0.0.5 port 22 [preauth]", "", "", ""),
        ("Disconnected from user ann 10.0.0.5 port 22", "connection_closed", "ann", "10.0.0.5"),
        (
            "Received disconnect from 10.0.0.5 port 22:11: Bye 9.9.9.9 port 1 [preauth]",
            "connection_closed",
            "",
            "10.0.0.5",
        ),
        ("Received disconnect from 2001:db8::5: 11: Bye Bye [preauth]", "connection_closed", "", "2001:db8::5"),
        (
            "Disconnecting authenticating user root 10.0.0.5 port 22: Too many authentication failures [preauth]",
            "login_failed",
            "root",
            "10.0.0.5",
        ),
        (
            "Unable to negotiate with 10.0.0.5 port 22: no matching MAC found. Their offer: x 9.9.9.9 port 1: no [preauth]",
            "negotiation_failed",
            "",
            "10.0.0.5",
        ),
        ("fatal: Timeout before authentication for 10.0.0.5 port 22", "login_timeout", "", "10.0.0.5"),
        (
            "Timeout before authentication for connection from 10.0.0.5 to 10.0.0.1, pid = 812",
            "login_timeout",
            "",
            "10.0.0.5",
        ),
        ("refused connect from host.example (10.0.0.5)", "connection_refused", "", "10.0.0.5"),
        ("banner exchange: Connection from 10.0.0.5 port 22: invalid format", "protocol_error", "", "10.0.0.5"),
        (
            "ssh_dispatch_run_fatal: Connection from 10.0.0.5 port 22: message authentication code incorrect [preauth]",
            "protocol_error",
            "",
            "10.0.0.5",
        ),
        (
            "error: maximum authentication attempts exceeded for root from 10.0.0.5 port 22 ssh2 [preauth]",
            "login_failed",
            "root",
            "10.0.0.5",
        ),
        (
            "Connection closed by authenticating user root 10.0.0.5 port 22 [preauth]",
            "login_failed",
            "root",
            "10.0.0.5",
        ),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.5  user=root",
            "pam_authentication_failure",
            "root",
            "10.0.0.5",
        ),
        ("Server listening on 0.0.0.0 port 22.", "", "", ""),
    ] {
        let m = map(&["sshd"], message).unwrap();
        assert_eq!(
            (get(&m, "event.action"), get(&m, "user.name"), get(&m, "source.ip")),
            (action.into(), user.into(), ip.into()),
            "{message}"
        );
    }
}

#[test]
fn t4_a_user_name_cannot_forge_the_address_of_an_sshd_line() {
    let m =
        map(&["sshd"], "Failed password for invalid user x from 1.2.3.4 port 22 ssh2 from 203.0.113.9 port 4242 ssh2")
            .unwrap();
    assert_eq!(get(&m, "source.ip"), "203.0.113.9");
    assert_eq!(get(&m, "user.name"), "x from 1.2.3.4 port 22 ssh2");
    for (line, user) in [
        ("Invalid user x from 1.2.3.4 port 5 from 203.0.113.9 port 4242", "x from 1.2.3.4 port 5"),
        (
            "Connection closed by invalid user x 1.2.3.4 port 5 [preauth] 203.0.113.9 port 4242 [preauth]",
            "x 1.2.3.4 port 5 [preauth]",
        ),
        (
            "Disconnecting invalid user x 1.2.3.4 port 5 203.0.113.9 port 4242: Too many authentication failures [preauth]",
            "x 1.2.3.4 port 5",
        ),
    ] {
        let m = map(&["sshd"], line).unwrap();
        assert_eq!((get(&m, "source.ip").as_str(), get(&m, "user.name").as_str()), ("203.0.113.9", user), "{line}");
    }
    let change = "Disconnecting authenticating user root 203.0.113.9 port 4242: Change of username or service not \
                  allowed: (root,ssh-connection) -> (x 1.2.3.4 port 5 [preauth],ssh-connection) [preauth]";
    assert_eq!(get(&map(&["sshd"], change).unwrap(), "source.ip"), "");
}

#[test]
fn a_feed_cannot_set_the_fields_that_are_ours() {
    let m = map(
        &["ecs"],
        r#"{"watchfloor":{"incident":7,"logsource":{"product":"windows"}},"watchfloor.incident":7,"a":1}"#,
    )
    .unwrap();
    assert_eq!(
        (get(&m, "watchfloor.incident"), get(&m, "watchfloor.logsource.product")),
        (String::new(), "watchfloor".into())
    );
}

#[test]
fn folded_lines_count_as_often_as_they_say_within_reason() {
    let m = map(
        &["sshd"],
        "Nov 20 12:00:01 h sshd[1]: message repeated 3 times: [ Failed password for root from 10.0.0.5 port 22 ssh2]",
    )
    .unwrap();
    assert_eq!((m.times, get(&m, "event.action").as_str()), (3, "login_failed"));
    assert_eq!(
        map(&["sshd"], "message repeated 4000000000 times: [ Failed password for root from 10.0.0.5 port 22 ssh2]")
            .unwrap()
            .times,
        100
    );
}

#[test]
fn a_stamp_without_a_year_is_of_the_year_that_puts_it_last_before_tomorrow() {
    let mappings = [Mapping::built_in("sshd").unwrap()];
    for (line, now, expected) in [
        ("Dec 31 23:59:59 h sshd[1]: x", "2027-01-01T00:00:05Z", "2026-12-31T23:59:59Z"),
        ("Nov 20 12:00:00 h sshd[1]: x", "2027-01-10T00:00:00Z", "2026-11-20T12:00:00Z"),
        ("Jan  1 00:30:00 h sshd[1]: x", "2026-12-31T23:30:00Z", "2027-01-01T00:30:00Z"),
        ("<38>Jan  2 00:30:00 h sshd[1]: x", "2026-12-31T23:30:00Z", "2026-01-02T00:30:00Z"),
        ("Feb 29 12:00:00 h sshd[1]: x", "2026-11-20T12:00:00Z", "2024-02-29T12:00:00Z"),
    ] {
        let m = apply_at(&mappings, line, None, now).unwrap();
        assert_eq!(m.occurred_at, Timestamp::parse(expected), "{line} read at {now}");
    }
}

#[test]
fn a_line_that_no_pattern_fits_goes_on_to_the_next_mapping_and_the_last_one_keeps_it() {
    let own = |name: &str, word: &str| {
        let text = format!(
            "name = '{name}'\ninput = 'syslog'\n[set]\n'service.type' = '{name}'\n[[pattern]]\nregex = '^{word}'\n"
        );
        Mapping::parse(&text).unwrap()
    };
    let mappings = [own("first", "alpha"), own("second", "beta")];
    for (line, service) in [("alpha 1", "first"), ("beta 2", "second"), ("gamma 3", "second")] {
        let m = apply_at(&mappings, line, None, "2026-11-20T12:00:00Z").unwrap();
        assert_eq!((get(&m, "service.type").as_str(), get(&m, "message").as_str()), (service, line));
    }
    let m = map(&["sshd", "audit-line"], "2026-01-10 14:31:22 | WARNING | event=pin_failed | ip=192.168.1.2").unwrap();
    assert_eq!(get(&m, "event.action"), "pin_failed");
    assert_eq!(get(&map(&["sshd", "audit-line"], "Server listening on :: port 22.").unwrap(), "service.type"), "sshd");
}

#[test]
fn what_a_feed_pads_a_value_with_hides_neither_its_end_nor_that_it_was_cut() {
    let text = format!(r#"{{"url":{{"original":"{}' OR '1'='1"}},"n":1}}"#, "a".repeat(16_384));
    let m = map(&["ecs"], &text).unwrap();
    assert!(get(&m, "url.original").ends_with("a' OR '1'='1"));
    assert_eq!(get(&m, "watchfloor.cut_values"), "1");
    assert_eq!(get(&map(&["ecs"], r#"{"n":1}"#).unwrap(), "watchfloor.cut_values"), "");
}

#[test]
fn t11_many_fields_with_long_names_that_begin_alike_are_bounded_and_counted() {
    let begin = "a".repeat(500);
    let fields: Vec<_> = (0..5000).map(|n| format!(r#""{begin}{n}":{n}"#)).collect();
    let m = map(&["ecs"], &format!("{{{}}}", fields.join(","))).unwrap();
    assert_eq!(get(&m, "watchfloor.dropped_fields"), "4800");
    assert!(m.fields.weight() < 256 << 10, "{}", m.fields.weight());
    assert_eq!(get(&m, "watchfloor.logsource.product"), "watchfloor");
}

#[test]
fn journald_bytes_that_are_not_utf8_are_still_a_line() {
    let m = map(&["sshd"], r#"{"MESSAGE":[70,97,105,108,101,100,32,112,97,115,115,119,111,114,100,32,102,111,114,32,255,32,102,114,111,109,32,49,46,49,46,49,46,49,32,112,111,114,116,32,50,32,115,115,104,50]}"#).unwrap();
    assert_eq!((get(&m, "event.action"), get(&m, "source.ip")), ("login_failed".into(), "1.1.1.1".into()));
}

#[test]
fn a_mapping_of_ones_own_that_is_wrong_says_so() {
    for (text, expected) in [
        ("name = 'x'\nbogus = 1", "bogus"),
        ("name = 'x'\ninput = 'syslog'\n[[pattern]]\nregex = '('", "pattern"),
        ("name = 'x'\ninput = 'syslog'\n[[pattern]]\nregex = 'a'\nfields = { g = 'user.name' }", "no group 'g'"),
        ("name = 'x'\n[[field]]\nfrom = ['/a']\nto = 'b'\ncast = 'magic'", "magic"),
        ("name = 'x'\ninput = 'pipe'\n[[pattern]]\nregex = 'a'", "[[pattern]]"),
        ("name = 'x'\nline = ['/m']", "line"),
        ("name = 'x'\ninput = 'syslog'\nwhen = [{ pointer = '/a' }]", "when"),
        ("name = 'x'\ninput = 'syslog'\ntime = ['/t']", "line does not say"),
        ("name = 'x'\n[[field]]\nfrom = ['/a']\nto = 'watchfloor.time'", "watchfloor.time"),
        ("not toml", "expected"),
    ] {
        let error = Mapping::parse(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

/// Every order of these.
fn orders<'a>(names: &[&'a str]) -> Vec<Vec<&'a str>> {
    match names {
        [] => vec![Vec::new()],
        _ => (0..names.len())
            .flat_map(|i| {
                let mut rest = names.to_vec();
                let first = rest.remove(i);
                orders(&rest).into_iter().map(move |mut o| {
                    o.insert(0, first);
                    o
                })
            })
            .collect(),
    }
}

#[test]
fn whatever_order_mappings_are_named_in_a_record_is_read_the_same() {
    let names = ["auth-event", "auth-log", "security-event", "activity-log", "ecs"];
    for text in [
        r#"{"user_id":104,"action":"POST /articles","ip_address":"103.1.2.3","created_at":"2026-02-22 22:00:00"}"#,
        r#"{"type":"SQL Injection","ip":"103.1.2.3","url":"/search?q=1","user_id":null,"timestamp":"2026-02-22T22:00:00"}"#,
        r#"{"event":"login_failed","action":"POST /login","created_at":"2026-02-22T22:00:00Z","ip":"10.0.0.1","username":"ann"}"#,
        r#"{"event":"data_export","action":"GET /export","created_at":"2026-02-22T22:00:00Z","contains_pii":true,"records":4000,"user_id":7,"role":"clerk"}"#,
        r#"{"event":"admin_action","type":"request","ip":"10.0.0.1","url":"/admin/users","status":403,"timestamp":"2026-02-22T22:00:00Z"}"#,
        r#"{"id":"1","user_id":"9f","event_type":"login","ip_address":"10.0.0.1","success":false,"created_at":"2026-02-22T22:00:00Z"}"#,
        r#"{"@timestamp":"2026-02-22T22:00:00Z","event":{"action":"login_failed","type":"x"},"source":{"ip":"10.0.0.1"},"user":{"email":"ann@shop.example"}}"#,
        r#"{"event":"x","type":"y","event_type":"z","ip":"10.0.0.1","action":"a","created_at":"2026-02-22T22:00:00Z"}"#,
        r#"{"nothing":"known","n":1}"#,
    ] {
        let first = map(&names, text).unwrap();
        for order in orders(&names) {
            let read = map(&order, text).unwrap();
            assert_eq!((&read.fields, read.occurred_at), (&first.fields, first.occurred_at), "{order:?}: {text}");
        }
    }
}

#[test]
fn whoever_acted_is_found_wherever_the_shape_has_them() {
    for (text, user, address) in [
        (r#"{"event":{"action":"account_locked"},"user":{"email":"ann@shop.example"}}"#, "ann@shop.example", ""),
        (r#"{"event":{"action":"account_locked"},"user":{"id":7}}"#, "", ""),
        (r#"{"event":{"action":"account_locked"},"user":{"id":"7"}}"#, "7", ""),
        (r#"{"event.action":"x","client.ip":"10.0.0.1","user.name":"ann","user.email":"e"}"#, "ann", "10.0.0.1"),
        (r#"{"event.action":"x","source.address":"10.0.0.2"}"#, "", "10.0.0.2"),
    ] {
        let m = map(&["ecs"], text).unwrap();
        assert_eq!((get(&m, "user.name").as_str(), get(&m, "source.ip").as_str()), (user, address), "{text}");
    }
}

#[test]
fn the_target_of_a_request_is_read_out_of_an_activity() {
    for (action, url, method) in [
        ("GET /search?q=1' OR '1'='1", "/search?q=1' OR '1'='1", "GET"),
        ("POST https://shop.example/admin", "https://shop.example/admin", "POST"),
        ("renamed the article", "", ""),
        ("GET it done", "", ""),
    ] {
        let text = serde_json::json!({ "user_id": 1, "action": action, "created_at": "2026-02-22 22:00:00" });
        let m = map(&["activity-log"], &text.to_string()).unwrap();
        assert_eq!((get(&m, "url.original").as_str(), get(&m, "http.request.method").as_str()), (url, method));
    }
}

#[test]
fn an_ecs_feed_can_say_what_the_rules_about_data_ask() {
    let m = map(&["ecs"], r#"{"event":{"action":"data_export"},"watchfloor":{"records_accessed":"1200","contains_pii":true,"incident":1}}"#)
        .unwrap();
    assert_eq!(
        ["watchfloor.records_accessed", "watchfloor.contains_pii", "watchfloor.incident"].map(|f| get(&m, f)),
        ["1200", "true", ""]
    );
}

#[test]
fn a_log_of_laravel_is_read() {
    check(
        &["laravel"],
        r#"{"message":"Login failed","context":{"action":"user_locked","user_id":7,"ip":"10.0.0.1","server":"eu-1"},"level":300,"level_name":"WARNING","channel":"security","datetime":"2026-02-22T22:00:00.000000+00:00","extra":{}}"#,
        "2026-02-22T22:00:00Z",
        &[
            ("event.action", "account_locked"),
            ("watchfloor.reported_as", "user_locked"),
            ("user.name", "7"),
            ("source.ip", "10.0.0.1"),
            ("host.name", "eu-1"),
            ("log.logger", "security"),
            ("log.level", "warning"),
        ],
    );
}

#[test]
fn access_logs_of_nginx_and_apache_are_read_with_their_own_time() {
    let at = "2026-06-12T14:08:52Z";
    check(
        &["access-log"],
        r#"203.0.113.9 - - [12/Jun/2026:16:08:52 +0200] "GET /search?q=%27%20or%201=1 HTTP/1.1" 404 146 "-" "curl/8.14.1""#,
        at,
        &[
            ("source.ip", "203.0.113.9"),
            ("url.original", "/search?q=%27%20or%201=1"),
            ("http.request.method", "GET"),
            ("http.response.status_code", "404"),
            ("user_agent.original", "curl/8.14.1"),
            ("user.name", ""),
            ("http.request.referrer", ""),
        ],
    );
    check(
        &["access-log"],
        r#"shop.example:443 2001:db8::9 - ann [12/Jun/2026:16:08:52 +0200] "POST /login HTTP/2.0" 200 -"#,
        at,
        &[("source.ip", "2001:db8::9"), ("user.name", "ann"), ("http.response.bytes", "")],
    );
    let line = r#"203.0.113.9 - - [12/Jun/2026:16:08:52 +0200] "\x16\x03\x01" 400 150 "-" "-""#;
    check(&["access-log"], line, at, &[("event.action", "bad_request"), ("http.response.status_code", "400")]);
    let m = map(&["access-log"], line).unwrap();
    assert_eq!(m.fields.get("http.response.status_code"), Some(&Value::Int(400)), "a number");
}

#[test]
fn t4_a_request_cannot_forge_the_rest_of_its_line() {
    let line = r#"203.0.113.9 - - [12/Jun/2026:16:08:52 +0200] "GET /x\" 200 1 \"-\" \"y HTTP/1.1" 403 146 "-" "a\" 10.0.0.1""#;
    let m = map(&["access-log"], line).unwrap();
    assert_eq!((get(&m, "http.response.status_code").as_str(), get(&m, "source.ip").as_str()), ("403", "203.0.113.9"));
}
