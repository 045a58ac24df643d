//! The chain as one would write it without a thought of memory or time.

use std::collections::BTreeMap;

use bitcoin::{BlockHash, CompactTarget, Target, Work, block::Header};

use super::{super::rules::Rules, forge};

/// Every header that was ever valid, and the best of them.
pub struct Model {
    rules: Rules,
    headers: BTreeMap<BlockHash, Header>,
    best: Vec<Header>,
}

impl Model {
    pub fn new(rules: Rules) -> Self {
        let genesis = rules.genesis;
        Self {
            rules,
            headers: [(genesis.block_hash(), genesis)].into(),
            best: vec![genesis],
        }
    }

    /// The branch that ends with a block, from the first one on.
    pub fn branch(&self, end: &BlockHash) -> Option<Vec<Header>> {
        let mut branch = Vec::new();
        let mut next = self.headers.get(end);
        while let Some(header) = next {
            branch.push(*header);
            next = self.headers.get(&header.prev_blockhash);
        }
        branch.reverse();
        (!branch.is_empty()).then_some(branch)
    }

    pub fn best(&self) -> &[Header] {
        &self.best
    }

    pub fn all(&self) -> Vec<Header> {
        self.headers.values().copied().collect()
    }

    /// Whether the header is valid; then it is kept.
    pub fn accept(&mut self, header: &Header) -> bool {
        let hash = header.block_hash();
        if self.headers.contains_key(&hash) {
            return true;
        }
        let Some(mut branch) = self.branch(&header.prev_blockhash) else {
            return false;
        };
        let bits = next_bits(&branch, header.time, &self.rules);
        let good = header.bits == bits
            && Target::from_compact(bits).is_met_by(hash)
            && header.time > median_s(&branch)
            && header.version.to_consensus() >= 4;
        if !good {
            return false;
        }
        self.headers.insert(hash, *header);
        branch.push(*header);
        if work(&branch) > work(&self.best) {
            self.best = branch;
        }
        true
    }
}

pub fn work(branch: &[Header]) -> Work {
    let works = branch.iter().map(Header::work);
    works.fold(forge::work(0), |sum, one| sum + one)
}

/// Median of the times of the last eleven.
pub fn median_s(branch: &[Header]) -> u32 {
    let mut times: Vec<u32> = branch.iter().rev().take(11).map(|one| one.time).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// What Bitcoin Core's `GetNextWorkRequired` says of a branch, walking back over it.
pub fn next_bits(branch: &[Header], time_s: u32, rules: &Rules) -> CompactTarget {
    let period = rules.period_blocks as usize;
    let last = branch[branch.len() - 1];
    if !rules.retargets {
        return last.bits;
    }
    if !branch.len().is_multiple_of(period) {
        if !rules.easy_when_late {
            return last.bits;
        }
        if i64::from(time_s) > i64::from(last.time) + 20 * 60 {
            return rules.limit_bits;
        }
        let mut at = branch.len() - 1;
        while !at.is_multiple_of(period) && branch[at].bits == rules.limit_bits {
            at -= 1;
        }
        return branch[at].bits;
    }
    let first = branch[branch.len() - period];
    let span_s = i64::try_from(rules.params.pow_target_timespan).unwrap();
    let took_s = i64::from(last.time) - i64::from(first.time);
    let took_s = took_s.clamp(span_s / 4, span_s * 4);
    let before = if rules.bip94 { first.bits } else { last.bits };
    scaled(before, took_s, span_s).min(rules.limit_bits)
}

/// A target times one number through another, by hand in bytes.
fn scaled(bits: CompactTarget, times: i64, through: i64) -> CompactTarget {
    let target = Target::from_compact(bits).to_be_bytes();
    let (times, through) = (times as u128, through as u128);
    let mut product = [0_u8; 48];
    let mut carry = 0_u128;
    for at in (0..48).rev() {
        let digit = if at >= 16 { target[at - 16].into() } else { 0 };
        carry += digit * times;
        product[at] = u8::try_from(carry & 0xff).unwrap();
        carry >>= 8;
    }
    let mut rest = 0_u128;
    for digit in &mut product {
        rest = rest << 8 | u128::from(*digit);
        *digit = u8::try_from(rest / through).unwrap();
        rest %= through;
    }
    let mut low = [0; 32];
    low.copy_from_slice(&product[16..]);
    Target::from_be_bytes(low).to_compact_lossy()
}
