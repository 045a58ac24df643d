//! A store in memory, for simulation and for checking derived state.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use super::{Batch, Bounds, Durability, Store, StoreError, Tree, View, Visit, is_span};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Everything in one map; lost when dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    map: RwLock<Map>,
}

impl MemoryStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

struct MemoryView<'a>(RwLockReadGuard<'a, Map>);

impl View for MemoryView<'_> {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(tree.with_key(key, |key| self.0.get(key).cloned()))
    }

    fn range(
        &self,
        tree: Tree,
        bounds: Bounds<'_>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let span = tree.span(bounds);
        if !is_span(&span) {
            return Ok(());
        }
        let range = self
            .0
            .range::<Vec<u8>, (Bound<Vec<u8>>, Bound<Vec<u8>>)>(span);
        let mut each = |(key, value): (&Vec<u8>, &Vec<u8>)| visit(&key[1..], value);
        // The flow only tells whether the visitor ended it early.
        let _ended = if reverse {
            range.rev().try_for_each(&mut each)
        } else {
            let mut range = range;
            range.try_for_each(&mut each)
        };
        Ok(())
    }
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(MemoryView(map)))
    }

    fn commit(&self, batch: Batch, _durability: Durability) -> Result<(), StoreError> {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in batch.into_writes() {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}
