//! A capsule, block by block: what each of them is, and whether it may stand where it stands.
//!
//! Sans-io. Names of blocks were verified before; signatures are checked where entries come in.

use bytes::Bytes;
use cid::Cid;
use database::Packet;
use model::{BlobId, Entry, EntryId, PayloadId, Unverified};
use thiserror::Error;

use super::{
    file_walk::{FileWalk, WAITING},
    marks::{End, FileMark, Mark, MarkFault},
};

/// What a block means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An entry, with its payload where it came.
    Entry {
        /// Its name.
        id: EntryId,
        /// Its bytes, and those of its payload.
        packet: Packet,
    },
    /// A file begins.
    File(FileMark),
    /// The file's next bytes.
    Bytes(Bytes),
    /// The file is whole, as far as its DAG says.
    FileEnd,
    /// Nothing follows.
    End(End),
}

/// Why a block may not stand where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CapsuleFault {
    /// Neither an entry, the payload of the one before it, nor a mark.
    #[error("it is neither an entry, the payload of the entry before it, nor a mark: {0}")]
    Stray(MarkFault),
    /// The contents once more.
    #[error("the capsule's contents are told twice")]
    Contents,
    /// An entry among the files.
    #[error("entries come before files")]
    LateEntry,
    /// The DAG of a file has another block here.
    #[error("the file {blob} has the block {wanted} here")]
    OtherBlock {
        /// The file.
        blob: BlobId,
        /// What should have come.
        wanted: Cid,
    },
    /// A block of a file's DAG is no part of a file.
    #[error("as a part of the file {blob} it makes no sense: {reason}")]
    Node {
        /// The file.
        blob: BlobId,
        /// Why.
        reason: String,
    },
    /// The file's DAG is wider or deeper than is read.
    #[error("the file {blob} waits for more than {WAITING} blocks at once")]
    TooDeep {
        /// The file.
        blob: BlobId,
    },
    /// The file's blocks have another length in all.
    #[error(
        "the file {blob} is said to have {said_bytes} bytes, and its blocks have {found_bytes}"
    )]
    Length {
        /// The file.
        blob: BlobId,
        /// What the mark says.
        said_bytes: u64,
        /// What came, at least.
        found_bytes: u64,
    },
    /// The last block counts otherwise.
    #[error(
        "it counts {said_entries} entries and {said_files} files, there were {entries} and {files}"
    )]
    Count {
        /// Entries, as it says.
        said_entries: u64,
        /// Files, as it says.
        said_files: u64,
        /// Entries that came.
        entries: u64,
        /// Files that came.
        files: u64,
    },
    /// Something behind the last block.
    #[error("the capsule ended before it")]
    Behind,
}

/// Reads a capsule from its second block on.
#[derive(Debug, Default)]
pub struct CapsuleReader {
    place: Place,
    entries: u64,
    files: u64,
}

#[derive(Debug, Default)]
enum Place {
    /// Among entries; the last of them may still get its payload.
    Entries(Option<LastEntry>),
    /// Between files.
    #[default]
    Files,
    /// In a file.
    File(FileWalk),
    /// Behind the last block.
    Ended,
}

#[derive(Debug)]
struct LastEntry {
    id: EntryId,
    bytes: Bytes,
    payload: PayloadId,
}

impl LastEntry {
    fn with(self, payload: Option<&Bytes>) -> Piece {
        Piece::Entry {
            id: self.id,
            packet: Packet {
                entry: self.bytes.into(),
                payload: payload.map(|bytes| bytes.to_vec()),
            },
        }
    }
}

impl CapsuleReader {
    /// Behind the root block.
    pub fn new() -> Self {
        Self {
            place: Place::Entries(None),
            ..Self::default()
        }
    }

    /// Whether the last block has come.
    pub fn is_whole(&self) -> bool {
        matches!(self.place, Place::Ended)
    }

    /// What the next block means; an entry is told with the block behind it.
    ///
    /// # Errors
    /// Why it may not stand here. An entry right before it is lost: see [`CapsuleReader::rest`].
    pub fn take(&mut self, cid: &Cid, bytes: &Bytes) -> Result<Vec<Piece>, CapsuleFault> {
        match std::mem::take(&mut self.place) {
            Place::Entries(last) => self.among_entries(last, cid, bytes),
            Place::Files => {
                if Entry::<Unverified>::decode(bytes).is_ok() && EntryId::try_from(cid).is_ok() {
                    return Err(CapsuleFault::LateEntry);
                }
                self.mark(cid, bytes).map(|piece| vec![piece])
            }
            Place::File(walk) => self.in_file(walk, cid, bytes),
            Place::Ended => Err(CapsuleFault::Behind),
        }
    }

