//! Headers on disk: an append-only file of every accepted header.
//!
//! | bytes | what |
//! |---|---|
//! | 0–15 | `datt headers\r\n\x1a\n` |
//! | 16–19 | version, little-endian |
//! | 20–51 | hash of the network's first block |
//! | 52–79 | zeros |
//! | then | 80 bytes a header, in the order in which they were accepted, side branches too |
//!
//! A header counts as accepted once it is synced, so a crash leaves at most a cut-off end that
//! nobody was told of. What is read is judged again, by the same rules.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use bitcoin::{BlockHash, block::Header, hashes::Hash};
use thiserror::Error;

use super::{
    HeaderChain, HeaderFault,
    record::{HEADER_BYTES, decode, encode},
    replay::Replay,
};
use crate::Network;

const MAGIC: &[u8; 16] = b"datt headers\r\n\x1a\n";
/// The version that is written.
const VERSION: u32 = 1;
/// Bytes before the first header.
const START_BYTES: u64 = HEADER_BYTES as u64;
/// Headers that are read or written at a time.
const CHUNK: usize = 4096;

/// The open file.
#[derive(Debug)]
pub struct HeaderFile {
    path: PathBuf,
    file: File,
    /// Headers in it.
    records: u64,
    cut_bytes: u64,
}

/// A header file could not be used.
#[derive(Debug, Error)]
pub enum HeaderFileError {
    /// The machine's fault.
    #[error("could not {act} the header file {}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something else lies there; it is left as it is.
    #[error("{} is no header file; it is left as it is", .0.display())]
    Foreign(PathBuf),
    /// It was written for another chain; it is left as it is.
    #[error("{} has headers of {found}, not of {wanted}; it is left as it is", path.display())]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// Whose headers it has.
        found: String,
        /// Whose were asked for.
        wanted: Network,
    },
    /// A later release wrote it; it is left as it is.
    #[error(
        "{} has version {version} of the header file, which a later release wrote; \
         it is left as it is", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A header in it is not what was written.
    #[error(
        "{} is damaged: header number {record}, at byte {at_bytes}, is wrong ({fault}); \
         move the file away, and the headers are fetched again", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Place of the header in the file, from 0.
        record: u64,
        /// Where it begins.
        at_bytes: u64,
        /// What is wrong with it.
        fault: HeaderFault,
    },
}

/// What a file holds.
#[derive(Debug)]
struct Contents {
    chain: HeaderChain,
    /// Whether the bytes before the first header are all there.
    has_start: bool,
    records: u64,
    /// Bytes after the last header.
    rest_bytes: u64,
}

impl HeaderFile {
    /// Opens the file, or makes it with its folder, and judges all that it holds.
    ///
    /// # Errors
    /// [`HeaderFileError`]; a file that is not ours is not touched.
    pub fn open(path: &Path, network: Network) -> Result<(Self, HeaderChain), HeaderFileError> {
        Self::open_onto(path, HeaderChain::new(network))
    }

    /// Reads the chain that a file holds, which another process may be writing, and changes
    /// nothing; no file holds no more than the first block.
    ///
    /// # Errors
    /// [`HeaderFileError`].
    pub fn read(path: &Path, network: Network) -> Result<HeaderChain, HeaderFileError> {
        let chain = HeaderChain::new(network);
        match File::open(path) {
            Ok(mut file) => Ok(contents(path, &mut file, chain)?.chain),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(chain),
            Err(source) => Err(io_error("open", path)(source)),
        }
    }

