//! Whether a seed's files are what its torrent says, before it is served.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
};

use tokio_util::sync::CancellationToken;

use super::{
    WithdrawReason,
    content::{Stamp, is_stored},
    folder::Folder,
};
use crate::{Info, PieceHasher};

/// As many pieces are hashed of a seed whose files are as they were: the first, the last, and one
/// that is drawn. The engine reads a few more, but doesn't compare their hashes.
const SAMPLES: usize = 3;
const BUFFER_BYTES: usize = 1 << 20;

/// What keeps a seed from being served.
#[derive(Debug)]
pub(super) enum CheckFault {
    /// Its files are not what the torrent says.
    Bad(WithdrawReason),
    /// It was withdrawn meanwhile.
    Cancelled,
    /// Its record can't be written. A fault of this machine.
    Record(io::Error),
}

/// A seed, to be checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check<'a> {
    pub(super) info: &'a Info,
    pub(super) paths: &'a [PathBuf],
    pub(super) folder: &'a Folder,
    pub(super) cancel: &'a CancellationToken,
}

impl Check<'_> {
    /// Looks at sizes and times. Files that are as they were are sampled; when they aren't, all of
    /// their bytes are hashed. Then all pieces are held, for the engine and in the record. Gives how
    /// the files are.
    ///
    /// # Errors
    /// When the seed must not be served.
    pub(super) fn run(self) -> Result<Vec<Option<Stamp>>, CheckFault> {
        let stamps = self.stamps()?;
        let infohash = self.info.infohash();
        let known = self.folder.stamps(infohash);
        // what has no record was checked by whoever offers it
        let is_same = known.as_ref().is_none_or(|known| *known == stamps);
        if is_same {
            self.sample()?;
        } else {
            self.hash_all()?;
        }
        if self.stamps()? != stamps {
            return Err(CheckFault::Bad(WithdrawReason::Damaged));
        }
        if known.as_ref() != Some(&stamps) {
            let written = self.folder.write_stamps(infohash, &stamps);
            written.map_err(CheckFault::Record)?;
        }
        let written = self.folder.write_all_held(self.info);
        written.map_err(CheckFault::Record)?;
        Ok(stamps)
    }

    fn stamps(self) -> Result<Vec<Option<Stamp>>, CheckFault> {
        let files = self.info.files().iter().enumerate();
        let stamps = files.map(|(index, file)| {
            if !is_stored(file) {
                return Ok(None);
            }
            let bad = |reason| Err(CheckFault::Bad(reason));
            let metadata = self.paths.get(index).map(std::fs::metadata);
            let Some(Ok(metadata)) = metadata else {
                return bad(WithdrawReason::Unreadable { file: index });
            };
            if metadata.len() != file.length_bytes() {
                return bad(WithdrawReason::Changed { file: index });
            }
            Ok(Some(Stamp::of(&metadata)))
        });
        stamps.collect()
    }

    fn sample(self) -> Result<(), CheckFault> {
        let count = self.info.pieces().len();
        let drawn = getrandom::u64().unwrap_or(0) % u64::try_from(count.max(1)).unwrap_or(1);
        let mut pieces = vec![0, count.saturating_sub(1)];
        pieces.extend(usize::try_from(drawn));
        pieces.truncate(SAMPLES);
        pieces.sort_unstable();
        pieces.dedup();
        for piece in pieces {
            let Some(range) = self.info.piece_range(piece) else {
                continue;
            };
            let hashes = self.hash(range)?;
            if hashes != self.info.pieces()[piece..=piece] {
                return Err(CheckFault::Bad(WithdrawReason::Damaged));
            }
        }
        Ok(())
    }

    fn hash_all(self) -> Result<(), CheckFault> {
        let hashes = self.hash(0..self.info.length_bytes())?;
        if hashes == self.info.pieces() {
            return Ok(());
        }
        Err(CheckFault::Bad(WithdrawReason::Damaged))
    }

    /// Hashes bytes of the stream of all files.
    fn hash(self, range: Range<u64>) -> Result<Vec<crate::PieceHash>, CheckFault> {
        let Some(piece_bytes) = std::num::NonZeroU32::new(self.info.piece_bytes()) else {
            return Ok(Vec::new());
        };
        let mut hasher = PieceHasher::with_piece_bytes(piece_bytes);
        let mut buffer = vec![0; BUFFER_BYTES];
        for (index, file) in self.info.files().iter().enumerate() {
            let whole = file.range();
            let (start, end) = (range.start.max(whole.start), range.end.min(whole.end));
            if start >= end {
                continue;
            }
            let mut source = self.source(index, start - whole.start)?;
            let mut left = end - start;
            while left > 0 {
                if self.cancel.is_cancelled() {
                    return Err(CheckFault::Cancelled);
                }
                let count = usize::try_from(left).map_or(BUFFER_BYTES, |n| n.min(BUFFER_BYTES));
                let part = &mut buffer[..count];
                let read = source.read_exact(part);
                read.map_err(|_| unreadable(index))?;
                hasher.push(part);
                left -= count as u64;
            }
        }
        Ok(hasher.finish())
    }

    fn source(self, index: usize, offset: u64) -> Result<Box<dyn Read>, CheckFault> {
        if !is_stored(&self.info.files()[index]) {
            return Ok(Box::new(io::repeat(0)));
        }
        let path = self.paths.get(index).ok_or_else(|| unreadable(index))?;
        let opened = File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            Ok(file)
        });
        match opened {
            Ok(file) => Ok(Box::new(file)),
            Err(_) => Err(unreadable(index)),
        }
    }
}

/// Whether files have all the bytes that a description names.
///
/// # Errors
/// When they haven't, or the check was cancelled.
pub(super) fn hash_all(check: Check<'_>) -> Result<(), CheckFault> {
    check.stamps()?;
    check.hash_all()
}

fn unreadable(file: usize) -> CheckFault {
    CheckFault::Bad(WithdrawReason::Unreadable { file })
}
