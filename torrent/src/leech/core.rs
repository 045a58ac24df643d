//! A connection to a peer as a state machine: bytes and time in, bytes and events out.

mod asking;
mod clock;
mod dictionary;

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};

use self::{clock::Chatter, dictionary::Dictionary};
use super::{
    Have, LeechError, LeechOptions, Target,
    grid::{BlockIndex, Grid},
    reads::{ReadId, Reads, Taken},
    window::Window,
    wire::{Extensions, HANDSHAKE_BYTES, Handshake, Message, WireFault},
};

/// The id that messages about the info dictionary have when they are sent to us (BEP 10).
const INFO_ID: u8 = 1;
/// The id of the handshake of extensions (BEP 10).
const EXTENSIONS_ID: u8 = 0;

/// What happened to a connection.
#[derive(Debug)]
pub(super) enum Event {
    /// The peer said what it has, or had time to.
    Ready,
    /// It has something else now.
    Have,
    /// A read has bytes to give.
    Bytes(ReadId),
    /// The info dictionary, or why there is none.
    Info(Result<Vec<u8>, LeechError>),
}

/// A connection to a peer.
#[derive(Debug)]
pub(super) struct Core {
    grid: Grid,
    times: Times,
    client: String,
    outbox: BytesMut,
    events: Vec<Event>,
    /// What the peer said first; none before.
    greeting: Option<Handshake>,
    extensions: Option<Extensions>,
    have: Have,
    /// Pieces in `have`; none for all.
    have_count: Option<u32>,
    is_ready: bool,
    is_choked: bool,
    is_interested: bool,
    reads: Reads,
    window: Window,
    /// Blocks that were asked for and not answered.
    flight: BTreeMap<BlockIndex, Asked>,
    /// The same in the order of asking, with those that were answered since.
    order: VecDeque<(u64, BlockIndex)>,
    next_number: u64,
    /// Answers that may still come about blocks that aren't waited for any more.
    forgiven: u64,
    /// How often blocks were refused by a peer that doesn't choke us.
    refused: BTreeMap<BlockIndex, u8>,
    dictionary: Option<Dictionary>,
    chatter: Chatter,
}

/// When what happened.
#[derive(Debug)]
struct Times {
    stall: Duration,
    choke: Duration,
    opened: Instant,
    /// When the handshake was done.
    greeted: Option<Instant>,
    unchoked: Instant,
    /// Since when the peer owes a block, or the last one came.
    hungry: Option<Instant>,
    /// Nothing is asked for before.
    pause: Option<Instant>,
    /// When something was sent last.
    sent: Instant,
}

/// A block that was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    number: u64,
    at: Instant,
}

impl Core {
    /// A connection that has just come about; the target's lengths were checked.
    pub fn new(target: Target, options: &LeechOptions, peer_id: [u8; 20], now: Instant) -> Self {
        let greeting = Handshake {
            infohash: target.infohash,
            peer_id,
            is_extended: true,
            is_fast: true,
        };
        Self {
            grid: Grid::new(target),
            times: Times::new(options, now),
            client: options.client.clone(),
            outbox: BytesMut::from(&greeting.encode()[..]),
            events: Vec::new(),
            greeting: None,
            extensions: None,
            have: Have::none(&target),
            have_count: Some(0),
            is_ready: false,
            is_choked: true,
            is_interested: false,
            reads: Reads::default(),
            window: Window::new(),
            flight: BTreeMap::new(),
            order: VecDeque::new(),
            next_number: 0,
            forgiven: 0,
            refused: BTreeMap::new(),
            dictionary: None,
            chatter: Chatter::new(now),
        }
    }

    /// Takes what came from the peer; what isn't whole yet stays.
    ///
    /// # Errors
    /// When the connection is over by it.
    pub fn receive(&mut self, inbox: &mut BytesMut, now: Instant) -> Result<(), LeechError> {
        if self.greeting.is_none() {
            let Some(greeting) = Handshake::decode(inbox)? else {
                return Ok(());
            };
            inbox.advance(HANDSHAKE_BYTES);
            self.greeted(greeting, now)?;
        }
        let pieces = self.grid.target().pieces();
        while let Some((message, bytes)) = Message::decode(inbox, pieces)? {
            self.handle(message, bytes, now)?;
        }
        Ok(())
    }

    /// What is to be sent.
    pub fn outbox(&mut self) -> &mut BytesMut {
        &mut self.outbox
    }

    /// Takes what happened since.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// What the peer has.
    pub fn have(&self) -> &Have {
        &self.have
    }

