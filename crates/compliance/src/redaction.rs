//! What becomes of each kind of row when somebody's data is taken out of it.

use wf_api::views::KeptReport;
use wf_model::Incident;
use wf_privacy::request::Request;
use wf_privacy::retention::Hold;
use wf_privacy::subject::Finder;
use wf_store::events::StoredEvent;
use wf_store::sweep::{KeyValue, Rewrite, Swept};

use crate::records::*;

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
