//! Bytes and their hashes: import, the blob store, fetching, pins, quota and collection.
//!
//! Blobs are named by BLAKE3 and verified in groups of 16 KiB, so that every byte that leaves this
//! crate was checked, from whomever it came. Nothing here parses an entry.
//!
//! - [`Blobs`]: the store. Bytes in ([`Blobs::import_path`], [`Blobs::import_stream`]), bytes out
//!   ([`Blobs::source`]), reasons to keep them ([`Keep`]), collection, verification.
//! - [`dag`]: DAGs of IPFS. Every blob has a name there too ([`Imported::unixfs`]), its blocks are
//!   places in the blob ([`Blobs::block`]); DAGs of others come in by [`Blobs::intake`].
//! - [`Quota`]: the hard limit that every write asks first.
//! - [`Fetcher`]: bytes from peers, whole or as they are needed ([`Fetcher::read`]).
//! - [`Provider`]: bytes to peers, and who got them.
//! - [`HoldingsBook`]: which nodes say that they hold something in full.

mod collect;
pub mod dag;
mod deny;
mod error;
mod evict;
mod fetch;
mod files;
mod holdings;
mod import;
mod index;
mod keep;
mod ledger;
mod outboard;
mod progress;
mod provide;
mod quota;
mod range;
pub mod retain;
mod slice;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod throttle;
mod verify;

pub use error::StoreError;
pub use fetch::{
    FetchError, FetchOptions, Fetched, Fetcher, Finder, Lane, PeerFault, PeerReport, RawFault,
    RawOutboard, RawSource, Share, ShareState, SourceKind, SourceLabel, VerifiedStream,
};
pub use holdings::HoldingsBook;
pub use import::{ImportError, Imported};
pub use index::{DagHeld, FileAt, Intake, IntakeError, PIECE_BYTES, Taken};
pub use keep::Keep;
pub use outboard::{
    OUTBOARD_ALPN, Outboard, OutboardFault, OutboardLimits, OutboardProtocol, fetch_outboard,
    outboard_bytes,
};
pub use progress::{Progress, ProgressSender, Stage, unwatched};
pub use provide::{Gate, Provider, ProviderLimits, ProviderProtocol, ProviderService, Sent};
pub use quota::{DEFAULT_MIN_FREE_BYTES, Quota, QuotaError, QuotaUse, Reservation, stored_bytes};
pub use range::GROUP_BYTES;
pub use slice::{SliceError, check_slice, slice_max_bytes};
pub use source::{BlobSource, ReadError};
pub use store::{BlobStatus, Blobs, BlobsOptions, DEFAULT_PIECES_MIN_BYTES};
pub use throttle::Throttle;
pub use verify::{Damage, Damaged, VerifyProgress};

/// The protocol that blobs are exchanged by.
pub const ALPN: &[u8] = iroh_blobs::ALPN;

pub(crate) fn hash(blob: model::BlobId) -> iroh_blobs::Hash {
    iroh_blobs::Hash::from_bytes(*blob.as_bytes())
}

pub(crate) fn id(hash: iroh_blobs::Hash) -> model::BlobId {
    model::BlobId::from_bytes(*hash.as_bytes())
}
