//! Payment keys as people give them, and the descriptors that spend what was sent to them.
//!
//! The node itself only ever knows the public key P (x-only, BIP340). An output for one vote pays
//! BIP86's `tr(K)` with K = P + tweak·G; an output of a batch pays `tr(P)`.

use std::fmt;

use bip39::Mnemonic;
use bitcoin::{
    Address, CompressedPublicKey, PrivateKey, ScriptBuf, XOnlyPublicKey,
    bip32::{ChildNumber, DerivationPath, Xpriv},
    key::{Keypair, Secp256k1, UntweakedPublicKey},
    secp256k1::{All, Scalar},
};
use data_encoding::HEXLOWER_PERMISSIVE;
use spv::Network;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a public key without the parity of y.
const X_ONLY_BYTES: usize = 32;
/// Bytes of a public key with it.
const COMPRESSED_BYTES: usize = 33;
/// Purpose of single-key taproot outputs, BIP86.
const PURPOSE: u32 = 86;
/// Bitcoin's coin type, SLIP-44.
const COIN: u32 = 0;
/// Coin type of every test network, SLIP-44.
const TEST_COIN: u32 = 1;

/// Why there is no payment key.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// Neither 64 nor 66 hexadecimal digits.
    #[error(
        "a payment key is a public key of 64 (x-only) or 66 (compressed) hexadecimal digits, this \
         has {0} characters that are something else"
    )]
    Syntax(usize),
    /// A private or extended key, which is never to be given.
    #[error(
        "this looks like a wallet's {0}: datt wants one public key in hexadecimal digits, and \
         a private key belongs nowhere but into a wallet"
    )]
    Foreign(&'static str),
    /// The right length, but no point of the curve.
    #[error("these digits are no public key of secp256k1: check them, one may be wrong")]
    NoPoint,
    /// Not BIP39.
    #[error("these are no recovery words (BIP39, English): {0}")]
    Words(bip39::Error),
    /// The tweak makes no key; by chance this doesn't happen.
    #[error("the tweak {0} makes no key of this one")]
    Tweak(String),
    /// The words belong to someone else's key.
    #[error(
        "these words make the payment key {made}, but this output was paid to {paid}: take the \
         words that key was published from"
    )]
    OtherWords {
        /// From the words, hex.
        made: String,
        /// What was paid to, hex.
        paid: String,
    },
}

/// Reads a public key: x-only, or compressed, in hexadecimal digits.
///
/// # Errors
/// When it is none; private and extended keys are named as such.
pub fn parse(text: &str) -> Result<[u8; X_ONLY_BYTES], KeyError> {
    let text = text.trim();
    let bytes = match HEXLOWER_PERMISSIVE.decode(text.as_bytes()) {
        Ok(bytes) => bytes,
        Err(_) => return Err(foreign(text)),
    };
    let key = match bytes.len() {
        X_ONLY_BYTES => XOnlyPublicKey::from_slice(&bytes).map_err(|_| KeyError::NoPoint)?,
        COMPRESSED_BYTES => {
            let key = CompressedPublicKey::from_slice(&bytes).map_err(|_| KeyError::NoPoint)?;
            key.0.x_only_public_key().0
        }
        _ => return Err(KeyError::Syntax(text.chars().count())),
    };
    Ok(key.serialize())
}

fn foreign(text: &str) -> KeyError {
    if PrivateKey::from_wif(text).is_ok() {
        return KeyError::Foreign("private key");
    }
    match text.get(1..4) {
        Some("prv") => KeyError::Foreign("extended private key"),
        Some("pub") => KeyError::Foreign("extended public key"),
        _ => KeyError::Syntax(text.chars().count()),
    }
}

/// The private key p of a payment key; only where a person types its words in.
pub struct Spending {
    secp: Secp256k1<All>,
    pair: Keypair,
    network: Network,
}

impl fmt::Debug for Spending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spending(…)")
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        self.pair.non_secure_erase();
    }
}

impl Spending {
    /// From BIP39 words without a passphrase: BIP86's first receiving key,
    /// `m/86'/0'/0'/0/0` (`m/86'/1'/0'/0/0` on test networks).
    ///
    /// # Errors
    /// When these are no such words.
    pub fn from_words(words: &str, network: Network) -> Result<Self, KeyError> {
        let joined = Zeroizing::new(words.split_whitespace().collect::<Vec<_>>().join(" "));
        let lower = Zeroizing::new(joined.to_lowercase());
        let mnemonic = Mnemonic::parse_normalized(&lower).map_err(KeyError::Words)?;
        let seed = Zeroizing::new(mnemonic.to_seed_normalized(""));
        let secp = Secp256k1::new();
        let master = Xpriv::new_master(network.kind(), &seed[..]);
        let mut master = master.expect("HMAC-SHA512 gives a private key but by 2⁻¹²⁷");
        let derived = master.derive_priv(&secp, &path(network));
        let mut derived = derived.expect("a derived private key exists but by 2⁻¹²⁷");
        let pair = derived.to_keypair(&secp);
        master.private_key.non_secure_erase();
        derived.private_key.non_secure_erase();
        Ok(Self {
            secp,
            pair,
            network,
        })
    }

    /// The public key P, x-only.
    pub fn public(&self) -> [u8; X_ONLY_BYTES] {
        self.pair.x_only_public_key().0.serialize()
    }

