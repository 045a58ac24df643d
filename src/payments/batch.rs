//! Many votes in one transaction: who is paid what, the template that a wallet funds and signs,
//! and whether what comes back still is what was promised.
//!
//! The commitment is to the outputs in their places, so that a wallet must leave them there: the
//! outputs of the batch first, the commitment behind them, change last.

mod template;

use std::collections::BTreeMap;

use bitcoin::{Address, ScriptBuf, Transaction, TxOut};
use model::EntryId;
use spv::Network;
use thiserror::Error;

use super::keys;
pub use template::{Coin, FEE_SAT_PER_VB, Funding, Template, TemplateError, template};

/// Recipients of one batch. A proof carries the whole transaction without signatures, and must
/// fit into [`spv::proof::MAX_PROOF_BYTES`] beside its paths.
pub const RECIPIENTS: usize = 128;
/// Votes of one batch; its sum trees could hold more, a person could hardly look at them.
pub const VOTES: usize = 10_000;
/// Coins that a batch spends, for the same reason as [`RECIPIENTS`].
pub const INPUTS: usize = 16;
/// Bytes of a transaction without signatures that leave room for the paths of any proof.
pub const TRANSACTION_BYTES: usize = 6_400;

/// An unpaid vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The vote.
    pub vote: EntryId,
    /// What it shall be paid.
    pub sats: u64,
    /// To whom; none where the recipient has no key on this network.
    pub recipient: Option<Recipient>,
}

/// A published payment key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient {
    /// X-only public key.
    pub key: [u8; 32],
    /// The row that published it.
    pub key_row: EntryId,
    /// Address that batches pay to; none: BIP86's of the key.
    pub address: Option<String>,
}

/// One output of a batch that pays votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payee {
    /// Where the output pays to.
    pub script: ScriptBuf,
    /// X-only public key of the recipient.
    pub key: [u8; 32],
    /// The row that published it.
    pub key_row: EntryId,
    /// The votes and what each is paid, in the order they were offered.
    pub votes: Vec<(EntryId, u64)>,
}

impl Payee {
    /// Value of the output.
    pub fn sats(&self) -> u64 {
        self.votes.iter().map(|(_, sats)| sats).sum()
    }
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
    #[error("its recipient's address `{address}` is none of {network}: {reason}")]
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
    /// More votes than were asked for.
    #[error("the batch is full: {0} votes")]
    TooManyVotes(usize),
    /// More recipients than proofs have room for.
    #[error("the batch is full: {RECIPIENTS} recipients; make another one when this is signed")]
    TooManyRecipients,
}

/// What of the offered votes goes into a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Outputs, in the order in which their recipients were offered first.
    pub payees: Vec<Payee>,
    /// The other votes.
    pub left_out: Vec<(EntryId, LeftOut)>,
}

impl Gathered {
    /// Sum of the outputs, without the fee.
    pub fn total_sats(&self) -> u64 {
        self.payees.iter().map(Payee::sats).sum()
    }

    /// Votes that are paid.
    pub fn votes(&self) -> impl Iterator<Item = EntryId> {
        self.payees
            .iter()
            .flat_map(|payee| payee.votes.iter().map(|(vote, _)| *vote))
    }
}

/// Gathers offered votes by recipient, at most `max_votes`, those offered first.
pub fn gather(network: Network, offers: Vec<Offer>, max_votes: usize) -> Gathered {
    let max_votes = max_votes.min(VOTES);
    let mut gathered = Gathered::default();
    let mut places = BTreeMap::<Recipient, usize>::new();
    let mut count = 0;
    for Offer {
        vote,
        sats,
        recipient,
    } in offers
    {
        let placed = place(network, &mut gathered.payees, &mut places, recipient, sats);
        match placed {
            Ok(_) if count == max_votes => {
                let full = LeftOut::TooManyVotes(max_votes);
                gathered.left_out.push((vote, full));
            }
            Ok(at) => {
                gathered.payees[at].votes.push((vote, sats));
                count += 1;
            }
            Err(why) => gathered.left_out.push((vote, why)),
        }
    }
    drop_dust(&mut gathered);
    gathered
}

