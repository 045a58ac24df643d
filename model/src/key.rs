//! Ed25519 keys, and the root key's way from a seed (SLIP-0010).

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::DeviceKey;

/// Path of an identity's root key: m/44'/0x64617474' ("datt"), all hardened as SLIP-0010 asks of Ed25519.
const ROOT_PATH: [u32; 2] = [44, 0x6461_7474];
const HARDENED: u32 = 1 << 31;

/// Why a signature does not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The public key is no curve point.
    #[error("the public key is not a valid Ed25519 key")]
    PublicKey,
    /// `verify_strict` refused it.
    #[error("the signature does not match the key and the bytes")]
    Signature,
}

/// An Ed25519 secret key; wiped from memory when dropped, never shown.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// From its 32-byte seed.
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The 32-byte seed, wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key.
    pub fn public(&self) -> DeviceKey {
        DeviceKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs `domain ‖ bytes`.
    pub(crate) fn sign(&self, domain: &[u8], bytes: &[u8]) -> [u8; 64] {
        self.0.sign(&[domain, bytes].concat()).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public().short())
    }
}

/// Checks a signature over `domain ‖ bytes`, by `verify_strict`: batch verification may accept
/// what it rejects, and replicas must agree.
pub(crate) fn verify(
    key: &[u8; 32],
    domain: &[u8],
    bytes: &[u8],
    signature: &[u8; 64],
) -> Result<(), KeyError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| KeyError::PublicKey)?;
    key.verify_strict(&[domain, bytes].concat(), &Signature::from_bytes(signature))
        .map_err(|_| KeyError::Signature)
}

/// The root key of an identity from a BIP39 seed (64 bytes), by SLIP-0010.
pub fn root_key_from_seed(seed: &[u8]) -> SecretKey {
    let (mut key, mut chain) = slip10_split(b"ed25519 seed", &[seed]);
    for index in ROOT_PATH {
        let number = (index | HARDENED).to_be_bytes();
        let (next_key, next_chain) = slip10_split(&chain[..], &[&[0], &key[..], &number]);
        (key, chain) = (next_key, next_chain);
    }
    SecretKey::from_bytes(&key)
}

/// What a genesis commits to: the hash of the next root's public key, which a rotation reveals.
pub fn successor_commitment(next_root: &DeviceKey) -> [u8; 32] {
    blake3::derive_key(
        "datt 2026 identity successor commitment",
        next_root.as_bytes(),
    )
}

type Half = Zeroizing<[u8; 32]>;

fn slip10_split(key: &[u8], parts: &[&[u8]]) -> (Half, Half) {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    let mut all: [u8; 64] = mac.finalize().into_bytes().into();
    let (mut left, mut right) = (Half::default(), Half::default());
    left.copy_from_slice(&all[..32]);
    right.copy_from_slice(&all[32..]);
    all.zeroize();
    (left, right)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn slip10_test_vector_1() {
        // SLIP-0010, test vector 1 for ed25519: chain m and m/0'.
        let seed = data_encoding::HEXLOWER
            .decode(b"000102030405060708090a0b0c0d0e0f")
            .unwrap();
        let (key, chain) = slip10_split(b"ed25519 seed", &[&seed]);
        let hex = |half: &Half| data_encoding::HEXLOWER.encode(&half[..]);
        assert_eq!(
            hex(&key),
            "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7"
        );
        let number = HARDENED.to_be_bytes();
        let (key, chain) = slip10_split(&chain[..], &[&[0], &key[..], &number]);
        assert_eq!(
            hex(&key),
            "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3"
        );
        assert_eq!(
            hex(&chain),
            "8b59aa11380b624e81507a27fedda59fea6d0b779a778918a2fd3590e16e9c69"
        );
    }

    #[test]
    fn a_signature_binds_its_domain() {
        let key = SecretKey::from_bytes(&[1; 32]);
        let signature = key.sign(b"a", b"bytes");
        let public = *key.public().as_bytes();
        assert_eq!(verify(&public, b"a", b"bytes", &signature), Ok(()));
        assert_eq!(
            verify(&public, b"b", b"bytes", &signature),
            Err(KeyError::Signature)
        );
        assert!(!format!("{key:?}").contains("0101"));
    }
}
