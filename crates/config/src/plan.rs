//! Who is told of what: the plan that escalation works by, made from the config and from what is known of the channels.

use wf_channels::ChannelConfig;
use wf_model::Severity;
use wf_model::channel::ChannelStanding;
use wf_response::Plan;
use wf_response::plan::{ActionInfo, ChannelInfo};

use crate::{Config, ENVIRONMENT_WEBHOOK};

impl Config {
    /// Who is told of what, with what is known of the channels.
    pub fn plan(&self, code_key: [u8; 32], standings: &[ChannelStanding]) -> Plan {
        let info = |(name, channel): (&String, &ChannelConfig)| {
            let standing = standings.iter().find(|s| s.name == *name);
            ChannelInfo {
                contact: channel.traits().contact,
                loudness: channel.traits().loudness,
                worked_at: standing.and_then(|s| s.worked_at),
                broken: standing.and_then(|s| s.broken.clone()),
                severities: if name == ENVIRONMENT_WEBHOOK { Severity::ALL.to_vec() } else { Vec::new() },
                name: name.clone(),
            }
        };
        Plan {
            people: self.person.clone(),
            schedules: self.schedule.clone(),
            policies: self.policy.clone(),
            severities: self.severity.clone(),
            channels: self.channel.iter().map(info).collect(),
            digest: self.digest.clone(),
            escalation: self.escalation,
            code_key,
            actions: self
                .action
                .iter()
                .map(|(name, a)| {
                    let native = a.does == wf_channels::config::Does::Crowdsec;
                    let info = ActionInfo {
                        title: if a.title.is_empty() { name.replace('_', " ") } else { a.title.clone() },
                        about: a.about.clone(),
                        undo: a.has_undo(),
                        taken_back_after: a.lasts.filter(|_| !native),
                        lasts: a.lasts,
                        without_asking: a.without_asking,
                    };
                    (name.clone(), info)
                })
                .collect(),
        }
    }
}
