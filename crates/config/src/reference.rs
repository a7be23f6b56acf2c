//! `docs/configuration.md`, made from the very types that read the config: their fields, their comments, their
//! defaults.
//!
//! `cargo xtask reference` writes it; a test holds the committed page against it.

use std::fmt::Write as _;

const APP: &str = include_str!("schema.rs");
const FEEDS: &str = include_str!("../../feeds/src/config.rs");
const PLAN: &str = include_str!("../../response/src/plan/settings.rs");
const SCHEDULE: &str = include_str!("../../response/src/schedule.rs");
const CHANNELS: &str = include_str!("../../channels/src/config.rs");
const CONNECTOR: &str = include_str!("../../channels/src/connector.rs");
const PRIVACY: &str = include_str!("privacy.rs");
const RETENTION: &str = include_str!("../../privacy/src/retention.rs");
const DEAD_MAN: &str = include_str!("dead_man.rs");

/// Where a table stands in the file, the type that reads it, and the text that type is in.
const TABLES: &[(&str, &str, &str)] = &[
    ("[operator]", "Operator", APP),
    ("[store]", "StoreConfig", APP),
    ("[rules]", "Rules", APP),
    ("[mappings]", "Mappings", APP),
    ("[detection]", "Detection", APP),
    ("[incidents]", "Incidents", APP),
    ("[demo]", "Demo", APP),
    ("[feed.NAME]", "FeedConfig", FEEDS),
    ("[feed.NAME] auth", "Auth", FEEDS),
    ("[feed.NAME] tls", "Tls", FEEDS),
    ("[feed.NAME] limits", "Limits", FEEDS),
    ("[feed.NAME] timeouts", "Timeouts", FEEDS),
    ("[feed.NAME] on_connect, each", "Exchange", FEEDS),
    ("[feed.NAME] conditions (expect, ignore)", "Condition", FEEDS),
    ("[feed.NAME] ping", "Ping", FEEDS),
    ("[feed.NAME] decode", "Decode", FEEDS),
    ("[feed.NAME] decode.split", "Split", FEEDS),
    ("[feed.NAME] resume", "Resume", FEEDS),
    ("[feed.NAME] dedup", "Dedup", FEEDS),
    ("[feed.NAME] backoff", "Backoff", FEEDS),
    ("[person.ID]", "Person", PLAN),
    ("[person.ID] working", "Working", SCHEDULE),
    ("[schedule.NAME]", "Schedule", SCHEDULE),
    ("[schedule.NAME] layer, each", "Layer", SCHEDULE),
    ("[schedule.NAME] override, each", "Override", SCHEDULE),
    ("[policy.NAME]", "Policy", PLAN),
    ("[policy.NAME] step, each", "PolicyStep", PLAN),
    ("[severity.P1] to [severity.P4]", "SeverityPlan", PLAN),
    ("[escalation]", "Escalation", PLAN),
    ("[digest]", "Digest", PLAN),
    ("[dead_man]", "DeadMan", DEAD_MAN),
    ("[privacy]", "Privacy", PRIVACY),
    ("[retention]", "Retention", RETENTION),
    ("[backup]", "Backup", APP),
    ("[connector.NAME]", "Connector", CONNECTOR),
    ("[action.NAME]", "Action", CHANNELS),
    ("[action.NAME] does", "Does", CHANNELS),
    ("[channel.NAME]", "ChannelConfig", CHANNELS),
    ("[channel.NAME] kind = \"slack\"", "Slack", CHANNELS),
    ("[channel.NAME] kind = \"pagerduty\"", "Pagerduty", CHANNELS),
    ("[channel.NAME] kind = \"email\"", "Email", CHANNELS),
    ("[channel.NAME] kind = \"sms\"", "Sms", CHANNELS),
    ("[channel.NAME] kind = \"voice\"", "Voice", CHANNELS),
    ("[channel.NAME] kind = \"discord\"", "Discord", CHANNELS),
    ("[channel.NAME] kind = \"telegram\"", "Telegram", CHANNELS),
    ("[channel.NAME] kind = \"webhook\"", "Webhook", CHANNELS),
];