    /// Starts to read a range.
    ///
    /// # Errors
    /// When there are no such bytes, or the peer lacks some of them.
    pub fn read(&mut self, range: Range<u64>) -> Result<ReadId, LeechError> {
        let length_bytes = self.grid.target().length_bytes;
        if range.start > range.end || range.end > length_bytes {
            let Range { start, end } = range;
            return Err(LeechError::Range {
                start,
                end,
                length_bytes,
            });
        }
        let mut pieces = self.grid.pieces(&range);
        match pieces.find(|piece| !self.have.has(*piece)) {
            Some(piece) => Err(LeechError::Lacks { piece }),
            None => Ok(self.reads.start(range, &self.grid)),
        }
    }

    /// The next bytes of a read.
    pub fn take(&mut self, id: ReadId) -> Taken {
        self.reads.take(id, &self.grid)
    }

    fn greeted(&mut self, greeting: Handshake, now: Instant) -> Result<(), LeechError> {
        if greeting.infohash != self.grid.target().infohash {
            return Err(LeechError::NotThisTorrent);
        }
        self.times.greeted = Some(now);
        if greeting.is_fast {
            // it has to be the first message (BEP 6)
            self.send(&Message::HaveNone);
        }
        if greeting.is_extended {
            let ours = Extensions {
                info_id: Some(INFO_ID),
                client: Some(self.client.clone()),
                ..Extensions::default()
            };
            self.send(&Message::Extended {
                id: EXTENSIONS_ID,
                payload: ours.encode().into(),
            });
        }
        self.greeting = Some(greeting);
        Ok(())
    }

    fn handle(&mut self, message: Message, bytes: usize, now: Instant) -> Result<(), LeechError> {
        match message {
            Message::Piece {
                piece,
                begin,
                bytes,
            } => return self.on_piece(piece, begin, &bytes, now),
            Message::Extended { id, payload } => {
                return self.on_extended(id, &payload, bytes, now);
            }
            _ => self.chatter.spend(bytes, now)?,
        }
        match message {
            Message::Choke => self.on_choke(),
            Message::Unchoke => {
                if self.is_choked {
                    self.times.unchoked = now;
                }
                self.is_choked = false;
                self.ready();
            }
            Message::Have(piece) => self.on_have(piece),
            Message::Bitfield(bits) => {
                let have = Have::from_bitfield(&bits, self.grid.target().pieces());
                self.set_have(have.ok_or(WireFault::SpareBits)?);
            }
            Message::HaveAll => self.set_have(Have::All),
            Message::HaveNone => self.set_have(Have::none(self.grid.target())),
            Message::Reject(block) => self.on_reject(block, now)?,
            // we have nothing to give, and said so
            Message::Interested | Message::NotInterested => {}
            Message::Request(_) | Message::Cancel(_) => {}
            Message::KeepAlive | Message::Other(_) => {}
            Message::Piece { .. } | Message::Extended { .. } => {}
        }
        Ok(())
    }

    fn on_have(&mut self, piece: u32) {
        if !self.have.insert(piece) {
            return;
        }
        self.have_count = self.have_count.map(|count| count + 1);
        if self.have_count == Some(self.grid.target().pieces()) {
            self.have = Have::All;
            self.have_count = None;
        }
        self.have_changed();
    }

    fn set_have(&mut self, have: Have) {
        self.have_count = have.count();
        self.have = have;
        self.have_changed();
        self.ready();
    }

    fn have_changed(&mut self) {
        if !matches!(self.events.last(), Some(Event::Have)) {
            self.events.push(Event::Have);
        }
        if !self.is_interested && self.have_count != Some(0) {
            self.is_interested = true;
            self.send(&Message::Interested);
        }
    }

    fn ready(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            self.events.push(Event::Ready);
        }
    }

    fn on_extended(
        &mut self,
        id: u8,
        payload: &Bytes,
        bytes: usize,
        now: Instant,
    ) -> Result<(), LeechError> {
        if id == INFO_ID && self.on_info(payload, now)? {
            return Ok(());
        }
        self.chatter.spend(bytes, now)?;
        if id == EXTENSIONS_ID {
            let extensions = Extensions::decode(payload);
            if let Some(requests) = extensions.max_requests {
                self.window.set_limit(requests);
            }
            self.extensions = Some(extensions);
            self.ask_info(now);
        }
        Ok(())
    }

    fn send(&mut self, message: &Message) {
        message.encode(&mut self.outbox);
    }
}
