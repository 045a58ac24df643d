//! Sync sessions between two nodes, over an ordered stream with latency.

use gossip::{
    bounds,
    node::Input,
    schedule::{Ending, Plan, Start},
    sync::{PeerFault, Session, SessionError},
};
use rand::RngExt as _;

use super::{CHECK_MS, Happening, World};
use crate::{liar::Lie, mesh::Number};

/// Until a failed attempt to connect is noticed, milliseconds.
const CONNECT_MS: u64 = 5_000;

/// One session.
pub(super) struct Talk {
    pub opener: Number,
    pub answerer: Number,
    /// What the opener's core calls it.
    id: u64,
    ours: Session,
    theirs: Session,
    connected: bool,
    begun_ms: u64,
    /// When the last frame in each direction arrives: streams keep their order.
    last_ms: [u64; 2],
}

impl World {
    pub(super) fn start_talk(&mut self, node: Number, start: Start) {
        let answerer = self.numbers[&start.peer];
        let now_ms = self.now_ms;
        let ours = match start.plan {
            Plan::Scope(scope) => Session::initiate(start.peer, vec![scope], now_ms),
            Plan::Fetch { ids, .. } => Session::fetch(start.peer, ids, now_ms),
        };
        let talk = Talk {
            opener: node,
            answerer,
            id: start.id,
            ours,
            theirs: Session::respond(self.peers[node].key, now_ms),
            connected: false,
            begun_ms: now_ms,
            last_ms: [now_ms; 2],
        };
        let number = self.next_talk;
        self.next_talk += 1;
        self.talks.insert(number, talk);
        let due_ms = now_ms + 2 * self.latency_ms();
        self.at(due_ms, Happening::Connect(number));
    }

    pub(super) fn connect(&mut self, number: u64) {
        let Some(talk) = self.talks.get_mut(&number) else {
            return;
        };
        let (opener, answerer) = (talk.opener, talk.answerer);
        let banned = self.bans.contains(&(answerer, opener));
        let refusals = self.scenario.network.refusals;
        let refused = refusals > 0.0 && self.chance.random_bool(refusals);
        if banned || refused || !self.reaches(opener, answerer) {
            // Noticed when sessions are looked at.
            return;
        }
        if let Some(talk) = self.talks.get_mut(&number) {
            talk.connected = true;
        }
        self.pump(number, true);
    }

    pub(super) fn frame(&mut self, number: u64, to_opener: bool, bytes: &[u8]) {
        let now_ms = self.now_ms;
        let Some(talk) = self.talks.get(&number) else {
            return;
        };
        let (opener, answerer) = (talk.opener, talk.answerer);
        if !self.reaches(opener, answerer) {
            return;
        }
        self.note("frame", blake3::hash(bytes).as_bytes());
        let Some(talk) = self.talks.get_mut(&number) else {
            return;
        };
        let (node, session) = if to_opener {
            (opener, &mut talk.ours)
        } else {
            (answerer, &mut talk.theirs)
        };
        let voice = self.peers[node].voice.clone();
        if let Err(error) = session.receive(bytes, now_ms, &*voice) {
            self.tell_news(number, to_opener);
            self.end_with(number, to_opener, error);
            return;
        }
        self.pump(number, to_opener);
    }

    /// Sends whatever one side has to say.
    fn pump(&mut self, number: u64, opener: bool) {
        loop {
            let Some(talk) = self.talks.get_mut(&number) else {
                return;
            };
            let (node, session) = if opener {
                (talk.opener, &mut talk.ours)
            } else {
                (talk.answerer, &mut talk.theirs)
            };
            let voice = self.peers[node].voice.clone();
            match session.transmit(&*voice) {
                Ok(Some(frame)) => self.send(number, opener, node, frame),
                Ok(None) => break,
                Err(error) => {
                    self.end_with(number, opener, error);
                    return;
                }
            }
        }
        self.tell_news(number, opener);
        let finished = self
            .talks
            .get(&number)
            .is_some_and(|talk| talk.ours.is_finished());
        if opener && finished {
            self.finish(number, Ending::Done);
        }
    }

    fn send(&mut self, number: u64, by_opener: bool, node: Number, frame: Vec<u8>) {
        let bytes = if self.peers[node].lie == Some(Lie::Garbage) {
            self.noise(frame.len().min(500))
        } else {
            frame
        };
        let arrives_ms = self.now_ms + self.latency_ms();
        let Some(talk) = self.talks.get_mut(&number) else {
            return;
        };
        let last_ms = &mut talk.last_ms[usize::from(by_opener)];
        *last_ms = arrives_ms.max(*last_ms);
        let due_ms = *last_ms;
        let to_opener = !by_opener;
        let frame = Happening::Frame {
            talk: number,
            to_opener,
            bytes,
        };
        self.at(due_ms, frame);
    }

    fn tell_news(&mut self, number: u64, opener: bool) {
        let Some(talk) = self.talks.get_mut(&number) else {
            return;
        };
        let (node, other, session, id) = if opener {
            (talk.opener, talk.answerer, &mut talk.ours, Some(talk.id))
        } else {
            (talk.answerer, talk.opener, &mut talk.theirs, None)
        };
        let news = session.take_news();
        if !news.is_empty() {
            let input = Input::News {
                session: id,
                peer: self.peers[other].key,
                news,
            };
            self.input(node, vec![input]);
        }
    }

    /// One side gives up: the other only sees the stream end.
    fn end_with(&mut self, number: u64, opener: bool, error: SessionError) {
        let reason = match error {
            SessionError::Peer(fault) if fault.is_lie() => Some(fault.to_string()),
            _ => None,
        };
        self.note("fault", reason.as_deref().unwrap_or("gone").as_bytes());
        match (reason, opener) {
            (Some(reason), true) => self.finish(number, Ending::Lied(reason)),
            (Some(reason), false) => {
                let ends = self.talks.get(&number).map(|t| (t.opener, t.answerer));
                self.finish(number, Ending::Failed);
                if let Some((opener, answerer)) = ends {
                    let peer = self.peers[opener].key;
                    self.input(answerer, vec![Input::Lied { peer, reason }]);
                }
            }
            (None, _) => self.finish(number, Ending::Failed),
        }
    }

    fn finish(&mut self, number: u64, ending: Ending) {
        if let Some(talk) = self.talks.remove(&number) {
            let input = Input::Ended {
                session: talk.id,
                peer: self.peers[talk.answerer].key,
                ending,
            };
            self.input(talk.opener, vec![input]);
        }
    }

    /// Ends sessions that got no connection, or have been silent for too long.
    pub(super) fn check_talks(&mut self) {
        let now_ms = self.now_ms;
        let stuck = self.talks.iter().filter(|(_, talk)| {
            let silent = talk.ours.check(now_ms) == Err(PeerFault::Stalled);
            silent || (!talk.connected && now_ms > talk.begun_ms + CONNECT_MS)
        });
        let stuck: Vec<u64> = stuck.map(|(number, _)| *number).collect();
        for number in stuck {
            self.finish(number, Ending::Failed);
        }
        self.at(now_ms + CHECK_MS, Happening::Check);
    }

    /// Sessions that a crash took along.
    pub(super) fn drop_talks(&mut self, gone: impl Fn(&Talk) -> bool) {
        let gone = self.talks.iter().filter(|(_, talk)| gone(talk));
        let gone: Vec<u64> = gone.map(|(number, _)| *number).collect();
        for number in gone {
            self.finish(number, Ending::Failed);
        }
    }
}

const _: () = assert!(CONNECT_MS < bounds::STALL_MS);
