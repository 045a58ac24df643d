//! Blocks in memory, for tests: a source that can lack, deny and mistake them, and nodes to put in.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use cid::Cid;
use n0_future::{Stream, StreamExt};

use super::{
    BlockError, BlockSource, CarDecoder, CarItem, ExportRequest, Link, Node, UnixFs, WalkError,
    codec, export, name_of, read, verify,
};

/// Multihash code of murmur3-x64-64.
pub(super) const MURMUR3: u64 = 0x22;

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) blocks: BTreeMap<Cid, Bytes>,
    pub(super) denied: BTreeSet<Cid>,
    asked: Mutex<Vec<Cid>>,
}

impl BlockSource for Memory {
    async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        self.asked.lock().unwrap().push(*cid);
        if self.denied.contains(cid) {
            return Err(BlockError::Denied {
                cid: *cid,
                reason: "a test".into(),
            });
        }
        let bytes = self.blocks.get(cid).ok_or(BlockError::NotHeld(*cid))?;
        verify(cid, bytes)?;
        Ok(bytes.clone())
    }
}

impl Memory {
    /// What was asked for since the last time.
    pub(super) fn asked(&self) -> Vec<Cid> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    pub(super) fn put(&mut self, codec: u64, bytes: impl Into<Bytes>) -> Cid {
        let bytes = bytes.into();
        let cid = name_of(codec, &bytes);
        self.blocks.insert(cid, bytes);
        cid
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> Cid {
        self.put(codec::RAW, bytes.to_vec())
    }

    pub(super) fn node(&mut self, data: Option<&UnixFs>, links: &[(&str, Cid)]) -> Cid {
        let links = links.iter().map(|(name, cid)| Link {
            cid: *cid,
            name: (*name).to_owned(),
            size_bytes: 1,
        });
        let node = Node {
            links: links.collect(),
            data: data.map(UnixFs::encode),
        };
        self.put(codec::DAG_PB, node.encode())
    }

    /// A node of a file: bytes in it, and children with the sizes said of them.
    pub(super) fn file(&mut self, data: &[u8], children: &[(Cid, u64)]) -> Cid {
        let below: u64 = children.iter().map(|(_, size)| size).sum();
        let file = UnixFs::File {
            data: data.to_vec().into(),
            block_sizes: children.iter().map(|(_, size)| *size).collect(),
            size_bytes: data.len() as u64 + below,
        };
        let links: Vec<_> = children.iter().map(|(cid, _)| ("", *cid)).collect();
        self.node(Some(&file), &links)
    }

    pub(super) fn directory(&mut self, entries: &[(&str, Cid)]) -> Cid {
        self.node(Some(&UnixFs::Directory), entries)
    }

    pub(super) fn symlink(&mut self, target: &str) -> Cid {
        let target = target.to_owned();
        self.node(Some(&UnixFs::Symlink { target }), &[])
    }

    /// A shard of 256 places with these links, whose names start with their place.
    pub(super) fn shard(&mut self, links: &[(&str, Cid)]) -> Cid {
        let mut bits = [0_u8; 32];
        for (name, _) in links {
            let place = usize::from_str_radix(&name[..2], 16).unwrap();
            bits[31 - place / 8] |= 1 << (place % 8);
        }
        let start = bits.iter().position(|byte| *byte != 0).unwrap_or(32);
        let shard = UnixFs::Shard {
            bitfield: bits[start..].to_vec().into(),
            fanout: 256,
            hash: MURMUR3,
        };
        self.node(Some(&shard), links)
    }

    /// A file of `leaves` and `size_bytes` each, in one node.
    pub(super) fn leaves(&mut self, leaves: &[Cid], size_bytes: u64) -> Cid {
        let children: Vec<_> = leaves.iter().map(|cid| (*cid, size_bytes)).collect();
        self.file(b"", &children)
    }
}

/// All items of a stream up to its end, and the error there.
async fn drain(
    stream: impl Stream<Item = Result<Bytes, WalkError>>,
) -> (Vec<Bytes>, Option<WalkError>) {
    let mut stream = std::pin::pin!(stream);
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(bytes) => items.push(bytes),
            Err(error) => {
                assert!(stream.next().await.is_none(), "something follows an error");
                return (items, Some(error));
            }
        }
    }
    (items, None)
}

/// The bytes of a range of a file, and what ended them early.
pub(super) async fn bytes_of(
    memory: &Arc<Memory>,
    cid: Cid,
    range: std::ops::Range<u64>,
) -> (Vec<u8>, Option<WalkError>) {
    let (items, error) = drain(read(Arc::clone(memory), cid, range)).await;
    assert!(items.iter().all(|item| !item.is_empty()));
    (items.concat(), error)
}

/// The root and the blocks of a CAR, and what ended it early.
pub(super) async fn car_of(
    memory: &Arc<Memory>,
    wanted: ExportRequest,
) -> (Vec<Cid>, Vec<Cid>, Option<WalkError>) {
    let (items, error) = drain(export(Arc::clone(memory), wanted)).await;
    let mut decoder = CarDecoder::new();
    let (mut roots, mut blocks) = (Vec::new(), Vec::new());
    for item in items {
        decoder.push(&item);
        while let Some(item) = decoder.next().unwrap() {
            match item {
                CarItem::Header { roots: found } => roots = found,
                CarItem::Block { cid, .. } => blocks.push(cid),
            }
        }
    }
    if error.is_none() {
        decoder.end().unwrap();
    }
    (roots, blocks, error)
}
