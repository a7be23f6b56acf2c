//! Variables of the environment that hold secrets.
//!
//! All that a process has in its environment, its children get too, and a web view has many. So the window starts
//! itself again without the variables that its config refers to, and hands their values to itself. They are kept here,
//! out of `/proc/*/environ`. Where nothing was handed over, as in `watchfloorctl`, the environment itself is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

/// It makes a channel without standing in the config (`wf-config`).
pub const WEBHOOK: &str = "SECURITY_WEBHOOK_URL";

static HELD: OnceLock<SecretEnvironment> = OnceLock::new();

/// Variables and their values, apart from the environment.
#[derive(Clone, Debug, Default)]
pub struct SecretEnvironment(BTreeMap<String, SecretString>);

impl SecretEnvironment {
    /// What is held already, and these variables of the environment. One whose value is no text counts as not set, as
    /// it does everywhere.
    pub fn gather<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = HELD.get().cloned().unwrap_or_default();
        all.0.extend(names.into_iter().filter_map(|n| Some((n.to_owned(), std::env::var(n).ok()?.into()))));
        all
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As bytes, to be handed over. Neither names nor values can hold a NUL.
    pub fn to_bytes(&self) -> SecretSlice<u8> {
        let length = self.0.iter().map(|(name, value)| name.len() + value.expose_secret().len() + 2).sum();
        let mut bytes = Vec::with_capacity(length);
        for (name, value) in &self.0 {
            for text in [name.as_str(), value.expose_secret()] {
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(0);
            }
        }
        bytes.into()
    }

    /// What [`SecretEnvironment::to_bytes`] made. `None`: something else did.
    pub fn from_bytes(bytes: &SecretSlice<u8>) -> Option<Self> {
        let mut rest = std::str::from_utf8(bytes.expose_secret()).ok()?;
        let mut all = Self::default();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('\0')?;
            let (value, after) = after.split_once('\0')?;
            all.0.insert(name.to_owned(), value.into());
            rest = after;
        }
        Some(all)
    }

    /// Keeps them as long as this process lives. `false`: others were kept before, and stay.
    pub fn hold(self) -> bool {
        HELD.set(self).is_ok()
    }
}

/// The value of a variable: what was handed over, else what the environment has.
pub fn variable(name: &str) -> Option<SecretString> {
    match HELD.get().and_then(|held| held.0.get(name)) {
        Some(value) => Some(value.clone()),
        None => std::env::var(name).ok().map(Into::into),
    }
}

/// Whether a variable is there and says something.
pub fn is_set(name: &str) -> bool {
    variable(name).is_some_and(|value| !value.expose_secret().is_empty())
}

/// Every variable that may hold a secret of a config: what follows `env:` in any of its strings. The text is not
/// parsed, so that a config that is wrong leaks nothing either; a name too many does no harm.
pub fn names_in(config: &str) -> BTreeSet<String> {
    const MARK: &str = "env:";
    let references = config.match_indices(MARK).filter_map(|(at, _)| {
        let rest = &config[at + MARK.len()..];
        let name = &rest[..rest.find(['"', '\'', '\n'])?];
        // What does not end with its string is no reference.
        (!name.is_empty() && !rest[name.len()..].starts_with('\n')).then(|| name.to_owned())
    });
    references.chain([WEBHOOK.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_that_a_config_refers_to_is_found_in_its_text() {
        let text = r#"
            [store]
            key = "env:DATABASE"
            # key = "env:OLD"
            [feed.shop]
            url = "wss://x/?a=env:QUERY"
            auth = { scheme = "bearer", secret = 'env:SHOP' }
            headers = { "X-A" = "env:A_1", "X-B" = "env:" }
            [dead_man]
            url = """env:DEAD_MAN"""
            this line is wrong: env:PATH
            token = "environment:NOT"
        "#;
        let found = names_in(text);
        let expected = ["A_1", "DATABASE", "DEAD_MAN", "OLD", "QUERY", WEBHOOK, "SHOP"];
        assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(expected));
        assert_eq!(names_in("").len(), 1);
        assert_eq!(names_in("key = \"env:CUT").len(), 1);
    }

    #[test]
    fn what_was_handed_over_comes_before_the_environment_and_is_never_shown() {
        let value = |name: &str| variable(name).map(|v| v.expose_secret().to_owned());
        let path = std::env::var("PATH").unwrap();
        assert_eq!(value("PATH").as_ref(), Some(&path), "nothing was handed over yet");
        let mut given = SecretEnvironment::gather(["PATH", "WATCHFLOOR_NO_SUCH_VARIABLE"]);
        assert_eq!(given.0.len(), 1);
        given.0.insert("WATCHFLOOR_TEST_HANDED_OVER".into(), "a=b\nhünter2".into());
        given.0.insert("WATCHFLOOR_TEST_EMPTY".into(), "".into());
        assert!(!format!("{given:?}").contains("hünter2"), "t8: {given:?}");
        let bytes = given.to_bytes();
        assert!(SecretEnvironment::from_bytes(&bytes).unwrap().hold());
        assert!(!SecretEnvironment::default().hold());
        assert_eq!(value("WATCHFLOOR_TEST_HANDED_OVER").as_deref(), Some("a=b\nhünter2"));
        assert_eq!(value("WATCHFLOOR_TEST_EMPTY").as_deref(), Some(""));
        assert!(is_set("WATCHFLOOR_TEST_HANDED_OVER") && !is_set("WATCHFLOOR_TEST_EMPTY"));
        assert_eq!(value("WATCHFLOOR_NO_SUCH_VARIABLE"), None);
        assert_eq!(SecretEnvironment::gather([]).to_bytes().expose_secret(), bytes.expose_secret());
    }

    #[test]
    fn bytes_of_something_else_are_no_secrets() {
        for bytes in [&b"NAME"[..], b"NAME\0value", b"NAME\0value\0more\0", b"\xff\0\0"] {
            assert!(SecretEnvironment::from_bytes(&bytes.to_vec().into()).is_none(), "{bytes:?}");
        }
        assert!(SecretEnvironment::from_bytes(&Vec::<u8>::new().into()).unwrap().is_empty());
    }
}
