//! Bounds the messages of peers before they are gathered and decoded.
//!
//! `nakamoto` gathers a message until it is as long as it says, and a message may say 4 GiB.

use std::{borrow::Cow, cell::RefCell, collections::BTreeMap, io, net};

use nakamoto_client::chan;
use nakamoto_common::net::{
    Disconnect, Io, Link, LocalTime, Publisher, Reactor, Service, StateMachine, error::Error,
};

/// Bytes of a message's header: magic, command, length, checksum.
const HEADER_BYTES: usize = 24;
/// Where the length stands in it.
const LENGTH_AT: usize = 16;
/// The longest payload that anybody sends (`MAX_PROTOCOL_MESSAGE_LENGTH` of Bitcoin Core).
pub const MAX_PAYLOAD_BYTES: u32 = 4_000_000;

/// Follows the frames of one peer's stream without keeping any of it.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    header: [u8; HEADER_BYTES],
    /// Bytes of the header that are there.
    filled: usize,
    /// Bytes of the payload that are still to come.
    left: u32,
    is_broken: bool,
}

impl Frames {
    /// Follows some more bytes: whether every message so far keeps within
    /// [`MAX_PAYLOAD_BYTES`]. Once one doesn't, nothing does any more.
    pub fn follow(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() && !self.is_broken {
            if self.left > 0 {
                let step = bytes.len().min(self.left as usize);
                self.left -= u32::try_from(step).unwrap_or(self.left);
                bytes = &bytes[step..];
                continue;
            }
            let step = bytes.len().min(HEADER_BYTES - self.filled);
            self.header[self.filled..self.filled + step].copy_from_slice(&bytes[..step]);
            self.filled += step;
            bytes = &bytes[step..];
            if self.filled == HEADER_BYTES {
                let length = [0, 1, 2, 3].map(|index| self.header[LENGTH_AT + index]);
                self.left = u32::from_le_bytes(length);
                self.filled = 0;
                self.is_broken = self.left > MAX_PAYLOAD_BYTES;
            }
        }
        !self.is_broken
    }
}

/// Hears of a peer.
type Hears = Box<dyn Fn(net::SocketAddr)>;

thread_local! {
    /// Hears who broke the bound, on the client's thread; `nakamoto` makes its reactor itself and
    /// hands nothing in.
    static BREACHES: RefCell<Option<Hears>> = const { RefCell::new(None) };
}

/// Sets who hears of peers of this thread's client that break the bound.
pub(super) fn on_breach(hears: impl Fn(net::SocketAddr) + 'static) {
    BREACHES.set(Some(Box::new(hears)));
}

/// The reactor of `nakamoto`, with bounded messages.
pub(super) struct Bounded<R>(R);

impl<R: Reactor> Reactor for Bounded<R> {
    type Waker = R::Waker;

    fn new(
        shutdown: chan::Receiver<()>,
        listening: chan::Sender<net::SocketAddr>,
    ) -> Result<Self, io::Error> {
        R::new(shutdown, listening).map(Self)
    }

    fn run<S, E>(
        &mut self,
        listen: &[net::SocketAddr],
        service: S,
        publisher: E,
        commands: chan::Receiver<S::Command>,
    ) -> Result<(), Error>
    where
        S: Service,
        S::DisconnectReason: Into<Disconnect<S::DisconnectReason>>,
        E: Publisher<S::Event>,
    {
        let service = Guarded {
            service,
            frames: BTreeMap::new(),
        };
        self.0.run(listen, service, publisher, commands)
    }

    fn waker(&self) -> R::Waker {
        self.0.waker()
    }
}

/// A service that hears nothing any more of peers whose messages are too long.
struct Guarded<S> {
    service: S,
    frames: BTreeMap<net::SocketAddr, Frames>,
}

impl<S: Service> Service for Guarded<S> {
    type Command = S::Command;

    fn command_received(&mut self, command: S::Command) {
        self.service.command_received(command);
    }
}

impl<S: Service> StateMachine for Guarded<S> {
    type Message = [u8];
    type Event = S::Event;
    type DisconnectReason = S::DisconnectReason;

    fn initialize(&mut self, time: LocalTime) {
        self.service.initialize(time);
    }

    fn message_received(&mut self, peer: &net::SocketAddr, bytes: Cow<'_, [u8]>) {
        if self.frames.entry(*peer).or_default().follow(&bytes) {
            self.service.message_received(peer, bytes);
            return;
        }
        BREACHES.with_borrow(|hears| {
            if let Some(hears) = hears {
                hears(*peer);
            }
        });
    }

    fn attempted(&mut self, peer: &net::SocketAddr) {
        self.service.attempted(peer);
    }

    fn connected(&mut self, peer: net::SocketAddr, here: &net::SocketAddr, link: Link) {
        self.frames.insert(peer, Frames::default());
        self.service.connected(peer, here, link);
    }

    fn disconnected(&mut self, peer: &net::SocketAddr, reason: Disconnect<S::DisconnectReason>) {
        self.frames.remove(peer);
        self.service.disconnected(peer, reason);
    }

    fn tick(&mut self, time: LocalTime) {
        self.service.tick(time);
    }

    fn timer_expired(&mut self) {
        self.service.timer_expired();
    }
}

impl<S: Service> Iterator for Guarded<S> {
    type Item = Io<Vec<u8>, S::Event, S::DisconnectReason>;

    fn next(&mut self) -> Option<Self::Item> {
        self.service.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u32, payload: usize) -> Vec<u8> {
        let mut bytes = vec![7; LENGTH_AT];
        bytes.extend(length.to_le_bytes());
        bytes.extend([9; 4]);
        bytes.resize(HEADER_BYTES + payload, 0xff);
        bytes
    }

    #[test]
    fn messages_are_followed_however_they_are_cut() {
        let mut stream = [frame(0, 0), frame(300, 300), frame(1, 1)].concat();
        let good = stream.len();
        stream.extend(frame(MAX_PAYLOAD_BYTES + 1, 0));
        for step in [1, 2, 5, 23, 24, 25, 1_000] {
            let mut frames = Frames::default();
            assert!(stream[..good].chunks(step).all(|one| frames.follow(one)));
            let mut rest = stream[good..].chunks(step).map(|one| frames.follow(one));
            assert!(rest.any(|is_good| !is_good), "cut every {step} bytes");
            assert!(!frames.follow(&frame(0, 0)));
        }
        let mut frames = Frames::default();
        let longest = MAX_PAYLOAD_BYTES as usize;
        assert!(frames.follow(&frame(MAX_PAYLOAD_BYTES, longest)));
        assert!(frames.follow(&frame(0, 0)));
    }
}
