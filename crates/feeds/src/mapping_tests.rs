use super::*;

fn map(names: &[&str], text: &str) -> Result<Mapped, String> {
    let mappings: Vec<_> = names.iter().map(|n| Mapping::built_in(n).unwrap()).collect();
    let json = text.starts_with('{').then(|| parse(text, &Limits::default()).unwrap());
    apply(&mappings, text, json.as_ref(), &Limits::default(), Timestamp::parse("2026-11-20T12:00:00Z").unwrap())
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
fn every_built_in_mapping_compiles_and_is_called_as_it_says() {
    for (name, text) in BUILT_IN {
        assert_eq!(Mapping::parse(text).unwrap().name(), *name);
    }
}

#[test]
fn the_shapes_of_the_seeds_are_read() {
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
        ("Invalid user test from 10.0.0.5 port 22", "invalid_user", "test", "10.0.0.5"),
        (
            "error: maximum authentication attempts exceeded for root from 10.0.0.5 port 22 ssh2 [preauth]",
            "login_attempts_exhausted",
            "root",
            "10.0.0.5",
        ),
        (
            "Connection closed by authenticating user root 10.0.0.5 port 22 [preauth]",
            "connection_closed",
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
fn december_lines_read_in_january_are_of_last_year() {
    let mappings = [Mapping::built_in("sshd").unwrap()];
    let m = apply(
        &mappings,
        "Dec 31 23:59:59 h sshd[1]: x",
        None,
        &Limits::default(),
        Timestamp::parse("2027-01-01T00:00:05Z").unwrap(),
    )
    .unwrap();
    assert_eq!(m.occurred_at, Timestamp::parse("2026-12-31T23:59:59Z"));
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
        ("name = 'x'\n[[pattern]]\nregex = '('", "pattern"),
        ("name = 'x'\n[[pattern]]\nregex = 'a'\nfields = { g = 'user.name' }", "no group 'g'"),
        ("name = 'x'\n[[field]]\nfrom = ['/a']\nto = 'b'\ncast = 'magic'", "magic"),
        ("not toml", "expected"),
    ] {
        let error = Mapping::parse(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
