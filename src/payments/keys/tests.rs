#![allow(clippy::unwrap_used)]

use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxIn, TxOut, Witness,
    absolute::LockTime,
    hashes::Hash,
    key::TapTweak,
    secp256k1::Message,
    sighash::{Prevouts, SighashCache},
    taproot,
    transaction::Version,
};

use model::EntryId;
use spv::proof::{address_script, tweak};

use super::*;

/// The words of BIP86's test vectors.
const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                     abandon abandon about";
/// BIP86: the account's first receiving key before and after its tweak, and its address.
const INTERNAL: &str = "cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115";
const ADDRESS: &str = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr";

fn internal() -> [u8; 32] {
    parse(INTERNAL).unwrap()
}

#[test]
fn words_give_the_key_of_bip86() {
    let spending = Spending::from_words(WORDS, Network::Bitcoin).unwrap();
    assert_eq!(hex(&spending.public()), INTERNAL);
    assert_eq!(
        address(&spending.public(), Network::Bitcoin).unwrap(),
        ADDRESS
    );
    // However they are typed.
    let typed = format!("  {}\n", WORDS.to_uppercase().replace(' ', "\n "));
    let typed = Spending::from_words(&typed, Network::Bitcoin).unwrap();
    assert_eq!(typed.public(), spending.public());
    let test = Spending::from_words(WORDS, Network::Signet).unwrap();
    assert_ne!(test.public(), spending.public(), "coin type 1");
    assert!(!format!("{spending:?}").contains(INTERNAL));
}

#[test]
fn words_are_checked() {
    for (words, reason) in [
        ("", "word"),
        ("abandon about", "word"),
        (&WORDS.replace("about", "zoo"), "checksum"),
        (&WORDS.replace("about", "datt"), "unknown word"),
    ] {
        let error = Spending::from_words(words, Network::Bitcoin).unwrap_err();
        assert!(error.to_string().contains(reason), "{words}: {error}");
    }
}

#[test]
fn keys_are_read_with_and_without_parity() {
    let even = format!("02{INTERNAL}");
    let odd = format!("03{}", INTERNAL.to_uppercase());
    for text in [INTERNAL, &even, &odd, &format!(" {INTERNAL}\n")] {
        assert_eq!(hex(&parse(text).unwrap()), INTERNAL);
    }
}

#[test]
fn what_is_no_public_key_is_told_apart() {
    let xprv = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6\
                LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
    let wif = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1";
    for (text, error) in [
        ("", KeyError::Syntax(0)),
        ("key", KeyError::Syntax(3)),
        (&INTERNAL[2..], KeyError::Syntax(62)),
        (&"ff".repeat(32), KeyError::NoPoint),
        (&format!("05{INTERNAL}"), KeyError::NoPoint),
        (wif, KeyError::Foreign("private key")),
        (xprv, KeyError::Foreign("extended private key")),
        ("xpub661MyMwAqRbc", KeyError::Foreign("extended public key")),
        ("é", KeyError::Syntax(1)),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
}

#[test]
fn checksums_are_those_of_bip380() {
    assert_eq!(checksummed("raw(deadbeef)"), "raw(deadbeef)#89f8spxm");
    // The vector of Bitcoin Core's documentation of descriptors.
    assert_eq!(
        checksummed(
            "wpkh([d34db33f/84h/0h/0h]xpub6DJ2dNUysrn5Vt36jH2KLBT2i1auw1tTSSomg8PhqNiUtx8QX2SvC9n\
             rHu81fT41fvDUnhMjEzQgXnQjKEu3oaqMSzhSrHMxyyoEAmUHQbY/0/*)"
        ),
        "wpkh([d34db33f/84h/0h/0h]xpub6DJ2dNUysrn5Vt36jH2KLBT2i1auw1tTSSomg8PhqNiUtx8QX2SvC9nrHu81\
         fT41fvDUnhMjEzQgXnQjKEu3oaqMSzhSrHMxyyoEAmUHQbY/0/*)#cjjspncu"
    );
}

/// A transaction that spends the only output to `script`, by the private key in a descriptor alone.
fn spends(descriptor: &str, script: &ScriptBuf) -> bool {
    let secp = Secp256k1::new();
    let wif = &descriptor["tr(".len()..descriptor.find(')').unwrap()];
    let pair = Keypair::from_secret_key(&secp, &PrivateKey::from_wif(wif).unwrap().inner);
    let coin = TxOut {
        value: Amount::from_sat(1_000),
        script_pubkey: script.clone(),
    };
    let transaction = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(bitcoin::Txid::all_zeros(), 0),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }],
        output: vec![TxOut {
            value: Amount::from_sat(800),
            script_pubkey: ScriptBuf::new_op_return([]),
        }],
    };
    let kind = TapSighashType::Default;
    let hash = SighashCache::new(&transaction)
        .taproot_key_spend_signature_hash(0, &Prevouts::All(&[coin]), kind)
        .unwrap();
    let message = Message::from_digest(hash.to_byte_array());
    // As a wallet signs for tr(): by the key, tweaked with no script tree.
    let tweaked = pair.tap_tweak(&secp, None).to_keypair();
    let signature = taproot::Signature {
        signature: secp.sign_schnorr_no_aux_rand(&message, &tweaked),
        sighash_type: kind,
    };
    let witness = Witness::p2tr_key_spend(&signature);
    // As a node checks it: against the key in the script, BIP341.
    assert!(script.is_p2tr());
    let output = XOnlyPublicKey::from_slice(&script.as_bytes()[2..]).unwrap();
    let given = taproot::Signature::from_slice(&witness[0]).unwrap();
    secp.verify_schnorr(&given.signature, &message, &output)
        .is_ok()
}

