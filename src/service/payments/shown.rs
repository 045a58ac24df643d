//! A paid vote as pages show it: what proofs say of it, and what its payer's own node knows besides.

use database::{DatabaseError, Reader};
use gateway::node::Viewer;
use model::EntryId;
use spv::proof::Headers as _;
use views::data::{self, PaymentState};

use super::super::authors::{Authors, may_see};
use crate::{
    clock::now_ms,
    core::Core,
    payments::{self, VoteSum, awaited::Offer, facts::VoteFacts, proof::View},
};

/// Smallest output that nodes pass on to an address of a vote, sats.
const DUST_SATS: u64 = 330;
const SATS_PER_BITCOIN: u64 = 100_000_000;

/// A payment URI (BIP 21).
pub fn uri(address: &str, sats: u64) -> String {
    let (whole, rest) = (sats / SATS_PER_BITCOIN, sats % SATS_PER_BITCOIN);
    format!("bitcoin:{address}?amount={whole}.{rest:08}&label=datt%20vote")
}

/// Reads paid votes for one answer.
pub(super) struct Shown<'a, 'r, 's> {
    pub core: &'a Core,
    pub reader: &'r Reader<'s>,
    pub authors: Authors<'r, 's>,
    pub viewer: Viewer,
}

impl<'a, 'r, 's> Shown<'a, 'r, 's> {
    pub fn new(core: &'a Core, reader: &'r Reader<'s>, viewer: Viewer) -> Self {
        Self {
            core,
            reader,
            authors: Authors::new(reader),
            viewer,
        }
    }

    /// A vote with a payment; none when nothing is known of one, or the viewer may not know.
    pub fn vote(&mut self, vote: &EntryId) -> Result<Option<data::PaidVote>, DatabaseError> {
        let payments = &self.core.payments;
        let offer = payments.awaited.offer(vote);
        let offer = offer.filter(|_| self.viewer.is_owner());
        let (known, sum, offer) = {
            let index = payments.index();
            let sum = index.sum(vote, payments.settled);
            let offer = offer.map(|offer| (offer.proved(vote, &index), offer));
            (index.facts(vote).cloned(), sum, offer)
        };
        let sum = sum.filter(|sum| sum.state != PaymentState::Unpaid);
        if sum.is_none() && offer.is_none() {
            return Ok(None);
        }
        let facts = match known {
            Some(facts) => Some(facts),
            None => payments::vote_facts(self.reader, vote)?,
        };
        let Some(facts) = facts else {
            return Ok(None);
        };
        if !may_see(self.core, self.reader, self.viewer, &facts.space)? {
            return Ok(None);
        }
        let mut shown = self.proved(vote, &facts, sum.unwrap_or_default())?;
        if let Some((proved, offer)) = offer {
            let proved_sats = proved.sats();
            self.offered(vote, &facts, (&offer, proved_sats), &mut shown)?;
        }
        Ok(Some(shown))
    }

    fn proved(
        &mut self,
        vote: &EntryId,
        facts: &VoteFacts,
        sum: VoteSum,
    ) -> Result<data::PaidVote, DatabaseError> {
        let payee = sum.payee.map(|(_, identity)| self.authors.of(&identity));
        let mut warnings = Vec::new();
        if sum.to_self {
            warnings.push("the voter is paid: only the fee was spent".to_owned());
        }
        if facts.superseded {
            let text = "the voter voted again on this post: the payment is shown, and not counted";
            warnings.push(text.to_owned());
        }
        Ok(data::PaidVote {
            vote: vote.to_string(),
            post: facts.post.to_string(),
            root: facts.root.to_string(),
            space: facts.space.to_string(),
            voter: self.authors.of(&facts.voter)?,
            recipient: payee.transpose()?.unwrap_or_default(),
            to: sum.payee.map(|(to, _)| to).unwrap_or_default(),
            dir: facts.dir,
            time_ms: facts.time_ms,
            network: sum
                .network
                .map(|one| one.name().to_owned())
                .unwrap_or_default(),
            sats: sum.sats,
            state: sum.state,
            confirmations: sum.confirmations,
            settled_at: self.core.payments.settled,
            counted_sats: sum.counted_sats,
            superseded: facts.superseded,
            to_self: sum.to_self,
            txid: sum.outpoint.map(|outpoint| outpoint.txid.to_string()),
            why: sum.why,
            warnings,
            ..data::PaidVote::default()
        })
    }

