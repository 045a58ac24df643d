//! CARv1: blocks in a stream.

mod read;
mod write;

use cid::Cid;
use serde::{Deserialize, Serialize};

pub use read::{CarDecoder, CarFault, CarItem};
pub use write::{car_frame, car_header};

/// The longest header, bytes: room for more than ten thousand roots.
pub const MAX_CAR_HEADER_BYTES: usize = 1 << 20;

/// The header, in dag-cbor.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    roots: Vec<Cid>,
    version: u64,
}
