//! Other systems that hold data about people: one call for one request of a data subject.

use std::collections::BTreeMap;

use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;
use wf_model::{SecretRef, SecretSource};

use crate::action::fill;
use crate::config::BEARER;
use crate::{Outcome, http, plain};

/// Another system that holds data about people and can be told by an HTTP call: `[connector.NAME]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// The address that is called.
    pub url: String,
    /// The method.
    #[serde(default = "post")]
    pub method: String,
    /// A JSON document; in its strings `{email}`, `{ip}`, `{phone}`, `{user_id}`, `{name}` (all that are known of the
    /// kind, separated by commas), `{type}` and `{number}` are replaced.
    pub body: String,
    /// Sent as `Authorization: Bearer`.
    pub secret: Option<SecretRef>,
    /// Who answers for that system.
    #[serde(default)]
    pub owner: String,
    /// The requests it is told of, as `["deletion", "access"]`; all when empty.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// As in a webhook: hosts that may be on a private network.
    #[serde(default)]
    pub allow: Vec<String>,
}

fn post() -> String {
    "POST".to_owned()
}

impl Connector {
    /// # Errors
    /// An address or a method that cannot be called, a body that is no JSON, or a secret in plain.
    pub fn check(&self) -> Result<(), String> {
        http::target(&self.url, &self.allow)?;
        plain::address("url", &self.url, BEARER)?;
        Method::from_bytes(self.method.as_bytes()).map_err(|_| format!("'{}' is no HTTP method", self.method))?;
        let body = serde_json::from_str(&self.body).map_err(|e| format!("body is not a JSON document: {e}"))?;
        plain::document("body", &body, BEARER)
    }

    /// Calls it. `known`: `{email}` and so on with what stands for them. `key` makes a repetition harmless where the
    /// other side looks at it.
    ///
    /// # Errors
    /// A sentence: it could not be reached, or did not do it.
    pub async fn call(
        &self,
        secrets: &dyn SecretSource,
        known: &BTreeMap<String, String>,
        key: &str,
    ) -> Result<(u16, String), String> {
        let said = |o: Outcome| o.sentence();
        let mut document: Value = serde_json::from_str(&self.body).map_err(|e| e.to_string())?;
        let known: Vec<(&str, &str)> = known.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        fill(&mut document, &known);
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|e| e.to_string())?;
        let mut request = http::guarded(&self.allow)
            .map_err(said)?
            .request(method, http::target(&self.url, &self.allow)?)
            .header("idempotency-key", key)
            .header("content-type", "application/json")
            .body(document.to_string());
        if let Some(reference) = &self.secret {
            request = request.bearer_auth(secrets.get(reference)?.expose_secret());
        }
        let answer = http::ask(request).await.map_err(said)?;
        if (200..300).contains(&answer.status) { Ok((answer.status, answer.body)) } else { Err(answer.sentence()) }
    }
}
