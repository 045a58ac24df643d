//! What a mirror keeps, fetches and gives up, under a byte budget. Pure: what is known and the time
//! are handed in; the same input gives the same plan in every process.
//!
//! Candidates come with the rule that they go by. Worth orders them: what is needed comes before
//! what enough others hold, earlier rules before later ones, higher scores before lower ones where
//! the rule ranks by score, then what was active last. What is worth most gets the room. What is
//! held counts as a little better than it is, so that two of the same worth don't take turns.
//!
//! Where a rule says how many copies are enough, mirrors of one space share the work without a
//! word: each ranks all of them by a hash of endpoint and blob (rendezvous hashing). The first ones
//! fetch at once, each further one a while later, if by then there are still too few copies; and of
//! too many holders the last ones may give up theirs.

mod plan;
mod rank;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use model::{BlobId, EndpointKey, SpaceId};

/// Bounds of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Room for what goes by this rule, bytes; 0: only the node's room bounds it.
    pub max_bytes: u64,
    /// So many holders are enough, this node included; 0: kept however many hold it.
    pub replicas: u32,
    /// Worth is the score first, then the last activity; else the last activity alone.
    pub is_by_score: bool,
}

/// A blob that matches a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub blob: BlobId,
    /// What it takes on disk when it is held in full, bytes.
    pub bytes: u64,
    /// Place of its rule in [`View::rules`].
    pub rule: usize,
    /// Its space: who mirrors that shares the work.
    pub space: SpaceId,
    /// Score of its thread.
    pub score: i64,
    /// Last activity of its thread, Unix milliseconds.
    pub last_ms: u64,
    /// Who else says that it holds all of it.
    pub others: BTreeSet<EndpointKey>,
    /// All of it is here.
    pub is_held: bool,
    /// It is kept for a better reason than a rule: it stays, and takes nothing of the rule's room.
    pub is_pinned: bool,
}

/// What is known besides the candidates.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// This node.
    pub own: EndpointKey,
    /// The rules, best first.
    pub rules: &'a [Bounds],
    /// Room for all rules together, bytes.
    pub room_bytes: u64,
    /// Other mirrors of each space.
    pub mirrors: &'a BTreeMap<SpaceId, BTreeSet<EndpointKey>>,
    /// Most blobs that are to be fetched at a time.
    pub max_fetches: usize,
}

/// How a candidate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Here, and it stays.
    Held,
    /// Here, though enough others hold it: it may stay for as long as there is room.
    Surplus,
    /// Here, and it has to go.
    Dropped,
    /// It is to be fetched now.
    Fetched,
    /// It is to be fetched after others.
    Queued,
    /// Other mirrors are to fetch it first.
    Waiting,
    /// Enough others hold it.
    Enough,
    /// What is worth more fills the room.
    NoRoom,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be fetched now: what somebody is known to have, rarest first, then by worth.
    pub fetch: Vec<BlobId>,
    /// To be given up, worst first.
    pub drop: Vec<BlobId>,
    /// What would go next if room were needed, worst first.
    pub eviction: Vec<BlobId>,
    /// Every candidate.
    pub standing: BTreeMap<BlobId, Standing>,
    /// When it may be another node's turn no longer, Unix milliseconds.
    pub next_ms: Option<u64>,
}

/// What is remembered from one plan to the next.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    /// Since when there are too few copies of a blob, by this node's clock.
    short_since_ms: BTreeMap<BlobId, u64>,
}
