//! What the exchange tells the rest of the node.

use model::{EndpointKey, EntryId};

use crate::Scope;

/// The part that a peer took in syncing a scope: what it showed of what the peer holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing: it neither holds nor wants any of the scope.
    Refused,
    /// Nothing: it opened the scope, and only who opens one compares.
    Opened,
    /// Both sets were compared.
    Compared {
        /// Entries held here that the peer lacked when the comparison began. Of a scope of digests
        /// or of single entries it is always 0: there no entries are compared.
        lacked: u64,
    },
}

/// What happened among peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Entries that the replica accepted or keeps pending, in order of arrival.
    NewEntries {
        /// Who delivered them.
        peer: EndpointKey,
        /// Their ids.
        ids: Vec<EntryId>,
    },
    /// The first topic shared with a peer, or the first session with it.
    PeerUp(EndpointKey),
    /// The last topic is gone, or it can't be reached.
    PeerDown(EndpointKey),
    /// A holding statement that was not known before.
    HoldingReceived(Vec<u8>),
    /// A scope was synced with a peer.
    Synced {
        /// With whom.
        peer: EndpointKey,
        /// What.
        scope: Scope,
        /// Entries received that were new.
        received: u64,
        /// Entries sent.
        sent: u64,
        /// What this showed of the peer.
        part: Part,
    },
    /// A peer lied and is banned for a while.
    Banned {
        /// Who.
        peer: EndpointKey,
        /// What it did.
        reason: String,
    },
    /// A peer's clock differs from ours by more than signing allows.
    ClockDiffers {
        /// Who.
        peer: EndpointKey,
        /// Its clock minus ours, milliseconds.
        by_ms: i64,
    },
}
