//! Large files that don't compress.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use anyhow::Result;

/// Bytes moved at once.
pub const CHUNK: usize = 1 << 20;

/// Writes a file of that size; the same bytes each time.
pub fn make(path: &Path, size_bytes: u64) -> Result<()> {
    let mut source = blake3::Hasher::new().finalize_xof();
    let mut file = BufWriter::with_capacity(CHUNK, File::create(path)?);
    let mut chunk = vec![0; CHUNK];
    let mut left = size_bytes;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        source.fill(&mut chunk[..now]);
        file.write_all(&chunk[..now])?;
        left -= now as u64;
    }
    file.into_inner()?.sync_all()?;
    Ok(())
}

/// Copies by reading and writing, so that no file system can cheat by sharing blocks.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..read])?;
    }
}

/// Hashes a file on one thread.
pub fn hash(path: &Path) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(&chunk[..read]);
    }
}
