//! Fingerprints of whole scopes: what is compared before anything is reconciled.

use std::collections::BTreeMap;

use model::{EntryId, SpaceId};

use crate::{Digest, Fingerprint, Item, Replica, ReplicaError, Scope, bounds};

use super::{PeerFault, SessionError};

/// Authority logs that a scope rests on.
pub(super) type Authorities = BTreeMap<SpaceId, Fingerprint>;

/// Name of a digest in a set to reconcile.
pub(crate) fn digest_hash(digest: &Digest) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("datt 2026 digest of a thread");
    hasher.update(digest.root.as_bytes());
    hasher.update(&digest.last_ms.to_le_bytes());
    hasher.update(&digest.entries.to_le_bytes());
    hasher.update(digest.fingerprint.as_bytes());
    *hasher.finalize().as_bytes()
}

/// Sums up fingerprints in the order of their scope.
fn chain<'a>(fingerprints: impl IntoIterator<Item = &'a [u8; 32]>) -> Fingerprint {
    let mut hasher = blake3::Hasher::new_derive_key("datt 2026 outline of a scope");
    for fingerprint in fingerprints {
        hasher.update(fingerprint);
    }
    Fingerprint::from_bytes(*hasher.finalize().as_bytes())
}

/// Outline of the authority logs in a map: names and fingerprints.
pub(super) fn of_authorities(authorities: &Authorities) -> Fingerprint {
    chain(
        authorities
            .iter()
            .flat_map(|(space, fingerprint)| [space.as_bytes(), fingerprint.as_bytes()]),
    )
}

/// Outline of the set itself.
pub(super) fn of_set(scope: &Scope, replica: &dyn Replica) -> Result<Fingerprint, ReplicaError> {
    match scope {
        Scope::Authorities(spaces) => {
            let list = spaces
                .iter()
                .map(|space| replica.authority_fingerprint(*space))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(chain(list.iter().map(Fingerprint::as_bytes)))
        }
        Scope::Threads { roots, .. } => {
            let list = roots
                .iter()
                .map(|root| thread_fingerprint(*root, replica))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(chain(list.iter().map(Fingerprint::as_bytes)))
        }
        Scope::Digests(space) => {
            let mut hashes: Vec<_> = replica.digests(*space)?.iter().map(digest_hash).collect();
            hashes.sort_unstable();
            Ok(chain(&hashes))
        }
        Scope::Entries => Ok(Fingerprint::EMPTY),
    }
}

fn thread_fingerprint(root: EntryId, replica: &dyn Replica) -> Result<Fingerprint, ReplicaError> {
    let digest = replica.digest(root)?;
    Ok(digest.map_or(Fingerprint::EMPTY, |digest| digest.fingerprint))
}

/// The authority logs that a scope rests on: the space's, and those of its threads' authors.
pub(super) fn authorities(
    scope: &Scope,
    replica: &dyn Replica,
) -> Result<Authorities, ReplicaError> {
    let mut authorities = Authorities::new();
    let mut add = |space: SpaceId| -> Result<(), ReplicaError> {
        if let std::collections::btree_map::Entry::Vacant(slot) = authorities.entry(space) {
            slot.insert(replica.authority_fingerprint(space)?);
        }
        Ok(())
    };
    match scope {
        Scope::Digests(space) => add(*space)?,
        Scope::Threads { space, roots } => {
            add(*space)?;
            for root in roots {
                for author in replica.thread_authors(*root)? {
                    add(author.space())?;
                }
            }
        }
        Scope::Authorities(_) | Scope::Entries => {}
    }
    Ok(authorities)
}

/// Adds what the peer lists in one frame: in order, and no more than a scope can rest on.
pub(super) fn take_listed(
    theirs: &mut Authorities,
    list: Vec<(SpaceId, Fingerprint)>,
    more: bool,
) -> Result<(), PeerFault> {
    let ends = !more || !list.is_empty();
    let follows = |space: &SpaceId| theirs.last_key_value().is_none_or(|(last, _)| last < space);
    let sorted =
        list.first().is_none_or(|(space, _)| follows(space)) && list.is_sorted_by(|a, b| a.0 < b.0);
    if !ends || !sorted {
        let what = "authority fingerprints out of order";
        return Err(PeerFault::BrokenFrame { what });
    }
    theirs.extend(list);
    if theirs.len() > bounds::SCOPE_AUTHORITIES {
        let what = "authority fingerprints";
        return Err(PeerFault::Flood { what });
    }
    Ok(())
}

/// The set to reconcile.
pub(super) fn items(scope: &Scope, replica: &dyn Replica) -> Result<Vec<Item>, SessionError> {
    let mut items = Vec::new();
    let mut add = |more: Vec<Item>| {
        items.extend(more);
        if items.len() > bounds::SET_ENTRIES {
            return Err(SessionError::SetTooLarge { found: items.len() });
        }
        Ok(())
    };
    match scope {
        Scope::Authorities(spaces) => {
            for space in spaces {
                add(replica.authority_items(*space)?)?;
            }
        }
        Scope::Threads { roots, .. } => {
            for root in roots {
                add(replica.thread_items(*root)?)?;
            }
        }
        Scope::Digests(space) => {
            let digests = replica.digests(*space)?;
            add(digests.iter().map(item_of_digest).collect())?;
        }
        Scope::Entries => {}
    }
    Ok(items)
}

fn item_of_digest(digest: &Digest) -> Item {
    Item {
        time_ms: digest.last_ms,
        id: EntryId::from_bytes(digest_hash(digest)),
    }
}
