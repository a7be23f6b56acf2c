//! A personal data breach (GDPR Art. 33, 34): what is suspected, from when it is known, whom it is notified to, and the
//! register of all of them.
//!
//! The 72 hours of Art. 33(1) run from awareness, hour by hour, through weekends and changes of the clocks. Counted in
//! hours, a period does not move to the next working day (Regulation 1182/71 Art. 3(4)); here it is exactly 72 times
//! 3,600 seconds, which is never later than the law's.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use specta::Type;
use wf_model::Timestamp;

use crate::words::word_enum;
use crate::{Entry, Refused, said};

/// Art. 33(1).
pub const LIMIT: Duration = Duration::from_secs(72 * 3600);
/// The privacy officer is told at these hours after awareness, and at the end of the time.
pub const REMINDERS: [u64; 4] = [24, 48, 66, 72];

word_enum! {
    /// Where a breach stands.
    BreachState, "state" {
        /// Nobody knows yet whether it is one.
        Suspected = "suspected",
        /// It is one: the 72 hours run.
        Aware = "aware",
        /// The authority was notified; more may follow in phases.
        Notified = "notified",
        /// Unlikely to result in a risk (Art. 33(1)): in the register, and not notified.
        NotNotifiable = "not_notifiable",
        /// It was none.
        Dismissed = "dismissed",
        Closed = "closed",
    }
}

/// What Art. 33(3) asks for. May be incomplete: it is provided in phases (33(4)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Content {
    /// (a) What happened.
    pub nature: String,
    pub subject_categories: String,
    pub subjects: Option<u64>,
    pub record_categories: String,
    pub records: Option<u64>,
    /// (b) The data protection officer or another contact.
    pub contact: String,
    /// (c)
    pub consequences: String,
    /// (d) Taken or proposed, also to mitigate.
    pub measures: String,
}

impl Content {
    /// What of Art. 33(3) is not said yet.
    pub fn missing(&self) -> Vec<&'static str> {
        let empty = |t: &str| t.trim().is_empty();
        [
            (empty(&self.nature), "the nature of the breach (a)"),
            (empty(&self.subject_categories), "categories of data subjects (a)"),
            (self.subjects.is_none(), "the approximate number of data subjects (a)"),
            (empty(&self.record_categories), "categories of records (a)"),
            (self.records.is_none(), "the approximate number of records (a)"),
            (empty(&self.contact), "the contact point (b)"),
            (empty(&self.consequences), "the likely consequences (c)"),
            (empty(&self.measures), "the measures taken or proposed (d)"),
        ]
        .into_iter()
        .filter_map(|(is, what)| is.then_some(what))
        .collect()
    }
}

/// What was sent to the authority at once or in phases, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Phase {
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
    /// What the authority calls it.
    pub reference: String,
    pub content: Content,
    /// What it leaves for a later phase.
    pub missing: Vec<String>,
}

word_enum! {
    /// Art. 34(3): why the subjects need not be told one by one.
    Exemption, "exemption" {
        /// No high risk: Art. 34(1) does not ask for it.
        NoHighRisk = "no_high_risk",
        /// (a) The data is unintelligible to whoever has it, as by encryption.
        Unintelligible = "unintelligible",
        /// (b) Later measures make sure that the risk is no longer likely.
        MeasuresTaken = "measures_taken",
        /// (c) It would take a disproportionate effort: a public communication instead.
        PublicCommunication = "public_communication",
    }
}

/// Whether the subjects are told (Art. 34).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Subjects {
    #[specta(type = i64)]
    pub at: Timestamp,
    pub by: String,
    pub exemption: Option<Exemption>,
    pub reason: String,
    /// In clear and plain language (34(2)).
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Breach {
    pub number: u64,
    pub version: u64,
    pub title: String,
    pub state: BreachState,
    /// Numbers of the incidents it is about.
    pub incidents: Vec<u64>,
    /// When it was first suspected, who decided so, and why.
    pub suspected: Entry,
    /// From when there is a reasonable degree of certainty: the 72 hours run from here. Who decided so, and why.
    pub aware: Option<Entry>,
    pub content: Content,
    pub phases: Vec<Phase>,
    pub subjects: Option<Subjects>,
    /// The risk reasoning, when it is not notified.
    pub not_notified_because: Option<String>,
    /// The reasons for the delay, when it was notified after 72 hours (Art. 33(1)).
    pub delay_reason: Option<String>,
    /// Hours after awareness at which the privacy officer was told.
    pub reminded: Vec<u64>,
    pub history: Vec<Entry>,
}

