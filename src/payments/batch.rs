//! Many votes in one transaction: who is paid what, the template that a wallet funds and signs,
//! and whether what comes back still is what was promised.
//!
//! The commitment is to the outputs in their places, so that a wallet must leave them there: the
//! outputs of the batch first, the commitment behind them, change last.

mod template;

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Address, ScriptBuf, Transaction, address::NetworkUnchecked};
use model::EntryId;
use spv::{
    Network,
    proof::{
        batch::{Batch, MAX_RECIPIENTS, MAX_VOTES, Recipient},
        commitments, plain_script,
    },
};
use thiserror::Error;

pub use template::{Coin, FEE_SAT_PER_VB, Funding, Template, TemplateError, template};

/// A vote that is to be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpaid {
    /// The vote.
    pub vote: EntryId,
    /// What it shall be paid.
    pub sats: u64,
    /// To whom; none where the recipient has no key on this network.
    pub payee: Option<Payee>,
}

/// A published payment key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payee {
    /// X-only public key.
    pub key: [u8; 32],
    /// The row that published it.
    pub key_row: EntryId,
    /// Address that batches pay to; none: BIP86's of the key.
    pub address: Option<String>,
}

/// Why a vote is not in a batch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LeftOut {
    /// Nobody to pay.
    #[error("its recipient has published no payment key for {0}")]
    NoKey(Network),
    /// The key is no point.
    #[error("its recipient's payment key is no public key")]
    BadKey,
    /// The address is none of this network.
    #[error("its recipient's address `{address}` is none on {network}: {reason}")]
    BadAddress {
        /// As published.
        address: String,
        /// Where it should belong.
        network: Network,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing to pay.
    #[error("it is to be paid 0 sats")]
    Nothing,
    /// It stands in the batch already.
    #[error("the batch pays it once already")]
    Twice,
    /// No node would pass the output on.
    #[error(
        "all votes for its recipient make {sats} sats, and no output below {dust} sats is passed \
         on: add votes for the same recipient"
    )]
    Dust {
        /// What the recipient would get.
        sats: u64,
        /// The least that is passed on.
        dust: u64,
    },
    /// More votes than were asked for, or than a batch holds.
    #[error("the batch is full: {0} votes")]
    TooManyVotes(usize),
    /// More recipients than proofs have room for.
    #[error("the batch is full: {MAX_RECIPIENTS} recipients; make another when this one is signed")]
    TooManyRecipients,
}

/// What of the votes goes into a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Who is paid, in the order in which they came first.
    pub recipients: Vec<Recipient>,
    /// The other votes.
    pub left_out: Vec<(EntryId, LeftOut)>,
}

impl Gathered {
    /// Votes that are paid.
    pub fn votes(&self) -> impl Iterator<Item = EntryId> {
        let recipients = self.recipients.iter();
        recipients.flat_map(|one| one.votes.iter().map(|(vote, _)| *vote))
    }
}

/// Gathers votes by recipient, at most `max_votes`, the first ones given.
pub fn gather(network: Network, unpaid: Vec<Unpaid>, max_votes: usize) -> Gathered {
    let max_votes = max_votes.min(MAX_VOTES);
    let mut gathered = Gathered::default();
    let mut places = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for Unpaid { vote, sats, payee } in unpaid {
        let placed = if sats == 0 {
            Err(LeftOut::Nothing)
        } else if seen.contains(&vote) {
            Err(LeftOut::Twice)
        } else if count == max_votes {
            Err(LeftOut::TooManyVotes(max_votes))
        } else {
            place(network, &mut gathered.recipients, &mut places, payee)
        };
        match placed {
            Ok(at) => {
                gathered.recipients[at].votes.push((vote, sats));
                seen.insert(vote);
                count += 1;
            }
            Err(why) => gathered.left_out.push((vote, why)),
        }
    }
    leave_dust(&mut gathered);
    gathered
}

fn place(
    network: Network,
    recipients: &mut Vec<Recipient>,
    places: &mut BTreeMap<Payee, usize>,
    payee: Option<Payee>,
) -> Result<usize, LeftOut> {
    let payee = payee.ok_or(LeftOut::NoKey(network))?;
    if let Some(at) = places.get(&payee) {
        return Ok(*at);
    }
    let script = script(network, &payee)?;
    if recipients.len() == MAX_RECIPIENTS {
        return Err(LeftOut::TooManyRecipients);
    }
    recipients.push(Recipient {
        script,
        key: payee.key,
        key_row: payee.key_row,
        votes: Vec::new(),
    });
    places.insert(payee, recipients.len() - 1);
    Ok(recipients.len() - 1)
}

