//! Everything that is held about a person: found, shown, corrected, erased.
//!
//! The search looks at every event of every block and every row of every table; it trusts no index. Erasing goes in
//! small steps, each a transaction: ingest goes on beside it, and after a crash it is simply done again. It ends with
//! the search finding nothing any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use wf_model::{Incident, Timestamp};
use wf_privacy::request::{Done, Request};
use wf_privacy::retention::Hold;
use wf_privacy::subject::Finder;
use wf_store::events::{Damage, Exact, Quick, StoredEvent};
use wf_store::sweep::{KeyValue, Swept};

use crate::holding::Keeping;
use crate::records::*;
use crate::redaction::*;

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
