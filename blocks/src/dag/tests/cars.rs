use bytes::Bytes;
use cid::Cid;

use super::{cid, identity, raw};
use crate::dag::{
    BlockFault, CarDecoder, CarFault, CarItem, MAX_BLOCK_BYTES, NameFault, car_frame, car_header,
    codec, hash, name_of,
};

/// Reads all of it in pieces of a length.
fn read(car: &[u8], piece_bytes: usize) -> (Vec<CarItem>, Result<(), CarFault>) {
    let mut decoder = CarDecoder::new();
    let mut items = Vec::new();
    for piece in car.chunks(piece_bytes) {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(fault) => {
                    assert_eq!(decoder.next(), Err(fault.clone()));
                    assert_eq!(decoder.end(), Err(fault.clone()));
                    return (items, Err(fault));
                }
            }
        }
    }
    (items, decoder.end())
}

fn car(roots: &[Cid], blocks: &[(Cid, Bytes)]) -> Vec<u8> {
    let mut car = car_header(roots).to_vec();
    for (cid, bytes) in blocks {
        car.extend(car_frame(cid, bytes.len()));
        car.extend(bytes);
    }
    car
}

fn fault(car: &[u8]) -> CarFault {
    let (_, end) = read(car, 7);
    assert_eq!(read(car, car.len().max(1)).1, end);
    end.unwrap_err()
}

#[test]
fn what_is_written_is_read_whatever_the_pieces() {
    let blocks = [
        raw(b"one"),
        raw(b""),
        (identity(b"two"), Bytes::from_static(b"two")),
        raw(b"one"),
        {
            let large = Bytes::from(vec![3; MAX_BLOCK_BYTES]);
            (name_of(codec::RAW, &large), large)
        },
        raw(b"last"),
    ];
    for roots in [&[][..], &[blocks[0].0], &[blocks[0].0, blocks[3].0]] {
        let car = car(roots, &blocks);
        let roots = roots.to_vec();
        let mut wanted = vec![CarItem::Header { roots }];
        wanted.extend(
            blocks
                .iter()
                .cloned()
                .map(|(cid, bytes)| CarItem::Block { cid, bytes }),
        );
        for piece_bytes in [1000, 65_536, 1 << 20, car.len()] {
            assert_eq!(read(&car, piece_bytes), (wanted.clone(), Ok(())));
        }
    }
    let small = car(&[], &blocks[..4]);
    assert_eq!(read(&small, 1).0.len(), 5);
}

/// The header that Kubo writes for one root.
#[test]
fn the_header_has_the_published_form() {
    let root = name_of(codec::RAW, b"");
    let header = car_header(&[root]);
    let start = [
        0x3a, 0xa2, 0x65, b'r', b'o', b'o', b't', b's', 0x81, 0xd8, 0x2a, 0x58, 0x25, 0,
    ];
    assert_eq!(header[..start.len()], start);
    assert_eq!(header[start.len()..][..36], root.to_bytes());
    assert_eq!(&header[start.len() + 36..], b"\x67version\x01");
    assert_eq!(
        &car_header(&[])[..],
        b"\x11\xa2\x65roots\x80\x67version\x01"
    );
}

#[test]
fn a_header_that_is_not_one_is_refused() {
    let with_length = |header: &[u8]| [&[u8::try_from(header.len()).unwrap()], header].concat();
    let is_header = |car: &[u8]| matches!(fault(car), CarFault::Header { .. });
    for header in [
        &b"\xa1\x65roots\x80"[..],
        b"\xa2\x67version\x01\x65roots\x80",
        b"\xa2\x65roots\x81\x00\x67version\x01",
        b"\xa3\x65other\x00\x65roots\x80\x67version\x01",
        b"\xa2\x65roots\x80\x67version\x61\x31",
        b"\xa2\x65roots\x80\x67version\x01\x00",
        b"\xa1\x67version\x01",
        b"<!DOCTYPE html>",
    ] {
        assert!(is_header(&with_length(header)), "{header:02x?}");
    }
    // The start of every CARv2.
    let v2 = with_length(b"\xa1\x67version\x02");
    assert_eq!(fault(&v2), CarFault::Version { version: 2 });
    let v3 = with_length(b"\xa2\x65roots\x80\x67version\x03");
    assert_eq!(fault(&v3), CarFault::Version { version: 3 });
    assert_eq!(fault(&[0]), CarFault::HeaderLength { size_bytes: 0 });
    let long = CarFault::HeaderLength {
        size_bytes: (1 << 20) + 1,
    };
    assert_eq!(fault(&[0x81, 0x80, 0x40]), long);
}

