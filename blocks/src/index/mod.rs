//! The names that IPFS has for what is held: which block lies where, without a second copy of its
//! bytes.
//!
//! A leaf of a file is a place in a blob; only what joins leaves (nodes, directories, blocks of
//! other codecs) is stored beside the blobs. Blocks are found by their multihash, so that the same
//! bytes answer to each codec.

mod belonging;
mod check;
mod convert;
mod database;
mod error;
mod file;
mod finish;
mod handle;
mod held;
mod intake;
mod look;
mod lookup;
mod namer;
mod naming;
mod pack;
mod pieces;
mod sweep;
mod tables;

use cid::Cid;
use model::BlobId;

pub use error::IntakeError;
pub use intake::{Intake, Taken};
pub use pieces::PIECE_BYTES;

use database::Fault;

pub(crate) use database::{Index, on_thread};
pub(crate) use file::name_file;
pub(crate) use handle::Handles;
pub(crate) use namer::{Namer, Names};
pub(crate) use naming::{REWRITE_BYTES, names_bytes};
pub(crate) use pack::{Claims, punch_hole};

/// A file of a DAG that is one whole blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// The blob.
    pub blob: BlobId,
    /// Its size.
    pub size_bytes: u64,
}

impl FileAt {
    fn encode(&self) -> Vec<u8> {
        tables::joined(self.blob.as_bytes(), &self.size_bytes.to_le_bytes())
    }

    fn decode(value: &[u8]) -> Result<Self, Fault> {
        let (blob, size) = value.split_at_checked(tables::BLOB_BYTES).unzip();
        blob.zip(size)
            .and_then(|(blob, size)| {
                Some(Self {
                    blob: BlobId::from_bytes(blob.try_into().ok()?),
                    size_bytes: u64::from_le_bytes(size.try_into().ok()?),
                })
            })
            .ok_or_else(|| Fault::Corrupted("a file's place".to_owned()))
    }
}

/// A DAG that was taken in, and is kept until [`crate::Blobs::remove_dag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DagHeld {
    /// What it is known by.
    pub root: Cid,
    /// Its blocks, each counted once.
    pub bytes: u64,
    /// When it was taken in, Unix time in milliseconds.
    pub at_ms: u64,
}
