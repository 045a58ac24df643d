//! The end of an intake: what is below its roots is found, marked, and pinned where it lies in
//! blobs.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cid::Cid;
use model::BlobId;

use super::{
    Intake, IntakeError, Taken,
    tables::{self, Mark, Owner, Part, Place, joined},
};
use crate::{
    BlobStatus, Blobs, Keep, StoreError,
    dag::{self, MAX_PENDING, Node, UnixFs, codec},
};

/// Files from this size on become blobs, bytes.
const FILE_BYTES: u64 = 256 * 1024;
/// Marks that are written together.
const MARKS: usize = 2048;

/// Links of a block; of a file also its size.
type Links = (Vec<Cid>, Option<u64>);

/// The walk below the roots of an intake. Every block is visited once as each codec, however often
/// it is linked.
pub(super) struct Walk {
    pub(super) blobs: Blobs,
    pub(super) root: Cid,
    pub(super) owner: Owner,
    pub(super) keep: Keep,
    pub(super) taken: Taken,
    finish: u32,
    /// All blocks that were visited, each counted once.
    pub(super) bytes: u64,
    /// All files that became blobs.
    pub(super) blob_bytes: u64,
    /// Visited, as which codecs, and not yet written as such.
    marks: BTreeMap<Vec<u8>, BTreeSet<u64>>,
    pinned: BTreeSet<BlobId>,
}

/// What is to be done.
enum Next {
    /// To visit a block.
    Block {
        cid: Cid,
        /// It is a part of a file, whose root was visited.
        is_in_file: bool,
    },
    /// To make a file a blob, when everything below its root was visited.
    File { cid: Cid, size_bytes: u64 },
}

/// What a visit found.
#[derive(Default)]
struct Found {
    links: Vec<Cid>,
    /// They are parts of a file.
    is_file: bool,
    /// The size of a file that is to become a blob.
    blob_bytes: Option<u64>,
}

impl Walk {
    pub(super) fn new(intake: &Intake, finish: u32) -> Self {
        Self {
            blobs: intake.blobs.clone(),
            root: intake.root,
            owner: intake.owner,
            keep: pin(&intake.root),
            taken: Taken::default(),
            finish,
            bytes: 0,
            blob_bytes: 0,
            marks: BTreeMap::new(),
            pinned: intake.pinned.clone(),
        }
    }

    /// Visits everything below a root.
    pub(super) async fn run(&mut self, root: Cid) -> Result<(), IntakeError> {
        let mut waiting = vec![Next::Block {
            cid: root,
            is_in_file: false,
        }];
        while let Some(next) = waiting.pop() {
            let (cid, found) = match next {
                Next::Block { cid, is_in_file } => (cid, self.visit(cid, is_in_file).await?),
                Next::File { cid, size_bytes } => {
                    self.convert(cid, size_bytes).await?;
                    continue;
                }
            };
            if waiting.len() + found.links.len() >= MAX_PENDING {
                return Err(IntakeError::TooWide(self.root));
            }
            let file = found.blob_bytes;
            waiting.extend(file.map(|size_bytes| Next::File { cid, size_bytes }));
            let is_in_file = found.is_file;
            let links = found.links.into_iter().rev();
            waiting.extend(links.map(|cid| Next::Block { cid, is_in_file }));
        }
        Ok(())
    }

    /// What came of it, and what the blocks come to in bytes; everything is written.
    pub(super) async fn end(mut self) -> Result<(Taken, u64), IntakeError> {
        self.mark().await?;
        self.blobs.sync().await?;
        Ok((self.taken, self.bytes))
    }

    /// Visits a block.
    async fn visit(&mut self, cid: Cid, is_in_file: bool) -> Result<Found, IntakeError> {
        if let Some(bytes) = dag::inline(&cid) {
            return Ok(Found {
                links: dag::links(&cid, &bytes).unwrap_or_default(),
                is_file: is_in_file,
                blob_bytes: None,
            });
        }
        let key = tables::key(&cid);
        if dag::check_name(&cid).is_err() || self.codecs(&key).contains(&cid.codec()) {
            return Ok(Found::default());
        }
        let mark = (joined(self.owner.as_bytes(), &key), self.finish);
        let looked = self.blobs.look(&cid, Some(mark)).await?;
        if looked.visited.contains(&cid.codec()) {
            return Ok(Found::default());
        }
        let is_first = looked.visited.is_empty() && self.codecs(&key).is_empty();
        let (block_bytes, (links, file_bytes)) = match looked.place {
            Some(place) => (place.len(), self.links(&cid, place).await?),
            None => match self.pin_part(&cid, looked.parts).await? {
                Some(part) => (part.block_bytes(), self.part_links(&cid, &part).await?),
                None => {
                    self.taken.missing += 1;
                    return Ok(Found::default());
                }
            },
        };
        let mut blob_bytes = file_bytes.filter(|size| !is_in_file && *size >= FILE_BYTES);
        if blob_bytes.is_some() && self.blobs.file(&cid).await?.is_some() {
            blob_bytes = None;
        }
        if is_first {
            self.taken.blocks += 1;
            self.bytes += block_bytes;
        }
        self.marks.entry(key).or_default().insert(cid.codec());
        if self.marks.len() >= MARKS {
            self.mark().await?;
        }
        Ok(Found {
            links,
            is_file: file_bytes.is_some(),
            blob_bytes,
        })
    }