#[test]
fn a_section_that_no_block_fills_is_refused_before_it_comes() {
    let header = car_header(&[]);
    let offset = header.len() as u64;
    let after = |bytes: &[u8]| fault(&[&header[..], bytes].concat());
    assert_eq!(after(&[0]), CarFault::SectionEmpty { offset });
    assert_eq!(after(&[0x80, 0]), CarFault::VarintNotMinimal { offset });
    assert_eq!(after(&[0xff; 9]), CarFault::VarintTooLong { offset });
    assert_eq!(after(&[0xff; 8]), CarFault::Truncated { offset });
    let size_bytes = (1 << 63) - 1;
    let largest = [&[0xff; 8][..], &[0x7f]].concat();
    assert_eq!(
        after(&largest),
        CarFault::SectionTooLarge { offset, size_bytes }
    );
    let size_bytes = 3 << 20;
    let frame = [0x80, 0x80, 0xc0, 1];
    assert_eq!(
        after(&frame),
        CarFault::SectionTooLarge { offset, size_bytes }
    );
    for not_a_cid in [
        &b"\x03abc"[..],
        b"\x01\x01",
        b"\x04\x01\xd5\x00\x00",
        b"\x05\x01\x55\x12\x20\x00",
    ] {
        assert_eq!(after(not_a_cid), CarFault::Cid { offset });
    }
}

#[test]
fn a_block_that_lies_is_named_with_its_place_and_those_before_it_were_given() {
    let (good, bytes) = raw(b"good");
    let start = car(&[], &[(good, bytes)]);
    let offset = start.len() as u64;
    let (lied, _) = raw(b"else");
    let unknown = cid(0x90, hash::SHA2_256, &[0; 32]);
    let large = vec![0; MAX_BLOCK_BYTES + 1];
    let too_large = name_of(codec::RAW, &large);
    for (cid, bytes, source) in [
        (lied, &b"lies"[..], BlockFault::Mismatch { cid: lied }),
        (lied, b"", BlockFault::Mismatch { cid: lied }),
        (
            unknown,
            b"",
            BlockFault::Name(NameFault::Codec {
                cid: unknown,
                codec: 0x90,
            }),
        ),
        (
            too_large,
            &large,
            BlockFault::TooLarge {
                cid: too_large,
                size_bytes: large.len(),
            },
        ),
    ] {
        let section = car_frame(&cid, bytes.len());
        let car = [&start[..], &section, bytes, &start].concat();
        let (items, end) = read(&car, 65_536);
        let source = Box::new(source);
        assert_eq!(
            end,
            Err(CarFault::Block {
                offset,
                cid,
                source
            })
        );
        assert_eq!(items.len(), 2);
    }
}

#[test]
fn a_car_that_ends_early_is_truncated_at_its_last_section() {
    let blocks = [raw(b"one"), raw(b"two")];
    let whole = car(&[], &blocks);
    let starts = [
        0,
        car(&[], &[]).len(),
        car(&[], &blocks[..1]).len(),
        whole.len(),
    ];
    for length in 0..whole.len() {
        let (_, end) = read(&whole[..length], 5);
        let last = starts.iter().rev().find(|start| **start <= length);
        let offset = *last.unwrap() as u64;
        if offset > 0 && offset == length as u64 {
            assert_eq!(end, Ok(()));
        } else {
            assert_eq!(end, Err(CarFault::Truncated { offset }));
        }
    }
}

#[test]
fn what_is_held_is_one_section_at_most() {
    let large = Bytes::from(vec![3; MAX_BLOCK_BYTES]);
    let name = name_of(codec::RAW, &large);
    let blocks = vec![(name, large); 20];
    let car = car(&[], &blocks);
    let mut decoder = CarDecoder::new();
    for piece in car.chunks(16 << 10) {
        decoder.push(piece);
        while decoder.next().unwrap().is_some() {}
        assert!(decoder.held_bytes() <= 2 * MAX_BLOCK_BYTES);
    }
    assert_eq!(decoder.offset(), car.len() as u64);
}
