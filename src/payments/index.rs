//! Which votes have proofs, and how they stand: pure. Rebuilt from rows at every start, and judged
//! anew whenever the chain moves.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use model::{EntryId, IdentityId};
use spv::proof::{Checked, Headers, ProofError};
use views::data::Paid;

use super::{
    facts::{KeyState, VoteFacts},
    proof::{Standing, View, Worth},
    sums::VoteSum,
    totals::{Share, Totals},
};

/// Proofs of one vote. Beyond them the least worth goes, of equals the newest.
pub const PROOFS_OF_A_VOTE: usize = 64;
/// Proofs of all votes together.
pub const PROOFS: usize = 100_000;
/// Threads of which it is remembered that rows are missing here; those of more are read again at
/// the next start only.
const LOST: usize = 100_000;

/// A proof as a row published it.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Vote that the row is about.
    pub vote: EntryId,
    /// Row with the recipient's key; none where the proof didn't decode.
    pub key_row: Option<EntryId>,
    /// How it stands.
    pub standing: Standing,
    /// When the row came here, Unix milliseconds.
    pub arrived_ms: u64,
}

/// A row to be taken in.
#[derive(Clone, Debug)]
pub struct NewProof {
    /// The row.
    pub row: EntryId,
    /// Vote that it is about.
    pub vote: EntryId,
    /// What rows say of the vote.
    pub facts: VoteFacts,
    /// What its proof says, without a chain.
    pub checked: Result<Checked, ProofError>,
    /// What is known of the row that the proof cites.
    pub key: KeyState,
    /// When the row came here, Unix milliseconds.
    pub arrived_ms: u64,
}

/// A vote with proofs.
#[derive(Clone, Debug)]
pub(super) struct Vote {
    pub(super) facts: VoteFacts,
    pub(super) proofs: BTreeSet<EntryId>,
    /// What was told of it last.
    told: Option<VoteSum>,
    /// What it adds to the totals, by what was told.
    share: Share,
}

/// All proofs.
#[derive(Debug, Default)]
pub struct Index {
    proofs: BTreeMap<EntryId, Proof>,
    votes: BTreeMap<EntryId, Vote>,
    by_post: BTreeMap<EntryId, Totals>,
    by_root: BTreeMap<EntryId, Totals>,
    by_key: BTreeMap<EntryId, BTreeSet<EntryId>>,
    /// Taken in, not judged by the chain yet.
    fresh: BTreeSet<EntryId>,
    /// Votes that may stand otherwise than was told.
    touched: BTreeSet<EntryId>,
    /// Changes with everything that counts.
    generation: u64,
    /// Threads with rows that are not here, but may count later.
    lost: BTreeSet<EntryId>,
}

impl Index {
    /// Takes a proof in, or anew. It counts once [`Index::judge_fresh`] was called.
    pub fn insert(&mut self, new: NewProof) {
        self.remove(&new.row);
        let key_row = new.checked.as_ref().ok().map(|checked| checked.key_row);
        let standing = Standing::new(new.vote, &new.facts, new.checked, &new.key);
        let (post, root) = (new.facts.post, new.facts.root);
        let vote = self.votes.entry(new.vote).or_insert_with(|| Vote {
            facts: new.facts.clone(),
            proofs: BTreeSet::new(),
            told: None,
            share: Share::default(),
        });
        vote.facts = new.facts;
        vote.proofs.insert(new.row);
        self.by_post.entry(post).or_default().votes.insert(new.vote);
        self.by_root.entry(root).or_default().votes.insert(new.vote);
        if let Some(key_row) = key_row {
            self.by_key.entry(key_row).or_default().insert(new.row);
        }
        let proof = Proof {
            vote: new.vote,
            key_row,
            standing,
            arrived_ms: new.arrived_ms,
        };
        self.proofs.insert(new.row, proof);
        self.fresh.insert(new.row);
        self.touch(new.vote);
    }

    /// A row no longer counts, or makes room.
    pub fn remove(&mut self, row: &EntryId) {
        let Some(proof) = self.proofs.remove(row) else {
            return;
        };
        self.fresh.remove(row);
        if let Some(key_row) = &proof.key_row {
            unlink(&mut self.by_key, key_row, row);
        }
        self.touch(proof.vote);
        let Some(vote) = self.votes.get_mut(&proof.vote) else {
            return;
        };
        vote.proofs.remove(row);
        // A vote that was told of stays until that is taken back.
        if vote.proofs.is_empty() && vote.told.is_none() {
            self.forget_vote(&proof.vote);
        }
    }

