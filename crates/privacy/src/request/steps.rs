//! What is done to a request, step after step. Each returns the next version, or says why it cannot be.

use chrono::NaiveDate;

use super::{
    Act, Approval, Correction, Extension, Outcome, Receipt, Request, RequestKind, RequestState, Stop, StopGround, Task,
    check_correction,
};
use crate::{Entry, Refused, said};

impl Request {
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
                "the subject must be told within the first month, which ended on {} (Art. 12(3)): it can no longer be \
                 extended",
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
