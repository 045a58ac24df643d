//! Sharded directories: where in a shard the hash of a name leads (UnixFS 1.0, HAMT).

use thiserror::Error;

use super::Link;

/// Why a link isn't one of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HamtFault {
    /// Its name doesn't start with the place in upper case hex digits.
    #[error("the link {name:?} doesn't start with a place in its shard")]
    Prefix {
        /// Its name.
        name: String,
    },
    /// Its place is outside of the shard.
    #[error("the link {name:?} is outside of a shard of {fanout} places")]
    Place {
        /// Its name.
        name: String,
        /// How many places there are.
        fanout: u64,
    },
}

/// The hash of a name, taken bit by bit while shards are descended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardHash {
    digest: u64,
    used_bits: u32,
}

impl ShardHash {
    /// Hashes a name (murmur3-x64-64).
    pub fn of(name: &str) -> Self {
        Self {
            digest: murmur3(name.as_bytes()),
            used_bits: 0,
        }
    }

    /// The place in the next shard, which has `fanout` places; none when the hash is used up, or
    /// `fanout` isn't a power of two.
    pub fn next_place(&mut self, fanout: u64) -> Option<u64> {
        let bits = fanout.is_power_of_two().then(|| fanout.trailing_zeros())?;
        let used_bits = self.used_bits + bits;
        if used_bits > u64::BITS {
            return None;
        }
        let rest = self.digest.checked_shl(self.used_bits).unwrap_or(0);
        self.used_bits = used_bits;
        Some(rest.checked_shr(u64::BITS - bits).unwrap_or(0))
    }
}

/// What a link of a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardLink<'a> {
    /// The next shard.
    Shard,
    /// An entry of the directory, by its name.
    Entry(&'a str),
}

/// Reads a link of a shard of `fanout` places: its place, and what it is.
///
/// # Errors
/// When its name isn't a place.
pub fn shard_link(link: &Link, fanout: u64) -> Result<(u64, ShardLink<'_>), HamtFault> {
    let prefix = || HamtFault::Prefix {
        name: link.name.clone(),
    };
    let (digits, name) = link
        .name
        .split_at_checked(place_digits(fanout))
        .ok_or_else(prefix)?;
    let is_upper_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
    if !digits.bytes().all(is_upper_hex) {
        return Err(prefix());
    }
    let place = u64::from_str_radix(digits, 16).map_err(|_| prefix())?;
    if place >= fanout {
        return Err(HamtFault::Place {
            name: link.name.clone(),
            fanout,
        });
    }
    let is_shard = name.is_empty();
    Ok((
        place,
        if is_shard {
            ShardLink::Shard
        } else {
            ShardLink::Entry(name)
        },
    ))
}

/// How a place is written before a name.
pub(super) fn place_text(place: u64, fanout: u64) -> String {
    format!("{place:0width$X}", width = place_digits(fanout))
}

/// Hex digits of the last place.
fn place_digits(fanout: u64) -> usize {
    let bits = u64::BITS - fanout.saturating_sub(1).leading_zeros();
    bits.div_ceil(4).max(1) as usize
}

/// The first half of MurmurHash3 x64 128 with the seed 0 (A. Appleby, SMHasher).
fn murmur3(bytes: &[u8]) -> u64 {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let (mut h1, mut h2) = (0u64, 0u64);
    let (blocks, tail) = bytes.as_chunks::<16>();
    for block in blocks {
        let (k1, k2) = halves(block);
        h1 ^= mix1(k1);
        h1 = h1.rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix2(k2);
        h2 = h2.rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let mut last = [0; 16];
    last[..tail.len()].copy_from_slice(tail);
    let (k1, k2) = halves(&last);
    h1 ^= mix1(k1);
    h2 ^= mix2(k2);

    h1 ^= bytes.len() as u64;
    h2 ^= bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    avalanche(h1).wrapping_add(avalanche(h2))
}

/// Two numbers, least significant byte first.
fn halves(block: &[u8; 16]) -> (u64, u64) {
    let half = |bytes: &[u8]| {
        let from_last = bytes.iter().rev();
        from_last.fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (first, second) = block.split_at(8);
    (half(first), half(second))
}

fn avalanche(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ k >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur3_gives_the_published_hashes() {
        for (text, hash) in [
            ("", 0),
            ("hello", 0xcbd8_a7b3_41bd_9b02),
            ("hello, world", 0x342f_ac62_3a5e_bc8e),
            ("19 Jan 2038 at 3:14:07 AM", 0xb89e_5988_b737_affc),
            (
                "The quick brown fox jumps over the lazy dog.",
                0xcd99_481f_9ee9_02c9,
            ),
        ] {
            assert_eq!(murmur3(text.as_bytes()), hash, "{text}");
        }
    }
}
