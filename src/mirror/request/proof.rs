//! That a device belongs to an identity: shown by the identity's genesis and the row that names the
//! device, both signed by its root key. Pure.

use model::{DEVICE_TABLE, DeviceKey, Entry, IdentityId, Ipld, Payload, Unverified, Verified};
use thiserror::Error;

use crate::mirror::frame::ProofEntry;

/// Why nothing is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// An entry or payload that can't be read, or isn't signed.
    #[error("an entry of the proof does not stand")]
    Broken,
    /// Not the genesis of this identity.
    #[error("the first entry is not the identity's genesis")]
    Genesis,
    /// No row of the root key names the device.
    #[error("no row of the identity's root key names the device")]
    Device,
}

/// Checks that an identity names a device.
///
/// # Errors
/// When the entries don't show it.
pub fn check(
    identity: IdentityId,
    device: DeviceKey,
    proof: &[ProofEntry],
) -> Result<(), ProofError> {
    let (first, rest) = proof.split_first().ok_or(ProofError::Genesis)?;
    let (genesis, _) = read(first)?;
    let header = genesis.header();
    let is_genesis = IdentityId::from(genesis.id()) == identity
        && header.is_genesis()
        && header.identity.is_none()
        && header.schema == database::schema::profile().id();
    if !is_genesis {
        return Err(ProofError::Genesis);
    }
    let root = header.device;
    if root == device {
        return Ok(());
    }
    for one in rest {
        let (entry, payload) = read(one)?;
        let header = entry.header();
        let is_row = header.device == root
            && header.identity == Some(identity)
            && header.space == Some(identity.space())
            && header.table == DEVICE_TABLE
            && header.root.is_none();
        if is_row && payload.row().get("key") == Some(&Ipld::Bytes(device.as_bytes().to_vec())) {
            return Ok(());
        }
    }
    Err(ProofError::Device)
}

fn read(one: &ProofEntry) -> Result<(Entry<Verified>, Payload), ProofError> {
    let entry = Entry::<Unverified>::decode(&one.entry)
        .and_then(Entry::verify)
        .map_err(|_| ProofError::Broken)?;
    let payload = Payload::decode(&one.payload).map_err(|_| ProofError::Broken)?;
    if payload.id() == entry.header().payload {
        Ok((entry, payload))
    } else {
        Err(ProofError::Broken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use model::SecretKey;

    use super::*;
    use crate::identity;

    fn made(device: &SecretKey) -> (IdentityId, Vec<ProofEntry>) {
        let new = identity::create(device, "laptop", 1_000).unwrap();
        let entries = new.entries.iter().map(|(entry, payload)| ProofEntry {
            entry: entry.bytes().to_vec(),
            payload: payload.bytes().to_vec(),
        });
        (new.identity, entries.collect())
    }

    #[test]
    fn a_device_is_shown_by_genesis_and_row() {
        let device = SecretKey::from_bytes(&[1; 32]);
        let (identity, proof) = made(&device);
        assert_eq!(check(identity, device.public(), &proof), Ok(()));
        let root = Entry::decode(&proof[0].entry).unwrap().header().device;
        assert_eq!(check(identity, root, &proof[..1]), Ok(()));
    }

    #[test]
    fn what_shows_something_else_is_refused() {
        let (device, other) = (
            SecretKey::from_bytes(&[1; 32]),
            SecretKey::from_bytes(&[2; 32]),
        );
        let (identity, proof) = made(&device);
        let (other_identity, other_proof) = made(&other);
        let mixed = vec![proof[0].clone(), other_proof[1].clone()];
        let mut changed = proof.clone();
        changed[1].entry[50] ^= 1;
        let mut swapped = proof.clone();
        swapped[1].payload.clone_from(&proof[0].payload);
        let turned: Vec<_> = proof.iter().rev().cloned().collect();
        let key = device.public();
        let table: [(&str, IdentityId, DeviceKey, &[ProofEntry], ProofError); 8] = [
            ("nothing", identity, key, &[], ProofError::Genesis),
            (
                "genesis only",
                identity,
                key,
                &proof[..1],
                ProofError::Device,
            ),
            (
                "another device",
                identity,
                other.public(),
                &proof,
                ProofError::Device,
            ),
            (
                "another identity",
                other_identity,
                key,
                &proof,
                ProofError::Genesis,
            ),
            (
                "another's row",
                identity,
                other.public(),
                &mixed,
                ProofError::Device,
            ),
            ("changed", identity, key, &changed, ProofError::Broken),
            (
                "another payload",
                identity,
                key,
                &swapped,
                ProofError::Broken,
            ),
            ("out of order", identity, key, &turned, ProofError::Genesis),
        ];
        for (what, identity, device, proof, expected) in table {
            assert_eq!(check(identity, device, proof), Err(expected), "{what}");
        }
    }
}
