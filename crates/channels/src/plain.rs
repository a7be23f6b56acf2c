//! Secrets that stand in plain where the config should refer to them. What a name says decides; a value is never
//! repeated, since it may be the secret.

use std::collections::BTreeMap;

use serde_json::Value;
use url::form_urlencoded;
use wf_model::{HeaderText, looks_secret};

/// The parameters of an address. `instead` goes on the sentence: what to write.
pub fn address(key: &str, url: &str, instead: &str) -> Result<(), String> {
    // Not parsed as an address: what is to be replaced in it may stand where none could be.
    let sent = url.split('#').next().unwrap_or_default();
    let query = sent.split_once('?').map_or("", |(_, query)| query);
    match form_urlencoded::parse(query.as_bytes()).find(|(name, value)| is_own(value) && looks_secret(name)) {
        Some((name, _)) => Err(format!("{key}: the parameter '{name}' looks like a secret; {instead}")),
        None => Ok(()),
    }
}

/// Headers.
pub fn headers(headers: &BTreeMap<String, HeaderText>) -> Result<(), String> {
    match headers.iter().find(|(name, value)| value.secret().is_none() && looks_secret(name)) {
        Some((name, _)) => {
            Err(format!("headers: '{name}' looks like a secret; write where it is kept: {name} = \"keychain:NAME\""))
        }
        None => Ok(()),
    }
}

/// The keys of a document, however deep.
pub fn document(key: &str, document: &Value, instead: &str) -> Result<(), String> {
    match in_document(document) {
        Some(name) => Err(format!("{key}: '{name}' looks like a secret; {instead}")),
        None => Ok(()),
    }
}

fn in_document(value: &Value) -> Option<&str> {
    match value {
        // A bare `key` names a thing in many documents, as Jira's project.
        Value::Object(map) => map.iter().find_map(|(name, value)| match value {
            Value::String(text) => (name != "key" && is_own(text) && looks_secret(name)).then_some(name.as_str()),
            other => in_document(other),
        }),
        Value::Array(items) => items.iter().find_map(in_document),
        _ => None,
    }
}

/// Whether a value says something that is not put there for each message.
fn is_own(value: &str) -> bool {
    !(value.is_empty() || value.contains('{') && value.contains('}'))
}

#[cfg(test)]
mod tests {
    use crate::ChannelConfig;
    use crate::config::Action;
    use crate::connector::Connector;

    fn channel(text: &str) -> Result<ChannelConfig, String> {
        let config: ChannelConfig = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        config.check().map(|()| config)
    }

    fn webhook(text: &str) -> Result<ChannelConfig, String> {
        channel(&format!("kind = \"webhook\"\n{text}"))
    }

    fn action(text: &str) -> Result<(), String> {
        let config: Action = toml::from_str(&format!("about = \"source.ip\"\n{text}")).map_err(|e| e.to_string())?;
        ChannelConfig::Action(config).check()
    }

    fn connector(text: &str) -> Result<(), String> {
        toml::from_str::<Connector>(text).map_err(|e| e.to_string())?.check()
    }

    #[test]
    fn t8_nothing_that_looks_like_a_secret_is_taken_or_shown() {
        let refused = [
            (webhook("url = \"https://x/?a=1&token=hunter2\"").map(drop), "secret_url = \"keychain:NAME\""),
            (webhook("url = \"https://x/?api%5Fkey=hunter2#a\"").map(drop), "secret_url"),
            (
                webhook("url = \"https://x/\"\nheaders = { X-Api-Key = \"hunter2\" }").map(drop),
                "X-Api-Key = \"keychain:NAME\"",
            ),
            (
                webhook("url = \"https://x/\"\nheaders = { Authorization = \"Bearer hunter2\" }").map(drop),
                "keychain:NAME",
            ),
            (
                webhook("url = \"https://x/\"\ntemplate = '{\"a\": [{\"api_token\": \"hunter2\"}]}'").map(drop),
                "headers = { NAME = \"keychain:NAME\" }",
            ),
            (action("url = \"https://x/{entity}?key=hunter2\""), "secret = \"keychain:NAME\""),
            (
                action("url = \"https://x/{entity}\"\nundo_url = \"https://x/?sig=hunter2\""),
                "undo_url: the parameter 'sig'",
            ),
            (action("url = \"https://x/\"\nbody = '{\"password\": \"hunter2\"}'"), "body: 'password'"),
            (connector("url = \"https://x/?access_token=hunter2\"\nbody = \"{}\""), "secret = \"keychain:NAME\""),
            (connector("url = \"https://x/\"\nbody = '{\"client_secret\": \"hunter2\"}'"), "body: 'client_secret'"),
            (
                channel("kind = \"pagerduty\"\nrouting_key = \"env:A\"\nurl = \"https://u:hunter2@x/\"").map(drop),
                "address",
            ),
            (channel("kind = \"pagerduty\"\nrouting_key = \"env:A\"\nurl = \"hunter2\"").map(drop), "address"),
            (channel("kind = \"pagerduty\"\nrouting_key = \"env:A\"\nurl = \"ftp://hunter2/\"").map(drop), "https"),
        ];
        for (result, expected) in refused {
            let error = result.unwrap_err();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{expected}: {error}");
        }
    }

    #[test]
    fn what_is_a_reference_or_put_there_for_each_message_is_no_secret() {
        let hook = webhook(
            "url = \"https://x/?project_key=SEC&token=\"\n\
             headers = { X-Source = \"a\", X-Api-Key = \"keychain:hook\", Authorization = \"env:AUTH\" }\n\
             template = '{\"project\": {\"key\": \"SEC\"}, \"dedup_key\": \"w\", \"my_key\": \"{id}\", \"tokens\": 5}'",
        )
        .unwrap();
        let references: Vec<String> = hook.secrets().iter().map(ToString::to_string).collect();
        assert_eq!(references, ["env:AUTH", "keychain:hook"]);
        action("url = \"https://x/?key={entity}\"\nbody = '{\"api_key\": \"\", \"key\": \"{entity}\"}'").unwrap();
        connector("url = \"https://x/\"\nbody = '{\"subject_key\": \"{email}\"}'").unwrap();
    }
}
