//! Files that are open, never many at once.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// As many files are kept open for all torrents together. Those being read at that moment may come on
/// top: one for each worker.
pub(super) const MAX_OPEN: usize = 256;

/// A file of some content: whose, and which.
pub(super) type FileKey = (u64, usize);

/// Files that are open; the one not used for longest is closed when there are too many.
#[derive(Debug)]
pub(super) struct OpenFiles {
    capacity: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<FileKey, (Arc<File>, u64)>,
    /// Counts uses.
    clock: u64,
}

impl OpenFiles {
    /// Keeps at most so many.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            inner: Mutex::default(),
        }
    }

    /// The file, opened if it isn't.
    ///
    /// # Errors
    /// When it can't be opened.
    pub(super) fn get(
        &self,
        key: FileKey,
        open: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<Arc<File>> {
        if let Some(file) = self.lock().used(key) {
            return Ok(file);
        }
        // opened unlocked: a disk that sleeps stops nobody else
        let file = Arc::new(open()?);
        let mut inner = self.lock();
        if let Some(file) = inner.used(key) {
            return Ok(file);
        }
        inner.make_room(self.capacity);
        let at = inner.clock;
        inner.files.insert(key, (Arc::clone(&file), at));
        Ok(file)
    }

    /// Closes all files of one content.
    pub(super) fn close(&self, owner: u64) {
        self.lock().files.retain(|key, _| key.0 != owner);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn used(&mut self, key: FileKey) -> Option<Arc<File>> {
        self.clock += 1;
        let (file, at) = self.files.get_mut(&key)?;
        *at = self.clock;
        Some(Arc::clone(file))
    }

    fn make_room(&mut self, capacity: usize) {
        while self.files.len() >= capacity {
            let oldest = self.files.iter().min_by_key(|(_, (_, at))| *at);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return;
            };
            self.files.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_not_used_for_longest_is_closed() {
        let open = OpenFiles::new(2);
        let mut opened = Vec::new();
        for key in [(0, 0), (0, 1), (0, 0), (1, 0), (0, 0), (0, 1)] {
            open.get(key, || {
                opened.push(key);
                tempfile::tempfile()
            })
            .unwrap();
        }
        assert_eq!(opened, [(0, 0), (0, 1), (1, 0), (0, 1)]);
        open.close(0);
        assert!(open.lock().files.is_empty(), "(1, 0) was the oldest");
    }
}
