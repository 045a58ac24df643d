//! Ids, CIDs, the entry codec, signatures and limits: pure, no I/O and no clock.
//!
//! Everything that crosses the network or lies on disk as a signed or hash-addressed block is
//! defined here, to the byte; `docs/protocol/entry.md` says the same for other implementations.

mod challenge;
mod challenge_result;
mod entry;
mod header;
mod holding;
mod id;
mod key;
pub mod limits;
mod payload;
mod pin_request;
#[cfg(test)]
mod properties;
mod signature;
mod ticket;
mod topic;
#[cfg(test)]
mod vectors;

pub use challenge::{Challenge, ChallengeError, GROUP_BYTES, Receipt};
pub use challenge_result::{AuditError, AuditFacts, AuditOutcome, AuditResult};
pub use entry::{Entry, EntryError, Unverified, Verified};
pub use header::{Header, HeaderError};
pub use holding::{Holding, HoldingError, Item};
pub use id::{
    BlobId, DeviceKey, EndpointKey, EntryId, IdError, IdentityId, PayloadId, SchemaId, SpaceId,
};
pub use key::{KeyError, SecretKey, root_key_from_seed, successor_commitment};
pub use payload::{Payload, PayloadError, Row};
pub use pin_request::{PinAct, PinAsk, PinDemand, PinRequestError, PinScope, PinTarget};
pub use ticket::{RelayHint, Ticket, TicketError};
pub use topic::{topic_of_space, topic_of_thread};

pub use ipld_core::ipld::Ipld;

/// Table of the entry that begins a space.
pub const GENESIS_TABLE: &str = "$genesis";
/// Table of the rows that name an identity's devices.
pub const DEVICE_TABLE: &str = "$device";