fn script_of(descriptor: &str) -> ScriptBuf {
    let key = &descriptor["tr(".len()..descriptor.find(')').unwrap()];
    let key: XOnlyPublicKey = key.parse().unwrap();
    ScriptBuf::new_p2tr(&Secp256k1::new(), key, None)
}

#[test]
fn descriptors_spend_what_was_received() {
    let network = Network::Regtest;
    for words in [
        WORDS,
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
        "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
    ] {
        let spending = Spending::from_words(words, network).unwrap();
        let key = spending.public();
        for vote in [b"one", b"two"] {
            let vote = EntryId::of(vote);
            let script = address_script(network, &key, &vote).unwrap();
            let tweak = tweak(network, &key, &vote).unwrap().to_be_bytes();
            let descriptor = spending.descriptor(&key, Some(&tweak)).unwrap();
            assert!(spends(&descriptor, &script), "{words}");
            assert_eq!(script_of(&watching(&key, Some(&tweak)).unwrap()), script);
            let other = address_script(network, &key, &EntryId::of(b"other")).unwrap();
            assert!(!spends(&descriptor, &other), "one vote's key is no other's");
        }
        let batch = script_of(&watching(&key, None).unwrap());
        assert!(spends(&spending.descriptor(&key, None).unwrap(), &batch));
        let own = address(&key, network).unwrap();
        assert_eq!(own, address_of(&batch, network));
    }
}

fn address_of(script: &ScriptBuf, network: Network) -> String {
    Address::from_script(script, network.kind())
        .unwrap()
        .to_string()
}

#[test]
fn private_descriptors_need_the_words_of_the_key() {
    let spending = Spending::from_words(WORDS, Network::Bitcoin).unwrap();
    let other = Spending::from_words(WORDS, Network::Regtest).unwrap();
    let error = other.descriptor(&internal(), None).unwrap_err();
    assert!(matches!(error, KeyError::OtherWords { .. }), "{error}");
    let beyond = [0xff; 32];
    for refused in [
        spending.descriptor(&internal(), Some(&beyond)).unwrap_err(),
        watching(&internal(), Some(&beyond)).unwrap_err(),
    ] {
        assert!(matches!(refused, KeyError::Tweak(_)), "{refused}");
    }
    assert_eq!(watching(&beyond, None), Err(KeyError::NoPoint));
    let placeholder = placeholder(Some(&[7; 32]));
    assert!(placeholder.contains(&"07".repeat(32)), "{placeholder}");
}
