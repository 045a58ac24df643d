//! Offers are taken up, their transactions handed in and forgotten, and room is made: pure.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Transaction, consensus::encode::serialize_hex};
use model::EntryId;
use spv::{Network, chain::HeaderChain, proof::commitments};
use thiserror::Error;

use super::{
    awaited::{BATCHES, OFFERS, Offer, Planned, State, Wanted},
    batch::{Misfit, fits},
    index::Index,
    proof::{Standing, Worth},
    reading::first_block,
};

/// Digits of all transactions that wait for a block.
const GIVEN_DIGITS: usize = 2_000_000;

/// Why nothing more is awaited.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Another offer for the vote.
    #[error(
        "this vote is to be paid to somebody else, or by an older key, already: forget that \
         payment first, unless it was sent"
    )]
    OtherOffer,
    /// [`OFFERS`].
    #[error("{OFFERS} payments are remembered: forget some of them (DELETE /api/v1/payments/VOTE)")]
    TooManyOffers,
    /// [`BATCHES`].
    #[error(
        "{BATCHES} batches wait for their blocks: plan another one when some of them are proved"
    )]
    TooManyBatches,
    /// Transactions that wait for a block fill their room.
    #[error(
        "too many transactions wait for a block: have the wallet broadcast this one, the node \
         finds it in its block"
    )]
    TooManyTransactions,
}

/// What rows prove that a recipient was paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proved {
    /// In blocks that stand.
    pub confirmed_sats: u64,
    /// In blocks that were replaced: it is likely to stand in others soon.
    pub replaced_sats: u64,
}

impl Proved {
    /// What isn't to be paid again.
    pub fn sats(&self) -> u64 {
        self.confirmed_sats.saturating_add(self.replaced_sats)
    }
}

impl State {
    fn is_idle(&self, network: Network, now_ms: u64) -> bool {
        // One without a height has begun nothing.
        let mut offers = self.offers.values().filter(|one| one.from_height.is_some());
        !offers.any(|one| one.network == network && one.is_looked_for(now_ms))
    }

    /// Takes an offer up. One to the same recipient is raised or lowered, and after a payment
    /// another one is awaited. `chain` is none while it isn't to be relied on.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing changed.
    pub fn take(
        &mut self,
        vote: EntryId,
        mut offer: Offer,
        chain: Option<&HeaderChain>,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let chain = chain.filter(|chain| chain.network() == offer.network);
        let is_idle = self.is_idle(offer.network, now_ms);
        let is_full = self.offers.len() >= OFFERS;
        offer.from_height = chain.map(|chain| chain.tip().height.saturating_add(1));
        let mut again = None;
        match self.offers.get_mut(&vote) {
            Some(known) if known.key == offer.key && known.network == offer.network => {
                if known.due_sats(0) == 0 {
                    // What was paid already was another payment.
                    known.unsee();
                    known.from_height = offer.from_height;
                    known.offered_ms = offer.offered_ms;
                } else if !known.is_looked_for(now_ms) {
                    again = known.from_height;
                }
                if offer.anyway {
                    known.unsee();
                }
                known.sats = known.found_sats().saturating_add(offer.sats);
                known.renewed_ms = now_ms;
                known.anyway |= offer.anyway;
            }
            Some(_) => return Err(Refusal::OtherOffer),
            None if is_full => return Err(Refusal::TooManyOffers),
            None => {
                self.offers.insert(vote, offer);
            }
        }
        if is_idle && let Some(chain) = chain {
            self.reading.begin(chain);
        }
        if let Some(height) = again {
            self.reading.look_again_from(height);
        }
        Ok(())
    }

    /// Which of the awaited votes a transaction pays.
    ///
    /// # Errors
    /// When it carries the commitment of a batch and isn't that batch.
    pub fn paid_by(
        &self,
        wanted: &Wanted,
        transaction: &Transaction,
    ) -> Result<BTreeSet<EntryId>, Misfit> {
        for carried in commitments(transaction) {
            if let Some(batch) = wanted.batch(&carried) {
                fits(batch, transaction)?;
            }
        }
        let matches = self.matches(wanted, transaction).into_iter();
        Ok(matches.map(|one| one.claim.vote).collect())
    }

    /// A transaction that pays these votes was handed in.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing changed.
    pub fn see(
        &mut self,
        votes: &BTreeSet<EntryId>,
        transaction: &Transaction,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let txid = transaction.compute_txid();
        let digits = serialize_hex(transaction);
        let kept = self.given.values().map(String::len).sum::<usize>();
        if kept.saturating_add(digits.len()) > GIVEN_DIGITS {
            return Err(Refusal::TooManyTransactions);
        }
        self.given.insert(txid.to_string(), digits);
        for vote in votes {
            let Some(offer) = self.offers.get_mut(vote) else {
                continue;
            };
            let was_looked_for = offer.is_looked_for(now_ms);
            offer.seen = Some(txid);
            offer.renewed_ms = now_ms;
            if !was_looked_for
                && offer.is_underway()
                && let Some(height) = offer.from_height
            {
                // A block that has it may have passed meanwhile.
                self.reading.look_again_from(height);
            }
        }
        Ok(())
    }

