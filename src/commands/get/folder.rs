//! A UnixFS directory as a folder on disk: only safe names, and nothing outside of it.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use blocks::dag::{self, BlockError, BlockSource, Kind, MAX_DEPTH};
use bytes::Bytes;
use cid::Cid;

use super::{
    super::{failure::CommandError, progress::Progress},
    ipfs::{beside, copy, resolve_error, walk_error},
};

/// Entries of one directory.
const LISTED: usize = 1_000_000;
/// Files and folders in all: a small DAG can name the same ones again and again.
const ENTRIES: u64 = 1_000_000;
/// Bytes of blocks that may be read again, whatever the DAG is.
const AGAIN_BYTES: u64 = 1 << 30;
/// More of them may, as a multiple of the bytes that the DAG has: folders hold copies, images of
/// disks hold zeros.
const AGAIN_TIMES: u64 = 16;
/// Blocks that are known again; those before them count as new.
const KNOWN: usize = 1 << 20;
/// Longest name on the file systems in use, bytes.
const NAME_BYTES: usize = 255;
/// Things left out that are told one by one.
const NOTES: usize = 20;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Files.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
    entries: u64,
}

/// Whether a name can be a file's in a folder, and nowhere else.
pub(super) fn is_safe(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= NAME_BYTES
        && !name.contains(['/', '\\', '\0'])
}

/// Blocks of a folder, as long as they come to what the folder has: a DAG of some kilobytes can
/// name the same ones until the disk is full.
#[derive(Debug)]
struct Bounded<S> {
    blocks: S,
    measure: Mutex<Measure>,
}

/// What was read of a DAG.
#[derive(Debug, Default)]
struct Measure {
    /// The beginnings of the hashes of blocks.
    known: BTreeSet<u64>,
    /// Bytes of blocks that came for the first time.
    new_bytes: u64,
    /// Bytes of those that came again.
    again_bytes: u64,
}

impl Measure {
    /// Counts a block; whether there may be more.
    fn count(&mut self, cid: &Cid, bytes: u64) -> bool {
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        let digest = cid.hash().digest().first_chunk::<8>();
        let is_new = digest.is_none_or(|start| self.known.insert(u64::from_le_bytes(*start)));
        if is_new {
            self.new_bytes += bytes;
        } else {
            self.again_bytes += bytes;
        }
        self.again_bytes <= AGAIN_BYTES.max(self.new_bytes.saturating_mul(AGAIN_TIMES))
    }
}

impl<S: BlockSource> BlockSource for Bounded<S> {
    async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        let bytes = self.blocks.block(cid).await?;
        let mut measure = self.measure.lock().unwrap_or_else(PoisonError::into_inner);
        if measure.count(cid, bytes.len() as u64) {
            return Ok(bytes);
        }
        let reason = format!(
            "the folder repeats itself: {} bytes of blocks would be written as more than {} bytes; \
             get its files one by one",
            measure.new_bytes, measure.again_bytes
        );
        Err(BlockError::Local {
            cid: *cid,
            source: Box::new(CommandError::NotVerified(reason)),
        })
    }
}

/// Writes a directory into a new folder; it gets its name when all of it is there.
pub(super) async fn write<S: BlockSource + 'static>(
    source: Arc<S>,
    cid: Cid,
    target: &Path,
    bar: &mut Progress,
) -> Result<Written, CommandError> {
    if fs::symlink_metadata(target).is_ok() {
        return Err(CommandError::Usage(format!(
            "{} is there already; name another folder with -o",
            target.display()
        )));
    }
    let source = &Arc::new(Bounded {
        blocks: source,
        measure: Mutex::default(),
    });
    let part = beside(target, &cid);
    match fs::remove_dir_all(&part) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(CommandError::io("remove", &part)(error)),
    }
    fs::create_dir(&part).map_err(CommandError::io("make the folder", &part))?;
    match fill(source, cid, &part, bar).await {
        Ok(written) => {
            fs::rename(&part, target).map_err(CommandError::io("rename to", target))?;
            Ok(written)
        }
        Err(error) => {
            // The next try begins anew; nothing of this one is of use.
            let _ = fs::remove_dir_all(&part);
            Err(error)
        }
    }
}

