use wf_model::SecretError;

use super::*;

#[test]
fn the_cursor_is_encoded_into_the_url() {
    assert_eq!(url_with_cursor("wss://h/?since={cursor}&x=1", Some("a/b c&d")), "wss://h/?since=a%2Fb%20c%26d&x=1");
    assert_eq!(url_with_cursor("wss://h/?since={cursor}", None), "wss://h/?since=");
}

fn headers(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
}

#[test]
fn retry_after_is_honoured_as_seconds_and_as_a_date_in_each_of_its_forms() {
    let now = DateTime::parse_from_rfc3339("1994-11-06T08:49:30Z").unwrap().to_utc();
    for (text, expected) in [
        ("7", Some(7)),
        ("86400", Some(3600)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(7)),
        ("Sun Nov  6 08:49:37 1994", Some(7)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("soon", None),
    ] {
        assert_eq!(retry_after(&headers("retry-after", text), now).map(|d| d.as_secs()), expected, "{text}");
    }
}

#[test]
fn an_extension_that_nobody_asked_for_fails_the_connection() {
    assert!(no_extensions(&headers("server", "x")).is_ok());
    let error = no_extensions(&headers("sec-websocket-extensions", "permessage-deflate")).unwrap_err();
    assert!(matches!(&error, ConnectError::Failed { reason, .. } if reason.contains("permessage-deflate")), "{error}");
}

#[test]
fn only_a_secret_that_does_not_exist_needs_an_officer() {
    assert!(matches!(ConnectError::from(SecretError::Missing("m".into())), ConnectError::Refused(_)));
    assert!(matches!(ConnectError::from(SecretError::Unavailable("locked".into())), ConnectError::Failed { .. }));
}
