//! Moving entries both ways: wants within a window, packets in bounded frames, batches to the store.

use std::collections::{BTreeSet, VecDeque};

use model::{EndpointKey, EntryId, SpaceId};

use super::{Frame, PeerFault, SessionError};
use crate::{Channel, Outcome, Packet, Replica, ReplicaError, bounds};

/// Missing entries remembered until a scope ends; beyond, reconciling finds them.
const UNRESOLVED: usize = 4_096;

/// Entries read from the store at once to be sent.
const LOADED: usize = 64;

/// What a batch did.
#[derive(Debug, Default)]
pub(super) struct Landed {
    /// Accepted or pending, in order.
    pub ids: Vec<EntryId>,
}

/// One side's packets, wants and offers within a session.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    need: VecDeque<EntryId>,
    again: Vec<EntryId>,
    asked: BTreeSet<EntryId>,
    batch: Vec<Packet>,
    batch_bytes: usize,
    serve: VecDeque<EntryId>,
    ready: VecDeque<Packet>,
    unheld: Vec<EntryId>,
    offer: VecDeque<EntryId>,
    offered: BTreeSet<EntryId>,
    awaits_want: bool,
    /// Entries that pending ones wait for.
    pub missing: BTreeSet<EntryId>,
    /// Authority logs that pending ones wait for.
    pub authorities: BTreeSet<SpaceId>,
    /// Entries that came and were new.
    pub received: u64,
    /// Entries that went out.
    pub sent: u64,
}

impl Transfer {
    /// Queues ids to ask for.
    pub fn need(&mut self, ids: Vec<EntryId>) {
        self.need.extend(ids);
    }

    /// Queues ids to ask for though the entries are held: their payloads were withheld before.
    pub fn need_again(&mut self, mut ids: Vec<EntryId>) {
        ids.truncate(bounds::FRAME_IDS);
        self.again = ids;
    }

    /// Queues ids to offer.
    pub fn offer(&mut self, ids: Vec<EntryId>) {
        self.offer.extend(ids);
    }

    /// Whether so much is still to be asked for that learning more can wait.
    pub fn is_full(&self) -> bool {
        self.need.len() >= bounds::NEED_QUEUE
    }

    /// Whether nothing is under way in either direction.
    pub fn is_idle(&self) -> bool {
        self.need.is_empty()
            && self.again.is_empty()
            && self.asked.is_empty()
            && self.batch.is_empty()
            && self.serve.is_empty()
            && self.ready.is_empty()
            && self.unheld.is_empty()
            && self.offer.is_empty()
            && !self.awaits_want
    }

    /// The peer asks for entries.
    ///
    /// `within_offer`: only what was offered may be asked for (the responder's wants).
    pub fn on_want(&mut self, ids: Vec<EntryId>, within_offer: bool) -> Result<(), PeerFault> {
        if within_offer {
            if !self.awaits_want {
                return Err(PeerFault::OutOfTurn { what: "Want" });
            }
            self.awaits_want = false;
            if !ids.iter().all(|id| self.offered.remove(id)) {
                return Err(PeerFault::OutOfTurn {
                    what: "Want for what was not offered",
                });
            }
            self.offered.clear();
        }
        self.serve.extend(ids);
        if self.serve.len() > bounds::WANT_WINDOW {
            return Err(PeerFault::Flood { what: "wants" });
        }
        Ok(())
    }

    /// The peer offers entries: gives the one `Want` that answers.
    pub fn on_offer(
        &mut self,
        ids: &[EntryId],
        wanted: bool,
        replica: &dyn Replica,
    ) -> Result<Frame, SessionError> {
        if self.asked.len() + ids.len() > bounds::WANT_WINDOW {
            return Err(PeerFault::Flood { what: "offers" }.into());
        }
        let mut want = if wanted {
            replica.lacking(ids)?
        } else {
            Vec::new()
        };
        want.retain(|id| self.asked.insert(*id));
        Ok(Frame::Want { ids: want })
    }

    /// Entries that were asked for.
    pub fn on_packets(&mut self, packets: Vec<Packet>) -> Result<(), PeerFault> {
        for packet in packets {
            if !self.asked.remove(&packet.id()) {
                return Err(PeerFault::WrongBytes);
            }
            self.batch_bytes += packet.size_bytes();
            self.batch.push(packet);
        }
        Ok(())
    }

    /// Entries that were asked for and the peer does not hold.
    pub fn on_missing(&mut self, ids: &[EntryId]) -> Result<(), PeerFault> {
        if ids.iter().all(|id| self.asked.remove(id)) {
            Ok(())
        } else {
            Err(PeerFault::OutOfTurn { what: "Missing" })
        }
    }

