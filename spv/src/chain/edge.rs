//! The end of a branch: all that judging the next header of that very branch takes.

use bitcoin::{BlockHash, CompactTarget, Target, Work, block::Header};

use super::{
    HeaderFault,
    rules::{EASY_AFTER_S, MAX_AHEAD_S, MAX_TIMEWARP_S, Rules},
};

/// Blocks whose median time the next one must be after.
const MEDIAN_BLOCKS: usize = 11;

/// A header with what follows from the headers before it on its branch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub header: Header,
    pub hash: BlockHash,
    pub height: u32,
    /// Of the branch up to and with it.
    pub work: Work,
    /// Times of the last blocks; a block's place is its height modulo their number.
    times_s: [u32; MEDIAN_BLOCKS],
    /// Time of the first block of its period.
    first_s: u32,
    /// Target of the first block of its period.
    first_bits: CompactTarget,
    /// Target of the last block that did not have the lowest difficulty for being late.
    hard_bits: CompactTarget,
}

/// A target with what it means, computed once for the many headers that have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weighed {
    bits: CompactTarget,
    target: Target,
    work: Work,
}

impl Weighed {
    pub(super) fn new(bits: CompactTarget) -> Self {
        let target = Target::from_compact(bits);
        Self {
            bits,
            target,
            work: target.to_work(),
        }
    }

    /// Work of a header with a target; another target than the last one is computed.
    pub(super) fn work_of(&mut self, bits: CompactTarget) -> Work {
        if self.bits != bits {
            *self = Self::new(bits);
        }
        self.work
    }
}

impl Edge {
    /// The first block of a chain.
    pub(super) fn genesis(header: Header) -> Self {
        Self {
            header,
            hash: header.block_hash(),
            height: 0,
            work: header.work(),
            times_s: [header.time; MEDIAN_BLOCKS],
            first_s: header.time,
            first_bits: header.bits,
            hard_bits: header.bits,
        }
    }

    /// A block of a chain that is read backwards from it; `work` is that of the chain up to it.
    pub(super) fn read(
        height: u32,
        hash: BlockHash,
        work: Work,
        rules: &Rules,
        at: impl Fn(u32) -> Header,
    ) -> Self {
        let header = at(height);
        let first = at(height - height % rules.period_blocks);
        let mut times_s = [0; MEDIAN_BLOCKS];
        for height in (0..=height).rev().take(MEDIAN_BLOCKS) {
            times_s[place(height)] = at(height).time;
        }
        let mut hard = height;
        let easy = |height| rules.easy_when_late && at(height).bits == rules.limit_bits;
        while !hard.is_multiple_of(rules.period_blocks) && easy(hard) {
            hard -= 1;
        }
        Self {
            header,
            hash,
            height,
            work,
            times_s,
            first_s: first.time,
            first_bits: first.bits,
            hard_bits: at(hard).bits,
        }
    }

    /// Goes on to the next block of the branch, which was judged.
    pub(super) fn advance(
        &mut self,
        header: Header,
        hash: BlockHash,
        rules: &Rules,
        weighed: &mut Weighed,
    ) {
        self.header = header;
        self.hash = hash;
        self.height += 1;
        self.work = self.work + weighed.work_of(header.bits);
        self.times_s[place(self.height)] = header.time;
        let begins = self.height.is_multiple_of(rules.period_blocks);
        if begins {
            self.first_s = header.time;
            self.first_bits = header.bits;
        }
        if begins || header.bits != rules.limit_bits {
            self.hard_bits = header.bits;
        }
    }

    /// Judges a header whose parent this is.
    ///
    /// # Errors
    /// What is wrong with it, the cheapest check first.
    pub(super) fn judge(
        &self,
        header: &Header,
        hash: BlockHash,
        now_s: u32,
        rules: &Rules,
        weighed: &mut Weighed,
    ) -> Result<(), HeaderFault> {
        let height = self.height + 1;
        if height > rules.max_height {
            return Err(HeaderFault::TooHigh(rules.max_height));
        }
        let expected = self.next_bits(header.time, rules);
        if header.bits != expected {
            let found = header.bits;
            return Err(HeaderFault::WrongTarget { expected, found });
        }
        weighed.work_of(expected);
        if !weighed.target.is_met_by(hash) {
            return Err(HeaderFault::NoWork);
        }
        if let Some(expected) = rules.checkpoint(height).filter(|known| *known != hash) {
            return Err(HeaderFault::NotTheCheckpoint { height, expected });
        }
        let version = header.version.to_consensus();
        if version < rules.lowest_version(height) {
            return Err(HeaderFault::OldVersion { version, height });
        }
        self.judge_time(header.time, now_s, rules)
    }

    fn judge_time(&self, time_s: u32, now_s: u32, rules: &Rules) -> Result<(), HeaderFault> {
        // mostly it is later than all of them
        if self.times_s.iter().any(|known_s| time_s <= *known_s) {
            let median_s = self.median_s();
            if time_s <= median_s {
                return Err(HeaderFault::TooEarly { time_s, median_s });
            }
        }
        let before_s = self.header.time;
        let begins = (self.height + 1).is_multiple_of(rules.period_blocks);
        if rules.bip94 && begins && time_s < before_s.saturating_sub(MAX_TIMEWARP_S) {
            return Err(HeaderFault::TimeWarp { time_s, before_s });
        }
        if time_s > now_s.saturating_add(MAX_AHEAD_S) {
            return Err(HeaderFault::TooLate { time_s, now_s });
        }
        Ok(())
    }

    /// Median time of the last eleven blocks (fewer where the chain begins).
    pub(super) fn median_s(&self) -> u32 {
        let count = MEDIAN_BLOCKS.min(self.height as usize + 1);
        let mut times_s = self.times_s;
        let times_s = &mut times_s[..count];
        times_s.sort_unstable();
        times_s[count / 2]
    }

    /// The target that the next block must have (Bitcoin Core's `GetNextWorkRequired`).
    pub(super) fn next_bits(&self, time_s: u32, rules: &Rules) -> CompactTarget {
        if !rules.retargets {
            return rules.limit_bits;
        }
        if (self.height + 1).is_multiple_of(rules.period_blocks) {
            // Bitcoin's period is one block short: from its first to its last block
            let took_s = i64::from(self.header.time) - i64::from(self.first_s);
            let before = if rules.bip94 {
                self.first_bits
            } else {
                self.header.bits
            };
            return rules.retarget(before, took_s);
        }
        if !rules.easy_when_late {
            return self.header.bits;
        }
        if time_s > self.header.time.saturating_add(EASY_AFTER_S) {
            return rules.limit_bits;
        }
        self.hard_bits
    }
}

/// Where a block's time stands among the last ones.
fn place(height: u32) -> usize {
    height as usize % MEDIAN_BLOCKS
}
