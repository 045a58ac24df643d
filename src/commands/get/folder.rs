//! A UnixFS directory as a folder on disk: only safe names, and nothing outside of it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use blocks::dag::{self, BlockSource, Kind, MAX_DEPTH};
use cid::Cid;

use super::{
    super::{failure::CommandError, progress::Progress},
    ipfs::{NodeSource, beside, copy, resolve_error, walk_error},
};

/// Entries of one directory.
const LISTED: usize = 1_000_000;
/// Files and folders in all: a small DAG can name the same ones again and again.
const ENTRIES: u64 = 1_000_000;
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

/// Writes a directory into a new folder; it gets its name when all of it is there.
pub(super) async fn write(
    source: &Arc<NodeSource>,
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
    let part = beside(target, &cid);
    match fs::remove_dir_all(&part) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(CommandError::io("remove", &part)(error)),
    }
    let mut written = Written::default();
    fs::create_dir(&part).map_err(CommandError::io("make the folder", &part))?;
    let mut open: Vec<(Cid, PathBuf, usize)> = vec![(cid, part.clone(), 0)];
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
    fs::rename(&part, target).map_err(CommandError::io("rename to", target))?;
    Ok(written)
}

impl Written {
    /// Writes an entry; a folder is only made, and given back.
    async fn add(
        &mut self,
        source: &Arc<NodeSource>,
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
            Kind::Data { .. } => {
                let bytes = source.block(cid).await;
                let bytes = bytes.map_err(|error| walk_error(error.into()))?;
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
    use super::*;

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
