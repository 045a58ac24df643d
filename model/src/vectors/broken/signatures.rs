//! Well-formed entries whose signature does not stand.

use crate::Ipld;

use super::{
    super::{
        craft::{DOMAIN, assembled, encode, fields, reply, signed},
        key,
    },
    Broken, named,
};

pub(super) fn signatures() -> Vec<Broken> {
    let secret = key("alice device");
    let header = encode(&reply().to_ipld());
    let signature = secret.sign(DOMAIN, &header);
    let flipped = |at: usize| {
        let mut changed = signature;
        changed[at] ^= 1;
        assembled(&header, &changed)
    };
    let mut other_time = reply();
    other_time.time_ms += 1;
    let with_key = |device: [u8; 32], signature: &[u8; 64]| {
        let mut map = fields(&reply());
        map.insert("k".to_owned(), Ipld::Bytes(device.to_vec()));
        assembled(&encode(&Ipld::Map(map)), signature)
    };
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut neutral_signature = [0; 64];
    neutral_signature[0] = 1;
    // y = p + 1, the neutral point in a form that is not reduced.
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xee, 0x7f);
    // y = 2 is on no point of the curve.
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    named(vec![
        ("signature with a bit changed in R", "signature", flipped(0)),
        (
            "signature with a bit changed in S",
            "signature",
            flipped(32),
        ),
        (
            "signature with S + L instead of S",
            "signature",
            assembled(&header, &malleable(&signature)),
        ),
        (
            "time changed after signing",
            "signature",
            assembled(&encode(&other_time.to_ipld()), &signature),
        ),
        (
            "signed by another key",
            "signature",
            signed(&header, &key("bob device")),
        ),
        (
            "signed without the domain",
            "signature",
            assembled(&header, &secret.sign(b"", &header)),
        ),
        (
            "signed with the domain of holdings",
            "signature",
            assembled(&header, &secret.sign(b"datt/holding/1", &header)),
        ),
        (
            "signature of zeros",
            "signature",
            assembled(&header, &[0; 64]),
        ),
        (
            "device key of small order, which plain verification accepts",
            "signature",
            with_key(neutral, &neutral_signature),
        ),
        (
            "device key of small order, not reduced",
            "signature",
            with_key(unreduced, &neutral_signature),
        ),
        (
            "device key that is no curve point",
            "public_key",
            with_key(off_curve, &signature),
        ),
    ])
}

/// The same signature with the group order added to S: it satisfies the equation too.
fn malleable(signature: &[u8; 64]) -> [u8; 64] {
    // L = 2^252 + 27742317777372353535851937790883648493, little-endian (RFC 8032, 5.1).
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut changed = *signature;
    let mut carry = 0_u16;
    for (byte, order) in changed[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    changed
}
