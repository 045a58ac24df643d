//! What each network demands of its headers.

use bitcoin::{
    BlockHash, CompactTarget, Work, block::Header, blockdata::constants::genesis_block,
    consensus::Params,
};

use super::checkpoints;
use crate::Network;

/// How far ahead of the clock a header's time may lie: 2 hours (Bitcoin Core).
pub(super) const MAX_AHEAD_S: u32 = 2 * 60 * 60;
/// How long before the last block of a period the next one may begin, on testnet4 (BIP94).
pub(super) const MAX_TIMEWARP_S: u32 = 600;
/// A block that comes more than this after the one before it may have the lowest difficulty, on
/// test networks: twice the time between two blocks.
pub(super) const EASY_AFTER_S: u32 = 20 * 60;

/// Headers of side branches that are kept. They cost about 300 bytes each.
const MAX_SIDE_HEADERS: usize = 50_000;
/// How far below the end of the chain a side branch may lie: what it takes to replace the longest
/// stretch between two checkpoints of Bitcoin's cheap years.
const MAX_DEPTH: u32 = 50_000;
/// Where chains end here; at ten minutes a block, after forty years.
const MAX_HEIGHT: u32 = 2_000_000;

/// A known block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub height: u32,
    pub hash: BlockHash,
}

/// Heights from which on a soft fork has ended old block versions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions {
    /// Below 2 no more.
    pub bip34: u32,
    /// Below 3 no more.
    pub bip66: u32,
    /// Below 4 no more.
    pub bip65: u32,
}

/// The rules of one network, as Bitcoin Core has them.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub network: Network,
    /// The first block.
    pub genesis: Header,
    /// Numbers of the target's arithmetic.
    pub params: Params,
    /// Blocks between two changes of the target.
    pub period_blocks: u32,
    /// The highest target.
    pub limit_bits: CompactTarget,
    /// Whether the target changes at all.
    pub retargets: bool,
    /// Whether late blocks may have the lowest difficulty.
    pub easy_when_late: bool,
    /// Whether BIP94 holds.
    pub bip94: bool,
    pub versions: Versions,
    /// Ascending.
    pub checkpoints: Vec<Checkpoint>,
    /// What the network's true chain is known to have.
    pub minimum_work: Work,
    pub max_side_headers: usize,
    pub max_depth: u32,
    pub max_height: u32,
}

impl Rules {
    pub(super) fn of(network: Network) -> Self {
        let params = network.kind().params().clone();
        let period = params.difficulty_adjustment_interval();
        let versions = match network {
            Network::Bitcoin => Versions {
                bip34: 227_931,
                bip66: 363_725,
                bip65: 388_381,
            },
            Network::Testnet4 | Network::Signet | Network::Regtest => Versions {
                bip34: 1,
                bip66: 1,
                bip65: 1,
            },
        };
        Self {
            network,
            genesis: genesis_block(network.kind()).header,
            period_blocks: u32::try_from(period).expect("two weeks have few ten minutes"),
            limit_bits: params.max_attainable_target.to_compact_lossy(),
            params,
            retargets: network != Network::Regtest,
            easy_when_late: network == Network::Testnet4,
            bip94: network == Network::Testnet4,
            versions,
            checkpoints: checkpoints_of(network),
            minimum_work: minimum_work(network),
            max_side_headers: MAX_SIDE_HEADERS,
            max_depth: MAX_DEPTH,
            max_height: MAX_HEIGHT,
        }
    }

    /// The target after a period that began with one and took some time; never more than four
    /// times higher or lower, never above the limit.
    pub(super) fn retarget(&self, before: CompactTarget, took_s: i64) -> CompactTarget {
        let took_s = u64::try_from(took_s).unwrap_or(0);
        CompactTarget::from_next_work_required(before, took_s, &self.params)
    }

    /// The lowest version that a block of some height may have.
    pub(super) fn lowest_version(&self, height: u32) -> i32 {
        if height >= self.versions.bip65 {
            4
        } else if height >= self.versions.bip66 {
            3
        } else if height >= self.versions.bip34 {
            2
        } else {
            i32::MIN
        }
    }

    /// The block that must stand at a height, if one must.
    pub(super) fn checkpoint(&self, height: u32) -> Option<BlockHash> {
        let at = self
            .checkpoints
            .binary_search_by_key(&height, |one| one.height)
            .ok()?;
        Some(self.checkpoints[at].hash)
    }

    /// How many checkpoints a chain of some height has passed.
    pub(super) fn passed(&self, height: u32) -> usize {
        self.checkpoints.partition_point(|one| one.height <= height)
    }

    /// Height of the last checkpoint that a chain of some height has passed.
    pub(super) fn last_passed(&self, height: u32) -> Option<u32> {
        let last = self.passed(height).checked_sub(1)?;
        Some(self.checkpoints[last].height)
    }
}

fn checkpoints_of(network: Network) -> Vec<Checkpoint> {
    let all = match network {
        Network::Bitcoin => checkpoints::BITCOIN,
        Network::Testnet4 | Network::Signet | Network::Regtest => &[],
    };
    all.iter()
        .map(|(height, hash)| Checkpoint {
            height: *height,
            hash: hash.parse().expect("compiled hashes are hex of 32 bytes"),
        })
        .collect()
}

/// `nMinimumChainWork` of Bitcoin Core: Bitcoin's at height 824,000, testnet4's at 123,613 and
/// signet's as in its release 28. Regtest has none.
fn minimum_work(network: Network) -> Work {
    let work: u128 = match network {
        Network::Bitcoin => 0x63c4_ebd2_98db_40af_5754_1800,
        Network::Testnet4 => 0x9a0_fe15_d017_7d08_6304,
        Network::Signet => 0x025d_bd66_e58f,
        Network::Regtest => 0,
    };
    let mut bytes = [0; 32];
    bytes[16..].copy_from_slice(&work.to_be_bytes());
    Work::from_be_bytes(bytes)
}