    /// The entry that waits for its payload, when nothing more can be read.
    pub fn rest(&mut self) -> Option<Piece> {
        match std::mem::take(&mut self.place) {
            Place::Entries(Some(last)) => Some(last.with(None)),
            other => {
                self.place = other;
                None
            }
        }
    }

    fn among_entries(
        &mut self,
        last: Option<LastEntry>,
        cid: &Cid,
        bytes: &Bytes,
    ) -> Result<Vec<Piece>, CapsuleFault> {
        let last = match last {
            Some(last) if last.payload.to_cid() == *cid => {
                self.place = Place::Entries(None);
                return Ok(vec![last.with(Some(bytes))]);
            }
            last => last,
        };
        let id = EntryId::try_from(cid).ok();
        let entry = id.and_then(|id| Some((id, Entry::<Unverified>::decode(bytes).ok()?)));
        let Some((id, entry)) = entry else {
            return match self.mark(cid, bytes) {
                Ok(piece) => Ok(last
                    .map(|last| last.with(None))
                    .into_iter()
                    .chain([piece])
                    .collect()),
                Err(fault) => {
                    self.place = Place::Entries(last);
                    Err(fault)
                }
            };
        };
        self.entries += 1;
        self.place = Place::Entries(Some(LastEntry {
            id,
            bytes: bytes.clone(),
            payload: entry.header().payload,
        }));
        Ok(last.map(|last| last.with(None)).into_iter().collect())
    }

    fn mark(&mut self, cid: &Cid, bytes: &Bytes) -> Result<Piece, CapsuleFault> {
        match Mark::read(cid, bytes).map_err(CapsuleFault::Stray)? {
            Mark::Contents(_) => Err(CapsuleFault::Contents),
            Mark::File(mark) => {
                self.files += 1;
                self.place = Place::File(FileWalk::new(mark));
                Ok(Piece::File(mark))
            }
            Mark::End(end) if (end.entries, end.files) != (self.entries, self.files) => {
                Err(CapsuleFault::Count {
                    said_entries: end.entries,
                    said_files: end.files,
                    entries: self.entries,
                    files: self.files,
                })
            }
            Mark::End(end) => {
                self.place = Place::Ended;
                Ok(Piece::End(end))
            }
        }
    }

