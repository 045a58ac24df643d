//! Peers that listen on loopback, honest and not.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use super::talk::full;
use crate::{
    InfoHash,
    leech::{
        Target,
        wire::{BLOCK_BYTES, Block, Extensions, HANDSHAKE_BYTES, Handshake, InfoMessage, Message},
    },
};

/// The id that the peer wants to be asked for the info dictionary with.
const INFO_ID: u8 = 3;
/// The id that the leecher wants to be answered with.
const THEIR_INFO_ID: u8 = 1;

/// How a peer behaves.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    pub is_fast: bool,
    pub is_choking: bool,
    pub greets_not: bool,
    /// Shares something else.
    pub infohash: Option<InfoHash>,
    /// Gives the info dictionary.
    pub info: Option<Vec<u8>>,
    pub max_requests: Option<u32>,
    /// Answers so long after it was asked.
    pub delay: Duration,
    /// As many answers are given; then what.
    pub answers: Option<(usize, Then)>,
    /// Between answers.
    pub pace: Duration,
    /// Answers the last one first, whenever it has several requests.
    pub is_backward: bool,
}

/// What a peer does when it has answered enough.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    Nothing,
    Close,
    CloseInBlock,
    WrongLength,
    WrongOffset,
    Garbage,
}

/// A peer that listens.
pub struct Seed {
    pub addr: SocketAddr,
    pub target: Target,
    /// What it was told, but for requests.
    pub heard: watch::Receiver<Vec<Message>>,
    pub requests: Arc<Mutex<Vec<Block>>>,
    /// As many requests have waited for their answer at once.
    pub most_waiting: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Seed {
    pub async fn start(content: Vec<u8>, target: Target, manners: Manners) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (heard, hears) = watch::channel(Vec::new());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let most_waiting = Arc::new(AtomicUsize::new(0));
        let mut session = Session {
            most_waiting: most_waiting.clone(),
            content: content.into(),
            target,
            manners,
            heard,
            requests: requests.clone(),
            waiting: VecDeque::new(),
            answered: 0,
            inbox: BytesMut::new(),
            outbox: BytesMut::new(),
        };
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            // a peer that is left has nobody to tell
            let _ = session.run(stream).await;
            session
                .heard
                .send_modify(|heard| heard.push(Message::KeepAlive));
        });
        Self {
            addr,
            target,
            heard: hears,
            requests,
            most_waiting,
            task,
        }
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Session {
    content: Bytes,
    target: Target,
    manners: Manners,
    heard: watch::Sender<Vec<Message>>,
    requests: Arc<Mutex<Vec<Block>>>,
    most_waiting: Arc<AtomicUsize>,
    waiting: VecDeque<(Instant, Block)>,
    answered: usize,
    inbox: BytesMut,
    outbox: BytesMut,
}

impl Session {
    async fn run(&mut self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        while Handshake::decode(&self.inbox).unwrap().is_none() || self.manners.greets_not {
            if stream.read_buf(&mut self.inbox).await? == 0 {
                return Ok(());
            }
        }
        let _ = self.inbox.split_to(HANDSHAKE_BYTES);
        self.greet();
        loop {
            stream.write_all(&self.outbox.split()).await?;
            let due = self.waiting.front().map(|(due, _)| *due);
            let is_behind = self.answered > 0 && self.manners.pace > Duration::ZERO;
            tokio::select! {
                read = stream.read_buf(&mut self.inbox) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.listen();
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if is_behind {
                        sleep(self.manners.pace).await;
                    }
                    if !self.answer() {
                        stream.write_all(&self.outbox).await?;
                        return Ok(());
                    }
                }
            }
        }
    }

    fn greet(&mut self) {
        let greeting = Handshake {
            infohash: self.manners.infohash.unwrap_or(self.target.infohash),
            peer_id: [9; 20],
            is_extended: true,
            is_fast: self.manners.is_fast,
        };
        self.outbox.extend_from_slice(&greeting.encode());
        if self.manners.is_fast {
            self.say(&Message::HaveAll);
        } else {
            self.say(&Message::Bitfield(full(&self.target)));
        }
        let info_bytes = self.manners.info.as_ref().map(|info| info.len() as u64);
        let extensions = Extensions {
            info_id: info_bytes.map(|_| INFO_ID),
            info_bytes,
            max_requests: self.manners.max_requests,
            client: Some("peer of a test".to_owned()),
        };
        self.say(&Message::Extended {
            id: 0,
            payload: extensions.encode().into(),
        });
    }

    fn say(&mut self, message: &Message) {
        message.encode(&mut self.outbox);
    }

    fn listen(&mut self) {
        let pieces = self.target.pieces();
        while let Some((message, _)) = Message::decode(&mut self.inbox, pieces).unwrap() {
            match message {
                Message::Request(block) => {
                    self.requests.lock().unwrap().push(block);
                    let due = Instant::now() + self.manners.delay;
                    self.waiting.push_back((due, block));
                    let waiting = self.waiting.len();
                    self.most_waiting.fetch_max(waiting, Ordering::SeqCst);
                    continue;
                }
                Message::Interested if !self.manners.is_choking => self.say(&Message::Unchoke),
                Message::Cancel(block) => self.waiting.retain(|(_, waiting)| *waiting != block),
                Message::Extended {
                    id: INFO_ID,
                    ref payload,
                } => self.give_info(payload),
                _ => {}
            }
            self.heard.send_modify(|heard| heard.push(message));
        }
    }

    fn give_info(&mut self, payload: &Bytes) {
        let info = self.manners.info.clone().unwrap_or_default();
        let Some(InfoMessage::Request(index)) = InfoMessage::decode(payload) else {
            return;
        };
        let answer = match info.chunks(BLOCK_BYTES as usize).nth(index as usize) {
            Some(bytes) => InfoMessage::Part { index, bytes },
            None => InfoMessage::Reject(index),
        };
        self.say(&Message::Extended {
            id: THEIR_INFO_ID,
            payload: answer.encode(info.len() as u64).into(),
        });
    }

    /// Answers a request; whether it goes on.
    fn answer(&mut self) -> bool {
        let next = if self.manners.is_backward {
            self.waiting.pop_back()
        } else {
            self.waiting.pop_front()
        };
        let Some((_, block)) = next else {
            return true;
        };
        let start = u64::from(block.piece) * u64::from(self.target.piece_bytes);
        let start = usize::try_from(start).unwrap() + block.begin as usize;
        let bytes = self.content.slice(start..start + block.length as usize);
        let then = self.manners.answers;
        let then = then.and_then(|(count, then)| (self.answered >= count).then_some(then));
        self.answered += 1;
        let mut piece = (block.begin, bytes);
        match then {
            None => {}
            Some(Then::Nothing) => return true,
            Some(Then::Close) => return false,
            Some(Then::WrongLength) => piece.1 = piece.1.slice(1..),
            Some(Then::WrongOffset) => piece.0 ^= 1 << 19,
            Some(Then::Garbage) => {
                self.outbox.extend_from_slice(&[0xff; 100]);
                return true;
            }
            Some(Then::CloseInBlock) => {}
        }
        self.say(&Message::Piece {
            piece: block.piece,
            begin: piece.0,
            bytes: piece.1,
        });
        if let Some(Then::CloseInBlock) = then {
            self.outbox.truncate(self.outbox.len() / 2);
            return false;
        }
        true
    }
}
