//! The Merkle tree of RFC 6962 (section 2), over leaf hashes.

use sha2::{Digest, Sha256};

pub type Hash = [u8; 32];

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// `SHA-256(0x00 || data)`
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

/// `SHA-256(0x01 || left || right)`
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// What must be remembered of a tree to append to it and to know its root: the roots of its complete subtrees, from the
/// largest to the smallest. At most 64 hashes, whatever its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut n = self.size;
        while n & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
            n >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root; of the empty tree, `SHA-256("")`.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Sha256::digest([]).into(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

impl FromIterator<Hash> for Frontier {
    fn from_iter<T: IntoIterator<Item = Hash>>(leaves: T) -> Self {
        let mut frontier = Self::default();
        leaves.into_iter().for_each(|l| frontier.push(l));
        frontier
    }
}

/// A whole tree in memory, level by level, for proofs.
pub struct Tree {
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    pub fn new(leaves: Vec<Hash>) -> Self {
        let mut levels = vec![leaves];
        while levels.last().is_some_and(|l| l.len() > 1) {
            let below = &levels[levels.len() - 1];
            let above = below
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => node_hash(left, right),
                    // An odd node goes up as it is: the same shape as splitting at the largest power of two.
                    odd => odd[0],
                })
                .collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// The hashes beside the path from leaf `index` to the root, from the leaf up (RFC 6962 section 2.1.1).
    pub fn inclusion_proof(&self, index: usize) -> Vec<Hash> {
        let mut i = index;
        let mut proof = Vec::new();
        for level in &self.levels {
            if let Some(sibling) = level.get(i ^ 1) {
                proof.push(*sibling);
            }
            i >>= 1;
        }
        proof
    }
}

/// The root that `leaf` at `index` leads to in a tree of `size` leaves, along `proof` (RFC 9162 section 2.1.3.2);
/// `None` when the proof has the wrong length.
pub fn root_from_proof(leaf: Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_and_proofs_equal_those_of_an_independent_implementation() {
        let mut theirs = ct_merkle::mem_backed_tree::MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root()[..], theirs.root().as_bytes()[..]);
        let mut leaves = Vec::new();
        for i in 0u32..130 {
            let data = i.to_be_bytes().to_vec();
            leaves.push(leaf_hash(&data));
            theirs.push(data);
            frontier.push(leaves[i as usize]);
            assert_eq!(frontier.root()[..], theirs.root().as_bytes()[..], "size {}", i + 1);
            let tree = Tree::new(leaves.clone());
            for (at, leaf) in leaves.iter().enumerate() {
                let proof = tree.inclusion_proof(at);
                assert_eq!(proof.concat(), theirs.prove_inclusion(at).as_bytes(), "leaf {at} of {}", i + 1);
                let size = u64::from(i) + 1;
                assert_eq!(root_from_proof(*leaf, at as u64, size, &proof), Some(frontier.root()));
                if size > 1 {
                    assert_ne!(root_from_proof(*leaf, at as u64 ^ 1, size, &proof), Some(frontier.root()));
                }
            }
        }
    }
}
