//! An IPFS world in memory: files, directories, data blocks under made-up names. Nothing here is
//! hashed: the gateway takes what the node says as verified.

use std::{collections::BTreeMap, ops::Range, sync::Mutex};

use bytes::Bytes;
use cid::{Cid, multihash::Multihash};
use futures_lite::{StreamExt, stream};

use crate::{ipfs::types::*, node::*};

pub const RAW: u64 = 0x55;
pub const DAG_PB: u64 = 0x70;
pub const DAG_CBOR: u64 = 0x71;
pub const DAG_JSON: u64 = 0x0129;
pub const CBOR: u64 = 0x51;
pub const JSON: u64 = 0x0200;

#[derive(Clone)]
pub enum Thing {
    File(Bytes),
    /// Its blocks are not at hand: bytes come by ranges, and not before this offset.
    Remote(Bytes, u64),
    Directory(Vec<(String, Cid)>),
    Symlink(String),
    /// Paths that lead somewhere: to another block, or (none) into the inside.
    Data(Bytes, Vec<(String, Option<Cid>)>),
    Denied,
    Broken,
    /// No path leads through it or to it.
    Tangled,
}

#[derive(Default)]
pub struct World {
    things: Mutex<BTreeMap<Cid, Thing>>,
    pub cars: Mutex<Vec<CarRequest>>,
    pub providers: Mutex<BTreeMap<Cid, IpfsProvider>>,
}

/// A name like SHA2-256 would give it.
pub fn name(codec: u64, seed: &[u8]) -> Cid {
    let digest = blake3::hash(seed);
    Cid::new_v1(codec, Multihash::wrap(0x12, digest.as_bytes()).unwrap())
}

/// The same with a hash of 64 bytes.
pub fn long_name(seed: &[u8]) -> Cid {
    let digest = blake3::hash(seed);
    let digest = [digest.as_bytes().as_slice(); 2].concat();
    Cid::new_v1(RAW, Multihash::wrap(0x13, &digest).unwrap())
}

impl World {
    pub fn put(&self, cid: Cid, thing: Thing) -> Cid {
        self.things.lock().unwrap().insert(cid, thing);
        cid
    }

    pub fn file(&self, bytes: &[u8]) -> Cid {
        let bytes = Bytes::copy_from_slice(bytes);
        self.put(name(RAW, &bytes), Thing::File(bytes))
    }

    pub fn directory(&self, entries: &[(&str, Cid)]) -> Cid {
        let entries: Vec<_> = entries
            .iter()
            .map(|(name, cid)| ((*name).to_owned(), *cid))
            .collect();
        let seed = format!("{entries:?}");
        self.put(name(DAG_PB, seed.as_bytes()), Thing::Directory(entries))
    }

    pub fn data(&self, codec: u64, bytes: &'static [u8], ways: &[(&str, Option<Cid>)]) -> Cid {
        let ways = ways.iter().map(|(way, cid)| ((*way).to_owned(), *cid));
        let thing = Thing::Data(Bytes::from_static(bytes), ways.collect());
        self.put(name(codec, bytes), thing)
    }

    fn get(&self, cid: &Cid) -> Result<Thing, NodeError> {
        if cid.hash().code() == 0 {
            return Ok(Thing::File(Bytes::copy_from_slice(cid.hash().digest())));
        }
        match self.things.lock().unwrap().get(cid).cloned() {
            Some(Thing::Denied) => Err(NodeError::Denied {
                id: cid.to_string(),
                reason: "for a test".into(),
            }),
            Some(Thing::Broken) => Err(NodeError::NotVerified(format!("{cid} is broken"))),
            Some(Thing::Tangled) => Err(NodeError::Invalid(format!("{cid} is tangled"))),
            Some(thing) => Ok(thing),
            None => Err(NodeError::NotHeld {
                what: format!("block {cid}"),
                ways: Vec::new(),
            }),
        }
    }

