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
mod lookup;
mod namer;
mod naming;
mod pack;
mod sweep;
mod tables;

use cid::Cid;
use model::BlobId;

pub use error::IntakeError;
pub use intake::{Intake, Taken};

pub(crate) use database::{Index, on_thread};
pub(crate) use file::name_file;
pub(crate) use handle::Handles;
pub(crate) use namer::{Namer, Names};
pub(crate) use naming::{REWRITE_BYTES, names_bytes};
pub(crate) use pack::Claims;

/// A file of a DAG that is one whole blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// The blob.
    pub blob: BlobId,
    /// Its size.
    pub size_bytes: u64,
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
