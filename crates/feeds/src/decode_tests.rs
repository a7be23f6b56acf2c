use super::*;

fn open_text(frame: &str, decode: &Decode) -> Result<Opened, String> {
    open(&Bytes::copy_from_slice(frame.as_bytes()), decode)
}

fn records(frame: &str, decode: Decode) -> Result<Vec<String>, String> {
    open_text(frame, &decode)?
        .records
        .map(|piece| match piece {
            Piece::Record { raw, .. } => Ok(utf8(&raw).to_owned()),
            Piece::Broken { why, .. } => Err(why.to_owned()),
        })
        .collect()
}

fn split(split: Split) -> Decode {
    Decode { split, ..Decode::default() }
}

#[test]
fn frames_are_cut_the_way_the_config_says() {
    assert_eq!(records(r#"{"a":1}"#, Decode::default()).unwrap(), [r#"{"a":1}"#]);
    assert_eq!(records("a line", Decode::default()).unwrap(), ["a line"]);
    let events = Decode { events: Some("/d/events/*".into()), ..Decode::default() };
    assert_eq!(
        records(r#"{"d":{"events":[{"a":1}, {"b":[2]}]}}"#, events.clone()).unwrap(),
        [r#"{"a":1}"#, r#"{"b":[2]}"#]
    );
    assert_eq!(records(r#"{"hello":true}"#, events.clone()).unwrap(), [r#"{"hello":true}"#]);
    assert!(records(r#"{"d":{"events":7}}"#, events).unwrap_err().contains("not an array"));
    assert_eq!(records("{\"a\":1}\n\n{\"b\":2}\r\n", split(Split::Ndjson)).unwrap(), [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(records("{\"a\":1}\n", split(Split::Ndjson)).unwrap(), [r#"{"a":1}"#]);
    assert_eq!(records(r#" [1, {"a":"]"}] "#, split(Split::JsonArray)).unwrap(), ["1", r#"{"a":"]"}"#]);
    let unwrap = Decode { unwrap: vec!["/data".into()], ..Decode::default() };
    assert_eq!(records(r#"{"data":"{\"x\":1}"}"#, unwrap).unwrap(), [r#"{"x":1}"#]);
}

#[test]
fn t11_depth_and_number_are_bounded_before_anything_is_built() {
    let deep = "[".repeat(1_000_000);
    let mut built = 0;
    let refused = build_within(&deep, &Limits::default(), |text| {
        built += 1;
        serde_json::from_str::<Value>(text)
    });
    assert_eq!((refused.unwrap_err(), built), (Unparsed::TooDeep(64), 0));
    assert!(parse(&deep, &Limits::default()).unwrap_err().to_string().contains("deeper"));
    assert!(parse(r#"{"a":"[[[[[[","b":[[1]]}"#, &Limits { json_depth: 3, ..Limits::default() }).is_ok());
    // Two million numbers: those that are asked for are slices of the frame, the rest is counted where it stands.
    let many = format!("[{}1]", "1,".repeat(1_999_999));
    let mut opened = open_text(&many, &split(Split::JsonArray)).unwrap();
    let frame = opened.text.as_ptr().addr()..opened.text.as_ptr().addr() + opened.text.len();
    for piece in opened.records.by_ref().take(3) {
        let Piece::Record { raw, .. } = piece else { panic!("a number is a record") };
        assert!(frame.contains(&raw.as_ptr().addr()), "the record is no copy");
    }
    assert_eq!(opened.records.count_left(), 1_999_997);
}

#[test]
fn one_line_that_is_not_utf8_leaves_the_other_lines_as_they_are() {
    let frame = Bytes::from_static(b"{\"a\":1}\n\xff\xfe\n{\"b\":2}");
    let pieces: Vec<_> = open(&frame, &split(Split::Ndjson)).unwrap().records.collect();
    assert!(matches!(&pieces[0], Piece::Record { raw, json: true } if &raw[..] == b"{\"a\":1}"), "{pieces:?}");
    assert!(matches!(&pieces[1], Piece::Broken { raw, .. } if &raw[..] == b"\xff\xfe"), "{pieces:?}");
    assert!(matches!(&pieces[2], Piece::Record { raw, json: true } if &raw[..] == b"{\"b\":2}"), "{pieces:?}");
    assert_eq!(pieces.len(), 3);
}

#[test]
fn single_values_are_read_from_the_text_of_a_frame() {
    let doc = Doc::Text(r#"{"epoch":"e1","events":[{"offset":3}],"recovered":false,"offset":7}"#);
    assert_eq!(doc.scalar("/epoch").as_deref(), Some("e1"));
    assert_eq!(doc.scalar("/offset").as_deref(), Some("7"));
    assert_eq!(doc.boolean("/recovered"), Some(false));
    assert!(doc.holds(&Condition { pointer: "/events".into(), equals: None }));
    assert!(!doc.holds(&Condition { pointer: "/none".into(), equals: None }));
    assert_eq!(
        scalar_of_refused(b"{\"offset\":1}\n{\"offset\":2}\n", &split(Split::Ndjson), "/offset").as_deref(),
        Some("2")
    );
}
