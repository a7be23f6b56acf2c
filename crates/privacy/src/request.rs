//! A data subject request, from receipt to answer (GDPR Art. 12, 15 to 18, 20, 21).
//!
//! `received -> identity check -> in progress -> (needs input) -> executed -> completed`; refused, withdrawn and
//! duplicate from anywhere before that. *Executed* is done but not answered: the subject's own address is kept until it
//! is, and no longer.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use specta::Type;
use wf_model::Timestamp;

use crate::calendar::{Calendar, Deadline, Law, Pause, deadline};
use crate::subject::Identifier;
use crate::{Entry, Refused, said};

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),+ } }
        }
        impl std::str::FromStr for $name {
            type Err = Refused;
            fn from_str(s: &str) -> Result<Self, Refused> {
                Self::ALL.iter().copied().find(|v| v.as_str() == s).ok_or_else(|| Refused(format!("'{s}' is not a {}: use {}", $what, Self::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", "))))
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.as_str().replace('_', " ")) }
        }
    };
}
pub(crate) use word_enum;

word_enum! {
    /// What is asked for.
    RequestKind, "type of request" {
        /// Art. 15: a copy of everything.
        Access = "access",
        /// Art. 16.
        Rectification = "rectification",
        /// Art. 17: erasure.
        Deletion = "deletion",
        /// Art. 20: a copy a machine can read.
        Portability = "portability",
        /// Art. 18: kept, and not used.
        Restriction = "restriction",
        /// Art. 21.
        Objection = "objection",
    }
}

impl RequestKind {
    pub const fn article(self) -> &'static str {
        match self {
            Self::Access => "Art. 15",
            Self::Rectification => "Art. 16",
            Self::Deletion => "Art. 17",
            Self::Portability => "Art. 20",
            Self::Restriction => "Art. 18",
            Self::Objection => "Art. 21",
        }
    }
}

word_enum! {
    /// Where a request stands.
    RequestState, "state" {
        Received = "received",
        IdentityCheck = "identity_check",
        InProgress = "in_progress",
        /// The subject was asked what they mean.
        NeedsInput = "needs_input",
        /// Done; the subject has not been answered yet.
        Executed = "executed",
        Completed = "completed",
        Refused = "refused",
        Withdrawn = "withdrawn",
        Duplicate = "duplicate",
    }
}

impl RequestState {
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Received | Self::IdentityCheck | Self::InProgress | Self::NeedsInput | Self::Executed)
    }
}

word_enum! {
    /// Why the clock may stand still.
    StopGround, "ground for stopping the clock" {
        /// Reasonable doubts who is asking (Art. 12(6)).
        Identity = "identity",
        /// Much is processed, and the subject was asked what they mean (recital 63).
        Clarification = "clarification",
    }
}

/// A stretch during which the clock stood still.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Stop {
    #[specta(type = String)]
    pub from: NaiveDate,
    #[specta(type = Option<String>)]
    pub until: Option<NaiveDate>,
    pub ground: StopGround,
    pub reason: String,
    pub by: String,
}

/// Two more months (Art. 12(3)), once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Extension {
    pub reason: String,
    /// When the subject was told of it, which must be within the first month.
    #[specta(type = String)]
    pub notified: NaiveDate,
    pub by: String,
}

/// What is wrong and what is right instead (Art. 16).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Correction {
    /// The name of a mapped field, as `user.name`; empty: wherever the value stands.
    pub field: String,
    pub old: String,
    pub new: String,
}

/// Something another system has to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Task {
    pub system: String,
    pub owner: String,
    #[specta(type = String)]
    pub due: NaiveDate,
    /// Done by a call, whose answer is kept as its hash; otherwise by hand.
    pub connector: bool,
    pub receipt: Option<Receipt>,
    /// Why the last try failed.
    pub failed: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Receipt {
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
    /// What the other system said, in short; of a connector its status.
    pub text: String,
    /// SHA-256 of the whole answer, in hex.
    pub sha256: Option<String>,
}

/// A second person agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Approval {
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
}

