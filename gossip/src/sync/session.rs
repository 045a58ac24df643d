//! A session: the greeting, the turns of both roles, and what comes of it.

use std::collections::VecDeque;

use model::{EndpointKey, EntryId, SpaceId};

use super::{
    Frame, Hello, PeerFault, SessionError, VERSION,
    initiator::{Initiator, Step},
    responder::Responder,
    transfer::Transfer,
};
use crate::{HoldingOutcome, Part, Replica, Scope, bounds};

/// What a session has to tell the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Entries that the replica took, in order.
    Entries(Vec<EntryId>),
    /// A holding statement that was not known.
    Holding(Vec<u8>),
    /// The peer's clock minus ours, milliseconds; once, after its greeting.
    Clock(i64),
    /// A scope is done; the counts are of this scope.
    Done {
        /// Which.
        scope: Scope,
        /// Entries received that were new.
        received: u64,
        /// Entries sent.
        sent: u64,
        /// What it showed of the peer.
        part: Part,
        /// Entries still waited for: fetched as deep as allowed, and not found here.
        unresolved: Vec<EntryId>,
    },
}

/// What both roles work with.
#[derive(Debug)]
pub(super) struct Desk {
    pub peer: EndpointKey,
    pub outbox: VecDeque<Frame>,
    pub transfer: Transfer,
    pub news: Vec<News>,
}

impl Desk {
    pub fn send(&mut self, frame: Frame) {
        self.outbox.push_back(frame);
    }

    /// Statements about a scope's threads, for the peer; of a whole space about its newest. They go
    /// out even when the sets agree: a peer that was off has forgotten who holds what.
    pub fn send_holdings(
        &mut self,
        scope: &Scope,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        let (roots, each, most_bytes) = match scope {
            Scope::Threads { roots, .. } => (roots.clone(), bounds::HOLDINGS, usize::MAX),
            Scope::Digests(space) => {
                let roots = newest(*space, replica)?;
                let each = (bounds::HOLDINGS / roots.len().max(1)).max(bounds::HOLDINGS_EACH);
                (roots, each, bounds::HOLDINGS_BYTES)
            }
            Scope::Authorities(_) | Scope::Entries => return Ok(()),
        };
        let (mut statements, mut bytes) = (Vec::new(), 0);
        for root in roots {
            let room = each.min(bounds::HOLDINGS - statements.len());
            if room == 0 || bytes >= most_bytes {
                break;
            }
            let mut more = replica.holdings(root, room)?;
            more.retain(|statement| statement.len() <= bounds::HOLDING_BYTES);
            more.truncate(room);
            bytes += more.iter().map(Vec::len).sum::<usize>();
            statements.extend(more);
        }
        if !statements.is_empty() {
            self.send(Frame::Holdings { statements });
        }
        Ok(())
    }

    fn store(&mut self, replica: &dyn Replica) -> Result<(), SessionError> {
        let landed = self.transfer.store(self.peer, replica)?;
        if !landed.ids.is_empty() {
            self.news.push(News::Entries(landed.ids));
        }
        Ok(())
    }
}

/// The threads of a space that something happened in last.
fn newest(space: SpaceId, replica: &dyn Replica) -> Result<Vec<EntryId>, SessionError> {
    let digests = replica.digests(space)?;
    let mut threads: Vec<_> = digests.iter().map(|d| (d.last_ms, d.root)).collect();
    threads.sort_unstable_by(|a, b| b.cmp(a));
    threads.truncate(bounds::HOLDINGS);
    Ok(threads.into_iter().map(|(_, root)| root).collect())
}

#[derive(Debug)]
enum Role {
    Initiator(Initiator),
    Responder(Responder),
}

/// One side of a sync session: frames in, frames out.
#[derive(Debug)]
pub struct Session {
    desk: Desk,
    role: Role,
    greeted: bool,
    holdings_left: usize,
    heard_ms: u64,
}

impl Session {
    /// As the side that opened the stream, to work through some scopes.
    pub fn initiate(peer: EndpointKey, scopes: Vec<Scope>, now_ms: u64) -> Self {
        let steps = scopes.into_iter().map(Step::scope).collect();
        Self::new(peer, Role::Initiator(Initiator::new(steps)), now_ms)
    }

    /// As the side that opened the stream, to fetch entries by id and what they wait for.
    pub fn fetch(peer: EndpointKey, ids: Vec<EntryId>, now_ms: u64) -> Self {
        let steps = [Step::fetch(ids, bounds::FETCH_DEPTH)].into();
        Self::new(peer, Role::Initiator(Initiator::new(steps)), now_ms)
    }

    /// As the side that accepted the stream.
    pub fn respond(peer: EndpointKey, now_ms: u64) -> Self {
        Self::new(peer, Role::Responder(Responder::default()), now_ms)
    }