    fn in_file(
        &mut self,
        mut walk: FileWalk,
        cid: &Cid,
        bytes: &Bytes,
    ) -> Result<Vec<Piece>, CapsuleFault> {
        let data = walk.step(cid, bytes)?;
        let mut pieces: Vec<Piece> = data.map(Piece::Bytes).into_iter().collect();
        if walk.is_at_end() {
            walk.check_length()?;
            self.place = Place::Files;
            pieces.push(Piece::FileEnd);
        } else {
            self.place = Place::File(walk);
        }
        Ok(pieces)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use blocks::dag::{FileBuilder, codec, name_of};
    use database::authoring;
    use model::{Payload, SecretKey};

    use super::*;
    use crate::flow::capsule::marks::{Contents, What};

    type Block = (Cid, Bytes);

    fn entry(seed: u8) -> (Block, Block) {
        let key = SecretKey::from_bytes(&[seed; 32]);
        let (header, payload): (_, Payload) =
            authoring::identity_genesis(key.public(), [seed; 32], [seed; 16], 1_000).unwrap();
        let entry = Entry::sign(header, &key).unwrap();
        let bytes = Bytes::copy_from_slice(entry.bytes());
        let content = Bytes::copy_from_slice(payload.bytes());
        (
            (entry.id().to_cid(), bytes),
            (payload.id().to_cid(), content),
        )
    }

    fn leaf(bytes: &'static [u8]) -> Block {
        (name_of(codec::RAW, bytes), Bytes::from_static(bytes))
    }

    /// The mark and the blocks of a file of these leaves.
    fn file(leaves: &[&'static [u8]]) -> Vec<Block> {
        let mut nodes = Vec::new();
        let mut builder = FileBuilder::new();
        for bytes in leaves {
            let emit = &mut |cid, bytes| nodes.push((cid, bytes));
            builder.leaf(leaf(bytes).0, bytes.len() as u64, emit);
        }
        let root = builder.finish(&mut |cid, bytes| nodes.push((cid, bytes)));
        let mark = FileMark {
            blob: BlobId::of(&leaves.concat()),
            unixfs: root.cid,
            size_bytes: root.size_bytes,
        };
        let mut blocks = vec![Mark::File(mark).block()];
        blocks.extend(nodes);
        blocks.extend(leaves.iter().map(|bytes| leaf(bytes)));
        blocks
    }

    fn end(entries: u64, files: u64) -> Block {
        let end = End {
            entries,
            files,
            lacking: 0,
        };
        Mark::End(end).block()
    }

    fn read(blocks: &[Block]) -> (Vec<Piece>, Option<CapsuleFault>, CapsuleReader) {
        let mut reader = CapsuleReader::new();
        let mut pieces = Vec::new();
        for (cid, bytes) in blocks {
            match reader.take(cid, bytes) {
                Ok(more) => pieces.extend(more),
                Err(fault) => return (pieces, Some(fault), reader),
            }
        }
        (pieces, None, reader)
    }

    #[test]
    fn entries_get_their_payloads_and_files_their_bytes() {
        let ((one, one_payload), (two, _)) = (entry(1), entry(2));
        let mut blocks = vec![one.clone(), one_payload.clone(), two.clone()];
        blocks.extend(file(&[b"left", b"right"]));
        blocks.extend(file(&[b""]));
        blocks.push(end(2, 2));
        let (pieces, fault, reader) = read(&blocks);
        assert_eq!(fault, None);
        assert!(reader.is_whole());
        let packets: Vec<_> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Entry { packet, .. } => Some(packet.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(packets[0].payload.as_deref(), Some(&one_payload.1[..]));
        assert_eq!(packets[1].payload, None);
        assert_eq!(packets[1].entry, two.1);
        let bytes: Vec<u8> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Bytes(bytes) => Some(bytes.to_vec()),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(bytes, b"leftright");
        let ends = pieces.iter().filter(|piece| **piece == Piece::FileEnd);
        assert_eq!(ends.count(), 2);
    }

    #[test]
    fn a_file_that_is_one_leaf_is_that_leaf() {
        let mut blocks = vec![];
        blocks.extend(file(&[b"short"]));
        assert_eq!(blocks.len(), 2);
        let (pieces, fault, _) = read(&blocks);
        assert_eq!(fault, None);
        assert_eq!(
            pieces[1..],
            [Piece::Bytes(Bytes::from_static(b"short")), Piece::FileEnd]
        );
    }

    #[test]
    fn blocks_stand_where_they_may() {
        let ((one, payload), (two, other_payload)) = (entry(1), entry(2));
        let parts = file(&[b"left", b"right"]);
        let blob = BlobId::of(b"leftright");
        let contents = Mark::Contents(Contents {
            what: What::Node,
            spaces: Vec::new(),
            threads: Vec::new(),
        });
        let swapped = [&parts[..2], &[parts[3].clone(), parts[2].clone()]].concat();
        let count = |entries, files| CapsuleFault::Count {
            said_entries: 2,
            said_files: 0,
            entries,
            files,
        };
        let table: Vec<(Vec<Block>, CapsuleFault)> = vec![
            (
                vec![one.clone(), other_payload],
                CapsuleFault::Stray(MarkFault::Name),
            ),
            (vec![payload.clone()], CapsuleFault::Stray(MarkFault::Name)),
            (vec![leaf(b"stray")], CapsuleFault::Stray(MarkFault::Name)),
            (vec![contents.block()], CapsuleFault::Contents),
            (vec![one.clone(), end(2, 0)], count(1, 0)),
            (vec![end(0, 0), two.clone()], CapsuleFault::Behind),
            ([&parts[..], &[two]].concat(), CapsuleFault::LateEntry),
            (
                swapped,
                CapsuleFault::OtherBlock {
                    blob,
                    wanted: parts[2].0,
                },
            ),
        ];
        for (blocks, expected) in table {
            let (_, fault, _) = read(&blocks);
            assert_eq!(fault, Some(expected));
        }
    }

    #[test]
    fn a_file_has_the_size_that_its_mark_says() {
        for said_bytes in [3, 8, 10] {
            let mut blocks = file(&[b"left", b"right"]);
            let mark = FileMark {
                blob: BlobId::of(b"leftright"),
                unixfs: blocks[1].0,
                size_bytes: said_bytes,
            };
            blocks[0] = Mark::File(mark).block();
            let (_, fault, _) = read(&blocks);
            assert!(
                matches!(fault, Some(CapsuleFault::Length { .. })),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn an_entry_before_something_wrong_is_not_lost() {
        let (one, _) = entry(1);
        let (pieces, fault, mut reader) = read(&[one.clone(), leaf(b"stray")]);
        assert!(pieces.is_empty() && fault.is_some());
        assert!(matches!(reader.rest(), Some(Piece::Entry { id, .. }) if id.to_cid() == one.0));
        assert_eq!(reader.rest(), None);
    }
}
