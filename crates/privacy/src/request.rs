//! A data subject request, from receipt to answer (GDPR Art. 12, 15 to 18, 20, 21).
//!
//! `received -> identity check -> in progress -> (needs input) -> executed -> completed`; refused, withdrawn and
//! duplicate from anywhere before that. *Executed* is done but not answered: the subject's own address is kept until it
//! is, and no longer.

mod record;
mod steps;

use chrono::NaiveDate;

use crate::calendar::{Calendar, Deadline, Pause, deadline};
use crate::{Entry, Refused};

pub use record::{
    Act, Approval, Correction, Done, ExportFile, Extension, New, Outcome, Receipt, Request, RequestKind, RequestState,
    Stop, StopGround, Task,
};

impl Request {
    /// # Errors
    /// A day of receipt that has not come yet or is more than three years ago; a rectification without a correction.
    pub fn register(act: &Act<'_>, new: New) -> Result<Self, Refused> {
        if new.received > act.today {
            return Refused::because(format!(
                "it cannot have been received on {}, which has not come yet",
                new.received
            ));
        }
        if (act.today - new.received).num_days() > 3 * 366 {
            return Refused::because(format!("{} is more than three years ago; check the year", new.received));
        }
        if new.kind == RequestKind::Rectification && new.corrections.is_empty() {
            return Refused::because(
                "a rectification says what is wrong and what is right: give at least one correction",
            );
        }
        for c in &new.corrections {
            check_correction(c)?;
        }
        let mut r = Self {
            number: new.number,
            version: 0,
            kind: new.kind,
            state: RequestState::Received,
            received: new.received,
            registered_at: act.now,
            subject: new.subject,
            subject_keys: new.subject_keys,
            contact: new.contact.trim().to_owned(),
            note: new.note.trim().to_owned(),
            identity: None,
            stops: Vec::new(),
            extension: None,
            corrections: new.corrections,
            tasks: Vec::new(),
            approvals: Vec::new(),
            outcome: None,
            refusal: None,
            duplicate_of: None,
            closed_at: None,
            closed_on: None,
            history: Vec::new(),
        };
        r.version = 1;
        r.history.push(Entry {
            at: act.now,
            by: act.by.to_owned(),
            text: format!("registered; received on {}", r.received),
        });
        Ok(r)
    }

    /// When the answer is due.
    pub fn deadline(&self, calendar: &Calendar, today: NaiveDate) -> Deadline {
        self.counted(calendar, if self.extension.is_some() { 3 } else { 1 }, today)
    }

    fn counted(&self, calendar: &Calendar, months: u32, today: NaiveDate) -> Deadline {
        let pauses: Vec<Pause> = self.stops.iter().map(|s| Pause { from: s.from, until: s.until }).collect();
        deadline(calendar, self.received, months, &pauses, self.closed_on.unwrap_or(today))
    }

    pub fn clock_stopped(&self) -> bool {
        self.state.is_open() && self.stops.iter().any(|s| s.until.is_none())
    }

    /// Open past its last day, or answered after it.
    pub fn is_late(&self, calendar: &Calendar, today: NaiveDate) -> bool {
        // A refusal is told within the first month, extended or not (Art. 12(4)).
        let due = if self.state == RequestState::Refused {
            self.counted(calendar, 1, today).due
        } else {
            self.deadline(calendar, today).due
        };
        match (self.closed_on, self.state) {
            (_, RequestState::Withdrawn | RequestState::Duplicate) => false,
            (Some(closed), _) => closed > due,
            (None, _) => today > due,
        }
    }
}

fn check_correction(c: &Correction) -> Result<(), Refused> {
    if c.old.trim().is_empty() || c.new.trim().is_empty() || c.old == c.new {
        return Refused::because(
            "a correction has an old value and another new one; what is to be gone is asked for by a deletion",
        );
    }
    if c.old.chars().count() > 1000 || c.new.chars().count() > 1000 || c.field.chars().count() > 200 {
        return Refused::because("a value of a correction is longer than 1,000 characters");
    }
    Ok(())
}

/// An earlier request of the same kind about the same person that is not over, or was answered in the last `months`
/// months.
pub fn duplicate_of<'a>(
    kind: RequestKind,
    keys: &[String],
    received: NaiveDate,
    known: impl IntoIterator<Item = &'a Request>,
    months: u32,
) -> Option<&'a Request> {
    known.into_iter().find(|r| {
        r.kind == kind
            && !matches!(r.state, RequestState::Withdrawn | RequestState::Duplicate)
            && r.subject_keys.iter().any(|k| keys.contains(k))
            && (r.state.is_open()
                || r.closed_on
                    .and_then(|d| d.checked_add_months(chrono::Months::new(months)))
                    .is_some_and(|d| d > received))
    })
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