    fn new(peer: EndpointKey, role: Role, now_ms: u64) -> Self {
        let hello = Frame::Hello(Hello {
            version: VERSION,
            capabilities: 0,
            clock_ms: now_ms,
        });
        let desk = Desk {
            peer,
            outbox: [hello].into(),
            transfer: Transfer::default(),
            news: Vec::new(),
        };
        Self {
            desk,
            role,
            greeted: false,
            holdings_left: 0,
            heard_ms: now_ms,
        }
    }

    /// The other side.
    pub fn peer(&self) -> EndpointKey {
        self.desk.peer
    }

    /// Takes a frame's bytes, without the length.
    ///
    /// # Errors
    /// When the peer broke a rule or the replica failed: the session is over.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        now_ms: u64,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        self.heard_ms = self.heard_ms.max(now_ms);
        let frame = Frame::decode(bytes)?;
        if !self.greeted {
            return Ok(self.greet(&frame, now_ms)?);
        }
        match (frame, &mut self.role) {
            (Frame::Hello(_), _) => Err(PeerFault::OutOfTurn { what: "Hello" })?,
            (Frame::Holdings { statements }, _) => self.take_holdings(statements, replica)?,
            (Frame::Packets { packets }, _) => self.desk.transfer.on_packets(packets)?,
            (Frame::Missing { ids }, _) => self.desk.transfer.on_missing(&ids)?,
            (frame, Role::Initiator(initiator)) => {
                if matches!(frame, Frame::Opened(_)) {
                    self.holdings_left = bounds::HOLDINGS;
                }
                initiator.receive(frame, &mut self.desk, replica)?;
            }
            (frame, Role::Responder(responder)) => {
                if matches!(frame, Frame::Open { .. }) {
                    self.holdings_left = bounds::HOLDINGS;
                }
                responder.receive(frame, &mut self.desk, replica)?;
            }
        }
        self.desk.store(replica)
    }

    /// The next frame to send, its bytes without the length; none when it is the peer's turn.
    ///
    /// # Errors
    /// When the replica failed.
    pub fn transmit(&mut self, replica: &dyn Replica) -> Result<Option<Vec<u8>>, SessionError> {
        loop {
            if let Some(frame) = self.desk.outbox.pop_front() {
                return Ok(Some(frame.encode()));
            }
            if let Some(frame) = self.desk.transfer.transmit(replica)? {
                return Ok(Some(frame.encode()));
            }
            match &mut self.role {
                Role::Initiator(initiator) => initiator.advance(&mut self.desk, replica)?,
                Role::Responder(responder) => responder.advance(&mut self.desk),
            }
            if self.desk.outbox.is_empty() {
                return Ok(None);
            }
        }
    }

    /// Whether the initiator has nothing left to do: it ends its side of the stream then. A responder
    /// is done when the stream ends between scopes.
    pub fn is_finished(&self) -> bool {
        self.desk.outbox.is_empty()
            && match &self.role {
                Role::Initiator(initiator) => initiator.is_finished(),
                Role::Responder(responder) => responder.is_between_scopes(),
            }
    }

    /// Whether the peer has been silent for too long.
    ///
    /// # Errors
    /// [`PeerFault::Stalled`] when so.
    pub fn check(&self, now_ms: u64) -> Result<(), PeerFault> {
        if now_ms.saturating_sub(self.heard_ms) > bounds::STALL_MS {
            return Err(PeerFault::Stalled);
        }
        Ok(())
    }

    /// What happened since the last call.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.desk.news)
    }

    fn greet(&mut self, frame: &Frame, now_ms: u64) -> Result<(), PeerFault> {
        let Frame::Hello(hello) = frame else {
            return Err(PeerFault::OutOfTurn { what: frame.name() });
        };
        if hello.version != VERSION {
            return Err(PeerFault::Version {
                found: hello.version,
            });
        }
        self.greeted = true;
        let by_ms = i64::try_from(hello.clock_ms).unwrap_or(i64::MAX)
            - i64::try_from(now_ms).unwrap_or(i64::MAX);
        self.desk.news.push(News::Clock(by_ms));
        Ok(())
    }

    fn take_holdings(
        &mut self,
        statements: Vec<Vec<u8>>,
        replica: &dyn Replica,
    ) -> Result<(), SessionError> {
        self.holdings_left =
            self.holdings_left
                .checked_sub(statements.len())
                .ok_or(PeerFault::Flood {
                    what: "holding statements",
                })?;
        for statement in statements {
            match replica.receive_holding(&statement)? {
                HoldingOutcome::Fresh => self.desk.news.push(News::Holding(statement)),
                HoldingOutcome::Known => {}
                HoldingOutcome::Invalid => return Err(PeerFault::InvalidHolding.into()),
            }
        }
        Ok(())
    }
}
