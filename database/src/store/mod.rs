//! The narrow storage trait, and what stands behind it.
//!
//! One ordered map of bytes, split into [`Tree`]s by the first byte of the key, so that every
//! backend keeps a single table and a batch over many trees is one write.

#[cfg(test)]
mod full_disk;
mod memory;
mod redb;
mod room;
mod sled;
#[cfg(test)]
mod suite;

use std::{
    ops::{Bound, ControlFlow},
    path::PathBuf,
};

use thiserror::Error;

pub use self::{memory::MemoryStore, redb::RedbStore, sled::SledStore};

/// Longest key, bytes, without the tree's byte.
pub const KEY_BYTES: usize = 192;
/// Longest value, bytes: a payload with room for a record around it.
pub const VALUE_BYTES: usize = model::limits::PAYLOAD_BYTES + 1024;

/// One ordered map of the store. The number is the first byte of every key on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Tree {
    /// Format marker and counters.
    System = 0,
    /// Entry id → local number.
    Ids = 1,
    /// Local number → entry bytes. Source of truth.
    Entries = 2,
    /// Local number → payload bytes. Source of truth.
    Payloads = 3,
    /// Local number → what is known about the entry.
    Records = 4,
    /// Payloads that were erased here on purpose: local number → nothing. Source of truth.
    Erased = 5,
    /// (feed, sequence) → local numbers.
    Feeds = 6,
    /// (identity, device, space) → nothing.
    AuthorFeeds = 7,
    /// (space, device) → proof of a fork.
    Forks = 8,
    /// (scope, time, id) → nothing.
    Items = 9,
    /// Scope → fingerprint.
    Scopes = 10,
    /// (space, last change, root) → fingerprint.
    Digests = 11,
    /// (scope, depth, id) → nothing: settled entries that nothing valid follows.
    Tips = 12,
    /// (thread, identity) → nothing.
    Authors = 13,
    /// (what is awaited, local number) → nothing.
    Waiting = 14,
    /// (class, local number) → nothing: what waits, oldest first.
    Backlog = 15,
    /// (time, local number) → nothing: ahead of the clock.
    Held = 16,
    /// Budget counters.
    Usage = 17,
    /// (identity, device, local number) → nothing: rows that name devices, and whether they are disputed.
    Devices = 18,
    /// (space, table, key, depth, id) → local number.
    Keyed = 19,
    /// (row, fold) → sum.
    Folds = 20,
    /// Sequence → event.
    Events = 21,
    /// Root post → facts of the thread.
    Threads = 22,
    /// (board or all, order, key, root) → nothing.
    Orders = 23,
    /// (thread, time, id) → facts of the post.
    Posts = 24,
    /// (thread, identity, post) → direction.
    Votes = 25,
    /// (identity, time, id) → nothing.
    ByAuthor = 26,
    /// Space → facts of the board.
    Boards = 27,
    /// Payload id → local number of an entry that has it.
    PayloadIds = 28,
}

impl Tree {
    /// All of them, ascending.
    pub const ALL: [Self; 29] = [
        Self::System,
        Self::Ids,
        Self::Entries,
        Self::Payloads,
        Self::Records,
        Self::Erased,
        Self::Feeds,
        Self::AuthorFeeds,
        Self::Forks,
        Self::Items,
        Self::Scopes,
        Self::Digests,
        Self::Tips,
        Self::Authors,
        Self::Waiting,
        Self::Backlog,
        Self::Held,
        Self::Usage,
        Self::Devices,
        Self::Keyed,
        Self::Folds,
        Self::Events,
        Self::Threads,
        Self::Orders,
        Self::Posts,
        Self::Votes,
        Self::ByAuthor,
        Self::Boards,
        Self::PayloadIds,
    ];

    /// The key as it lies on disk.
    pub(crate) fn prefixed(self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(key.len() + 1);
        out.push(self as u8);
        out.extend_from_slice(key);
        out
    }

    /// Gives `run` the key as it lies on disk, from the stack where it fits.
    pub(crate) fn with_key<T>(self, key: &[u8], run: impl FnOnce(&[u8]) -> T) -> T {
        let mut buffer = [self as u8; KEY_BYTES + 1];
        match buffer.get_mut(1..=key.len()) {
            Some(rest) => {
                rest.copy_from_slice(key);
                run(&buffer[..=key.len()])
            }
            None => run(&self.prefixed(key)),
        }
    }

    /// Bounds within the tree as bounds of the one map on disk.
    pub(crate) fn span(self, bounds: Bounds<'_>) -> Span {
        let lower = match bounds.0 {
            Bound::Unbounded => Bound::Included(vec![self as u8]),
            Bound::Included(key) => Bound::Included(self.prefixed(key)),
            Bound::Excluded(key) => Bound::Excluded(self.prefixed(key)),
        };
        let upper = match bounds.1 {
            Bound::Unbounded => Bound::Excluded(vec![self as u8 + 1]),
            Bound::Included(key) => Bound::Included(self.prefixed(key)),
            Bound::Excluded(key) => Bound::Excluded(self.prefixed(key)),
        };
        (lower, upper)
    }
}

