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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bitcoin::{
        hex::FromHex,
        key::Keypair,
        secp256k1::{Message, Parity, SecretKey},
    };
    use proptest::prelude::*;

    use super::*;

    fn key(hex: &str) -> [u8; 32] {
        FromHex::from_hex(hex).unwrap()
    }

    #[test]
    fn a_key_alone_is_paid_as_bip_86_says() {
        // first receiving key of the test vectors of BIP 86
        let internal = key("cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115");
        let script = plain_script(&internal).unwrap();
        assert_eq!(
            script.to_hex_string(),
            "5120a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c"
        );
    }

    #[test]
    fn what_is_no_point_is_no_key() {
        for bytes in [[0; 32], [0xff; 32]] {
            assert_eq!(parse_key(&bytes), Err(KeyError::NotAKey));
            assert_eq!(plain_script(&bytes), Err(KeyError::NotAKey));
        }
    }

    proptest! {
        /// Whoever has the secret key spends what was paid for a vote: nobody needs to keep more.
        #[test]
        fn the_recipient_can_spend(secret in any::<[u8; 32]>(), vote in any::<[u8; 32]>()) {
            let secp = Secp256k1::new();
            prop_assume!(SecretKey::from_slice(&secret).is_ok());
            let secret = SecretKey::from_slice(&secret).unwrap();
            let vote = EntryId::from_bytes(vote);
            let (public, parity) = secret.x_only_public_key(&secp);
            let even = match parity {
                Parity::Even => secret,
                Parity::Odd => secret.negate(),
            };
            let tweak = tweak(Network::Regtest, &public.serialize(), &vote).unwrap();
            let spending = even.add_tweak(&tweak).unwrap();
            let pair = Keypair::from_secret_key(&secp, &spending);
            let output = pair.tap_tweak(&secp, None).to_keypair();
            let message = Message::from_digest([7; 32]);
            let signature = secp.sign_schnorr_no_aux_rand(&message, &output);

            let script = address_script(Network::Regtest, &public.serialize(), &vote).unwrap();
            let paid = XOnlyPublicKey::from_slice(&script.as_bytes()[2..]).unwrap();
            prop_assert!(secp.verify_schnorr(&signature, &message, &paid).is_ok());
            let address = address(Network::Regtest, &public.serialize(), &vote).unwrap();
            prop_assert_eq!(address.script_pubkey(), script);
            prop_assert!(address.to_string().starts_with("bcrt1p"));
        }
    }
}
