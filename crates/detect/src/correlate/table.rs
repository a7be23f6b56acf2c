//! The groups of a correlation, and which of them makes room for a new one.
//!
//! Two queues, least recently touched first: groups that are less than half way to the threshold, and those beyond.
//! The first gives way before the second, so that a flood of strangers pushes out other strangers and not an attack
//! that is under way. The second may take half of the table and no more, so that a flood of attacks leaves room for the
//! next one to begin. Everything here takes constant time.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;

use super::group::Group;

/// The values of the group-by fields.
pub(super) type Key = Vec<CompactString>;

/// No slot.
const NONE: u32 = u32::MAX;
const FAR: usize = 0;
const NEAR: usize = 1;

#[derive(Default)]
pub(super) struct Table {
    index: HashMap<Arc<[CompactString]>, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    queues: [Queue; 2],
}

struct Slot {
    key: Arc<[CompactString]>,
    group: Group,
    queue: usize,
    earlier: u32,
    later: u32,
}

/// A doubly linked list through the slots.
struct Queue {
    first: u32,
    last: u32,
    len: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }
}

impl Table {
    pub fn len(&self) -> usize {
        self.queues.iter().map(|q| q.len).sum()
    }

    pub fn find(&self, key: &[CompactString]) -> Option<u32> {
        self.index.get(key).copied()
    }

    /// A group that `find` does not know.
    pub fn insert(&mut self, key: Key, group: Group) -> u32 {
        let key: Arc<[CompactString]> = Arc::from(key);
        let slot = Slot { key: key.clone(), group, queue: FAR, earlier: NONE, later: NONE };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(key, id);
        self.link(id, FAR);
        id
    }

    pub fn group(&mut self, id: u32) -> &mut Group {
        &mut self.slots[id as usize].group
    }

    /// The group is the one touched last, and `near` the threshold or not.
    pub fn touch(&mut self, id: u32, near: bool) {
        self.unlink(id);
        self.link(id, if near { NEAR } else { FAR });
    }

    /// Gives up one group, in a table that is to hold `most`.
    pub fn evict(&mut self, most: usize) -> Option<Group> {
        let [far, near] = &self.queues;
        let id = if near.len > most / 2 || far.len == 0 { near.first } else { far.first };
        (id != NONE).then(|| self.remove(id))
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&[CompactString], &mut Group) -> bool) {
        for queue in [FAR, NEAR] {
            let mut id = self.queues[queue].first;
            while id != NONE {
                let slot = &mut self.slots[id as usize];
                let later = slot.later;
                if !keep(&slot.key[..], &mut slot.group) {
                    self.remove(id);
                }
                id = later;
            }
        }
    }

    /// Least recently touched first within each queue: put back in this order, they are as they were.
    pub fn iter(&self) -> impl Iterator<Item = (&[CompactString], &Group)> {
        self.queues.iter().flat_map(move |q| self.linked(q.first)).map(|s| (&*s.key, &s.group))
    }

    fn linked(&self, first: u32) -> impl Iterator<Item = &Slot> {
        std::iter::successors(self.slots.get(first as usize), move |s| self.slots.get(s.later as usize))
    }

    fn remove(&mut self, id: u32) -> Group {
        self.unlink(id);
        self.free.push(id);
        let slot = &mut self.slots[id as usize];
        // A free slot keeps nothing: what was erased must not lie about in it.
        self.index.remove(&std::mem::take(&mut slot.key));
        std::mem::take(&mut slot.group)
    }

    fn link(&mut self, id: u32, queue: usize) {
        let q = &mut self.queues[queue];
        let earlier = q.last;
        q.last = id;
        q.len += 1;
        match self.slots.get_mut(earlier as usize) {
            Some(slot) => slot.later = id,
            None => q.first = id,
        }
        let slot = &mut self.slots[id as usize];
        (slot.queue, slot.earlier, slot.later) = (queue, earlier, NONE);
    }

    fn unlink(&mut self, id: u32) {
        let slot = &self.slots[id as usize];
        let (queue, earlier, later) = (slot.queue, slot.earlier, slot.later);
        let q = &mut self.queues[queue];
        q.len -= 1;
        match self.slots.get_mut(earlier as usize) {
            Some(slot) => slot.later = later,
            None => q.first = later,
        }
        match self.slots.get_mut(later as usize) {
            Some(slot) => slot.earlier = earlier,
            None => q.last = earlier,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        vec![compact_str::format_compact!("{n}")]
    }

    fn keys(table: &Table) -> Vec<String> {
        table.iter().map(|(k, _)| k[0].to_string()).collect()
    }

    #[test]
    fn the_group_touched_longest_ago_goes_first_and_one_near_its_threshold_after_all_others() {
        let mut table = Table::default();
        let ids: Vec<_> = (0..6).map(|n| table.insert(key(n), Group::default())).collect();
        table.touch(ids[1], true);
        table.touch(ids[0], false);
        assert_eq!(keys(&table), ["2", "3", "4", "5", "0", "1"]);
        assert!(table.evict(6).is_some());
        assert_eq!((table.find(&key(2)), table.find(&key(1)).is_some()), (None, true));
        let again = table.insert(key(7), Group::default());
        assert_eq!(again, ids[2], "a slot is used again");
        table.retain(|k, _| k[0] != "4");
        assert_eq!(keys(&table), ["3", "5", "0", "7", "1"]);
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn groups_near_their_threshold_never_take_more_than_half_when_others_come() {
        let mut table = Table::default();
        for n in 0..1000 {
            while table.len() >= 100 {
                assert!(table.evict(100).is_some());
            }
            let id = table.insert(key(n), Group::default());
            table.touch(id, n % 2 == 0);
        }
        assert!(table.queues[NEAR].len <= 51, "{}", table.queues[NEAR].len);
        assert!(table.queues[FAR].len >= 49, "{}", table.queues[FAR].len);
    }
}
