//! What this node refuses to hold and to serve: denylists in the compact format (IPIP-383).
//!
//! Lists are files that the configuration names, and `denylists/*.deny` in the data folder; they are
//! read again when they change. In the order of the files, the last rule that is about a name
//! decides; the person's own list, `own.deny`, comes last. Rules are about hashes, whatever CID
//! they are in, and about all names of the same bytes: what denies a UnixFS root, or a leaf, denies
//! the blob.

mod files;
mod hashes;
pub mod honour;
mod list;
mod rule;
mod twins;

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use cid::Cid;
use model::BlobId;

use crate::data_folder::{DataFolder, FolderError};
use files::{Loaded, Places};
use hashes::Asked;
use list::Verdict;
use twins::{Twin, Twins};

/// Folder of the lists in the data folder.
const FOLDER: &str = "denylists";
/// Which names are of the same bytes, in the data folder.
const TWINS: &str = "denied-names.json";
/// Own denials that are shown.
const OWN_SHOWN: usize = 1_000;

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// What the list says of it.
    pub reason: String,
    /// File name of the list.
    pub list: String,
}

/// A list, as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListState {
    /// Its file.
    pub path: PathBuf,
    /// Rules in force.
    pub rules: u32,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// All lists.
#[derive(Debug)]
pub struct Denylist {
    places: Places,
    held: RwLock<Held>,
    /// One reader of files, and one writer of the own list, at a time.
    files: Mutex<()>,
    /// What the lists say may not have been done to everything that is held.
    is_due: AtomicBool,
}

#[derive(Debug, Default)]
struct Held {
    lists: Vec<Loaded>,
    /// Hash functions of all double hashes.
    functions: Vec<u64>,
    twins: Twins,
}

impl Denylist {
    /// Reads all lists. One that can't be read, or is wrong, doesn't keep the node from starting:
    /// [`Denylist::problems`] tells.
    ///
    /// # Errors
    /// When the folder can't be made or listed, or what was noted about names is damaged.
    pub fn open(folder: &DataFolder, named: &[PathBuf]) -> Result<Self, FolderError> {
        let path = folder.path().join(FOLDER);
        let io = |source| FolderError::Io {
            act: "list the denylists in",
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&path).map_err(io)?;
        let twins: Option<Vec<Twin>> = folder.read_json(TWINS)?;
        let denylist = Self {
            places: Places {
                named: named.to_vec(),
                folder: path.clone(),
            },
            held: RwLock::new(Held {
                twins: Twins::of(twins.unwrap_or_default()),
                ..Held::default()
            }),
            files: Mutex::new(()),
            is_due: AtomicBool::new(true),
        };
        denylist.read_again().map_err(io)?;
        Ok(denylist)
    }

    /// Reads the files that changed; false when none did. Blocks.
    ///
    /// # Errors
    /// When the folder can't be listed.
    pub fn read_again(&self) -> io::Result<bool> {
        let _one = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.read_held(|held| held.lists.clone());
        let Some(lists) = self.places.read(&known)? else {
            return Ok(false);
        };
        let functions: BTreeSet<u64> = lists.iter().flat_map(|l| l.list.functions()).collect();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.functions = functions.into_iter().collect();
        held.lists = lists;
        self.is_due.store(true, Ordering::Release);
        Ok(true)
    }

    /// Whether the lists changed since this was asked last: everything held must be looked at.
    pub fn take_due(&self) -> bool {
        self.is_due.swap(false, Ordering::AcqRel)
    }

    /// Whether a path from a CID is denied, and why. Bytes of the path's blocks are denied by
    /// themselves: whoever reads blocks asks for each with an empty path.
    pub fn check(&self, cid: &Cid, path: &[String]) -> Option<Denial> {
        self.read_held(|held| held.check(cid, path))
    }

    /// Whether a blob is denied, by any of the names known for its bytes.
    pub fn check_blob(&self, blob: BlobId) -> Option<Denial> {
        self.check(&blob.to_cid(), &[])
    }

    /// Blobs that are denied by name: those of rules, and those known under a denied name.
    pub fn blobs(&self) -> BTreeSet<BlobId> {
        self.read_held(|held| {
            let lists = held.lists.iter();
            let named = lists.flat_map(|loaded| loaded.list.named());
            let named = named.filter_map(|hash| twins::blob_of(&Cid::new_v1(0, hash)));
            let all: BTreeSet<BlobId> = named.chain(held.twins.blobs()).collect();
            let denied = all.into_iter();
            denied
                .filter(|blob| held.check(&blob.to_cid(), &[]).is_some())
                .collect()
        })
    }

    /// Every list.
    pub fn lists(&self) -> Vec<ListState> {
        self.read_held(|held| {
            let state = |loaded: &Loaded| ListState {
                path: loaded.path.clone(),
                rules: loaded.list.rules(),
                problem: loaded.problem.clone(),
            };
            held.lists.iter().map(state).collect()
        })
    }

