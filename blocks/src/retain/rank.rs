//! Rendezvous hashing: an order of the mirrors for each blob that all of them agree on.

use std::collections::BTreeSet;

use model::{BlobId, EndpointKey};

/// Pause before the next mirror takes over, milliseconds.
const TURN_MS: u64 = 60_000;
/// A slow peer's rate, bytes a millisecond: larger blobs are waited for longer.
const SLOW_BYTES_PER_MS: u64 = 1_000;

/// How many of `mirrors` come before `own` for this blob.
pub(super) fn rank(blob: BlobId, own: EndpointKey, mirrors: &BTreeSet<EndpointKey>) -> usize {
    let key = weight(blob, own);
    mirrors
        .iter()
        .filter(|other| **other != own && weight(blob, **other) < key)
        .count()
}

/// How long a mirror waits that has so many unneeded places between itself and its turn.
pub(super) fn delay_ms(places: usize, bytes: u64) -> u64 {
    let turn_ms = TURN_MS.saturating_add(bytes / SLOW_BYTES_PER_MS);
    turn_ms.saturating_mul(u64::try_from(places).unwrap_or(u64::MAX))
}

fn weight(blob: BlobId, endpoint: EndpointKey) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("datt 2026 turns of mirrors");
    hasher.update(endpoint.as_bytes());
    hasher.update(blob.as_bytes());
    *hasher.finalize().as_bytes()
}
