//! The small blocks of a capsule that are not entries, payloads or media: what it holds, which file
//! comes next, and that it is whole. DAG-CBOR without links, named by SHA-256.

use std::collections::BTreeMap;

use blocks::dag::{self, codec, hash};
use bytes::Bytes;
use cid::{Cid, Version};
use model::{BlobId, EntryId, Ipld, SpaceId};
use thiserror::Error;

/// Kind of the root block of version 1.
const CAPSULE: &str = "datt/capsule/1";
/// What the kinds of all versions begin with.
const ANY_CAPSULE: &str = "datt/capsule/";
/// Kind of the block before a file.
const FILE: &str = "datt/file/1";
/// Kind of the last block.
const END: &str = "datt/end/1";
/// Spaces, and threads, that a capsule names at most.
pub const NAMED: usize = 16_384;

/// How much a capsule was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Threads.
    Thread,
    /// A space with all its threads, perhaps single threads of others too.
    Space,
    /// Everything that a node follows.
    Node,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Space => "space",
            Self::Node => "node",
        }
    }
}

/// The root block: what the capsule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// How much.
    pub what: What,
    /// Spaces that are whole in it.
    pub spaces: Vec<SpaceId>,
    /// First posts of the threads that were named one by one.
    pub threads: Vec<EntryId>,
}

/// The block before a file's DAG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMark {
    /// The file, as entries name it.
    pub blob: BlobId,
    /// Root of its DAG, profile `unixfs-v1-2025`.
    pub unixfs: Cid,
    /// Its size.
    pub size_bytes: u64,
}

/// The last block: that nothing is missing behind it, and what was not there to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Entries in the capsule.
    pub entries: u64,
    /// Files in it.
    pub files: u64,
    /// Media of its entries that whoever made it didn't hold.
    pub lacking: u64,
}

/// A block of a capsule that is neither entry, payload nor media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The first.
    Contents(Contents),
    /// Before each file.
    File(FileMark),
    /// The last.
    End(End),
}

/// Why a block is no mark.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MarkFault {
    /// Its CID isn't a mark's.
    #[error("its CID is not version 1 of dag-cbor and SHA-256")]
    Name,
    /// Not DAG-CBOR, or not in its one form.
    #[error("it is not canonical DAG-CBOR")]
    Cbor,
    /// No kind that version 1 has.
    #[error("its kind {0:?} is unknown")]
    Kind(String),
    /// A capsule of another version.
    #[error("it is a capsule of another version ({0:?}); a newer datt reads it")]
    Version(String),
    /// A field is missing, there twice, of another type, or nobody knows it.
    #[error("its field `{0}` is missing or wrong")]
    Field(&'static str),
    /// More fields than its kind has.
    #[error("it has fields that its kind doesn't have")]
    Fields,
}

impl Mark {
    /// The block: its name and its bytes.
    pub fn block(&self) -> (Cid, Bytes) {
        let map = match self {
            Self::Contents(contents) => BTreeMap::from([
                field("kind", Ipld::String(CAPSULE.to_owned())),
                field("what", Ipld::String(contents.what.word().to_owned())),
                field(
                    "spaces",
                    list(contents.spaces.iter().map(SpaceId::as_bytes)),
                ),
                field(
                    "threads",
                    list(contents.threads.iter().map(EntryId::as_bytes)),
                ),
            ]),
            Self::File(file) => BTreeMap::from([
                field("kind", Ipld::String(FILE.to_owned())),
                field("blob", Ipld::Bytes(file.blob.as_bytes().to_vec())),
                field("unixfs", Ipld::Bytes(file.unixfs.to_bytes())),
                field("size", Ipld::Integer(file.size_bytes.into())),
            ]),
            Self::End(end) => BTreeMap::from([
                field("kind", Ipld::String(END.to_owned())),
                field("entries", Ipld::Integer(end.entries.into())),
                field("files", Ipld::Integer(end.files.into())),
                field("lacking", Ipld::Integer(end.lacking.into())),
            ]),
        };
        let bytes = serde_ipld_dagcbor::to_vec(&Ipld::Map(map))
            .expect("maps of texts, bytes and integers have an encoding");
        (dag::name_of(codec::DAG_CBOR, &bytes), Bytes::from(bytes))
    }

