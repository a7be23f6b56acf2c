//! What the config says of people, policies and severities.

use std::time::Duration;

use chrono::NaiveTime;
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};
use wf_model::span::span;
use wf_model::{SecretRef, Target};

use crate::schedule::Working;

/// Somebody who can be told: `[person.ID]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Person {
    /// As it stands on timelines. The id when empty.
    pub name: String,
    /// The account of this person on this machine: whoever runs the console under it acts as them.
    pub os_user: String,
    /// What policies may call this person by, as `["officer"]`, `["cto"]`, `["ceo"]`. Whoever has the role `auditor`
    /// looks, searches, exports and verifies at this console, and changes nothing.
    pub roles: Vec<String>,
    /// The IANA zone of the working hours.
    pub time_zone: Tz,
    /// When P3 and P4 may reach this person, as `{ hours = "08:00-18:00", days = ["Mon"] }`; what comes outside waits.
    /// P1 and P2 never wait.
    pub working: Option<Working>,
    /// The secret of this person's authenticator app, in base32: with its codes they approve erasures and purges.
    /// `watchfloorctl privacy approvers enrol ID` makes one.
    pub approver: Option<SecretRef>,
    /// A mail address.
    pub email: String,
    /// A telephone number for SMS and calls, as `+491701234567`.
    pub phone: String,
    /// The numeric id of the Telegram account: whose button counts as whose answer.
    pub telegram: String,
    /// The id of the Slack account, as `U024BE7LH`: whose button counts as whose answer.
    pub slack: String,
}

/// What happens when nobody answers: `[policy.NAME]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// One after the other, until somebody acknowledges.
    pub step: Vec<PolicyStep>,
    /// How often it begins again after the last step.
    #[serde(default)]
    pub repeat: u32,
}

/// A step of a policy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyStep {
    /// `person:ID`, `role:NAME` or `schedule:NAME`.
    #[serde(deserialize_with = "targets")]
    pub notify: Vec<Target>,
    /// Names of channels; those of the severity when empty.
    #[serde(default)]
    pub channels: Vec<String>,
    /// How long an answer is waited for before the next step.
    #[serde(deserialize_with = "span")]
    pub wait: Duration,
}

/// What a severity means: `[severity.P1]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SeverityPlan {
    /// A policy of the config, or `three-step` or `straight-to-ceo`, which ship with Watchfloor; `none` tells nobody.
    pub policy: Option<String>,
    /// Names of channels. By default P1 goes over every channel, P2 over chat, mail and PagerDuty, P3 over mail, and
    /// P4 into the daily digest alone.
    pub channels: Option<Vec<String>>,
    /// How long an acknowledgement holds without activity; `none` for ever. P1 30m, P2 4h, P3 and P4 for ever.
    #[serde(deserialize_with = "hold")]
    pub acknowledge_for: Option<Hold>,
}

/// How long an acknowledgement holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold(pub Option<Duration>);

/// The daily mail about P4: `[digest]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// The time of day, as `08:00`.
    #[serde(deserialize_with = "time_of_day")]
    pub at: NaiveTime,
    /// The IANA zone of that time.
    pub time_zone: Tz,
    /// The mail channel it goes over.
    pub channel: String,
    /// Ids of people.
    pub to: Vec<String>,
}

/// What all of escalation goes by: `[escalation]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Escalation {
    /// More new incidents than this in a minute are a storm: one notification stands for all of them.
    pub storm: u32,
    /// Every channel that wakes nobody is tested this often, as `7d`, if nothing went over it since.
    #[serde(deserialize_with = "maybe_span")]
    pub drill_every: Option<Duration>,
    /// While the window is open or in the tray, this computer does not fall asleep by itself.
    pub stay_awake: bool,
}

impl Default for Escalation {
    fn default() -> Self {
        Self { storm: 60, drill_every: None, stay_awake: true }
    }
}

fn maybe_span<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
    span(d).map(Some)
}

fn targets<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Target>, D::Error> {
    Vec::<String>::deserialize(d)?
        .into_iter()
        .map(|text| match text.split_once(':') {
            Some(("person", id)) => Ok(Target::Person(id.to_owned())),
            Some(("role", name)) => Ok(Target::Role(name.to_owned())),
            Some(("schedule", name)) => Ok(Target::Schedule(name.to_owned())),
            _ => Err(serde::de::Error::custom(format!(
                "'{text}' is nobody: write person:ID, role:NAME or schedule:NAME"
            ))),
        })
        .collect()
}

fn hold<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Hold>, D::Error> {
    let text = String::deserialize(d)?;
    if text == "none" {
        return Ok(Some(Hold(None)));
    }
    wf_model::span::parse_span(&text).map(|d| Some(Hold(Some(d)))).map_err(serde::de::Error::custom)
}

fn time_of_day<'de, D: Deserializer<'de>>(d: D) -> Result<NaiveTime, D::Error> {
    let text = String::deserialize(d)?;
    NaiveTime::parse_from_str(&text, "%H:%M")
        .map_err(|_| serde::de::Error::custom(format!("'{text}' is no time of day: write 08:00")))
}
