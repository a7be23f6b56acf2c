//! One request in, one answer out.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use serde_json::json;
use wf_api::views::OverviewView;
use wf_api::{ApiError, Request, for_tools};
use wf_compliance::Compliance;
use wf_desk::Desk;
use wf_engine::{Context, Running};

/// Everything that can be asked of a console, whether an engine runs or not. The window, the CLI and the control socket
/// all come here; nothing here knows which of them it was.
pub struct Console {
    pub context: Arc<Context>,
    pub desk: Desk,
    pub compliance: Compliance,
}

impl Console {
    /// `running`: `None` on a disk where no engine runs.
    pub fn new(context: Arc<Context>, running: Option<Running>) -> Self {
        Self { compliance: Compliance::new(&context, running.as_ref()), desk: Desk::new(&context, running), context }
    }

    /// What the window shows of everything at once.
    pub async fn overview(&self) -> Result<OverviewView, ApiError> {
        self.desk.overview.overview(self.compliance.records.badge().await?).await
    }

    /// Does what a request over the control socket asks, and gives one JSON value back.
    pub async fn handle(&self, request: Request) -> Result<serde_json::Value, ApiError> {
        fn value<T: Serialize>(t: T) -> Result<serde_json::Value, ApiError> {
            for_tools(&t)
        }
        let (d, c) = (&self.desk, &self.compliance);
        match request {
            Request::FeedsList => value(d.feeds.all().await?.feeds),
            Request::FeedsTest { name } => value(d.feeds.test(&name).await?),
            Request::FeedsRestart { name } => {
                d.feeds.restart(&name)?;
                Ok(json!({ "restarted": name }))
            }
            Request::EventsList { query, since, limit, after } => {
                value(d.search.for_tools(&query, since.as_deref(), limit, after.as_deref()).await?)
            }
            Request::EventsCount => Ok(json!({ "events": self.context.store().count_events().await? })),
            Request::IncidentsList { state, severity, limit } => {
                value(d.incidents.list(state.as_deref(), severity.as_deref(), limit).await?)
            }
            Request::IncidentsShow { id } => value(d.incidents.one(&id).await?),
            Request::IncidentsAct { ids, action } => {
                let mut acted = d.incidents.act(&ids, &action).await?;
                // One that could not be done is an error; of several, each says how it went.
                if acted.len() == 1 { value(acted.remove(0).incident) } else { value(acted) }
            }
            Request::IncidentsFolded { id } => value(d.incidents.one(&id).await?.folded),
            Request::SilencesList => value(d.silences.all().await?),
            Request::SilencesPreview { matcher } => value(d.silences.preview(&matcher)?),
            Request::SilencesAdd { matcher, reason, length } => {
                value(d.silences.add(&matcher, &reason, &length).await?)
            }
            Request::SilencesEnd { id } => value(d.silences.end(&id).await?),
            Request::OnCall { at } => value(d.on_call.at(at.as_deref())?),
            Request::Readiness => value(d.on_call.readiness().await?),
            Request::Notifications { id } => value(d.incidents.receipts(&id).await?),
            Request::ChannelsList => value(d.channels.all().await?),
            Request::ChannelsTest { name } => value(d.channels.test(&name).await?),
            Request::Drill => value(d.channels.drill().await?),
            Request::Metrics { since } => value(d.incidents.metrics(since.as_deref()).await?),
            Request::Privacy { action } => c.privacy.act(&action).await,
            Request::PrivacyBoard => value(c.privacy.board().await?),
            Request::PrivacyRequests => value(c.requests.all().await?),
            Request::PrivacyRequest { number } => value(c.requests.one(number).await?),
            Request::PrivacyBreach { number } => value(c.breaches.one(number).await?),
            Request::SubjectFind { identifiers } => {
                value(c.subjects.find(&identifiers, 200, &mut |_| {}, &AtomicBool::new(false)).await?)
            }
            Request::ConsentsExport => value(c.privacy.consents_csv().await?),
            Request::ActivitiesExport => value(c.privacy.activities_csv().await?),
            Request::Retention => value(c.retention.view().await?),
            Request::EnrolApprover { person, voucher, code } => {
                value(c.approvals.enrol(&person, voucher.as_deref(), code.as_deref()).await?)
            }
            Request::Report { wanted } => value(c.reports.make(&wanted).await?),
            Request::Reports => value(c.reports.all().await?),
            Request::Backup { to } => value(c.backups.make(&to).await?),
            Request::AuditVerify { anchor } => value(c.audit.verify(anchor.as_deref()).await?),
            Request::AuditExport => value(c.audit.export().await?),
            Request::Health => value(d.overview.health().await?),
        }
    }
}
