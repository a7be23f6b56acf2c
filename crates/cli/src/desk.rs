//! Commands of the officer's desk: incidents, silences, rotas, channels.

use clap::{Args, Subcommand};
use serde_json::Value;
use wf_api::Action;
use wf_api::Request;
use wf_api::views::MatcherView;
use wf_config::parse_span;

use crate::render;

type Asked = (Request, fn(&Value) -> String);

#[derive(Args)]
pub struct Noted {
    /// Incidents by id or number; several at once.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[arg(long)]
    note: Option<String>,
}

#[derive(Subcommand)]
pub enum Incidents {
    /// Live incidents first, the gravest first.
    List {
        /// open, acknowledged or resolved; live for the first two.
        #[arg(long)]
        state: Option<String>,
        /// P1 to P4.
        #[arg(long)]
        severity: Option<String>,
        #[arg(long, default_value_t = 1000)]
        limit: u32,
    },
    /// One incident with its timeline, evidence, ladder and receipts.
    Show { id: String },
    /// Acknowledge: it is mine. Whoever waits for an answer is asked no longer.
    Ack {
        #[command(flatten)]
        noted: Noted,
        /// It holds this long without activity (30m, 4h); as long as the severity gives when left out.
        #[arg(long = "for", value_name = "DURATION", value_parser = minutes)]
        hold: Option<u32>,
    },
    /// Resolve: it is over.
    Resolve {
        #[command(flatten)]
        noted: Noted,
        /// true_positive, benign, false_positive or duplicate.
        #[arg(long)]
        verdict: String,
    },
    /// Reopen: it was not over.
    Reopen(Noted),
    /// The next step of the ladder, now.
    Escalate {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Only if nobody escalated since this stage was seen (`stage` in `show --json`).
        #[arg(long)]
        stage: Option<u32>,
    },
    /// Nobody is asked until then.
    Snooze {
        #[command(flatten)]
        noted: Noted,
        /// How long (30m, 4h).
        #[arg(long = "for", value_name = "DURATION", value_parser = minutes)]
        length: u32,
    },
    /// Somebody else works on it.
    Assign {
        #[command(flatten)]
        noted: Noted,
        /// A person's id or name.
        #[arg(long)]
        to: String,
    },
    /// A remark on the timeline.
    Note {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[arg(long)]
        text: String,
    },
    /// A step of the checklist is done.
    Check {
        id: String,
        /// Its place, counted from 1.
        step: u32,
        /// It is not done after all.
        #[arg(long)]
        undo: bool,
    },
    /// Carry out what a step of the checklist says, as [action.NAME] in the config says.
    Run {
        id: String,
        /// Its place, counted from 1.
        step: u32,
        /// Take it back.
        #[arg(long)]
        undo: bool,
    },
    /// Incidents become part of another one.
    Merge {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// The one they become part of.
        #[arg(long)]
        into: String,
    },
    /// Take one out again that was merged.
    Unmerge { id: String },
    /// What each batch of matches added: what `split` can move.
    Matches { id: String },
    /// Move batches of matches out into a new incident.
    Split {
        id: String,
        /// Their numbers, from `matches`.
        #[arg(long, required = true, value_delimiter = ',')]
        matches: Vec<u32>,
    },
}

fn minutes(text: &str) -> Result<u32, String> {
    u32::try_from(parse_span(text)?.as_secs().div_ceil(60)).map_err(|e| e.to_string())
}

fn act(ids: Vec<String>, action: Action) -> Asked {
    (Request::IncidentsAct { ids, action }, render::acted)
}

impl Incidents {
    pub fn request(self) -> Asked {
        match self {
            Self::List { state, severity, limit } => {
                (Request::IncidentsList { state, severity, limit }, render::incidents)
            }
            Self::Show { id } => (Request::IncidentsShow { id }, render::incident),
            Self::Ack { noted, hold } => act(noted.ids, Action::Acknowledge { note: noted.note, minutes: hold }),
            Self::Resolve { noted, verdict } => act(noted.ids, Action::Resolve { verdict, note: noted.note }),
            Self::Reopen(noted) => act(noted.ids, Action::Reopen { note: noted.note }),
            Self::Escalate { ids, stage } => act(ids, Action::Escalate { stage }),
            Self::Snooze { noted, length } => act(noted.ids, Action::Snooze { minutes: length, note: noted.note }),
            Self::Assign { noted, to } => act(noted.ids, Action::Assign { owner: to, note: noted.note }),
            Self::Note { ids, text } => act(ids, Action::Note { text }),
            Self::Check { id, step, undo } => {
                act(vec![id], Action::Check { index: step.saturating_sub(1), done: !undo })
            }
            Self::Run { id, step, undo: false } => act(vec![id], Action::CarryOut { index: step.saturating_sub(1) }),
            Self::Run { id, step, undo: true } => act(vec![id], Action::TakeBack { index: step.saturating_sub(1) }),
            Self::Merge { ids, into } => act(ids, Action::Merge { into }),
            Self::Unmerge { id } => act(vec![id], Action::Unmerge),
            Self::Matches { id } => (Request::IncidentsFolded { id }, render::folded),
            Self::Split { id, matches } => act(vec![id], Action::Split { versions: matches }),
        }
    }
}