    fn forget_vote(&mut self, vote: &EntryId) {
        let Some(gone) = self.votes.remove(vote) else {
            return;
        };
        for (map, key) in [
            (&mut self.by_post, gone.facts.post),
            (&mut self.by_root, gone.facts.root),
        ] {
            if let Some(totals) = map.get_mut(&key) {
                totals.change(gone.share, Share::default());
                totals.votes.remove(vote);
                if totals.votes.is_empty() {
                    map.remove(&key);
                }
            }
        }
    }

    /// What was told of a vote changes the totals of its post and its thread.
    fn share(&mut self, id: &EntryId) {
        let Some(vote) = self.votes.get_mut(id) else {
            return;
        };
        let now = vote
            .told
            .as_ref()
            .map_or_else(Share::default, |sum| Share::of(sum, &vote.facts));
        let before = std::mem::replace(&mut vote.share, now);
        if before == now {
            return;
        }
        for (map, key) in [
            (&mut self.by_post, vote.facts.post),
            (&mut self.by_root, vote.facts.root),
        ] {
            if let Some(totals) = map.get_mut(&key) {
                totals.change(before, now);
            }
        }
        if before.sats != now.sats {
            self.generation += 1;
        }
    }

    /// A vote is gone from here, with its proofs.
    pub fn forget(&mut self, vote: &EntryId) {
        let Some(found) = self.votes.get(vote) else {
            return;
        };
        let root = found.facts.root;
        for row in found.proofs.clone() {
            self.remove(&row);
        }
        self.lose(root);
    }

    /// A thread has rows that are not here, but may count later.
    pub fn lose(&mut self, root: EntryId) {
        if self.lost.len() < LOST {
            self.lost.insert(root);
        }
    }

    /// Threads whose rows are to be read again; empty then.
    pub fn take_lost(&mut self) -> BTreeSet<EntryId> {
        std::mem::take(&mut self.lost)
    }

    /// Whether rows of a thread are to be read again.
    pub fn has_lost(&self, root: &EntryId) -> bool {
        self.lost.contains(root)
    }

    /// Whether rows of any thread are to be read again.
    pub fn has_any_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Makes room by a row. What is false stays false; all else may turn out to be true.
    fn evict(&mut self, row: &EntryId) {
        let Some(proof) = self.proofs.get(row) else {
            return;
        };
        let root = self.votes.get(&proof.vote).map(|vote| vote.facts.root);
        if proof.standing.worth() > Worth::False
            && let Some(root) = root
        {
            self.lose(root);
        }
        self.remove(row);
    }

    /// What rows say of a vote has changed.
    pub fn set_facts(&mut self, vote: EntryId, facts: VoteFacts) {
        if let Some(known) = self.votes.get_mut(&vote)
            && known.facts != facts
        {
            known.facts = facts;
            self.touch(vote);
        }
    }

    fn touch(&mut self, vote: EntryId) {
        self.touched.insert(vote);
    }

    /// Judges what was taken in since, and makes room.
    pub fn judge_fresh<H: Headers>(&mut self, view: &View<'_, H>) {
        let fresh = std::mem::take(&mut self.fresh);
        let mut votes = BTreeSet::new();
        for row in &fresh {
            if let Some(proof) = self.proofs.get_mut(row) {
                proof.standing.judge(view);
                votes.insert(proof.vote);
            }
        }
        for vote in votes {
            self.trim_vote(&vote);
        }
        if self.proofs.len() > PROOFS {
            self.trim_all();
        }
    }

    /// Judges everything anew: the chain has moved.
    pub fn judge_all<H: Headers>(&mut self, view: &View<'_, H>) {
        self.fresh.clear();
        for proof in self.proofs.values_mut() {
            proof.standing.judge(view);
        }
        self.touched.extend(self.votes.keys());
    }

    fn trim_vote(&mut self, vote: &EntryId) {
        while let Some(found) = self.votes.get(vote)
            && found.proofs.len() > PROOFS_OF_A_VOTE
        {
            let rows = found.proofs.iter();
            let least = rows.filter_map(|row| self.rank(row)).min();
            let Some((_, _, row)) = least else {
                return;
            };
            self.evict(&row);
        }
    }

    /// The least goes first: by worth, then the newest.
    fn rank(&self, row: &EntryId) -> Option<(Worth, Reverse<u64>, EntryId)> {
        let proof = self.proofs.get(row)?;
        let newest = Reverse(proof.arrived_ms);
        Some((proof.standing.worth(), newest, *row))
    }

    /// Makes room at once for many, since it looks at all.
    fn trim_all(&mut self) {
        let mut ranks: Vec<_> = self
            .proofs
            .keys()
            .filter_map(|row| self.rank(row))
            .collect();
        ranks.sort_unstable();
        for (_, _, row) in ranks.into_iter().take(PROOFS / 16) {
            self.evict(&row);
        }
    }

