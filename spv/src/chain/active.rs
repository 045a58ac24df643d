//! The most-work chain in memory: 80 bytes a header and about 8 to find it by its hash.

use bitcoin::{BlockHash, Work, block::Header};

use super::{edge::Weighed, index::Index};

/// Headers that are held in one piece, so that growing never copies what is there.
const CHUNK: usize = 2048;

/// Headers by height, from 0; never empty.
#[derive(Clone, Debug)]
pub(super) struct Active {
    rows: Rows,
    /// Work of the chain before each chunk.
    works: Vec<Work>,
    index: Index,
}

/// The headers alone. A header names the hash of the one before it, so only the last hash is kept.
#[derive(Clone, Debug)]
struct Rows {
    chunks: Vec<Vec<Header>>,
    tip_height: u32,
    tip_hash: BlockHash,
}

impl Rows {
    fn get(&self, height: u32) -> Option<&Header> {
        let height = height as usize;
        self.chunks.get(height / CHUNK)?.get(height % CHUNK)
    }

    fn at(&self, height: u32) -> &Header {
        self.get(height)
            .expect("asked only for heights up to the end")
    }

    fn hash_at(&self, height: u32) -> BlockHash {
        if height == self.tip_height {
            self.tip_hash
        } else {
            self.at(height + 1).prev_blockhash
        }
    }
}

impl Active {
    pub(super) fn new(genesis: Header) -> Self {
        let hash = genesis.block_hash();
        let mut chunk = Vec::with_capacity(CHUNK);
        chunk.push(genesis);
        let mut index = Index::new();
        index.insert(&hash, 0, |_| hash);
        let rows = Rows {
            chunks: vec![chunk],
            tip_height: 0,
            tip_hash: hash,
        };
        Self {
            rows,
            works: vec![Work::from_be_bytes([0; 32])],
            index,
        }
    }

    pub(super) fn tip_height(&self) -> u32 {
        self.rows.tip_height
    }

    pub(super) fn header(&self, height: u32) -> Option<&Header> {
        self.rows.get(height)
    }

    /// The header at a height that is known to be there.
    pub(super) fn at(&self, height: u32) -> &Header {
        self.rows.at(height)
    }

    pub(super) fn hash(&self, height: u32) -> Option<BlockHash> {
        (height <= self.rows.tip_height).then(|| self.rows.hash_at(height))
    }

    /// Height of a header, if the chain is settled.
    pub(super) fn height_of(&self, hash: &BlockHash) -> Option<u32> {
        self.index.get(hash, |height| self.rows.hash_at(height))
    }

    /// Adds a header to the end, before which the chain has some work. It is found by its hash once
    /// the chain was [settled](Self::settle).
    pub(super) fn push(&mut self, header: Header, hash: BlockHash, work_before: Work) {
        let height = self.rows.tip_height + 1;
        if (height as usize).is_multiple_of(CHUNK) {
            self.rows.chunks.push(Vec::with_capacity(CHUNK));
            self.works.push(work_before);
        }
        if let Some(last) = self.rows.chunks.last_mut() {
            last.push(header);
        }
        self.rows.tip_height = height;
        self.rows.tip_hash = hash;
    }

    /// Makes all headers be found by their hashes. Many at once, since each looks into another
    /// corner of memory: one by one it takes as long as hashing them.
    pub(super) fn settle(&mut self) {
        let rows = &self.rows;
        for height in self.index.len()..=rows.tip_height {
            let at = |height| rows.hash_at(height);
            self.index.insert(&at(height), height, at);
        }
    }

    /// Takes the header at the end away; the first one stays.
    pub(super) fn pop(&mut self) -> Option<Header> {
        let height = self.rows.tip_height.checked_sub(1)?;
        self.settle();
        self.index.pop(&self.rows.tip_hash);
        let last = self.rows.chunks.last_mut()?;
        let header = last.pop()?;
        if last.is_empty() {
            self.rows.chunks.pop();
            self.works.pop();
        }
        self.rows.tip_height = height;
        self.rows.tip_hash = header.prev_blockhash;
        Some(header)
    }

    /// Work of the chain up to and with a height that is there.
    pub(super) fn work_at(&self, height: u32, weighed: &mut Weighed) -> Work {
        let (chunk, within) = (height as usize / CHUNK, height as usize % CHUNK);
        let headers = &self.rows.chunks[chunk][..=within];
        headers.iter().fold(self.works[chunk], |work, header| {
            work + weighed.work_of(header.bits)
        })
    }

    /// All headers from a height on.
    pub(super) fn onward(&self, height: u32) -> impl Iterator<Item = &Header> {
        let first = height as usize / CHUNK;
        let skipped = height as usize % CHUNK;
        let chunks = self.rows.chunks.iter().skip(first);
        chunks.flatten().skip(skipped)
    }
}
