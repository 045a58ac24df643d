//! Writing a CAR piece by piece.

use bytes::Bytes;
use cid::Cid;

/// The header of a CARv1 with these roots.
pub fn car_header(roots: &[Cid]) -> Bytes {
    let _ = roots;
    unimplemented!()
}

/// What comes before the bytes of a block: the section's length and the CID.
pub fn car_frame(cid: &Cid, length_bytes: usize) -> Bytes {
    let _ = (cid, length_bytes);
    unimplemented!()
}
