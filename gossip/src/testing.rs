//! Signed entries for tests: authors, a board, threads.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use model::{
    Entry, EntryId, GENESIS_TABLE, Header, IdentityId, Ipld, Payload, SchemaId, SecretKey, SpaceId,
};

use crate::{Content, Packet, Scope};

/// A person with one device.
pub(crate) struct Author {
    secret: SecretKey,
    pub id: IdentityId,
    pub identity: Packet,
}

fn payload(text: &str) -> Payload {
    let row = BTreeMap::from([("body".to_owned(), Ipld::String(text.to_owned()))]);
    Payload::new([7; 16], row).unwrap()
}

fn sign(secret: &SecretKey, header: Header, payload: &Payload) -> Packet {
    let entry = Entry::sign(header, secret).unwrap();
    Packet {
        entry: entry.bytes().to_vec(),
        content: Content::Held(payload.bytes().to_vec()),
    }
}

fn header(secret: &SecretKey, payload: &Payload) -> Header {
    Header {
        device: secret.public(),
        identity: None,
        seq: 0,
        backlink: None,
        time_ms: 1_000,
        depth: 0,
        root: None,
        parents: Vec::new(),
        grant: None,
        space: None,
        schema: SchemaId::of(b"schema"),
        table: GENESIS_TABLE.to_owned(),
        payload_size: payload.size(),
        payload: payload.id(),
        expires_ms: None,
        extensions: BTreeMap::new(),
    }
}

impl Author {
    pub fn new(number: u64) -> Self {
        let mut seed = [1; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let secret = SecretKey::from_bytes(&seed);
        let payload = payload("identity");
        let identity = sign(&secret, header(&secret, &payload), &payload);
        Self {
            id: IdentityId::from(identity.id()),
            identity,
            secret,
        }
    }

    /// A new name, in the person's own space.
    pub fn rename(&self, name: &str) -> Packet {
        let payload = payload(name);
        let header = Header {
            identity: Some(self.id),
            depth: 1,
            parents: vec![self.id.entry()],
            space: Some(self.id.space()),
            table: "profile".to_owned(),
            ..header(&self.secret, &payload)
        };
        sign(&self.secret, header, &payload)
    }

    fn write(
        &self,
        space: SpaceId,
        root: Option<EntryId>,
        parent: Option<&Entry<model::Unverified>>,
        time_ms: u64,
        padding: usize,
    ) -> Packet {
        let payload = payload(&format!("post at {time_ms}{}", "x".repeat(padding)));
        let header = Header {
            identity: Some(self.id),
            time_ms,
            depth: parent.map_or(0, |parent| parent.header().depth + 1),
            parents: parent.iter().map(|parent| parent.id()).collect(),
            root,
            space: Some(space),
            table: "post".to_owned(),
            ..header(&self.secret, &payload)
        };
        sign(&self.secret, header, &payload)
    }
}

/// A space with its authors' identities and threads, as packets in order of time.
pub(crate) struct Forum {
    pub space: SpaceId,
    pub authors: Vec<Author>,
    pub roots: Vec<EntryId>,
    pub packets: Vec<Packet>,
    tips: Vec<Packet>,
    time_ms: u64,
}

impl Forum {
    /// Each thread gets its first post and `replies` to it, by the authors in turn.
    pub fn new(authors: usize, threads: usize, replies: usize) -> Self {
        let authors: Vec<Author> = (0..authors as u64).map(Author::new).collect();
        let payload = payload("board");
        let genesis = Header {
            identity: Some(authors[0].id),
            ..header(&authors[0].secret, &payload)
        };
        let genesis = sign(&authors[0].secret, genesis, &payload);
        let mut forum = Self {
            space: SpaceId::from(genesis.id()),
            packets: authors
                .iter()
                .map(|a| a.identity.clone())
                .chain([genesis])
                .collect(),
            authors,
            roots: Vec::new(),
            tips: Vec::new(),
            time_ms: 10_000,
        };
        for _ in 0..threads {
            forum.start(0);
        }
        for turn in 0..replies {
            for thread in 0..threads {
                forum.reply(thread, turn);
            }
        }
        forum
    }

    /// A new thread.
    pub fn start(&mut self, author: usize) -> Packet {
        self.time_ms += 1;
        let packet = self
            .author(author)
            .write(self.space, None, None, self.time_ms, 0);
        self.roots.push(packet.id());
        self.tips.push(packet.clone());
        self.packets.push(packet.clone());
        packet
    }

    /// A reply to the thread's first post.
    pub fn reply(&mut self, thread: usize, author: usize) -> Packet {
        let root = self.roots[thread];
        let first = self
            .packets
            .iter()
            .find(|packet| packet.id() == root)
            .unwrap()
            .clone();
        self.answer(thread, author, &first, 0)
    }

    /// A reply to the thread's latest post.
    pub fn chain(&mut self, thread: usize, author: usize) -> Packet {
        let tip = self.tips[thread].clone();
        self.answer(thread, author, &tip, 0)
    }

    fn answer(&mut self, thread: usize, author: usize, to: &Packet, padding: usize) -> Packet {
        self.time_ms += 1;
        let parent = Entry::decode(&to.entry).unwrap();
        let packet = self.author(author).write(
            self.space,
            Some(self.roots[thread]),
            Some(&parent),
            self.time_ms,
            padding,
        );
        self.tips[thread] = packet.clone();
        self.packets.push(packet.clone());
        packet
    }

    /// A reply too long for a gossip message.
    pub fn long_reply(&mut self, thread: usize, author: usize) -> Packet {
        let tip = self.tips[thread].clone();
        self.answer(thread, author, &tip, 30_000)
    }

    fn author(&self, number: usize) -> &Author {
        &self.authors[number % self.authors.len()]
    }

    pub fn thread(&self, number: usize) -> Scope {
        Scope::thread(self.space, self.roots[number])
    }
}