#[derive(Args)]
pub struct Fits {
    /// The rule's id.
    #[arg(long)]
    rule: Option<String>,
    /// The incident's type, as BRUTE_FORCE_ATTACK.
    #[arg(long = "type")]
    kind: Option<String>,
    /// What it is about; a * at the end stands for anything.
    #[arg(long)]
    entity: Option<String>,
    /// This severity and those below it.
    #[arg(long)]
    severity: Option<String>,
    #[arg(long)]
    feed: Option<String>,
}

impl From<Fits> for MatcherView {
    fn from(f: Fits) -> Self {
        Self { rule: f.rule, kind: f.kind, entity: f.entity, severity: f.severity, feed: f.feed }
    }
}

#[derive(Subcommand)]
pub enum Silences {
    /// Those that last first.
    List,
    /// Live incidents that a silence would fit.
    Preview {
        #[command(flatten)]
        fits: Fits,
    },
    /// For a while, nobody is told of new incidents that fit.
    Add {
        #[command(flatten)]
        fits: Fits,
        /// Somebody will ask why nobody was told.
        #[arg(long)]
        reason: String,
        /// How long (30m, 4h, 2d).
        #[arg(long = "for", value_name = "DURATION")]
        length: String,
    },
    /// End one before its time; what still fires under it is told now.
    End { id: String },
}

impl Silences {
    pub fn request(self) -> Asked {
        match self {
            Self::List => (Request::SilencesList, render::silences),
            Self::Preview { fits } => (Request::SilencesPreview { matcher: fits.into() }, render::incidents),
            Self::Add { fits, reason, length } => {
                (Request::SilencesAdd { matcher: fits.into(), reason, length }, render::silences)
            }
            Self::End { id } => (Request::SilencesEnd { id }, render::silences),
        }
    }
}

#[derive(Subcommand)]
pub enum OnCall {
    /// Who is on call in every rota, and the next two changes.
    Who {
        /// Not now, but then.
        #[arg(long, value_name = "T")]
        at: Option<String>,
    },
}

impl OnCall {
    pub fn request(self) -> Asked {
        let Self::Who { at } = self;
        (Request::OnCall { at }, render::on_call)
    }
}

#[derive(Subcommand)]
pub enum Notifications {
    /// Everything that was owed about an incident.
    List {
        #[arg(long, value_name = "ID")]
        incident: String,
    },
}

impl Notifications {
    pub fn request(self) -> Asked {
        let Self::List { incident } = self;
        (Request::Notifications { id: incident }, render::receipts)
    }
}

#[derive(Subcommand)]
pub enum Channels {
    /// Every channel, and when it was last seen to work.
    List,
    /// Send a test over one, and wait for what becomes of it. Exit code 1 if it did not arrive.
    Test { name: String },
}

impl Channels {
    pub fn request(self) -> Asked {
        match self {
            Self::List => (Request::ChannelsList, render::channels),
            Self::Test { name } => (Request::ChannelsTest { name }, render::receipts),
        }
    }
}

/// Whether the answer is good news, where the question was whether it is.
pub fn all_well(request: &Request, answer: &Value) -> bool {
    match request {
        Request::IncidentsAct { ids, .. } if ids.len() > 1 => {
            answer.as_array().is_some_and(|a| a.iter().all(|one| one["error"].is_null()))
        }
        Request::ChannelsTest { .. } | Request::Drill => {
            answer.as_array().is_some_and(|a| a.iter().all(|r| r["state"] == "delivered"))
        }
        Request::Readiness => answer["sentences"].as_array().is_some_and(Vec::is_empty),
        _ => true,
    }
}
