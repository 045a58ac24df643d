//! What the exchange needs of the place where entries are kept.
//!
//! The cores and the driver know nothing else of the database: who connects the two implements
//! [`Replica`] over it. All calls are synchronous; the driver makes them on blocking threads, the
//! simulation directly.

use std::error::Error;

use model::{EndpointKey, EntryId, IdentityId, SpaceId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Sums up a set of entries: equal exactly when the sets are (up to hash collisions).
///
/// All nodes must compute the same bytes: [`Fingerprint::of_sum`] says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of the empty set.
    pub const EMPTY: Self = Self([0; 32]);

    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Of `count` ids whose sum modulo 2^256 (little-endian) is `sum`: what a store that keeps the
    /// sum up to date needs. The empty set has [`Fingerprint::EMPTY`].
    pub fn of_sum(sum: &[u8; 32], count: u64) -> Self {
        if count == 0 {
            return Self::EMPTY;
        }
        let mut hasher = blake3::Hasher::new_derive_key("datt 2026 fingerprint of entries");
        hasher.update(sum);
        hasher.update(&count.to_le_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// Of these ids, in any order, each once.
    pub fn of<'a>(ids: impl IntoIterator<Item = &'a EntryId>) -> Self {
        let (mut sum, mut count) = ([0; 32], 0);
        for id in ids {
            add(&mut sum, id.as_bytes());
            count += 1;
        }
        Self::of_sum(&sum, count)
    }
}

/// `sum += number`, both 256 bits little-endian, modulo 2^256.
fn add(sum: &mut [u8; 32], number: &[u8; 32]) {
    let mut carry = 0_u16;
    for (byte, other) in sum.iter_mut().zip(number) {
        carry += u16::from(*byte) + u16::from(*other);
        let [low, high] = carry.to_le_bytes();
        *byte = low;
        carry = u16::from(high);
    }
}

/// One entry of a set to reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Time in its header, Unix milliseconds.
    pub time_ms: u64,
    /// Its id.
    pub id: EntryId,
}

/// A thread in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// First post.
    pub root: EntryId,
    /// Largest time in the header of an entry, Unix milliseconds.
    pub last_ms: u64,
    /// How many entries, whatever their verdict.
    pub entries: u64,
    /// Of all of them.
    pub fingerprint: Fingerprint,
}

/// An entry's content as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// The payload's bytes.
    Held(#[serde(with = "crate::byte_string")] Vec<u8>),
    /// The sender has the header only: dropped, expired or denied.
    Withheld,
}

/// An entry as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// `[header, signature]` as signed.
    #[serde(with = "crate::byte_string")]
    pub entry: Vec<u8>,
    /// What it carries.
    pub content: Content,
}

impl Packet {
    /// Its id: hashes the entry.
    pub fn id(&self) -> EntryId {
        EntryId::of(&self.entry)
    }

    /// Length of entry and content, bytes.
    pub fn size_bytes(&self) -> usize {
        self.entry.len()
            + match &self.content {
                Content::Held(bytes) => bytes.len(),
                Content::Withheld => 0,
            }
    }
}

/// How packets came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Asked for by id in a sync session: the peer answers for them.
    Sync,
    /// By gossip: the deliverer only forwards, nothing is held against it.
    Gossip,
}

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// New here and stored (the entry, or the payload of an entry held without).
    Accepted,
    /// Held already, payload included.
    Duplicate,
    /// Stored, but without effect until these arrive.
    Pending {
        /// Entries to fetch by id: parents, grants, cuts, and those whose payload is missing.
        entries: Vec<EntryId>,
        /// Authority logs to sync: the space's, the author's identity.
        authorities: Vec<SpaceId>,
    },
    /// Its time is too far ahead: kept until the clock has come there.
    HeldForFuture,
    /// Malformed, badly signed, or a payload of another hash: whoever was asked for it lied. Not for
    /// entries that break a rule of their space: those are stored with their verdict, `Accepted`.
    Invalid {
        /// Why, for logs and the peer's page.
        reason: String,
    },
    /// Well-formed, but not kept: over a byte budget, denied, or nothing that is followed.
    Refused,
}

/// What became of a holding statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldingOutcome {
    /// Not known before: forward it.
    Fresh,
    /// Known, expired, or about nothing that is followed.
    Known,
    /// Not a well-formed, signed statement.
    Invalid,
}

/// What pending entries wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Entries to fetch by id.
    pub entries: Vec<EntryId>,
    /// Authority logs to sync.
    pub authorities: Vec<SpaceId>,
}

/// Something the node replicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Follow {
    /// A space: its authority log and all its threads.
    Space(SpaceId),
    /// One thread, with the authority log of its space.
    Thread {
        /// The space it is in.
        space: SpaceId,
        /// Its first post.
        root: EntryId,
    },
}

impl Follow {
    /// The space whose topic carries it.
    pub fn space(&self) -> SpaceId {
        match self {
            Self::Space(space) | Self::Thread { space, .. } => *space,
        }
    }
}

