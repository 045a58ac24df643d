//! Writing a CAR piece by piece.

use bytes::Bytes;
use cid::Cid;

use super::{super::wire::put_number, Header};

/// The header of a CARv1 with these roots.
pub fn car_header(roots: &[Cid]) -> Bytes {
    let header = Header {
        roots: roots.to_vec(),
        version: 1,
    };
    let header = serde_ipld_dagcbor::to_vec(&header).expect("a list of CIDs has a CBOR form");
    let mut to = Vec::with_capacity(header.len() + 4);
    put_number(&mut to, header.len() as u64);
    to.extend_from_slice(&header);
    to.into()
}

/// What comes before the bytes of a block: the section's length and the CID.
pub fn car_frame(cid: &Cid, length_bytes: usize) -> Bytes {
    let cid = cid.to_bytes();
    let mut to = Vec::with_capacity(cid.len() + 4);
    put_number(&mut to, (cid.len() + length_bytes) as u64);
    to.extend_from_slice(&cid);
    to.into()
}