    /// What the person denied here and did not take back, with the reasons, oldest first. Blocks.
    ///
    /// # Errors
    /// When the own list can't be read.
    pub fn own(&self) -> io::Result<Vec<(Cid, Denial)>> {
        let text = match fs::read(self.places.own()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut named: Vec<Cid> = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            if let Some(cid) = rule::named_cid(line).filter(|cid| !named.contains(cid)) {
                named.push(cid);
            }
        }
        named.truncate(OWN_SHOWN);
        let denied = named.into_iter();
        Ok(denied
            .filter_map(|cid| Some((cid, self.check(&cid, &[])?)))
            .collect())
    }

    /// No list says anything.
    pub fn is_empty(&self) -> bool {
        self.read_held(|held| held.lists.iter().all(|loaded| loaded.list.rules() == 0))
    }

    /// What is wrong with the lists, in a sentence.
    pub fn problems(&self) -> Option<String> {
        self.read_held(|held| held.lists.iter().find_map(|loaded| loaded.problem.clone()))
    }

    /// Appends to the person's own list, durably, and reads it. Blocks.
    ///
    /// # Errors
    /// When the list can't be written.
    pub fn write(&self, cid: &Cid, is_allow: bool, reason: Option<&str>) -> io::Result<()> {
        {
            let _one = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            append(&self.places, &rule::line_of(cid, is_allow, reason))?;
        }
        self.read_again().map(|_| ())
    }

    /// Notes that a UnixFS root and a blob are the same bytes, durably. Blocks.
    ///
    /// # Errors
    /// When that can't be written.
    pub fn note_twins(
        &self,
        folder: &DataFolder,
        pairs: impl IntoIterator<Item = (Cid, BlobId)>,
    ) -> Result<(), FolderError> {
        self.note(folder, |twins| {
            let pairs = pairs.into_iter();
            pairs.fold(false, |is_new, (root, blob)| twins.add(root, blob) | is_new)
        })
    }

    /// Notes that a denied block is a part of a blob, durably: the blob is denied as long as the
    /// block is. Blocks.
    ///
    /// # Errors
    /// When that can't be written.
    pub fn note_part(
        &self,
        folder: &DataFolder,
        part: Cid,
        blob: BlobId,
    ) -> Result<(), FolderError> {
        self.note(folder, |twins| twins.add_part(part, blob))
    }

    fn note(
        &self,
        folder: &DataFolder,
        add: impl FnOnce(&mut Twins) -> bool,
    ) -> Result<(), FolderError> {
        let _one = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let all = {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            add(&mut held.twins).then(|| held.twins.all())
        };
        match all {
            Some(all) => folder.write_json(TWINS, &all),
            None => Ok(()),
        }
    }

    fn read_held<T>(&self, read: impl FnOnce(&Held) -> T) -> T {
        read(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Held {
    fn check(&self, cid: &Cid, path: &[String]) -> Option<Denial> {
        if self.lists.is_empty() {
            return None;
        }
        let names = self.twins.names(cid);
        // Who allows a file doesn't allow a part of it that is denied by itself.
        for part in self.twins.parts(&names) {
            if let Some((Verdict::Deny(reason), list)) = self.verdict(&[*part], &[]) {
                return Some(denial(reason, list));
            }
        }
        match self.verdict(&names, path) {
            Some((Verdict::Deny(reason), list)) => Some(denial(reason, list)),
            Some((Verdict::Allow, _)) => None,
            // What is below a denied hash can't be reached without its bytes.
            None if !path.is_empty() => match self.verdict(&names, &[])? {
                (Verdict::Deny(reason), list) => Some(denial(reason, list)),
                (Verdict::Allow, _) => None,
            },
            None => None,
        }
    }

    fn verdict(&self, names: &[Cid], path: &[String]) -> Option<(Verdict, &Loaded)> {
        let asked: Vec<Asked> = names
            .iter()
            .map(|cid| Asked::new(cid, path, &self.functions))
            .collect();
        let mut lists = self.lists.iter().rev();
        lists.find_map(|loaded| Some((loaded.list.verdict(&asked)?, loaded)))
    }
}

fn denial(reason: Option<String>, loaded: &Loaded) -> Denial {
    let list = loaded
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Denial {
        reason: reason.unwrap_or_else(|| format!("it is on the list {list}")),
        list,
    }
}

fn append(places: &Places, line: &str) -> io::Result<()> {
    let path = places.own();
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(&path)?;
    // A line that a person, or a crash, left without its end must not swallow this one.
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let start = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{start}{line}").as_bytes())?;
    file.sync_all()?;
    File::open(&places.folder)?.sync_all()
}

#[cfg(test)]
mod tests;