impl Breach {
    /// `suspected`: when, which may be earlier than now, by whom, and why.
    pub fn open(
        now: Timestamp,
        number: u64,
        title: &str,
        incidents: Vec<u64>,
        suspected: Entry,
        content: Content,
    ) -> Result<Self, Refused> {
        if suspected.at > now {
            return Refused::because("it cannot have been suspected in the future");
        }
        let suspected = Entry { text: said(&suspected.text, "why a breach is suspected")?, ..suspected };
        let by = suspected.by.clone();
        Ok(Self {
            number,
            version: 1,
            title: said(title, "what it is called")?,
            state: BreachState::Suspected,
            incidents,
            suspected,
            aware: None,
            content,
            phases: Vec::new(),
            subjects: None,
            not_notified_because: None,
            delay_reason: None,
            reminded: Vec::new(),
            history: vec![Entry { at: now, by, text: "a personal data breach is suspected".into() }],
        })
    }

    /// When the authority must have been notified.
    pub fn due(&self) -> Option<Timestamp> {
        self.aware.as_ref().map(|a| a.at + LIMIT)
    }

    /// The clock runs: known, and nothing was decided yet.
    pub fn clock_runs(&self) -> bool {
        self.state == BreachState::Aware
    }

    /// Still to be worked on, or to be looked at again.
    pub fn is_open(&self) -> bool {
        matches!(self.state, BreachState::Suspected | BreachState::Aware | BreachState::Notified)
    }

    fn next(&self, now: Timestamp, by: &str, text: impl Into<String>) -> Self {
        let mut b = self.clone();
        b.version += 1;
        b.history.push(Entry { at: now, by: by.to_owned(), text: text.into() });
        b
    }

    fn must_be(&self, states: &[BreachState], what: &str) -> Result<(), Refused> {
        if states.contains(&self.state) {
            Ok(())
        } else {
            Refused::because(format!("breach #{} is {}: {what}", self.number, self.state))
        }
    }

    /// It is one. `at`: from when that was known, which may be earlier than now and is never earlier than the
    /// suspicion.
    pub fn aware(&self, now: Timestamp, by: &str, at: Timestamp, why: &str) -> Result<Self, Refused> {
        self.must_be(&[BreachState::Suspected], "awareness is decided once")?;
        let why = said(why, "why it is certain enough")?;
        if at > now {
            return Refused::because("awareness cannot lie in the future");
        }
        let mut b = self.next(now, by, format!("known to be a breach since {}: {why}", at.rfc3339()));
        // Whoever knew suspected it, too: it was only written down later.
        b.suspected.at = b.suspected.at.min(at);
        b.aware = Some(Entry { at, by: by.to_owned(), text: why });
        b.state = BreachState::Aware;
        Ok(b)
    }

    pub fn describe(&self, now: Timestamp, by: &str, content: Content) -> Result<Self, Refused> {
        if !self.is_open() && self.state != BreachState::NotNotifiable {
            return Refused::because(format!("breach #{} is {}", self.number, self.state));
        }
        for text in [
            &content.nature,
            &content.subject_categories,
            &content.record_categories,
            &content.contact,
            &content.consequences,
            &content.measures,
        ] {
            if text.chars().count() > 20_000 {
                return Refused::because("a text is longer than 20,000 characters");
            }
        }
        let mut b = self.next(now, by, "described");
        b.content = content;
        Ok(b)
    }

    /// The authority was notified, at once or with a further phase.
    ///
    /// # Errors
    /// After 72 hours without the reasons for the delay (Art. 33(1)); without a word about what happened.
    pub fn notify(
        &self,
        now: Timestamp,
        by: &str,
        at: Timestamp,
        reference: &str,
        delay_reason: Option<&str>,
    ) -> Result<Self, Refused> {
        // A risk may turn out to be one after all.
        self.must_be(
            &[BreachState::Aware, BreachState::Notified, BreachState::NotNotifiable],
            "the authority is notified of what is known to be a breach",
        )?;
        if at > now {
            return Refused::because("it cannot have been notified in the future");
        }
        if self.aware.as_ref().is_some_and(|a| at < a.at) {
            return Refused::because("it cannot have been notified before it was known");
        }
        said(&self.content.nature, "the nature of the breach")?;
        let delay = delay_reason.map(str::trim).filter(|r| !r.is_empty());
        let first = self.phases.is_empty();
        if first && self.due().is_some_and(|due| at > due) && delay.is_none() {
            return Refused::because(
                "more than 72 hours have passed since it was known: the reasons for the delay must be given (Art. 33(1))",
            );
        }
        let missing: Vec<String> = self.content.missing().into_iter().map(str::to_owned).collect();
        let mut b = self.next(
            now,
            by,
            if missing.is_empty() {
                "the authority was notified, completely".to_owned()
            } else {
                format!("the authority was notified; to follow: {}", missing.join(", "))
            },
        );
        b.phases.push(Phase {
            at,
            by: by.to_owned(),
            reference: reference.trim().to_owned(),
            content: self.content.clone(),
            missing,
        });
        if first {
            b.delay_reason = delay.map(str::to_owned);
        }
        b.state = BreachState::Notified;
        Ok(b)
    }

