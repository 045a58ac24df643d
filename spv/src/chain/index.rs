//! From hash to height, in four bytes a slot.

use bitcoin::{BlockHash, hashes::Hash};

/// An empty slot; others hold a height plus one.
const EMPTY: u32 = 0;
/// Slots of an empty table; always a power of two.
const FIRST_SLOTS: usize = 1024;

/// An open-addressed table of heights. It does not hold the hashes: whoever asks brings a way to
/// tell the hash at a height.
#[derive(Clone, Debug)]
pub(super) struct Index {
    slots: Vec<u32>,
    len: u32,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![EMPTY; FIRST_SLOTS],
            len: 0,
        }
    }

    /// How many heights are there, from 0 on.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// The height of a hash.
    pub(super) fn get(&self, hash: &BlockHash, at: impl Fn(u32) -> BlockHash) -> Option<u32> {
        let mut slot = self.home(hash);
        loop {
            let height = self.slots[slot].checked_sub(1)?;
            if at(height) == *hash {
                return Some(height);
            }
            slot = self.after(slot);
        }
    }

    /// Adds the hash at the next height; all lower ones are there.
    pub(super) fn insert(&mut self, hash: &BlockHash, height: u32, at: impl Fn(u32) -> BlockHash) {
        // at most two of three slots are taken
        if (self.len as usize + 1) * 3 > self.slots.len() * 2 {
            self.slots = vec![EMPTY; self.slots.len() * 2];
            // by height, since the hashes lie in memory like that
            for known in 0..height {
                self.fill(&at(known), known);
            }
        }
        self.fill(hash, height);
        self.len += 1;
    }

    fn fill(&mut self, hash: &BlockHash, height: u32) {
        let mut slot = self.home(hash);
        while self.slots[slot] != EMPTY {
            slot = self.after(slot);
        }
        self.slots[slot] = height + 1;
    }

    /// Takes the hash at the last height away. It was the last to look for a slot, so that none
    /// stands where it does because of it.
    pub(super) fn pop(&mut self, hash: &BlockHash) {
        let mut slot = self.home(hash);
        while self.slots[slot] != self.len {
            if self.slots[slot] == EMPTY {
                return;
            }
            slot = self.after(slot);
        }
        self.slots[slot] = EMPTY;
        self.len -= 1;
    }

    fn after(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    /// Where a hash would stand: its first bytes are as good as random, its last ones are zeros.
    fn home(&self, hash: &BlockHash) -> usize {
        let bytes = hash.as_byte_array();
        let low = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        low as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{Rng, SeedableRng},
    };

    use super::*;

    fn hash(number: u64) -> BlockHash {
        // few first bytes: many hashes want the same slot
        let mut bytes = [0; 32];
        bytes[0] = (number % 7) as u8;
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        BlockHash::from_byte_array(bytes)
    }

    #[test]
    fn a_table_full_of_collisions_does_what_a_map_does() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let (mut index, mut map) = (Index::new(), BTreeMap::new());
        let mut hashes: Vec<BlockHash> = Vec::new();
        for step in 0..6_000_u64 {
            let at = |hashes: &[BlockHash], height: u32| hashes[height as usize];
            if random.next_u32() % 3 == 0 && !hashes.is_empty() {
                let gone = *hashes.last().unwrap();
                index.pop(&gone);
                map.remove(&gone);
                hashes.pop();
            } else {
                let new = hash(step);
                let height = u32::try_from(hashes.len()).unwrap();
                hashes.push(new);
                index.insert(&new, height, |height| at(&hashes, height));
                map.insert(new, height);
            }
            let asked = hash(random.next_u64() % (step + 1));
            assert_eq!(
                index.get(&asked, |height| at(&hashes, height)),
                map.get(&asked).copied()
            );
        }
        for (known, height) in &map {
            let found = index.get(known, |height| hashes[height as usize]);
            assert_eq!(found, Some(*height));
        }
    }
}
