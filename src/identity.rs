//! The first start: root key, successor commitment and first device.
//!
//! The root key is derived from recovery words, signs the genesis and the first device, and is
//! gone: only the words bring it back. The next root comes from a second set of words, of which
//! the genesis holds a hash, so that a thief of the first can't choose who comes after.

use std::{collections::BTreeMap, fmt};

use bip39::Mnemonic;
use database::authoring;
use model::{
    Entry, EntryError, EntryId, Header, IdentityId, Payload, PayloadError, SecretKey, Verified,
    limits, root_key_from_seed, successor_commitment,
};
use thiserror::Error;
use zeroize::Zeroizing;

/// 256 bits of entropy: 24 words.
const ENTROPY_BYTES: usize = 32;

/// Why no identity could be made.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// No randomness to be had.
    #[error("cannot make an identity: the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// A row could not be encoded.
    #[error("cannot make an identity: {0}")]
    Payload(#[from] PayloadError),
    /// An entry could not be signed.
    #[error("cannot make an identity: {0}")]
    Entry(#[from] EntryError),
}

/// 24 BIP39 words; shown once, never stored by the node.
pub struct Words(Zeroizing<String>);

impl Words {
    /// The words, separated by spaces.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Words(…)")
    }
}

/// A new identity and what the person must write down.
#[derive(Debug)]
pub struct NewIdentity {
    /// Its CID.
    pub identity: IdentityId,
    /// Genesis and first device, in order, each with its payload.
    pub entries: Vec<(Entry<Verified>, Payload)>,
    /// Words of the root key.
    pub root_words: Words,
    /// Words of the next root key.
    pub successor_words: Words,
}

/// Makes an identity whose first device has this key.
///
/// # Errors
/// When the system gives no randomness.
pub fn create(
    device: &SecretKey,
    device_name: &str,
    time_ms: u64,
) -> Result<NewIdentity, IdentityError> {
    let (root_words, root) = fresh_root()?;
    let (successor_words, successor) = fresh_root()?;
    let commitment = successor_commitment(&successor.public());
    let salted = || salt().map_err(IdentityError::Random);
    let (header, payload) =
        authoring::identity_genesis(root.public(), commitment, salted()?, time_ms)?;
    let genesis = (Entry::sign(header, &root)?, payload);
    let (table, row) = authoring::device_row(&device.public(), device_name);
    let payload = Payload::new(salted()?, row)?;
    let first = signed(&root, table, payload, genesis.0.id(), time_ms)?;
    Ok(NewIdentity {
        identity: IdentityId::from(genesis.0.id()),
        entries: vec![genesis, first],
        root_words,
        successor_words,
    })
}

fn fresh_root() -> Result<(Words, SecretKey), IdentityError> {
    let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
    getrandom::fill(&mut entropy[..]).map_err(IdentityError::Random)?;
    let mnemonic =
        Mnemonic::from_entropy(&entropy[..]).expect("32 bytes are an entropy that BIP39 allows");
    let seed = Zeroizing::new(mnemonic.to_seed_normalized(""));
    Ok((
        Words(Zeroizing::new(mnemonic.to_string())),
        root_key_from_seed(&seed[..]),
    ))
}

/// The entry after the genesis: there is no space yet to prepare it from.
fn signed(
    root: &SecretKey,
    table: &str,
    payload: Payload,
    genesis: EntryId,
    time_ms: u64,
) -> Result<(Entry<Verified>, Payload), IdentityError> {
    let header = Header {
        device: root.public(),
        identity: Some(IdentityId::from(genesis)),
        seq: 1,
        backlink: Some(genesis),
        time_ms,
        depth: 1,
        root: None,
        parents: vec![genesis],
        grant: None,
        space: Some(genesis.into()),
        schema: database::schema::profile().id(),
        table: table.to_owned(),
        payload_size: payload.size(),
        payload: payload.id(),
        expires_ms: None,
        extensions: BTreeMap::new(),
    };
    Ok((Entry::sign(header, root)?, payload))
}

/// Fresh random bytes that open a payload.
///
/// # Errors
/// When the system gives no randomness.
pub fn salt() -> Result<[u8; limits::SALT_BYTES], getrandom::Error> {
    let mut salt = [0; limits::SALT_BYTES];
    getrandom::fill(&mut salt)?;
    Ok(salt)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::Ipld;

    use super::*;

    #[test]
    fn the_words_bring_the_root_key_back() {
        let device = SecretKey::from_bytes(&[1; 32]);
        let new = create(&device, "laptop", 1_000).unwrap();
        let mnemonic: Mnemonic = new.root_words.reveal().parse().unwrap();
        let root = root_key_from_seed(&mnemonic.to_seed_normalized(""));
        assert_eq!(new.entries[0].0.header().device, root.public());
        assert_eq!(new.entries[1].0.header().device, root.public());
        let successor: Mnemonic = new.successor_words.reveal().parse().unwrap();
        let successor = root_key_from_seed(&successor.to_seed_normalized(""));
        assert_eq!(
            new.entries[0].1.row()["successor"],
            Ipld::Bytes(successor_commitment(&successor.public()).to_vec())
        );
        assert!(!format!("{new:?}").contains(new.root_words.reveal()));
    }

    #[test]
    fn entries_stand_before_strangers() {
        let device = SecretKey::from_bytes(&[1; 32]);
        for (entry, payload) in create(&device, "laptop", 1_000).unwrap().entries {
            let read = Entry::decode(entry.bytes()).unwrap().verify().unwrap();
            assert_eq!(read, entry);
            assert_eq!(
                Payload::decode(payload.bytes()).unwrap().id(),
                entry.header().payload
            );
        }
    }
}
