//! What each kind of channel can do, in one table.

use std::time::Duration;

use wf_model::channel::{Account, Contact, Loudness, Traits};

use crate::config::ChannelConfig;

/// A room for people; the others differ from it.
const ROOM: Traits = Traits {
    kind: "",
    title: "",
    pace: Duration::from_secs(1),
    contact: Contact::Place,
    loudness: Loudness::Chat,
    follows: true,
    joins: true,
    answers: None,
};

// Slack and Telegram take one message a second for each room, PagerDuty and Discord about two.
const SLACK: Traits = Traits { kind: "slack", title: "Slack room", answers: Some(Account::Slack), ..ROOM };
const PAGERDUTY: Traits =
    Traits { kind: "pagerduty", title: "PagerDuty", pace: Duration::from_millis(500), joins: false, ..ROOM };
const EMAIL: Traits = Traits {
    kind: "email",
    title: "Mail",
    pace: Duration::from_millis(100),
    contact: Contact::Email,
    loudness: Loudness::Mail,
    ..ROOM
};
const SMS: Traits = Traits {
    kind: "sms",
    title: "SMS (Twilio)",
    contact: Contact::Phone,
    loudness: Loudness::Wakes,
    follows: false,
    answers: Some(Account::Phone),
    ..ROOM
};
const VOICE: Traits = Traits { kind: "voice", title: "Call (Twilio)", answers: None, ..SMS };
const DISCORD: Traits = Traits { kind: "discord", title: "Discord room", pace: Duration::from_millis(500), ..ROOM };
const TELEGRAM: Traits = Traits { kind: "telegram", title: "Telegram chat", answers: Some(Account::Telegram), ..ROOM };
const WEBHOOK: Traits =
    Traits { kind: "webhook", title: "Webhook", pace: Duration::from_millis(100), joins: false, ..ROOM };
const ACTION: Traits = Traits { kind: "action", title: "Response action", pace: Duration::from_millis(100), ..ROOM };

/// Every kind that `[channel.NAME]` may be.
pub const ALL: [Traits; 8] = [SLACK, PAGERDUTY, EMAIL, SMS, VOICE, DISCORD, TELEGRAM, WEBHOOK];

impl ChannelConfig {
    /// The row of the table.
    pub const fn traits(&self) -> Traits {
        match self {
            Self::Slack(_) => SLACK,
            Self::Pagerduty(_) => PAGERDUTY,
            Self::Email(_) => EMAIL,
            Self::Sms(_) => SMS,
            Self::Voice(_) => VOICE,
            Self::Discord(_) => DISCORD,
            Self::Telegram(_) => TELEGRAM,
            Self::Webhook(_) => WEBHOOK,
            Self::Action(_) => ACTION,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_kinds_that_the_config_knows_and_no_others() {
        let refused = serde_json::from_value::<ChannelConfig>(serde_json::json!({ "kind": "pigeon" })).unwrap_err();
        let known = refused.to_string();
        let known: Vec<&str> = known.split('`').skip(3).step_by(2).collect();
        assert_eq!(known, ALL.map(|t| t.kind), "{refused}");
    }

    #[test]
    fn what_only_wakes_needs_a_telephone_and_what_is_a_machine_gets_each_message_alone() {
        for t in ALL {
            assert_eq!(t.follows, t.loudness != Loudness::Wakes, "{}", t.kind);
            assert_eq!(t.loudness == Loudness::Wakes, t.contact == Contact::Phone, "{}", t.kind);
        }
        assert_eq!(ALL.iter().filter(|t| !t.joins).map(|t| t.kind).collect::<Vec<_>>(), ["pagerduty", "webhook"]);
    }
}
