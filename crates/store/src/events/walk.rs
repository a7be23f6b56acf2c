//! Which blocks a search opens: from the newest downwards, a page at a time, without those whose filters deny what must
//! be in them.

use std::collections::HashSet;

use super::damage::Span;
use super::groups::{Filtered, Group, readable};
use super::tokens::{self, Required};
use crate::{Store, StoreError};

/// Blocks listed at a time.
pub(super) const PAGE: i64 = 1024;
/// Groups asked at a time, at most: one at first, because a search for what is everywhere ends soon.
const GROUPS: usize = 32;

/// How far a walk has come.
pub(super) struct Walk {
    /// Blocks that begin below this are still to come.
    pub from: i64,
    /// And above this.
    pub floor: i64,
    /// With events from then to then.
    pub times: (i64, i64),
    /// Of those still to come, newest first; empty: every block is listed.
    groups: Vec<Group>,
    at_once: usize,
}

/// Blocks to open, newest first.
pub(super) struct Page {
    /// And how many events each has.
    pub blocks: Vec<(Span, u64)>,
    /// Events of blocks that need not be opened.
    pub passed_over: u64,
}

/// What is asked of a block that is listed.
struct Listed {
    first_seq: i64,
    last_seq: i64,
    n: i64,
    filter_at: Option<i64>,
}

impl Store {
    pub(super) async fn walk(
        &self,
        from: i64,
        floor: i64,
        times: (i64, i64),
        required: &[Required],
    ) -> Result<Walk, StoreError> {
        let groups = match required {
            [] => Vec::new(),
            _ => self.filter_groups(from, floor, times).await?,
        };
        Ok(Walk { from, floor, times, groups, at_once: 1 })
    }

    /// The next blocks; `None` at the end. A page may be empty.
    pub(super) async fn next_blocks(&self, walk: &mut Walk, required: &[Required]) -> Result<Option<Page>, StoreError> {
        let (newest, floor) = (walk.groups.first().map(|g| g.last), walk.floor);
        let (listed, of_groups) = match newest {
            Some(last) if walk.from <= last.saturating_add(1) => self.list_groups(walk, required).await?,
            _ => {
                let lowest = newest.map_or(floor, |last| last.max(floor));
                let listed = self.list(walk.from, lowest, walk.times).await?;
                match listed.last() {
                    Some(oldest) if listed.len() as i64 == PAGE => walk.from = oldest.first_seq,
                    None if newest.is_none() => return Ok(None),
                    _ => walk.from = lowest.saturating_add(1),
                }
                (listed, None)
            }
        };
        let filtered: Vec<Filtered> = listed.iter().map(|l| l.filtered(of_groups.is_some())).collect();
        let denied = self.denied(required, &filtered).await?;
        let all: u64 = of_groups.unwrap_or_else(|| listed.iter().map(|l| l.n as u64).sum());
        let open = listed.into_iter().filter(|l| !denied.contains(&l.first_seq));
        let blocks: Vec<_> = open.map(|l| (Span { first: l.first_seq, last: l.last_seq }, l.n as u64)).collect();
        let passed_over = all.saturating_sub(blocks.iter().map(|(_, n)| n).sum());
        Ok(Some(Page { blocks, passed_over }))
    }

    async fn list(&self, below: i64, floor: i64, (since, until): (i64, i64)) -> Result<Vec<Listed>, StoreError> {
        Ok(sqlx::query_as!(
            Listed,
            r#"SELECT first_seq AS "first_seq!: i64", last_seq, n, filter_at FROM block_meta
               WHERE first_seq < ? AND first_seq > ? AND last_at >= ? AND first_at <= ?
               ORDER BY first_seq DESC LIMIT ?"#,
            below,
            floor,
            since,
            until,
            PAGE
        )
        .fetch_all(&self.readers)
        .await?)
    }

    /// The blocks of the next groups that are not denied, and those among them that have a filter of their own; and how
    /// many events the groups had.
    async fn list_groups(
        &self,
        walk: &mut Walk,
        required: &[Required],
    ) -> Result<(Vec<Listed>, Option<u64>), StoreError> {
        let groups: Vec<Group> = walk.groups.drain(..walk.at_once.min(walk.groups.len())).collect();
        walk.at_once = (walk.at_once * 2).min(GROUPS);
        let (Some(newest), Some(oldest)) = (groups.first(), groups.last()) else { return Ok((Vec::new(), None)) };
        let places = self.undenied_places(&groups, required).await?;
        let places = serde_json::to_string(&places).map_err(|e| StoreError::damaged("filter", e))?;
        let (below, floor, (since, until)) = (walk.from, walk.floor, walk.times);
        // In one look, so that a block that leaves its group meanwhile is met once.
        let mut listed = sqlx::query_as!(
            Listed,
            r#"SELECT first_seq AS "first_seq!: i64", last_seq AS "last_seq!: i64", n AS "n!: i64", filter_at
               FROM block_meta WHERE (filter_at IN (SELECT value FROM json_each(?1))
                 OR (filter_at IS NULL AND first_seq BETWEEN ?2 AND ?3))
                 AND first_seq < ?4 AND first_seq > ?5 AND last_at >= ?6 AND first_at <= ?7"#,
            places,
            oldest.first,
            newest.last,
            below,
            floor,
            since,
            until
        )
        .fetch_all(&self.readers)
        .await?;
        listed.sort_unstable_by_key(|l| std::cmp::Reverse(l.first_seq));
        walk.from = oldest.first.min(below);
        Ok((listed, Some(groups.iter().map(|g| g.n).sum())))
    }

    /// Of these blocks, newest first, those whose filters deny one of `required`. A block whose filter cannot know, or
    /// cannot be read, is not among them.
    pub(super) async fn denied(&self, required: &[Required], blocks: &[Filtered]) -> Result<HashSet<i64>, StoreError> {
        let mut denied: HashSet<i64> = self.denied_in_groups(required, blocks).await?.into_iter().collect();
        let own: Vec<i64> = blocks.iter().filter(|b| b.filter_at.is_none()).map(|b| b.first).collect();
        for some in own.chunks(PAGE as usize) {
            let (Some(highest), Some(lowest)) = (some.first(), some.last()) else { continue };
            for (r, segment) in required.iter().flat_map(|r| r.segments().map(move |s| (r, s))) {
                let rows = sqlx::query!(
                    "SELECT first_seq, bits FROM bloom WHERE segment = ? AND first_seq BETWEEN ? AND ?",
                    segment,
                    lowest,
                    highest
                )
                .fetch_all(&self.readers)
                .await;
                let deny = readable(rows)?.into_iter().filter(|row| !tokens::may_hold(&row.bits, r.hash()));
                denied.extend(deny.map(|row| row.first_seq));
            }
        }
        Ok(denied)
    }
}

impl Listed {
    /// `asked`: its group was asked already.
    fn filtered(&self, asked: bool) -> Filtered {
        Filtered { first: self.first_seq, filter_at: self.filter_at.filter(|_| !asked) }
    }
}
