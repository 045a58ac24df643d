//! What this node waits to see paid: its own paid votes and batches, in `payments.json`. What a
//! call changed is on disk when it returns.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use bitcoin::{BlockHash, OutPoint, ScriptBuf, Transaction, Txid};
use model::{EndpointKey, EntryId, IdentityId, SpaceId};
use serde::{Deserialize, Serialize};
use spv::{
    Network,
    proof::{
        Binding, Claim, KeyError, address_script,
        batch::{Batch, BatchError, Recipient},
        commitments,
    },
};
use views::data::PayTo;

use super::{lock, reading::Reading, written};
use crate::data_folder::{DataFolder, FolderError};

const FILE: &str = "payments.json";
/// Own paid votes that are remembered; more can't be offered before some are forgotten.
pub const OFFERS: usize = 10_000;
/// Batches that are remembered; the oldest makes room.
pub const BATCHES: usize = 256;
/// Payments of one vote that are remembered; beyond them the smallest makes room.
pub(super) const FOUND: usize = 64;
/// Other nodes of which it is remembered that they hold a vote.
const HOLDERS: usize = 64;
/// Blocks are read for an offer for this long; afterwards its transaction has to be given.
const LOOKED_FOR_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// An own vote that is to be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Post voted on.
    pub post: EntryId,
    /// First post of its thread.
    pub root: EntryId,
    /// Its board.
    pub space: SpaceId,
    /// What the recipient is to the post.
    pub to: PayTo,
    /// Who is to be paid.
    pub recipient: IdentityId,
    /// On which chain.
    #[serde(with = "written::text")]
    pub network: Network,
    /// The recipient's key, x-only.
    #[serde(with = "written::hex32")]
    pub key: [u8; 32],
    /// The row that published it.
    pub key_row: EntryId,
    /// What is to be paid.
    pub sats: u64,
    /// When it was first offered, Unix milliseconds.
    pub offered_ms: u64,
    /// When it was offered again, or its transaction given, Unix milliseconds.
    #[serde(default)]
    pub renewed_ms: u64,
    /// First block that may pay it: the one above the tip when it was offered. None while there
    /// were no headers to say so.
    #[serde(default)]
    pub from_height: Option<u32>,
    /// The address is shown though nobody else holds the vote.
    #[serde(default)]
    pub anyway: bool,
    /// Others that hold the vote.
    #[serde(default)]
    pub holders: BTreeSet<EndpointKey>,
    /// The transaction that was handed to this node.
    #[serde(default, with = "written::maybe_text")]
    pub seen: Option<Txid>,
    /// Payments found in blocks.
    #[serde(default)]
    pub found: Vec<Found>,
}

/// A payment found in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The output.
    #[serde(with = "written::text")]
    pub outpoint: OutPoint,
    /// What it pays the vote.
    pub sats: u64,
    /// The block.
    #[serde(with = "written::text")]
    pub block: BlockHash,
    /// Its height.
    pub height: u32,
    /// The row that published the proof.
    #[serde(default)]
    pub row: Option<EntryId>,
    /// The proof; made again from the block after a restart.
    #[serde(skip)]
    pub proof: Option<Vec<u8>>,
    /// The block was read for the proof since the start, and didn't give it.
    #[serde(skip)]
    pub is_unprovable: bool,
}

/// A transaction that pays many votes, made here for a wallet to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// On which chain.
    #[serde(with = "written::text")]
    pub network: Network,
    /// Who is paid by which output, in their order.
    pub payees: Vec<PlannedPayee>,
    /// When, Unix milliseconds.
    pub planned_ms: u64,
}

/// One output of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPayee {
    /// Script that is paid.
    #[serde(with = "written::script")]
    pub script: ScriptBuf,
    /// The recipient's key, x-only.
    #[serde(with = "written::hex32")]
    pub key: [u8; 32],
    /// The row that published it.
    pub key_row: EntryId,
    /// Votes, and what each is paid in sats.
    pub votes: Vec<(EntryId, u64)>,
}

impl Planned {
    /// The batch that it plans.
    ///
    /// # Errors
    /// When it is none, which was checked when it was made.
    pub fn batch(&self) -> Result<Batch, BatchError> {
        let recipients: Vec<Recipient> = self
            .payees
            .iter()
            .map(|payee| Recipient {
                script: payee.script.clone(),
                key: payee.key,
                key_row: payee.key_row,
                votes: payee.votes.clone(),
            })
            .collect();
        Batch::new(self.network, &recipients)
    }

    /// Votes that it pays.
    pub fn votes(&self) -> impl Iterator<Item = EntryId> {
        let payees = self.payees.iter();
        payees.flat_map(|payee| payee.votes.iter().map(|(vote, _)| *vote))
    }
}

