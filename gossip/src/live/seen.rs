//! Hashes seen lately: a set that forgets the oldest.

use std::collections::{BTreeSet, VecDeque};

/// A bounded set of hashes.
#[derive(Debug)]
pub(crate) struct Seen {
    set: BTreeSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
    most: usize,
}

impl Seen {
    pub fn new(most: usize) -> Self {
        Self {
            set: BTreeSet::new(),
            order: VecDeque::new(),
            most,
        }
    }

    /// Remembers a hash; false when it was known.
    pub fn insert(&mut self, hash: [u8; 32]) -> bool {
        if !self.set.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }

    pub fn contains(&self, hash: &[u8; 32]) -> bool {
        self.set.contains(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_the_oldest_only() {
        let mut seen = Seen::new(2);
        assert!(seen.insert([1; 32]) && seen.insert([2; 32]) && !seen.insert([1; 32]));
        assert!(seen.insert([3; 32]));
        assert!(!seen.contains(&[1; 32]) && seen.contains(&[2; 32]) && seen.contains(&[3; 32]));
    }
}
