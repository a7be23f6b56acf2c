//! Who an event is about, where it does not say it under the name that was asked for.

use std::borrow::Cow;

use wf_model::{Event, Value};

use crate::unread;

/// People, in order of preference.
const PERSON: &[&str] = &["user.name", "user.email", "user.id"];
const ADDRESS: &[&str] = &["source.ip", "client.ip", "source.address"];
const MACHINE: &[&str] = &["host.name", "service.name", "observer.name", "watchfloor.feed"];
const ALL: [&[&str]; 3] = [PERSON, ADDRESS, MACHINE];

/// The field that stands in for `field` in this event, and its value: the field itself, another of its kind, or what
/// comes nearest to saying who it was. Nobody's incident is everybody's.
pub fn stands_in<'e>(event: &'e Event, field: &'e str) -> Option<(&'e str, Cow<'e, Value>)> {
    let there = |name: &'e str| Some((name, unread::value(event, name)?));
    let kind = ALL.into_iter().find(|kind| kind.contains(&field));
    there(field).or_else(|| kind?.iter().find_map(|name| there(name))).or_else(|| {
        // Something that is no person, address or machine is not replaced by one.
        kind.and_then(|_| ALL.into_iter().flatten().find_map(|name| there(name)))
    })
}

/// Who it is about, if nobody says by which field.
pub fn anybody(event: &Event) -> Option<(&str, Cow<'_, Value>)> {
    [ADDRESS, PERSON, MACHINE].into_iter().flatten().find_map(|name| Some((*name, unread::value(event, name)?)))
}
