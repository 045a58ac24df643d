//! What this node follows, and where it last met the peers that follow the same: kept in
//! `follows.json`, so that a node that was off finds its way back.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use model::{EndpointKey, EntryId, IdentityId, RelayHint, SpaceId, limits};
use serde::{Deserialize, Serialize};

use crate::{
    data_folder::{DataFolder, FolderError},
    kept::Kept,
};

const FILE: &str = "follows.json";
/// Peers remembered; the one not seen for longest makes room.
const PEERS: usize = 256;
/// Peers named of one space.
const NAMED: usize = 64;

/// A space that is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowedSpace {
    /// Its id is the capability: never announced to those who don't have it.
    pub unlisted: bool,
    /// Only the threads named in `threads` are kept, not the whole space.
    pub threads_only: bool,
}

/// Where a peer was last met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPeer {
    /// Direct addresses.
    pub addresses: Vec<SocketAddr>,
    /// Relays.
    pub relays: Vec<RelayHint>,
    /// When, Unix milliseconds.
    pub seen_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    spaces: BTreeMap<SpaceId, FollowedSpace>,
    threads: BTreeMap<EntryId, SpaceId>,
    identities: BTreeSet<IdentityId>,
    peers: BTreeMap<EndpointKey, KnownPeer>,
    #[serde(default)]
    named: BTreeMap<SpaceId, BTreeSet<EndpointKey>>,
}

/// The follow list; every change is on disk when its call returns.
#[derive(Debug)]
pub struct Follows {
    state: Kept<State>,
}

impl Follows {
    /// Reads the list; empty at the first start.
    ///
    /// # Errors
    /// When the file is damaged or can't be read.
    pub fn open(folder: &DataFolder) -> Result<Self, FolderError> {
        Kept::open(folder, FILE).map(|state| Self { state })
    }

    /// Follows a space.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn follow_space(
        &self,
        folder: &DataFolder,
        space: SpaceId,
        how: FollowedSpace,
    ) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            state.spaces.insert(space, how);
        })
    }

    /// Follows a space no longer.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn unfollow_space(&self, folder: &DataFolder, space: &SpaceId) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            state.spaces.remove(space);
            state.named.remove(space);
            state.threads.retain(|_, of| of != space);
        })
    }

    /// Follows one thread, without the rest of its space.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn follow_thread(
        &self,
        folder: &DataFolder,
        root: EntryId,
        space: SpaceId,
    ) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            state.threads.insert(root, space);
            state.spaces.entry(space).or_insert(FollowedSpace {
                unlisted: false,
                threads_only: true,
            });
        })
    }

    /// Follows one thread no longer; and its space, where that was for its threads only and this
    /// was the last.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn unfollow_thread(&self, folder: &DataFolder, root: &EntryId) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            let Some(space) = state.threads.remove(root) else {
                return;
            };
            let is_left = !state.threads.values().any(|of| *of == space);
            if is_left && state.spaces.get(&space).is_some_and(|how| how.threads_only) {
                state.spaces.remove(&space);
                state.named.remove(&space);
            }
        })
    }

    /// Follows an identity's own space, or no longer.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn follow_identity(
        &self,
        folder: &DataFolder,
        identity: IdentityId,
        on: bool,
    ) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            if on {
                state.identities.insert(identity);
            } else {
                state.identities.remove(&identity);
            }
        })
    }

    /// Remembers where peers are.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn remember_peers(
        &self,
        folder: &DataFolder,
        met: impl IntoIterator<Item = (EndpointKey, KnownPeer)>,
    ) -> Result<(), FolderError> {
        self.state.change(folder, |state| {
            for (key, mut peer) in met {
                peer.addresses.truncate(limits::TICKET_ADDRESSES);
                peer.relays.truncate(limits::TICKET_RELAYS);
                state.peers.insert(key, peer);
            }
            while state.peers.len() > PEERS {
                let oldest = state.peers.iter().min_by_key(|(_, peer)| peer.seen_ms);
                let Some(key) = oldest.map(|(key, _)| *key) else {
                    break;
                };
                state.peers.remove(&key);
            }
        })
    }

    /// Remembers who was named when a space was joined: an unlisted one is told to nobody else.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn name_peers(
        &self,
        folder: &DataFolder,
        space: SpaceId,
        peers: impl IntoIterator<Item = EndpointKey>,
    ) -> Result<(), FolderError> {
        let mut peers = peers.into_iter().peekable();
        if peers.peek().is_none() {
            return Ok(());
        }
        self.state.change(folder, |state| {
            let named = state.named.entry(space).or_default();
            named.extend(peers);
            while named.len() > NAMED {
                named.pop_first();
            }
        })
    }

    /// Peers named when spaces were joined.
    pub fn named(&self) -> BTreeMap<SpaceId, BTreeSet<EndpointKey>> {
        self.state.lock().named.clone()
    }

    /// Spaces followed, whole or for some threads.
    pub fn spaces(&self) -> BTreeMap<SpaceId, FollowedSpace> {
        self.state.lock().spaces.clone()
    }

    /// How a space is followed.
    pub fn space(&self, space: &SpaceId) -> Option<FollowedSpace> {
        self.state.lock().spaces.get(space).copied()
    }

    /// Threads followed by themselves.
    pub fn threads(&self) -> BTreeMap<EntryId, SpaceId> {
        self.state.lock().threads.clone()
    }

    /// Identities followed.
    pub fn identities(&self) -> BTreeSet<IdentityId> {
        self.state.lock().identities.clone()
    }

    /// Peers remembered.
    pub fn peers(&self) -> BTreeMap<EndpointKey, KnownPeer> {
        self.state.lock().peers.clone()
    }

    /// The space's id is all that protects it.
    pub fn is_unlisted(&self, space: &SpaceId) -> bool {
        self.state
            .lock()
            .spaces
            .get(space)
            .is_some_and(|followed| followed.unlisted)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn follows_survive_a_restart_and_peers_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(dir.path()).unwrap();
        let follows = Follows::open(&folder).unwrap();
        let space = SpaceId::of(b"space");
        follows
            .follow_thread(&folder, EntryId::of(b"t"), space)
            .unwrap();
        assert!(follows.space(&space).unwrap().threads_only);
        follows
            .follow_space(
                &folder,
                space,
                FollowedSpace {
                    unlisted: true,
                    threads_only: false,
                },
            )
            .unwrap();
        let met = (0..=PEERS).map(|n| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            let peer = KnownPeer {
                seen_ms: n as u64,
                ..KnownPeer::default()
            };
            (EndpointKey::from_bytes(key), peer)
        });
        follows.remember_peers(&folder, met).unwrap();
        let again = Follows::open(&folder).unwrap();
        assert!(again.is_unlisted(&space));
        assert_eq!(again.threads().len(), 1);
        assert_eq!(again.peers().len(), PEERS);
        assert!(
            again.peers().values().all(|peer| peer.seen_ms > 0),
            "the oldest made room"
        );
    }
}
