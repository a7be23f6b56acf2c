//! What is in force: config, plan, what could not be taken or done. Everybody may look; only the engine changes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::watch;
use wf_config::Config;
use wf_response::Plan;

/// Sentences about what could not be taken or done, by what they are about: `config`, `rules`, `digest`.
pub type Problems = BTreeMap<&'static str, Vec<String>>;

/// What is in force, each as a value that can be watched.
pub struct State {
    config: watch::Sender<Arc<Config>>,
    plan: watch::Sender<Arc<Plan>>,
    problems: watch::Sender<Problems>,
    /// Who wrote a rule, by its id.
    authors: watch::Sender<Arc<HashMap<String, String>>>,
}

impl State {
    pub fn new(config: Arc<Config>, plan: Arc<Plan>) -> Self {
        Self {
            config: watch::Sender::new(config),
            plan: watch::Sender::new(plan),
            problems: watch::Sender::default(),
            authors: watch::Sender::default(),
        }
    }

    pub fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }

    /// Who is told of what, from the config and what is known of the channels.
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.borrow().clone()
    }

    pub fn problems(&self) -> Vec<String> {
        self.problems.borrow().values().flatten().cloned().collect()
    }

    pub fn author_of(&self, rule: &str) -> Option<String> {
        self.authors.borrow().get(rule).cloned()
    }

    /// Changes when another config is in force.
    pub fn watch_config(&self) -> watch::Receiver<Arc<Config>> {
        self.config.subscribe()
    }

    pub(crate) fn set_config(&self, config: Arc<Config>) {
        self.config.send_replace(config);
    }

    pub(crate) fn set_plan(&self, plan: Arc<Plan>) {
        self.plan.send_replace(plan);
    }

    /// `true`: that is news.
    pub fn set_problems(&self, about: &'static str, problems: Vec<String>) -> bool {
        self.problems.send_if_modified(|all| {
            let before = all.insert(about, problems).unwrap_or_default();
            before != all[about]
        })
    }

    pub fn set_authors(&self, authors: HashMap<String, String>) {
        self.authors.send_replace(Arc::new(authors));
    }
}
