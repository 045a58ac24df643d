//! What rows say of a vote, a payment key and a proof, as far as judging needs it.

use bitcoin::{Address, ScriptBuf, address::NetworkUnchecked};
use model::{EntryId, IdentityId, Ipld, Row, SpaceId};
use spv::{
    Network,
    proof::{KeyError, ProofError},
};
use thiserror::Error;

/// A vote, and who may be paid by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteFacts {
    /// Post voted on.
    pub post: EntryId,
    /// First post of its thread.
    pub root: EntryId,
    /// Its board.
    pub space: SpaceId,
    /// Who voted.
    pub voter: IdentityId,
    /// Author of the post.
    pub author: IdentityId,
    /// Owner of the board; none while its genesis isn't held.
    pub owner: Option<IdentityId>,
    /// -1, 0 or 1.
    pub dir: i8,
    /// When, by the voter's clock, Unix milliseconds.
    pub time_ms: u64,
    /// The voter voted again on the same post, or the vote no longer counts.
    pub superseded: bool,
    /// The post is hidden by a moderator, or no longer counts.
    pub hidden: bool,
}

impl VoteFacts {
    /// Whether payments for it are counted.
    pub fn counts(&self) -> bool {
        !self.superseded && !self.hidden
    }
}

/// A row of the table `payment_key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Whose it is.
    pub identity: IdentityId,
    /// For which chain.
    pub network: Network,
    /// X-only (BIP 340).
    pub key: [u8; 32],
    /// Where batches pay to, as it is written; none: BIP86's output of the key.
    pub address: Option<String>,
    /// It says that nobody is to pay there any more.
    pub off: bool,
}

/// What is known of a row that a proof cites as the recipient's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It isn't held here, or not settled: it may come.
    Absent,
    /// It was a payment key, and doesn't count any more: its feed forked there, or was cut off.
    Gone,
    /// It is something else.
    NoKey,
    /// A payment key.
    Key(KeyRow),
}

/// Why a proof proves nothing: wrong in itself, or not for whom it says.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Falsehood {
    /// By itself, or by the chain.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// For another vote than the row names.
    #[error("the proof is for another vote, {0}")]
    OtherVote(EntryId),
    /// What it cites is no payment key.
    #[error("the row {0} that the proof cites is no payment key")]
    NoKey(EntryId),
    /// The row is about another chain.
    #[error("the recipient's key is for {row}, the payment was made on {proof}")]
    KeyNetwork {
        /// Of the row.
        row: Network,
        /// Of the proof.
        proof: Network,
    },
    /// Another key than the row has.
    #[error("it pays another key than the row {0} publishes")]
    OtherKey(EntryId),
    /// The row takes the key back.
    #[error("the row {0} says that this key is no longer to be paid")]
    KeyOff(EntryId),
    /// A batch that pays somewhere else.
    #[error("the batch pays another address than the row {0} publishes")]
    OtherAddress(EntryId),
    /// Neither of the two that may be paid.
    #[error("it pays {0}, who neither wrote the post nor owns the board")]
    Stranger(IdentityId),
}

impl KeyRow {
    /// Reads a row; none when it is no key of a chain.
    pub fn read(identity: IdentityId, row: &Row) -> Option<Self> {
        let text = |column| match row.get(column) {
            Some(Ipld::String(text)) => Some(text.as_str()),
            _ => None,
        };
        if text("class") != Some("chain") {
            return None;
        }
        let off = matches!(row.get("off"), Some(Ipld::Bool(true)));
        let key = match row.get("key") {
            Some(Ipld::Bytes(bytes)) => <[u8; 32]>::try_from(bytes.as_slice()).ok(),
            _ => None,
        };
        Some(Self {
            identity,
            network: text("network")?.parse().ok()?,
            key: if off { key.unwrap_or_default() } else { key? },
            address: text("address").map(str::to_owned),
            off,
        })
    }

    /// Script that a batch pays to. None when the address is none of this chain.
    ///
    /// # Errors
    /// When the key is no public key.
    pub fn batch_script(&self) -> Result<Option<ScriptBuf>, KeyError> {
        let Some(address) = &self.address else {
            return spv::proof::plain_script(&self.key).map(Some);
        };
        let address = address.parse::<Address<NetworkUnchecked>>().ok();
        let address = address.and_then(|one| one.require_network(self.network.kind()).ok());
        Ok(address.map(|one| one.script_pubkey()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    const KEY: [u8; 32] = [
        0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b,
        0x07, 0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8,
        0x17, 0x98,
    ];

    fn row(class: &str, network: &str, key: &[u8], off: bool) -> Row {
        BTreeMap::from([
            ("class".to_owned(), Ipld::String(class.to_owned())),
            ("network".to_owned(), Ipld::String(network.to_owned())),
            ("key".to_owned(), Ipld::Bytes(key.to_vec())),
            ("off".to_owned(), Ipld::Bool(off)),
        ])
    }

    #[test]
    fn only_keys_of_a_chain_are_read() {
        let me = IdentityId::of(b"me");
        let read =
            |class, network, key: &[u8], off| KeyRow::read(me, &row(class, network, key, off));
        assert_eq!(read("chain", "regtest", &KEY, false).unwrap().key, KEY);
        assert!(read("chain", "regtest", &[], true).unwrap().off);
        assert!(read("chain", "regtest", &KEY[1..], false).is_none());
        assert!(read("chain", "elsewhere", &KEY, false).is_none());
        assert!(read("lightning", "regtest", &KEY, false).is_none());
    }

    #[test]
    fn batches_pay_to_the_address_of_the_row_or_to_its_key() {
        let mut key =
            KeyRow::read(IdentityId::of(b"me"), &row("chain", "regtest", &KEY, false)).unwrap();
        let plain = key.batch_script().unwrap().unwrap();
        assert_eq!(plain, spv::proof::plain_script(&KEY).unwrap());
        key.address = Some("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4".to_owned());
        assert_eq!(key.batch_script(), Ok(None), "an address of another chain");
        key.network = Network::Bitcoin;
        let script = key.batch_script().unwrap().unwrap();
        assert!(script.is_p2wpkh());
    }
}
