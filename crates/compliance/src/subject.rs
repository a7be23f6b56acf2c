//! Everything that is held about a person: found, shown, corrected, erased.
//!
//! The search looks at every event of every block and every row of every table; it trusts no index. Erasing goes in
//! small steps, each a transaction: ingest goes on beside it, and after a crash it is simply done again. It ends with
//! the search finding nothing any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use wf_api::views::*;
use wf_model::{Incident, Timestamp};
use wf_privacy::request::{Done, Request};
use wf_privacy::retention::Hold;
use wf_privacy::subject::Finder;
use wf_store::events::{Damage, Exact, Quick, StoredEvent};
use wf_store::sweep::{KeyValue, Rewrite, Swept};

use crate::holding::Keeping;
use crate::records::*;

/// Rows changed in one transaction.
pub(crate) const AT_ONCE: usize = 200;
/// What came in while it was being erased is erased in a further round.
pub(crate) const ROUNDS: usize = 3;

/// One thing that is held about somebody.
pub struct Piece {
    pub what: What,
    /// The hold that keeps it.
    pub kept: Option<String>,
}

pub enum What {
    Event(Box<StoredEvent>),
    Incident(Box<Incident>),
    Row(Swept),
    /// A line of the config, which is the officer's own to edit.
    Config {
        line: usize,
        text: String,
    },
    /// A report or an answer that was made before, and is still in the exports folder.
    Export {
        name: String,
    },
    /// Events that cannot be read: nobody can say whether they are about the subject.
    Unreadable(Damage),
}

impl Piece {
    /// What kind of place it is in, as it is counted and shown.
    pub fn place(&self) -> &'static str {
        match &self.what {
            What::Event(_) => "events",
            What::Incident(_) => "incidents",
            What::Row(row) => match row.place.table {
                "timeline" | "folded" => "timeline",
                "notification" => "messages",
                "audit_leaf" => "audit details",
                "record" => "privacy records",
                "silence" => "silences",
                "quarantine" => "quarantine",
                _ => "feeds and channels",
            },
            What::Config { .. } => "config",
            What::Export { .. } => "exports",
            What::Unreadable(_) => "events that cannot be read",
        }
    }

    pub fn at(&self) -> Timestamp {
        match &self.what {
            What::Event(e) => e.occurred_at,
            What::Incident(i) => i.last_seen,
            What::Row(r) => r.at,
            What::Config { .. } | What::Export { .. } | What::Unreadable(_) => Timestamp::EPOCH,
        }
    }

    pub fn text(&self) -> String {
        match &self.what {
            What::Event(e) => {
                if e.raw.is_empty() {
                    fields(e)
                } else {
                    e.raw.clone()
                }
            }
            What::Incident(i) => format!("#{} {}", i.number, i.title()),
            // A document in full is in the copy that is handed out; here its name is enough.
            What::Row(r) if r.place.table == "record" => match r.key.as_slice() {
                [KeyValue::Text(kind), KeyValue::Number(n)] => format!("{} #{n}", kind.replace('_', " ")),
                _ => String::new(),
            },
            What::Row(r) => r.texts.iter().flatten().cloned().collect::<Vec<_>>().join(" · "),
            What::Config { line, text } => format!("line {line}: {text}"),
            What::Export { name } => name.clone(),
            What::Unreadable(damage) => damage.to_string(),
        }
    }
}

/// The mapped fields as JSON: names beside values, so that a user's id is known for one.
pub fn fields(e: &StoredEvent) -> String {
    serde_json::to_string(&e.fields).unwrap_or_default()
}

pub fn event_holds(f: &Finder, e: &StoredEvent) -> bool {
    f.holds(&e.raw) || f.holds(&fields(e)) || e.id.as_ref().is_some_and(|id| f.holds(id))
}

/// The event with every identifier replaced. Numbers and times stay.
pub fn redact_event(f: &Finder, e: &StoredEvent, with: &str) -> Option<StoredEvent> {
    let (mut raw, new_fields, id) =
        (f.replace(&e.raw, with), f.replace(&fields(e), with), e.id.as_ref().and_then(|id| f.replace(id, with)));
    if raw.is_none() && new_fields.is_none() && id.is_none() {
        return None;
    }
    // The mapping found the user under a name we do not know for one: the same value in the words it came in with is
    // that user.
    for (name, value) in &e.fields {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if name.starts_with("user.") && f.is_value(name, &value) {
            let quoted = serde_json::to_string(&value).unwrap_or_default();
            let text = raw.as_deref().unwrap_or(&e.raw);
            if text.contains(&quoted) {
                raw = Some(text.replace(&quoted, &serde_json::to_string(with).unwrap_or_default()));
            }
        }
    }
    let mut new = e.clone();
    if let Some(raw) = raw {
        new.raw = raw;
    }
    if let Some(text) = new_fields {
        // It was JSON and is JSON; if not, no field is better than somebody's data.
        new.fields = serde_json::from_str(&text).unwrap_or_default();
    }
    if id.is_some() {
        new.id = id;
    }
    Some(new)
}

