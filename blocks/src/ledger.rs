//! What the store itself doesn't remember of a blob: when it was last used, and how its file looked
//! when its hash was last known to be right.
//!
//! Losing the ledger loses no data: blobs count as unused and their files as they are.

use std::{collections::BTreeMap, fs::Metadata, io, path::Path, time::SystemTime};

use model::BlobId;
use serde::{Deserialize, Serialize};

/// Format version of the file; another one is started afresh.
const VERSION: u8 = 1;
/// Most blobs that are remembered; beyond it the longest unused are forgotten.
const MAX_BLOBS: usize = 1 << 20;

/// Size and time of a store file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Look {
    size_bytes: u64,
    changed_ns: u64,
}

impl Look {
    /// How a file looks now.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Self::from_metadata(&std::fs::metadata(path)?)
    }

    /// What a file's metadata says of its look.
    pub(crate) fn from_metadata(metadata: &Metadata) -> io::Result<Self> {
        let changed = metadata
            .modified()?
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Self {
            size_bytes: metadata.len(),
            changed_ns: u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX),
        })
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Line {
    used_ms: u64,
    look: Option<Look>,
}

/// The ledger.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    lines: BTreeMap<BlobId, Line>,
    changed: bool,
    /// Places of what a rule keeps, what is worth least first. Found anew in each run.
    places: BTreeMap<BlobId, usize>,
}

impl Ledger {
    /// Reads the ledger; one that is missing, old or damaged is empty.
    pub(crate) fn load(path: &Path) -> Self {
        let lines = std::fs::read(path)
            .ok()
            .and_then(|bytes| postcard::from_bytes::<(u8, BTreeMap<BlobId, Line>)>(&bytes).ok())
            .filter(|(version, _)| *version == VERSION)
            .map_or_else(BTreeMap::new, |(_, lines)| lines);
        Self {
            lines,
            ..Self::default()
        }
    }

    /// Its bytes when it changed since the last call.
    pub(crate) fn take_changes(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        postcard::to_stdvec(&(VERSION, &self.lines)).ok()
    }

    /// Somebody used the blob.
    pub(crate) fn used(&mut self, blob: BlobId, now_ms: u64) {
        self.make_room();
        self.lines.entry(blob).or_default().used_ms = now_ms;
        self.changed = true;
    }

    /// The blob's file has the right hash and looks like this.
    pub(crate) fn trusted(&mut self, blob: BlobId, look: Look) {
        self.make_room();
        self.lines.entry(blob).or_default().look = Some(look);
        self.changed = true;
    }

    /// The blob's file isn't what it was.
    pub(crate) fn distrusted(&mut self, blob: BlobId) {
        if let Some(line) = self.lines.get_mut(&blob) {
            self.changed |= line.look.take().is_some();
        }
    }

    /// How the file looked when it was last right.
    pub(crate) fn look(&self, blob: BlobId) -> Option<Look> {
        self.lines.get(&blob)?.look
    }

    /// When the blob was last used; 0 when never.
    pub(crate) fn used_ms(&self, blob: BlobId) -> u64 {
        self.lines.get(&blob).map_or(0, |line| line.used_ms)
    }

    /// What is worth least comes first.
    pub(crate) fn set_order(&mut self, worst_first: &[BlobId]) {
        self.places = worst_first.iter().copied().zip(1..).collect();
    }

    /// How much a blob is worth to the rules; 0: nobody said.
    pub(crate) fn place(&self, blob: BlobId) -> usize {
        self.places.get(&blob).copied().unwrap_or(0)
    }

    /// The blob is gone.
    pub(crate) fn forget(&mut self, blob: BlobId) {
        self.changed |= self.lines.remove(&blob).is_some();
        self.places.remove(&blob);
    }

    fn make_room(&mut self) {
        if self.lines.len() < MAX_BLOBS {
            return;
        }
        let mut times: Vec<u64> = self.lines.values().map(|line| line.used_ms).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.lines.retain(|_, line| line.used_ms > median);
    }
}

/// Writes a file so that a crash leaves the old one or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, bytes)?;
    std::fs::File::open(&draft)?.sync_all()?;
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_survives_a_restart_and_ignores_garbage() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let blob = BlobId::of(b"blob");
        let mut ledger = Ledger::load(&path);
        ledger.used(blob, 7);
        ledger.trusted(blob, Look::of(dir.path()).unwrap());
        write_whole(&path, &ledger.take_changes().unwrap()).unwrap();
        assert!(ledger.take_changes().is_none());
        let again = Ledger::load(&path);
        assert_eq!(again.used_ms(blob), 7);
        assert_eq!(again.look(blob), ledger.look(blob));
        std::fs::write(&path, b"garbage").unwrap();
        assert_eq!(Ledger::load(&path).used_ms(blob), 0);
    }
}
