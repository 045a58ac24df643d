//! A conversation between the state machine and a peer whose part the test plays, at times that the
//! test sets.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

use super::target;
use crate::leech::{
    Have, LeechError, LeechOptions, Target,
    core::{Core, Event},
    reads::{ReadId, Taken},
    wire::{BLOCK_BYTES, Block, Extensions, Handshake, Message},
};

pub struct Talk {
    pub core: Core,
    pub now: Instant,
    pub target: Target,
    pub events: Vec<Event>,
    inbox: BytesMut,
}

impl Talk {
    /// Before the peer said anything.
    pub fn silent(length_bytes: u64) -> Self {
        let (now, target) = (Instant::now(), target(length_bytes));
        let options = LeechOptions {
            stall_timeout: Duration::from_secs(10),
            choke_timeout: Duration::from_secs(40),
            ..LeechOptions::default()
        };
        let core = Core::new(target, &options, [7; 20], now);
        let mut talk = Self {
            core,
            now,
            target,
            events: Vec::new(),
            inbox: BytesMut::new(),
        };
        let greeting = talk.core.outbox().split();
        let greeting = Handshake::decode(&greeting).unwrap().unwrap();
        assert_eq!(greeting.infohash, target.infohash);
        assert!(greeting.is_extended && greeting.is_fast);
        talk
    }

    /// With a peer that has all, speaks as told, and answers.
    pub fn open(length_bytes: u64, is_fast: bool) -> Self {
        let mut talk = Self::silent(length_bytes);
        talk.greet(is_fast, true).unwrap();
        let has_all = if is_fast {
            Message::HaveAll
        } else {
            Message::Bitfield(full(&talk.target))
        };
        talk.says(&has_all).unwrap();
        talk.says(&Message::Unchoke).unwrap();
        let heard = talk.hears();
        assert_eq!(heard.first() == Some(&Message::HaveNone), is_fast);
        assert_eq!(heard.last(), Some(&Message::Interested));
        talk.events.clear();
        talk
    }

    pub fn greet(&mut self, is_fast: bool, is_extended: bool) -> Result<(), LeechError> {
        let greeting = Handshake {
            infohash: self.target.infohash,
            peer_id: [8; 20],
            is_extended,
            is_fast,
        };
        self.says_bytes(&greeting.encode())
    }

    pub fn says_bytes(&mut self, bytes: &[u8]) -> Result<(), LeechError> {
        self.inbox.extend_from_slice(bytes);
        self.core.receive(&mut self.inbox, self.now)?;
        self.turn()
    }

    pub fn says(&mut self, message: &Message) -> Result<(), LeechError> {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes);
        self.says_bytes(&bytes)
    }

    /// The peer answers a request.
    pub fn gives(&mut self, block: Block) -> Result<(), LeechError> {
        self.says(&piece(block, block.length))
    }

    /// Time passes, in which the peer says nothing.
    pub fn waits(&mut self, time: Duration) -> Result<(), LeechError> {
        let end = self.now + time;
        let mut turns = 0;
        while self.core.deadline() <= end {
            self.now = self.now.max(self.core.deadline());
            self.turn()?;
            turns += 1;
            assert!(turns < 100, "the clock rings without end");
        }
        self.now = end;
        self.turn()
    }

    fn turn(&mut self) -> Result<(), LeechError> {
        let ticked = self.core.tick(self.now);
        while self.core.wants(self.now).is_some() {
            self.core.ask(self.now);
        }
        self.core.settle(self.now);
        self.events.extend(self.core.events());
        ticked
    }

    /// What is to be sent to the peer.
    pub fn hears(&mut self) -> Vec<Message> {
        self.turn().unwrap();
        let mut outbox = self.core.outbox().split();
        let mut heard = Vec::new();
        while let Some((message, _)) = Message::decode(&mut outbox, u32::MAX).unwrap() {
            heard.push(message);
        }
        assert!(!outbox.has_remaining());
        heard
    }

    /// The blocks that the peer is asked for.
    pub fn asked(&mut self) -> Vec<Block> {
        let heard = self.hears().into_iter();
        let asked = heard.map(|message| match message {
            Message::Request(block) => block,
            other => panic!("{other:?} is no request"),
        });
        asked.collect()
    }

    /// What a read gives now: where it begins, and how much.
    pub fn takes(&mut self, id: ReadId) -> (Vec<(u64, usize)>, bool) {
        let mut taken = Vec::new();
        loop {
            match self.core.take(id) {
                Taken::Bytes(offset, bytes) => taken.push((offset, bytes.len())),
                Taken::Nothing => return (taken, false),
                Taken::Done => return (taken, true),
            }
        }
    }

    /// The peer says what its extensions are.
    pub fn extends(&mut self, extensions: &Extensions) -> Result<(), LeechError> {
        self.says(&Message::Extended {
            id: 0,
            payload: extensions.encode().into(),
        })
    }
}

/// A block's message with as many zeros.
pub fn piece(block: Block, bytes: u32) -> Message {
    Message::Piece {
        piece: block.piece,
        begin: block.begin,
        bytes: Bytes::from(vec![0; bytes as usize]),
    }
}

/// A piece's block by its number.
pub fn block(piece: u32, number: u32) -> Block {
    Block {
        piece,
        begin: number * BLOCK_BYTES,
        length: BLOCK_BYTES,
    }
}

/// The bitfield of who has all.
pub fn full(target: &Target) -> Bytes {
    let Have::Pieces(mut bits) = Have::none(target) else {
        return Bytes::new();
    };
    for piece in 0..target.pieces() {
        bits[piece as usize / 8] |= 0x80 >> (piece % 8);
    }
    bits.into()
}
