//! The hard byte quota: nothing is written under the data folder that wasn't reserved here first.
//!
//! Counts the blob store, what the assembler reports (the entry database) and what is reserved by
//! writes that are still running. Reserving is one step under one lock, so concurrent imports can't
//! overshoot together.
//!
//! What isn't the blob store's is known only when it is measured. Two things keep it within the
//! limit between two measurements: a margin that blobs never fill, and what its writers announce
//! ([`Quota::expect_other`]), which counts until it was measured for certain.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use thiserror::Error;

/// Bytes of outboard for each 16 KiB group of a blob: one hash pair.
const PAIR_BYTES: u64 = 64;
const GROUP_BYTES: u64 = 16 * 1024;
/// Files take whole blocks of this size on most file systems.
const BLOCK_BYTES: u64 = 4 * 1024;
/// Room for the store's own records about one blob.
const RECORD_BYTES: u64 = 4 * 1024;
/// Free disk space that is never used, so that databases can still commit.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 64 * 1024 * 1024;

/// Measurements after which what was announced before them is on disk: entries are brought there
/// every few seconds.
const SETTLED_AFTER: usize = 10;

/// Why bytes may not be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuotaError {
    /// More than the operator allows.
    #[error(
        "storing {wanted_bytes} bytes would exceed the quota: {used_bytes} of {max_bytes} bytes are \
         used; raise storage.max_bytes, or unpin something"
    )]
    Exceeded {
        /// Bytes asked for.
        wanted_bytes: u64,
        /// Bytes stored, reserved and set aside.
        used_bytes: u64,
        /// `storage.max_bytes`.
        max_bytes: u64,
    },
    /// More than the disk has room for.
    #[error(
        "storing {wanted_bytes} bytes would fill the disk: {free_bytes} bytes are free, of which \
         {spare_bytes} stay free; make room on the disk of the data folder"
    )]
    DiskFull {
        /// Bytes asked for.
        wanted_bytes: u64,
        /// Bytes free on the disk.
        free_bytes: u64,
        /// Bytes that must stay free or are promised to other writes.
        spare_bytes: u64,
    },
}

/// What is used of the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaUse {
    /// Bytes of the blob store.
    pub store_bytes: u64,
    /// Bytes of everything else under the data folder, as last reported.
    pub other_bytes: u64,
    /// Bytes promised to writes that are running.
    pub reserved_bytes: u64,
    /// Bytes announced by what isn't the blob store, and not measured for certain.
    pub expected_bytes: u64,
    /// Bytes that blobs never fill.
    pub margin_bytes: u64,
    /// The limit.
    pub max_bytes: u64,
}

impl QuotaUse {
    /// Everything that counts against the limit.
    pub fn total_bytes(&self) -> u64 {
        self.store_bytes
            .saturating_add(self.other_bytes)
            .saturating_add(self.expected_bytes)
            .saturating_add(self.reserved_bytes)
    }
}

/// The quota; clones share one account.
#[derive(Clone, Debug)]
pub struct Quota(Arc<Account>);

#[derive(Debug)]
struct Account {
    folder: PathBuf,
    min_free_bytes: u64,
    used: Mutex<QuotaUse>,
    /// What was announced, by the measurements that followed.
    expected: Mutex<VecDeque<u64>>,
    /// Bytes committed since the start; changes under the lock of `used`.
    committed_bytes: AtomicU64,
}

impl Quota {
    /// A quota of `max_bytes` for everything under `folder`, leaving `min_free_bytes` of its disk
    /// alone.
    pub fn new(folder: impl Into<PathBuf>, max_bytes: u64, min_free_bytes: u64) -> Self {
        let used = QuotaUse {
            max_bytes,
            ..QuotaUse::default()
        };
        Self(Arc::new(Account {
            folder: folder.into(),
            min_free_bytes,
            used: Mutex::new(used),
            expected: Mutex::new(VecDeque::from([0])),
            committed_bytes: AtomicU64::new(0),
        }))
    }

    /// Sets bytes aside that blobs never fill.
    pub fn set_margin_bytes(&self, bytes: u64) {
        self.lock().margin_bytes = bytes;
    }

    /// Bytes under the data folder that are not the blob store's, reported by who has just measured
    /// them.
    pub fn set_other_bytes(&self, bytes: u64) {
        let mut expected = self.expected();
        expected.push_back(0);
        if expected.len() > SETTLED_AFTER {
            expected.pop_front();
        }
        let mut used = self.lock();
        used.other_bytes = bytes;
        used.expected_bytes = expected.iter().sum();
    }

