//! What the index remembers: tables, keys, records.
//!
//! | table | key | value |
//! |---|---|---|
//! | `blocks` | multihash | [`Place`] of a block that is stored beside the blobs |
//! | `owners` | multihash, [`Owner`] | – : why a block of `blocks` is kept |
//! | `owned` | [`Owner`], multihash | [`Mark`]: the finish that last reached it |
//! | `parts` | multihash, blob | [`Part`]: a block whose bytes lie in a blob |
//! | `parts_of` | blob, multihash | – |
//! | `files` | CIDv1 of a root | [`FileAt`] |
//! | `files_of` | blob, CIDv1 | – |
//! | `names` | blob | CIDv1 of its root in the profile |
//! | `dags` | CIDv1 of a root | [`Dag`] |
//! | `packs` | CIDv1 of a root | [`Pack`] |
//! | `pieces` | blob | its size (u64, little-endian), SHA-1 of each of its pieces |
//! | `mending` | blob | the names of its tags, which it has lost for now |
//! | `looks` | blob | [`crate::ledger::Look`] of its file when it was right |

use std::{collections::BTreeSet, ops::Bound};

use bytes::Bytes;
use cid::Cid;
use model::BlobId;
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{FileAt, database::Fault};

/// A table of bytes.
pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

type Readable = ReadOnlyTable<&'static [u8], &'static [u8]>;

pub(super) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
pub(super) const VERSION_KEY: &str = "version";
/// Version of everything below.
pub(super) const VERSION: u64 = 1;

pub(super) const BLOCKS: Definition = TableDefinition::new("blocks");
pub(super) const OWNERS: Definition = TableDefinition::new("owners");
pub(super) const OWNED: Definition = TableDefinition::new("owned");
pub(super) const PARTS: Definition = TableDefinition::new("parts");
pub(super) const PARTS_OF: Definition = TableDefinition::new("parts_of");
pub(super) const FILES: Definition = TableDefinition::new("files");
pub(super) const FILES_OF: Definition = TableDefinition::new("files_of");
pub(super) const NAMES: Definition = TableDefinition::new("names");
pub(super) const DAGS: Definition = TableDefinition::new("dags");
pub(super) const PACKS: Definition = TableDefinition::new("packs");
/// Not in an index that an older node made, until something is written.
pub(super) const PIECES: Definition = TableDefinition::new("pieces");
/// As [`PIECES`].
pub(super) const MENDING: Definition = TableDefinition::new("mending");
/// As [`PIECES`].
pub(super) const LOOKS: Definition = TableDefinition::new("looks");

/// Bytes of a blob's name in keys.
pub(super) const BLOB_BYTES: usize = 32;

/// Why a block that lies beside the blobs is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner([u8; 1 + BLOB_BYTES]);

impl Owner {
    /// It is a node of a blob's UnixFS DAG.
    pub(super) fn blob(blob: BlobId) -> Self {
        Self::of(b'b', blob.as_bytes())
    }

    /// It belongs to a DAG that was taken in.
    pub(super) fn dag(root: &Cid) -> Self {
        Self::of(b'd', blake3::hash(&name(root)).as_bytes())
    }

    /// It was put by itself.
    pub(super) fn alone(key: &[u8]) -> Self {
        Self::of(b'a', blake3::hash(key).as_bytes())
    }

    fn of(kind: u8, id: &[u8; BLOB_BYTES]) -> Self {
        let mut owner = [kind; 1 + BLOB_BYTES];
        owner[1..].copy_from_slice(id);
        Self(owner)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The blob whose DAG this is, of an owner's bytes.
    pub(super) fn blob_of(owner: &[u8]) -> Option<BlobId> {
        match owner.split_first() {
            Some((b'b', id)) => Some(BlobId::from_bytes(id.try_into().ok()?)),
            _ => None,
        }
    }
}

/// What a block is found by: its multihash.
pub(super) fn key(cid: &Cid) -> Vec<u8> {
    cid.hash().to_bytes()
}

/// What a DAG is found by: its root as CIDv1.
pub(super) fn name(root: &Cid) -> Vec<u8> {
    Cid::new_v1(root.codec(), *root.hash()).to_bytes()
}

/// The CID of such bytes.
pub(super) fn named(bytes: &[u8]) -> Result<Cid, Fault> {
    Cid::try_from(bytes).map_err(|error| Fault::Corrupted(format!("a name in the index: {error}")))
}

pub(super) fn joined(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, second].concat()
}