    /// Reads a block.
    ///
    /// # Errors
    /// Why it is no mark.
    pub fn read(cid: &Cid, bytes: &[u8]) -> Result<Self, MarkFault> {
        let is_named = cid.version() == Version::V1
            && cid.codec() == codec::DAG_CBOR
            && cid.hash().code() == hash::SHA2_256;
        if is_named {
            Self::decode(bytes)
        } else {
            Err(MarkFault::Name)
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, MarkFault> {
        let ipld: Ipld = serde_ipld_dagcbor::from_slice(bytes).map_err(|_| MarkFault::Cbor)?;
        if serde_ipld_dagcbor::to_vec(&ipld).ok().as_deref() != Some(bytes) {
            return Err(MarkFault::Cbor);
        }
        let Ipld::Map(map) = ipld else {
            return Err(MarkFault::Field("kind"));
        };
        let mut fields = Fields(map);
        let kind = fields.text("kind")?;
        let mark = match kind.as_str() {
            CAPSULE => Self::Contents(Contents {
                what: match fields.text("what")?.as_str() {
                    "thread" => What::Thread,
                    "space" => What::Space,
                    "node" => What::Node,
                    _ => return Err(MarkFault::Field("what")),
                },
                spaces: fields.ids("spaces", SpaceId::from_bytes)?,
                threads: fields.ids("threads", EntryId::from_bytes)?,
            }),
            FILE => Self::File(FileMark {
                blob: BlobId::from_bytes(fields.digest("blob")?),
                unixfs: Cid::try_from(fields.bytes("unixfs")?)
                    .map_err(|_| MarkFault::Field("unixfs"))?,
                size_bytes: fields.number("size")?,
            }),
            END => Self::End(End {
                entries: fields.number("entries")?,
                files: fields.number("files")?,
                lacking: fields.number("lacking")?,
            }),
            other if other.starts_with(ANY_CAPSULE) => return Err(MarkFault::Version(kind)),
            _ => return Err(MarkFault::Kind(kind.chars().take(40).collect())),
        };
        if fields.0.is_empty() {
            Ok(mark)
        } else {
            Err(MarkFault::Fields)
        }
    }
}

/// The contents, if this is the root block of a capsule.
///
/// # Errors
/// When it is one of another version.
pub fn contents(cid: &Cid, bytes: &[u8]) -> Result<Option<Contents>, MarkFault> {
    match Mark::read(cid, bytes) {
        Ok(Mark::Contents(contents)) => Ok(Some(contents)),
        Err(fault @ MarkFault::Version(_)) => Err(fault),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// The end, if this is the last block of a capsule.
pub fn end(cid: &Cid, bytes: &[u8]) -> Option<End> {
    match Mark::read(cid, bytes) {
        Ok(Mark::End(end)) => Some(end),
        _ => None,
    }
}

fn field(name: &str, value: Ipld) -> (String, Ipld) {
    (name.to_owned(), value)
}

fn list<'a>(ids: impl Iterator<Item = &'a [u8; 32]>) -> Ipld {
    Ipld::List(ids.map(|id| Ipld::Bytes(id.to_vec())).collect())
}

/// The fields of a mark that weren't read yet.
struct Fields(BTreeMap<String, Ipld>);

impl Fields {
    fn text(&mut self, name: &'static str) -> Result<String, MarkFault> {
        match self.0.remove(name) {
            Some(Ipld::String(text)) => Ok(text),
            _ => Err(MarkFault::Field(name)),
        }
    }

    fn bytes(&mut self, name: &'static str) -> Result<Vec<u8>, MarkFault> {
        match self.0.remove(name) {
            Some(Ipld::Bytes(bytes)) => Ok(bytes),
            _ => Err(MarkFault::Field(name)),
        }
    }

    fn digest(&mut self, name: &'static str) -> Result<[u8; 32], MarkFault> {
        let bytes = self.bytes(name)?;
        bytes.try_into().map_err(|_| MarkFault::Field(name))
    }

    fn number(&mut self, name: &'static str) -> Result<u64, MarkFault> {
        match self.0.remove(name) {
            Some(Ipld::Integer(number)) => {
                u64::try_from(number).map_err(|_| MarkFault::Field(name))
            }
            _ => Err(MarkFault::Field(name)),
        }
    }

    fn ids<T>(
        &mut self,
        name: &'static str,
        id: impl Fn([u8; 32]) -> T,
    ) -> Result<Vec<T>, MarkFault> {
        let Some(Ipld::List(list)) = self.0.remove(name) else {
            return Err(MarkFault::Field(name));
        };
        if list.len() > NAMED {
            return Err(MarkFault::Field(name));
        }
        list.into_iter()
            .map(|one| match one {
                Ipld::Bytes(bytes) => bytes.try_into().ok().map(&id),
                _ => None,
            })
            .collect::<Option<Vec<T>>>()
            .ok_or(MarkFault::Field(name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cid::multihash::Multihash;

    use super::*;

    fn marks() -> [Mark; 3] {
        [
            Mark::Contents(Contents {
                what: What::Space,
                spaces: vec![SpaceId::of(b"space")],
                threads: vec![EntryId::of(b"a"), EntryId::of(b"b")],
            }),
            Mark::File(FileMark {
                blob: BlobId::of(b"film"),
                unixfs: dag::name_of(codec::RAW, b"film"),
                size_bytes: 4,
            }),
            Mark::End(End {
                entries: 3,
                files: 1,
                lacking: 0,
            }),
        ]
    }

    #[test]
    fn marks_come_back_and_link_to_nothing() {
        for mark in marks() {
            let (cid, bytes) = mark.block();
            assert_eq!(dag::verify(&cid, &bytes), Ok(()));
            assert_eq!(dag::links(&cid, &bytes).unwrap(), []);
            assert_eq!(Mark::decode(&bytes), Ok(mark));
        }
    }

    #[test]
    fn a_mark_has_one_name_only() {
        let (cid, bytes) = Mark::End(End {
            entries: 1,
            files: 0,
            lacking: 0,
        })
        .block();
        assert!(Mark::read(&cid, &bytes).is_ok());
        for (version, codec, code) in [
            (Version::V1, codec::RAW, hash::SHA2_256),
            (Version::V1, codec::DAG_CBOR, hash::SHA2_512),
        ] {
            let digest = Multihash::<64>::wrap(code, cid.hash().digest()).unwrap();
            let other = Cid::new(version, codec, digest).unwrap();
            assert_eq!(Mark::read(&other, &bytes), Err(MarkFault::Name));
        }
    }

    #[test]
    fn an_end_has_these_bytes() {
        let (_, bytes) = Mark::End(End {
            entries: 3,
            files: 1,
            lacking: 0,
        })
        .block();
        let written = b"\xa4\x64kind\x6adatt/end/1\x65files\x01\x67entries\x03\x67lacking\x00";
        assert_eq!(bytes[..], written[..]);
    }

    #[test]
    fn other_blocks_are_no_marks() {
        let change = |name: &str, value: Option<Ipld>| {
            let (_, bytes) = marks()[1].block();
            let Ok(Ipld::Map(mut map)) = serde_ipld_dagcbor::from_slice(&bytes) else {
                panic!("a mark is a map");
            };
            match value {
                Some(value) => map.insert(name.to_owned(), value),
                None => map.remove(name),
            };
            Mark::decode(&serde_ipld_dagcbor::to_vec(&Ipld::Map(map)).unwrap())
        };
        let table = [
            (change("size", None), MarkFault::Field("size")),
            (
                change("size", Some(Ipld::Integer(-1))),
                MarkFault::Field("size"),
            ),
            (
                change("blob", Some(Ipld::Bytes(vec![0; 31]))),
                MarkFault::Field("blob"),
            ),
            (
                change("unixfs", Some(Ipld::Bytes(vec![0]))),
                MarkFault::Field("unixfs"),
            ),
            (change("more", Some(Ipld::Integer(1))), MarkFault::Fields),
            (
                change("kind", Some(Ipld::String("datt/film/1".to_owned()))),
                MarkFault::Kind("datt/film/1".to_owned()),
            ),
            (
                change("kind", Some(Ipld::String("datt/capsule/2".to_owned()))),
                MarkFault::Version("datt/capsule/2".to_owned()),
            ),
            (Mark::decode(b"\xff"), MarkFault::Cbor),
            (Mark::decode(b"\xa1\x64kind\x78\x01a"), MarkFault::Cbor),
            (Mark::decode(b"\x80"), MarkFault::Field("kind")),
        ];
        for (found, fault) in table {
            assert_eq!(found, Err(fault));
        }
    }
}
