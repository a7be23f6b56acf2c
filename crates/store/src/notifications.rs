//! The outbox, and what is known of the channels it goes over.

use sqlx::{Sqlite, Transaction};
use wf_model::channel::ChannelStanding;
use wf_model::{Destination, IncidentId, Notification, NotificationState, Purpose, Severity, Timestamp};

use crate::{Store, StoreError};

struct Row {
    key: String,
    incident: Option<String>,
    purpose: String,
    severity: i64,
    step: Option<i64>,
    round: i64,
    channel: String,
    address: String,
    person: Option<String>,
    page: String,
    created_at: i64,
    due_at: i64,
    state: String,
    attempts: i64,
    attempted_at: Option<i64>,
    delivered_at: Option<i64>,
    provider_id: Option<String>,
    error: Option<String>,
    possible_duplicate: i64,
}

impl TryFrom<Row> for Notification {
    type Error = StoreError;
    fn try_from(r: Row) -> Result<Self, StoreError> {
        let bad = |e: String| StoreError::damaged("notification", e);
        Ok(Self {
            key: r.key,
            incident: r.incident.map(IncidentId),
            purpose: r.purpose.parse::<Purpose>().map_err(bad)?,
            severity: Severity::from_number(r.severity).ok_or_else(|| bad(format!("severity {}", r.severity)))?,
            step: r.step.map(|n| n as u32),
            round: r.round as u32,
            to: Destination { channel: r.channel, address: r.address, person: r.person },
            page: serde_json::from_str(&r.page).map_err(|e| StoreError::damaged("notification", e))?,
            created_at: Timestamp::from_millis(r.created_at),
            due_at: Timestamp::from_millis(r.due_at),
            state: r.state.parse::<NotificationState>().map_err(bad)?,
            attempts: r.attempts as u32,
            attempted_at: r.attempted_at.map(Timestamp::from_millis),
            delivered_at: r.delivered_at.map(Timestamp::from_millis),
            provider_id: r.provider_id,
            error: r.error,
            possible_duplicate: r.possible_duplicate != 0,
        })
    }
}

