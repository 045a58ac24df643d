//! What this node waits to see paid: its own paid votes and batches, in `payments.json`. What a
//! call changed is on disk when it returns.

use std::collections::{BTreeMap, BTreeSet};

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

use super::{reading::Reading, written};
use crate::{
    data_folder::{DataFolder, FolderError},
    kept::Kept,
};

const FILE: &str = "payments.json";
/// Own paid votes that are remembered; more can't be offered before some are forgotten.
pub const OFFERS: usize = 10_000;
/// Batches that are remembered; the oldest makes room.
pub const BATCHES: usize = 256;
/// Payments of one vote that are remembered.
const FOUND: usize = 16;
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
    /// When it was offered, or its transaction given, Unix milliseconds.
    pub offered_ms: u64,
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

    /// Whether blocks are read for it.
    pub fn is_looked_for(&self, now_ms: u64) -> bool {
        self.found_sats() < self.sats && now_ms < self.offered_ms.saturating_add(LOOKED_FOR_MS)
    }

    /// Notes a payment: of one output once, in the block where it stands now. False when that is
    /// known.
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
            None if is_full => return false,
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

/// The list and its file.
#[derive(Debug)]
pub struct Awaited {
    state: Kept<State>,
}

impl Awaited {
    /// Reads the list; empty at the first start.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(folder: &DataFolder) -> Result<Self, FolderError> {
        Kept::open(folder, FILE).map(|state| Self { state })
    }

    /// Changes the list; on disk when this returns.
    ///
    /// # Errors
    /// When it can't be written: then nothing changed.
    pub fn change(
        &self,
        folder: &DataFolder,
        change: impl FnOnce(&mut State),
    ) -> Result<(), FolderError> {
        self.state.change(folder, change)
    }

    /// Reads the list.
    pub fn with<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.lock())
    }

    /// An offer.
    pub fn offer(&self, vote: &EntryId) -> Option<Offer> {
        self.state.lock().offers.get(vote).cloned()
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
