//! What a peer shows, truly or not.

use bitcoin::{
    Amount, Block, BlockHash,
    block::Header,
    consensus::serialize,
    p2p::{
        Magic,
        message::{NetworkMessage, RawNetworkMessage},
        message_blockdata::GetHeadersMessage,
    },
};

use super::{
    branch::Branch,
    coinbase::{block_on, grind, spoil},
    miner::Miner,
    peer::Behaviour,
};

/// Blocks that a stale peer is behind.
const STALE: u32 = 6;
/// Blocks by which a branch with less work leaves the chain below its end.
const FORK: u32 = 10;
/// Blocks of that branch.
const OWN: u32 = 5;
/// Blocks that liars claim to have on top of what there is.
const BOAST: u32 = 1_000;
/// Forged headers on top of the chain.
const FORGED: usize = 10;
/// Bytes of garbage.
const GARBAGE_BYTES: usize = 4_096;
/// Where a message says how long it is: after its magic and its command.
const LENGTH_AT: usize = 16;

/// A chain as one peer shows it.
#[derive(Debug)]
pub(super) struct Shown {
    miner: Miner,
    behaviour: Behaviour,
    /// The chain that it keeps to, whatever is mined; none: the miner's.
    own: Option<Branch>,
}

impl Shown {
    pub(super) fn new(miner: &Miner, behaviour: Behaviour) -> Self {
        let active = miner.active();
        let own = match behaviour {
            Behaviour::StaleTip => Some(active.until(active.height().saturating_sub(STALE))),
            Behaviour::LowerWork => Some(lower(&active)),
            _ => None,
        };
        Self {
            miner: miner.clone(),
            behaviour,
            own,
        }
    }

    pub(super) fn chain(&self) -> Branch {
        self.own.clone().unwrap_or_else(|| self.miner.active())
    }

    pub(super) fn claimed_height(&self) -> u32 {
        let height = self.chain().height();
        match self.behaviour {
            Behaviour::LowerWork | Behaviour::ForgedHeaders | Behaviour::Silent => height + BOAST,
            _ => height,
        }
    }

    /// The answer to `getheaders`.
    pub(super) fn headers(&self, asked: &GetHeadersMessage, turn: u64) -> Vec<Header> {
        let chain = self.chain();
        let mut headers = chain.after(&asked.locator_hashes, &asked.stop_hash);
        if self.behaviour == Behaviour::ForgedHeaders {
            let end = headers.last().copied();
            let end = end.or_else(|| chain.tip().map(|one| one.header));
            if let Some(end) = end {
                headers.extend(forged_on(&end, turn));
                headers.truncate(2_000);
            }
        }
        headers
    }

    /// What is announced when the miner's chain became `new`.
    pub(super) fn news(&self, old: &Branch, new: &Branch, turn: u64) -> Vec<Header> {
        let headers = new.since(old).iter().map(|one| one.header);
        match self.behaviour {
            Behaviour::ForgedHeaders => match new.tip() {
                Some(tip) => forged_on(&tip.header, turn),
                None => Vec::new(),
            },
            _ => headers.collect(),
        }
    }

    /// Whether it tells of new blocks.
    pub(super) fn announces(&self) -> bool {
        self.own.is_none() && !matches!(self.behaviour, Behaviour::Silent | Behaviour::Garbage)
    }

    /// The answer to `getdata` for a block.
    pub(super) fn block(&self, hash: &BlockHash, with_witnesses: bool) -> Option<Block> {
        let own = self.own.as_ref().and_then(|one| one.find(hash).cloned());
        let block = own.or_else(|| self.miner.find(hash))?;
        let mut block = (*block).clone();
        if !with_witnesses {
            let inputs = block.txdata.iter_mut().flat_map(|one| &mut one.input);
            inputs.for_each(|input| input.witness.clear());
        }
        if self.behaviour == Behaviour::ForgedBlocks {
            let output = block.txdata.first_mut()?.output.first_mut()?;
            output.value += Amount::ONE_SAT;
        }
        Some(block)
    }
}

/// A branch that leaves the chain and has less work than it.
fn lower(active: &Branch) -> Branch {
    let fork = active.height().saturating_sub(FORK);
    let own = OWN.min((active.height() - fork) / 2);
    let mut branch = active.until(fork);
    for index in 0..own {
        let Some(tip) = branch.tip() else { break };
        let height = branch.height() + 1;
        let (header, time_s) = (tip.header, tip.header.time + 601);
        let extra = u64::MAX - u64::from(index);
        branch.push(block_on(&header, height, time_s, extra, Vec::new()));
    }
    branch
}

/// Headers that link up but can't be true: with a time in the past, or without work, by turns.
fn forged_on(end: &Header, turn: u64) -> Vec<Header> {
    let mut headers = Vec::with_capacity(FORGED);
    let mut parent = *end;
    for _ in 0..FORGED {
        let mut header = parent;
        header.prev_blockhash = parent.block_hash();
        if turn.is_multiple_of(2) {
            header.time = end.time - 1_000_000;
            grind(&mut header);
        } else {
            header.time = parent.time + 600;
            spoil(&mut header);
        }
        headers.push(header);
        parent = header;
    }
    headers
}

/// Bytes that are no messages, such whose payload is none, and the beginning of a message of
/// 4 GiB, by turns.
pub(super) fn garbage(turn: u64) -> Vec<u8> {
    let mut state = turn.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(GARBAGE_BYTES);
    while bytes.len() < GARBAGE_BYTES {
        // xorshift64: the same bytes at each run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    match turn % 3 {
        0 => bytes,
        1 => framed(bytes),
        _ => {
            let mut endless = framed(bytes);
            endless[LENGTH_AT..LENGTH_AT + 4].fill(0xff);
            endless
        }
    }
}

/// A message whose payload is none.
fn framed(payload: Vec<u8>) -> Vec<u8> {
    let Ok(command) = "headers".parse() else {
        return payload;
    };
    let message = NetworkMessage::Unknown { command, payload };
    serialize(&RawNetworkMessage::new(Magic::REGTEST, message))
}
