//! Keys of recipients, and the output that pays one vote to one of them (pay to contract).

use std::sync::LazyLock;

use bitcoin::{
    Address, ScriptBuf,
    hashes::Hash,
    key::{TapTweak, TweakedPublicKey},
    secp256k1::{Scalar, Secp256k1, VerifyOnly, XOnlyPublicKey},
};
use model::EntryId;
use thiserror::Error;

use super::{entry_cid, tagged};
use crate::Network;

/// The one context: it is built once, and holds no secret.
static CONTEXT: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

/// Why no address comes of a key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// No point has this X coordinate.
    #[error("the payment key is not a public key (32 bytes, x-only, BIP 340)")]
    NotAKey,
    /// The hash is beyond the group's order, or leads to infinity; nobody has seen one.
    #[error("the payment key and the vote make no key together")]
    Tweak,
}

/// The key that 32 bytes are.
///
/// # Errors
/// When no point has this X coordinate.
pub fn parse_key(key: &[u8; 32]) -> Result<XOnlyPublicKey, KeyError> {
    XOnlyPublicKey::from_slice(key).map_err(|_| KeyError::NotAKey)
}

/// What is added to a recipient's key for one vote: `H(P ‖ genesis ‖ CID)`.
///
/// Who knows the secret key of P (negated, where the point's Y is odd) spends with the sum.
///
/// # Errors
/// When the hash is not below the order of the group.
pub fn tweak(network: Network, key: &[u8; 32], vote: &EntryId) -> Result<Scalar, KeyError> {
    let genesis = network.genesis();
    let hash = tagged::ADDRESS.hash(&[key, &genesis.to_byte_array(), &entry_cid(vote)]);
    Scalar::from_be_bytes(hash).map_err(|_| KeyError::Tweak)
}

/// Internal key of the output for one vote: K = P + tweak·G, x-only.
///
/// # Errors
/// When the key is none.
pub fn internal_key(
    network: Network,
    key: &[u8; 32],
    vote: &EntryId,
) -> Result<XOnlyPublicKey, KeyError> {
    let tweak = tweak(network, key, vote)?;
    let tweaked = parse_key(key)?.add_tweak(&CONTEXT, &tweak);
    tweaked.map(|(key, _)| key).map_err(|_| KeyError::Tweak)
}

/// Script of the output that pays one vote: BIP 86 `tr(K)`.
///
/// # Errors
/// When the key is none.
pub fn address_script(
    network: Network,
    key: &[u8; 32],
    vote: &EntryId,
) -> Result<ScriptBuf, KeyError> {
    let key = output_key(internal_key(network, key, vote)?);
    Ok(ScriptBuf::new_p2tr_tweaked(key))
}

/// The same as an address, for wallets.
///
/// # Errors
/// When the key is none.
pub fn address(network: Network, key: &[u8; 32], vote: &EntryId) -> Result<Address, KeyError> {
    let key = output_key(internal_key(network, key, vote)?);
    Ok(Address::p2tr_tweaked(key, network.kind()))
}

/// Script that pays a key without any vote: BIP 86 `tr(P)`. Batches pay to it.
///
/// # Errors
/// When the key is none.
pub fn plain_script(key: &[u8; 32]) -> Result<ScriptBuf, KeyError> {
    Ok(ScriptBuf::new_p2tr_tweaked(output_key(parse_key(key)?)))
}

fn output_key(internal: XOnlyPublicKey) -> TweakedPublicKey {
    internal.tap_tweak(&CONTEXT, None).0
}
