//! What a torrent shares.

mod files;

use std::{fmt, ops::Range};

use crate::{
    InfoHash, MetainfoFault, PathFault, PieceHash,
    bencode::{self, Item, Value},
    metainfo::check_size,
    pieces::PIECE_BYTES,
};

pub use files::{FileRole, TorrentFile};

/// The most bytes that a torrent shares: 1 PiB.
pub const MAX_LENGTH_BYTES: u64 = 1 << 50;
/// The most pieces of a torrent.
pub const MAX_PIECES: u64 = 1 << 24;
/// The longest piece, bytes: one is held and checked as a whole. BEP 3 has no limit, and doesn't
/// demand a power of two.
pub const MAX_PIECE_BYTES: u32 = 1 << 29;
/// The longest name, or path of a file with its separators, bytes.
pub const MAX_PATH_BYTES: usize = 4096;

/// A torrent's info dictionary: names, lengths and piece hashes (BEP 3, 27, 47). It keeps the bytes
/// that it was read from, so fields that are not known here are kept, and the infohash stays.
#[derive(Clone, PartialEq, Eq)]
pub struct Info {
    encoded: Vec<u8>,
    infohash: InfoHash,
    name: String,
    piece_bytes: u32,
    /// Where the piece hashes lie in `encoded`.
    pieces: Range<usize>,
    length_bytes: u64,
    files: Vec<TorrentFile>,
    is_album: bool,
    is_private: bool,
}

impl Info {
    /// Describes one file, in pieces of [`PIECE_BYTES`]: the same file under the same name is the
    /// same torrent everywhere. `pieces` are those of a [`crate::PieceHasher`].
    ///
    /// # Errors
    /// When the name is none, the file is empty or too large, or the hashes are not as many as its
    /// size makes.
    pub fn of_file(
        name: &str,
        size_bytes: u64,
        pieces: &[PieceHash],
    ) -> Result<Self, MetainfoFault> {
        let length = Item::Integer(files::to_length(size_bytes)?);
        Self::make(name, ("length", length), pieces)
    }

    /// Describes an album: files in the given order, each with its path below the album's name (parts
    /// separated by `/`) and its size in bytes. `pieces` are those of all files as one stream.
    ///
    /// # Errors
    /// As [`Self::of_file`]; when a path can't be used, is another's too, or there is no file.
    pub fn of_files<'a>(
        name: &str,
        files: impl IntoIterator<Item = (&'a str, u64)>,
        pieces: &[PieceHash],
    ) -> Result<Self, MetainfoFault> {
        let files = files.into_iter().map(|(path, size_bytes)| {
            Ok(Item::dict([
                ("length", Item::Integer(files::to_length(size_bytes)?)),
                (
                    "path",
                    Item::List(path.split('/').map(Item::from).collect()),
                ),
            ]))
        });
        let files = files.collect::<Result<Vec<_>, MetainfoFault>>()?;
        Self::make(name, ("files", Item::List(files)), pieces)
    }

    fn make(
        name: &str,
        content: (&'static str, Item<'_>),
        pieces: &[PieceHash],
    ) -> Result<Self, MetainfoFault> {
        let item = Item::dict([
            content,
            ("name", name.into()),
            ("piece length", Item::Integer(PIECE_BYTES.get().into())),
            ("pieces", Item::Bytes(pieces.as_flattened())),
        ]);
        Self::decode(&item.encode())
    }

    /// Reads an info dictionary, as peers give it for a magnet link (BEP 9). Whoever asked compares
    /// [`Self::infohash`].
    ///
    /// # Errors
    /// When the bytes are no info dictionary, or one that can't be used.
    pub fn decode(bytes: &[u8]) -> Result<Self, MetainfoFault> {
        check_size(bytes)?;
        Self::read(bencode::decode(bytes)?)
    }

    /// Reads the info dictionary inside a metainfo file.
    pub(crate) fn read(value: Value<'_>) -> Result<Self, MetainfoFault> {
        let fields = Fields::of(value)?;
        let is_v2 = fields.file_tree.is_some() || fields.version.is_some_and(|n| n == Some(2));
        if is_v2 && fields.pieces.is_none() {
            return Err(MetainfoFault::V2Only);
        }
        let named = required(fields.name, "name")?;
        let name = text(named, fields.name_utf8, "name")?;
        files::check_part(name, named.span().start)?;
        let piece_bytes = fields.piece_bytes()?;
        let files = match (fields.length, fields.files) {
            (Some(_), Some(_)) => return Err(MetainfoFault::LengthAndFiles),
            (Some(length), None) => vec![files::single(name, length)?],
            (None, Some(list)) => files::read(list)?,
            (None, None) => return Err(MetainfoFault::Missing { field: "length" }),
        };
        let length_bytes = files.last().map_or(0, |last| last.range().end);
        if length_bytes == 0 {
            return Err(MetainfoFault::Empty);
        }
        let hashes = required(fields.pieces, "pieces")?;
        let length = check_pieces(hashes, length_bytes.div_ceil(u64::from(piece_bytes)))?;
        let end = hashes.span().end - value.span().start;
        Ok(Self {
            encoded: value.encoded().to_vec(),
            infohash: InfoHash::of(value.encoded()),
            name: name.to_owned(),
            piece_bytes,
            pieces: end - length..end,
            length_bytes,
            files,
            is_album: fields.files.is_some(),
            is_private: fields.is_private()?,
        })
    }

    /// The torrent's name: the hash of [`Self::encoded`].
    pub fn infohash(&self) -> InfoHash {
        self.infohash
    }