impl Offer {
    /// The output that pays it alone.
    ///
    /// # Errors
    /// When its key is none, which was checked when it was offered.
    pub fn script(&self, vote: &EntryId) -> Result<ScriptBuf, KeyError> {
        address_script(self.network, &self.key, vote)
    }

    /// What was found in blocks.
    pub fn found_sats(&self) -> u64 {
        let found = self.found.iter();
        found.fold(0, |sum, one| sum.saturating_add(one.sats))
    }

    /// What is still to be paid, where rows prove so much.
    pub fn due_sats(&self, proved_sats: u64) -> u64 {
        self.sats.saturating_sub(self.found_sats().max(proved_sats))
    }

    /// A transaction was handed in that no block is known to have, nor another one in its place.
    pub fn is_underway(&self) -> bool {
        self.due_sats(0) > 0 && self.seen.is_some_and(|txid| !self.is_mined(&txid))
    }

    /// A block with this transaction is known.
    pub fn is_mined(&self, txid: &Txid) -> bool {
        self.found.iter().any(|found| found.outpoint.txid == *txid)
    }

    /// Whether blocks are read for it.
    pub fn is_looked_for(&self, now_ms: u64) -> bool {
        let until_ms = self.offered_ms.max(self.renewed_ms);
        self.due_sats(0) > 0 && now_ms < until_ms.saturating_add(LOOKED_FOR_MS)
    }

    /// Whether it matters if this node holds the vote.
    pub fn needs_holder(&self, holder: &EndpointKey) -> bool {
        let is_full = self.holders.len() >= HOLDERS;
        !is_full && self.due_sats(0) > 0 && !self.holders.contains(holder)
    }

    /// A block has to be read again to prove what it pays.
    pub fn needs_proof_of(&self, block: &BlockHash) -> bool {
        let mut found = self.found.iter();
        found.any(|one| one.block == *block && one.row.is_none() && one.proof.is_none())
    }

    /// Notes a payment: of one output once, in the block where it stands now. False when that is
    /// known, or others weigh more.
    pub fn note(&mut self, found: Found) -> bool {
        let is_full = self.found.len() >= FOUND;
        let mut known = self.found.iter_mut();
        match known.find(|one| one.outpoint == found.outpoint) {
            Some(known) if known.block == found.block => {
                let is_new = known.proof.is_none();
                known.proof = found.proof.or(known.proof.take());
                return is_new;
            }
            Some(known) => *known = found,
            None if is_full => {
                // Anybody can pay a public address next to nothing.
                let least = self.found.iter_mut().min_by_key(|one| one.sats);
                match least {
                    Some(least) if least.sats < found.sats => *least = found,
                    _ => return false,
                }
            }
            None => self.found.push(found),
        }
        true
    }
}

/// All of it, as it is on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// By vote.
    pub offers: BTreeMap<EntryId, Offer>,
    /// By commitment, hexadecimal.
    pub batches: BTreeMap<String, Planned>,
    /// Transactions that were handed in and aren't deep in the chain, hexadecimal, by their ids.
    #[serde(default)]
    pub given: BTreeMap<String, String>,
    /// How far blocks were read.
    pub reading: Reading,
}

/// What awaited payments look like in transactions.
#[derive(Debug, Default)]
pub struct Wanted {
    scripts: BTreeMap<ScriptBuf, EntryId>,
    batches: BTreeMap<[u8; 32], Batch>,
}

/// A payment that a transaction makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// What a proof would claim.
    pub claim: Claim,
    /// What the vote is paid.
    pub sats: u64,
}

impl State {
    /// What to look for on a chain: offers, and batches with a vote that is still offered.
    pub fn wanted(&self, network: Network, is_wanted: impl Fn(&Offer) -> bool) -> Wanted {
        let mut wanted = Wanted::default();
        let offers = self.offers.iter();
        let mut votes = BTreeSet::new();
        for (vote, offer) in offers.filter(|(_, one)| one.network == network && is_wanted(one)) {
            votes.insert(*vote);
            if let Ok(script) = offer.script(vote) {
                wanted.scripts.insert(script, *vote);
            }
        }
        for planned in self.batches.values() {
            if planned.network == network
                && planned.votes().any(|vote| votes.contains(&vote))
                && let Ok(batch) = planned.batch()
            {
                wanted.batches.insert(*batch.commitment(), batch);
            }
        }
        wanted
    }

    /// The claim of a payment to an offer's own address.
    fn address_claim(&self, vote: &EntryId, vout: u32) -> Option<Claim> {
        let offer = self.offers.get(vote)?;
        Some(Claim {
            network: offer.network,
            vote: *vote,
            key: offer.key,
            key_row: offer.key_row,
            vout,
            binding: Binding::Address,
        })
    }