/// Where a batch pays: to the published address, else to BIP86's of the key.
///
/// # Errors
/// When the address is none of this network, or the key no point.
pub fn script(network: Network, payee: &Payee) -> Result<ScriptBuf, LeftOut> {
    let own = plain_script(&payee.key).map_err(|_| LeftOut::BadKey)?;
    let Some(text) = &payee.address else {
        return Ok(own);
    };
    match read_address(network, text) {
        Ok(address) => Ok(address.script_pubkey()),
        Err(reason) => Err(LeftOut::BadAddress {
            address: text.clone(),
            network,
            reason,
        }),
    }
}

/// Reads an address of this network; the error is a reason in words.
///
/// # Errors
/// When it is none, or one of another network.
pub fn read_address(network: Network, text: &str) -> Result<Address, String> {
    let address: Address<NetworkUnchecked> = text
        .parse()
        .map_err(|error: bitcoin::address::ParseError| error.to_string())?;
    let checked = address.require_network(network.kind());
    checked.map_err(|_| "it belongs to another network".to_owned())
}

/// Takes out who would get less than nodes pass on: 294 sats to P2WPKH, 330 to taproot.
fn leave_dust(gathered: &mut Gathered) {
    let left_out = &mut gathered.left_out;
    gathered.recipients.retain(|recipient| {
        let votes = recipient.votes.iter();
        let sats = votes.fold(0, |sum: u64, (_, sats)| sum.saturating_add(*sats));
        let dust = recipient.script.minimal_non_dust().to_sat();
        if sats < dust {
            let small = recipient.votes.iter();
            left_out.extend(small.map(|(vote, _)| (*vote, LeftOut::Dust { sats, dust })));
        }
        sats >= dust
    });
}

/// How a transaction differs from its batch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Misfit {
    /// Another batch, or none.
    #[error("the transaction carries no commitment to this batch")]
    NoCommitment,
    /// Two commitments prove nothing.
    #[error("the transaction carries {0} commitments to batches; only one may be")]
    SeveralCommitments(usize),
    /// An output stands elsewhere.
    #[error(
        "output {wanted} of the batch stands in place {found}: its outputs must stay in their \
         places, and change must come last; have the wallet keep the order of the template"
    )]
    Moved {
        /// Its place in the batch.
        wanted: usize,
        /// Its place in the transaction.
        found: usize,
    },
    /// An output is missing.
    #[error("output {place} of the batch, {sats} sats, is missing")]
    Missing {
        /// Its place.
        place: usize,
        /// Its value.
        sats: u64,
    },
    /// Too small an amount.
    #[error("output {place} of the batch holds {found} sats instead of {wanted}")]
    Amount {
        /// Its place.
        place: usize,
        /// Sats in the batch.
        wanted: u64,
        /// Sats in the transaction.
        found: u64,
    },
    /// Proofs would be too large.
    #[error(
        "the transaction has {found} bytes without its signatures, and proofs have room for \
         {room}: spend fewer coins"
    )]
    TooLong {
        /// Its bytes.
        found: usize,
        /// Most that proofs can carry.
        room: usize,
    },
}

/// Whether a transaction still has the outputs of a batch, all in their places.
///
/// # Errors
/// The first difference, and what to do about it.
pub fn fits(batch: &Batch, transaction: &Transaction) -> Result<(), Misfit> {
    match commitments(transaction).as_slice() {
        [one] if one == batch.commitment() => {}
        [] | [_] => return Err(Misfit::NoCommitment),
        several => return Err(Misfit::SeveralCommitments(several.len())),
    }
    for (place, wanted) in batch.outputs().iter().enumerate() {
        let (script, sats) = (&wanted.script_pubkey, wanted.value.to_sat());
        let found = transaction.output.get(place);
        let found = found.filter(|one| one.script_pubkey == *script);
        if let Some(found) = found {
            let found = found.value.to_sat();
            if found >= sats {
                continue;
            }
            return Err(Misfit::Amount {
                place,
                wanted: sats,
                found,
            });
        }
        let mut outputs = transaction.output.iter();
        return Err(match outputs.position(|one| one == wanted) {
            Some(found) => Misfit::Moved {
                wanted: place,
                found,
            },
            None => Misfit::Missing { place, sats },
        });
    }
    let (found, room) = (transaction.base_size(), batch.transaction_room());
    if found > room {
        return Err(Misfit::TooLong { found, room });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
