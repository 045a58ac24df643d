//! What the database thinks of an entry.

use model::{DeviceKey, EntryId, IdentityId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::schema::RowError;

/// Where an entry stands. A function of the entries and payloads held (and, for `Held`, the
/// clock), never of the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Something it needs is not held, or not settled itself.
    Pending,
    /// Its time is too far ahead of the own clock.
    Held,
    /// It counts.
    Valid,
    /// From a fork of its feed on: shown with a banner, counted nowhere, no authority.
    Disputed,
    /// Cut off by a revoke.
    Void,
    /// It breaks a rule and always will.
    Invalid,
}

impl Verdict {
    /// Whether all it needs was there to judge it.
    pub fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Held)
    }
}

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Missing {
    /// A parent, grant, thread root or genesis.
    Entry(EntryId),
    /// The payload of an entry of an authority log.
    Payload(EntryId),
    /// A row in the identity's space that names the device.
    Device(IdentityId, DeviceKey),
}

/// Why an entry is invalid.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Reason {
    /// The space's genesis is itself invalid, or no genesis.
    #[error("its space has no valid genesis")]
    Space,
    /// The author's identity is no identity.
    #[error("its author's identity has no valid genesis")]
    Identity,
    /// A genesis row that can't be used.
    #[error("the genesis does not describe a space or an identity: {0}")]
    Genesis(String),
    /// Another schema than the space's.
    #[error("it follows another schema than its space")]
    Schema,
    /// A table that the schema doesn't have.
    #[error("the schema has no table `{0}`")]
    Table(String),
    /// Only an identity's root key names devices.
    #[error("only the identity's root key may write `{0}`")]
    RootKey(String),
    /// The author has no role that may write this table.
    #[error("its author may not write `{0}`")]
    Role(String),
    /// A grant that is none.
    #[error("the grant it cites is no grant")]
    Grant,
    /// Earlier than a parent.
    #[error("its time is before that of a parent")]
    Time,
    /// Depth is 1 + the largest of the parents.
    #[error("its depth is {found}, its parents make it {expected}")]
    Depth {
        /// By the parents.
        expected: u64,
        /// In the header.
        found: u64,
    },
    /// A parent elsewhere.
    #[error("a parent is neither in its thread nor in its space's authority log")]
    Parent,
    /// The root is not the first post of a thread in this space.
    #[error("its root does not begin a thread in this space")]
    Root,
    /// Entries of an authority log have no root; others than first posts have parents.
    #[error("an entry of `{0}` can't stand there")]
    Place(String),
    /// The payload can't be read.
    #[error("its payload can't be read: {0}")]
    Payload(String),
    /// The row breaks the schema.
    #[error("its row breaks the schema: {0}")]
    Row(#[from] RowError),
    /// A reference that is not among the parents.
    #[error("column `{0}` refers to what is not among its causal parents")]
    NotParent(String),
    /// A reference to a row of another table.
    #[error("column `{0}` refers to a row of another table")]
    WrongTable(String),
    /// Allowed to the author of another row only.
    #[error("only the author of what `{0}` refers to may write this")]
    NotAuthor(String),
}