async fn fill<S: BlockSource + 'static>(
    source: &Arc<S>,
    cid: Cid,
    part: &Path,
    bar: &mut Progress,
) -> Result<Written, CommandError> {
    let mut written = Written::default();
    let mut open: Vec<(Cid, PathBuf, usize)> = vec![(cid, part.to_owned(), 0)];
    while let Some((directory, path, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(CommandError::NotVerified(format!(
                "the folder {} lies too deep",
                path.display()
            )));
        }
        let listing = dag::list(source.as_ref(), directory, LISTED).await;
        let listing = listing.map_err(walk_error)?;
        if listing.is_cut {
            written.note(format!("{directory} has more than {LISTED} entries"));
        }
        for entry in listing.entries {
            let kind = written
                .add(source, &entry.cid, &path, &entry.name, bar)
                .await?;
            if let Some(folder) = kind {
                open.push((entry.cid, folder, depth + 1));
            }
        }
    }
    Ok(written)
}

impl Written {
    /// Writes an entry; a folder is only made, and given back.
    async fn add<S: BlockSource + 'static>(
        &mut self,
        source: &Arc<S>,
        cid: &Cid,
        folder: &Path,
        name: &str,
        bar: &mut Progress,
    ) -> Result<Option<PathBuf>, CommandError> {
        self.entries += 1;
        if self.entries > ENTRIES {
            return Err(CommandError::NotVerified(format!(
                "there are more than {ENTRIES} files; get parts of it"
            )));
        }
        if !is_safe(name) {
            self.note(format!("left out: {name:?} is no safe file name"));
            return Ok(None);
        }
        let path = folder.join(name);
        let resolved = dag::resolve(source.as_ref(), *cid, &[]).await;
        match resolved.map_err(resolve_error)?.kind {
            Kind::Directory { .. } => {
                fs::create_dir(&path).map_err(CommandError::io("make the folder", &path))?;
                return Ok(Some(path));
            }
            Kind::Symlink { .. } => {
                self.note(format!("left out: {name:?} is a symlink"));
            }
            Kind::File { size_bytes } => {
                let mut file = new_file(&path)?;
                copy(source, *cid, 0..size_bytes, &mut file, &path, bar).await?;
                self.count(size_bytes);
            }
            Kind::Data {
                fault: Some(why), ..
            } => {
                self.note(format!("left out: {name:?} is no file or folder: {why}"));
            }
            Kind::Data { .. } => {
                let bytes = match dag::inline(cid) {
                    Some(bytes) => bytes,
                    None => {
                        let bytes = source.block(cid).await;
                        bytes.map_err(|error| walk_error(error.into()))?
                    }
                };
                let mut file = new_file(&path)?;
                file.write_all(&bytes)
                    .map_err(CommandError::io("write to", &path))?;
                self.count(bytes.len() as u64);
            }
        }
        Ok(None)
    }

    fn count(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < NOTES {
            self.notes.push(note);
        }
    }
}

/// A file that wasn't there: a directory that names two things alike writes over neither.
fn new_file(path: &Path) -> Result<fs::File, CommandError> {
    let mut options = OpenOptions::new();
    let opened = options.create_new(true).write(true).open(path);
    opened.map_err(CommandError::io("write", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use blocks::dag::{codec, name_of};

    use super::*;

    /// Has one block, by whatever name.
    struct One(Bytes);

    impl BlockSource for One {
        async fn block(&self, _: &Cid) -> Result<Bytes, BlockError> {
            Ok(self.0.clone())
        }
    }

    /// How often the blocks of a folder can be read in turn, at most so often.
    async fn reads(blocks: u8, most: u64) -> u64 {
        const BLOCK_BYTES: u64 = 2 << 20;
        let source = Bounded {
            blocks: One(Bytes::from(vec![0; usize::try_from(BLOCK_BYTES).unwrap()])),
            measure: Mutex::default(),
        };
        for at in 0..most {
            let seed = u8::try_from(at % u64::from(blocks)).unwrap();
            if let Err(error) = source.block(&name_of(codec::RAW, &[seed])).await {
                let text = walk_error(error.into()).to_string();
                assert!(text.contains("repeats itself"), "{text}");
                return at;
            }
        }
        most
    }

    #[tokio::test]
    async fn a_folder_that_repeats_itself_ends_and_one_with_copies_does_not() {
        // One block: a gibibyte more than itself.
        assert_eq!(reads(1, 10_000).await, 513);
        // A tenth of a gigabyte: sixteen times more.
        assert_eq!(reads(50, 10_000).await, 850);
        assert_eq!(reads(250, 4_000).await, 4_000);
    }

    #[test]
    fn only_names_that_stay_in_their_folder_are_safe() {
        for name in ["a", "a b.txt", ".hidden", "...", "ä", "a:b"] {
            assert!(is_safe(name), "{name:?}");
        }
        let long = "x".repeat(NAME_BYTES + 1);
        for name in ["", ".", "..", "a/b", "/etc", "a\\b", "a\0b", long.as_str()] {
            assert!(!is_safe(name), "{name:?}");
        }
    }
}
