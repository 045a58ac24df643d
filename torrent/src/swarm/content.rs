//! The bytes of a torrent, where they lie.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::sync::mpsc;

use super::open::OpenFiles;
use crate::{FileRole, Info, InfoHash, TorrentFile};

/// Whether a file of a torrent lies anywhere: padding doesn't, nor do links, which are not made.
pub(super) fn is_stored(file: &TorrentFile) -> bool {
    match file.role() {
        FileRole::Content => true,
        FileRole::Symlink => file.length_bytes() > 0,
        FileRole::Padding => false,
    }
}

/// What tells whether a file is the one that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Its size, bytes.
    pub(super) size_bytes: u64,
    /// When it was written last, ns since 1970.
    pub(super) written_ns: u128,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        // where a file system keeps no times, the size alone has to do
        let written = metadata.modified().ok();
        let since = written.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self {
            size_bytes: metadata.len(),
            written_ns: since.as_ref().map_or(0, Duration::as_nanos),
        }
    }
}

/// A file of a seed is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// Which content.
    pub(super) owner: u64,
    /// The torrent.
    pub(super) infohash: InfoHash,
    /// Which file.
    pub(super) file: usize,
}

/// What may be done with the bytes.
#[derive(Debug)]
pub(super) enum Access {
    /// They are read as long as every file is the one that was checked.
    Read {
        /// As each file was; none for padding.
        stamps: Vec<Option<Stamp>>,
        /// Who is told when one isn't.
        changed: mpsc::Sender<Changed>,
    },
    /// They are written as they come.
    Write,
}

/// The bytes of a torrent in its files.
#[derive(Debug)]
pub(super) struct Content {
    owner: u64,
    infohash: InfoHash,
    /// None for padding, which lies nowhere.
    paths: Vec<Option<PathBuf>>,
    access: Access,
    open: Arc<OpenFiles>,
    read_bytes: AtomicU64,
}

impl Content {
    /// Of the files that `info` lists, at `paths`.
    pub(super) fn new(
        info: &Info,
        paths: &[PathBuf],
        access: Access,
        open: &Arc<OpenFiles>,
    ) -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(0);
        let files = info.files().iter().zip(paths);
        let paths = files.map(|(file, path)| is_stored(file).then(|| path.clone()));
        Self {
            owner: OWNERS.fetch_add(1, Ordering::Relaxed),
            infohash: info.infohash(),
            paths: paths.collect(),
            access,
            open: Arc::clone(open),
            read_bytes: AtomicU64::new(0),
        }
    }

    /// What tells it from others, of the same torrent too.
    pub(super) fn owner(&self) -> u64 {
        self.owner
    }

    /// Reads bytes of a file; those of padding are zeros.
    ///
    /// # Errors
    /// When there is no such file, it is not the one that was checked, or can't be read.
    pub(super) fn read(&self, index: usize, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let Some(file) = self.file(index)? else {
            bytes.fill(0);
            return Ok(());
        };
        let checked = self.check(index, &file);
        let read = checked.and_then(|()| file.read_exact_at(bytes, offset));
        if read.is_err() {
            self.tell(index);
        }
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.read_bytes.fetch_add(count, Ordering::Relaxed);
        read
    }

    /// Writes bytes of a file.
    ///
    /// # Errors
    /// When there is no such file, nothing may be written, or the disk refuses.
    pub(super) fn write(&self, index: usize, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if !matches!(self.access, Access::Write) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        match self.file(index)? {
            Some(file) => file.write_all_at(bytes, offset),
            None => Ok(()),
        }
    }

    /// Makes a file as long as it has to be; one that is only read has to be so already.
    ///
    /// # Errors
    /// When it isn't, or can't be.
    pub(super) fn set_length(&self, index: usize, length_bytes: u64) -> io::Result<()> {
        let Some(file) = self.file(index)? else {
            return Ok(());
        };
        let is_now = file.metadata()?.len();
        match self.access {
            _ if is_now == length_bytes => Ok(()),
            Access::Write => file.set_len(length_bytes),
            Access::Read { .. } => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Closes all files; they are opened again when they are needed.
    pub(super) fn close(&self) {
        self.open.close(self.owner);
    }

    /// Bytes read so far.
    #[cfg(test)]
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }

    fn file(&self, index: usize) -> io::Result<Option<Arc<File>>> {
        let path = self.paths.get(index);
        let Some(path) = path.ok_or(io::ErrorKind::NotFound)? else {
            return Ok(None);
        };
        let opened = self.open.get((self.owner, index), || match self.access {
            Access::Read { .. } => File::open(path),
            Access::Write => OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path),
        });
        if opened.is_err() {
            self.tell(index);
        }
        opened.map(Some)
    }

    fn check(&self, index: usize, file: &File) -> io::Result<()> {
        let Access::Read { stamps, .. } = &self.access else {
            return Ok(());
        };
        let stamp = Stamp::of(&file.metadata()?);
        if stamps.get(index) == Some(&Some(stamp)) {
            return Ok(());
        }
        Err(io::Error::other("the file has changed"))
    }

    fn tell(&self, file: usize) {
        if let Access::Read { changed, .. } = &self.access {
            let (owner, infohash) = (self.owner, self.infohash);
            // when the queue is full, the next read tells
            let _ = changed.try_send(Changed {
                owner,
                infohash,
                file,
            });
        }
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.close();
    }
}