    /// Hands what came to the replica when a batch is full or nothing more is on its way.
    pub fn store(
        &mut self,
        peer: EndpointKey,
        replica: &dyn Replica,
    ) -> Result<Landed, SessionError> {
        let full =
            self.batch.len() >= bounds::BATCH_PACKETS || self.batch_bytes >= bounds::BATCH_BYTES;
        if self.batch.is_empty() || !(full || self.asked.is_empty()) {
            return Ok(Landed::default());
        }
        let packets = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let ids: Vec<EntryId> = packets.iter().map(Packet::id).collect();
        let outcomes = replica.submit(peer, Channel::Sync, packets)?;
        let mut landed = Landed::default();
        for (id, outcome) in ids.into_iter().zip(outcomes) {
            self.missing.remove(&id);
            match outcome {
                Outcome::Accepted | Outcome::HeldForFuture => landed.ids.push(id),
                Outcome::Pending {
                    entries,
                    authorities,
                } => {
                    landed.ids.push(id);
                    if self.missing.len() < UNRESOLVED {
                        self.missing.extend(entries);
                    }
                    if self.authorities.len() < UNRESOLVED {
                        self.authorities.extend(authorities);
                    }
                }
                Outcome::Invalid { reason } => {
                    return Err(PeerFault::InvalidEntry { id, reason }.into());
                }
                Outcome::Duplicate | Outcome::Refused => {}
            }
        }
        self.received += landed.ids.len() as u64;
        Ok(landed)
    }

    /// The next frame to send: wants first, then packets, then offers.
    pub fn transmit(&mut self, replica: &dyn Replica) -> Result<Option<Frame>, ReplicaError> {
        if let Some(frame) = self.next_want(replica)? {
            return Ok(Some(frame));
        }
        if let Some(frame) = self.next_packets(replica)? {
            return Ok(Some(frame));
        }
        Ok(self.next_offer())
    }

    fn next_want(&mut self, replica: &dyn Replica) -> Result<Option<Frame>, ReplicaError> {
        if !self.again.is_empty() && self.asked.len() <= bounds::WANT_WINDOW / 2 {
            let mut ids = std::mem::take(&mut self.again);
            ids.retain(|id| self.asked.insert(*id));
            return Ok(Some(Frame::Want { ids }));
        }
        while !self.need.is_empty() && self.asked.len() <= bounds::WANT_WINDOW / 2 {
            let count = self.need.len().min(bounds::FRAME_IDS);
            let ids: Vec<EntryId> = self.need.drain(..count).collect();
            let mut ids = replica.lacking(&ids)?;
            ids.retain(|id| self.asked.insert(*id));
            if !ids.is_empty() {
                return Ok(Some(Frame::Want { ids }));
            }
        }
        Ok(None)
    }

    fn next_packets(&mut self, replica: &dyn Replica) -> Result<Option<Frame>, ReplicaError> {
        if !self.unheld.is_empty() {
            let count = self.unheld.len().min(bounds::FRAME_IDS);
            let ids = self.unheld.drain(..count).collect();
            return Ok(Some(Frame::Missing { ids }));
        }
        let (mut packets, mut bytes) = (Vec::new(), 0);
        while bytes < bounds::PACKETS_BYTES && packets.len() < bounds::FRAME_PACKETS {
            if self.ready.is_empty() && !self.serve.is_empty() {
                self.load(replica)?;
            }
            let Some(packet) = self.ready.pop_front() else {
                break;
            };
            bytes += packet.size_bytes();
            packets.push(packet);
        }
        self.sent += packets.len() as u64;
        if packets.is_empty() && !self.unheld.is_empty() {
            return self.next_packets(replica);
        }
        Ok((!packets.is_empty()).then_some(Frame::Packets { packets }))
    }

    /// Reads a few of the entries asked for: long payloads must not pile up.
    fn load(&mut self, replica: &dyn Replica) -> Result<(), ReplicaError> {
        let count = self.serve.len().min(LOADED);
        let ids: Vec<EntryId> = self.serve.drain(..count).collect();
        for (id, packet) in ids.iter().zip(replica.packets(&ids)?) {
            match packet {
                Some(packet) => self.ready.push_back(packet),
                None => self.unheld.push(*id),
            }
        }
        Ok(())
    }

    fn next_offer(&mut self) -> Option<Frame> {
        if self.awaits_want || self.offer.is_empty() || !self.serve.is_empty() {
            return None;
        }
        let count = self.offer.len().min(bounds::FRAME_IDS);
        let ids: Vec<EntryId> = self.offer.drain(..count).collect();
        self.offered = ids.iter().copied().collect();
        self.awaits_want = true;
        Some(Frame::Offer { ids })
    }
}
