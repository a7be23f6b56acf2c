//! The second person: approves with a code of their authenticator app (TOTP, RFC 6238), whose secret is in the
//! keychain.
//!
//! A code counts once: whoever saw it typed cannot use it again.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use totp_rs::{Builder, Secret, Totp};
use wf_api::{ApiError, ErrorCode};
use wf_model::{AuditAction, Timestamp};

use crate::records::*;

/// Seconds a code lasts.
const STEP: u64 = 30;

/// Wrong codes in a row before nobody is asked for a while: six digits must not be guessed.
const WRONG: u32 = 5;
const PAUSE: Duration = Duration::from_secs(15 * 60);

/// Checks that a second person approves, and makes approvers.
pub struct Approvals {
    pub(crate) records: Arc<Records>,
    /// What is known of each person's codes.
    pub(crate) used: Mutex<HashMap<String, Codes>>,
}

#[derive(Default)]
pub(crate) struct Codes {
    /// The step of the last one that counted.
    last: u64,
    wrong: u32,
    paused_until: Timestamp,
}

fn totp(secret: &SecretString, person: &str) -> Result<Totp, ApiError> {
    let secret = Secret::try_from_base32(secret.expose_secret().trim())
        .map_err(|_| ApiError::failed(format!("the approval secret of {person} is not base32")))?;
    Builder::new()
        .with_secret(secret)
        .with_account_name(person)
        .with_issuer(Some("Watchfloor"))
        .build()
        .map_err(|_| ApiError::failed(format!("the approval secret of {person} is too short: 16 bytes at least")))
}

impl Approvals {
    /// People who can approve: those with a secret, other than the one who sits here.
    pub(crate) fn approvers(&self) -> Vec<String> {
        let (config, me) = (self.records.context.config(), self.records.context.config().operator_name());
        let plan = self.records.context.plan();
        config
            .person
            .iter()
            .filter(|(id, p)| p.approver.is_some() && plan.name(id) != me)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Checks that this person approves, with the code their app shows now. Gives their name. What was wrong is
    /// recorded.
    pub(crate) async fn approved_by(&self, person: &str, code: &str, now: Timestamp) -> Result<String, ApiError> {
        let checked = self.code_of(person, code, now);
        if let Err(e) = &checked
            && e.code == ErrorCode::Refused
        {
            let audit = AuditAction {
                at: now,
                actor: self.records.context.operator(),
                action: "privacy.approval.refused".into(),
                subject: "approval".into(),
                payload: json!({ "approver": person, "reason": e.message }),
            };
            self.records.context.ledger.record(vec![audit]).await?;
        }
        checked
    }

    pub(crate) fn code_of(&self, person: &str, code: &str, now: Timestamp) -> Result<String, ApiError> {
        let config = self.records.context.config();
        let plan = self.records.context.plan();
        let id = config
            .person
            .keys()
            .find(|id| *id == person || plan.name(id) == person)
            .ok_or_else(|| ApiError::invalid(format!("'{person}' is nobody: there is no [person.{person}]")))?;
        let name = plan.name(id).to_owned();
        if name == config.operator_name() {
            return Err(ApiError::new(ErrorCode::Refused, format!("{name} sits here: somebody else approves")));
        }
        self.check_code(id, &name, code, now)?;
        Ok(name)
    }

    pub(crate) fn check_code(&self, id: &str, name: &str, code: &str, now: Timestamp) -> Result<(), ApiError> {
        let refused = |reason: String| Err(ApiError::new(ErrorCode::Refused, reason));
        let config = self.records.context.config();
        let Some(reference) = config.person.get(id).and_then(|p| p.approver.as_ref()) else {
            return refused(format!(
                "{name} has no authenticator: `watchfloorctl privacy approvers enrol {id}` makes one"
            ));
        };
        let totp = totp(&self.records.context.secrets().get(reference).map_err(ApiError::failed)?, name)?;
        let code: String = code.chars().filter(char::is_ascii_digit).collect();
        let mut used = self.used.lock();
        let codes = used.entry(id.to_owned()).or_default();
        if now < codes.paused_until {
            return refused(format!(
                "{WRONG} wrong codes in a row: {name} is asked again in {}",
                wf_model::span::spoken(codes.paused_until.since(now))
            ));
        }
        // One code to each side, for clocks that differ.
        let Some(step) = totp.check(&code, (now.millis() / 1000).max(0) as u64) else {
            codes.wrong += 1;
            if codes.wrong >= WRONG {
                (codes.wrong, codes.paused_until) = (0, now + PAUSE);
            }
            return refused(format!("that is not the code {name}'s authenticator shows now"));
        };
        if step <= codes.last {
            return refused("this code was used already: wait for the next one".into());
        }
        *codes = Codes { last: step, ..Codes::default() };
        Ok(())
    }

    /// Makes a secret for a person, puts it into the keychain and a reference to it into the config. What is returned
    /// goes into their authenticator app, and is never shown again.
    ///
    /// Whoever has one already gives a code of it; where others have one, one of them vouches with theirs. Only the
    /// very first needs nobody.
    pub async fn enrol(&self, person: &str, voucher: Option<&str>, code: Option<&str>) -> Result<String, ApiError> {
        self.records.context.may_change()?;
        let config = self.records.context.config();
        let Some(known) = config.person.get(person) else {
            return Err(ApiError::invalid(format!("there is no [person.{person}]")));
        };
        let anybody = config.person.iter().any(|(_, p)| p.approver.is_some());
        if anybody {
            let voucher = if known.approver.is_some() { person } else { voucher.unwrap_or_default() };
            let Some((id, _)) = config.person.iter().find(|(id, p)| *id == voucher && p.approver.is_some()) else {
                return Err(ApiError::new(
                    ErrorCode::Refused,
                    "somebody who approves already vouches for a new approver: give --voucher and --code",
                ));
            };
            self.check_code(
                id,
                self.records.context.plan().name(id),
                code.unwrap_or_default(),
                self.records.context.now(),
            )?;
        }
        let secret = Secret::generate().to_base32();
        let name = format!("approver-{person}");
        let (keychain, entry, value) =
            (self.records.context.keychain.clone(), name.clone(), SecretString::from(secret.clone()));
        tokio::task::spawn_blocking(move || keychain.set(&entry, &value))
            .await
            .map_err(ApiError::failed)?
            .map_err(ApiError::failed)?;
        self.records
            .context
            .edit_config(format!("approver {person}"), |text, path| {
                wf_config::edit::with_approver(text, path, person, &format!("keychain:{name}"))
            })
            .await?;
        let audit = AuditAction {
            at: self.records.context.now(),
            actor: self.records.context.operator(),
            action: "privacy.approver.enrol".into(),
            subject: "approver".into(),
            payload: json!({ "person": person, "voucher": voucher }),
        };
        self.records.context.ledger.record(vec![audit]).await?;
        totp(&secret.into(), person)?.to_url().map_err(ApiError::failed)
    }
}

/// The code a secret gives at a moment: for tests, and for nothing else.
pub fn code_at(secret: &str, now: Timestamp) -> Option<String> {
    let secret = SecretString::from(secret.to_owned());
    Some(totp(&secret, "test").ok()?.generate((now.millis() / 1000) as u64 / STEP * STEP).to_string())
}
