//! What is reconciled: the entries of a thread, or of a space's authority log.

use model::{EntryId, SpaceId};
use serde::{Deserialize, Serialize};

/// A set of entries that peers reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// A first post and everything whose root it is.
    Thread(EntryId),
    /// Genesis, roles and rules of a space; all of an identity's space.
    Authority(SpaceId),
}

impl Scope {
    pub(crate) const KEY_BYTES: usize = 33;

    pub(crate) fn key(&self) -> [u8; Self::KEY_BYTES] {
        let (tag, id) = match self {
            Self::Thread(root) => (0, root.as_bytes()),
            Self::Authority(space) => (1, space.as_bytes()),
        };
        let mut key = [tag; Self::KEY_BYTES];
        key[1..].copy_from_slice(id);
        key
    }
}

/// Sum of the ids of a set modulo 2^256, and how many: equal sets have equal fingerprints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Little-endian sum.
    pub sum: [u8; 32],
    /// Entries.
    pub count: u64,
}

impl Fingerprint {
    /// With one id more.
    pub fn add(&mut self, id: &EntryId) {
        let mut carry = 0u16;
        for (own, other) in self.sum.iter_mut().zip(id.as_bytes()) {
            let sum = u16::from(*own) + u16::from(*other) + carry;
            let [low, high] = sum.to_le_bytes();
            *own = low;
            carry = u16::from(high);
        }
        self.count += 1;
    }

    /// With one id less.
    pub fn remove(&mut self, id: &EntryId) {
        let mut borrow = 0i16;
        for (own, other) in self.sum.iter_mut().zip(id.as_bytes()) {
            let rest = i16::from(*own) - i16::from(*other) - borrow;
            let [low, high] = rest.to_le_bytes();
            *own = low;
            borrow = i16::from(high != 0);
        }
        self.count = self.count.saturating_sub(1);
    }
}

/// A thread in the digest of its space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest {
    /// Time of its newest entry.
    pub last_ms: u64,
    /// Its first post.
    pub root: EntryId,
    /// Its entries.
    pub fingerprint: Fingerprint,
}

impl Digest {
    /// A 32-byte name of this state of the thread, for reconciling many threads at once.
    pub fn id(&self) -> [u8; 32] {
        let mut hash = blake3::Hasher::new_derive_key("datt 2026 digest of a thread");
        hash.update(self.root.as_bytes());
        hash.update(&self.fingerprint.sum);
        hash.update(&self.fingerprint.count.to_le_bytes());
        *hash.finalize().as_bytes()
    }
}

/// Two entries that one device signed for the same place in the same feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Equivocation {
    /// Space of the feed.
    pub space: SpaceId,
    /// Device of the feed.
    pub device: model::DeviceKey,
    /// First place that is taken twice: what came before stands.
    pub seq: u64,
    /// One of the two; their packets are the proof.
    pub first: EntryId,
    /// The other.
    pub second: EntryId,
}