/// What was done in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Done {
    /// `events`, `incidents`, `timeline` …
    pub place: String,
    /// How many hold the subject's data.
    pub found: u64,
    /// How many were changed or removed.
    pub changed: u64,
    /// How many were left as they are, and on which ground.
    pub kept: u64,
    pub ground: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Outcome {
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
    pub done: Vec<Done>,
    /// Files that were made for the subject, in the exports folder.
    pub files: Vec<ExportFile>,
    /// What else is to be said: backups, what could not be changed and why.
    pub remarks: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ExportFile {
    pub name: String,
    pub sha256: String,
    /// It was removed again.
    pub removed: bool,
}

/// A data subject request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Request {
    pub number: u64,
    /// Grows with every change.
    pub version: u64,
    pub kind: RequestKind,
    pub state: RequestState,
    /// The day it reached us, in our time zone: it does not count itself.
    #[specta(type = String)]
    pub received: NaiveDate,
    #[specta(type = i64)]
    pub registered_at: Timestamp,
    /// Empty once erased.
    pub subject: Vec<Identifier>,
    /// Keyed hashes of the identifiers: they recognise a duplicate, and remain when the identifiers are erased.
    pub subject_keys: Vec<String>,
    /// Where the answer goes. Erased with the rest when a deletion is completed.
    pub contact: String,
    pub note: String,
    pub identity: Option<Entry>,
    pub stops: Vec<Stop>,
    pub extension: Option<Extension>,
    pub corrections: Vec<Correction>,
    pub tasks: Vec<Task>,
    pub approvals: Vec<Approval>,
    pub outcome: Option<Outcome>,
    /// Why it was refused, and what was said about remedies.
    pub refusal: Option<String>,
    pub duplicate_of: Option<u64>,
    #[specta(type = Option<i64>)]
    pub closed_at: Option<Timestamp>,
    /// The day of the answer, which counts against the deadline.
    #[specta(type = Option<String>)]
    pub closed_on: Option<NaiveDate>,
    pub history: Vec<Entry>,
}

/// When and by whom something is done to a request.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    pub now: Timestamp,
    /// The day in the organisation's time zone.
    pub today: NaiveDate,
    pub by: &'a str,
    pub calendar: &'a Calendar,
    pub law: Law,
}

