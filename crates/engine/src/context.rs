//! What the engine's tasks and the desks work with: the ledger, what is in force, and the world outside as it was handed
//! in (clock, keychain).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use wf_api::{ApiError, ErrorCode};
use wf_channels::{Channel, ChannelConfig};
use wf_config::{Config, ConfigError};
use wf_model::{Actor, AuditAction, Notice, SecretSource, Timestamp};
use wf_platform::{Clock, Keychain};
use wf_response::{Changes, Plan};
use wf_store::{Store, StoreError};

use crate::ledger::Ledger;
use crate::recent::RecentEvents;
use crate::state::State;

/// Handed to every task and every desk; knows none of them.
pub struct Context {
    pub ledger: Ledger,
    pub state: State,
    pub recent: Arc<RecentEvents>,
    pub keychain: Arc<dyn Keychain>,
    /// What the config refers to.
    pub secrets: Arc<dyn SecretSource>,
    pub clock: Arc<dyn Clock>,
    pub config_path: PathBuf,
    /// What reply codes are made from.
    pub code_key: [u8; 32],
    /// What the officer at this window is told; `None` where nobody sits at one.
    pub notices: Option<mpsc::Sender<Notice>>,
    /// One edit of the config file after the other.
    pub editing: tokio::sync::Mutex<()>,
    /// Held from reading what is known of the channels until what follows from it is in force or written: two messages
    /// over one channel must not undo what the other saw.
    pub standings: tokio::sync::Mutex<()>,
}

impl Context {
    pub fn store(&self) -> &Store {
        self.ledger.store()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn config(&self) -> Arc<Config> {
        self.state.config()
    }

    pub fn plan(&self) -> Arc<Plan> {
        self.state.plan()
    }

    /// The person at this console.
    pub fn operator(&self) -> Actor {
        Actor::Operator(self.config().operator_name())
    }

    /// An auditor looks, searches, exports and verifies. Everything else is for those who work here.
    pub fn may_change(&self) -> Result<(), ApiError> {
        let config = self.config();
        let me = config.operator_name();
        let auditor = config.person.iter().any(|(id, p)| {
            (p.name == me || (p.name.is_empty() && *id == me)) && p.roles.iter().any(|r| r == "auditor")
        });
        if auditor {
            Err(ApiError::new(
                ErrorCode::Refused,
                format!("{me} is an auditor here: auditors look, and change nothing"),
            ))
        } else {
            Ok(())
        }
    }

    pub fn secrets(&self) -> Arc<dyn SecretSource> {
        self.secrets.clone()
    }

    /// A channel of the config, ready to send.
    pub fn channel(&self, name: &str) -> Option<Channel> {
        let config = self.config();
        let known = match name.strip_prefix("action.") {
            Some(action) => ChannelConfig::Action(config.action.get(action)?.clone()),
            None => config.channel.get(name)?.clone(),
        };
        Some(Channel::new(Arc::new(known), self.secrets()))
    }

    /// The window and whoever listens hear of what was committed.
    pub fn tell(&self, changes: Changes) {
        if !changes.incidents.is_empty() || !changes.silences.is_empty() {
            self.recent.touched(|t| t.incidents += 1);
        }
        let Some(notices) = &self.notices else { return };
        for notice in changes.notices {
            // Nobody listens any more when the window is being closed; the state is committed all the same.
            let _told = notices.try_send(notice).is_ok();
        }
    }

    /// Builds the plan anew: the config changed, or a channel was seen to work or not to.
    pub async fn replan(&self) -> Result<(), StoreError> {
        let _one = self.standings.lock().await;
        let standings = self.store().channels().await?;
        let plan = Arc::new(self.config().plan(self.code_key, &standings));
        self.state.set_plan(plan.clone());
        self.ledger.set_plan(plan).await?;
        self.recent.touched(|t| t.health += 1);
        Ok(())
    }

    /// Rewrites the config file with one edit; it is taken up within seconds.
    pub async fn edit_config(
        &self,
        what: String,
        edit: impl FnOnce(&str, &Path) -> Result<String, ConfigError>,
    ) -> Result<(), ApiError> {
        self.may_change()?;
        {
            let _one = self.editing.lock().await;
            let failed = |e: std::io::Error| ApiError::failed(format!("{}: {e}", self.config_path.display()));
            let text = match std::fs::read_to_string(&self.config_path) {
                Ok(text) => text,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(e) => return Err(failed(e)),
            };
            let edited = edit(&text, &self.config_path).map_err(|e| ApiError::invalid(e.reason))?;
            wf_platform::files::write(&self.config_path, &edited).map_err(failed)?;
        }
        let action = AuditAction {
            at: self.now(),
            actor: self.operator(),
            action: "config.edit".into(),
            subject: "config".into(),
            payload: json!({ "what": what }),
        };
        Ok(self.ledger.record(vec![action]).await?)
    }
}
