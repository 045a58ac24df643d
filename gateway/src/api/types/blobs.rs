//! Bringing media in, and fetching it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use views::data::{Availability, Publicity, TorrentName};

/// File name of an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UploadQuery {
    /// File name, without folders.
    #[serde(default)]
    pub name: String,
}

/// A file or folder of the node's machine to import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PathRequest {
    /// Absolute path.
    pub path: String,
}

/// A file or folder of the node's machine to import, and who may carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddRequest {
    /// Absolute path.
    pub path: String,
    /// How far it may travel; none: as the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publicity: Option<Publicity>,
}

/// A blob was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobAdded {
    /// Blob CID.
    pub blob: String,
    /// IPFS CID: root of the file's UnixFS DAG (profile `unixfs-v1-2025`).
    pub ipfs: String,
    /// File name; in a folder the path below it.
    pub name: String,
    /// Media type by its first bytes.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Size.
    pub size_bytes: u64,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Playing time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Blob CID of the thumbnail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumb: Option<String>,
    /// Its name in swarms, if it is large enough to have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torrent: Option<TorrentName>,
    /// Why something is missing, or what to know about the file.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Progress of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ImportProgress {
    /// Under way.
    Progress {
        /// `copy`, `hash`, `probe`, ...
        stage: String,
        /// Bytes done in this stage.
        done_bytes: u64,
        /// Bytes of this stage.
        total_bytes: u64,
    },
    /// A file of the folder, on disk.
    Added(BlobAdded),
    /// Imported and on disk.
    Done(BlobAdded),
    /// The folder was imported: all of it is on disk.
    Album(AlbumAdded),
}

/// A folder was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlbumAdded {
    /// IPFS CID: a UnixFS directory (profile `unixfs-v1-2025`).
    pub ipfs: String,
    /// Name of the folder.
    pub name: String,
    /// Files in it and below.
    pub files: u64,
    /// Bytes of those files.
    pub size_bytes: u64,
    /// Its name in swarms, if its files together are large enough to have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torrent: Option<TorrentName>,
    /// What was left out and why, one sentence each, bounded.
    pub notes: Vec<String>,
}

/// What is held of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobState {
    /// Blob CID.
    pub blob: String,
    /// Size; 0 while unknown.
    pub size_bytes: u64,
    /// Verified bytes held here.
    pub held_bytes: u64,
    /// All of it is held.
    pub complete: bool,
    /// Media type by its first bytes, or `application/octet-stream`. Filled by the gateway's sniffing.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Who else has it.
    pub availability: Availability,
    /// Its name in swarms, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torrent: Option<TorrentName>,
}

/// What to fetch of a blob.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    /// First byte and the byte after the last; none: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u64>>)]
    pub range: Option<[u64; 2]>,
}

/// Progress of a fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum FetchProgress {
    /// Under way.
    Progress {
        /// Verified bytes held of what was asked.
        held_bytes: u64,
        /// Bytes asked for; 0 while unknown.
        total_bytes: u64,
    },
    /// All that was asked is held and verified.
    Done {
        /// Bytes held.
        held_bytes: u64,
        /// Size of the blob.
        total_bytes: u64,
    },
}
