//! What is reconciled and fetched: the reads of those who exchange entries.

use std::ops::ControlFlow;

use model::{DeviceKey, EntryId, IdentityId, SpaceId};

use crate::{
    DatabaseError, Digest, Equivocation, Fingerprint, Missing, Reader, Scope,
    gate::{still_missing, time_in_item},
    record::{Num, decode, feed_prefix, id_at_end, num_at_end},
    store::Tree,
    txn::{ScopeState, scan, scan_with},
};

impl Reader<'_> {
    /// All well-formed, signed entries of a scope, whatever their verdict: time and id, ascending.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn items(&self, scope: &Scope) -> Result<Vec<(u64, EntryId)>, DatabaseError> {
        let mut items = Vec::new();
        scan_with(
            &*self.view,
            Tree::Items,
            &scope.key(),
            None,
            false,
            &mut |key, _| {
                items.extend(time_in_item(key).zip(id_at_end(key)));
                ControlFlow::Continue(())
            },
        )?;
        Ok(items)
    }

    /// Fingerprint of [`Reader::items`]; the default for a scope that nothing is held of.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn fingerprint(&self, scope: &Scope) -> Result<Fingerprint, DatabaseError> {
        let state: Option<ScopeState> = self.value(Tree::Scopes, &scope.key(), "scope")?;
        Ok(state.unwrap_or_default().fingerprint)
    }

    /// A thread in one line.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn digest(&self, root: &EntryId) -> Result<Option<Digest>, DatabaseError> {
        let state: Option<ScopeState> =
            self.value(Tree::Scopes, &Scope::Thread(*root).key(), "scope")?;
        Ok(state.map(|state| Digest {
            last_ms: state.last_ms,
            root: *root,
            fingerprint: state.fingerprint,
        }))
    }

    /// Threads of a space whose first post stands, last changed first.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn digests(&self, space: &SpaceId, limit: usize) -> Result<Vec<Digest>, DatabaseError> {
        scan(&*self.view, Tree::Digests, space.as_bytes(), true, limit)?
            .iter()
            .map(|(key, value)| {
                let broken = DatabaseError::Damaged { what: "digest" };
                let time = key.get(32..40).and_then(|bytes| bytes.try_into().ok());
                let (Some(time), Some(root)) = (time, id_at_end(key)) else {
                    return Err(broken);
                };
                Ok(Digest {
                    last_ms: u64::from_be_bytes(time),
                    root,
                    fingerprint: decode("digest", value)?,
                })
            })
            .collect()
    }

    /// The space that a held entry belongs to.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn space_of(&self, id: &EntryId) -> Result<Option<SpaceId>, DatabaseError> {
        Ok(self.record_of(id)?.map(|(_, record)| record.space))
    }

    /// Identities that wrote in a thread.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn authors(&self, root: &EntryId) -> Result<Vec<IdentityId>, DatabaseError> {
        let found = scan(
            &*self.view,
            Tree::Authors,
            root.as_bytes(),
            false,
            usize::MAX,
        )?;
        Ok(found
            .iter()
            .filter_map(|(key, _)| id_at_end(key).map(IdentityId::from))
            .collect())
    }

    /// What pending entries wait for, at most `limit`: entries and payloads that are not held.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn missing(&self, limit: usize) -> Result<Vec<Missing>, DatabaseError> {
        let mut nums = Vec::new();
        scan_with(
            &*self.view,
            Tree::Waiting,
            &[],
            None,
            false,
            &mut |key, _| {
                nums.extend(num_at_end(key));
                if nums.len() < limit.saturating_mul(4) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        )?;
        nums.sort_unstable();
        nums.dedup();
        let mut missing = Vec::new();
        for num in nums {
            missing.extend(still_missing(&*self.view, self.record(num)?.missing)?);
        }
        missing.sort_unstable();
        missing.dedup();
        missing.truncate(limit);
        Ok(missing)
    }

    /// Forks, at most `limit`.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn equivocations(&self, limit: usize) -> Result<Vec<Equivocation>, DatabaseError> {
        scan(&*self.view, Tree::Forks, &[], false, limit)?
            .iter()
            .map(|(_, value)| decode("fork", value))
            .collect()
    }

    /// The fork of one feed.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn equivocation(
        &self,
        space: &SpaceId,
        device: &DeviceKey,
    ) -> Result<Option<Equivocation>, DatabaseError> {
        let key = crate::record::join(&[space.as_bytes(), device.as_bytes()]);
        self.value(Tree::Forks, &key, "fork")
    }

    /// The newest entry of a feed, and its place.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn feed_head(
        &self,
        space: &SpaceId,
        device: &DeviceKey,
    ) -> Result<Option<(u64, EntryId)>, DatabaseError> {
        let found = scan(
            &*self.view,
            Tree::Feeds,
            &feed_prefix(space, device),
            true,
            1,
        )?;
        let Some((_, nums)) = found.first() else {
            return Ok(None);
        };
        let nums: Vec<Num> = decode("feed", nums)?;
        let Some(num) = nums.first() else {
            return Ok(None);
        };
        let record = self.record(*num)?;
        Ok(Some((record.seq, record.id)))
    }
}