    /// Votes that stand otherwise than was told before; none of them twice.
    pub fn take_changes(&mut self, settled: u32) -> Vec<(EntryId, VoteFacts, VoteSum)> {
        let mut changes = Vec::new();
        for id in std::mem::take(&mut self.touched) {
            let Some(vote) = self.votes.get(&id) else {
                continue;
            };
            let sum = self.sum_of(vote, settled);
            let facts = vote.facts.clone();
            let is_gone = vote.proofs.is_empty();
            if vote
                .told
                .as_ref()
                .is_none_or(|told| told.differs(&sum, settled))
            {
                if let Some(vote) = self.votes.get_mut(&id) {
                    vote.told = Some(sum.clone());
                }
                changes.push((id, facts, sum));
            }
            self.share(&id);
            if is_gone {
                self.forget_vote(&id);
            }
        }
        changes
    }

    /// The proofs of a vote.
    pub fn proofs_of(&self, vote: &EntryId) -> impl Iterator<Item = (&EntryId, &Proof)> {
        let rows = self
            .votes
            .get(vote)
            .into_iter()
            .flat_map(|vote| &vote.proofs);
        rows.filter_map(|row| self.proofs.get_key_value(row))
    }

    /// The rows whose proofs cite a row as the recipient's key.
    pub fn citing(&self, key_row: &EntryId) -> Vec<EntryId> {
        let rows = self.by_key.get(key_row).into_iter().flatten();
        rows.copied().collect()
    }

    /// What rows say of a vote with proofs.
    pub fn facts(&self, vote: &EntryId) -> Option<&VoteFacts> {
        self.votes.get(vote).map(|vote| &vote.facts)
    }

    /// Votes with proofs on a post.
    pub fn votes_on(&self, post: &EntryId) -> impl Iterator<Item = &EntryId> {
        let totals = self.by_post.get(post);
        totals.into_iter().flat_map(|totals| &totals.votes)
    }

    /// Votes with proofs in a thread.
    pub fn votes_in(&self, root: &EntryId) -> impl Iterator<Item = &EntryId> {
        let totals = self.by_root.get(root);
        totals.into_iter().flat_map(|totals| &totals.votes)
    }

    /// Of the votes with proofs on a post at most `limit`: those with the most sats.
    pub fn best_on(&self, post: &EntryId, limit: usize) -> Vec<EntryId> {
        let votes = self.votes_on(post).filter_map(|id| {
            let vote = self.votes.get(id)?;
            let sum = vote.told.as_ref()?;
            Some((
                Reverse((sum.counted_sats, sum.sats, vote.facts.time_ms)),
                *id,
            ))
        });
        let mut votes: Vec<_> = votes.collect();
        if votes.len() > limit {
            votes.select_nth_unstable(limit);
            votes.truncate(limit);
        }
        votes.into_iter().map(|(_, id)| id).collect()
    }

    /// What a post was paid, as was told; none when nothing is to be said.
    pub fn paid_on(&self, post: &EntryId) -> Option<Paid> {
        self.by_post.get(post).and_then(Totals::shown)
    }

    /// What the posts of a thread were paid together, as was told.
    pub fn paid_in(&self, root: &EntryId) -> Option<Paid> {
        self.by_root.get(root).and_then(Totals::shown)
    }

    /// Votes that count: thread, voter and sats.
    pub fn counted(&self) -> impl Iterator<Item = (&EntryId, &IdentityId, u64)> {
        let votes = self.votes.values().filter(|vote| vote.share.sats > 0);
        votes.map(|vote| (&vote.facts.root, &vote.facts.voter, vote.share.sats))
    }

    pub(super) fn vote(&self, vote: &EntryId) -> Option<&Vote> {
        self.votes.get(vote)
    }

    /// All votes with proofs.
    pub fn votes(&self) -> impl Iterator<Item = (&EntryId, &VoteFacts)> {
        self.votes.iter().map(|(id, vote)| (id, &vote.facts))
    }

    /// A proof by its row.
    pub fn proof(&self, row: &EntryId) -> Option<&Proof> {
        self.proofs.get(row)
    }

    /// Changes whenever a sum may have.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Proofs held.
    pub fn len(&self) -> usize {
        self.proofs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.proofs.is_empty()
    }

    /// Rows held, to find those that are gone when all are read anew.
    pub fn rows(&self) -> BTreeSet<EntryId> {
        self.proofs.keys().copied().collect()
    }
}

fn unlink(map: &mut BTreeMap<EntryId, BTreeSet<EntryId>>, key: &EntryId, value: &EntryId) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}
