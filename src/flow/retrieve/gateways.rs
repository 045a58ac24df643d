//! What is known of each gateway while something is read: who lied, lacks, stalls or is slow.

use std::collections::BTreeSet;

use cid::Cid;
use thiserror::Error;

/// Requests to one gateway at once.
const PER_GATEWAY: usize = 4;
/// Failures in a row after which a gateway is given up.
const STRIKES: u32 = 4;
/// Pause after the first failure; twice as long after each further one, milliseconds.
const PAUSE_MS: u64 = 500;
/// The longest pause that a gateway may ask for, milliseconds.
const MAX_PAUSE_MS: u64 = 30_000;
/// Things that gateways lack, remembered over all gateways. Who lacks more is asked no more.
const LACKED: usize = 4_096;

/// What a gateway did wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GatewayFault {
    /// It sent other bytes than those of the block.
    #[error("it sent wrong bytes for the block {block}")]
    Lie {
        /// The block.
        block: Cid,
    },
    /// Its answer is none of the asked form.
    #[error("its answer makes no sense: {0}")]
    Nonsense(String),
    /// It sent more than was asked for.
    #[error("it sent more than was asked for")]
    TooMuch,
    /// No byte came for too long.
    #[error("it stalled")]
    Stalled,
    /// It is much slower than another.
    #[error("it is slow")]
    Slow,
    /// It can't be reached, or broke off.
    #[error("{0}")]
    Broken(String),
    /// It says that it is busy.
    #[error("it says that it is busy")]
    Busy,
}

impl GatewayFault {
    /// It sent what nobody asked for, or what isn't true: it isn't asked again.
    pub fn is_lie(&self) -> bool {
        matches!(self, Self::Lie { .. } | Self::Nonsense(_) | Self::TooMuch)
    }
}

/// One gateway.
#[derive(Debug, Default)]
struct State {
    is_banned: bool,
    is_gone: bool,
    is_slow: bool,
    has_no_car: bool,
    strikes: u32,
    wait_until_ms: u64,
    asks: usize,
}

/// All gateways, in the order in which they are preferred.
#[derive(Debug, Default)]
pub struct Gateways {
    states: Vec<State>,
    lacked: BTreeSet<(usize, Cid)>,
}

/// Who can be asked for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one, now.
    Now(usize),
    /// Somebody, later.
    Later,
    /// Nobody.
    Nobody,
}

/// Why nobody can be asked any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NobodyLeft {
    /// Who answered said that it isn't there.
    NotFound,
    /// Who answered lied.
    Lies,
    /// Nobody answered.
    Unreachable,
}

impl Gateways {
    /// So many gateways, none asked yet.
    pub fn new(count: usize) -> Self {
        Self {
            states: (0..count).map(|_| State::default()).collect(),
            lacked: BTreeSet::new(),
        }
    }

    /// The best one for a block.
    pub(super) fn choose(&self, cid: &Cid, now_ms: u64) -> Choice {
        let left = self.states.iter().enumerate().filter(|(index, state)| {
            !state.is_banned && !state.is_gone && !self.lacked.contains(&(*index, *cid))
        });
        let mut choice = Choice::Nobody;
        let mut best = None;
        let mut is_any_quick = false;
        for (index, state) in left {
            choice = Choice::Later;
            is_any_quick |= !state.is_slow && state.strikes == 0;
            let rank = (state.is_slow, state.strikes, index);
            let is_free = state.asks < PER_GATEWAY && state.wait_until_ms <= now_ms;
            if is_free && best.is_none_or(|best| rank < best) {
                best = Some(rank);
            }
        }
        match best {
            // A quick one that is busy now has done it before a slow one has.
            Some((true, _, _)) if is_any_quick => Choice::Later,
            Some((_, _, index)) => Choice::Now(index),
            None => choice,
        }
    }

    /// Whether another gateway, with which nothing is wrong, could be asked instead.
    pub(super) fn has_better(&self, than: usize, cid: &Cid) -> bool {
        let others = self.states.iter().enumerate();
        others
            .filter(|(index, _)| *index != than && !self.lacked.contains(&(*index, *cid)))
            .any(|(_, state)| {
                let is_well = !state.is_banned && !state.is_gone && !state.is_slow;
                is_well && state.strikes == 0 && state.asks < PER_GATEWAY
            })
    }

    /// Why nobody is left for a block.
    pub(super) fn nobody(&self, cid: &Cid) -> NobodyLeft {
        let lacks = |index| self.lacked.contains(&(index, *cid));
        let honest = self.states.iter().enumerate();
        if honest
            .filter(|(_, s)| !s.is_banned)
            .any(|(index, _)| lacks(index))
        {
            NobodyLeft::NotFound
        } else if self.states.iter().any(|state| state.is_banned) {
            NobodyLeft::Lies
        } else {
            NobodyLeft::Unreachable
        }
    }

    /// The earliest time at which a waiting gateway may be asked again.
    pub(super) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        let waiting = self.states.iter().filter(|s| !s.is_banned && !s.is_gone);
        waiting
            .map(|state| state.wait_until_ms)
            .filter(|until_ms| *until_ms > now_ms)
            .min()
    }

    /// Whether it gives whole DAGs as CARs.
    pub(super) fn gives_cars(&self, index: usize) -> bool {
        !self.states[index].has_no_car
    }

    /// It doesn't give CARs.
    pub(super) fn no_car(&mut self, index: usize) {
        self.states[index].has_no_car = true;
    }

    /// A request to it begins.
    pub(super) fn began(&mut self, index: usize) {
        self.states[index].asks += 1;
    }

    /// A request to it ended.
    pub(super) fn ended(&mut self, index: usize) {
        let state = &mut self.states[index];
        state.asks = state.asks.saturating_sub(1);
    }

    /// It delivered.
    pub(super) fn praise(&mut self, index: usize) {
        self.states[index].strikes = 0;
    }

    /// It says that it doesn't have a block.
    pub(super) fn lacks(&mut self, index: usize, cid: Cid) {
        if self.lacked.len() < LACKED {
            self.lacked.insert((index, cid));
        } else {
            self.states[index].is_gone = true;
        }
    }

    /// It did something wrong, perhaps after something of the answer had come.
    pub(super) fn blame(
        &mut self,
        index: usize,
        fault: &GatewayFault,
        has_come: bool,
        pause_ms: Option<u64>,
        now_ms: u64,
    ) {
        let state = &mut self.states[index];
        if fault.is_lie() {
            state.is_banned = true;
            return;
        }
        if *fault == GatewayFault::Slow {
            state.is_slow = true;
            return;
        }
        if has_come {
            state.strikes = 1;
        } else if state.wait_until_ms <= now_ms {
            // What fails at the same time fails for the same reason.
            state.strikes += 1;
        }
        state.is_gone = state.strikes >= STRIKES;
        let doubled = PAUSE_MS << state.strikes.saturating_sub(1).min(10);
        let pause_ms = pause_ms.unwrap_or(doubled).min(MAX_PAUSE_MS);
        state.wait_until_ms = now_ms.saturating_add(pause_ms);
    }

    /// Whether it lied.
    pub(super) fn is_banned(&self, index: usize) -> bool {
        self.states[index].is_banned
    }
}