    /// Unlikely to result in a risk to anybody: with the reasoning, in the register.
    pub fn not_notifiable(&self, now: Timestamp, by: &str, reasoning: &str) -> Result<Self, Refused> {
        self.must_be(&[BreachState::Aware], "whether to notify is decided once it is known")?;
        let reasoning = said(reasoning, "why it is unlikely to result in a risk to anybody")?;
        let mut b = self.next(now, by, "not notifiable");
        b.not_notified_because = Some(reasoning);
        b.state = BreachState::NotNotifiable;
        Ok(b)
    }

    /// Whether the subjects are told (Art. 34): with a message, or with the exemption and its reason.
    pub fn decide_subjects(
        &self,
        now: Timestamp,
        by: &str,
        exemption: Option<Exemption>,
        reason: &str,
        message: &str,
    ) -> Result<Self, Refused> {
        self.must_be(
            &[BreachState::Aware, BreachState::Notified, BreachState::NotNotifiable],
            "the subjects are decided about once it is known",
        )?;
        let message = message.trim().to_owned();
        if exemption.is_none_or(|e| e == Exemption::PublicCommunication) {
            said(&message, "the message to the subjects, in clear and plain language (Art. 34(2))")?;
        } else {
            said(reason, "why the exemption applies")?;
        }
        let mut b = self.next(
            now,
            by,
            match exemption {
                None => "the subjects are told".to_owned(),
                Some(e) => format!("the subjects are not told one by one: {e}"),
            },
        );
        b.subjects =
            Some(Subjects { at: now, by: by.to_owned(), exemption, reason: reason.trim().to_owned(), message });
        Ok(b)
    }

    /// It was none after all.
    pub fn dismiss(&self, now: Timestamp, by: &str, why: &str) -> Result<Self, Refused> {
        self.must_be(&[BreachState::Suspected], "only a suspicion is dismissed")?;
        let why = said(why, "why it was no breach")?;
        let mut b = self.next(now, by, format!("it was no breach: {why}"));
        b.state = BreachState::Dismissed;
        Ok(b)
    }

    pub fn close(&self, now: Timestamp, by: &str) -> Result<Self, Refused> {
        self.must_be(&[BreachState::Notified], "what was notified is closed when the authority has everything")?;
        if let Some(missing) = self.phases.last().map(|p| &p.missing).filter(|m| !m.is_empty()) {
            return Refused::because(format!("the authority has not been told yet: {}", missing.join(", ")));
        }
        if self.subjects.is_none() {
            return Refused::because("whether the subjects are told has not been decided (Art. 34)");
        }
        let mut b = self.next(now, by, "closed");
        b.state = BreachState::Closed;
        Ok(b)
    }

    /// The hour of the newest reminder that is due and was not given. After a pause several may have been missed: one
    /// is given, and it says how late it is.
    pub fn reminder_due(&self, now: Timestamp) -> Option<u64> {
        let aware = self.aware.as_ref().filter(|_| self.clock_runs())?;
        let hours = now.since(aware.at).as_secs() / 3600;
        REMINDERS.into_iter().rfind(|h| *h <= hours).filter(|h| !self.reminded.contains(h))
    }

    /// When the next reminder will be due.
    pub fn next_reminder(&self) -> Option<Timestamp> {
        let aware = self.aware.as_ref().filter(|_| self.clock_runs())?;
        REMINDERS
            .into_iter()
            .find(|h| !self.reminded.contains(h) && self.reminded.iter().all(|r| r < h))
            .map(|h| aware.at + Duration::from_secs(h * 3600))
    }

    /// That reminder was given, and with it the earlier ones.
    pub fn reminded(&self, now: Timestamp, hour: u64) -> Self {
        let mut b = self.next(now, "Watchfloor", format!("the privacy officer was told: {hour} hours have passed"));
        b.reminded.extend(REMINDERS.into_iter().filter(|h| *h <= hour && !self.reminded.contains(h)));
        b
    }
}

#[cfg(test)]
#[path = "breach_tests.rs"]
mod tests;
