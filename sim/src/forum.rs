//! People who write: identities, devices, a board, posts and votes, signed as the protocol wants.

use std::collections::BTreeMap;

use gossip::{Content, Packet};
use model::{
    DEVICE_TABLE, Entry, EntryId, GENESIS_TABLE, Header, IdentityId, Ipld, Payload, Row, SchemaId,
    SecretKey, SpaceId, Verified, successor_commitment,
};

/// A parent, with what a child needs to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Parent {
    id: EntryId,
    depth: u64,
    time_ms: u64,
}

impl Parent {
    pub fn id(&self) -> EntryId {
        self.id
    }
}

/// A signed entry on its way to a replica.
#[derive(Clone, Debug)]
pub struct Written {
    pub packet: Packet,
    pub as_parent: Parent,
}

impl Written {
    pub fn id(&self) -> EntryId {
        self.as_parent.id
    }
}

/// A person with one device.
#[derive(Debug)]
pub struct Person {
    device: SecretKey,
    pub id: IdentityId,
    /// The identity's genesis, and the row that names its device.
    pub log: Vec<Packet>,
    feeds: BTreeMap<SpaceId, (u64, EntryId)>,
}

/// What an entry says besides who signs it.
struct Draft<'a> {
    space: Option<SpaceId>,
    root: Option<EntryId>,
    parents: &'a [Parent],
    table: &'a str,
    schema: SchemaId,
    row: Row,
    time_ms: u64,
}

fn row(columns: &[(&str, Ipld)]) -> Row {
    let own = |(name, value): &(&str, Ipld)| ((*name).to_owned(), value.clone());
    columns.iter().map(own).collect()
}

fn seal(
    secret: &SecretKey,
    identity: Option<IdentityId>,
    feed: Option<(u64, EntryId)>,
    draft: Draft<'_>,
) -> Written {
    // The salt need not be secret here, only the same in every run.
    let mut salt = [0; 16];
    let name = format!("{:?}{:?}{}", secret.public(), feed, draft.time_ms);
    salt.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
    let payload = Payload::new(salt, draft.row).expect("the simulation writes short rows");
    let mut parents: Vec<EntryId> = draft.parents.iter().map(|parent| parent.id).collect();
    parents.sort_unstable();
    parents.dedup();
    let deepest = draft.parents.iter().map(|parent| parent.depth).max();
    let latest = draft.parents.iter().map(|parent| parent.time_ms).max();
    let header = Header {
        device: secret.public(),
        identity,
        seq: feed.map_or(0, |(seq, _)| seq + 1),
        backlink: feed.map(|(_, id)| id),
        time_ms: draft.time_ms.max(latest.unwrap_or(0)),
        depth: deepest.map_or(0, |depth| depth + 1),
        root: draft.root,
        parents,
        grant: None,
        space: draft.space,
        schema: draft.schema,
        table: draft.table.to_owned(),
        payload_size: payload.size(),
        payload: payload.id(),
        expires_ms: None,
        extensions: BTreeMap::new(),
    };
    let (depth, time_ms) = (header.depth, header.time_ms);
    let entry: Entry<Verified> =
        Entry::sign(header, secret).expect("people write well-formed headers");
    Written {
        as_parent: Parent {
            id: entry.id(),
            depth,
            time_ms,
        },
        packet: Packet {
            entry: entry.bytes().to_vec(),
            content: Content::Held(payload.bytes().to_vec()),
        },
    }
}

impl Person {
    /// Person number so and so.
    pub fn new(number: u64, time_ms: u64) -> Self {
        let key = |purpose: &str| {
            let seed = blake3::hash(format!("{purpose} {number}").as_bytes());
            SecretKey::from_bytes(seed.as_bytes())
        };
        let (root, device, next) = (key("root"), key("device"), key("next"));
        let schema = database::schema::profile().id();
        let genesis = seal(
            &root,
            None,
            None,
            Draft {
                space: None,
                root: None,
                parents: &[],
                table: GENESIS_TABLE,
                schema,
                row: row(&[
                    ("root", Ipld::Bytes(root.public().as_bytes().to_vec())),
                    (
                        "successor",
                        Ipld::Bytes(successor_commitment(&next.public()).to_vec()),
                    ),
                ]),
                time_ms,
            },
        );
        let id = IdentityId::from(genesis.id());
        let named = seal(
            &root,
            Some(id),
            Some((0, genesis.id())),
            Draft {
                space: Some(id.space()),
                root: None,
                parents: &[genesis.as_parent],
                table: DEVICE_TABLE,
                schema,
                row: row(&[
                    ("key", Ipld::Bytes(device.public().as_bytes().to_vec())),
                    ("name", Ipld::String("device".to_owned())),
                ]),
                time_ms,
            },
        );
        Self {
            device,
            id,
            log: vec![genesis.packet, named.packet],
            feeds: BTreeMap::new(),
        }
    }

    fn write(&mut self, draft: Draft<'_>) -> Written {
        let space = draft.space;
        let feed = space.and_then(|space| self.feeds.get(&space).copied());
        let written = seal(&self.device, Some(self.id), feed, draft);
        let space = space.unwrap_or_else(|| SpaceId::from(written.id()));
        let seq = feed.map_or(0, |(seq, _)| seq + 1);
        self.feeds.insert(space, (seq, written.id()));
        written
    }

    /// Begins a board.
    pub fn board(&mut self, time_ms: u64) -> Written {
        let schema = database::schema::forum().id();
        self.write(Draft {
            space: None,
            root: None,
            parents: &[],
            table: GENESIS_TABLE,
            schema,
            row: row(&[("schema", Ipld::Link(schema.to_cid()))]),
            time_ms,
        })
    }

    /// Posts: begins a thread, or answers.
    pub fn post(
        &mut self,
        space: SpaceId,
        to: Option<(EntryId, Parent)>,
        body: &str,
        time_ms: u64,
    ) -> Written {
        let mut columns = vec![
            ("body", Ipld::String(body.to_owned())),
            ("media", Ipld::List(Vec::new())),
            ("nsfw", Ipld::Bool(false)),
        ];
        match to {
            None => columns.push(("title", Ipld::String("thread".to_owned()))),
            Some((_, parent)) => columns.push(("parent", Ipld::Link(parent.id.to_cid()))),
        }
        self.write(Draft {
            space: Some(space),
            root: to.map(|(root, _)| root),
            parents: to
                .as_ref()
                .map_or(&[], |(_, parent)| std::slice::from_ref(parent)),
            table: "post",
            schema: database::schema::forum().id(),
            row: row(&columns),
            time_ms,
        })
    }

    /// Votes for a post.
    pub fn vote(&mut self, space: SpaceId, root: EntryId, on: Parent, time_ms: u64) -> Written {
        self.write(Draft {
            space: Some(space),
            root: Some(root),
            parents: &[on],
            table: "vote",
            schema: database::schema::forum().id(),
            row: row(&[
                ("on", Ipld::Link(on.id.to_cid())),
                ("dir", Ipld::Integer(1)),
            ]),
            time_ms,
        })
    }
}
