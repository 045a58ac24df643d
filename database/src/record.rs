//! What is kept about an entry beside its bytes, and the keys of the trees.

use model::{DeviceKey, EntryId, IdentityId, PayloadId, SpaceId};
use serde::{Deserialize, Serialize};

use crate::{DatabaseError, Missing, Reason, Scope, Source, Verdict, table_name::TableName};

/// Local number of an entry: the order of arrival.
pub(crate) type Num = u64;

/// Whether an entry's payload is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadState {
    /// Here.
    Held,
    /// Not here: it may come later.
    Withheld,
    /// Erased here on purpose; it is not taken again.
    Erased,
}

/// What views show of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shown {
    /// Nothing.
    Absent,
    /// The header.
    Withheld,
    /// All of it, counted.
    Counted,
    /// All of it, with a banner, counted nowhere.
    Disputed,
}

/// What is known about an entry, so that its bytes are read only when they are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: EntryId,
    /// A genesis names itself.
    pub(crate) space: SpaceId,
    /// The genesis of an identity names itself.
    pub(crate) identity: IdentityId,
    pub(crate) device: DeviceKey,
    pub(crate) root: Option<EntryId>,
    pub(crate) table: TableName,
    pub(crate) time_ms: u64,
    pub(crate) depth: u64,
    pub(crate) seq: u64,
    pub(crate) payload: PayloadId,
    /// Entry and payload.
    pub(crate) size_bytes: u64,
    pub(crate) verdict: Verdict,
    pub(crate) payload_state: PayloadState,
    pub(crate) shown: Shown,
    /// Where it is listed for reconciliation.
    pub(crate) scope: Option<Scope>,
    pub(crate) reason: Option<Reason>,
    pub(crate) missing: Vec<Missing>,
    /// Keys in the tree of what is awaited.
    pub(crate) awaits: Vec<Await>,
    pub(crate) backlog: Option<Backlog>,
    pub(crate) source: Source,
    pub(crate) received_ms: u64,
}

/// Whose budget a waiting entry takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Backlog {
    /// That of all unknown identities.
    Unknown,
    /// Its author's.
    Known,
}

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Await {
    /// An entry to be held and settled.
    Entry(EntryId),
    /// A device to be named.
    Device(IdentityId, DeviceKey),
}

impl Await {
    pub(crate) fn key(&self) -> Vec<u8> {
        match self {
            Self::Entry(id) => join(&[&[0], id.as_bytes()]),
            Self::Device(identity, device) => {
                join(&[&[1], &digest(&[identity.as_bytes(), device.as_bytes()])])
            }
        }
    }
}

impl Record {
    pub(crate) fn is_genesis(&self) -> bool {
        *self.table == *model::GENESIS_TABLE
    }

    pub(crate) fn is_identity_genesis(&self) -> bool {
        self.is_genesis() && self.identity.entry() == self.id
    }

    /// The thread it belongs to; none in an authority log.
    pub(crate) fn thread(&self) -> Option<EntryId> {
        match self.scope {
            Some(Scope::Thread(root)) => Some(root),
            _ => None,
        }
    }

    pub(crate) fn is_first_post(&self) -> bool {
        self.scope == Some(Scope::Thread(self.id))
    }

    pub(crate) fn shown_by(verdict: Verdict, payload: PayloadState) -> Shown {
        match (verdict, payload) {
            (Verdict::Valid, PayloadState::Held) => Shown::Counted,
            (Verdict::Disputed, PayloadState::Held) => Shown::Disputed,
            (Verdict::Valid | Verdict::Disputed, _) => Shown::Withheld,
            _ => Shown::Absent,
        }
    }
}

/// Bytes one after the other.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// 16 bytes that stand for longer parts of a key.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = blake3::Hasher::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize().as_bytes()[..16]);
    short
}

pub(crate) fn num_key(num: Num) -> [u8; 8] {
    num.to_be_bytes()
}

/// The number in the last 8 bytes of a key.
pub(crate) fn num_at_end(key: &[u8]) -> Option<Num> {
    key.last_chunk().map(|bytes| Num::from_be_bytes(*bytes))
}

/// The id in the last 32 bytes of a key.
pub(crate) fn id_at_end(key: &[u8]) -> Option<EntryId> {
    key.last_chunk().map(|bytes| EntryId::from_bytes(*bytes))
}

pub(crate) fn feed_prefix(space: &SpaceId, device: &DeviceKey) -> [u8; 16] {
    digest(&[space.as_bytes(), device.as_bytes()])
}

pub(crate) fn item_key(scope: &Scope, time_ms: u64, id: &EntryId) -> Vec<u8> {
    join(&[&scope.key(), &time_ms.to_be_bytes(), id.as_bytes()])
}

pub(crate) fn digest_key(space: &SpaceId, last_ms: u64, root: &EntryId) -> Vec<u8> {
    join(&[space.as_bytes(), &last_ms.to_be_bytes(), root.as_bytes()])
}

/// Room for most records, so that they are written without growing.
const RECORD_BYTES: usize = 256;

pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, Vec::with_capacity(RECORD_BYTES))
        .expect("records have no types that postcard can't write")
}

pub(crate) fn decode<'a, T: Deserialize<'a>>(
    what: &'static str,
    bytes: &'a [u8],
) -> Result<T, DatabaseError> {
    postcard::from_bytes(bytes).map_err(|_| DatabaseError::Damaged { what })
}
