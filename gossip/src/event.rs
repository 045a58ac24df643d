//! What the exchange tells the rest of the node.

use model::{EndpointKey, EntryId};

use crate::Scope;

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