    pub(super) fn open_onto(
        path: &Path,
        chain: HeaderChain,
    ) -> Result<(Self, HeaderChain), HeaderFileError> {
        let start = start_of(chain.network());
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Ok((Self::make(path, &start)?, chain));
            }
            Err(source) => return Err(io_error("open", path)(source)),
        };
        let read = contents(path, &mut file, chain)?;
        let mut this = Self {
            path: path.to_owned(),
            file,
            records: read.records,
            cut_bytes: read.rest_bytes,
        };
        if read.rest_bytes > 0 || !read.has_start {
            this.cut(&start).map_err(io_error("cut", path))?;
        }
        this.seek_end().map_err(io_error("read", path))?;
        Ok((this, read.chain))
    }

    fn make(path: &Path, start: &[u8]) -> Result<Self, HeaderFileError> {
        let folder = folder_of(path);
        fs::create_dir_all(folder).map_err(io_error("make a folder for", path))?;
        let mut file = File::create_new(path).map_err(io_error("make", path))?;
        file.write_all(start)
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_folder(folder))
            .map_err(io_error("begin", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            records: 0,
            cut_bytes: 0,
        })
    }

    /// Takes away what stands after the last whole header; the start may have been cut off too.
    fn cut(&mut self, start: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(start)?;
        self.file.set_len(self.length_bytes())?;
        self.file.sync_all()
    }

    /// Bytes of a half-written end that were cut off when the file was opened.
    pub fn cut_bytes(&self) -> u64 {
        self.cut_bytes
    }

    /// Headers in it, those of lost branches too.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds headers; when it returns they are on disk.
    ///
    /// # Errors
    /// [`HeaderFileError::Io`]; then none of them are in the file.
    pub fn append(&mut self, headers: &[Header]) -> Result<(), HeaderFileError> {
        if headers.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(headers.len() * HEADER_BYTES);
        for header in headers {
            bytes.extend_from_slice(&encode(header));
        }
        let written = self
            .seek_end()
            .and_then(|()| self.file.write_all(&bytes))
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // what was begun is overwritten by the next headers or cut when the file is opened
            let _ = self.file.set_len(self.length_bytes());
            return Err(io_error("add to", &self.path)(source));
        }
        self.records += headers.len() as u64;
        Ok(())
    }

    /// Writes a new file with these headers and puts it in the place of this one.
    ///
    /// # Errors
    /// [`HeaderFileError::Io`]; then the file is as it was.
    pub(super) fn rewrite(
        &mut self,
        network: Network,
        headers: impl Iterator<Item = Header>,
    ) -> Result<(), HeaderFileError> {
        let beside = self.path.with_extension("new");
        let (file, records) = write_whole(&beside, network, headers)
            .and_then(|written| {
                fs::rename(&beside, &self.path)?;
                sync_folder(folder_of(&self.path))?;
                Ok(written)
            })
            .map_err(io_error("rewrite", &self.path))?;
        self.file = file;
        self.records = records;
        Ok(())
    }

    /// Makes the next write fail, as a full disk does.
    #[cfg(test)]
    pub(super) fn break_for_test(&mut self) {
        self.file = File::open(&self.path).expect("it is there");
    }

    fn length_bytes(&self) -> u64 {
        START_BYTES + self.records * HEADER_BYTES as u64
    }

    fn seek_end(&mut self) -> io::Result<()> {
        let end = SeekFrom::Start(self.length_bytes());
        self.file.seek(end).map(|_| ())
    }
}

fn write_whole(
    path: &Path,
    network: Network,
    headers: impl Iterator<Item = Header>,
) -> io::Result<(File, u64)> {
    let mut file = File::create(path)?;
    let mut bytes = start_of(network).to_vec();
    let mut records = 0;
    for header in headers {
        bytes.extend_from_slice(&encode(&header));
        records += 1;
        if bytes.len() >= CHUNK * HEADER_BYTES {
            file.write_all(&bytes)?;
            bytes.clear();
        }
    }
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok((file, records))
}

/// The bytes before the first header.
fn start_of(network: Network) -> [u8; HEADER_BYTES] {
    let mut start = [0; HEADER_BYTES];
    start[..16].copy_from_slice(MAGIC);
    start[16..20].copy_from_slice(&VERSION.to_le_bytes());
    start[20..52].copy_from_slice(network.genesis().as_byte_array());
    start
}

