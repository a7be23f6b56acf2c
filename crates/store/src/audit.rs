//! The audit log's rows. What they mean is `evidence`'s business.

use sqlx::{Sqlite, Transaction};
use wf_model::{Leaf, SignedCheckpoint, Timestamp};

use crate::{Store, StoreError};

pub(crate) async fn write(
    tx: &mut Transaction<'_, Sqlite>,
    leaves: &[Leaf],
    checkpoint: Option<&SignedCheckpoint>,
) -> Result<(), sqlx::Error> {
    for l in leaves {
        let index = l.index as i64;
        let (payload_hash, hash) = (l.payload_hash.as_slice(), l.hash.as_slice());
        sqlx::query!(
            "INSERT INTO audit_leaf (idx, header, payload, salt, payload_hash, hash) VALUES (?, ?, ?, ?, ?, ?)",
            index,
            l.header,
            l.payload,
            l.salt,
            payload_hash,
            hash
        )
        .execute(&mut **tx)
        .await?;
    }
    if let Some(c) = checkpoint {
        let (size, root, at) = (c.size as i64, c.root.as_slice(), c.at.millis());
        // The same size says the same: signatures are deterministic.
        sqlx::query!(
            "INSERT INTO audit_checkpoint (size, root, at, note) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            size,
            root,
            at,
            c.note
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

pub(crate) fn hash(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::damaged("audit hash", "it is not 32 bytes long"))
}

struct LeafRow {
    idx: i64,
    header: String,
    payload: Option<String>,
    salt: Option<Vec<u8>>,
    payload_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl LeafRow {
    fn leaf(self) -> Result<Leaf, StoreError> {
        Ok(Leaf {
            index: self.idx as u64,
            header: self.header,
            payload: self.payload,
            salt: self.salt,
            payload_hash: hash(&self.payload_hash)?,
            hash: hash(&self.hash)?,
        })
    }
}

impl Store {
    /// The public key that the log began with.
    pub async fn first_audit_key(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let row = sqlx::query_scalar!("SELECT public_key FROM audit_key ORDER BY since_size LIMIT 1")
            .fetch_optional(&self.readers)
            .await?;
        row.map(|k| hash(&k)).transpose()
    }

    /// Notes the key that a log without entries begins with.
    pub async fn set_first_audit_key(&self, public_key: &[u8; 32]) -> Result<(), StoreError> {
        let key = public_key.as_slice();
        let mut writer = self.writer.lock().await;
        let mut tx = writer.begin().await.map_err(|e| self.failed(e))?;
        sqlx::query!("DELETE FROM audit_key").execute(&mut *tx).await.map_err(|e| self.failed(e))?;
        sqlx::query!("INSERT INTO audit_key (public_key, since_size) VALUES (?, 0)", key)
            .execute(&mut *tx)
            .await
            .map_err(|e| self.failed(e))?;
        tx.commit().await.map_err(|e| self.failed(e))?;
        writer.done();
        Ok(())
    }

    /// The entries about the log itself, in order: other keys that sign it, and damage.
    pub async fn audit_of_the_audit(&self) -> Result<Vec<Leaf>, StoreError> {
        let rows = sqlx::query_as!(
            LeafRow,
            r#"SELECT idx AS "idx!", header, payload, salt, payload_hash, hash FROM audit_leaf
               WHERE header LIKE '%"action":"audit.key"%' OR header LIKE '%"action":"audit.damaged"%' ORDER BY idx"#
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(LeafRow::leaf).collect()
    }

    /// The hashes of all leaves, in order.
    pub async fn audit_hashes(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let rows = sqlx::query_scalar!("SELECT hash FROM audit_leaf ORDER BY idx").fetch_all(&self.readers).await?;
        rows.iter().map(|h| hash(h)).collect()
    }

    /// All leaves, in order.
    pub async fn audit_leaves(&self) -> Result<Vec<Leaf>, StoreError> {
        let rows = sqlx::query_as!(
            LeafRow,
            r#"SELECT idx AS "idx!", header, payload, salt, payload_hash, hash FROM audit_leaf ORDER BY idx"#
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(LeafRow::leaf).collect()
    }

    /// Leaves below `before` whose header or details hold every one of `words` (in lower case), the newest first; at
    /// most `limit`.
    pub async fn audit_page(
        &self,
        words: &[String],
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Leaf>, StoreError> {
        let (mut out, mut below) = (Vec::new(), before.map_or(i64::MAX, |b| b as i64));
        loop {
            let rows = sqlx::query_as!(LeafRow, r#"SELECT idx AS "idx!", header, payload, salt, payload_hash, hash FROM audit_leaf WHERE idx < ? ORDER BY idx DESC LIMIT 1000"#, below).fetch_all(&self.readers).await?;
            let Some(last) = rows.last() else { return Ok(out) };
            below = last.idx;
            for r in rows {
                let text = format!("{} {}", r.header, r.payload.as_deref().unwrap_or_default()).to_lowercase();
                if words.iter().all(|w| text.contains(w)) {
                    out.push(r.leaf()?);
                    if out.len() == limit {
                        return Ok(out);
                    }
                }
            }
        }
    }

    /// The checkpoint over the most leaves.
    pub async fn last_audit_checkpoint(&self) -> Result<Option<SignedCheckpoint>, StoreError> {
        let row =
            sqlx::query!(r#"SELECT size AS "size!", root, at, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1"#)
                .fetch_optional(&self.readers)
                .await?;
        row.map(|r| {
            Ok(SignedCheckpoint {
                size: r.size as u64,
                root: hash(&r.root)?,
                at: Timestamp::from_millis(r.at),
                note: r.note,
            })
        })
        .transpose()
    }

    /// All checkpoints, by size.
    pub async fn audit_checkpoints(&self) -> Result<Vec<SignedCheckpoint>, StoreError> {
        let rows = sqlx::query!(r#"SELECT size AS "size!", root, at, note FROM audit_checkpoint ORDER BY size"#)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|r| {
                Ok(SignedCheckpoint {
                    size: r.size as u64,
                    root: hash(&r.root)?,
                    at: Timestamp::from_millis(r.at),
                    note: r.note,
                })
            })
            .collect()
    }
}