pub(crate) async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    withdraw: &[IncidentId],
    supersede: &[IncidentId],
    forget: &[(IncidentId, String)],
    owed: &[Notification],
    receipts: &[Notification],
    channels: &[ChannelStanding],
) -> Result<(), sqlx::Error> {
    for incident in withdraw {
        sqlx::query!(
            "UPDATE notification SET state = 'cancelled' WHERE incident = ? AND state IN ('queued', 'uncertain') AND purpose IN ('trigger', 'grew', 'reminder', 'reopened')",
            incident.0
        )
        .execute(&mut **tx)
        .await?;
    }
    for incident in supersede {
        sqlx::query!("UPDATE notification SET state = 'cancelled' WHERE incident = ? AND state IN ('queued', 'uncertain') AND purpose IN ('acknowledged', 'resolved')", incident.0)
            .execute(&mut **tx)
            .await?;
    }
    for (incident, channel) in forget {
        sqlx::query!("UPDATE notification SET state = 'cancelled' WHERE incident = ? AND channel = ? AND purpose IN ('act', 'undo') AND state IN ('queued', 'uncertain')", incident.0, channel)
            .execute(&mut **tx)
            .await?;
    }
    for n in owed {
        let (incident, purpose, severity) =
            (n.incident.as_ref().map(|i| &i.0), n.purpose.as_str(), i64::from(n.severity.number()));
        let (step, round, page, state) = (
            n.step.map(i64::from),
            i64::from(n.round),
            serde_json::to_string(&n.page).unwrap_or_default(),
            n.state.as_str(),
        );
        let (created_at, due_at, attempts) = (n.created_at.millis(), n.due_at.millis(), i64::from(n.attempts));
        // How it goes on is owed only to those who were actually sent something of it.
        let follows = n.purpose.follows();
        sqlx::query!(
            "INSERT INTO notification (key, incident, purpose, severity, step, round, channel, address, person, page, code, created_at, due_at, state, attempts, possible_duplicate)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0
             WHERE ?16 = 0 OR EXISTS (SELECT 1 FROM notification WHERE incident = ?2 AND channel = ?7 AND address = ?8 AND attempts > 0)
             ON CONFLICT DO NOTHING",
            n.key, incident, purpose, severity, step, round, n.to.channel, n.to.address, n.to.person, page, n.page.code, created_at, due_at, state, attempts, follows
        )
        .execute(&mut **tx)
        .await?;
    }
    for n in receipts {
        let (state, attempts, due_at) = (n.state.as_str(), i64::from(n.attempts), n.due_at.millis());
        let (attempted_at, delivered_at) =
            (n.attempted_at.map(Timestamp::millis), n.delivered_at.map(Timestamp::millis));
        sqlx::query!(
            "UPDATE notification SET state = ?, attempts = ?, due_at = ?, attempted_at = ?, delivered_at = ?, provider_id = ?, error = ?, possible_duplicate = ? WHERE key = ?",
            state, attempts, due_at, attempted_at, delivered_at, n.provider_id, n.error, n.possible_duplicate, n.key
        )
        .execute(&mut **tx)
        .await?;
    }
    for c in channels {
        let (worked_at, failed_at) = (c.worked_at.map(Timestamp::millis), c.failed_at.map(Timestamp::millis));
        sqlx::query!(
            "INSERT INTO channel (name, worked_at, failed_at, broken, cursor) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET worked_at = excluded.worked_at, failed_at = excluded.failed_at, broken = excluded.broken, cursor = excluded.cursor",
            c.name, worked_at, failed_at, c.broken, c.cursor
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Whole notifications; what follows says which.
macro_rules! notifications {
    ($($which:literal)|+ $(, $arg:expr)*) => {
        sqlx::query_as!(
            Row,
            "SELECT key, incident, purpose, severity, step, round, channel, address, person, page, created_at, due_at, "
                + "state, attempts, attempted_at, delivered_at, provider_id, error, possible_duplicate FROM notification "
                $(+ $which)*
            $(, $arg)*
        )
    };
}

impl Store {
    /// What each place is owed first by `now`, the gravest first, then the longest waiting: however much one place is
    /// owed, it hides no other. What was written by a clock that was ahead, and would have to wait for it, is owed now.
    pub async fn owed(&self, now: Timestamp) -> Result<Vec<Notification>, StoreError> {
        let now = now.millis();
        let rows = notifications!(
            "WHERE key IN (SELECT key FROM (SELECT key, row_number() OVER (PARTITION BY channel, address "
                | "ORDER BY severity, purpose <> 'trigger', due_at, created_at, key) AS place FROM notification "
                | "WHERE state IN ('queued', 'attempting', 'uncertain') AND state <> 'attempting' "
                | "AND (due_at <= ?1 OR (created_at > ?1 + 60000 AND due_at > ?1 + 600000))) WHERE place = 1) "
                | "ORDER BY severity, due_at, created_at, key",
            now
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(Notification::try_from).collect()
    }

    /// Everything one place is owed by `now`, the gravest first.
    pub async fn owed_to(&self, to: &Destination, now: Timestamp) -> Result<Vec<Notification>, StoreError> {
        let now = now.millis();
        let rows = notifications!(
            "WHERE state IN ('queued', 'attempting', 'uncertain') AND state <> 'attempting' "
                | "AND (due_at <= ?1 OR (created_at > ?1 + 60000 AND due_at > ?1 + 600000)) "
                | "AND channel = ?2 AND address = ?3 ORDER BY severity, due_at, created_at, key",
            now,
            to.channel,
            to.address
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(Notification::try_from).collect()
    }

    /// What was said together in the message with this key.
    pub async fn said_in(&self, key: &str) -> Result<Vec<Notification>, StoreError> {
        let ending = format!("% in {key}");
        let rows = notifications!("WHERE state = 'coalesced' AND error LIKE ? ORDER BY severity, key", ending)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(Notification::try_from).collect()
    }

    /// How many messages each channel owes still: those that wait, and those under way.
    pub async fn waiting(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let rows = sqlx::query!(r#"SELECT channel, count(*) AS "n!: i64" FROM notification WHERE state IN ('queued', 'attempting', 'uncertain') GROUP BY channel"#).fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(|r| (r.channel, r.n as u64)).collect())
    }

    /// When something more is owed than is already, and how much is owed altogether.
    pub async fn next_owed(&self, now: Timestamp) -> Result<(Option<Timestamp>, u64), StoreError> {
        let now = now.millis();
        let row = sqlx::query!(r#"SELECT min(CASE WHEN due_at > ? THEN due_at END) AS "due: i64", count(*) AS "n!: i64" FROM notification WHERE state IN ('queued', 'attempting', 'uncertain')"#, now)
            .fetch_one(&self.readers)
            .await?;
        Ok((row.due.map(Timestamp::from_millis), row.n as u64))
    }

    pub async fn notification(&self, key: &str) -> Result<Option<Notification>, StoreError> {
        let row = notifications!("WHERE key = ?", key).fetch_optional(&self.readers).await?;
        row.map(Notification::try_from).transpose()
    }

    /// Everything that was owed about an incident, oldest first.
    pub async fn notifications_of(&self, incident: &IncidentId) -> Result<Vec<Notification>, StoreError> {
        let rows =
            notifications!("WHERE incident = ? ORDER BY created_at, key", incident.0).fetch_all(&self.readers).await?;
        rows.into_iter().map(Notification::try_from).collect()
    }

    /// Everything that was owed about incidents of these severities detected between these moments, oldest first.
    pub async fn notifications_between(
        &self,
        from: Timestamp,
        to: Timestamp,
        gravest: u8,
    ) -> Result<Vec<Notification>, StoreError> {
        let (from, to) = (from.millis(), to.millis());
        let rows = notifications!(
            "WHERE incident IN (SELECT id FROM incident WHERE detected_at >= ? AND detected_at < ? AND severity <= ?) "
                | "ORDER BY created_at, key",
            from,
            to,
            gravest
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(Notification::try_from).collect()
    }

    /// Attempts that a crash cut off: whether they arrived is not known.
    pub async fn interrupted(&self) -> Result<Vec<Notification>, StoreError> {
        let rows = notifications!("WHERE state = 'attempting'").fetch_all(&self.readers).await?;
        rows.into_iter().map(Notification::try_from).collect()
    }

    /// The notification that carried this reply code over this channel, the newest if there are several: one person's
    /// code is the same on each.
    pub async fn notification_by_code(&self, code: &str, channel: &str) -> Result<Option<Notification>, StoreError> {
        let row = notifications!("WHERE code = ? AND channel = ? ORDER BY created_at DESC LIMIT 1", code, channel)
            .fetch_optional(&self.readers)
            .await?;
        row.map(Notification::try_from).transpose()
    }

    /// When the last digest that arrived at this address was made.
    pub async fn last_digest(&self, address: &str) -> Result<Option<Timestamp>, StoreError> {
        let at = sqlx::query_scalar!(r#"SELECT max(created_at) AS "at: i64" FROM notification WHERE purpose = 'digest' AND state = 'delivered' AND address = ?"#, address)
            .fetch_one(&self.readers)
            .await?;
        Ok(at.map(Timestamp::from_millis))
    }

    /// What is known of every channel that was ever used.
    pub async fn channels(&self) -> Result<Vec<ChannelStanding>, StoreError> {
        let rows = sqlx::query!("SELECT name, worked_at, failed_at, broken, cursor FROM channel ORDER BY name")
            .fetch_all(&self.readers)
            .await?;
        Ok(rows
            .into_iter()
            .map(|r| ChannelStanding {
                name: r.name,
                worked_at: r.worked_at.map(Timestamp::from_millis),
                failed_at: r.failed_at.map(Timestamp::from_millis),
                broken: r.broken,
                cursor: r.cursor,
            })
            .collect())
    }
}