    /// Descriptor with the private key that spends an output paid to `key`, tweaked or not.
    ///
    /// # Errors
    /// When `key` is not of these words, or the tweak makes no key.
    pub fn descriptor(
        &self,
        key: &[u8; X_ONLY_BYTES],
        tweak: Option<&[u8; 32]>,
    ) -> Result<Zeroizing<String>, KeyError> {
        if *key != self.public() {
            return Err(KeyError::OtherWords {
                made: hex(&self.public()),
                paid: hex(key),
            });
        }
        let mut pair = self.tweaked(tweak)?;
        let wif = PrivateKey::new(pair.secret_key(), self.network.kind()).to_wif();
        pair.non_secure_erase();
        let wif = Zeroizing::new(wif);
        let bare = Zeroizing::new(format!("tr({})", &*wif));
        Ok(Zeroizing::new(checksummed(&bare)))
    }

    /// The pair of K = P + tweak·G, or of P.
    fn tweaked(&self, tweak: Option<&[u8; 32]>) -> Result<Keypair, KeyError> {
        let Some(tweak) = tweak else {
            return Ok(self.pair);
        };
        let refused = || KeyError::Tweak(hex(tweak));
        let scalar = Scalar::from_be_bytes(*tweak).map_err(|_| refused())?;
        // Adds to the private key whose point has an even y, as the public side does.
        let tweaked = self.pair.add_xonly_tweak(&self.secp, &scalar);
        tweaked.map_err(|_| refused())
    }
}

fn path(network: Network) -> DerivationPath {
    let coin = match network {
        Network::Bitcoin => COIN,
        Network::Testnet4 | Network::Signet | Network::Regtest => TEST_COIN,
    };
    let hardened = |index| ChildNumber::Hardened { index };
    let normal = |index| ChildNumber::Normal { index };
    DerivationPath::from(vec![
        hardened(PURPOSE),
        hardened(coin),
        hardened(0),
        normal(0),
        normal(0),
    ])
}

/// The internal key of an output paid to `key`, tweaked or not.
fn internal(
    key: &[u8; X_ONLY_BYTES],
    tweak: Option<&[u8; 32]>,
) -> Result<UntweakedPublicKey, KeyError> {
    let point = UntweakedPublicKey::from_slice(key).map_err(|_| KeyError::NoPoint)?;
    let Some(tweak) = tweak else {
        return Ok(point);
    };
    let refused = || KeyError::Tweak(hex(tweak));
    let scalar = Scalar::from_be_bytes(*tweak).map_err(|_| refused())?;
    let added = point.add_tweak(&Secp256k1::verification_only(), &scalar);
    added.map(|(point, _)| point).map_err(|_| refused())
}

/// Descriptor that watches an output paid to `key`, tweaked or not; it spends nothing.
///
/// # Errors
/// When the key is no point, or the tweak makes none.
pub fn watching(key: &[u8; X_ONLY_BYTES], tweak: Option<&[u8; 32]>) -> Result<String, KeyError> {
    Ok(checksummed(&format!("tr({})", internal(key, tweak)?)))
}

/// Script of an output paid to `key`, tweaked or not: BIP86.
///
/// # Errors
/// When the key is no point, or the tweak makes none.
pub fn script(key: &[u8; X_ONLY_BYTES], tweak: Option<&[u8; 32]>) -> Result<ScriptBuf, KeyError> {
    let secp = Secp256k1::verification_only();
    Ok(ScriptBuf::new_p2tr(&secp, internal(key, tweak)?, None))
}

/// What a spending descriptor is made of, where no secret is at hand.
pub fn placeholder(tweak: Option<&[u8; 32]>) -> String {
    match tweak {
        Some(tweak) => format!("tr(<private key p of the payment key + {}>)", hex(tweak)),
        None => "tr(<private key p of the payment key>)".to_owned(),
    }
}

/// The first address of `tr(P)`, which a batch pays to where the key names no other.
///
/// # Errors
/// When the key is no point.
pub fn address(key: &[u8; X_ONLY_BYTES], network: Network) -> Result<String, KeyError> {
    let secp = Secp256k1::verification_only();
    let point = internal(key, None)?;
    Ok(Address::p2tr(&secp, point, None, network.kind()).to_string())
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER_PERMISSIVE.encode(bytes)
}

/// Characters of descriptors, in the order BIP380 counts them.
const INPUT: &str = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~\
                     ijklmnopqrstuvwxyzABCDEFGH`#\"\\ ";
/// Characters of checksums: those of Bech32.
const OUTPUT: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Characters of a checksum.
const CHECKSUM: usize = 8;
/// The generator of the BCH code, BIP380.
const GENERATOR: [u64; 5] = [
    0xf5_dee5_1989,
    0xa9_fdca_3312,
    0x1b_ab10_e32d,
    0x37_06b1_677a,
    0x64_4d62_6ffd,
];

/// A descriptor of the characters that BIP380 allows, with its checksum.
fn checksummed(descriptor: &str) -> String {
    let mut state = 1;
    let (mut group, mut count) = (0, 0);
    for c in descriptor.chars() {
        let place = INPUT.find(c).expect("descriptors made here are of keys");
        state = step(state, place as u64 & 31);
        group = group * 3 + (place as u64 >> 5);
        count += 1;
        if count == 3 {
            state = step(state, group);
            (group, count) = (0, 0);
        }
    }
    if count > 0 {
        state = step(state, group);
    }
    for _ in 0..CHECKSUM {
        state = step(state, 0);
    }
    state ^= 1;
    let digits = (0..CHECKSUM).map(|at| {
        let digit = state >> (5 * (CHECKSUM - 1 - at)) & 31;
        char::from(OUTPUT[usize::from(digit as u8)])
    });
    format!("{descriptor}#{}", digits.collect::<String>())
}

fn step(state: u64, value: u64) -> u64 {
    let top = state >> 35;
    let mut next = ((state & 0x7_ffff_ffff) << 5) ^ value;
    for (bit, generator) in GENERATOR.into_iter().enumerate() {
        if top >> bit & 1 == 1 {
            next ^= generator;
        }
    }
    next
}

#[cfg(test)]
mod tests;