/// The page, as Markdown.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Configuration\n\nMade by `cargo xtask reference` from the code that reads the file; do not edit it by hand. An annotated example is\n[watchfloor.example.toml](watchfloor.example.toml).\n\nThe file is `watchfloor.toml`: in the user's config directory, in the data directory when `--data-dir` is given, or where `--config`\nsays. It is strict: an unknown key is an error with its line. It is read again within seconds when it changes; a wrong one\nleaves the old in force and is named in the status bar. Spans of time are written `500ms`, `5s`, `10m`, `48h`, `2d`; sizes\n`512KiB`, `4MiB`; secrets only as references, `keychain:NAME` or `env:NAME`.\n",
    );
    for (place, name, source) in TABLES {
        // Writing to a String cannot fail.
        let _written = write!(out, "\n## `{place}`\n\n{}", table(name, source)).is_ok();
    }
    out.push_str("\n## Mappings that ship with Watchfloor\n\n");
    for (name, text) in wf_feeds::mapping::BUILT_IN {
        let about: Vec<&str> =
            text.lines().take_while(|l| l.starts_with('#')).map(|l| l.trim_start_matches(['#', ' '])).collect();
        let _written = writeln!(out, "- `{name}`: {}", about.join(" ").replace('|', "\\|")).is_ok();
    }
    out
}

fn table(name: &str, source: &str) -> String {
    let about = documentation_before(source, &format!(" {name} {{"));
    let fields = fields(name, source);
    let defaults = defaults(name, source);
    let mut out = if about.is_empty() { String::new() } else { format!("{about}\n\n") };
    let is_enum = source.contains(&format!("pub enum {name} {{"));
    out.push_str(if is_enum {
        "| value | meaning |\n|---|---|\n"
    } else {
        "| key | default | meaning |\n|---|---|---|\n"
    });
    let optional = optional(name, source);
    for (field, kind, text) in fields {
        let line = if is_enum {
            format!("| `{field}` | {text} |\n")
        } else {
            let default = defaults
                .iter()
                .find(|(f, _)| *f == field)
                .map_or_else(|| implied(&kind, optional.contains(&field)), |(_, d)| as_written(d));
            // Written in the file as serde reads it.
            let field = if field == "overrides" { "override" } else { &field };
            format!("| `{field}` | {default} | {text} |\n")
        };
        out.push_str(&line);
    }
    out
}

/// A default as one writes it in the file, not in the code.
fn as_written(default: &str) -> String {
    match default {
        "`Law::Eu`" => "`eu`".into(),
        "`Country::None`" => "`NONE`".into(),
        "`Tz::UTC`" => "`UTC`".into(),
        other => other.replace("Period::Days(", "").replace("Period::Months(", "mo:").strip_suffix(")`").map_or_else(
            || other.to_owned(),
            |d| match d.trim_start_matches('`').strip_prefix("mo:") {
                Some(n) => format!("`{n}mo`"),
                None if other.contains("Period::Days(") => format!("`{}d`", d.trim_start_matches('`')),
                None => other.to_owned(),
            },
        ),
    }
}

/// What a field without a written default begins as.
fn implied(kind: &str, optional: bool) -> String {
    match kind {
        "String" if optional => "empty".into(),
        "Tz" if optional => "`UTC`".into(),
        k if k.starts_with("Option<") => "none".into(),
        "bool" => "`false`".into(),
        k if k.starts_with("Vec<") || k.starts_with("BTreeMap<") => "empty".into(),
        "String" | "SecretRef" | "PathBuf" | "Duration" | "NaiveTime" | "NaiveDateTime" | "Hours" | "Tz" => {
            "required".into()
        }
        "MailSecurity" => "`tls`".into(),
        "Does" => "`http`".into(),
        "u32" => "`0`".into(),
        "KeySource" => "`keychain`".into(),
        "Maps" => "`ecs`".into(),
        "Kind" => "`generic`".into(),
        "Split" => "`none`".into(),
        _ => "its own defaults, below".into(),
    }
}

/// Fields that may be left out: all of a struct with a default, or those that carry the mark themselves.
fn optional(name: &str, source: &str) -> Vec<String> {
    let head = format!("pub struct {name} {{");
    let (Some(at), Some(body)) = (source.find(&head), body_of(source, &head)) else { return Vec::new() };
    let whole = source[..at]
        .lines()
        .rev()
        .take_while(|l| l.starts_with("///") || l.starts_with("#["))
        .any(|l| l.starts_with("#[serde(") && l.contains("default"));
    let (mut out, mut marked) = (Vec::new(), false);
    for line in body.lines().map(str::trim) {
        if line.starts_with("#[serde(") {
            marked |= line.contains("default");
        } else if let Some(field) = line.strip_prefix("pub ").and_then(|l| l.split(':').next()) {
            if whole || marked {
                out.push(field.to_owned());
            }
            marked = false;
        }
    }
    out
}

