//! A chain that is kept on disk.

use std::path::Path;

use bitcoin::block::Header;
use thiserror::Error;

use super::{ChainError, Change, HeaderChain, HeaderFile, HeaderFileError};
use crate::Network;

/// Headers of dropped branches that a file may always have, however short the chain.
const MIN_STALE: u64 = 2016;

/// A chain and the file that holds it.
#[derive(Debug)]
pub struct ChainStore {
    chain: HeaderChain,
    file: HeaderFile,
    /// A write failed: the file has less than the chain, and the next write is of all.
    is_behind: bool,
}

/// Headers were not taken.
#[derive(Debug, Error)]
pub enum StoreError {
    /// One of them was refused; those before it are kept and written.
    #[error(transparent)]
    Refused(#[from] ChainError),
    /// They are in memory but not on disk; the next headers try to write all again.
    #[error("headers were taken but not written")]
    Unwritten {
        /// How the chain moved.
        change: Box<Change>,
        /// Why they could not be written.
        #[source]
        source: HeaderFileError,
    },
}

impl ChainStore {
    /// Opens what a file holds, or makes it.
    ///
    /// # Errors
    /// [`HeaderFileError`].
    pub fn open(path: &Path, network: Network) -> Result<Self, HeaderFileError> {
        Self::open_onto(path, HeaderChain::new(network))
    }

    pub(super) fn open_onto(path: &Path, chain: HeaderChain) -> Result<Self, HeaderFileError> {
        let (file, chain) = HeaderFile::open_onto(path, chain)?;
        Ok(Self {
            chain,
            file,
            is_behind: false,
        })
    }

    /// The chain, to read.
    pub fn chain(&self) -> &HeaderChain {
        &self.chain
    }

    /// The file, to read.
    pub fn file(&self) -> &HeaderFile {
        &self.file
    }

    /// Judges headers, keeps them and writes them; when it returns they are on disk.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn accept(&mut self, headers: &[Header], now_s: u32) -> Result<Change, StoreError> {
        let mut kept = Vec::new();
        let keep = |header: &Header| kept.push(*header);
        let taken = self.chain.take(headers, now_s, keep);
        let written = self.write(&kept);
        self.is_behind = written.is_err();
        match (taken, written) {
            (taken, Ok(())) => Ok(taken?),
            (taken, Err(source)) => Err(StoreError::Unwritten {
                change: taken.map_or_else(|refused| refused.kept, Box::new),
                source,
            }),
        }
    }

    fn write(&mut self, kept: &[Header]) -> Result<(), HeaderFileError> {
        if !self.is_behind && !self.is_stale(kept.len()) {
            return self.file.append(kept);
        }
        self.chain.prune();
        let network = self.chain.network();
        self.file.rewrite(network, self.chain.all())
    }

    /// Whether headers of branches that were dropped would outweigh the chain in the file.
    fn is_stale(&self, added: usize) -> bool {
        let height = u64::from(self.chain.tip().height);
        let held = height + self.chain.side_headers() as u64;
        let records = self.file.records() + added as u64;
        records.saturating_sub(held) > height.max(MIN_STALE)
    }
    /// Makes the next write fail, as a full disk does.
    #[cfg(test)]
    pub(super) fn break_for_test(&mut self) {
        self.file.break_for_test();
    }
}