    /// The dictionary's bytes, as they were received or made.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// What to call the file, or the folder of an album. One part of a path, safe to join; not safe
    /// as HTML, in a terminal or on file systems that forbid more than `/` and zero.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of a piece but the last, 1 to [`MAX_PIECE_BYTES`].
    pub fn piece_bytes(&self) -> u32 {
        self.piece_bytes
    }

    /// The hashes of all pieces.
    pub fn pieces(&self) -> &[PieceHash] {
        self.encoded[self.pieces.clone()].as_chunks().0
    }

    /// The bytes of a piece in the stream of all files; none if there is no such piece.
    pub fn piece_range(&self, index: usize) -> Option<Range<u64>> {
        let piece_bytes = u64::from(self.piece_bytes);
        let start = (index as u64).checked_mul(piece_bytes)?;
        (start < self.length_bytes).then(|| start..self.length_bytes.min(start + piece_bytes))
    }

    /// Bytes of all files, padding included; not 0.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// The files, in the order of their bytes; one if this is no album.
    pub fn files(&self) -> &[TorrentFile] {
        &self.files
    }

    /// Whether this is a folder of files, and not a single one.
    pub fn is_album(&self) -> bool {
        self.is_album
    }

    /// Whether peers may be had from its trackers only: no DHT, no LSD, no peer exchange (BEP 27).
    pub fn is_private(&self) -> bool {
        self.is_private
    }
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Info")
            .field("infohash", &self.infohash)
            .field("name", &self.name)
            .field("length_bytes", &self.length_bytes)
            .field("piece_bytes", &self.piece_bytes)
            .field("files", &self.files.len())
            .field("is_private", &self.is_private)
            .finish_non_exhaustive()
    }
}

/// The fields that are used, found in one pass.
#[derive(Default)]
struct Fields<'a> {
    file_tree: Option<Value<'a>>,
    files: Option<Value<'a>>,
    length: Option<Value<'a>>,
    /// `meta version`: none inside if it is no number.
    version: Option<Option<i64>>,
    name: Option<Value<'a>>,
    name_utf8: Option<Value<'a>>,
    piece_length: Option<Value<'a>>,
    pieces: Option<Value<'a>>,
    private: Option<Value<'a>>,
}

impl<'a> Fields<'a> {
    fn of(value: Value<'a>) -> Result<Self, MetainfoFault> {
        let entries = value.entries();
        let mut fields = Self::default();
        for (key, value) in entries.ok_or_else(|| wrong_type("info", "dictionary", value))? {
            match key {
                b"file tree" => fields.file_tree = Some(value),
                b"files" => fields.files = Some(value),
                b"length" => fields.length = Some(value),
                b"meta version" => fields.version = Some(value.integer()),
                b"name" => fields.name = Some(value),
                b"name.utf-8" => fields.name_utf8 = Some(value),
                b"piece length" => fields.piece_length = Some(value),
                b"pieces" => fields.pieces = Some(value),
                b"private" => fields.private = Some(value),
                _ => {}
            }
        }
        Ok(fields)
    }

    fn piece_bytes(&self) -> Result<u32, MetainfoFault> {
        let found = integer(required(self.piece_length, "piece length")?, "piece length")?;
        match u32::try_from(found) {
            Ok(bytes @ 1..=MAX_PIECE_BYTES) => Ok(bytes),
            _ => Err(MetainfoFault::PieceLength { found }),
        }
    }

    /// Any number but 0 is meant to say yes.
    fn is_private(&self) -> Result<bool, MetainfoFault> {
        let flag = self.private.map(|value| integer(value, "private"));
        Ok(flag.transpose()?.is_some_and(|flag| flag != 0))
    }
}

/// Checks that there are as many hashes as pieces, and gives the length of all hashes, bytes.
fn check_pieces(hashes: Value<'_>, expected: u64) -> Result<usize, MetainfoFault> {
    let bytes = hashes.bytes();
    let bytes = bytes.ok_or_else(|| wrong_type("pieces", "byte string", hashes))?;
    if expected > MAX_PIECES {
        return Err(MetainfoFault::TooManyPieces { count: expected });
    }
    let (hashes, rest) = bytes.as_chunks::<{ size_of::<PieceHash>() }>();
    let found = hashes.len() as u64;
    if !rest.is_empty() {
        let length = bytes.len();
        Err(MetainfoFault::PieceHashes { length })
    } else if found == expected {
        Ok(bytes.len())
    } else {
        Err(MetainfoFault::PieceCount { expected, found })
    }
}

fn required<'a>(value: Option<Value<'a>>, field: &'static str) -> Result<Value<'a>, MetainfoFault> {
    value.ok_or(MetainfoFault::Missing { field })
}

fn integer(value: Value<'_>, field: &'static str) -> Result<i64, MetainfoFault> {
    let number = value.integer();
    number.ok_or_else(|| wrong_type(field, "number", value))
}

/// A text, or its `.utf-8` twin when it is in another encoding.
fn text<'a>(
    value: Value<'a>,
    twin: Option<Value<'a>>,
    field: &'static str,
) -> Result<&'a str, MetainfoFault> {
    if value.bytes().is_none() {
        return Err(wrong_type(field, "byte string", value));
    }
    let text = value.text().or_else(|| twin?.text());
    text.ok_or(MetainfoFault::Path {
        fault: PathFault::NotUtf8,
        at: value.span().start,
    })
}

fn wrong_type(field: &'static str, expected: &'static str, value: Value<'_>) -> MetainfoFault {
    let at = value.span().start;
    MetainfoFault::Type {
        field,
        expected,
        at,
    }
}
