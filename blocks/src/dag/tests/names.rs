use cid::Cid;
use sha2::{Digest, Sha512};

use super::{cid, identity};
use crate::dag::{
    BlockFault, MAX_BLOCK_BYTES, NameFault, check_name, codec, hash, inline, name_of, parse_cid,
    verify,
};

#[test]
fn every_known_hash_function_names_the_bytes_and_no_others() {
    let bytes = b"the bytes";
    let sha512: [u8; 64] = Sha512::digest(bytes).into();
    for name in [
        name_of(codec::RAW, bytes),
        name_of(codec::DAG_PB, bytes),
        Cid::new_v0(*name_of(codec::DAG_PB, bytes).hash()).unwrap(),
        cid(codec::JSON, hash::SHA2_512, &sha512),
        cid(
            codec::DAG_CBOR,
            hash::BLAKE3,
            blake3::hash(bytes).as_bytes(),
        ),
        identity(bytes),
    ] {
        assert_eq!(verify(&name, bytes), Ok(()), "{name}");
        let other = verify(&name, b"the byteS");
        assert_eq!(other, Err(BlockFault::Mismatch { cid: name }));
        assert!(verify(&name, b"").is_err());
    }
}

#[test]
fn what_can_not_name_a_block_is_told_apart() {
    const LIBP2P_KEY: u64 = 0x72;
    const SHA1: u64 = 0x11;
    let key = cid(LIBP2P_KEY, hash::SHA2_256, &[1; 32]);
    let sha1 = cid(codec::RAW, SHA1, &[1; 20]);
    let short = cid(codec::RAW, hash::SHA2_256, &[1; 20]);
    let long = cid(codec::RAW, hash::BLAKE3, &[1; 64]);
    for (name, fault) in [
        (
            key,
            NameFault::Codec {
                cid: key,
                codec: LIBP2P_KEY,
            },
        ),
        (
            sha1,
            NameFault::Hash {
                cid: sha1,
                code: SHA1,
            },
        ),
        (
            short,
            NameFault::Digest {
                cid: short,
                wanted_bytes: 32,
                found_bytes: 20,
            },
        ),
        (
            long,
            NameFault::Digest {
                cid: long,
                wanted_bytes: 32,
                found_bytes: 64,
            },
        ),
    ] {
        assert_eq!(check_name(&name), Err(fault.clone()));
        assert_eq!(verify(&name, b""), Err(BlockFault::Name(fault)));
    }
}

#[test]
fn an_identity_cid_holds_its_block() {
    assert_eq!(inline(&identity(b"")).as_deref(), Some(&b""[..]));
    assert_eq!(inline(&identity(&[7; 64])).as_deref(), Some(&[7; 64][..]));
    assert_eq!(inline(&name_of(codec::RAW, b"")), None);
    assert_eq!(inline(&cid(0x72, hash::IDENTITY, b"key")), None);
    // One byte more isn't a CID here at all.
    let mut longer = vec![1, 0x55, 0, 65];
    longer.extend([7; 65]);
    assert!(Cid::try_from(&longer[..]).is_err());
}

#[test]
fn a_block_has_two_mebibytes_and_no_more() {
    let mut bytes = vec![0; MAX_BLOCK_BYTES];
    assert_eq!(verify(&name_of(codec::RAW, &bytes), &bytes), Ok(()));
    bytes.push(0);
    let name = name_of(codec::RAW, &bytes);
    let size_bytes = bytes.len();
    let fault = BlockFault::TooLarge {
        cid: name,
        size_bytes,
    };
    assert_eq!(verify(&name, &bytes), Err(fault));
}

#[test]
fn the_whole_text_has_to_be_the_cid() {
    let name = name_of(codec::RAW, b"x");
    let text = name.to_string();
    assert_eq!(parse_cid(&text), Some(name));
    let v0 = Cid::new_v0(*name_of(codec::DAG_PB, b"x").hash()).unwrap();
    assert_eq!(parse_cid(&v0.to_string()), Some(v0));

    let mut long = name.to_bytes();
    long.push(0);
    let multibase = |bytes: &[u8]| cid::multibase::encode(cid::multibase::Base::Base32Lower, bytes);
    for wrong in [
        String::new(),
        "b".into(),
        "Qm".into(),
        format!("/ipfs/{text}"),
        format!("https://host.invalid/ipfs/{text}"),
        format!("{text} "),
        multibase(&long),
        multibase(&v0.to_bytes()),
        multibase(&[1, 0x80 | 0x55, 0, 0, 0]),
        "\u{1f980}".into(),
    ] {
        assert_eq!(parse_cid(&wrong), None, "{wrong}");
    }
}
