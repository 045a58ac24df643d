//! Liars: a replica that claims or sends what it should not.

use std::sync::Arc;

use gossip::{
    Channel, Content, Digest, Fingerprint, Follow, HoldingOutcome, Item, Missing, Outcome, Packet,
    Replica, ReplicaError,
};
use model::{EndpointKey, EntryId, IdentityId, SpaceId};

use crate::disk::Disk;

/// How a node lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// Random bytes instead of frames and messages.
    Garbage,
    /// Entries with forged signatures.
    Forged,
    /// Other entries than those asked for.
    Wrong,
    /// Headers without payloads.
    Withheld,
    /// Claims what it never sends.
    Silent,
    /// Floods topics.
    Flood,
}

impl Lie {
    /// Whether an honest node that has a session with it must find out and ban it.
    pub fn is_found_out(self) -> bool {
        matches!(self, Self::Garbage | Self::Forged | Self::Wrong)
    }
}

/// An honest replica behind a mouth that lies.
pub struct LyingDisk {
    pub honest: Arc<dyn Disk>,
    pub lie: Lie,
}

/// The same entry with another signature: another id, and no signature at all.
fn forge(packet: &Packet) -> Packet {
    let mut forged = packet.clone();
    if let Some(last) = forged.entry.last_mut() {
        *last ^= 1;
    }
    forged
}

impl LyingDisk {
    fn real(&self) -> &dyn Replica {
        &*self.honest
    }

    /// Forgeries of the first entries of a set.
    fn forgeries(&self, items: &[Item]) -> Result<Vec<(Item, Packet)>, ReplicaError> {
        if self.lie != Lie::Forged {
            return Ok(Vec::new());
        }
        let some: Vec<Item> = items.iter().take(3).copied().collect();
        let ids: Vec<EntryId> = some.iter().map(|item| item.id).collect();
        let packets = self.real().packets(&ids)?;
        let forged = some.iter().zip(packets).filter_map(|(item, packet)| {
            let packet = forge(&packet?);
            let id = packet.id();
            let time_ms = item.time_ms;
            Some((Item { time_ms, id }, packet))
        });
        Ok(forged.collect())
    }

    fn thread_forgeries(&self, root: EntryId) -> Result<Vec<(Item, Packet)>, ReplicaError> {
        let mut items = self.real().thread_items(root)?;
        items.sort_unstable();
        self.forgeries(&items)
    }
}

impl Replica for LyingDisk {
    fn followed(&self) -> Result<Vec<Follow>, ReplicaError> {
        self.real().followed()
    }

    fn wants_thread(&self, space: SpaceId, root: EntryId) -> Result<bool, ReplicaError> {
        self.real().wants_thread(space, root)
    }

    fn space_of(&self, root: EntryId) -> Result<Option<SpaceId>, ReplicaError> {
        self.real().space_of(root)
    }

    fn thread_items(&self, root: EntryId) -> Result<Vec<Item>, ReplicaError> {
        let mut items = self.real().thread_items(root)?;
        items.extend(
            self.thread_forgeries(root)?
                .into_iter()
                .map(|(item, _)| item),
        );
        Ok(items)
    }

    fn authority_items(&self, space: SpaceId) -> Result<Vec<Item>, ReplicaError> {
        self.real().authority_items(space)
    }

    fn authority_fingerprint(&self, space: SpaceId) -> Result<Fingerprint, ReplicaError> {
        self.real().authority_fingerprint(space)
    }

    fn thread_authors(&self, root: EntryId) -> Result<Vec<IdentityId>, ReplicaError> {
        self.real().thread_authors(root)
    }

    fn digest(&self, root: EntryId) -> Result<Option<Digest>, ReplicaError> {
        let Some(digest) = self.real().digest(root)? else {
            return Ok(None);
        };
        if self.lie != Lie::Forged {
            return Ok(Some(digest));
        }
        let items = self.thread_items(root)?;
        Ok(Some(Digest {
            entries: items.len() as u64,
            fingerprint: Fingerprint::of(items.iter().map(|item| &item.id)),
            ..digest
        }))
    }

    fn digests(&self, space: SpaceId) -> Result<Vec<Digest>, ReplicaError> {
        let mut digests = Vec::new();
        for digest in self.real().digests(space)? {
            digests.extend(self.digest(digest.root)?);
        }
        Ok(digests)
    }

    fn packets(&self, ids: &[EntryId]) -> Result<Vec<Option<Packet>>, ReplicaError> {
        let mut packets = self.real().packets(ids)?;
        match self.lie {
            Lie::Silent => packets.iter_mut().for_each(|packet| *packet = None),
            Lie::Withheld => packets
                .iter_mut()
                .flatten()
                .for_each(|packet| packet.content = Content::Withheld),
            Lie::Wrong => packets
                .iter_mut()
                .flatten()
                .for_each(|packet| *packet = forge(packet)),
            Lie::Forged => self.add_forgeries(ids, &mut packets)?,
            Lie::Garbage | Lie::Flood => {}
        }
        Ok(packets)
    }

    fn lacking(&self, ids: &[EntryId]) -> Result<Vec<EntryId>, ReplicaError> {
        self.real().lacking(ids)
    }

    fn missing(&self, limit: usize) -> Result<Missing, ReplicaError> {
        self.real().missing(limit)
    }

    fn lacking_payloads(&self, root: EntryId, limit: usize) -> Result<Vec<EntryId>, ReplicaError> {
        self.real().lacking_payloads(root, limit)
    }

    fn lacking_payloads_in(
        &self,
        space: SpaceId,
        limit: usize,
    ) -> Result<Vec<EntryId>, ReplicaError> {
        self.real().lacking_payloads_in(space, limit)
    }

    fn submit(
        &self,
        peer: EndpointKey,
        channel: Channel,
        packets: Vec<Packet>,
    ) -> Result<Vec<Outcome>, ReplicaError> {
        self.real().submit(peer, channel, packets)
    }

    fn holdings(&self, root: EntryId, limit: usize) -> Result<Vec<Vec<u8>>, ReplicaError> {
        self.real().holdings(root, limit)
    }

    fn receive_holding(&self, bytes: &[u8]) -> Result<HoldingOutcome, ReplicaError> {
        self.real().receive_holding(bytes)
    }
}

impl LyingDisk {
    fn add_forgeries(
        &self,
        ids: &[EntryId],
        packets: &mut [Option<Packet>],
    ) -> Result<(), ReplicaError> {
        if packets.iter().all(Option::is_some) {
            return Ok(());
        }
        for follow in self.real().followed()? {
            for digest in self.real().digests(follow.space())? {
                for (item, packet) in self.thread_forgeries(digest.root)? {
                    for (id, slot) in ids.iter().zip(&mut *packets) {
                        if *id == item.id {
                            *slot = Some(packet.clone());
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
