//! CARv1: blocks in a stream.

mod read;
mod write;

pub use read::{CarDecoder, CarFault, CarItem};
pub use write::{car_frame, car_header};

/// The longest header, bytes: room for more than ten thousand roots.
pub const MAX_CAR_HEADER_BYTES: usize = 1 << 20;