fn place(
    network: Network,
    payees: &mut Vec<Payee>,
    places: &mut BTreeMap<Recipient, usize>,
    recipient: Option<Recipient>,
    sats: u64,
) -> Result<usize, LeftOut> {
    let recipient = recipient.ok_or(LeftOut::NoKey(network))?;
    if sats == 0 {
        return Err(LeftOut::Nothing);
    }
    if let Some(at) = places.get(&recipient) {
        return Ok(*at);
    }
    let script = script(network, &recipient)?;
    if payees.len() == RECIPIENTS {
        return Err(LeftOut::TooManyRecipients);
    }
    payees.push(Payee {
        script,
        key: recipient.key,
        key_row: recipient.key_row,
        votes: Vec::new(),
    });
    places.insert(recipient, payees.len() - 1);
    Ok(payees.len() - 1)
}

/// Where a batch pays a recipient: to the published address, else to BIP86's of the key.
///
/// # Errors
/// When the address is none of this network, or the key no point.
pub fn script(network: Network, recipient: &Recipient) -> Result<ScriptBuf, LeftOut> {
    let own = keys::address(&recipient.key, network).map_err(|_| LeftOut::BadKey)?;
    let text = recipient.address.as_ref().unwrap_or(&own);
    read_address(network, text)
        .map(|address| address.script_pubkey())
        .map_err(|reason| LeftOut::BadAddress {
            address: text.clone(),
            network,
            reason,
        })
}

/// Reads an address of this network; the error is a reason in words.
///
/// # Errors
/// When it is none, or one of another network.
pub fn read_address(network: Network, text: &str) -> Result<Address, String> {
    let address = text
        .parse::<Address<bitcoin::address::NetworkUnchecked>>()
        .map_err(|error| error.to_string())?;
    address
        .require_network(network.kind())
        .map_err(|_| "it belongs to another network".to_owned())
}

/// The least value that nodes pass on to this script: 294 sats for P2WPKH, 330 for taproot.
fn dust(script: &ScriptBuf) -> u64 {
    script.minimal_non_dust().to_sat()
}

fn drop_dust(gathered: &mut Gathered) {
    let payees = std::mem::take(&mut gathered.payees);
    for payee in payees {
        let (sats, dust) = (payee.sats(), dust(&payee.script));
        if payee.votes.is_empty() {
            continue;
        }
        if sats >= dust {
            gathered.payees.push(payee);
            continue;
        }
        let small = payee.votes.into_iter();
        let small = small.map(|(vote, _)| (vote, LeftOut::Dust { sats, dust }));
        gathered.left_out.extend(small);
    }
}

/// How a transaction differs from its batch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Misfit {
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
    #[error("output {0} of the batch is missing: {1} sats to {2}")]
    Missing(usize, u64, ScriptBuf),
    /// Another amount.
    #[error("output {place} of the batch pays {found} sats instead of {wanted}")]
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
        "the transaction has {0} bytes without its signatures, at most {TRANSACTION_BYTES} leave \
         room for proofs: spend fewer coins, or pay fewer recipients"
    )]
    TooLong(usize),
}

/// Whether a transaction still has the outputs of a batch, all in their places.
///
/// # Errors
/// The first difference.
pub fn fits(transaction: &Transaction, outputs: &[TxOut]) -> Result<(), Misfit> {
    for (place, wanted) in outputs.iter().enumerate() {
        let found = transaction.output.get(place);
        if found == Some(wanted) {
            continue;
        }
        if let Some(found) = transaction.output.iter().position(|one| one == wanted) {
            return Err(Misfit::Moved {
                wanted: place,
                found,
            });
        }
        let sats = wanted.value.to_sat();
        return Err(match found {
            Some(one) if one.script_pubkey == wanted.script_pubkey => Misfit::Amount {
                place,
                wanted: sats,
                found: one.value.to_sat(),
            },
            _ => Misfit::Missing(place, sats, wanted.script_pubkey.clone()),
        });
    }
    let bytes = transaction.base_size();
    if bytes > TRANSACTION_BYTES {
        return Err(Misfit::TooLong(bytes));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
