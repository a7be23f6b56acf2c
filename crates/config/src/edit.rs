//! Edits of the file by the console itself: one change each, everything else kept as it stands, comments included. What
//! results is checked before it is returned.

use std::path::Path;

use crate::{Config, ConfigError};

/// Adds or replaces `[feed.NAME]`, keeping everything else as it stands, comments included. The text that results is
/// checked before it is returned.
pub fn with_feed(text: &str, path: &Path, name: &str, feed: &str) -> Result<String, ConfigError> {
    let error =
        |e: toml_edit::TomlError| ConfigError { path: path.display().to_string(), reason: e.message().to_owned() };
    let mut document: toml_edit::DocumentMut = text.parse().map_err(error)?;
    let table: toml_edit::DocumentMut = feed.parse().map_err(error)?;
    let feeds = document.entry("feed").or_insert_with(|| {
        let mut t = toml_edit::Table::new();
        t.set_implicit(true);
        toml_edit::Item::Table(t)
    });
    let wrong = || ConfigError { path: path.display().to_string(), reason: "'feed' is not a table".into() };
    feeds.as_table_mut().ok_or_else(wrong)?.insert(name, toml_edit::Item::Table(table.as_table().clone()));
    let text = document.to_string();
    Config::parse(&text, path)?;
    Ok(text)
}

/// Adds an override to `[schedule.NAME]`, keeping everything else as it stands.
pub fn with_override(
    text: &str,
    path: &Path,
    schedule: &str,
    person: &str,
    from: &str,
    to: &str,
) -> Result<String, ConfigError> {
    let error = |reason: String| ConfigError { path: path.display().to_string(), reason };
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| error(e.message().to_owned()))?;
    let table = document
        .get_mut("schedule")
        .and_then(|s| s.get_mut(schedule))
        .and_then(toml_edit::Item::as_table_like_mut)
        .ok_or_else(|| error(format!("there is no [schedule.{schedule}]")))?;
    let mut new = toml_edit::InlineTable::new();
    for (key, value) in [("person", person), ("from", from), ("to", to)] {
        new.insert(key, value.into());
    }
    match table.get_mut("override") {
        None => {
            table.insert("override", toml_edit::value(toml_edit::Array::from_iter([new])));
        }
        Some(item) => match (item.as_array_mut().is_some(), item.is_array_of_tables()) {
            (true, _) => item.as_array_mut().into_iter().for_each(|a| a.push(new.clone())),
            (_, true) => item.as_array_of_tables_mut().into_iter().for_each(|a| a.push(new.clone().into_table())),
            _ => return Err(error(format!("[schedule.{schedule}]: 'override' is not a list"))),
        },
    }
    let text = document.to_string();
    Config::parse(&text, path)?;
    Ok(text)
}

/// Gives `[person.ID]` a reference to their authenticator's secret, keeping everything else as it stands.
pub fn with_approver(text: &str, path: &Path, person: &str, reference: &str) -> Result<String, ConfigError> {
    let error = |reason: String| ConfigError { path: path.display().to_string(), reason };
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| error(e.message().to_owned()))?;
    let table = document
        .get_mut("person")
        .and_then(|s| s.get_mut(person))
        .and_then(toml_edit::Item::as_table_like_mut)
        .ok_or_else(|| error(format!("there is no [person.{person}]")))?;
    table.insert("approver", toml_edit::value(reference));
    let text = document.to_string();
    Config::parse(&text, path)?;
    Ok(text)
}

/// Switches the demo feed on or off, keeping everything else as it stands.
pub fn with_demo(text: &str, path: &Path, enabled: bool) -> Result<String, ConfigError> {
    let mut document: toml_edit::DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| ConfigError {
        path: path.display().to_string(),
        reason: e.message().to_owned(),
    })?;
    document["demo"]["enabled"] = toml_edit::value(enabled);
    if let Some(t) = document["demo"].as_inline_table().cloned() {
        document["demo"] = toml_edit::Item::Table(t.into_table());
    }
    let text = document.to_string();
    Config::parse(&text, path)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_edits_the_file_and_comments_survive() {
        let text = "# mine\n[operator]\nname = \"Ann\" # me\n";
        let path = Path::new("w.toml");
        let with = with_feed(text, path, "shop", "url = \"wss://shop.example/\"\nmap = \"ecs\"\n").unwrap();
        assert!(with.contains("# mine") && with.contains("# me") && with.contains("[feed.shop]"), "{with}");
        let with = with_demo(&with, path, true).unwrap();
        let config = Config::parse(&with, path).unwrap();
        assert!(config.demo.enabled && config.feed.contains_key("shop"));
        assert!(with_feed(text, path, "shop", "url = \"ftp://x\"\n").is_err(), "a wrong feed is not written");
    }
}
