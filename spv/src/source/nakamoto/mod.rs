//! `nakamoto` as a source.

use std::net::SocketAddr;

use super::{
    error::SourceError,
    link::{HeaderSource, Link},
    options::SpvOptions,
};
use crate::Network;

/// Its name.
const NAME: &str = "nakamoto";

/// The light client `nakamoto` 0.4, used for nothing but headers, blocks and announcements.
#[derive(Clone, Debug)]
pub struct Nakamoto {
    network: Network,
    peers: Vec<SocketAddr>,
}

impl Nakamoto {
    /// A source by the same options as the light client's.
    ///
    /// # Errors
    /// [`SourceError::NoSuchNetwork`] for testnet4, [`SourceError::NoPeers`] where there are
    /// neither peers nor seeds.
    pub fn new(options: &SpvOptions) -> Result<Self, SourceError> {
        if options.network == Network::Testnet4 {
            return Err(SourceError::NoSuchNetwork {
                source_name: NAME,
                network: options.network,
            });
        }
        if options.peers.is_empty() && !options.seeds {
            return Err(SourceError::NoPeers(NAME));
        }
        Ok(Self {
            network: options.network,
            peers: options.peers.clone(),
        })
    }
}

impl HeaderSource for Nakamoto {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(self: Box<Self>, link: Link) -> Result<(), SourceError> {
        tracing::debug!(target: "spv", network = %self.network, peers = self.peers.len(), tip = link.tip().height, "nakamoto");
        Err(SourceError::ClientEnded)
    }
}
