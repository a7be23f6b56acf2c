//! What privacy officers and auditors do: requests of data subjects, breaches, retention, approvals, reports, the audit
//! log.
//!
//! [`Records`] keeps the documents and everything the services share; each service has one subject. A new report is a
//! module of [`reports`]; what a privacy officer can do is an arm of [`Privacy::privacy`].

mod approvals;
mod audit;
mod backups;
mod breaches;
mod chores;
mod copy;
mod erase;
mod execute;
mod exports;
mod holding;
mod period;
mod privacy;
mod records;
mod redaction;
pub mod reports;
mod requests;
mod retention;
mod subject;
mod subjects;
mod work;

use std::sync::Arc;

use wf_engine::{Context, Running};

pub use approvals::{Approvals, code_at};
pub use audit::{Audit, proves_itself};
pub use backups::Backups;
pub use breaches::Breaches;
pub use chores::chores;
pub use privacy::Privacy;
pub use records::Records;
pub use reports::Reports;
pub use requests::Requests;
pub use retention::Retention;
pub use subjects::Subjects;
pub use wf_privacy::breach::Content;
pub use work::Work;

/// Every service of compliance.
pub struct Compliance {
    pub records: Arc<Records>,
    pub privacy: Privacy,
    pub requests: Arc<Requests>,
    pub breaches: Arc<Breaches>,
    pub retention: Arc<Retention>,
    pub approvals: Arc<Approvals>,
    pub subjects: Arc<Subjects>,
    pub reports: Reports,
    pub audit: Arc<Audit>,
    pub backups: Arc<Backups>,
}

impl Compliance {
    /// `running`: `None` on a disk where no engine runs.
    pub fn new(context: &Arc<Context>, running: Option<&Running>) -> Self {
        let records = Arc::new(Records { context: context.clone(), work: Work::default() });
        let detector = running.map(|r| r.detector.clone());
        let subjects = Arc::new(Subjects { records: records.clone(), detector });
        let approvals = Arc::new(Approvals { records: records.clone(), used: Default::default() });
        let requests = Arc::new(Requests { records: records.clone(), subjects: subjects.clone() });
        let breaches = Arc::new(Breaches { records: records.clone() });
        let retention =
            Arc::new(Retention { records: records.clone(), approvals: approvals.clone(), clock: Default::default() });
        let audit = Arc::new(Audit { records: records.clone() });
        Self {
            privacy: Privacy {
                records: records.clone(),
                requests: requests.clone(),
                breaches: breaches.clone(),
                retention: retention.clone(),
                approvals: approvals.clone(),
            },
            reports: Reports {
                records: records.clone(),
                requests: requests.clone(),
                breaches: breaches.clone(),
                retention: retention.clone(),
                audit: audit.clone(),
                running: running.cloned(),
            },
            backups: Arc::new(Backups { records: records.clone(), making: Default::default() }),
            records,
            requests,
            breaches,
            retention,
            approvals,
            subjects,
            audit,
        }
    }
}