/// A local fault: the store failed, no peer is to blame.
#[derive(Debug, Error)]
#[error("the replica could not {act}")]
pub struct ReplicaError {
    /// What was asked of it: "read a thread's entries".
    pub act: &'static str,
    /// Why not.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// Where entries are kept. Sets always mean all well-formed, signed entries, whatever their verdict
/// (pending and void ones too).
pub trait Replica: Send + Sync + 'static {
    /// What is followed when the node starts; later changes come through the driver's handle.
    ///
    /// # Errors
    /// When the store fails, here and below.
    fn followed(&self) -> Result<Vec<Follow>, ReplicaError>;

    /// Whether a thread of a space is to be replicated (the space or the thread is followed and
    /// neither is denied).
    ///
    /// # Errors
    /// When the store fails.
    fn wants_thread(&self, space: SpaceId, root: EntryId) -> Result<bool, ReplicaError>;

    /// Whether a space's id is a capability: told only to peers that know it already, and to those
    /// named when it was followed. Say yes as long as the space's genesis isn't held.
    ///
    /// # Errors
    /// When the store fails.
    fn is_unlisted(&self, space: SpaceId) -> Result<bool, ReplicaError> {
        let _ = space;
        Ok(false)
    }

    /// The space of a held thread.
    ///
    /// # Errors
    /// When the store fails.
    fn space_of(&self, root: EntryId) -> Result<Option<SpaceId>, ReplicaError>;

    /// A thread's entries, its first post included; in any order.
    ///
    /// # Errors
    /// When the store fails.
    fn thread_items(&self, root: EntryId) -> Result<Vec<Item>, ReplicaError>;

    /// A space's authority log, its genesis included; in any order. An identity is a space.
    ///
    /// # Errors
    /// When the store fails.
    fn authority_items(&self, space: SpaceId) -> Result<Vec<Item>, ReplicaError>;

    /// Fingerprint of [`Replica::authority_items`]; [`Fingerprint::EMPTY`] when nothing is held.
    ///
    /// # Errors
    /// When the store fails.
    fn authority_fingerprint(&self, space: SpaceId) -> Result<Fingerprint, ReplicaError>;

    /// The identities of a thread's authors, each once, in any order.
    ///
    /// # Errors
    /// When the store fails.
    fn thread_authors(&self, root: EntryId) -> Result<Vec<IdentityId>, ReplicaError>;

    /// A thread in one line; none when nothing of it is held.
    ///
    /// # Errors
    /// When the store fails.
    fn digest(&self, root: EntryId) -> Result<Option<Digest>, ReplicaError>;

    /// All held threads of a space, in any order.
    ///
    /// # Errors
    /// When the store fails.
    fn digests(&self, space: SpaceId) -> Result<Vec<Digest>, ReplicaError>;

    /// Entries with their payloads, one answer per id, none for those not held or denied.
    ///
    /// # Errors
    /// When the store fails.
    fn packets(&self, ids: &[EntryId]) -> Result<Vec<Option<Packet>>, ReplicaError>;

    /// Those of the ids that should be sent to us: not held and not remembered as refused, or held
    /// without a payload that is still wanted; in the order given.
    ///
    /// # Errors
    /// When the store fails.
    fn lacking(&self, ids: &[EntryId]) -> Result<Vec<EntryId>, ReplicaError>;

    /// What pending entries wait for, of everything held: at most `limit` of each kind. Chased from
    /// time to time, with back-off, from any peer.
    ///
    /// # Errors
    /// When the store fails.
    fn missing(&self, limit: usize) -> Result<Missing, ReplicaError> {
        let _ = limit;
        Ok(Missing::default())
    }

    /// At most `limit` entries of a thread whose payload is still wanted (the sender withheld it).
    ///
    /// # Errors
    /// When the store fails.
    fn lacking_payloads(&self, root: EntryId, limit: usize) -> Result<Vec<EntryId>, ReplicaError>;

    /// The same of a whole space: its authority log and all of its threads.
    ///
    /// # Errors
    /// When the store fails.
    fn lacking_payloads_in(
        &self,
        space: SpaceId,
        limit: usize,
    ) -> Result<Vec<EntryId>, ReplicaError> {
        let _ = (space, limit);
        Ok(Vec::new())
    }

    /// Verifies and stores; one outcome per packet. A batch may hold children before their parents.
    ///
    /// # Errors
    /// When the store fails: then nothing of the batch counts as stored.
    fn submit(
        &self,
        peer: EndpointKey,
        channel: Channel,
        packets: Vec<Packet>,
    ) -> Result<Vec<Outcome>, ReplicaError>;

    /// At most `limit` live holding statements (bytes of [`model::Holding`]) about a thread's posts
    /// and media, the node's own before others', then newest first.
    ///
    /// # Errors
    /// When the store fails.
    fn holdings(&self, root: EntryId, limit: usize) -> Result<Vec<Vec<u8>>, ReplicaError>;

    /// Takes a holding statement.
    ///
    /// # Errors
    /// When the store fails.
    fn receive_holding(&self, bytes: &[u8]) -> Result<HoldingOutcome, ReplicaError>;
}