    /// As which codecs a block was visited, of what isn't written yet.
    fn codecs(&self, key: &[u8]) -> &BTreeSet<u64> {
        const NONE: &BTreeSet<u64> = &BTreeSet::new();
        self.marks.get(key).unwrap_or(NONE)
    }

    /// The links of a block, and its size if it is a file.
    async fn links(&self, cid: &Cid, place: Place) -> Result<Links, IntakeError> {
        let bytes = match place {
            _ if cid.codec() == codec::RAW => return Ok((Vec::new(), Some(place.len()))),
            Place::Here(bytes) => bytes,
            Place::Packed(_) => self.read(cid).await?,
        };
        Ok(links(cid, &bytes))
    }

    /// The links of a block that lies in a blob. Most are leaves, but any block's bytes can be.
    async fn part_links(&self, cid: &Cid, part: &Part) -> Result<Links, IntakeError> {
        match cid.codec() {
            codec::RAW => Ok((Vec::new(), None)),
            // What is around its bytes makes it a leaf.
            codec::DAG_PB if !part.prefix.is_empty() => Ok((Vec::new(), None)),
            _ => Ok(links(cid, &self.read(cid).await?)),
        }
    }

    pub(super) async fn read(&self, cid: &Cid) -> Result<Bytes, IntakeError> {
        let read = self.blobs.block(cid).await;
        read.map_err(|source| IntakeError::Back { cid: *cid, source })
    }

    /// A block that lies in blobs stays as long as one of them does. Gives where it lies.
    async fn pin_part(
        &mut self,
        cid: &Cid,
        parts: Vec<(BlobId, Part)>,
    ) -> Result<Option<Part>, IntakeError> {
        let pinned = parts.iter().find(|(blob, _)| self.pinned.contains(blob));
        if let Some((_, part)) = pinned {
            return Ok(Some(part.clone()));
        }
        let Some((blob, part)) = self.blobs.part_held(cid, parts).await? else {
            return Ok(None);
        };
        self.pin(blob).await?;
        // It may have gone just before.
        let status = self.blobs.status(blob).await?;
        let is_held = matches!(status, BlobStatus::Complete { .. });
        Ok(is_held.then_some(part))
    }

    pub(super) async fn pin(&mut self, blob: BlobId) -> Result<(), IntakeError> {
        if self.pinned.insert(blob) {
            self.blobs.tag(blob, &self.keep).await?;
        }
        Ok(())
    }

    async fn mark(&mut self) -> Result<(), StoreError> {
        let marks = std::mem::take(&mut self.marks);
        let (owner, finish) = (self.owner, self.finish);
        self.blobs
            .index()
            .write("mark blocks", move |tables| {
                marks.iter().try_for_each(|(key, codecs)| {
                    let codecs = codecs.clone();
                    tables.mark(owner, key, Mark { finish, codecs })
                })
            })
            .await
    }
}

/// Why the blobs of a DAG are kept.
pub(super) fn pin(root: &Cid) -> Keep {
    Keep::pin(Cid::new_v1(root.codec(), *root.hash()))
}

/// A block that isn't what its codec says is kept, and leads nowhere.
fn links(cid: &Cid, bytes: &Bytes) -> Links {
    let file_bytes = match cid.codec() {
        codec::DAG_PB => file_bytes(bytes),
        _ => None,
    };
    (dag::links(cid, bytes).unwrap_or_default(), file_bytes)
}

/// The size of the file that a dag-pb block is, if it is one.
fn file_bytes(bytes: &Bytes) -> Option<u64> {
    match UnixFs::of(&Node::decode(bytes).ok()?).ok()? {
        UnixFs::File { size_bytes, .. } => Some(size_bytes),
        _ => None,
    }
}
