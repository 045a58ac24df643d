//! CARs in and out: capsules, and DAGs of any kind.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What to export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// CIDs with commas between them: threads and spaces make a capsule, anything else a plain CAR
    /// of its DAG. Left out: a capsule of the whole node.
    #[serde(default)]
    pub cids: String,
}

/// What an imported CAR was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CarKind {
    /// Entries with their media.
    Capsule,
    /// Blocks.
    Car,
}

/// A CAR was imported: all of it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CarImported {
    /// What it was.
    pub kind: CarKind,
    /// The roots in its header.
    pub roots: Vec<String>,
    /// Spaces that came whole, and are followed now.
    pub spaces: Vec<String>,
    /// Threads that came, and are followed now.
    pub threads: Vec<String>,
    /// Entries that were new.
    pub entries: u64,
    /// Entries that were held before.
    pub known_entries: u64,
    /// Blocks of DAGs, those of a capsule's files among them.
    pub blocks: u64,
    /// Links of the DAGs that lead to blocks which are neither in it nor held.
    pub missing_blocks: u64,
    /// Files that are whole.
    pub whole_files: u64,
    /// The first thousand of them.
    pub files: Vec<FileImported>,
    /// Media of a capsule's posts that whoever made it didn't hold.
    pub lacking_files: u64,
    /// What to know, one sentence each, bounded.
    pub notes: Vec<String>,
}

/// A file of an imported CAR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileImported {
    /// IPFS CID.
    pub ipfs: String,
    /// Blob CID.
    pub blob: String,
    /// Size.
    pub size_bytes: u64,
}

/// Progress of the import of a CAR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum CarProgress {
    /// Under way.
    Progress {
        /// Bytes of the file read and judged.
        done_bytes: u64,
        /// Bytes of the file.
        total_bytes: u64,
    },
    /// Imported and on disk.
    Done(Box<CarImported>),
}