/// Bounds of the one map on disk.
type Span = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Whether an interval of an ordered map can hold anything; maps panic on inverted ones.
pub(crate) fn is_span(span: &Span) -> bool {
    match span {
        (Bound::Included(a), Bound::Included(b)) => a <= b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a < b,
        _ => true,
    }
}

/// Lower and upper bound of a range of keys.
pub type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Told of each key and value of a range, in order; `Break` ends it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Told of each tree, key and value; `Break` ends it.
pub type VisitAll<'a> = dyn FnMut(Tree, &[u8], &[u8]) -> ControlFlow<()> + 'a;

/// What a commit promises when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On disk.
    Durable,
    /// Visible, and on disk after the next durable commit or [`Store::flush`].
    Relaxed,
}

/// A key as it lies on disk and its new value, or none to remove it.
type Write = (Vec<u8>, Option<Vec<u8>>);

/// Writes over any trees that happen together or not at all. A later write to a key wins.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    writes: Vec<Write>,
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, tree: Tree, key: &[u8], value: impl Into<Vec<u8>>) {
        self.writes.push((tree.prefixed(key), Some(value.into())));
    }

    /// Removes a key; one that isn't there is fine.
    pub fn del(&mut self, tree: Tree, key: &[u8]) {
        self.writes.push((tree.prefixed(key), None));
    }

    /// Adds a write whose key has its tree's byte already.
    pub(crate) fn push_prefixed(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.writes.push((key, value));
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// How many writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Bytes of its keys and values.
    pub(crate) fn bytes(&self) -> usize {
        let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        self.writes.iter().map(|(k, v)| k.len() + value(v)).sum()
    }

    pub(crate) fn writes(&self) -> &[Write] {
        &self.writes
    }

    pub(crate) fn into_writes(self) -> Vec<Write> {
        self.writes
    }
}

/// One consistent state of the store.
///
/// Short-lived: sled's holds a lock that the writer waits for.
pub trait View {
    /// Reads a key.
    ///
    /// # Errors
    /// When the store can't be read.
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits the keys within `bounds`, ascending, or descending with `reverse`.
    ///
    /// # Errors
    /// When the store can't be read.
    fn range(
        &self,
        tree: Tree,
        bounds: Bounds<'_>,
        reverse: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;
}

/// A database below the database.
pub trait Store: Send + Sync {
    /// Which backend: `redb`, `sled` or `memory`.
    fn kind(&self) -> &'static str;

    /// One consistent state to read from.
    ///
    /// # Errors
    /// When the store can't be read.
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError>;

    /// Writes a batch as a whole.
    ///
    /// # Errors
    /// When it can't be written; then nothing of it was.
    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), StoreError>;

    /// Brings relaxed commits to disk.
    ///
    /// # Errors
    /// When they can't be written.
    fn flush(&self) -> Result<(), StoreError>;

    /// Bytes taken on disk.
    ///
    /// # Errors
    /// When the file can't be asked.
    fn size_on_disk(&self) -> Result<u64, StoreError>;

    /// Gives unused space back, where the backend can: true when it did something.
    ///
    /// # Errors
    /// When the file can't be rewritten.
    fn compact(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Reads one key of the newest state.
    ///
    /// # Errors
    /// When the store can't be read.
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.view()?.get(tree, key)
    }

    /// Visits everything, tree by tree.
    ///
    /// # Errors
    /// When the store can't be read.
    fn export(&self, visit: &mut VisitAll<'_>) -> Result<(), StoreError> {
        let view = self.view()?;
        for tree in Tree::ALL {
            let mut ended = false;
            let mut each = |key: &[u8], value: &[u8]| {
                let flow = visit(tree, key, value);
                ended = flow.is_break();
                flow
            };
            view.range(tree, (Bound::Unbounded, Bound::Unbounded), false, &mut each)?;
            if ended {
                break;
            }
        }
        Ok(())
    }
}

/// Why a store can't be opened, read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{path} is in use by another process; stop that node or choose another data folder")]
    InUse {
        /// The file or folder.
        path: PathBuf,
    },
    /// Not a database, or one that lost bytes.
    #[error(
        "{path} is damaged or not a datt database ({reason}); restore a copy, or move it away and sync again"
    )]
    Corrupt {
        /// The file or folder.
        path: PathBuf,
        /// What the backend said.
        reason: String,
    },
    /// No room left.
    #[error("the disk is full: {path} can't grow; free some space, nothing acknowledged is lost")]
    DiskFull {
        /// The file or folder.
        path: PathBuf,
    },
    /// The disk failed before, and the store is being opened again.
    #[error("{act} {path} failed: it is being opened again after an error of the disk; try again")]
    Reopening {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{act} {path} failed")]
    Io {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The backend failed in another way.
    #[error("{act} {path} failed: {reason}")]
    Backend {
        /// What was tried.
        act: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the backend said.
        reason: String,
    },
}

impl StoreError {
    pub(crate) fn io(act: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path }
            }
            _ => Self::Io { act, path, source },
        }
    }
}

/// Runs a backend's call; a panic inside it (both have some on damaged files) becomes an error.
pub(crate) fn guarded<T>(
    path: &std::path::Path,
    run: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("the backend panicked");
        Err(StoreError::Corrupt {
            path: path.to_owned(),
            reason: reason.to_owned(),
        })
    })
}