    /// Announces that about so many bytes are being written that are not the blob store's.
    ///
    /// # Errors
    /// When there is no room for them within the limit: then they must not be written.
    pub fn expect_other(&self, bytes: u64) -> Result<(), QuotaError> {
        let mut expected = self.expected();
        let mut used = self.lock();
        let total_bytes = used.total_bytes();
        if total_bytes.saturating_add(bytes) > used.max_bytes {
            return Err(QuotaError::Exceeded {
                wanted_bytes: bytes,
                used_bytes: total_bytes,
                max_bytes: used.max_bytes,
            });
        }
        if let Some(latest) = expected.back_mut() {
            *latest += bytes;
        }
        used.expected_bytes += bytes;
        Ok(())
    }

    /// By how much the margin is used up.
    pub(crate) fn excess_bytes(&self) -> u64 {
        let used = self.lock();
        let filled_bytes = used.total_bytes().saturating_add(used.margin_bytes);
        filled_bytes.saturating_sub(used.max_bytes)
    }

    /// Changes the limit; what is stored already stays.
    pub fn set_max_bytes(&self, bytes: u64) {
        self.lock().max_bytes = bytes;
    }

    /// What is used now.
    pub fn usage(&self) -> QuotaUse {
        *self.lock()
    }

    /// Promises room for `bytes`, until the reservation is committed or dropped.
    ///
    /// # Errors
    /// When the quota or the disk has no room.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, QuotaError> {
        self.take(bytes)?;
        Ok(Reservation {
            quota: self.clone(),
            bytes,
        })
    }

    /// Counts bytes that are on the disk already and are about to be counted out of the store.
    pub(crate) fn hold(&self, bytes: u64) -> Reservation {
        let mut used = self.lock();
        used.reserved_bytes = used.reserved_bytes.saturating_add(bytes);
        Reservation {
            quota: self.clone(),
            bytes,
        }
    }

    /// What was committed in all so far: to be asked before the store is measured.
    pub(crate) fn committed_bytes(&self) -> u64 {
        self.0.committed_bytes.load(Ordering::SeqCst)
    }

    /// What the store takes, as measured after so much had been committed in all. What was
    /// committed while it was measured may have been seen or not: it counts.
    pub(crate) fn set_store_bytes(&self, bytes: u64, committed_before: u64) {
        let mut used = self.lock();
        let meanwhile = self.committed_bytes().saturating_sub(committed_before);
        used.store_bytes = bytes.saturating_add(meanwhile);
    }

    fn take(&self, bytes: u64) -> Result<(), QuotaError> {
        let mut used = self.lock();
        let filled_bytes = used.total_bytes().saturating_add(used.margin_bytes);
        if filled_bytes.saturating_add(bytes) > used.max_bytes {
            return Err(QuotaError::Exceeded {
                wanted_bytes: bytes,
                used_bytes: filled_bytes,
                max_bytes: used.max_bytes,
            });
        }
        // A disk that can't be asked will say so itself when it is written to.
        if let Some(free_bytes) = free_bytes(&self.0.folder) {
            let spare_bytes = self.0.min_free_bytes.saturating_add(used.reserved_bytes);
            if bytes.saturating_add(spare_bytes) > free_bytes {
                return Err(QuotaError::DiskFull {
                    wanted_bytes: bytes,
                    free_bytes,
                    spare_bytes,
                });
            }
        }
        used.reserved_bytes += bytes;
        Ok(())
    }

    fn expected(&self) -> MutexGuard<'_, VecDeque<u64>> {
        // Always taken before the account; a sum that is off is put right by the next measurement.
        let expected = self.0.expected.lock();
        expected.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, QuotaUse> {
        // Every update is a single assignment, so a poisoned account is still true.
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes free on the disk of a folder; `None` if the system won't say.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Room that was promised; given back when dropped.
#[derive(Debug)]
#[must_use = "dropping a reservation gives its room back"]
pub struct Reservation {
    quota: Quota,
    bytes: u64,
}

impl Reservation {
    /// Bytes promised.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Promises room for `bytes` more.
    ///
    /// # Errors
    /// When the quota or the disk has no room; what was promised before stays.
    pub fn grow(&mut self, bytes: u64) -> Result<(), QuotaError> {
        self.quota.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back what was promised beyond `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let given_bytes = self.bytes.saturating_sub(bytes);
        let mut used = self.quota.lock();
        used.reserved_bytes = used.reserved_bytes.saturating_sub(given_bytes);
        self.bytes -= given_bytes;
    }

    /// Turns the promise into `stored_bytes` that now lie in the store; the rest is given back.
    pub fn commit(self, stored_bytes: u64) {
        let mut used = self.quota.lock();
        let committed = &self.quota.0.committed_bytes;
        committed.fetch_add(stored_bytes, Ordering::SeqCst);
        used.store_bytes = used.store_bytes.saturating_add(stored_bytes);
        // Dropping `self` gives the promise back.
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut used = self.quota.lock();
        used.reserved_bytes = used.reserved_bytes.saturating_sub(self.bytes);
    }
}

/// What a blob of this size takes on disk: its bytes and its outboard in whole blocks of the file
/// system, and its record.
pub fn stored_bytes(size_bytes: u64) -> u64 {
    let outboard_bytes = size_bytes.div_ceil(GROUP_BYTES).saturating_mul(PAIR_BYTES);
    in_blocks(size_bytes)
        .saturating_add(in_blocks(outboard_bytes))
        .saturating_add(RECORD_BYTES)
}

fn in_blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn quota(max_bytes: u64) -> Quota {
        Quota::new(std::env::temp_dir(), max_bytes, 0)
    }

    #[test]
    fn a_dropped_reservation_gives_its_room_back() {
        let quota = quota(100);
        let first = quota.reserve(60).unwrap();
        assert!(matches!(
            quota.reserve(60),
            Err(QuotaError::Exceeded { used_bytes: 60, .. })
        ));
        drop(first);
        quota.reserve(60).unwrap().commit(50);
        assert_eq!(quota.usage().total_bytes(), 50);
    }

    #[test]
    fn what_others_use_counts() {
        let quota = quota(100);
        quota.set_other_bytes(80);
        assert!(quota.reserve(21).is_err());
        let mut held = quota.reserve(20).unwrap();
        assert!(held.grow(1).is_err());
        assert_eq!(held.bytes(), 20);
        held.shrink_to(30);
        held.shrink_to(5);
        assert_eq!((held.bytes(), quota.usage().reserved_bytes), (5, 5));
        drop(held);
        assert_eq!(quota.usage().reserved_bytes, 0);
    }

    #[test]
    fn what_is_committed_while_the_store_is_measured_is_not_forgotten() {
        let quota = quota(100);
        quota.reserve(10).unwrap().commit(10);
        let before = quota.committed_bytes();
        quota.reserve(20).unwrap().commit(20);
        quota.set_store_bytes(12, before);
        assert_eq!(quota.usage().store_bytes, 32);
        quota.set_store_bytes(31, quota.committed_bytes());
        assert_eq!(quota.usage().store_bytes, 31);
    }

    #[test]
    fn blobs_leave_the_margin_to_others() {
        let quota = quota(100);
        quota.set_margin_bytes(10);
        assert!(quota.reserve(91).is_err());
        quota.reserve(90).unwrap().commit(90);
        assert_eq!(quota.excess_bytes(), 0);
        quota.expect_other(10).unwrap();
        assert_eq!(quota.excess_bytes(), 10);
        assert!(quota.expect_other(1).is_err(), "the limit is for all");
    }

    #[test]
    fn what_is_announced_counts_until_it_was_measured_for_certain() {
        let quota = quota(100);
        quota.expect_other(60).unwrap();
        for _ in 1..SETTLED_AFTER {
            quota.set_other_bytes(5);
            assert_eq!(quota.usage().total_bytes(), 65);
        }
        quota.set_other_bytes(50);
        assert_eq!(quota.usage().total_bytes(), 50);
    }

    #[test]
    fn threads_can_not_overshoot_together() {
        let quota = quota(1000);
        let held: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..100)
                            .filter_map(|_| quota.reserve(7).ok())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(held.len(), 1000 / 7);
        assert!(quota.usage().total_bytes() <= 1000);
    }

    #[test]
    fn the_disk_keeps_some_room() {
        let quota = Quota::new(std::env::temp_dir(), u64::MAX, u64::MAX / 2);
        assert!(matches!(quota.reserve(1), Err(QuotaError::DiskFull { .. })));
    }
}
