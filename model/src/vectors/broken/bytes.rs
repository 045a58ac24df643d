//! Bytes that are no `[header, signature]`, or not in the one form that CBOR may have.

use crate::Ipld;

use super::{
    super::{
        craft::{DOMAIN, assembled, encode, reply, signed, spliced, with},
        key,
    },
    Broken, int, named,
};

pub(super) fn structure() -> Vec<Broken> {
    let header = encode(&reply().to_ipld());
    let whole = signed(&header, &key("alice device"));
    let map = Ipld::Map([("header".to_owned(), reply().to_ipld())].into());
    let parts = |count: u8| {
        let mut bytes = vec![0x80 | count];
        bytes.extend((0..count).flat_map(|_| header.clone()));
        bytes
    };
    let mut three = signed(&header, &key("alice device"));
    three[0] = 0x83;
    three.push(0);
    let mut textual = whole.clone();
    let at = textual.len() - 66;
    textual.splice(at.., [0x61, b's']);
    let long = with(|map| {
        let pair = Ipld::List(vec![int(200), Ipld::Bytes(vec![0; 2048])]);
        map.insert("x".to_owned(), Ipld::List(vec![pair]));
    });
    named(vec![
        ("no bytes at all", "cbor", Vec::new()),
        (
            "last byte missing",
            "cbor",
            whole[..whole.len() - 1].to_vec(),
        ),
        (
            "one byte after the end",
            "cbor",
            [&whole[..], &[0]].concat(),
        ),
        ("over 2048 bytes", "too_long", long),
        ("a map instead of an array", "shape", encode(&map)),
        ("an array of one", "shape", parts(1)),
        ("an array of three", "shape", three),
        ("a header where the signature belongs", "shape", parts(2)),
        ("a text where the signature belongs", "shape", textual),
        (
            "a signature of 63 bytes",
            "shape",
            assembled(&header, &[0; 63]),
        ),
        (
            "a signature of 65 bytes",
            "shape",
            assembled(&header, &[0; 65]),
        ),
        (
            "a header that is an array",
            "type:header",
            signed(&encode(&Ipld::List(Vec::new())), &key("alice device")),
        ),
    ])
}

pub(super) fn encoding() -> Vec<Broken> {
    let header = encode(&reply().to_ipld());
    let secret = key("alice device");
    let whole = signed(&header, &secret);
    let mut indefinite_array = whole.clone();
    indefinite_array[0] = 0x9f;
    indefinite_array.push(0xff);
    let long_array = [&[0x98, 0x02], &whole[1..]].concat();
    let fields = header[0] & 0x1f;
    let indefinite_map = [&[0xbf], &header[1..], &[0xff]].concat();
    let long_map = [&[0xb8, fields], &header[1..]].concat();
    let extra = |field: &[u8]| [&[header[0] + 1], &header[1..], field].concat();
    let at = header
        .windows(3)
        .position(|bytes| bytes == b"ad\x03")
        .unwrap();
    let twice = [&[header[0] + 1], &header[1..at], b"ad\x03", &header[at..]].concat();
    let mut long_signature = [&[0x82], &header[..], &[0x59, 0, 0x40]].concat();
    long_signature.extend_from_slice(&secret.sign(DOMAIN, &header));
    // On the wire `s` is 61 73 05, `d` 61 64 03, `n` 61 6e 64 "post", `g` 61 67 00.
    named(vec![
        ("array of indefinite length", "cbor", indefinite_array),
        ("array length not minimal", "cbor", long_array),
        (
            "map of indefinite length",
            "cbor",
            signed(&indefinite_map, &secret),
        ),
        ("map length not minimal", "cbor", signed(&long_map, &secret)),
        ("signature length not minimal", "cbor", long_signature),
        (
            "integer not minimal",
            "cbor",
            spliced(b"as\x05", b"as\x18\x05"),
        ),
        (
            "text length not minimal",
            "cbor",
            spliced(b"andpost", b"an\x78\x04post"),
        ),
        (
            "text of indefinite length",
            "cbor",
            spliced(b"andpost", b"an\x7f\x64post\xff"),
        ),
        (
            "text that is not UTF-8",
            "cbor",
            spliced(b"andpost", b"an\x64po\xfft"),
        ),
        (
            "map keys not in order",
            "cbor",
            signed(&extra(b"\x61b\x00"), &secret),
        ),
        ("map key twice", "cbor", signed(&twice, &secret)),
        (
            "map key that is a number",
            "cbor",
            signed(&extra(b"\x00\x00"), &secret),
        ),
        (
            "integer as bignum",
            "cbor",
            spliced(b"as\x05", b"as\xc2\x41\x05"),
        ),
        (
            "tag other than 42",
            "cbor",
            spliced(b"as\x05", b"as\xc1\x05"),
        ),
        (
            "link without the leading zero byte",
            "cbor",
            spliced(
                b"\xd8\x2a\x58\x25\x00\x01\x71",
                b"\xd8\x2a\x58\x25\x01\x01\x71",
            ),
        ),
        (
            "link whose CID has a varint not minimal",
            "cbor",
            spliced(
                b"\xd8\x2a\x58\x25\x00\x01\x71",
                b"\xd8\x2a\x58\x26\x00\x01\xf1\x00",
            ),
        ),
        ("half float", "cbor", spliced(b"as\x05", b"as\xf9\x45\x00")),
        ("undefined", "cbor", spliced(b"as\x05", b"as\xf7")),
    ])
}