/// The blob at the end of a key.
pub(super) fn last_blob(key: &[u8]) -> Result<BlobId, Fault> {
    key.last_chunk()
        .map(|id: &[u8; BLOB_BYTES]| BlobId::from_bytes(*id))
        .ok_or_else(|| Fault::Corrupted("a key of the index is too short".to_owned()))
}

/// All keys that begin so.
pub(super) fn span(prefix: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return (Bound::Included(prefix.to_vec()), Bound::Excluded(end));
        }
    }
    (Bound::Included(prefix.to_vec()), Bound::Unbounded)
}

/// As borrowed bounds.
pub(super) fn bounds(span: &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let (lower, upper) = span;
    (
        lower.as_ref().map(Vec::as_slice),
        upper.as_ref().map(Vec::as_slice),
    )
}

/// Where a block lies that isn't a part of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the index.
    Here(Bytes),
    /// In a pack.
    Packed(Packed),
}

/// A place in a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packed {
    /// Whose pack, by the name of the root.
    pub(super) pack: Vec<u8>,
    pub(super) offset: u64,
    pub(super) len: u32,
}

impl Place {
    const HERE: u8 = 0;
    const PACKED: u8 = 1;

    pub(super) fn encode(&self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Here(bytes) => Ok(joined(&[Self::HERE], bytes)),
            Self::Packed(packed) => Ok(joined(&[Self::PACKED], &encode(packed)?)),
        }
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, Fault> {
        match value.split_first() {
            Some((&Self::HERE, bytes)) => Ok(Self::Here(Bytes::copy_from_slice(bytes))),
            Some((&Self::PACKED, packed)) => Ok(Self::Packed(decode(packed)?)),
            _ => Err(Fault::Corrupted("a block's place".to_owned())),
        }
    }

    /// Bytes of the block.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Packed(packed) => u64::from(packed.len),
        }
    }
}

/// A block as bytes of a blob, with what the block has around them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) prefix: Vec<u8>,
    pub(super) suffix: Vec<u8>,
}

impl Part {
    /// Bytes of the block.
    pub(super) fn block_bytes(&self) -> u64 {
        u64::from(self.len) + (self.prefix.len() + self.suffix.len()) as u64
    }
}

/// When the end of an intake last reached a block, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which finish; 0 is none.
    pub(super) finish: u32,
    /// Codecs that the block was linked with. What it links to depends on them.
    pub(super) codecs: BTreeSet<u64>,
}

impl Mark {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = self.finish.to_le_bytes().to_vec();
        for codec in &self.codecs {
            to.extend(codec.to_le_bytes());
        }
        to
    }

    /// A mark that can't be read is none: the block is visited once more.
    pub(super) fn decode(value: &[u8]) -> Self {
        let Some((finish, codecs)) = value.split_first_chunk() else {
            return Self::default();
        };
        let codecs = codecs.as_chunks().0.iter();
        Self {
            finish: u32::from_le_bytes(*finish),
            codecs: codecs.map(|codec| u64::from_le_bytes(*codec)).collect(),
        }
    }

    /// Adds what was known, if it is of the same finish.
    fn join(&mut self, known: &Self) {
        if known.finish == self.finish {
            self.codecs.extend(&known.codecs);
        }
    }
}

/// A DAG that was or is being taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dag {
    /// Blocks below its roots, each once, bytes.
    pub(super) bytes: u64,
    /// When something was last taken, Unix time in milliseconds.
    pub(super) at_ms: u64,
    /// How often its finish began.
    pub(super) finishes: u32,
    /// One of them came to its end.
    pub(super) is_finished: bool,
}

/// A file of blocks of an intake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pack {
    /// Bytes of it that are written for certain.
    pub(super) len: u64,
    /// Blocks that lie nowhere else.
    pub(super) live: u64,
}

pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, Fault> {
    postcard::to_stdvec(record).map_err(|error| Fault::Corrupted(error.to_string()))
}

pub(super) fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, Fault> {
    postcard::from_bytes(value)
        .map_err(|error| Fault::Corrupted(format!("a record of the index: {error}")))
}

/// What a reading transaction finds under a key.
pub(super) fn get(
    transaction: &ReadTransaction,
    table: Definition,
    key: &[u8],
) -> Result<Option<Vec<u8>>, Fault> {
    let Some(table) = open(transaction, table)? else {
        return Ok(None);
    };
    Ok(table.get(key)?.map(|value| value.value().to_vec()))
}

/// A table; none where an older node made the index, and nothing was written since.
pub(super) fn open(
    transaction: &ReadTransaction,
    table: Definition,
) -> Result<Option<Readable>, Fault> {
    match transaction.open_table(table) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) type Bytewise<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// The tables of one writing transaction.
pub(super) struct Writing<'t> {
    pub(super) blocks: Bytewise<'t>,
    pub(super) owners: Bytewise<'t>,
    pub(super) owned: Bytewise<'t>,
    pub(super) parts: Bytewise<'t>,
    pub(super) parts_of: Bytewise<'t>,
    pub(super) files: Bytewise<'t>,
    pub(super) files_of: Bytewise<'t>,
    pub(super) names: Bytewise<'t>,
    pub(super) dags: Bytewise<'t>,
    pub(super) packs: Bytewise<'t>,
    pub(super) pieces: Bytewise<'t>,
    pub(super) mending: Bytewise<'t>,
    pub(super) looks: Bytewise<'t>,
}