/// Reads a file onto a chain that holds the first block.
fn contents(path: &Path, file: &mut File, chain: HeaderChain) -> Result<Contents, HeaderFileError> {
    let failed = io_error("read", path);
    let length_bytes = file.metadata().map_err(&failed)?.len();
    let mut start = Vec::with_capacity(HEADER_BYTES);
    let mut first = (&mut *file).take(START_BYTES);
    first.read_to_end(&mut start).map_err(&failed)?;
    let network = chain.network();
    let ours = start_of(network);
    let same = start
        .iter()
        .zip(&ours)
        .take_while(|(is, should)| is == should);
    let same = same.count();
    if same < HEADER_BYTES && length_bytes <= START_BYTES && is_blank(&start[same..]) {
        return Ok(Contents {
            chain,
            has_start: false,
            records: 0,
            rest_bytes: length_bytes,
        });
    }
    check_start(path, &start, network)?;
    let mut replay = Replay::onto(chain);
    let mut records = 0;
    let mut buffer = vec![0; CHUNK * HEADER_BYTES];
    loop {
        let filled = fill(file, &mut buffer).map_err(&failed)?;
        let whole = &buffer[..filled - filled % HEADER_BYTES];
        let headers = whole.chunks_exact(HEADER_BYTES).map(|bytes| {
            let mut record = [0; HEADER_BYTES];
            record.copy_from_slice(bytes);
            decode(&record)
        });
        if let Err((place, fault)) = replay.take(headers) {
            let record = records + place;
            let at_bytes = START_BYTES + record * HEADER_BYTES as u64;
            // a write that a crash cut short leaves one bad header at the end, or zeros from it on
            let after = SeekFrom::Start(at_bytes + HEADER_BYTES as u64);
            file.seek(after).map_err(&failed)?;
            if is_blank_to_end(file).map_err(&failed)? {
                records = record;
                break;
            }
            return Err(HeaderFileError::Damaged {
                path: path.to_owned(),
                record,
                at_bytes,
                fault,
            });
        }
        records += (whole.len() / HEADER_BYTES) as u64;
        if filled < buffer.len() {
            break;
        }
    }
    let used_bytes = START_BYTES + records * HEADER_BYTES as u64;
    Ok(Contents {
        chain: replay.into_chain(),
        has_start: true,
        records,
        rest_bytes: length_bytes.saturating_sub(used_bytes),
    })
}

fn check_start(path: &Path, start: &[u8], wanted: Network) -> Result<(), HeaderFileError> {
    let foreign = || HeaderFileError::Foreign(path.to_owned());
    if start.len() < HEADER_BYTES || !start.starts_with(MAGIC) {
        return Err(foreign());
    }
    let mut version = [0; 4];
    version.copy_from_slice(&start[16..20]);
    let version = u32::from_le_bytes(version);
    if version > VERSION {
        let path = path.to_owned();
        return Err(HeaderFileError::Newer { path, version });
    }
    let genesis = BlockHash::from_slice(&start[20..52]).map_err(|_| foreign())?;
    if genesis != wanted.genesis() {
        let found = Network::of_genesis(&genesis);
        return Err(HeaderFileError::OtherNetwork {
            path: path.to_owned(),
            found: found.map_or_else(|| genesis.to_string(), |found| found.to_string()),
            wanted,
        });
    }
    if version != VERSION || !is_blank(&start[52..]) {
        return Err(foreign());
    }
    Ok(())
}

/// Fills a buffer as far as the file goes.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether a file has nothing but zeros from here on.
fn is_blank_to_end(file: &mut File) -> io::Result<bool> {
    let mut buffer = vec![0; CHUNK * HEADER_BYTES];
    loop {
        let filled = fill(file, &mut buffer)?;
        if !is_blank(&buffer[..filled]) {
            return Ok(false);
        }
        if filled < buffer.len() {
            return Ok(true);
        }
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Makes a new name in a folder survive a crash.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn io_error(act: &'static str, path: &Path) -> impl Fn(io::Error) -> HeaderFileError {
    let path = path.to_owned();
    move |source| HeaderFileError::Io {
        act,
        path: path.clone(),
        source,
    }
}
