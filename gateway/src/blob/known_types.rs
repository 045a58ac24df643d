//! Media types of partly held files whose first bytes were already seen.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use cid::Cid;

/// Files remembered; beyond, some other one is forgotten.
const MAX_KNOWN: usize = 4096;

/// A bounded memory: a player that seeks asks for many ranges of one file.
#[derive(Default)]
pub struct KnownTypes {
    types: Mutex<BTreeMap<Cid, &'static str>>,
}

impl KnownTypes {
    /// The type, if the file's first bytes were seen.
    pub fn get(&self, file: Cid) -> Option<&'static str> {
        self.types
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&file)
            .copied()
    }

    /// Remembers a type.
    pub fn put(&self, file: Cid, media_type: &'static str) {
        let mut types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        if types.len() >= MAX_KNOWN {
            types.pop_first();
        }
        types.insert(file, media_type);
    }
}