/// What is known of a new request.
#[derive(Clone, Debug)]
pub struct New {
    pub number: u64,
    pub kind: RequestKind,
    pub received: NaiveDate,
    pub subject: Vec<Identifier>,
    pub subject_keys: Vec<String>,
    pub contact: String,
    pub note: String,
    pub corrections: Vec<Correction>,
}

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

    fn next(&self, act: &Act<'_>, text: impl Into<String>) -> Self {
        let mut r = self.clone();
        r.version += 1;
        r.history.push(Entry { at: act.now, by: act.by.to_owned(), text: text.into() });
        r
    }

    fn open(&self) -> Result<(), Refused> {
        if self.state.is_open() {
            Ok(())
        } else {
            Refused::because(format!("request #{} is {}: it is closed", self.number, self.state))
        }
    }

    fn not_done(&self) -> Result<(), Refused> {
        self.open()?;
        if self.state == RequestState::Executed {
            Refused::because(format!("request #{} is executed; only its answer is owed", self.number))
        } else {
            Ok(())
        }
    }

    /// The next step of the way: the identity check begins, is passed (`note` says how), the subject answered, the
    /// answer was sent.
    pub fn advance(&self, act: &Act<'_>, note: &str) -> Result<Self, Refused> {
        self.open()?;
        match self.state {
            RequestState::Received => {
                let mut r = self.next(act, "identity is being checked");
                r.state = RequestState::IdentityCheck;
                Ok(r)
            }
            RequestState::IdentityCheck => {
                let how = said(note, "how the identity was verified")?;
                let mut r = self.resumed(act, StopGround::Identity).next(act, format!("identity verified: {how}"));
                r.version = self.version + 1;
                r.identity = Some(Entry { at: act.now, by: act.by.to_owned(), text: how });
                r.state = RequestState::InProgress;
                Ok(r)
            }
            RequestState::NeedsInput => {
                let mut r = self.resumed(act, StopGround::Clarification).next(
                    act,
                    if note.trim().is_empty() {
                        "the subject answered".to_owned()
                    } else {
                        format!("the subject answered: {}", note.trim())
                    },
                );
                r.version = self.version + 1;
                r.state = RequestState::InProgress;
                Ok(r)
            }
            RequestState::InProgress => {
                Refused::because(format!("request #{} is in progress: execute or refuse it", self.number))
            }
            RequestState::Executed => self.complete(act, note),
            RequestState::Completed | RequestState::Refused | RequestState::Withdrawn | RequestState::Duplicate => {
                Refused::because("it is closed")
            }
        }
    }

    /// The subject is asked what they mean.
    pub fn ask(&self, act: &Act<'_>, question: &str) -> Result<Self, Refused> {
        if self.state != RequestState::InProgress {
            return Refused::because(format!(
                "request #{} is {}: the subject is asked while it is in progress",
                self.number, self.state
            ));
        }
        let mut r = self.next(act, format!("the subject was asked: {}", said(question, "the question")?));
        r.state = RequestState::NeedsInput;
        Ok(r)
    }

    /// The clock stands still from today on.
    pub fn stop_clock(&self, act: &Act<'_>, ground: StopGround, reason: &str) -> Result<Self, Refused> {
        self.not_done()?;
        let reason = said(reason, "why the clock may stand still")?;
        let fits = match ground {
            StopGround::Identity => matches!(self.state, RequestState::Received | RequestState::IdentityCheck),
            StopGround::Clarification => self.state == RequestState::NeedsInput,
        };
        if !fits {
            return Refused::because(match ground {
                StopGround::Identity => {
                    "the clock stands still for an identity check only until the identity is verified"
                }
                StopGround::Clarification => {
                    "the clock stands still for a clarification only while the subject is asked: ask first"
                }
            });
        }
        if self.clock_stopped() {
            return Refused::because("the clock stands still already");
        }
        if act.today > self.deadline(act.calendar, act.today).due {
            return Refused::because("the time has run out already: a stop cannot bring it back");
        }
        let mut r = self.next(act, format!("the clock stands still ({ground}): {reason}"));
        r.stops.push(Stop { from: act.today, until: None, ground, reason, by: act.by.to_owned() });
        Ok(r)
    }

    /// The clock runs on.
    pub fn start_clock(&self, act: &Act<'_>) -> Result<Self, Refused> {
        if !self.clock_stopped() {
            return Refused::because("the clock runs");
        }
        let mut r = self.next(act, "the clock runs on");
        r.stops.iter_mut().filter(|s| s.until.is_none()).for_each(|s| s.until = Some(act.today));
        Ok(r)
    }

    fn resumed(&self, act: &Act<'_>, ground: StopGround) -> Self {
        let mut r = self.clone();
        r.stops.iter_mut().filter(|s| s.until.is_none() && s.ground == ground).for_each(|s| s.until = Some(act.today));
        r
    }

    /// Two more months, because of complexity and number (Art. 12(3)); the subject is told within the first.
    pub fn extend(&self, act: &Act<'_>, reason: &str, notified: NaiveDate) -> Result<Self, Refused> {
        self.not_done()?;
        if self.extension.is_some() {
            return Refused::because("it was extended once, and once is all there is (Art. 12(3))");
        }
        let reason = said(reason, "the reason for the extension (complexity or number of requests)")?;
        let first = self.counted(act.calendar, 1, act.today);
        if notified > act.today {
            return Refused::because(format!("{notified} has not come yet: extend when the subject has been told"));
        }
        if notified < self.received {
            return Refused::because(format!("{notified} is before the request was received"));
        }
        if notified > first.due {
            return Refused::because(format!(
                "the subject must be told within the first month, which ended on {} (Art. 12(3)): it can no longer be extended",
                first.due
            ));
        }
        let mut r = self.next(act, format!("extended by two months; the subject was told on {notified}: {reason}"));
        r.extension = Some(Extension { reason, notified, by: act.by.to_owned() });
        Ok(r)
    }

    /// Refused, with reasons; what the subject may do about it is added (Art. 12(4)).
    pub fn refuse(&self, act: &Act<'_>, reason: &str) -> Result<Self, Refused> {
        self.not_done()?;
        let reason = said(reason, "the reason for refusing")?;
        let mut r = self.next(act, format!("refused: {reason}"));
        r.refusal = Some(format!("{reason}\n\n{}", act.law.remedies()));
        Ok(r.closed(act, RequestState::Refused))
    }

    pub fn withdraw(&self, act: &Act<'_>, note: &str) -> Result<Self, Refused> {
        self.not_done()?;
        Ok(self
            .next(act, format!("withdrawn by the subject {}", note.trim()).trim_end())
            .closed(act, RequestState::Withdrawn))
    }

    /// It asks for what that one asks for.
    pub fn duplicate(&self, act: &Act<'_>, of: &Self) -> Result<Self, Refused> {
        self.not_done()?;
        if of.number == self.number {
            return Refused::because("a request is no duplicate of itself");
        }
        if matches!(of.state, RequestState::Withdrawn | RequestState::Refused | RequestState::Duplicate) {
            return Refused::because(format!("request #{} is {}: it answers nobody", of.number, of.state));
        }
        if of.kind != self.kind {
            return Refused::because(format!("request #{} asks for {}, not for {}", of.number, of.kind, self.kind));
        }
        if !of.subject_keys.iter().any(|k| self.subject_keys.contains(k)) {
            return Refused::because(format!("request #{} is about somebody else", of.number));
        }
        let mut r = self.next(act, format!("duplicate of #{}", of.number));
        r.duplicate_of = Some(of.number);
        Ok(r.closed(act, RequestState::Duplicate))
    }

    pub fn correct(&self, act: &Act<'_>, correction: Correction) -> Result<Self, Refused> {
        self.not_done()?;
        if self.kind != RequestKind::Rectification {
            return Refused::because("only a rectification has corrections");
        }
        check_correction(&correction)?;
        let mut r = self.next(
            act,
            format!("correction of {}", if correction.field.is_empty() { "every field" } else { &correction.field }),
        );
        r.corrections.push(correction);
        r.approvals.clear();
        Ok(r)
    }

    /// Another system has to act, too.
    pub fn add_task(&self, act: &Act<'_>, system: &str, owner: &str, connector: bool) -> Result<Self, Refused> {
        self.open()?;
        let system = said(system, "the system")?;
        if self.tasks.iter().any(|t| t.system == system) {
            return Refused::because(format!("there is a task for {system} already"));
        }
        let mut r = self.next(act, format!("a task for {system}"));
        r.tasks.push(Task {
            system,
            owner: owner.trim().to_owned(),
            due: self.deadline(act.calendar, act.today).due,
            connector,
            receipt: None,
            failed: None,
        });
        Ok(r)
    }

    /// The other system did it, or said why not.
    pub fn task_answered(&self, act: &Act<'_>, system: &str, answer: Result<Receipt, String>) -> Result<Self, Refused> {
        let mut r = self.next(
            act,
            match &answer {
                Ok(_) => format!("{system} did it"),
                Err(why) => format!("{system} did not do it: {why}"),
            },
        );
        let Some(task) = r.tasks.iter_mut().find(|t| t.system == system) else {
            return Refused::because(format!("request #{} has no task for {system}", self.number));
        };
        match answer {
            Ok(receipt) => (task.receipt, task.failed) = (Some(receipt), None),
            Err(why) => task.failed = Some(why),
        }
        Ok(r)
    }

    /// A second person agrees that it is executed.
    pub fn approve(&self, act: &Act<'_>, approver: &str, asked_by: &str) -> Result<Self, Refused> {
        if self.state != RequestState::InProgress {
            return Refused::because(format!(
                "request #{} is {}: it is approved when it is in progress",
                self.number, self.state
            ));
        }
        if approver == asked_by {
            return Refused::because(format!("{approver} carries it out: somebody else approves"));
        }
        if self.approvals.iter().any(|a| a.by == approver) {
            return Refused::because(format!("{approver} approved it already"));
        }
        let mut r = self.next(act, format!("approved by {approver}"));
        r.approvals.push(Approval { at: act.now, by: approver.to_owned() });
        Ok(r)
    }

    /// Whether it may be executed now. A deletion needs a second person, unless the organisation decided that one is
    /// enough.
    pub fn may_execute(&self, by: &str, approvals_needed: u32) -> Result<(), Refused> {
        self.not_done()?;
        if self.state != RequestState::InProgress {
            return Refused::because(match self.state {
                RequestState::NeedsInput => format!("request #{} waits for the subject's answer", self.number),
                _ => format!("request #{} cannot be executed before the identity is verified", self.number),
            });
        }
        let others = self.approvals.iter().filter(|a| a.by != by).count() as u32;
        if self.kind == RequestKind::Deletion && others + 1 < approvals_needed {
            return Refused::because(format!(
                "an erasure is approved by two persons: {} more must approve request #{}",
                approvals_needed - others - 1,
                self.number
            ));
        }
        Ok(())
    }

    pub fn executed(&self, act: &Act<'_>, outcome: Outcome) -> Self {
        let mut r = self.next(act, "executed");
        r.state = RequestState::Executed;
        r.outcome = Some(outcome);
        r
    }

    /// The subject was answered. Of a deletion, who they are is forgotten now.
    fn complete(&self, act: &Act<'_>, note: &str) -> Result<Self, Refused> {
        if let Some(open) = self.tasks.iter().find(|t| t.receipt.is_none()) {
            return Refused::because(format!(
                "{} has not confirmed yet: the subject is answered when every system has",
                open.system
            ));
        }
        let mut r = self
            .next(
                act,
                if note.trim().is_empty() { "answered".to_owned() } else { format!("answered: {}", note.trim()) },
            )
            .closed(act, RequestState::Completed);
        if self.kind == RequestKind::Deletion {
            r.forget();
        }
        Ok(r)
    }

    /// Takes out who it is about; what remains is proof that it was done.
    fn forget(&mut self) {
        self.subject.clear();
        self.contact.clear();
        self.note.clear();
        self.corrections.clear();
        for e in &mut self.history {
            // What was written by hand may name them.
            for begin in [
                "identity verified",
                "the subject was asked",
                "the subject answered",
                "answered",
                "the clock stands still",
                "extended by two months",
                "withdrawn",
            ] {
                if e.text.starts_with(begin) {
                    e.text = begin.to_owned();
                }
            }
        }
        if let Some(identity) = &mut self.identity {
            identity.text.clear();
        }
        for s in &mut self.stops {
            s.reason.clear();
        }
    }

    fn closed(mut self, act: &Act<'_>, state: RequestState) -> Self {
        self.stops.iter_mut().filter(|s| s.until.is_none()).for_each(|s| s.until = Some(act.today));
        self.state = state;
        self.closed_at = Some(act.now);
        self.closed_on = Some(act.today);
        self
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
