//! The chains that payments are proved on.

use std::{fmt, str::FromStr};

use bitcoin::{BlockHash, blockdata::constants::ChainHash, hashes::Hash};
use thiserror::Error;

/// A chain of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Network {
    /// Bitcoin itself.
    Bitcoin,
    /// The fourth public test network (BIP94).
    Testnet4,
    /// The default public signet (BIP325).
    Signet,
    /// Private chains for tests.
    Regtest,
}

/// A name that is none of a chain.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("there is no network `{0}`; one of bitcoin, testnet4, signet, regtest")]
pub struct NoSuchNetwork(pub String);

impl Network {
    /// Every chain.
    pub const ALL: [Self; 4] = [Self::Bitcoin, Self::Testnet4, Self::Signet, Self::Regtest];

    /// Its name in rows, files and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// As the `bitcoin` crate names it.
    pub fn kind(self) -> bitcoin::Network {
        match self {
            Self::Bitcoin => bitcoin::Network::Bitcoin,
            Self::Testnet4 => bitcoin::Network::Testnet4,
            Self::Signet => bitcoin::Network::Signet,
            Self::Regtest => bitcoin::Network::Regtest,
        }
    }

    /// Hash of the first block.
    pub fn genesis(self) -> BlockHash {
        let chain = ChainHash::using_genesis_block_const(self.kind());
        BlockHash::from_byte_array(chain.to_bytes())
    }

    /// The chain that begins with a block.
    pub fn of_genesis(genesis: &BlockHash) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.genesis() == *genesis)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Network {
    type Err = NoSuchNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.name() == text)
            .ok_or_else(|| NoSuchNetwork(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::blockdata::constants::genesis_block;

    use super::*;

    #[test]
    fn names_and_genesis_blocks_lead_back() {
        for network in Network::ALL {
            assert_eq!(network.name().parse(), Ok(network));
            let genesis = genesis_block(network.kind()).block_hash();
            assert_eq!(network.genesis(), genesis);
            assert_eq!(Network::of_genesis(&genesis), Some(network));
        }
        assert!("mainnet".parse::<Network>().is_err());
    }
}
