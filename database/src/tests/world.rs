//! People, a board and what they write: signed against a node that holds everything.

use std::sync::Arc;

use model::{
    BlobId, DeviceKey, Entry, EntryId, Header, IdentityId, Ipld, Payload, Row, SecretKey, SpaceId,
    Verified,
};

use crate::{
    Database, Durability, Incoming, IngestReport, Options, Outcome, Source,
    authoring::{self, Draft},
    store::MemoryStore,
};

pub const NOW: u64 = 1_800_000_000_000;

/// An entry with its payload, to be delivered again and again.
#[derive(Clone)]
pub struct Parcel {
    pub entry: Entry<Verified>,
    pub payload: Payload,
}

impl Parcel {
    pub fn id(&self) -> EntryId {
        self.entry.id()
    }

    pub fn incoming(&self) -> Incoming {
        Incoming::local(self.entry.clone(), self.payload.clone()).unwrap()
    }

    pub fn header_only(&self) -> Incoming {
        Incoming::new(self.entry.clone(), None, Source::File).unwrap()
    }
}

#[derive(Clone)]
pub struct Person {
    pub identity: IdentityId,
    pub root: SecretKey,
    pub device: SecretKey,
}

pub struct World {
    pub node: Database,
    pub now_ms: u64,
    /// Everything ever signed, in that order.
    pub parcels: Vec<Parcel>,
    salts: u8,
}

pub fn empty() -> Database {
    empty_with(Options::default())
}

pub fn empty_with(options: Options) -> Database {
    Database::open(Arc::new(MemoryStore::new()), options).unwrap()
}

pub fn give(node: &Database, batch: Vec<Incoming>, now_ms: u64) -> IngestReport {
    node.ingest(batch, now_ms, Durability::Durable).unwrap()
}

pub fn text(text: &str) -> Ipld {
    Ipld::String(text.to_owned())
}

pub fn link(id: &EntryId) -> Ipld {
    Ipld::Link(id.to_cid())
}

