//! The second person: approves with a code of their authenticator app (TOTP, RFC 6238), whose secret is in the keychain.
//!
//! A code counts once: whoever saw it typed cannot use it again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret as _, SecretString};
use totp_rs::{Builder, Secret, Totp};
use wf_model::Timestamp;

use crate::api::{ApiError, ErrorCode};
use crate::controller::Controller;

/// Seconds a code lasts.
const STEP: u64 = 30;

/// The step of the last code of each person that counted.
#[derive(Default)]
pub struct Used(Mutex<HashMap<String, u64>>);

fn totp(secret: &SecretString, person: &str) -> Result<Totp, ApiError> {
    let secret = Secret::try_from_base32(secret.expose_secret().trim()).map_err(|_| ApiError::failed(format!("the approval secret of {person} is not base32")))?;
    Builder::new().with_secret(secret).with_account_name(person).with_issuer(Some("Watchfloor")).build().map_err(|_| ApiError::failed(format!("the approval secret of {person} is too short: 16 bytes at least")))
}

impl Controller {
    /// People who can approve: those with a secret, other than the one who sits here.
    pub(crate) fn approvers(&self) -> Vec<String> {
        let (config, me) = (self.config(), self.config().operator_name());
        let plan = self.plan();
        config.person.iter().filter(|(id, p)| p.approver.is_some() && plan.name(id) != me).map(|(id, _)| id.clone()).collect()
    }

    /// Checks that this person approves, with the code their app shows now. Gives their name.
    pub(crate) fn approved_by(&self, person: &str, code: &str, now: Timestamp) -> Result<String, ApiError> {
        let config = self.config();
        let plan = self.plan();
        let id = config.person.keys().find(|id| *id == person || plan.name(id) == person).ok_or_else(|| ApiError::invalid(format!("'{person}' is nobody: there is no [person.{person}]")))?;
        let name = plan.name(id).to_owned();
        if name == config.operator_name() {
            return Err(ApiError::new(ErrorCode::Refused, format!("{name} sits here: somebody else approves")));
        }
        let Some(reference) = config.person.get(id).and_then(|p| p.approver.as_ref()) else {
            return Err(ApiError::new(ErrorCode::Refused, format!("{name} has no authenticator: `watchfloorctl privacy approvers enrol {id}` makes one")));
        };
        let secret = self.secrets().get(reference).map_err(ApiError::failed)?;
        let seconds = (now.millis() / 1000).max(0) as u64;
        let code: String = code.chars().filter(char::is_ascii_digit).collect();
        // One code to each side, for clocks that differ.
        let step = totp(&secret, &name)?.check(&code, seconds).ok_or_else(|| ApiError::new(ErrorCode::Refused, format!("that is not the code {name}'s authenticator shows now")))?;
        let mut used = self.privacy.used.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = used.entry(id.clone()).or_insert(0);
        if step <= *last {
            return Err(ApiError::new(ErrorCode::Refused, "this code was used already: wait for the next one"));
        }
        *last = step;
        Ok(name)
    }

    /// Makes a secret for a person, puts it into the keychain and a reference to it into the config. What is returned goes into their authenticator app, and is never
    /// shown again.
    pub async fn enrol_approver(&self, person: &str) -> Result<String, ApiError> {
        self.may_change()?;
        if !self.config().person.contains_key(person) {
            return Err(ApiError::invalid(format!("there is no [person.{person}]")));
        }
        let secret = Secret::generate().to_base32();
        let name = format!("approver-{person}");
        let (keychain, entry, value) = (self.keychain.clone(), name.clone(), SecretString::from(secret.clone()));
        tokio::task::spawn_blocking(move || keychain.set(&entry, &value)).await.map_err(ApiError::failed)?.map_err(ApiError::failed)?;
        self.edit_config(format!("approver {person}"), |text, path| crate::config::with_approver(text, path, person, &format!("keychain:{name}"))).await?;
        totp(&secret.into(), person)?.to_url().map_err(ApiError::failed)
    }
}

/// The code a secret gives at a moment: for tests, and for nothing else.
pub fn code_at(secret: &str, now: Timestamp) -> Option<String> {
    let secret = SecretString::from(secret.to_owned());
    Some(totp(&secret, "test").ok()?.generate((now.millis() / 1000) as u64 / STEP * STEP).to_string())
}

