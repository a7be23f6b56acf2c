//! The one way to change anything: everything one cause changes, in one transaction.

use std::sync::Arc;

use wf_model::channel::ChannelStanding;
use wf_model::{
    Event, FeedCounts, FeedName, Folded, Gap, Incident, IncidentId, Leaf, Notification, Position, Quarantined, Seq,
    SignedCheckpoint, Silence, TimelineEntry, Timestamp,
};

use crate::rates::RateDelta;
use crate::records::Record;
use crate::sweep::Rewrite;
use crate::{Store, StoreError, audit, events, feeds, incidents, notifications, rates, records, silences, sweep};

/// How far a feed got, and what happened to what it received since the last commit.
#[derive(Clone, Debug)]
pub struct FeedProgress {
    pub feed: FeedName,
    /// `None` leaves the stored position as it is.
    pub position: Option<Position>,
    /// Added to the stored counts.
    pub counts: FeedCounts,
    pub heard_at: Timestamp,
}

/// Everything one cause changes. What is left empty is not touched.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Numbered on from [`Store::next_seq`].
    pub events: Arc<Vec<Event>>,
    pub rates: Vec<RateDelta>,
    pub feeds: Vec<FeedProgress>,
    pub gaps: Vec<Gap>,
    pub quarantine: Vec<Quarantined>,
    pub incidents: Vec<Incident>,
    pub timeline: Vec<TimelineEntry>,
    pub folded: Vec<Folded>,
    /// Of these incidents, what was asked and not sent yet is cancelled, before `notifications` are added.
    pub withdraw: Vec<IncidentId>,
    /// Of these incidents, what waits to be taken back over these channels is cancelled, before `notifications` are
    /// added.
    pub forget: Vec<(IncidentId, String)>,
    /// Of these incidents, news that was not sent yet is cancelled.
    pub supersede: Vec<IncidentId>,
    /// Newly owed; one that is known already stays as it is.
    pub notifications: Vec<Notification>,
    /// What became of notifications that are known.
    pub receipts: Vec<Notification>,
    pub channels: Vec<ChannelStanding>,
    pub silences: Vec<Silence>,
    pub records: Vec<Record>,
    /// What becomes of rows that exist.
    pub rewrites: Vec<Rewrite>,
    /// Deleted, with everything that belongs to them.
    pub delete_incidents: Vec<IncidentId>,
    pub leaves: Vec<Leaf>,
    pub checkpoint: Option<SignedCheckpoint>,
    /// What detection remembers, and the last event that is in it.
    pub detector: Option<(Seq, Vec<u8>)>,
    /// Seal the hot events now, however few they are.
    pub seal: bool,
}

impl Store {
    /// Commits all of it or nothing, also when the caller goes away half-way: then the disk says which of the two it
    /// was, and the store goes on from there.
    ///
    /// # Errors
    /// [`StoreError::Full`] when the disk is full: nothing was changed, and the same commit can be tried again.
    pub async fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().await;
        let writer = &mut *writer;
        // What is remembered is that of the disk from here on.
        writer.connection().await.map_err(|e| self.failed(e))?;
        let touches_events = !commit.events.is_empty() || commit.seal;
        let plan = if touches_events {
            Some(events::plan(&writer.tail, commit.events.clone(), commit.seal).await?)
        } else {
            None
        };
        let result = async {
            let mut tx = writer.begin().await?;
            if let Some(plan) = &plan {
                events::write(&mut tx, plan).await?;
            }
            rates::write(&mut tx, &commit.rates).await?;
            feeds::write(&mut tx, &commit.feeds, &commit.gaps, &commit.quarantine).await?;
            incidents::write(&mut tx, &commit.incidents, &commit.timeline, &commit.folded).await?;
            notifications::write(&mut tx, &commit.withdraw, &commit.supersede, &commit.forget, &commit.notifications, &commit.receipts, &commit.channels).await?;
            silences::write(&mut tx, &commit.silences).await?;
            records::write(&mut tx, &commit.records).await?;
            sweep::write(&mut tx, &commit.rewrites).await?;
            sweep::delete_incidents(&mut tx, &commit.delete_incidents).await?;
            audit::write(&mut tx, &commit.leaves, commit.checkpoint.as_ref()).await?;
            if let Some((through, state)) = &commit.detector {
                let through = through.0 as i64;
                sqlx::query!("INSERT INTO detector (id, through, state) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET through = excluded.through, state = excluded.state", through, state)
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await
        }
        .await;
        if let Err(e) = result {
            writer.give_up().await;
            return Err(self.failed(e));
        }
        if let Some(plan) = plan {
            writer.tail.committed(plan);
        }
        writer.done();
        Ok(())
    }

    /// Whether this commit is on the disk although it failed. `None`: that cannot be said, or another commit stands
    /// where this one belongs. One with neither events nor audit entries can be tried again without harm, and is said
    /// not to be there.
    pub async fn holds(&self, commit: &Commit) -> Option<bool> {
        let mut writer = self.writer.lock().await;
        // Reads again what is on the disk.
        writer.connection().await.ok()?;
        let next = writer.tail.next;
        drop(writer);
        let events = commit.events.last().map(|e| next > e.seq);
        let Some(leaf) = commit.leaves.last() else { return Some(events.unwrap_or(false)) };
        let index = leaf.index as i64;
        let stored = sqlx::query_scalar!("SELECT hash FROM audit_leaf WHERE idx = ?", index)
            .fetch_optional(&self.readers)
            .await
            .ok()?;
        let there = stored.as_ref().map(|h| *h == leaf.hash);
        match (there, events) {
            (None, None | Some(false)) => Some(false),
            (Some(true), None | Some(true)) => Some(true),
            _ => None,
        }
    }

    /// What detection remembered, compressed by nobody: as it was committed.
    pub async fn detector_state(&self) -> Result<Option<(Seq, Vec<u8>)>, StoreError> {
        let row =
            sqlx::query!("SELECT through, state FROM detector WHERE id = 1").fetch_optional(&self.readers).await?;
        Ok(row.map(|r| (Seq(r.through as u64), r.state)))
    }
}
