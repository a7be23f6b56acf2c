//! Filters of many blocks, turned, so that a word is looked up in a thousand blocks by reading a handful of rows.
//!
//! A filter says of each of its bits whether it is set; a slice says of one bit in which of a group's blocks it is. The
//! blocks' filters are of sizes that double, so a smaller one is a larger one with every bit repeated, and one size
//! serves a group. A block whose filter is far larger than the others' keeps its own rows, as does one that was sealed
//! before sizes doubled, and one that was rewritten since.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use sqlx::{Sqlite, Transaction};

use super::blocking;
use super::tokens::{self, Required, SEGMENTS};
use crate::{Store, StoreError};

/// Blocks of a group.
const BLOCKS: usize = 1024;
/// Bytes of a slice: a bit a block.
const SLICE: usize = BLOCKS / 8;
/// Slices of a row: they fit into one page.
const SLICES: u64 = 30;
/// A group is at most so many times as large as the filters in it.
const WASTE: usize = 4;
/// Rows of slices changed in one transaction.
const AT_ONCE: usize = 256;

/// The blocks of one group, a bit each.
pub(super) type Blocks = [u64; BLOCKS / 64];

/// A group, as a search sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    id: i64,
    pub first: i64,
    /// The number that its last block begins with.
    pub last: i64,
    pub n: u64,
    bits: u64,
}

struct Ungrouped {
    first_seq: i64,
    first_at: i64,
    last_at: i64,
    n: i64,
}

/// A block and its filter's place, if that is in a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filtered {
    pub first: i64,
    pub filter_at: Option<i64>,
}

fn row_id(group: i64, segment: usize, row: u64) -> i64 {
    (group << 28) | ((segment as i64) << 24) | row as i64
}

