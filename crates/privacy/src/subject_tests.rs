use super::*;

fn finder(ids: &[&str]) -> Finder {
    Finder::new(&Identifier::parse_all(&ids.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap())
}

#[test]
fn look_alikes_are_somebody_else() {
    for (id, others) in [
        (
            "ann@x.com",
            vec![
                "joann@x.com",
                "ann@x.com.au",
                "ann@x.community",
                "j.ann@x.com",
                "ann+shop@x.com",
                "o-ann@x.com",
                "a%2Bann@x.com",
                "ann@x.com@y.org",
                "ann@xxcom",
            ],
        ),
        ("10.0.0.1", vec!["10.0.0.11", "110.0.0.1", "10.0.0.1.5", "1.10.0.0.1", "10.0.0.12", "10a0.0.1", "10.0.0.100"]),
        ("2001:db8::1", vec!["2001:db8::11", "2001:db8::1:2", "12001:db8::1", "2001:db8::"]),
        ("name:Ann Lee", vec!["Joann Lee", "Ann Leeds", "Ann Sue Lee", "AnnLee"]),
        ("user_id:100000", vec![r#"{"bytes":100000}"#, "100000 rows", r#"{"order_id":100000}"#]),
        ("+491701234567", vec![r#"{"bytes":491701234567}"#]),
        (
            "user_id:4711",
            vec![r#"{"count":4711}"#, "4711 failures", r#"{"user_id":47110}"#, "user_id=14711", "port 4711"],
        ),
        ("user_id:alice99", vec!["alice991", "malice99", "alice99-test", "alice99@y.com", "alice99.smith"]),
        ("+491701234567", vec!["+4917012345678", "14917012345671", "4917012345670"]),
    ] {
        let f = finder(&[id]);
        for other in others {
            assert_eq!(f.replace(other, "X"), None, "{id} is not in {other}");
        }
    }
}

#[test]
fn an_identifier_is_found_however_it_is_written() {
    for (id, text, becomes) in [
        ("ann@x.com", "mail to ANN@X.COM.", "mail to X."),
        ("ann@x.com", "mailto:ann@x.com, <ann@x.com>", "mailto:X, <X>"),
        ("ann@x.com", "/reset?to=ann%40x.com&x=1", "/reset?to=X&x=1"),
        ("ann@x.com", r#"{"a":"ann\u0040x.com","n":1,"b":[ "see ann@x.com" ]}"#, r#"{"a":"X","n":1,"b":[ "see X" ]}"#),
        ("ann@x.com", r#"{"msg":"{\"email\":\"ann@x.com\"}"}"#, r#"{"msg":"{\"email\":\"X\"}"}"#),
        ("user_id:CORP\\alice", r#"{"who":"CORP\\alice","x":1}"#, r#"{"who":"X","x":1}"#),
        ("name:Ann Lee", r#"{"n":"Ann\tLee"}"#, r#"{"n":"X"}"#),
        ("+491701234567", r#"{"phone":"+49 170\/1234567"}"#, r#"{"phone":"X"}"#),
        ("2001:db8::1", "2001:0db8::1 2001:db8:0::1 2001:0DB8::0001 and 2001:db8::2", "X X X and 2001:db8::2"),
        ("10.0.0.1", "::ffff:a00:1 0:0:0:0:0:ffff:0a00:0001 ::ffff:a00:11", "X X ::ffff:a00:11"),
        ("user_id:100000", r#"{"user_id":100000,"bytes":100000}"#, r#"{"user_id":"X","bytes":100000}"#),
        ("ann@x.com", r#"{"ann@x.com":5}"#, r#"{"X":5}"#),
        ("10.0.0.1", "from 10.0.0.1:443 to 10.0.0.11", "from X:443 to 10.0.0.11"),
        ("10.0.0.1", "::ffff:10.0.0.1", "X"),
        (
            "2001:db8::1",
            "[2001:0db8:0000:0000:0000:0000:0000:0001]:443 2001:DB8::1 2001:db8:0:0:0:0:0:1",
            "[X]:443 X X",
        ),
        ("name:Ann Lee", "Ann  Lee, ann lee and Ann%20Lee's", "X, X and X's"),
        ("name:Jos\u{e9} Diaz", r#"{"n":"Jos\u00e9 Diaz"}"#, r#"{"n":"X"}"#),
        (
            "user_id:5",
            r#"{"user_id":5,"count":5,"userId":"5","user":{"id":5}}"#,
            r#"{"user_id":"X","count":5,"userId":"X","user":{"id":"X"}}"#,
        ),
        ("user_id:5", "pin_failed | ip=10.0.0.5 | user_id=5 | n=5", "pin_failed | ip=10.0.0.5 | user_id=X | n=5"),
        ("user_id:alice99", "login of alice99 failed", "login of X failed"),
        ("+49 170 1234567", "call +49 (170) 123-4567 or 0049170 1234567", "call X or X"),
        ("+49 170 1234567", r#"{"phone":491701234567}"#, r#"{"phone":"X"}"#),
    ] {
        assert_eq!(finder(&[id]).replace(text, "X").as_deref(), Some(becomes), "{id} in {text}");
    }
}

#[test]
fn json_behind_blanks_is_json() {
    let f = finder(&["ann@x.com"]);
    for before in [" ", "\n\t", "\r\n  ", "\u{feff}"] {
        for (json, becomes) in [
            (r#"{"email":"ann\u0040x.com"}"#, r#"{"email":"X"}"#),
            (r#"["ann\u0040x.com"]"#, r#"["X"]"#),
            (r#""ann\u0040x.com""#, r#""X""#),
        ] {
            let replaced = f.replace(&format!("{before}{json}"), "X");
            assert_eq!(replaced, Some(format!("{before}{becomes}")), "{before:?}");
        }
    }
}

#[test]
fn in_documents_of_our_own_numbers_stay_and_a_name_beside_a_value_counts() {
    let f = finder(&["user_id:5", "+491701234567", "ann@x.com"]);
    for (text, becomes) in [
        (
            r#"{"count":5,"entity":{"field":"user.id","value":"5"},"n":491701234567}"#,
            Some(r#"{"count":5,"entity":{"field":"user.id","value":"X"},"n":491701234567}"#),
        ),
        (
            r#"{"entity":"5","entity_field":"user.id","number":5}"#,
            Some(r#"{"entity":"X","entity_field":"user.id","number":5}"#),
        ),
        (r#"{"kind":"user_id","value":"5"}"#, Some(r#"{"kind":"user_id","value":"X"}"#)),
        (r#"{"field":"source.port","value":"5"}"#, None),
        (r#"[{"text":"by ann@x.com"}]"#, Some(r#"[{"text":"by X"}]"#)),
    ] {
        assert_eq!(f.replace_typed(text, "X").as_deref(), becomes, "{text}");
    }
}

#[test]
fn what_was_erased_identifies_nobody() {
    let f = Finder::new(&[
        Identifier { kind: IdentifierKind::Email, value: ERASED.into() },
        Identifier { kind: IdentifierKind::UserId, value: RESTRICTED.into() },
    ]);
    assert!(!f.holds("by [erased] and [restricted]"));
    assert!(Identifier::parse(ERASED).is_err());
}

#[test]
fn replacing_leaves_nothing_to_replace() {
    let f = finder(&["ann@x.com", "10.0.0.1", "name:Ann Lee", "user_id:5", "+491701234567"]);
    for text in [
        "ann@x.com ann@x.com",
        r#"{"user_id":5,"ip":"10.0.0.1","who":"Ann Lee <ann@x.com>"}"#,
        "user_id=5, Ann Lee, +49 170 1234567",
    ] {
        let replaced = f.replace(text, ERASED).unwrap();
        assert_eq!(f.replace(&replaced, ERASED), None, "{replaced}");
    }
}

#[test]
fn what_identifies_nobody_is_refused_with_the_reason() {
    for bad in [
        "",
        "   ",
        "email:ann",
        "email:@x",
        "ip:10.0.0",
        "phone:123",
        "name:A",
        "email:a b@x.com",
        &"x".repeat(400),
        "name:Ann\nLee",
    ] {
        assert!(Identifier::parse(bad).is_err(), "{bad:?}");
    }
    assert!(Identifier::parse_all(&[]).is_err());
    for (text, kind) in [
        ("ann@x.com", IdentifierKind::Email),
        ("10.0.0.1", IdentifierKind::Ip),
        ("fe80::1", IdentifierKind::Ip),
        ("+491701234567", IdentifierKind::Phone),
        ("Ann Lee", IdentifierKind::Name),
        ("4711", IdentifierKind::UserId),
    ] {
        assert_eq!(Identifier::parse(text).unwrap().kind, kind, "{text}");
    }
    assert_eq!(Identifier::parse("ip:::ffff:10.0.0.1").unwrap().normal(), "ip:10.0.0.1");
}

proptest::proptest! {
    #[test]
    fn the_quick_look_never_misses_what_the_close_look_finds(
        before in ".{0,20}",
        after in ".{0,20}",
        pick in 0usize..4,
    ) {
        let id = ["ann@x.com", "10.0.0.1", "name:Ann Lee", "user_id:alice99"][pick];
        let value = id.split_once(':').map_or(id, |(_, v)| v);
        let f = finder(&[id]);
        let plain = format!("{before} {value} {after}");
        let json = serde_json::json!({ "a": plain }).to_string();
        for text in [plain, json] {
            proptest::prop_assert!(f.may_hold(&text));
            let replaced = f.replace(&text, ERASED);
            proptest::prop_assert!(replaced.is_some(), "{}", text);
            proptest::prop_assert!(!f.holds(&replaced.unwrap_or_default()));
        }
    }
}