    /// Drops transactions that nobody waits for any more. `is_deep` says of a height whether a
    /// reorganisation is not to be feared there.
    pub fn drop_given(&mut self, is_deep: impl Fn(u32) -> bool) {
        let offers = &self.offers;
        self.given.retain(|txid, _| {
            offers.values().any(|offer| {
                let deep = || offer.found.iter().filter(|one| is_deep(one.height));
                let deep_sats = deep().fold(0, |sum: u64, one| sum.saturating_add(one.sats));
                offer.seen.is_some_and(|seen| {
                    seen.to_string() == *txid
                        && deep_sats < offer.sats
                        && !deep().any(|one| one.outpoint.txid == seen)
                })
            })
        });
    }

    /// Transactions that no block is known to have.
    pub fn unmined(&self) -> impl Iterator<Item = &String> {
        let offers = self.offers.values();
        let underway = offers.filter(|offer| offer.is_underway());
        let txids: BTreeSet<_> = underway.filter_map(|offer| offer.seen).collect();
        let given = txids.into_iter();
        given.filter_map(|txid| self.given.get(&txid.to_string()))
    }

    /// Offers that were made without headers learn from which block on they are looked for.
    pub fn settle_heights(&mut self, chain: &HeaderChain, now_ms: u64) {
        let network = chain.network();
        let mut others = false;
        let mut first: Option<u32> = None;
        for offer in self.offers.values_mut() {
            if offer.network != network || !offer.is_looked_for(now_ms) {
                continue;
            }
            if offer.from_height.is_some() {
                others = true;
            } else if let Some(height) = first_block(chain, offer.offered_ms) {
                offer.from_height = Some(height);
                first = Some(first.map_or(height, |first| first.min(height)));
            }
        }
        match first {
            Some(height) if others => self.reading.look_again_from(height),
            Some(height) => self.reading.begin_at(chain, height),
            None => {}
        }
    }

    /// Remembers a batch. Those make room, the oldest first, that nothing is known of, then those
    /// that are proved.
    ///
    /// # Errors
    /// When there is no room: then nothing changed.
    pub fn plan(&mut self, id: String, planned: Planned) -> Result<(), Refusal> {
        while self.batches.len() >= BATCHES && !self.batches.contains_key(&id) {
            let batches = self.batches.iter();
            let spare =
                batches.filter_map(|(id, one)| Some((self.use_of(one)?, one.planned_ms, id)));
            let Some((_, _, spare)) = spare.min() else {
                return Err(Refusal::TooManyBatches);
            };
            let spare = spare.clone();
            self.batches.remove(&spare);
        }
        self.batches.insert(id, planned);
        Ok(())
    }

    /// How much a batch is needed; none: its proofs can't be made without it.
    fn use_of(&self, planned: &Planned) -> Option<u8> {
        let mut of_use = 0;
        for offer in planned.votes().filter_map(|vote| self.offers.get(&vote)) {
            if offer.is_underway() || offer.found.iter().any(|found| found.row.is_none()) {
                return None;
            }
            of_use = of_use.max(u8::from(!offer.found.is_empty()));
        }
        Some(of_use)
    }
}

impl Offer {
    /// The transaction that was handed in never comes: the payment is asked for anew.
    pub fn unsee(&mut self) {
        self.seen = self.seen.filter(|txid| self.is_mined(txid));
    }

    /// What rows prove of the payment that was meant: others may be paid for the vote too.
    pub fn proved(&self, vote: &EntryId, index: &Index) -> Proved {
        let mut payments = BTreeMap::new();
        for (_, proof) in index.proofs_of(vote) {
            let Standing::Sound(sound) = &proof.standing else {
                continue;
            };
            let payee = sound.payee.map(|(_, identity)| identity);
            let worth = sound.worth();
            if payee != Ok(self.recipient)
                || sound.checked.network != self.network
                || worth < Worth::Disconnected
            {
                continue;
            }
            let known = (worth, sound.checked.sats);
            let best = payments.entry(sound.checked.outpoint).or_insert(known);
            *best = known.max(*best);
        }
        let mut proved = Proved::default();
        for (worth, sats) in payments.into_values() {
            let sum = match worth {
                Worth::Confirmed => &mut proved.confirmed_sats,
                _ => &mut proved.replaced_sats,
            };
            *sum = sum.saturating_add(sats);
        }
        proved
    }
}