pub fn row(columns: &[(&str, Ipld)]) -> Row {
    columns
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

pub fn post_row(body: &str, parent: Option<&EntryId>) -> Row {
    let mut columns = vec![
        ("body", text(body)),
        ("media", Ipld::List(Vec::new())),
        ("nsfw", Ipld::Bool(false)),
    ];
    columns.extend(parent.map(|parent| ("parent", link(parent))));
    row(&columns)
}

pub fn vote_row(on: &EntryId, dir: i128) -> Row {
    row(&[("on", link(on)), ("dir", Ipld::Integer(dir))])
}

pub fn media(name: &str) -> Ipld {
    Ipld::Map(row(&[
        ("blob", Ipld::Link(BlobId::of(name.as_bytes()).to_cid())),
        ("size", Ipld::Integer(7)),
        ("type", text("video/webm")),
        ("name", text(name)),
        ("captions", Ipld::List(Vec::new())),
    ]))
}

impl World {
    pub fn new() -> Self {
        Self {
            node: empty(),
            now_ms: NOW,
            parcels: Vec::new(),
            salts: 0,
        }
    }

    pub fn salt(&mut self) -> [u8; 16] {
        self.salts = self.salts.wrapping_add(1);
        let mut salt = [0; 16];
        salt[0] = self.salts;
        salt[1..9].copy_from_slice(&(self.parcels.len() as u64).to_le_bytes());
        salt
    }

    pub fn sign(&mut self, header: Header, payload: Payload, key: &SecretKey) -> Parcel {
        let entry = Entry::sign(header, key).unwrap();
        let parcel = Parcel { entry, payload };
        self.parcels.push(parcel.clone());
        parcel
    }

    pub fn accept(&self, parcel: &Parcel) -> Outcome {
        let report = give(&self.node, vec![parcel.incoming()], self.now_ms);
        report.outcomes[0].1.clone()
    }

    pub fn person(&mut self, seed: u8) -> Person {
        let root = SecretKey::from_bytes(&[seed; 32]);
        let device = SecretKey::from_bytes(&[seed + 100; 32]);
        let salt = self.salt();
        let (header, payload) =
            authoring::identity_genesis(root.public(), [seed; 32], salt, self.now_ms).unwrap();
        let genesis = self.sign(header, payload, &root);
        assert_eq!(self.accept(&genesis), Outcome::Valid);
        let person = Person {
            identity: IdentityId::from(genesis.id()),
            root: root.clone(),
            device,
        };
        self.name_device(&person, &person.device.public());
        person
    }

    pub fn name_device(&mut self, person: &Person, device: &DeviceKey) -> Parcel {
        let (table, row) = authoring::device_row(device, "laptop");
        let space = person.identity.space();
        self.write_with(&person.root, person.identity, space, None, table, &row)
    }

    pub fn board(&mut self, owner: &Person) -> SpaceId {
        let salt = self.salt();
        let (header, payload) = authoring::space_genesis(
            owner.device.public(),
            owner.identity,
            crate::schema::forum(),
            false,
            salt,
            self.now_ms,
        )
        .unwrap();
        let genesis = self.sign(header, payload, &owner.device);
        assert_eq!(self.accept(&genesis), Outcome::Valid);
        SpaceId::from(genesis.id())
    }

    pub fn write(
        &mut self,
        person: &Person,
        space: SpaceId,
        root: Option<EntryId>,
        table: &str,
        row: &Row,
    ) -> Parcel {
        self.write_with(&person.device, person.identity, space, root, table, row)
    }

    fn write_with(
        &mut self,
        key: &SecretKey,
        identity: IdentityId,
        space: SpaceId,
        root: Option<EntryId>,
        table: &str,
        row: &Row,
    ) -> Parcel {
        self.now_ms += 1_000;
        let draft = Draft {
            identity,
            device: key.public(),
            space,
            root,
            table,
            row,
            expires_ms: None,
        };
        let plan = self
            .node
            .read()
            .unwrap()
            .prepare(&draft, self.now_ms)
            .unwrap();
        let payload = Payload::new(self.salt(), row.clone()).unwrap();
        let parcel = self.sign(plan.header(&payload), payload, key);
        let outcome = self.accept(&parcel);
        assert_eq!(outcome, Outcome::Valid, "{table}");
        parcel
    }

    pub fn thread(&mut self, person: &Person, space: SpaceId, body: &str) -> EntryId {
        self.write(person, space, None, "post", &post_row(body, None))
            .id()
    }

    pub fn reply(
        &mut self,
        person: &Person,
        space: SpaceId,
        root: EntryId,
        parent: EntryId,
        body: &str,
    ) -> EntryId {
        let row = post_row(body, Some(&parent));
        self.write(person, space, Some(root), "post", &row).id()
    }

    pub fn vote(
        &mut self,
        person: &Person,
        space: SpaceId,
        root: EntryId,
        on: EntryId,
        dir: i128,
    ) -> EntryId {
        let row = vote_row(&on, dir);
        self.write(person, space, Some(root), "vote", &row).id()
    }

    /// The same header with other fields, signed again; not given to the node.
    pub fn altered(
        &mut self,
        of: &Parcel,
        key: &SecretKey,
        change: impl FnOnce(&mut Header),
    ) -> Parcel {
        let mut header = of.entry.header().clone();
        let payload = Payload::new(self.salt(), of.payload.row().clone()).unwrap();
        header.payload = payload.id();
        header.payload_size = payload.size();
        change(&mut header);
        let entry = Entry::sign(header, key).unwrap();
        Parcel { entry, payload }
    }

    /// Another row under another header.
    pub fn other_row(
        &mut self,
        of: &Parcel,
        key: &SecretKey,
        row: &Row,
        change: impl FnOnce(&mut Header),
    ) -> Parcel {
        let mut header = of.entry.header().clone();
        let payload = Payload::new(self.salt(), row.clone()).unwrap();
        header.payload = payload.id();
        header.payload_size = payload.size();
        change(&mut header);
        let entry = Entry::sign(header, key).unwrap();
        Parcel { entry, payload }
    }
}

/// Everything that must not depend on the order of arrival.
pub fn dump(node: &Database, ids: &[EntryId], people: &[IdentityId]) -> String {
    use crate::{Scope, forum::Sort};
    use std::{collections::BTreeSet, fmt::Write};
    let read = node.read().unwrap();
    let mut out = String::new();
    let mut scopes = BTreeSet::new();
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    for id in &ids {
        let state = read.state(id).unwrap();
        let facts = state
            .as_ref()
            .map(|s| (s.verdict, s.reason.clone(), s.payload, s.missing.clone()));
        writeln!(
            out,
            "{id} {facts:?} score {}",
            read.fold("score", id).unwrap()
        )
        .unwrap();
        if let Some(state) = state {
            scopes.insert(
                state
                    .root
                    .map_or(Scope::Authority(state.space), Scope::Thread),
            );
            writeln!(
                out,
                "  {:?}",
                read.post(id, people.first().copied()).unwrap()
            )
            .unwrap();
        }
    }
    for scope in &scopes {
        writeln!(
            out,
            "{scope:?} {:?} {:?}",
            read.items(scope).unwrap(),
            read.fingerprint(scope).unwrap()
        )
        .unwrap();
        match scope {
            Scope::Thread(root) => {
                writeln!(out, " {:?}", read.thread(root).unwrap()).unwrap();
                writeln!(
                    out,
                    " {:?}",
                    read.posts(root, people.first().copied(), None, 1_000)
                        .unwrap()
                )
                .unwrap();
            }
            Scope::Authority(space) => {
                writeln!(
                    out,
                    " {:?} {:?}",
                    read.board(space).unwrap(),
                    read.digests(space, 1_000).unwrap()
                )
                .unwrap();
                for sort in [Sort::Hot, Sort::New, Sort::Top] {
                    writeln!(
                        out,
                        " {:?}",
                        read.threads(Some(*space), sort, None, 1_000).unwrap()
                    )
                    .unwrap();
                }
            }
        }
    }
    for person in people {
        writeln!(
            out,
            "{:?} {:?}",
            read.profile(person).unwrap(),
            read.follows(person).unwrap()
        )
        .unwrap();
        let devices: BTreeSet<_> = read
            .devices(person)
            .unwrap()
            .into_iter()
            .map(|d| (d.key, d.row))
            .collect();
        writeln!(
            out,
            "{devices:?} {:?}",
            read.posts_by(person, None, 1_000).unwrap()
        )
        .unwrap();
    }
    writeln!(
        out,
        "{:?} {:?}",
        read.equivocations(100).unwrap(),
        read.counts().unwrap()
    )
    .unwrap();
    out
}