    /// Which awaited payments a transaction makes.
    pub fn matches(&self, wanted: &Wanted, transaction: &Transaction) -> Vec<Match> {
        let carried = commitments(transaction);
        if let [carried] = carried.as_slice() {
            let batch = wanted.batch(carried);
            let batch = batch.filter(|batch| batch.fits(transaction).is_ok());
            let claims = batch.into_iter().flat_map(Batch::claims);
            let offered = claims.filter(|claim| self.offers.contains_key(&claim.vote));
            return offered
                .filter_map(|claim| match &claim.binding {
                    Binding::Batch(path) => Some(Match {
                        sats: path.sats,
                        claim: claim.clone(),
                    }),
                    Binding::Address => None,
                })
                .collect();
        }
        if !carried.is_empty() {
            return Vec::new();
        }
        let outputs = (0..).zip(&transaction.output);
        outputs
            .filter_map(|(vout, output)| {
                let vote = wanted.scripts.get(&output.script_pubkey)?;
                Some(Match {
                    claim: self.address_claim(vote, vout)?,
                    sats: output.value.to_sat(),
                })
            })
            .collect()
    }
}

impl Wanted {
    /// The batch with this commitment.
    pub fn batch(&self, commitment: &[u8; 32]) -> Option<&Batch> {
        self.batches.get(commitment)
    }

    /// Nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty() && self.batches.is_empty()
    }
}

/// What is looked for, and what it was made of.
#[derive(Debug)]
struct Cached {
    network: Network,
    offers: Vec<(EntryId, [u8; 32])>,
    batches: Vec<String>,
    wanted: Arc<Wanted>,
}

/// The list and its file.
#[derive(Debug)]
pub struct Awaited {
    /// Held while the list changes; whether the file lacks something of it.
    changing: Mutex<bool>,
    /// Readers take it as it is and wait for no disk.
    state: Mutex<Arc<State>>,
    cached: Mutex<Option<Cached>>,
}

impl Awaited {
    /// Reads the list; empty at the first start.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(folder: &DataFolder) -> Result<Self, FolderError> {
        let state: State = folder.read_json(FILE)?.unwrap_or_default();
        Ok(Self {
            changing: Mutex::default(),
            state: Mutex::new(Arc::new(state)),
            cached: Mutex::default(),
        })
    }

    /// Changes the list; on disk when this returns. Nothing is written when nothing changed.
    ///
    /// # Errors
    /// When it can't be written: then nothing changed.
    pub fn change<T>(
        &self,
        folder: &DataFolder,
        change: impl FnOnce(&mut State) -> T,
    ) -> Result<T, FolderError> {
        let mut is_behind = lock(&self.changing);
        let known = self.state();
        let mut next = State::clone(&known);
        let answer = change(&mut next);
        if *is_behind || next != *known {
            folder.write_json(FILE, &next)?;
            *lock(&self.state) = Arc::new(next);
            *is_behind = false;
        }
        Ok(answer)
    }

    /// Changes how far blocks were read, and leaves it to the next change to write that down: after
    /// a crash some are read again.
    pub fn pass<T>(&self, change: impl FnOnce(&mut Reading) -> T) -> T {
        let mut is_behind = lock(&self.changing);
        *is_behind = true;
        change(&mut Arc::make_mut(&mut lock(&self.state)).reading)
    }

    /// The list as it is now.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&lock(&self.state))
    }

    /// Reads the list.
    pub fn with<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state())
    }

    /// An offer.
    pub fn offer(&self, vote: &EntryId) -> Option<Offer> {
        self.state().offers.get(vote).cloned()
    }

    /// As [`State::wanted`]; made anew only where it changed.
    pub fn wanted(
        &self,
        state: &State,
        network: Network,
        is_wanted: impl Fn(&Offer) -> bool,
    ) -> Arc<Wanted> {
        let is_wanted = |offer: &Offer| offer.network == network && is_wanted(offer);
        let offers = state.offers.iter().filter(|(_, offer)| is_wanted(offer));
        let offers: Vec<_> = offers.map(|(vote, offer)| (*vote, offer.key)).collect();
        let batches: Vec<_> = state.batches.keys().cloned().collect();
        let mut cached = lock(&self.cached);
        if let Some(known) = &*cached
            && (known.network, &known.offers, &known.batches) == (network, &offers, &batches)
        {
            return Arc::clone(&known.wanted);
        }
        let wanted = Arc::new(state.wanted(network, is_wanted));
        *cached = Some(Cached {
            network,
            offers,
            batches,
            wanted: Arc::clone(&wanted),
        });
        wanted
    }

    /// Another node holds votes of a thread.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn note_holder(
        &self,
        folder: &DataFolder,
        votes: &BTreeSet<EntryId>,
        holder: EndpointKey,
    ) -> Result<(), FolderError> {
        self.change(folder, |state| {
            for vote in votes {
                if let Some(offer) = state.offers.get_mut(vote)
                    && offer.holders.len() < HOLDERS
                {
                    offer.holders.insert(holder);
                }
            }
        })
    }
}
