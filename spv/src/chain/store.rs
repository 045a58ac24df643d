//! A chain that is kept on disk.

use std::path::Path;

use bitcoin::block::Header;
use thiserror::Error;

use super::{ChainError, Change, HeaderChain, HeaderFile, HeaderFileError};
use crate::Network;

/// A chain and the file that holds it.
#[derive(Debug)]
pub struct ChainStore {
    chain: HeaderChain,
    file: HeaderFile,
}

/// Headers were not taken.
#[derive(Debug, Error)]
pub enum StoreError {
    /// One of them was refused; those before it are kept.
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
        let (file, chain) = HeaderFile::open(path, network)?;
        Ok(Self { chain, file })
    }

    /// The chain, to read.
    pub fn chain(&self) -> &HeaderChain {
        &self.chain
    }

    /// The file, to read.
    pub fn file(&self) -> &HeaderFile {
        &self.file
    }

    /// Checks headers, keeps them and writes them; when it returns they are on disk.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn accept(&mut self, headers: &[Header], now_s: u32) -> Result<Change, StoreError> {
        let change = self.chain.accept(headers, now_s)?;
        match self.file.append(headers) {
            Ok(()) => Ok(change),
            Err(source) => Err(StoreError::Unwritten {
                change: Box::new(change),
                source,
            }),
        }
    }
}