impl Store {
    /// The groups with a block below `below` and above `floor`, and with events of this time; the newest first.
    pub(super) async fn filter_groups(
        &self,
        below: i64,
        floor: i64,
        (since, until): (i64, i64),
    ) -> Result<Vec<Group>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT id AS "id!: i64", first_seq, last_seq, n, bits FROM filter_group
               WHERE first_seq < ? AND last_seq > ? AND last_at >= ? AND first_at <= ? ORDER BY first_seq DESC"#,
            below,
            floor,
            since,
            until
        )
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .into_iter()
            .map(|r| Group { id: r.id, first: r.first_seq, last: r.last_seq, n: r.n as u64, bits: r.bits as u64 })
            .collect())
    }

    /// The places of the blocks in these groups whose filters deny none of `required`.
    pub(super) async fn undenied_places(
        &self,
        groups: &[Group],
        required: &[Required],
    ) -> Result<Vec<i64>, StoreError> {
        let left = self.undenied(groups, required).await?;
        let places = |(group, blocks): (i64, Blocks)| {
            (0..BLOCKS).filter(move |p| holds(&blocks, *p)).map(move |p| group * BLOCKS as i64 + p as i64)
        };
        Ok(left.into_iter().flat_map(places).collect())
    }

    /// Of these blocks, those in groups whose filters deny one of `required`.
    pub(super) async fn denied_in_groups(
        &self,
        required: &[Required],
        blocks: &[Filtered],
    ) -> Result<Vec<i64>, StoreError> {
        let placed = || blocks.iter().filter_map(|b| Some((b.first, b.filter_at?)));
        let mut ids: Vec<i64> = placed().map(|(_, at)| at / BLOCKS as i64).collect();
        ids.dedup();
        let mut groups = Vec::with_capacity(ids.len());
        for id in ids {
            let row = sqlx::query!(r#"SELECT first_seq, last_seq, n, bits FROM filter_group WHERE id = ?"#, id)
                .fetch_optional(&self.readers)
                .await?;
            groups.extend(row.map(|r| Group {
                id,
                first: r.first_seq,
                last: r.last_seq,
                n: r.n as u64,
                bits: r.bits as u64,
            }));
        }
        let left: HashMap<i64, Blocks> = self.undenied(&groups, required).await?.into_iter().collect();
        let denied = |at: i64| {
            left.get(&(at / BLOCKS as i64)).is_some_and(|blocks| !holds(blocks, (at % BLOCKS as i64) as usize))
        };
        Ok(placed().filter(|(_, at)| denied(*at)).map(|(first, _)| first).collect())
    }

    /// A row that cannot be read denies nothing: the blocks are opened instead.
    async fn undenied(&self, groups: &[Group], required: &[Required]) -> Result<Vec<(i64, Blocks)>, StoreError> {
        let mut wanted = Vec::new();
        for (i, group) in groups.iter().enumerate() {
            for r in required {
                let segment = r.segment();
                let probes = tokens::probes(r.hash(), group.bits);
                wanted.extend(probes.map(|bit| (row_id(group.id, segment, bit / SLICES), i, bit % SLICES)));
            }
        }
        let ids: Vec<i64> = wanted.iter().map(|(id, ..)| *id).collect();
        let ids = serde_json::to_string(&ids).map_err(|e| StoreError::damaged("filter", e))?;
        let rows = sqlx::query!(
            r#"SELECT id AS "id!: i64", bits FROM filter_slice WHERE id IN (SELECT value FROM json_each(?))"#,
            ids
        )
        .fetch_all(&self.readers)
        .await;
        let rows: HashMap<i64, Vec<u8>> = readable(rows)?.into_iter().map(|r| (r.id, r.bits)).collect();
        let mut left: Vec<(i64, Blocks)> = groups.iter().map(|g| (g.id, [u64::MAX; BLOCKS / 64])).collect();
        for (id, group, slice) in wanted {
            let from = slice as usize * SLICE;
            let Some(bits) = rows.get(&id).and_then(|r| r.get(from..from + SLICE)) else { continue };
            for (word, bytes) in left[group].1.iter_mut().zip(bits.chunks_exact(8)) {
                *word &= u64::from_le_bytes(bytes.try_into().unwrap_or([0xff; 8]));
            }
        }
        Ok(left)
    }

    /// Turns the filters of the next blocks that are in no group, once there are enough. `false`: there are not, or one
    /// of them was rewritten meanwhile.
    ///
    /// # Errors
    /// As for any change; the next call begins anew.
    pub async fn group_filters(&self) -> Result<bool, StoreError> {
        let rewritten = self.rewritten.load(Ordering::Relaxed);
        let Some(blocks) = self.ungrouped().await? else { return Ok(false) };
        // A number that something is still to be overwritten for is not given again.
        let id = sqlx::query_scalar!(
            r#"SELECT max(coalesce((SELECT max(id) FROM filter_group), 0),
                 coalesce((SELECT max(filter_at) FROM filter_stale), 0) / 1024) + 1 AS "id!: i64""#
        )
        .fetch_one(&self.readers)
        .await?;
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(false) };
        let (first, last) = (first.first_seq, last.first_seq);
        let n: i64 = blocks.iter().map(|b| b.n).sum();
        let first_at = blocks.iter().map(|b| b.first_at).min().unwrap_or_default();
        let last_at = blocks.iter().map(|b| b.last_at).max().unwrap_or_default();
        let place: HashMap<i64, usize> = blocks.iter().enumerate().map(|(p, b)| (b.first_seq, p)).collect();

        let sizes = self.sizes(first, last).await?;
        let bits = size_of_group(sizes.values().copied());
        let members: HashMap<i64, usize> =
            place.into_iter().filter(|(seq, _)| sizes.get(seq).is_some_and(|size| *size <= bits)).collect();
        // What an attempt that did not end has left.
        self.change(move |tx| Box::pin(delete_slices(tx, id))).await?;
        for segment in 0..if members.is_empty() { 0 } else { SEGMENTS } {
            let stored = tokens::stored_as(segment);
            let rows = sqlx::query!(
                "SELECT first_seq, bits FROM bloom WHERE segment = ? AND first_seq BETWEEN ? AND ?",
                stored,
                first,
                last
            )
            .fetch_all(&self.readers)
            .await?;
            let filters: Vec<(usize, Vec<u8>)> =
                rows.into_iter().filter_map(|r| Some((*members.get(&r.first_seq)?, r.bits))).collect();
            let turned = blocking(move || Ok(turn(&filters, bits))).await?;
            let rows = turned.chunks(SLICES as usize * SLICE).enumerate();
            let rows: Vec<_> = rows.map(|(row, bits)| (row_id(id, segment, row as u64), bits.to_vec())).collect();
            for some in rows.chunks(AT_ONCE) {
                self.write_slices(some.to_vec()).await?;
            }
        }

        let now = self.rewritten.clone();
        self.change(move |tx| {
            Box::pin(async move {
                // A filter may be that of a block as it was: the next call begins anew.
                if now.load(Ordering::Relaxed) != rewritten {
                    return Ok(false);
                }
                let bits = bits as i64;
                sqlx::query!(
                    "INSERT INTO filter_group (id, first_seq, last_seq, first_at, last_at, n, bits)
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                    id,
                    first,
                    last,
                    first_at,
                    last_at,
                    n,
                    bits
                )
                .execute(&mut **tx)
                .await?;
                for (first, place) in &members {
                    let at = id * BLOCKS as i64 + *place as i64;
                    sqlx::query!("UPDATE block_meta SET filter_at = ? WHERE first_seq = ?", at, first)
                        .execute(&mut **tx)
                        .await?;
                    sqlx::query!("DELETE FROM bloom WHERE first_seq = ?", first).execute(&mut **tx).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    /// The next blocks that lie in no group: after the newest group, or where a group was whose blocks have all left it.
    async fn ungrouped(&self) -> Result<Option<Vec<Ungrouped>>, StoreError> {
        let gaps = sqlx::query!(
            r#"SELECT after AS "after!: i64", before AS "before: i64" FROM
                 (SELECT last_seq AS after,
                    (SELECT min(h.first_seq) FROM filter_group h WHERE h.first_seq > g.last_seq) AS before
                  FROM filter_group g UNION ALL SELECT -1, (SELECT min(first_seq) FROM filter_group))
               WHERE EXISTS (SELECT 1 FROM block_meta b
                 WHERE b.first_seq > after AND b.first_seq < coalesce(before, 9223372036854775807))"#
        )
        .fetch_all(&self.readers)
        .await?;
        for gap in gaps {
            let (before, most) = (gap.before.unwrap_or(i64::MAX), BLOCKS as i64);
            let blocks = sqlx::query_as!(
                Ungrouped,
                r#"SELECT first_seq AS "first_seq!: i64", first_at, last_at, n FROM block_meta
                   WHERE first_seq > ? AND first_seq < ? ORDER BY first_seq LIMIT ?"#,
                gap.after,
                before,
                most
            )
            .fetch_all(&self.readers)
            .await?;
            // Between two groups no block is added any more.
            if blocks.len() >= if gap.before.is_some() { BLOCKS / 2 } else { BLOCKS } {
                return Ok(Some(blocks));
            }
        }
        Ok(None)
    }

    /// The size of each of these blocks' filters, in bits of a segment; only of those that can be turned.
    async fn sizes(&self, first: i64, last: i64) -> Result<HashMap<i64, usize>, StoreError> {
        let (lowest, highest) = (tokens::stored_as(0), tokens::stored_as(SEGMENTS - 1));
        let rows = sqlx::query!(
            r#"SELECT first_seq AS "first_seq!: i64", min(length(bits)) AS "least!: i64", max(length(bits)) AS "most!: i64",
                 count(*) AS "segments!: i64" FROM bloom
               WHERE segment BETWEEN ? AND ? AND first_seq BETWEEN ? AND ? GROUP BY first_seq"#,
            lowest,
            highest,
            first,
            last
        )
        .fetch_all(&self.readers)
        .await?;
        let whole = rows.into_iter().filter(|r| r.segments == SEGMENTS as i64 && r.least == r.most);
        let sizes = whole.map(|r| (r.first_seq, r.least as usize * 8));
        Ok(sizes.filter(|(_, bits)| bits.is_power_of_two()).collect())
    }

    async fn write_slices(&self, rows: Vec<(i64, Vec<u8>)>) -> Result<(), StoreError> {
        self.change(move |tx| {
            Box::pin(async move {
                for (id, bits) in &rows {
                    sqlx::query!("INSERT OR REPLACE INTO filter_slice (id, bits) VALUES (?, ?)", id, bits)
                        .execute(&mut **tx)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Overwrites what groups still say of blocks that were rewritten or deleted: whoever was erased is no longer in
    /// any filter. A group that all blocks have left is deleted: those that are still there may be grouped anew.
    pub async fn settle_filters(&self) -> Result<(), StoreError> {
        loop {
            let stale = sqlx::query_scalar!(r#"SELECT filter_at AS "at!: i64" FROM filter_stale ORDER BY filter_at"#)
                .fetch_all(&self.readers)
                .await?;
            let Some(id) = stale.first().map(|at| at / BLOCKS as i64) else { return Ok(()) };
            let of_group: Vec<i64> = stale.into_iter().take_while(|at| at / BLOCKS as i64 == id).collect();
            self.settle_group(id, &of_group).await?;
        }
    }

    async fn settle_group(&self, id: i64, stale: &[i64]) -> Result<(), StoreError> {
        let (lowest, highest) = (id * BLOCKS as i64, (id + 1) * BLOCKS as i64 - 1);
        let left = sqlx::query_scalar!(
            r#"SELECT count(*) AS "n!: i64" FROM block_meta WHERE filter_at BETWEEN ? AND ?"#,
            lowest,
            highest
        )
        .fetch_one(&self.readers)
        .await?;
        if left > 0 {
            let mut mask = [0u8; SLICE];
            for at in stale {
                let place = (at - lowest) as usize;
                mask[place / 8] |= 1 << (place % 8);
            }
            let (mut after, end) = (row_id(id, 0, 0) - 1, row_id(id + 1, 0, 0));
            loop {
                let most = AT_ONCE as i64;
                let rows = sqlx::query!(
                    r#"SELECT id AS "id!: i64", bits FROM filter_slice WHERE id > ? AND id < ? ORDER BY id LIMIT ?"#,
                    after,
                    end,
                    most
                )
                .fetch_all(&self.readers)
                .await?;
                let Some(last) = rows.last() else { break };
                after = last.id;
                // Set, not cleared: whoever listed the block a moment ago and asks now must not be told that it holds
                // nothing.
                let mut rows: Vec<(i64, Vec<u8>)> = rows.into_iter().map(|r| (r.id, r.bits)).collect();
                for (_, bits) in &mut rows {
                    bits.iter_mut().zip(mask.iter().cycle()).for_each(|(b, m)| *b |= m);
                }
                self.write_slices(rows).await?;
            }
        }
        let stale = stale.to_vec();
        self.change(move |tx| {
            Box::pin(async move {
                // Asked again: nobody else changes anything now.
                let left = sqlx::query_scalar!(
                    r#"SELECT count(*) AS "n!: i64" FROM block_meta WHERE filter_at BETWEEN ? AND ?"#,
                    lowest,
                    highest
                )
                .fetch_one(&mut **tx)
                .await?;
                if left == 0 {
                    delete_slices(tx, id).await?;
                    sqlx::query!("DELETE FROM filter_group WHERE id = ?", id).execute(&mut **tx).await?;
                }
                for at in &stale {
                    sqlx::query!("DELETE FROM filter_stale WHERE filter_at = ?", at).execute(&mut **tx).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

/// Filters that cannot be read deny nothing: then there are none.
///
/// # Errors
/// What every other row would meet as well.
pub(super) fn readable<T>(rows: Result<Vec<T>, sqlx::Error>) -> Result<Vec<T>, StoreError> {
    rows.or_else(|e| {
        let reason = StoreError::from(e).of_one_row()?;
        tracing::warn!(reason, "the filters of some blocks cannot be read; the blocks are opened instead");
        Ok(Vec::new())
    })
}

async fn delete_slices(tx: &mut Transaction<'_, Sqlite>, group: i64) -> Result<(), sqlx::Error> {
    let (lowest, highest) = (row_id(group, 0, 0), row_id(group + 1, 0, 0) - 1);
    sqlx::query!("DELETE FROM filter_slice WHERE id BETWEEN ? AND ?", lowest, highest).execute(&mut **tx).await?;
    Ok(())
}

/// The block's filter is no longer in its group, or the block is gone.
pub(super) async fn leave(tx: &mut Transaction<'_, Sqlite>, first: i64) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT OR IGNORE INTO filter_stale (filter_at)
         SELECT filter_at FROM block_meta WHERE first_seq = ? AND filter_at IS NOT NULL",
        first
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("UPDATE block_meta SET filter_at = NULL WHERE first_seq = ? AND filter_at IS NOT NULL", first)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn holds(blocks: &Blocks, place: usize) -> bool {
    blocks[place / 64] & (1 << (place % 64)) != 0
}

/// The largest size at which the group is not much larger than the filters in it; what is larger stays outside.
fn size_of_group(sizes: impl Iterator<Item = usize>) -> usize {
    let mut sizes: Vec<usize> = sizes.collect();
    sizes.sort_unstable();
    let mut own = 0;
    let fits = |size: &usize| {
        own += size;
        size * BLOCKS <= own * WASTE
    };
    // All of one size come together, so the last of them decides.
    sizes.iter().copied().filter(fits).max().unwrap_or(0)
}

/// The slices of a segment, one after the other, of the filters at these places.
fn turn(filters: &[(usize, Vec<u8>)], bits: usize) -> Vec<u8> {
    let mut slices = vec![0u8; bits * SLICE];
    for (place, filter) in filters {
        let repeat = bits / (filter.len() * 8);
        for (i, byte) in filter.iter().enumerate() {
            let mut rest = *byte;
            while rest != 0 {
                let from = (i * 8 + rest.trailing_zeros() as usize) * repeat;
                for bit in from..from + repeat {
                    slices[bit * SLICE + place / 8] |= 1 << (place % 8);
                }
                rest &= rest - 1;
            }
        }
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::super::tokens::{HashesOfWords, bloom, may_hold, word_hash};
    use super::*;

    #[test]
    fn a_slice_says_of_a_bit_in_which_blocks_it_is_set_whatever_size_their_filters_have() {
        let words =
            |block: usize| (0..8usize << (block % 5)).map(move |n| word_hash(format!("{block} {n}").as_bytes()));
        let filters: Vec<Vec<Vec<u8>>> = (0..40).map(|b| bloom(&words(b).collect::<HashesOfWords>())).collect();
        let bits = filters.iter().map(|f| f[0].len() * 8).max().unwrap();
        assert!(filters.iter().any(|f| f[0].len() * 8 < bits), "there are smaller ones");
        for segment in 0..SEGMENTS {
            let placed: Vec<_> = filters.iter().enumerate().map(|(b, f)| (b * 25, f[segment].clone())).collect();
            let slices = turn(&placed, bits);
            let asked = (0..40).flat_map(words).chain((0..2000).map(|n: u64| word_hash(&n.to_le_bytes())));
            for hash in asked.filter(|h| Required::Word(*h).segment() == segment) {
                for (place, filter) in &placed {
                    let set = |bit: u64| slices[bit as usize * SLICE + place / 8] & (1 << (place % 8)) != 0;
                    assert_eq!(tokens::probes(hash, bits as u64).all(set), may_hold(filter, hash));
                }
            }
        }
    }

    #[test]
    fn one_large_block_does_not_make_a_group_large() {
        let of = |sizes: &[(usize, usize)]| size_of_group(sizes.iter().flat_map(|(n, s)| std::iter::repeat_n(*s, *n)));
        assert_eq!(of(&[(1024, 4096)]), 4096);
        assert_eq!(of(&[(1023, 64), (1, 1 << 20)]), 64);
        assert_eq!(of(&[(512, 64), (512, 4096)]), 4096);
        assert_eq!(of(&[(100, 64)]), 0, "too few of them can be turned");
        assert_eq!(of(&[]), 0);
    }
}
