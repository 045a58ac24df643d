//! What can be wrong with a torrent.

use thiserror::Error;

use crate::bencode::BencodeFault;

/// Why bytes are no metainfo file or info dictionary that can be used. Places are counted in the
/// bytes that were read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MetainfoFault {
    /// More bytes than [`crate::MAX_METAINFO_BYTES`].
    #[error("a torrent's description of {size_bytes} bytes is too large")]
    TooLarge {
        /// Bytes given.
        size_bytes: usize,
    },
    /// Not canonical bencode.
    #[error("not bencode: {0}")]
    Bencode(#[from] BencodeFault),
    /// A field of another type.
    #[error("{field} is no {expected} at byte {at}")]
    Type {
        /// The field.
        field: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// Where its value starts, bytes.
        at: usize,
    },
    /// A field that has to be there.
    #[error("has no {field}")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// Only the second version's hashes (BEP 52).
    #[error(
        "this torrent has only BitTorrent v2 hashes (BEP 52), which can't be used here: look for a \
         hybrid or v1 torrent of the same content"
    )]
    V2Only,
    /// Both the length of a single file and a list of files.
    #[error("has both a length and files")]
    LengthAndFiles,
    /// A piece length that can't be: not positive, or more than [`crate::MAX_PIECE_BYTES`].
    #[error("a piece length of {found} bytes is not possible")]
    PieceLength {
        /// The one given, bytes.
        found: i64,
    },
    /// A length that can't be: negative, or alone or with those before more than
    /// [`crate::MAX_LENGTH_BYTES`].
    #[error("the length at byte {at} is not possible")]
    Length {
        /// Where it stands, bytes.
        at: usize,
    },
    /// Files without a single byte.
    #[error("has no content")]
    Empty,
    /// More pieces than [`crate::MAX_PIECES`].
    #[error("{count} pieces are too many")]
    TooManyPieces {
        /// As many as the length makes.
        count: u64,
    },
    /// Hashes that are not a whole number of SHA-1 hashes.
    #[error("{length} bytes of piece hashes are no whole number of hashes")]
    PieceHashes {
        /// Bytes of all.
        length: usize,
    },
    /// Too many or too few hashes for the length.
    #[error("has {found} piece hashes, its length needs {expected}")]
    PieceCount {
        /// As many as the length makes.
        expected: u64,
        /// As many as there are.
        found: u64,
    },
    /// A name or path that can't be used.
    #[error("the name or path at byte {at} {fault}")]
    Path {
        /// What is wrong with it.
        fault: PathFault,
        /// Where it stands, bytes.
        at: usize,
    },
}

/// Why a name, or the path of a file, can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathFault {
    /// Nothing, or a component that is nothing.
    #[error("is empty or has an empty part")]
    Empty,
    /// A component that is `.` or `..`.
    #[error("has the part \".\" or \"..\"")]
    Dots,
    /// A component that has a separator of paths in it, or starts with one: `/` or `\`.
    #[error("has a / or \\ in a part")]
    Separator,
    /// A component that has a zero byte in it.
    #[error("has a zero byte")]
    Nul,
    /// Neither the plain text nor its `.utf-8` twin is UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// More bytes than [`crate::MAX_PATH_BYTES`].
    #[error("is too long")]
    TooLong,
    /// Another file has the same path.
    #[error("is that of another file, too")]
    Repeated,
    /// Another file's path is a folder of this one.
    #[error("lies in another file as if that were a folder")]
    InFile,
}
