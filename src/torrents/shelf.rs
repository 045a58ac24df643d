//! The torrents that this node has the bytes of: the list in `torrents.json`, and an info dictionary
//! of each in `torrents/`, so that nothing is hashed again at a start.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::BlobId;
use serde::{Deserialize, Serialize};
use torrent::{Info, InfoHash, MAX_METAINFO_BYTES};

use crate::{
    data_folder::{DataFolder, FolderError},
    kept::Kept,
};

const FILE: &str = "torrents.json";
const FOLDER: &str = "torrents";
const FALSE_FILE: &str = "false_claims.json";
/// False claims remembered.
const FALSE_CLAIMS: usize = 10_000;

/// Where a torrent comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// One blob, named by the convention.
    Blob,
    /// A folder that was imported here.
    Album,
    /// A torrent of others, downloaded from a swarm: its owner's own affair.
    Foreign,
}

/// A torrent whose bytes are blobs of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelved {
    /// What a person calls it.
    pub name: String,
    /// Bytes of its files, padding included.
    pub size_bytes: u64,
    /// Its files, in the order of the info dictionary; padding has none.
    pub blobs: Vec<BlobId>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it is seeded as far as it goes by itself: an album or a foreign torrent that its
    /// owner wants seeded.
    pub seed: bool,
}

/// All of them; every change is on disk when its call returns.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    list: Kept<BTreeMap<String, Shelved>>,
    lies: Kept<BTreeSet<(BlobId, String)>>,
    by_blob: Mutex<BTreeMap<BlobId, BTreeSet<InfoHash>>>,
}

impl Shelf {
    /// Reads the lists; empty at the first start.
    ///
    /// # Errors
    /// When a file is damaged or can't be read.
    pub fn open(folder: &DataFolder) -> Result<Self, FolderError> {
        let below = folder.path().join(FOLDER);
        fs::create_dir_all(below.join("small")).map_err(|source| FolderError::Io {
            act: "make",
            path: below.clone(),
            source,
        })?;
        let shelf = Self {
            folder: below,
            list: Kept::open(folder, FILE)?,
            lies: Kept::open(folder, FALSE_FILE)?,
            by_blob: Mutex::default(),
        };
        for (infohash, shelved) in shelf.all() {
            for blob in shelved.blobs {
                shelf.by_blob().entry(blob).or_default().insert(infohash);
            }
        }
        Ok(shelf)
    }

    /// Adds a torrent, or changes it.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn put(
        &self,
        folder: &DataFolder,
        info: &Info,
        shelved: Shelved,
    ) -> Result<(), FolderError> {
        let name = info.infohash().to_string();
        let blobs = shelved.blobs.clone();
        if !self.path(&info.infohash()).is_file() {
            folder.write_whole(&format!("{FOLDER}/{name}.info"), info.encoded())?;
        }
        self.list.change(folder, |list| {
            list.insert(name, shelved);
        })?;
        for blob in blobs {
            let mut by_blob = self.by_blob();
            by_blob.entry(blob).or_default().insert(info.infohash());
        }
        Ok(())
    }

    /// Takes a torrent off; false when it was not on it.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn remove(&self, folder: &DataFolder, infohash: &InfoHash) -> Result<bool, FolderError> {
        let mut removed = None;
        self.list.change(folder, |list| {
            removed = list.remove(&infohash.to_string());
        })?;
        for blob in removed.iter().flat_map(|shelved| &shelved.blobs) {
            let mut by_blob = self.by_blob();
            let is_last = by_blob.get_mut(blob).is_some_and(|others| {
                others.remove(infohash);
                others.is_empty()
            });
            if is_last {
                by_blob.remove(blob);
                gone(&self.small_path(blob))?;
            }
        }
        gone(&self.path(infohash))?;
        Ok(removed.is_some())
    }

    /// What is known of a torrent.
    pub fn get(&self, infohash: &InfoHash) -> Option<Shelved> {
        self.list.lock().get(&infohash.to_string()).cloned()
    }

    /// All torrents.
    pub fn all(&self) -> Vec<(InfoHash, Shelved)> {
        let list = self.list.lock();
        let named = list
            .iter()
            .filter_map(|(name, shelved)| Some((name.parse().ok()?, shelved.clone())));
        named.collect()
    }

    /// Torrents with a blob in them.
    pub fn with(&self, blob: &BlobId) -> Vec<(InfoHash, Shelved)> {
        let named = self.by_blob().get(blob).cloned().unwrap_or_default();
        let shelved = named
            .into_iter()
            .filter_map(|infohash| Some((infohash, self.get(&infohash)?)));
        shelved.collect()
    }

    fn by_blob(&self) -> MutexGuard<'_, BTreeMap<BlobId, BTreeSet<InfoHash>>> {
        self.by_blob.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The info dictionary of a torrent on the shelf; none if its file is gone or wrong.
    pub fn info(&self, infohash: &InfoHash) -> Option<Info> {
        let path = self.path(infohash);
        let size_bytes = fs::metadata(&path).ok()?.len();
        if size_bytes > MAX_METAINFO_BYTES as u64 {
            return None;
        }
        let info = Info::decode(&fs::read(path).ok()?).ok()?;
        (info.infohash() == *infohash).then_some(info)
    }

    /// Notes that a swarm's bytes were not those of the blob whose name a post gave it.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn note_false(
        &self,
        folder: &DataFolder,
        blob: BlobId,
        infohash: &InfoHash,
    ) -> Result<(), FolderError> {
        self.lies.change(folder, |lies| {
            if lies.len() >= FALSE_CLAIMS {
                lies.pop_first();
            }
            lies.insert((blob, infohash.to_string()));
        })
    }

    /// Whether a claim turned out to be false before.
    pub fn is_false(&self, blob: &BlobId, infohash: &InfoHash) -> bool {
        self.lies.lock().contains(&(*blob, infohash.to_string()))
    }

    /// A file of its own for a blob so small that the store keeps it in its database: swarms read
    /// files.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn small_file(
        &self,
        folder: &DataFolder,
        blob: &BlobId,
        bytes: &[u8],
    ) -> Result<PathBuf, FolderError> {
        let path = self.small_path(blob);
        if !path.is_file() {
            folder.write_whole(&format!("{FOLDER}/small/{blob}"), bytes)?;
        }
        Ok(path)
    }

    fn small_path(&self, blob: &BlobId) -> PathBuf {
        self.folder.join("small").join(blob.to_string())
    }

    fn path(&self, infohash: &InfoHash) -> PathBuf {
        self.folder.join(format!("{infohash}.info"))
    }
}

/// Removes a file that may be gone already.
fn gone(path: &Path) -> Result<(), FolderError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FolderError::Io {
            act: "remove",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
