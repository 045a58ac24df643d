//! Which block or DAG is asked of which gateway, and what happens on each outcome. Pure: whoever
//! drives it reads the store, sends the requests, verifies what comes, and hands in the time.
//!
//! Each block of the DAG is looked for in the store first. What is missing is asked of one gateway
//! at a time: leaves as blocks, everything else as the CAR of its whole DAG. What a CAR leaves out
//! is looked at again, so that every request either brings the block it is for, or counts against
//! the gateway: reading ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use blocks::dag::{self, MAX_BLOCK_BYTES, MAX_DEPTH, check_name, codec};
use cid::{Cid, Version};
use thiserror::Error;

use super::gateways::{Choice, GatewayFault, Gateways, NobodyLeft};

/// Requests at once, over all gateways.
const AT_ONCE: usize = 8;
/// Blocks looked at before a gateway is chosen, where the first ones must wait.
const LOOKED_AHEAD: usize = 64;
/// Without a byte for so long, a gateway stalls, milliseconds.
pub const STALL_MS: u64 = 10_000;
/// Speed is measured over this, milliseconds.
const WINDOW_MS: u64 = 10_000;
/// Less than this in a window is slow, bytes.
const SLOW_BYTES: u64 = 256 << 10;
/// Bytes of blocks that nobody asked for, in one answer.
const EXTRA_BYTES: u64 = 2 * MAX_BLOCK_BYTES as u64;
/// Blocks that may be waited for, and inner blocks that are remembered.
pub const MAX_PENDING: usize = 1 << 20;
/// Faults that are remembered to be told.
const FAULTS: usize = 100;

/// How a block or DAG is asked for (trustless gateway specification).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One block: `format=raw`.
    Raw,
    /// A DAG, depth first, each block once: `format=car`.
    Car,
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The root's block.
    Block,
    /// Everything below it.
    All,
}

/// A request to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Names it.
    pub id: u64,
    /// Index of the gateway.
    pub gateway: usize,
    /// What is asked for.
    pub cid: Cid,
    /// In which form.
    pub form: Form,
}

/// What the store has of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Missing,
    /// The block, with these links to look at; none where everything below is held.
    Links(Vec<Cid>),
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The answer is over.
    Whole,
    /// It isn't there (404, 410).
    Lacking,
    /// CARs aren't given here.
    NoCar,
    /// Something is wrong; asked again after a pause, where the gateway named one, milliseconds.
    Fault(GatewayFault, Option<u64>),
}

/// A gateway's fault, to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Index of the gateway.
    pub gateway: usize,
    /// What was asked of it.
    pub cid: Cid,
    /// What it did.
    pub fault: GatewayFault,
}

/// Why reading ended without everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// No gateway is left that could have a block.
    #[error("no gateway is left for the block {cid}")]
    Nobody {
        /// The block.
        cid: Cid,
        /// What happened to them.
        why: NobodyLeft,
    },
    /// Blocks lie too deep below each other.
    #[error("{cid} lies more than {MAX_DEPTH} levels deep")]
    TooDeep {
        /// The block.
        cid: Cid,
    },
    /// More blocks would have to be remembered than is allowed.
    #[error("the DAG is too wide: more than {MAX_PENDING} blocks to remember at once")]
    TooWide,
}

/// A request under way.
#[derive(Debug)]
struct Running {
    ask: Ask,
    /// Blocks that belong to the answer and have not come, with their level.
    expected: BTreeMap<Cid, usize>,
    has_come: bool,
    last_ms: u64,
    window_ms: u64,
    window_bytes: u64,
    extra_bytes: u64,
}

/// The reading of one DAG.
#[derive(Debug)]
pub struct Plan {
    depth: Depth,
    gateways: Gateways,
    /// To be looked for in the store.
    looking: VecDeque<(Cid, usize)>,
    /// Not in the store, not asked for.
    missing: VecDeque<(Cid, usize)>,
    waiting: BTreeSet<Cid>,
    /// Blocks with links that were followed.
    followed: BTreeSet<Cid>,
    running: BTreeMap<u64, Running>,
    cancelled: Vec<u64>,
    reports: VecDeque<Report>,
    told: usize,
    next_id: u64,
    failed: Option<PlanError>,
}

impl Plan {
    /// To read a root to this depth from these gateways.
    pub fn new(root: Cid, depth: Depth, gateways: Gateways) -> Self {
        Self {
            depth,
            gateways,
            looking: VecDeque::from([(root, 0)]),
            missing: VecDeque::new(),
            waiting: BTreeSet::new(),
            followed: BTreeSet::new(),
            running: BTreeMap::new(),
            cancelled: Vec::new(),
            reports: VecDeque::new(),
            told: 0,
            next_id: 0,
            failed: None,
        }
    }