fn documentation_before(source: &str, what: &str) -> String {
    let Some(at) = source.find(&format!("pub struct{what}")).or_else(|| source.find(&format!("pub enum{what}"))) else {
        return String::new();
    };
    let mut lines: Vec<&str> =
        source[..at].lines().rev().take_while(|l| l.starts_with("///") || l.starts_with("#[")).collect();
    lines.reverse();
    lines.iter().filter_map(|l| l.strip_prefix("///")).map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Name, type and comment of each public field, or of each variant.
fn fields(name: &str, source: &str) -> Vec<(String, String, String)> {
    let Some(body) =
        body_of(source, &format!("pub struct {name} {{")).or_else(|| body_of(source, &format!("pub enum {name} {{")))
    else {
        return Vec::new();
    };
    let is_enum = source.contains(&format!("pub enum {name} {{"));
    let (mut out, mut comment) = (Vec::new(), Vec::new());
    for line in body.lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.trim().replace('|', "\\|"));
        } else if let Some((field, kind)) =
            line.strip_prefix("pub ").and_then(|l| l.trim_end_matches(',').split_once(": "))
        {
            out.push((field.to_owned(), kind.to_owned(), comment.join(" ")));
            comment.clear();
        } else if is_enum && line.starts_with(char::is_uppercase) {
            let variant: String = line.chars().take_while(|c| c.is_alphanumeric()).collect();
            let holds: Vec<&str> = line
                .split_once('{')
                .map(|(_, f)| {
                    f.trim_end_matches([',', ' ', '}'])
                        .split(',')
                        .filter_map(|f| f.split(':').next())
                        .map(str::trim)
                        .collect()
                })
                .unwrap_or_default();
            let with = if holds.is_empty() { String::new() } else { format!(" With `{}`.", holds.join("`, `")) };
            out.push((kebab(&variant), String::new(), format!("{}{with}", comment.join(" "))));
            comment.clear();
        } else if !line.starts_with("#[") {
            comment.clear();
        }
    }
    out
}

fn body_of<'a>(source: &'a str, head: &str) -> Option<&'a str> {
    let from = source.find(head)? + head.len();
    let to = source[from..].find("\n}")?;
    Some(&source[from..from + to])
}

/// What the functions give that `#[serde(default = "…")]` names.
const NAMED_DEFAULTS: &[(&str, &str)] = &[
    ("yes", "`true`"),
    ("idle", "`90s`"),
    ("five_seconds", "`5s`"),
    ("five_minutes", "`5m`"),
    ("day", "`1d`"),
    ("week", "`7`"),
    ("high", "`P2`"),
    ("oldest", "`400d`"),
    ("minute", "`1m`"),
    ("post", "`POST`"),
    ("delete", "`DELETE`"),
    ("smtp_port", "`465`"),
    ("slack_url", "`https://slack.com`"),
    ("pagerduty_url", "`https://events.pagerduty.com`"),
    ("twilio_url", "`https://api.twilio.com`"),
    ("telegram_url", "`https://api.telegram.org`"),
];

fn defaults(name: &str, source: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    // Defaults named on the field itself.
    let body = body_of(source, &format!("pub struct {name} {{")).unwrap_or_default();
    for (function, value) in NAMED_DEFAULTS {
        for (at, _) in body.match_indices(&format!("default = \"{function}\"")) {
            if let Some(field) = body[at..].lines().find_map(|l| l.trim().strip_prefix("pub ")?.split(':').next()) {
                out.push((field.to_owned(), (*value).to_owned()));
            }
        }
    }
    let Some(body) = body_of(source, &format!("impl Default for {name} {{")) else { return out };
    let Some((_, inner)) = body.split_once("Self {").and_then(|(_, rest)| rest.split_once("Self {")) else {
        return out;
    };
    for part in inner.split(", ").flat_map(|p| p.split('\n')) {
        if let Some((field, value)) = part.split_once(": ") {
            out.push((field.trim().to_owned(), said(value.trim().trim_end_matches([' ', '}', ',']))));
        }
    }
    out
}

fn said(value: &str) -> String {
    let value = value.trim_start_matches("std::time::");
    let number = |t: &str| t.split('*').map(|n| n.trim().replace('_', "").parse::<u64>().unwrap_or(1)).product::<u64>();
    if let Some(s) = value.strip_prefix("Duration::from_secs(").and_then(|v| v.split(')').next()) {
        let n = number(s);
        return if n.is_multiple_of(3600) { format!("`{}h`", n / 3600) } else { format!("`{n}s`") };
    }
    if let Some(ms) = value.strip_prefix("Duration::from_millis(").and_then(|v| v.split(')').next()) {
        return format!("`{}ms`", number(ms));
    }
    if let Some((n, "20")) = value.split_once(" << ") {
        return format!("`{n}MiB`");
    }
    match value {
        "s.window" => "`1h`".into(),
        "s.recurrence" => "`24h`".into(),
        "None" => "none".into(),
        "String::new()" => "empty".into(),
        "Vec::new()" => "empty".into(),
        "PingMode::Ws" => "`ws`".into(),
        other => format!("`{}`", other.replace('_', "")),
    }
}

