//! The DAG of a capsule's file, block by block, depth first.

use blocks::dag::{Node, UnixFs, codec};
use bytes::Bytes;
use cid::Cid;
use model::BlobId;

use super::{marks::FileMark, reader::CapsuleFault};

/// Blocks of a file that are waited for at once: the links of the nodes above the next leaf. Room
/// for 64 levels of nodes of the profile's own width would not need more.
pub(super) const WAITING: usize = 64 * 1024;

/// How far a file's DAG has come.
#[derive(Debug)]
pub(super) struct FileWalk {
    mark: FileMark,
    /// Blocks to come, the next one last.
    waiting: Vec<Cid>,
    found_bytes: u64,
}

impl FileWalk {
    /// Before the root of the file that a mark claims.
    pub(super) fn new(mark: FileMark) -> Self {
        Self {
            mark,
            waiting: vec![mark.unixfs],
            found_bytes: 0,
        }
    }

    /// Whether no block of it is to come.
    pub(super) fn is_at_end(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The bytes of the file that the next block holds.
    pub(super) fn step(&mut self, cid: &Cid, bytes: &Bytes) -> Result<Option<Bytes>, CapsuleFault> {
        let blob = self.mark.blob;
        match self.waiting.pop() {
            Some(wanted) if wanted != *cid => {
                return Err(CapsuleFault::OtherBlock { blob, wanted });
            }
            _ => {}
        }
        let data = if cid.codec() == codec::RAW {
            bytes.clone()
        } else {
            let (links, data) = node(blob, cid, bytes)?;
            if self.waiting.len() + links.len() > WAITING {
                return Err(CapsuleFault::TooDeep { blob });
            }
            self.waiting.extend(links.into_iter().rev());
            data
        };
        self.found_bytes += data.len() as u64;
        if self.found_bytes > self.mark.size_bytes {
            self.check_length()?;
        }
        Ok((!data.is_empty()).then_some(data))
    }

    /// Behind the last block: there are as many bytes as the mark says.
    pub(super) fn check_length(&self) -> Result<(), CapsuleFault> {
        if self.found_bytes == self.mark.size_bytes {
            return Ok(());
        }
        Err(CapsuleFault::Length {
            blob: self.mark.blob,
            said_bytes: self.mark.size_bytes,
            found_bytes: self.found_bytes,
        })
    }
}

/// Links and own bytes of a node of a file.
fn node(blob: BlobId, cid: &Cid, bytes: &Bytes) -> Result<(Vec<Cid>, Bytes), CapsuleFault> {
    let fault = |reason: String| CapsuleFault::Node { blob, reason };
    if cid.codec() != codec::DAG_PB {
        return Err(fault("files are made of raw and dag-pb blocks".to_owned()));
    }
    let node = Node::decode(bytes).map_err(|error| fault(error.to_string()))?;
    match UnixFs::of(&node).map_err(|error| fault(error.to_string()))? {
        UnixFs::File { data, .. } => {
            let links = node.links.iter().map(|link| link.cid).collect();
            Ok((links, data))
        }
        _ => Err(fault("it is no file".to_owned())),
    }
}