    /// What is known of the gateways, for the next reading.
    pub fn into_gateways(self) -> Gateways {
        self.gateways
    }

    /// The next block to look for in the store; answered by [`Plan::looked`].
    pub fn next_look(&self) -> Option<Cid> {
        self.looking.front().map(|(cid, _)| *cid)
    }

    /// What the store has of the block that [`Plan::next_look`] gave.
    pub fn looked(&mut self, held: Held) {
        let Some((cid, level)) = self.looking.pop_front() else {
            return;
        };
        match held {
            Held::Missing => self.miss(cid, level),
            Held::Links(links) => {
                for link in self.below(cid, level, links) {
                    self.looking.push_back((link, level + 1));
                }
            }
        }
        self.bound();
    }

    /// The next request to be sent.
    ///
    /// # Errors
    /// When what is missing can't be had any more.
    pub fn next_ask(&mut self, now_ms: u64) -> Result<Option<Ask>, PlanError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.running.len() >= AT_ONCE {
            return Ok(None);
        }
        for at in 0..self.missing.len().min(LOOKED_AHEAD) {
            let (cid, level) = self.missing[at];
            match self.gateways.choose(&cid, now_ms) {
                Choice::Later => {}
                Choice::Nobody => {
                    let why = self.gateways.nobody(&cid);
                    return Err(PlanError::Nobody { cid, why });
                }
                Choice::Now(gateway) => {
                    self.missing.remove(at);
                    self.waiting.remove(&cid);
                    return Ok(Some(self.ask(cid, level, gateway, now_ms)));
                }
            }
        }
        Ok(None)
    }

    fn ask(&mut self, cid: Cid, level: usize, gateway: usize, now_ms: u64) -> Ask {
        let is_leaf = matches!(cid.codec(), codec::RAW | codec::CBOR | codec::JSON);
        let is_raw = is_leaf || self.depth == Depth::Block || !self.gateways.gives_cars(gateway);
        let ask = Ask {
            id: self.next_id,
            gateway,
            cid,
            form: if is_raw { Form::Raw } else { Form::Car },
        };
        self.next_id += 1;
        self.gateways.began(gateway);
        let running = Running {
            ask,
            expected: BTreeMap::from([(cid, level)]),
            has_come: false,
            last_ms: now_ms,
            window_ms: now_ms,
            window_bytes: 0,
            extra_bytes: 0,
        };
        self.running.insert(ask.id, running);
        ask
    }

    /// Requests to be cut off; their endings are of no interest.
    pub fn take_cancelled(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.cancelled)
    }

    /// Faults to be told.
    pub fn take_reports(&mut self) -> Vec<Report> {
        self.reports.drain(..).collect()
    }

    /// Everything is held.
    pub fn is_done(&self) -> bool {
        self.failed.is_none()
            && self.looking.is_empty()
            && self.missing.is_empty()
            && self.running.is_empty()
    }

    /// Bytes of an answer came.
    pub fn heard(&mut self, id: u64, bytes: u64, now_ms: u64) {
        if let Some(running) = self.running.get_mut(&id) {
            running.last_ms = now_ms;
            running.window_bytes += bytes;
        }
    }

    /// A verified block came: the name under which it is to be kept, if it belongs to the answer.
    /// One that doesn't is dropped, and too many end the request.
    pub fn expected(&mut self, id: u64, cid: &Cid, size_bytes: usize, now_ms: u64) -> Option<Cid> {
        let running = self.running.get_mut(&id)?;
        let mut names = [Some(*cid), other_version(cid)].into_iter().flatten();
        let known = names.find(|name| running.expected.contains_key(name));
        if known.is_some() {
            return known;
        }
        running.extra_bytes += size_bytes as u64;
        if running.extra_bytes > EXTRA_BYTES {
            self.ended(id, Ending::Fault(GatewayFault::TooMuch, None), now_ms);
            self.cancelled.push(id);
        }
        None
    }

    /// An expected block was kept; it has these links.
    pub fn taken(&mut self, id: u64, cid: Cid, links: Vec<Cid>) {
        let Some(running) = self.running.get_mut(&id) else {
            return;
        };
        let Some(level) = running.expected.remove(&cid) else {
            return;
        };
        running.has_come |= running.ask.cid == cid;
        let (gateway, form) = (running.ask.gateway, running.ask.form);
        self.gateways.praise(gateway);
        for link in self.below(cid, level, links) {
            match self.running.get_mut(&id) {
                // Blocks inside their names are in no answer.
                Some(running) if form == Form::Car && dag::inline(&link).is_none() => {
                    running.expected.insert(link, level + 1);
                }
                _ => self.looking.push_back((link, level + 1)),
            }
        }
        if self.waiting.remove(&cid) {
            self.missing.retain(|(missing, _)| *missing != cid);
        }
        self.bound();
    }

    /// A request ended.
    pub fn ended(&mut self, id: u64, ending: Ending, now_ms: u64) {
        let Some(running) = self.running.remove(&id) else {
            return;
        };
        let Ask { gateway, cid, .. } = running.ask;
        self.gateways.ended(gateway);
        match ending {
            Ending::Whole if running.has_come => {}
            Ending::Whole | Ending::Lacking => self.gateways.lacks(gateway, cid),
            Ending::NoCar => self.gateways.no_car(gateway),
            Ending::Fault(fault, pause_ms) => {
                let has_come = running.has_come;
                self.gateways
                    .blame(gateway, &fault, has_come, pause_ms, now_ms);
                self.report(gateway, cid, fault);
            }
        }
        self.look_again(running);
        if self.gateways.is_banned(gateway) {
            self.leave(gateway);
        }
    }

    /// Time passed: who stalls is cut off, and who is slow where another isn't.
    pub fn tick(&mut self, now_ms: u64) {
        let mut late = Vec::new();
        for (id, running) in &mut self.running {
            if now_ms.saturating_sub(running.last_ms) >= STALL_MS {
                late.push((*id, GatewayFault::Stalled));
            } else if now_ms.saturating_sub(running.window_ms) >= WINDOW_MS {
                let Ask { gateway, cid, .. } = running.ask;
                if running.window_bytes < SLOW_BYTES && self.gateways.has_better(gateway, &cid) {
                    late.push((*id, GatewayFault::Slow));
                }
                running.window_ms = now_ms;
                running.window_bytes = 0;
            }
        }
        for (id, fault) in late {
            self.cancelled.push(id);
            self.ended(id, Ending::Fault(fault, None), now_ms);
        }
    }

    /// When [`Plan::tick`] and [`Plan::next_ask`] should be called again, at the latest.
    pub fn next_ms(&self, now_ms: u64) -> u64 {
        let requests = self.running.values();
        let requests =
            requests.map(|running| (running.last_ms + STALL_MS).min(running.window_ms + WINDOW_MS));
        let soon = requests.chain(self.gateways.next_ms(now_ms)).min();
        soon.unwrap_or(now_ms + STALL_MS)
    }

    /// Links of a block that lead to blocks to be had.
    fn below(&mut self, cid: Cid, level: usize, links: Vec<Cid>) -> Vec<Cid> {
        if self.depth == Depth::Block || links.is_empty() || !self.followed.insert(cid) {
            return Vec::new();
        }
        if level >= MAX_DEPTH {
            self.failed.get_or_insert(PlanError::TooDeep { cid });
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let mut wanted = links;
        wanted.retain(|link| {
            check_name(link).is_ok() && !self.followed.contains(link) && seen.insert(*link)
        });
        wanted
    }

    fn miss(&mut self, cid: Cid, level: usize) {
        let is_expected = |running: &Running| running.expected.contains_key(&cid);
        if !self.running.values().any(is_expected) && self.waiting.insert(cid) {
            self.missing.push_back((cid, level));
        }
    }

    /// What a request did not bring is looked for again: another may have brought it.
    fn look_again(&mut self, running: Running) {
        self.looking.extend(running.expected);
    }

    fn report(&mut self, gateway: usize, cid: Cid, fault: GatewayFault) {
        if self.told < FAULTS {
            self.told += 1;
            self.reports.push_back(Report {
                gateway,
                cid,
                fault,
            });
        }
    }

    /// Ends every request to a gateway.
    fn leave(&mut self, gateway: usize) {
        let of_it = |running: &&Running| running.ask.gateway == gateway;
        let ids: Vec<u64> = self
            .running
            .values()
            .filter(of_it)
            .map(|r| r.ask.id)
            .collect();
        for id in ids {
            self.cancelled.push(id);
            if let Some(running) = self.running.remove(&id) {
                self.gateways.ended(gateway);
                self.look_again(running);
            }
        }
    }

    fn bound(&mut self) {
        let expected: usize = self.running.values().map(|r| r.expected.len()).sum();
        let pending = expected + self.looking.len() + self.missing.len();
        if pending > MAX_PENDING || self.followed.len() > MAX_PENDING {
            self.failed.get_or_insert(PlanError::TooWide);
        }
    }
}

/// The same block under the other version of CIDs: some gateways write links anew.
fn other_version(cid: &Cid) -> Option<Cid> {
    match cid.version() {
        Version::V0 => cid.into_v1().ok(),
        _ if cid.codec() == codec::DAG_PB => Cid::new_v0(*cid.hash()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
