mod driver;
mod machine;
mod peers;
mod properties;
mod seeded;
mod talk;

use super::Target;
use crate::InfoHash;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// A torrent of so many bytes in pieces of a MiB.
fn target(length_bytes: u64) -> Target {
    Target {
        infohash: InfoHash::of(b"a file"),
        piece_bytes: 1 << 20,
        length_bytes,
    }
}

/// Bytes of a file that are all alike nowhere.
fn content(length_bytes: u64) -> Vec<u8> {
    let words = (0..length_bytes.div_ceil(8)).map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(usize::try_from(length_bytes).unwrap());
    bytes
}