fn kebab(variant: &str) -> String {
    let mut out = String::new();
    for (i, c) in variant.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const SOURCES: [&str; 9] = [APP, FEEDS, PLAN, SCHEDULE, CHANNELS, CONNECTOR, PRIVACY, RETENTION, DEAD_MAN];
    /// Written as one value: explained at the key that holds it.
    const VALUES: [&str; 4] = ["HeaderText", "Hold", "Maps", "Period"];

    /// The body of a type that is read as a table: a struct, or an enum whose variants hold something.
    fn reads_a_table(name: &str) -> bool {
        SOURCES.iter().any(|source| {
            ["struct", "enum"].iter().any(|kind| {
                let head = format!("pub {kind} {name} {{");
                let (Some(at), Some(body)) = (source.find(&head), body_of(source, &head)) else { return false };
                let read = source[..at]
                    .lines()
                    .rev()
                    .take_while(|l| l.starts_with("///") || l.starts_with("#["))
                    .any(|l| l.starts_with("#[derive(") && l.contains("Deserialize"));
                let holds = |l: &str| l.starts_with(char::is_uppercase) && l.contains(['(', '{']);
                read && (*kind == "struct" || body.lines().any(|l| holds(l.trim())))
            })
        })
    }

    #[test]
    fn every_table_that_the_config_reads_is_on_the_page() {
        for (place, name, source) in TABLES.iter().chain([&("the file", "Config", APP)]) {
            let body = body_of(source, &format!("pub struct {name} {{"))
                .or_else(|| body_of(source, &format!("pub enum {name} {{")))
                .unwrap_or_else(|| panic!("{name} is not in its source"));
            let code = body.lines().map(str::trim).filter(|l| !l.starts_with("//") && !l.starts_with("#["));
            for word in code.flat_map(|l| l.split(|c: char| !c.is_alphanumeric() && c != '_')) {
                let listed = TABLES.iter().any(|(_, known, _)| *known == word) || VALUES.contains(&word);
                assert!(listed || !reads_a_table(word), "{place} reads `{word}`, which has no row in TABLES");
            }
        }
    }

    #[test]
    fn every_function_that_makes_a_default_is_known_to_the_page() {
        for source in SOURCES {
            for rest in source.split("default = \"").skip(1) {
                let function = rest.split('"').next().unwrap_or_default();
                let known = NAMED_DEFAULTS.iter().any(|(name, _)| *name == function);
                assert!(known, "the page would say something false of `{function}`: name it in NAMED_DEFAULTS");
            }
        }
    }

    #[test]
    fn two_keys_with_one_default_both_say_it() {
        let default = r#"#[serde(default = "yes")]"#;
        let source = format!("pub struct T {{\n{default}\n    pub a: bool,\n{default}\n    pub b: bool,\n}}");
        assert_eq!(defaults("T", &source), [("a".to_owned(), "`true`".to_owned()), ("b".into(), "`true`".into())]);
    }

    /// `WATCHFLOOR_WRITE_REFERENCE=1` (or `cargo xtask reference`) writes it anew.
    #[test]
    fn config_reference_is_that_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        if std::env::var_os("WATCHFLOOR_WRITE_REFERENCE").is_some() {
            std::fs::write(&path, markdown()).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap_or_default() == markdown(),
            "run `cargo xtask reference` and commit the result"
        );
        assert!(!markdown().contains("|  |"), "every key has a comment");
        assert!(!markdown().contains("::"), "every default is said as one writes it");
    }

    #[test]
    fn the_annotated_example_is_read_without_complaint() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/watchfloor.example.toml");
        let config = crate::Config::load(&path).unwrap();
        assert_eq!(config.feed.len(), 3);
        // With every line that is commented out taken in, it is read too.
        let text = std::fs::read_to_string(&path).unwrap();
        let all: String = text.lines().map(|l| format!("{}\n", l.strip_prefix("#: ").unwrap_or(l))).collect();
        crate::Config::parse(&all, &path).unwrap();
    }
}
