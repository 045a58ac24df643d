//! What a batch has written so far, laid over the store that it began from.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::ControlFlow,
};

use crate::store::{Batch, Bounds, StoreError, Tree, View, Visit, is_span};

enum Write {
    Put(Vec<u8>),
    /// A key that was not there before the batch.
    New(Vec<u8>),
    Del,
}

/// Writes that are not committed yet.
#[derive(Default)]
pub(crate) struct Overlay {
    /// One map a tree, by keys as they lie on disk: small maps are quick to search.
    trees: BTreeMap<Tree, BTreeMap<Vec<u8>, Write>>,
}

impl Overlay {
    /// Sets a key; `new` says that the store doesn't have it.
    pub(crate) fn put(&mut self, tree: Tree, key: &[u8], value: Vec<u8>, new: bool) {
        match self
            .trees
            .entry(tree)
            .or_default()
            .entry(tree.prefixed(key))
        {
            Entry::Occupied(mut found) => {
                let new = matches!(found.get(), Write::New(_));
                found.insert(if new {
                    Write::New(value)
                } else {
                    Write::Put(value)
                });
            }
            Entry::Vacant(free) => {
                free.insert(if new {
                    Write::New(value)
                } else {
                    Write::Put(value)
                });
            }
        }
    }

    pub(crate) fn del(&mut self, tree: Tree, key: &[u8]) {
        match self
            .trees
            .entry(tree)
            .or_default()
            .entry(tree.prefixed(key))
        {
            Entry::Occupied(found) if matches!(found.get(), Write::New(_)) => {
                found.remove();
            }
            Entry::Occupied(mut found) => {
                found.insert(Write::Del);
            }
            Entry::Vacant(free) => {
                free.insert(Write::Del);
            }
        }
    }

    /// None when the batch didn't touch the key; else its value, or that it is gone.
    pub(crate) fn get(&self, tree: Tree, key: &[u8]) -> Option<Option<&Vec<u8>>> {
        let writes = self.trees.get(&tree)?;
        tree.with_key(key, |key| writes.get(key))
            .map(|write| match write {
                Write::Put(value) | Write::New(value) => Some(value),
                Write::Del => None,
            })
    }

    /// The range of `base` with what was written since.
    pub(crate) fn range(
        &self,
        base: &dyn View,
        tree: Tree,
        bounds: Bounds<'_>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let span = tree.span(bounds);
        if !is_span(&span) {
            return Ok(());
        }
        let mut over: Vec<(&Vec<u8>, &Write)> = match self.trees.get(&tree) {
            Some(writes) => writes.range::<Vec<u8>, _>(span).collect(),
            None => Vec::new(),
        };
        if over.is_empty() {
            return base.range(tree, bounds, reverse, visit);
        }
        if reverse {
            over.reverse();
        }
        let mut over = over.into_iter().peekable();
        let mut ended = false;
        base.range(tree, bounds, reverse, &mut |key, value| {
            while let Some((own, write)) = over.peek() {
                let order = if reverse {
                    key.cmp(&own[1..])
                } else {
                    own[1..].cmp(key)
                };
                if order.is_gt() {
                    break;
                }
                let flow = show(own, write, visit);
                over.next();
                ended |= flow.is_break();
                if flow.is_break() || order.is_eq() {
                    return flow;
                }
            }
            let flow = visit(key, value);
            ended |= flow.is_break();
            flow
        })?;
        for (own, write) in over {
            if ended || show(own, write, visit).is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn into_batch(self) -> Batch {
        let mut batch = Batch::default();
        for (key, write) in self.trees.into_values().flatten() {
            match write {
                Write::Put(value) | Write::New(value) => batch.push_prefixed(key, Some(value)),
                Write::Del => batch.push_prefixed(key, None),
            }
        }
        batch
    }
}

fn show(key: &[u8], write: &Write, visit: &mut Visit<'_>) -> ControlFlow<()> {
    match write {
        Write::Put(value) | Write::New(value) => visit(&key[1..], value),
        Write::Del => ControlFlow::Continue(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::ops::Bound;

    use super::*;
    use crate::{
        Durability,
        store::{MemoryStore, Store},
    };

    fn list(overlay: &Overlay, store: &MemoryStore, reverse: bool, limit: usize) -> String {
        let mut found = String::new();
        let mut each = |key: &[u8], value: &[u8]| {
            found.push_str(str::from_utf8(key).unwrap());
            found.push_str(str::from_utf8(value).unwrap());
            if found.len() == 2 * limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let all = (Bound::Unbounded, Bound::Unbounded);
        let view = store.view().unwrap();
        overlay
            .range(&*view, Tree::Ids, all, reverse, &mut each)
            .unwrap();
        found
    }

    #[test]
    fn ranges_merge_both_ways() {
        let store = MemoryStore::new();
        let mut batch = Batch::default();
        for key in ["b", "d", "f"] {
            batch.put(Tree::Ids, key.as_bytes(), "0");
        }
        store.commit(batch, Durability::Durable).unwrap();
        let mut overlay = Overlay::default();
        for (key, new) in [
            ("a", true),
            ("d", false),
            ("e", true),
            ("g", true),
            ("h", true),
        ] {
            overlay.put(Tree::Ids, key.as_bytes(), b"1".to_vec(), new);
        }
        overlay.del(Tree::Ids, b"f");
        overlay.del(Tree::Ids, b"h");
        assert_eq!(list(&overlay, &store, false, 9), "a1b0d1e1g1");
        assert_eq!(list(&overlay, &store, true, 9), "g1e1d1b0a1");
        for limit in 1..5 {
            assert_eq!(
                list(&overlay, &store, false, limit),
                "a1b0d1e1g1"[..2 * limit]
            );
            assert_eq!(
                list(&overlay, &store, true, limit),
                "g1e1d1b0a1"[..2 * limit]
            );
        }
        // What was new and went again is never written.
        assert_eq!(overlay.into_batch().len(), 5);
    }
}