    pub fn resolve(&self, root: Cid, path: &[String]) -> Result<ResolvedPath, NodeError> {
        let mut cid = root;
        let mut roots = vec![root];
        let mut path = path;
        while let Some((first, rest)) = path.split_first() {
            let nothing = || NodeError::NotFound(format!("{cid} has no `{first}`"));
            let next = match self.get(&cid)? {
                Thing::Directory(entries) => {
                    let found = entries.into_iter().find(|(name, _)| name == first);
                    path = rest;
                    found.ok_or_else(nothing)?.1
                }
                Thing::Data(_, ways) => {
                    let whole = path.join("/");
                    let led = |way: &str| whole == way || whole.starts_with(&format!("{way}/"));
                    let found = ways.into_iter().find(|(way, _)| led(way));
                    let (way, to) = found.ok_or_else(nothing)?;
                    let Some(to) = to else { break };
                    path = &path[way.split('/').count()..];
                    to
                }
                _ => return Err(nothing()),
            };
            roots.push(next);
            cid = next;
        }
        let kind = match self.get(&cid)? {
            Thing::File(bytes) | Thing::Remote(bytes, _) => PathKind::File {
                size_bytes: bytes.len() as u64,
            },
            Thing::Directory(_) => PathKind::Directory { is_sharded: false },
            Thing::Symlink(target) => PathKind::Symlink { target },
            Thing::Data(bytes, _) => PathKind::Data {
                codec: cid.codec(),
                block_bytes: bytes.len() as u64,
                fault: (cid.codec() == DAG_PB).then(|| "it is not a node of UnixFS".to_owned()),
            },
            Thing::Denied | Thing::Broken | Thing::Tangled => unreachable!("refused by get"),
        };
        Ok(ResolvedPath {
            visited: roots.clone(),
            roots,
            cid,
            kind,
            remainder: path.to_vec(),
        })
    }

    pub fn open(&self, cid: Cid) -> Result<OpenBlob, NodeError> {
        let (bytes, is_here) = match self.get(&cid)? {
            Thing::File(bytes) => (bytes, true),
            Thing::Remote(bytes, _) => (bytes, false),
            _ => return Err(NodeError::Invalid(format!("{cid} is not a file"))),
        };
        Ok(OpenBlob {
            size_bytes: bytes.len() as u64,
            body: match is_here {
                true => BlobBody::Bytes(bytes),
                false => BlobBody::Partial,
            },
        })
    }

    pub fn range(&self, cid: Cid, range: Range<u64>) -> Result<ByteStream, NodeError> {
        match self.get(&cid)? {
            Thing::Remote(bytes, from) if range.start >= from => {
                let part = bytes.slice(range.start as usize..range.end as usize);
                Ok(stream::once(Ok(part)).boxed())
            }
            _ => Err(NodeError::NotFound(format!("a block of {cid} is missing"))),
        }
    }

    pub fn block(&self, cid: Cid) -> Result<Bytes, NodeError> {
        match self.get(&cid)? {
            Thing::File(bytes) | Thing::Data(bytes, _) => Ok(bytes),
            _ => Ok(Bytes::from(format!("the block {cid}"))),
        }
    }

    pub fn list(&self, cid: Cid) -> Result<IpfsListing, NodeError> {
        let Thing::Directory(entries) = self.get(&cid)? else {
            return Err(NodeError::Invalid(format!("{cid} is no directory")));
        };
        let entries = entries.into_iter().map(|(name, cid)| IpfsListed {
            name,
            cid,
            size_bytes: 1000,
        });
        Ok(IpfsListing {
            entries: entries.collect(),
            is_cut: false,
        })
    }

    /// Two chunks, then the fault of a broken end.
    pub fn car(&self, request: CarRequest) -> Result<ByteStream, NodeError> {
        let end = self.resolve(request.root, &request.path)?;
        self.cars.lock().unwrap().push(request);
        let is_broken = match self.get(&end.cid)? {
            Thing::Directory(entries) => entries.iter().any(|(_, cid)| self.get(cid).is_err()),
            _ => false,
        };
        let mut items = vec![Ok(Bytes::from("header ")), Ok(Bytes::from("block"))];
        if is_broken {
            items.push(Err(NodeError::NotFound("a block is missing".into())));
        }
        Ok(stream::iter(items).boxed())
    }
}
