//! Paid votes: which chain proofs are checked on, and how much is read of it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use spv::Network;

use super::{MIB, size, text};

/// The chain whose headers this node keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// None: proofs are shown as not checked here.
    #[default]
    None,
    /// Bitcoin itself.
    Bitcoin,
    /// The fourth public test network.
    Testnet4,
    /// The default public signet.
    Signet,
    /// Private chains for tests.
    Regtest,
}

impl Chain {
    /// As `spv` knows it.
    pub fn network(self) -> Option<Network> {
        match self {
            Self::None => None,
            Self::Bitcoin => Some(Network::Bitcoin),
            Self::Testnet4 => Some(Network::Testnet4),
            Self::Signet => Some(Network::Signet),
            Self::Regtest => Some(Network::Regtest),
        }
    }
}

/// Paid votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payments {
    /// Chain whose headers are kept.
    pub network: Chain,
    /// Bitcoin nodes (`address:port`) to ask; none: those that DNS names, offline nobody.
    #[serde(with = "text::list")]
    pub peers: Vec<SocketAddr>,
    /// Confirmations from which on a payment is called settled.
    pub settled_confirmations: u32,
    /// Confirmations from which on this node publishes proofs of its own payments.
    pub publish_confirmations: u32,
    /// Blocks read in a day while payments are awaited, bytes.
    #[serde(with = "size")]
    pub block_bytes_per_day: u64,
}

impl Default for Payments {
    fn default() -> Self {
        Self {
            network: Chain::None,
            peers: Vec::new(),
            settled_confirmations: 6,
            publish_confirmations: 1,
            block_bytes_per_day: 500 * MIB,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chain_is_named_as_spv_names_it() {
        let all = [
            Chain::Bitcoin,
            Chain::Testnet4,
            Chain::Signet,
            Chain::Regtest,
        ];
        for (chain, network) in all.into_iter().zip(Network::ALL) {
            assert_eq!(chain.network(), Some(network));
            let word = toml::Value::try_from(chain).ok();
            assert_eq!(word, Some(toml::Value::String(network.name().to_owned())));
        }
        assert_eq!(Chain::None.network(), None);
    }
}
