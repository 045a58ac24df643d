//! Peers and trackers that do as they are told here.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    InfoHash,
    bencode::{Item, decode_prefix},
};

/// A peer that claims to have all.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// Sends zeros for every block.
    Liar,
    /// Takes requests, and sends nothing.
    Mute,
    /// Gives a description (BEP 9).
    Describes(Vec<u8>),
}

impl Peer {
    /// Listens until dropped.
    pub(super) async fn listen(
        self,
        infohash: InfoHash,
        pieces: usize,
    ) -> (SocketAddr, AbortOnDropHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // whoever it speaks with may hang up
                tokio::spawn(self.clone().speak(stream, infohash, pieces));
            }
        });
        (addr, AbortOnDropHandle::new(task))
    }

    async fn speak(
        self,
        mut stream: TcpStream,
        infohash: InfoHash,
        pieces: usize,
    ) -> std::io::Result<()> {
        let mut hello = [0; 68];
        stream.read_exact(&mut hello).await?;
        hello[20..28].copy_from_slice(&[0, 0, 0, 0, 0, 0x10, 0, 0]);
        hello[28..48].copy_from_slice(infohash.as_bytes());
        hello[48..68].copy_from_slice(b"-FK0000-123456789012");
        stream.write_all(&hello).await?;
        if let Self::Describes(info) = &self {
            let size = i64::try_from(info.len()).unwrap();
            let names = Item::dict([("ut_metadata", Item::Integer(3))]);
            let hello = Item::dict([("m", names), ("metadata_size", Item::Integer(size))]);
            send(&mut stream, 20, &[[0].as_slice(), &hello.encode()].concat()).await?;
        }
        let mut bits = vec![0xff; pieces.div_ceil(8)];
        if let (Some(last), used @ 1..) = (bits.last_mut(), pieces % 8) {
            *last = 0xff << (8 - used);
        }
        send(&mut stream, 5, &bits).await?;
        send(&mut stream, 1, &[]).await?;
        let mut their_metadata = 0;
        loop {
            let length = stream.read_u32().await?;
            let mut message = vec![0; length.try_into().unwrap()];
            stream.read_exact(&mut message).await?;
            match (message.split_first(), &self) {
                (Some((6, request)), Self::Liar) => {
                    let length = u32::from_be_bytes(request[8..12].try_into().unwrap());
                    let block = vec![0; length.try_into().unwrap()];
                    send(&mut stream, 7, &[&request[..8], &block].concat()).await?;
                }
                (Some((20, extended)), Self::Describes(info)) => {
                    let (value, _) = decode_prefix(&extended[1..]).unwrap();
                    if extended[0] == 0 {
                        let id = value.get(b"m").and_then(|m| m.get(b"ut_metadata"));
                        let id = id.and_then(|id| id.integer()).unwrap();
                        their_metadata = u8::try_from(id).unwrap();
                    } else if extended[0] == 3 {
                        let piece = value.get(b"piece").and_then(|piece| piece.integer());
                        let head = Item::dict([
                            ("msg_type", Item::Integer(1)),
                            ("piece", Item::Integer(piece.unwrap())),
                            ("total_size", Item::Integer(info.len().try_into().unwrap())),
                        ]);
                        let from = usize::try_from(piece.unwrap()).unwrap() << 14;
                        let part = &info[from..info.len().min(from + (1 << 14))];
                        let parts = [&[their_metadata], head.encode().as_slice(), part].concat();
                        send(&mut stream, 20, &parts).await?;
                    }
                }
                _ => {}
            }
        }
    }
}

async fn send(stream: &mut TcpStream, kind: u8, payload: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(payload.len() + 1).unwrap();
    let message = [&length.to_be_bytes(), [kind].as_slice(), payload].concat();
    stream.write_all(&message).await
}

/// An HTTP tracker (BEP 3) that says the same to all.
pub(super) struct Tracker {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDropHandle<()>,
}

impl Tracker {
    pub(super) async fn listen(body: Vec<u8>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/announce", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::default());
        let task = tokio::spawn({
            let asked = Arc::clone(&asked);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, body.clone(), Arc::clone(&asked)));
                }
            }
        });
        Self {
            url,
            asked,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// That knows these peers.
    pub(super) async fn of(peers: &[SocketAddr]) -> Self {
        let peers = peers.iter().flat_map(|peer| match peer {
            SocketAddr::V4(peer) => {
                [&peer.ip().octets()[..], &peer.port().to_be_bytes()[..]].concat()
            }
            SocketAddr::V6(_) => Vec::new(),
        });
        let peers: Vec<u8> = peers.collect();
        let body = Item::dict([
            ("interval", Item::Integer(1800)),
            ("peers", Item::Bytes(&peers)),
        ]);
        Self::listen(body.encode()).await
    }

    /// The first lines of all requests.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    mut stream: TcpStream,
    body: Vec<u8>,
    asked: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request);
    let line = request.lines().next().unwrap_or_default();
    asked.lock().unwrap().push(line.to_owned());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat()).await
}