impl<'t> Writing<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            blocks: transaction.open_table(BLOCKS)?,
            owners: transaction.open_table(OWNERS)?,
            owned: transaction.open_table(OWNED)?,
            parts: transaction.open_table(PARTS)?,
            parts_of: transaction.open_table(PARTS_OF)?,
            files: transaction.open_table(FILES)?,
            files_of: transaction.open_table(FILES_OF)?,
            names: transaction.open_table(NAMES)?,
            dags: transaction.open_table(DAGS)?,
            packs: transaction.open_table(PACKS)?,
            pieces: transaction.open_table(PIECES)?,
            mending: transaction.open_table(MENDING)?,
            looks: transaction.open_table(LOOKS)?,
        })
    }

    /// Where a block lies beside the blobs.
    pub(super) fn place(&self, key: &[u8]) -> Result<Option<Place>, Fault> {
        match self.blocks.get(key)? {
            Some(value) => Place::decode(value.value()).map(Some),
            None => Ok(None),
        }
    }

    /// Puts a block where it isn't yet.
    pub(super) fn put(&mut self, key: &[u8], place: &Place) -> Result<(), Fault> {
        if self.blocks.get(key)?.is_some() {
            return Ok(());
        }
        self.blocks.insert(key, place.encode()?.as_slice())?;
        if let Place::Packed(packed) = place {
            self.change_pack(&packed.pack, |pack| pack.live += 1)?;
        }
        Ok(())
    }

    /// Whether anybody else gives a block a reason to stay.
    pub(super) fn is_owned_by_other(&self, key: &[u8], owner: Owner) -> Result<bool, Fault> {
        let span = span(key);
        for entry in self.owners.range::<&[u8]>(bounds(&span))? {
            let (found, _) = entry?;
            if &found.value()[key.len()..] != owner.as_bytes() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gives a block a reason to stay.
    pub(super) fn own(&mut self, owner: Owner, key: &[u8]) -> Result<(), Fault> {
        self.mark(owner, key, Mark::default())
    }

    /// Gives a block a reason to stay, and says which finish reached it.
    pub(super) fn mark(&mut self, owner: Owner, key: &[u8], mut mark: Mark) -> Result<(), Fault> {
        let owned = joined(owner.as_bytes(), key);
        if let Some(known) = self.owned.get(owned.as_slice())? {
            mark.join(&Mark::decode(known.value()));
        }
        self.owned
            .insert(owned.as_slice(), mark.encode().as_slice())?;
        self.owners
            .insert(joined(key, owner.as_bytes()).as_slice(), [].as_slice())?;
        Ok(())
    }

    /// Takes reasons back that an owner gave, at most so many; says how many there were.
    pub(super) fn disown(&mut self, owner: Owner, most: usize) -> Result<usize, Fault> {
        let keys = take(&mut self.owned, owner.as_bytes(), most)?;
        for key in &keys {
            self.owners
                .remove(joined(key, owner.as_bytes()).as_slice())?;
            if !any(&self.owners, key)? {
                self.remove(key)?;
            }
        }
        Ok(keys.len())
    }

    /// Removes a block from beside the blobs.
    pub(super) fn remove(&mut self, key: &[u8]) -> Result<(), Fault> {
        let place = match self.blocks.remove(key)? {
            Some(value) => Place::decode(value.value())?,
            None => return Ok(()),
        };
        if let Place::Packed(packed) = place {
            self.change_pack(&packed.pack, |pack| {
                pack.live = pack.live.saturating_sub(1);
            })?;
        }
        Ok(())
    }

    pub(super) fn change_pack(
        &mut self,
        pack: &[u8],
        change: impl FnOnce(&mut Pack),
    ) -> Result<(), Fault> {
        let mut record = match self.packs.get(pack)? {
            Some(value) => decode(value.value())?,
            None => Pack::default(),
        };
        change(&mut record);
        self.packs.insert(pack, encode(&record)?.as_slice())?;
        Ok(())
    }

    /// Adds a root that means a whole blob.
    pub(super) fn add_file(&mut self, root: &Cid, at: FileAt) -> Result<(), Fault> {
        let root = name(root);
        self.files.insert(root.as_slice(), at.encode().as_slice())?;
        let of = joined(at.blob.as_bytes(), &root);
        self.files_of.insert(of.as_slice(), [].as_slice())?;
        Ok(())
    }

    /// Adds a block that is a part of a blob.
    pub(super) fn add_part(&mut self, key: &[u8], blob: BlobId, part: &Part) -> Result<(), Fault> {
        let id = blob.as_bytes();
        self.parts
            .insert(joined(key, id).as_slice(), encode(part)?.as_slice())?;
        self.parts_of
            .insert(joined(id, key).as_slice(), [].as_slice())?;
        Ok(())
    }

    /// Removes that a block is a part of a blob.
    pub(super) fn remove_part(&mut self, key: &[u8], blob: BlobId) -> Result<(), Fault> {
        let id = blob.as_bytes();
        self.parts.remove(joined(key, id).as_slice())?;
        self.parts_of.remove(joined(id, key).as_slice())?;
        Ok(())
    }

    /// Removes everything about a blob.
    pub(super) fn forget(&mut self, blob: BlobId) -> Result<(), Fault> {
        let id = blob.as_bytes().as_slice();
        for table in [&mut self.names, &mut self.pieces, &mut self.looks] {
            table.remove(id)?;
        }
        for root in take(&mut self.files_of, id, usize::MAX)? {
            let is_its = match self.files.get(root.as_slice())? {
                Some(value) => FileAt::decode(value.value())?.blob == blob,
                None => false,
            };
            if is_its {
                self.files.remove(root.as_slice())?;
            }
        }
        for key in take(&mut self.parts_of, id, usize::MAX)? {
            self.parts.remove(joined(&key, id).as_slice())?;
        }
        self.disown(Owner::blob(blob), usize::MAX)?;
        Ok(())
    }
}

/// Removes keys that begin so, at most so many, and gives what follows in them.
fn take(table: &mut Bytewise<'_>, prefix: &[u8], most: usize) -> Result<Vec<Vec<u8>>, Fault> {
    let span = span(prefix);
    let mut taken = Vec::new();
    let all = table.extract_from_if::<&[u8], _>(bounds(&span), |_, _| true)?;
    for entry in all.take(most) {
        let (key, _) = entry?;
        taken.push(key.value()[prefix.len()..].to_vec());
    }
    Ok(taken)
}

/// Whether any key begins so.
fn any(table: &Bytewise<'_>, prefix: &[u8]) -> Result<bool, Fault> {
    let span = span(prefix);
    Ok(table.range::<&[u8]>(bounds(&span))?.next().is_some())
}
