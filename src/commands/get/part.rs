//! A download that is not whole yet: a hidden file beside the wanted one, renamed when it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::commands::failure::CommandError;

/// Bytes hashed at once when a part is taken up again.
const STEP_BYTES: usize = 1 << 20;

/// The part; what was written stays for the next try until the hash proves wrong.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    wanted: PathBuf,
    file: File,
    hasher: blake3::Hasher,
}

impl Part {
    /// Takes up the part that an earlier try left, or begins one.
    pub(super) fn resume(wanted: &Path, name: &str) -> Result<Self, CommandError> {
        let mut part = Self::open(wanted, name, false)?;
        part.rehash(u64::MAX)?;
        Ok(part)
    }

    /// Begins a new part.
    pub(super) fn fresh(wanted: &Path, name: &str) -> Result<Self, CommandError> {
        Self::open(wanted, name, true)
    }

    fn open(wanted: &Path, name: &str, truncate: bool) -> Result<Self, CommandError> {
        if wanted.is_dir() {
            return Err(CommandError::Usage(format!(
                "{} is a folder; name a file with -o",
                wanted.display()
            )));
        }
        let path = wanted.with_file_name(format!(".{name}.part"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(truncate)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(CommandError::io("write", &path))?;
        Ok(Self {
            path,
            wanted: wanted.to_owned(),
            file,
            hasher: blake3::Hasher::new(),
        })
    }

    /// Bytes of it so far.
    pub(super) fn written(&self) -> u64 {
        self.hasher.count()
    }

    /// Forgets what lies behind `length_bytes`.
    pub(super) fn cut_to(&mut self, length_bytes: u64) -> Result<(), CommandError> {
        if length_bytes < self.written() {
            self.file
                .set_len(length_bytes)
                .map_err(CommandError::io("shorten", &self.path))?;
            self.rehash(length_bytes)?;
        }
        Ok(())
    }

    fn rehash(&mut self, length_bytes: u64) -> Result<(), CommandError> {
        self.hasher.reset();
        let mut read = || -> io::Result<()> {
            self.file.seek(SeekFrom::Start(0))?;
            let mut step = vec![0; STEP_BYTES];
            let mut rest = (&mut self.file).take(length_bytes);
            loop {
                match rest.read(&mut step)? {
                    0 => return Ok(()),
                    count => self.hasher.update(&step[..count]),
                };
            }
        };
        read().map_err(CommandError::io("read", &self.path))
    }

    /// Appends.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        self.write_all(bytes)
            .map_err(CommandError::io("write", &self.path))
    }

    /// Gives it its name if its bytes have this hash; else removes it.
    pub(super) fn finish(self, hash: &[u8; 32]) -> Result<(), CommandError> {
        if self.hasher.finalize().as_bytes() == hash {
            return self.keep();
        }
        fs::remove_file(&self.path).map_err(CommandError::io("remove", &self.path))?;
        Err(CommandError::NotVerified(format!(
            "the {} bytes that came don't hash to that CID; nothing was kept: try again, and if it stays so run `datt verify`",
            self.written()
        )))
    }

    /// Gives it its name.
    pub(super) fn keep(self) -> Result<(), CommandError> {
        self.file
            .sync_all()
            .map_err(CommandError::io("write", &self.path))?;
        fs::rename(&self.path, &self.wanted).map_err(CommandError::io("rename to", &self.wanted))
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hash(bytes: &[u8]) -> [u8; 32] {
        *blake3::hash(bytes).as_bytes()
    }

    #[test]
    fn a_part_is_taken_up_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("video");
        let mut part = Part::resume(&wanted, "cid").unwrap();
        part.write(b"hello w").unwrap();
        drop(part);
        assert!(!wanted.exists());
        let mut part = Part::resume(&wanted, "cid").unwrap();
        assert_eq!(part.written(), 7);
        part.cut_to(6).unwrap();
        part.write(b"world").unwrap();
        part.finish(&hash(b"hello world")).unwrap();
        assert_eq!(fs::read(&wanted).unwrap(), b"hello world");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn wrong_bytes_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("video");
        let mut part = Part::resume(&wanted, "cid").unwrap();
        part.write(b"forged").unwrap();
        let error = part.finish(&hash(b"true")).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
