//! How far blocks were read for awaited payments, so that none is left out and none read twice: over
//! restarts, and when others take the place of some. Pure.

use std::collections::BTreeMap;

use bitcoin::BlockHash;
use serde::{Deserialize, Serialize};
use spv::chain::HeaderChain;

/// Blocks remembered: more than any reorganisation replaces.
const RECENT: usize = 200;
/// Where a payment was found in a block that is gone, and nothing older is remembered, reading
/// begins so far below.
const BELOW: u32 = 20;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Where only clocks say from which block on a payment may stand, they may differ by so much,
/// seconds: miners' times by two hours (consensus), this machine's by the rest.
const CLOCKS_S: u64 = 24 * 60 * 60;

/// The place where reading goes on, and the budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Name of the chain.
    network: String,
    /// Height of the next block to read.
    next: u32,
    /// Blocks that were read, or where reading was taken up.
    recent: BTreeMap<u32, Hash>,
    /// Day since 1970.
    day: u64,
    /// Read on that day.
    day_bytes: u64,
}

/// A block's hash as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hash(#[serde(with = "super::written::text")] BlockHash);

impl Reading {
    /// Something is awaited from now on; before it nothing was: blocks up to the tip don't matter.
    pub fn begin(&mut self, chain: &HeaderChain) {
        self.begin_at(chain, chain.tip().height.saturating_add(1));
    }

    /// The same, where blocks from this height on matter.
    pub fn begin_at(&mut self, chain: &HeaderChain, height: u32) {
        self.follow(chain);
        self.next = self.next.max(height);
        if let Some(below) = height.checked_sub(1)
            && let Some(hash) = chain.hash(below)
        {
            let last = self.recent.last_key_value();
            if last.is_some_and(|(last, _)| last.saturating_add(1) < below) {
                // Nobody wants what lies between: a step back doesn't lead there.
                self.recent.clear();
            }
            self.remember(below, hash);
        }
    }

    /// The chain of the configuration may be another one than before.
    fn of_chain(&mut self, chain: &HeaderChain) {
        if self.network != chain.network().name() {
            *self = Self {
                network: chain.network().name().to_owned(),
                next: 0,
                recent: BTreeMap::new(),
                day: self.day,
                day_bytes: self.day_bytes,
            };
        }
    }

    /// Steps back to where the chain that was read leaves the present one.
    pub fn follow(&mut self, chain: &HeaderChain) {
        self.of_chain(chain);
        let mut gone = None;
        while let Some((height, hash)) = self.recent.last_key_value()
            && chain.hash(*height) != Some(hash.0)
        {
            gone = Some(*height);
            self.recent.pop_last();
        }
        if let Some(gone) = gone {
            let kept = self.recent.last_key_value();
            let back_to = kept.map_or(gone.saturating_sub(BELOW), |(height, _)| *height + 1);
            self.next = self.next.min(back_to);
        }
    }

    /// Whether the chain still has what was read last.
    pub fn stands_on(&self, chain: &HeaderChain) -> bool {
        let last = self.recent.last_key_value();
        last.is_none_or(|(height, hash)| chain.hash(*height) == Some(hash.0))
    }

    /// A payment may stand in any block since the one below this height, which others may have
    /// taken the place of.
    pub fn look_again_from(&mut self, height: u32) {
        let below = self.recent.range(..height).next_back();
        let back_to = below.map_or(height.saturating_sub(BELOW), |(kept, _)| *kept + 1);
        self.next = self.next.min(back_to.min(height));
    }

    /// The next block to read. None is passed over, whatever its time and that of this machine.
    pub fn next(&self, chain: &HeaderChain) -> Option<(u32, BlockHash)> {
        Some((self.next, chain.hash(self.next)?))
    }

    /// A block was read.
    pub fn read(&mut self, height: u32, hash: BlockHash, size_bytes: u64, now_ms: u64) {
        if self.next == height {
            self.next += 1;
            self.remember(height, hash);
        }
        self.turn_day(now_ms);
        self.day_bytes = self.day_bytes.saturating_add(size_bytes);
    }

    fn remember(&mut self, height: u32, hash: BlockHash) {
        drop(self.recent.split_off(&height));
        self.recent.insert(height, Hash(hash));
        while self.recent.len() > RECENT {
            self.recent.pop_first();
        }
    }

    fn turn_day(&mut self, now_ms: u64) {
        if self.day != now_ms / DAY_MS {
            self.day = now_ms / DAY_MS;
            self.day_bytes = 0;
        }
    }

    /// Whether today's budget is used up.
    pub fn is_spent(&self, budget_bytes: u64, now_ms: u64) -> bool {
        self.day == now_ms / DAY_MS && self.day_bytes >= budget_bytes
    }

    /// Milliseconds until the budget begins anew.
    pub fn rest_of_day_ms(now_ms: u64) -> u64 {
        DAY_MS - now_ms % DAY_MS
    }
}

/// Whether the headers have come about as far as this machine's clock. Regtest's times say nothing.
pub fn is_recent(chain: &HeaderChain, now_ms: u64) -> bool {
    let tip = chain.tip();
    chain.network() == spv::Network::Regtest
        || u64::from(tip.time_s).saturating_add(CLOCKS_S) >= now_ms / 1_000
}

/// From which block on a payment may stand that was offered while there were no headers to say so;
/// none while the chain hasn't come so far.
pub(super) fn first_block(chain: &HeaderChain, offered_ms: u64) -> Option<u32> {
    if chain.network() == spv::Network::Regtest {
        // Its times are anybody's.
        return Some(0);
    }
    let is_newer = |time_s: u32| u64::from(time_s) + CLOCKS_S >= offered_ms / 1_000;
    let mut height = chain.tip().height;
    if !is_newer(chain.header(height)?.time) {
        return None;
    }
    while let Some(below) = height.checked_sub(1)
        && is_newer(chain.header(below)?.time)
    {
        height = below;
    }
    Some(height)
}
