//! A proof that decodes is kept byte for byte, and one that holds pays a vote no more than its
//! output has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spv::proof::{Binding, MAX_PROOF_BYTES, PaymentProof, counted_sats};

fuzz_target!(|bytes: &[u8]| {
    let Ok(proof) = PaymentProof::decode(bytes) else {
        return;
    };
    assert!(bytes.len() <= MAX_PROOF_BYTES);
    assert_eq!(proof.encode(), bytes);
    let Ok(checked) = proof.check() else {
        return;
    };
    assert_eq!((checked.vote, checked.block), (proof.vote, proof.block));
    assert_eq!(checked.is_batch, proof.binding != Binding::Address);
    assert!(checked.sats > 0);
    assert_eq!(counted_sats([&checked, &checked]), checked.sats);
});
