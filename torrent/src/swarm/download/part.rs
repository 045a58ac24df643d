//! Where a download's files lie while they come, and where they go.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Info,
    swarm::{SwarmError, content::is_stored},
};

/// A folder of its own for what isn't complete: nothing that was there before is ever written to.
#[derive(Debug)]
pub(super) struct Part<'a> {
    info: &'a Info,
    into: &'a Path,
    folder: PathBuf,
}

impl<'a> Part<'a> {
    pub(super) fn new(info: &'a Info, into: &'a Path) -> Self {
        let folder = into.join(format!(".{}.part", info.infohash()));
        Self { info, into, folder }
    }

    /// Where the files lie while they come.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        paths(self.info, &self.folder)
    }

    /// Where they lie when they are complete.
    pub(super) fn final_paths(&self) -> Vec<PathBuf> {
        paths(self.info, self.into)
    }

    /// The file, or the album's folder, when it is complete.
    pub(super) fn target(&self) -> PathBuf {
        self.into.join(self.info.name())
    }

    /// Makes all folders. Says whether some of the download may be there already.
    pub(super) fn make(&self) -> Result<bool, SwarmError> {
        let is_there = self.folder.is_dir();
        let create = |path: &Path| fs::create_dir_all(path).map_err(|e| fault(path, e));
        create(&self.folder)?;
        for path in self.paths() {
            if let Some(parent) = path.parent() {
                create(parent)?;
            }
        }
        Ok(is_there)
    }

    /// Moves what is complete to where it belongs, and removes the folder.
    pub(super) fn finish(&self) -> Result<(), SwarmError> {
        let stored = self.info.files().iter().zip(self.paths());
        for (file, path) in stored {
            // what has no bytes came with none
            if is_stored(file) && file.length_bytes() == 0 {
                let made = fs::OpenOptions::new().create(true).append(true).open(&path);
                made.map_err(|source| fault(&path, source))?;
            }
        }
        let target = self.target();
        if target.symlink_metadata().is_ok() {
            return Err(SwarmError::Exists {
                infohash: self.info.infohash(),
                path: target,
            });
        }
        let from = self.folder.join(self.info.name());
        fs::rename(from, &target).map_err(|source| fault(&target, source))?;
        fs::remove_dir_all(&self.folder).map_err(|source| fault(&self.folder, source))
    }
}

fn paths(info: &Info, folder: &Path) -> Vec<PathBuf> {
    let base = if info.is_album() {
        folder.join(info.name())
    } else {
        folder.to_owned()
    };
    // parts of a path that have been checked: none leads out of the folder
    let files = info.files().iter();
    files.map(|file| base.join(file.path())).collect()
}

fn fault(path: &Path, source: io::Error) -> SwarmError {
    let path = path.to_owned();
    SwarmError::Folder { path, source }
}