    /// What the payer's own node knows besides: the offer, and what rows prove of it.
    fn offered(
        &mut self,
        vote: &EntryId,
        facts: &VoteFacts,
        (offer, proved_sats): (&Offer, u64),
        shown: &mut data::PaidVote,
    ) -> Result<(), DatabaseError> {
        shown.held_by = u32::try_from(offer.holders.len()).unwrap_or(u32::MAX);
        if proved_sats == 0 {
            self.unproved(facts, offer, shown)?;
        }
        let current = payments::current_key(self.reader, &offer.recipient, offer.network)?;
        let due_sats = offer.due_sats(proved_sats);
        shown.due_sats = due_sats;
        if due_sats == 0 {
            return Ok(());
        }
        let warnings = &mut shown.warnings;
        if current.as_ref().is_none_or(|(_, key)| key.key != offer.key) {
            warnings.push(
                "the recipient published another payment key since: ask them before you pay to \
                 this one, or forget this payment and begin again"
                    .to_owned(),
            );
        }
        warnings.extend(self.chain_warning(offer).map(str::to_owned));
        if due_sats < DUST_SATS {
            warnings.push(format!(
                "{due_sats} sats are too few for a transaction of their own (at least \
                 {DUST_SATS}): pay this vote with others in a batch"
            ));
        } else if offer.holders.is_empty() && !offer.anyway {
            warnings.push(
                "no other node holds this vote yet: if this one were lost, nobody could tell what \
                 was paid; connect to another node, or show the address anyway"
                    .to_owned(),
            );
        } else if let Ok(address) = spv::proof::address(offer.network, &offer.key, vote) {
            let address = address.to_string();
            shown.uri = Some(uri(&address, due_sats));
            shown.address = Some(address);
        }
        Ok(())
    }

    /// Of a vote that no row proves to be paid here: what the payer's own node knows goes before
    /// what rows of others claim.
    fn unproved(
        &mut self,
        facts: &VoteFacts,
        offer: &Offer,
        shown: &mut data::PaidVote,
    ) -> Result<(), DatabaseError> {
        let is_paid = matches!(
            shown.state,
            PaymentState::Confirmed | PaymentState::Settled | PaymentState::Disconnected
        );
        if is_paid {
            shown.warnings.push(format!(
                "{} sats were paid for this vote, but to somebody else than you are to pay",
                shown.sats
            ));
            (shown.confirmations, shown.txid, shown.why) = (0, None, None);
            shown.to_self = false;
        }
        if let Some(why) = shown.why.take() {
            let text = format!("somebody published a proof of it that does not count here: {why}");
            shown.warnings.push(text);
        }
        shown.recipient = self.authors.of(&offer.recipient)?;
        shown.to = offer.to;
        offer.network.name().clone_into(&mut shown.network);
        shown.sats = offer.sats;
        shown.state = PaymentState::Unpaid;
        if facts.voter == offer.recipient {
            shown.to_self = true;
            shown
                .warnings
                .push("you pay yourself: only the fee is spent".to_owned());
        }
        if let Some(txid) = offer.seen {
            shown.state = PaymentState::Seen;
            shown.txid = Some(txid.to_string());
        }
        if !offer.found.is_empty() {
            self.found(offer, shown);
        }
        Ok(())
    }

    /// Of a vote whose payment was found in a block, and is not proved by a row yet.
    fn found(&self, offer: &Offer, shown: &mut data::PaidVote) {
        let found = || offer.found.iter();
        let (is_checked, is_replaced, depth) = self.core.payments.view(|view| match view {
            View::Chain(chain) => {
                let tip = chain.tip().height;
                let heights = found().filter_map(|one| chain.height_of(&one.block));
                let depths = heights.map(|height| tip.saturating_sub(height) + 1);
                let is_replaced = found().any(|one| chain.aside(&one.block).is_some());
                (true, is_replaced, depths.min())
            }
            View::None | View::Young(_) => (false, false, None),
        });
        shown.state = match depth {
            Some(depth) if depth >= self.core.payments.settled => PaymentState::Settled,
            Some(_) => PaymentState::Confirmed,
            None if is_replaced => PaymentState::Disconnected,
            None if !is_checked => PaymentState::Unchecked,
            None => return,
        };
        shown.confirmations = depth.unwrap_or_default();
        shown.sats = offer.found_sats();
        shown.txid = found().next().map(|one| one.outpoint.txid.to_string());
        if !is_checked {
            let text = "it was found in a block; whether that still stands is not known here now";
            shown.why = Some(text.to_owned());
        }
    }

    /// Why a payment may not be found.
    fn chain_warning(&self, offer: &Offer) -> Option<&'static str> {
        let payments = &self.core.payments;
        if payments.network != Some(offer.network) {
            return Some(
                "this node keeps no headers of that chain any more (payments.network): it won't \
                 find the payment",
            );
        }
        let Some(spv) = payments.spv() else {
            return Some("the light client does not run: this node won't find the payment");
        };
        if spv.status().source.is_none() {
            return Some(
                "this node gets no blocks (see payments.peers): it won't find the payment by itself",
            );
        }
        (offer.found.is_empty() && !offer.is_looked_for(now_ms())).then_some(
            "it was not paid for long, and is no longer looked for in blocks: give this node the \
             transaction",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_name_the_amount_in_bitcoins() {
        for (sats, amount) in [
            (330, "0.00000330"),
            (100_000_000, "1.00000000"),
            (2_100_000_000_000_000, "21000000.00000000"),
        ] {
            let text = uri("bcrt1p", sats);
            assert_eq!(
                text,
                format!("bitcoin:bcrt1p?amount={amount}&label=datt%20vote")
            );
        }
    }
}