pub fn redact_incident(f: &Finder, i: &Incident, with: &str) -> Option<Incident> {
    let mut new = i.clone();
    if let Some(e) = &new.entity
        && f.is_value(&e.field, &e.value)
    {
        // A sentence has the value in a part of its own.
        let value = e.value.clone();
        for part in &mut new.message.0 {
            if let wf_model::Part::Text(text) = part
                && *text == value
            {
                *text = with.to_owned();
            }
        }
    }
    let text = serde_json::to_string(&new).ok()?;
    let new = match f.replace_typed(&text, with) {
        Some(text) => serde_json::from_str(&text).unwrap_or_else(|e| {
            // An identifier that is also a word of ours: what it says goes, how it was handled goes with it.
            tracing::warn!(incident = i.number, error = %e, "an incident was redacted without its handling");
            let entity =
                new.entity.as_ref().map(|x| wf_model::Entity { field: x.field.clone(), value: with.to_owned() });
            Incident {
                entity,
                message: wf_model::Message(vec![wf_model::Part::Text(with.to_owned())]),
                handling: Default::default(),
                ..new
            }
        }),
        None => new,
    };
    (new != *i).then(|| Incident { version: i.version + 1, ..new })
}

/// What becomes of a row that holds the subject's data; `None` when it does not.
pub(crate) fn redact_row(f: &Finder, row: &Swept, with: &str) -> Option<Rewrite> {
    if row.place.table == "audit_leaf" {
        let Some(KeyValue::Number(index)) = row.key.first() else { return None };
        return row
            .texts
            .iter()
            .flatten()
            .any(|t| f.replace_typed(t, with).is_some())
            .then_some(Rewrite::ErasePayload { index: *index });
    }
    if row.place.table == "folded" {
        let [value, field] = row.texts.as_slice() else { return None };
        let (value, field) = (value.as_ref()?, field.as_deref().unwrap_or_default());
        return f.is_value(field, value).then(|| Rewrite::Set {
            place: row.place,
            key: row.key.clone(),
            texts: vec![("entity_value", with.to_owned())],
        });
    }
    let texts: Vec<(&'static str, String)> = row
        .place
        .columns
        .iter()
        .zip(&row.texts)
        .filter_map(|(column, t)| {
            let t = t.as_ref()?;
            Some((
                *column,
                if matches!(*column, "page" | "matcher" | "document") {
                    f.replace_typed(t, with)?
                } else {
                    f.replace(t, with)?
                },
            ))
        })
        .collect();
    (!texts.is_empty()).then(|| Rewrite::Set { place: row.place, key: row.key.clone(), texts })
}

/// Whether documents of ours can still be read after a rewrite. What could not is left as it is, and is found again: an
/// erasure then says that it failed.
pub(crate) fn still_reads(row: &Swept, rewrite: &Rewrite) -> bool {
    let Rewrite::Set { texts, .. } = rewrite else { return true };
    texts.iter().all(|(column, text)| match (*column, row.key.first()) {
        ("page", _) => serde_json::from_str::<wf_model::Page>(text).is_ok(),
        ("matcher", _) => serde_json::from_str::<wf_model::Matcher>(text).is_ok(),
        ("document", Some(KeyValue::Text(kind))) => match kind.as_str() {
            REQUESTS => serde_json::from_str::<Request>(text).is_ok(),
            BREACHES => serde_json::from_str::<wf_privacy::breach::Breach>(text).is_ok(),
            CONSENTS => serde_json::from_str::<wf_privacy::consent::Consent>(text).is_ok(),
            ACTIVITIES => serde_json::from_str::<wf_privacy::activity::Activity>(text).is_ok(),
            HOLDS => serde_json::from_str::<Hold>(text).is_ok(),
            RUNS => serde_json::from_str::<wf_privacy::retention::Run>(text).is_ok(),
            REPORTS => serde_json::from_str::<KeptReport>(text).is_ok(),
            _ => true,
        },
        _ => true,
    })
}

/// Records of privacy itself that are not erased with the rest: requests of the subject that are being worked on, and
/// holds in force, which could not say whom they protect.
pub(crate) fn is_own(row: &Swept, wanted: &Wanted) -> Option<&'static str> {
    if row.place.table != "record" {
        return None;
    }
    let document = row.texts.first()?.as_deref()?;
    match row.key.as_slice() {
        [KeyValue::Text(kind), KeyValue::Number(_)] if kind == REQUESTS => {
            let r: Request = serde_json::from_str(document).ok()?;
            let same = Some(r.number) == wanted.request || r.subject_keys.iter().any(|k| wanted.keys.contains(k));
            (r.state.is_open() && same).then_some("a request of the subject that is not answered yet")
        }
        [KeyValue::Text(kind), _] if kind == HOLDS => serde_json::from_str::<Hold>(document)
            .is_ok_and(|h| h.released.is_none())
            .then_some("a hold must say whom it protects (Art. 17(3)(e))"),
        _ => None,
    }
}

/// What a search needs to know.
pub struct Wanted {
    pub finder: Arc<Finder>,
    pub keeping: Arc<Keeping>,
    /// The request it is done for.
    pub request: Option<u64>,
    /// Keyed hashes of the identifiers.
    pub keys: Vec<String>,
}

impl Wanted {
    pub(crate) fn looks(&self) -> (Quick, Exact) {
        let (quick, exact) = (self.finder.clone(), self.finder.clone());
        (Arc::new(move |text: &str| quick.may_hold(text)), Arc::new(move |e: &StoredEvent| event_holds(&exact, e)))
    }
}

pub(crate) fn tally(places: &mut BTreeMap<&'static str, Done>, piece: &Piece) {
    let place = piece.place();
    let d = places.entry(place).or_insert_with(|| Done {
        place: place.to_owned(),
        found: 0,
        changed: 0,
        kept: 0,
        ground: String::new(),
    });
    d.found += 1;
    if let Some(ground) = &piece.kept {
        d.kept += 1;
        if !d.ground.contains(ground.as_str()) {
            if !d.ground.is_empty() {
                d.ground.push_str("; ");
            }
            d.ground.push_str(ground);
        }
    }
}
