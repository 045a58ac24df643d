//! Blocks from others, until they are a DAG that is held.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cid::Cid;
use model::BlobId;
use redb::ReadableTable;

use super::{
    IntakeError,
    database::{Fault, on_thread},
    finish::{Walk, pin},
    lookup::Asked,
    naming::REWRITE_BYTES,
    pack::{self, Claim},
    tables::{self, BLOCKS, DAGS, Dag, Owner, PACKS, Pack, Packed, Place, Writing, decode, encode},
};
use crate::{
    Blobs, StoreError,
    dag::{self, BlockFault},
    store::now_ms,
};

/// Blocks up to this size lie in the index, larger ones in a pack, bytes.
pub(super) const HERE_BYTES: usize = 64 * 1024;
/// Blocks wait in memory until they come to this, bytes.
const BATCH_BYTES: u64 = 8 << 20;
/// Blocks that wait, most.
const BATCH_BLOCKS: usize = 4096;
/// What a block takes in the index besides its bytes.
pub(super) const BLOCK_RECORD_BYTES: u64 = 512;
const ACT: &str = "keep blocks";

/// What came of an intake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Files that are blobs now: root, blob, size in bytes.
    pub files: Vec<(Cid, BlobId, u64)>,
    /// Blocks below the roots that are held, each counted once.
    pub blocks: u64,
    /// Links below the roots that lead to blocks that are not held.
    pub missing: u64,
}

/// Takes in the blocks of one DAG, in any order. Dropped before [`Intake::finish`], what was
/// flushed waits for the next intake of the same root.
#[derive(Debug)]
pub struct Intake {
    pub(super) blobs: Blobs,
    pub(super) root: Cid,
    /// The root's name in the index.
    pub(super) name: Vec<u8>,
    pub(super) owner: Owner,
    waiting: BTreeMap<Vec<u8>, Bytes>,
    waiting_bytes: u64,
    /// Blobs that are kept with the DAG, because blocks of it lie in them.
    pub(super) pinned: BTreeSet<BlobId>,
    /// That they are kept survives a crash.
    is_synced: bool,
    _claim: Claim,
}

impl Blobs {
    /// Begins to take in the DAG of a root, or goes on where an earlier intake of it broke off.
    ///
    /// # Errors
    /// When another intake of it is running, or the index can't be written.
    pub async fn intake(&self, root: Cid) -> Result<Intake, IntakeError> {
        dag::check_name(&root).map_err(BlockFault::from)?;
        let name = tables::name(&root);
        let claim = self.claims().claim(&name).ok_or(IntakeError::Busy(root))?;
        let key = name.clone();
        let began = self.index().write("begin to take a DAG in", move |tables| {
            change_dag(tables, &key, |dag| dag.at_ms = now_ms())
        });
        began.await?;
        Ok(Intake {
            blobs: self.clone(),
            root,
            owner: Owner::dag(&root),
            name,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            pinned: BTreeSet::new(),
            is_synced: true,
            _claim: claim,
        })
    }
}

impl Intake {
    /// What it takes in.
    pub fn root(&self) -> Cid {
        self.root
    }

    /// Takes a block, after checking that the bytes have its name. One that is held already, and an
    /// identity CID, costs nothing.
    ///
    /// # Errors
    /// When the bytes aren't the block, there is no room, or the index can't be written.
    pub async fn put(&mut self, cid: &Cid, bytes: Bytes) -> Result<(), IntakeError> {
        verified(*cid, bytes.clone()).await?;
        if dag::inline(cid).is_some() {
            return Ok(());
        }
        if bytes.len() > HERE_BYTES && self.lies_in_blob(cid, &bytes).await? {
            return Ok(());
        }
        let block_bytes = bytes.len() as u64;
        if self.waiting_bytes + block_bytes > BATCH_BYTES || self.waiting.len() >= BATCH_BLOCKS {
            self.flush().await?;
        }
        if self.waiting.insert(tables::key(cid), bytes).is_none() {
            self.waiting_bytes += block_bytes;
        }
        Ok(())
    }

    /// Whether a blob has a block, which then needn't lie elsewhere too; from here on the blob is
    /// kept with the DAG. Where the index is wrong, other bytes are found, and it is put right.
    async fn lies_in_blob(&mut self, cid: &Cid, bytes: &Bytes) -> Result<bool, StoreError> {
        for (blob, part) in self.blobs.parts_held(cid).await? {
            match self.blobs.ask(blob, part).await? {
                Asked::Bytes(found) if found == bytes => {}
                Asked::Bytes(_) => {
                    self.blobs.forget_part(cid, blob).await?;
                    continue;
                }
                Asked::Gone | Asked::Denied | Asked::Failed(_) => continue,
            }
            if self.pinned.contains(&blob) {
                return Ok(true);
            }
            self.blobs.tag(blob, &pin(&self.root)).await?;
            self.is_synced = false;
            // It may have gone just before.
            if self.blobs.is_there(blob).await? {
                self.pinned.insert(blob);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes what was taken: when this returns, it survives a crash.
    ///
    /// # Errors
    /// When there is no room, or the index can't be written. What was not written is kept for the
    /// next try.
    pub async fn flush(&mut self) -> Result<(), IntakeError> {
        if !self.is_synced {
            self.blobs.sync().await?;
            self.is_synced = true;
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        let wanted = self.waiting_bytes + BLOCK_RECORD_BYTES * self.waiting.len() as u64;
        let room = self.blobs.reserve(wanted + REWRITE_BYTES).await?;
        let write = self.blobs.writes().begin();
        let batch = Batch {
            blobs: self.blobs.clone(),
            name: self.name.clone(),
            owner: self.owner,
            blocks: self.waiting.clone(),
        };
        match on_thread(move || batch.write()).await {
            Ok(()) => {
                self.waiting.clear();
                self.waiting_bytes = 0;
                room.commit(wanted);
                write.succeeded();
                Ok(())
            }
            Err(error) => {
                self.blobs.files().drop_ballast_if_full();
                Err(error.into())
            }
        }
    }

    /// Ends the intake: each whole file of some size below the roots becomes a blob, and everything
    /// is kept until [`crate::Blobs::remove_dag`] of the intake's root. A file that is broken, or
    /// whose blob would not fit, stays the blocks that it is.
    ///
    /// # Errors
    /// When a file can't be imported, or the index can't be written.
    pub async fn finish(mut self, roots: &[Cid]) -> Result<Taken, IntakeError> {
        self.flush().await?;
        let name = self.name.clone();
        let began = self.blobs.index().write("end an intake", move |tables| {
            change_dag(tables, &name, |dag| dag.finishes += 1)
        });
        let dag = began.await?;
        let mut walk = Walk::new(&self, dag.finishes);
        for root in roots {
            walk.run(*root).await?;
        }
        let (taken, bytes) = walk.end().await?;
        let name = self.name.clone();
        let ended = self.blobs.index().write("end an intake", move |tables| {
            change_dag(tables, &name, |dag| {
                dag.is_finished = true;
                dag.bytes = bytes;
                dag.at_ms = now_ms();
            })
        });
        ended.await?;
        let blobs = self.blobs.clone();
        drop(self);
        blobs.tidy_packs().await?;
        blobs.settle().await?;
        Ok(taken)
    }
}

/// Blocks that are written together.
struct Batch {
    blobs: Blobs,
    name: Vec<u8>,
    owner: Owner,
    blocks: BTreeMap<Vec<u8>, Bytes>,
}

impl Batch {
    /// First the pack, to the disk; then the index, which says what is in it.
    fn write(&self) -> Result<(), StoreError> {
        let (len, large) = self.blobs.index().read_here(ACT, |reading| {
            let pack: Pack = match tables::get(reading, PACKS, &self.name)? {
                Some(pack) => decode(&pack)?,
                None => Pack::default(),
            };
            let known = reading.open_table(BLOCKS)?;
            let mut large = Vec::new();
            for (key, bytes) in &self.blocks {
                if bytes.len() > HERE_BYTES && known.get(key.as_slice())?.is_none() {
                    large.push(key);
                }
            }
            Ok((pack.len, large))
        })?;
        let end = if large.is_empty() {
            len
        } else {
            let blocks = large.iter().filter_map(|key| self.blocks.get(*key));
            pack::append(self.blobs.files(), &self.name, len, blocks)
                .map_err(|error| StoreError::new("write a pack", error))?
        };
        self.blobs
            .index()
            .write_here(ACT, |tables| self.record(tables, &large, len, end))
    }

    fn record(
        &self,
        tables: &mut Writing<'_>,
        large: &[&Vec<u8>],
        mut offset: u64,
        end: u64,
    ) -> Result<(), Fault> {
        for key in large {
            let bytes = self.blocks.get(*key).map_or(0, Bytes::len);
            let len = u32::try_from(bytes).unwrap_or(u32::MAX);
            let packed = Packed {
                pack: self.name.clone(),
                offset,
                len,
            };
            tables.put(key, &Place::Packed(packed))?;
            offset += bytes as u64;
        }
        for (key, bytes) in &self.blocks {
            if bytes.len() <= HERE_BYTES {
                tables.put(key, &Place::Here(bytes.clone()))?;
            }
            tables.own(self.owner, key)?;
        }
        if !large.is_empty() {
            tables.change_pack(&self.name, |pack| pack.len = end)?;
        }
        change_dag(tables, &self.name, |dag| dag.at_ms = now_ms())?;
        Ok(())
    }
}

/// Checks a block; on a thread when that takes a while.
pub(super) async fn verified(cid: Cid, bytes: Bytes) -> Result<(), IntakeError> {
    if bytes.len() <= HERE_BYTES {
        return Ok(dag::verify(&cid, &bytes)?);
    }
    on_thread(move || Ok(dag::verify(&cid, &bytes))).await??;
    Ok(())
}

/// Changes a DAG's record, or makes one.
pub(super) fn change_dag(
    tables: &mut Writing<'_>,
    name: &[u8],
    change: impl FnOnce(&mut Dag),
) -> Result<Dag, Fault> {
    let mut dag: Dag = match tables.dags.get(name)? {
        Some(dag) => decode(dag.value())?,
        None => Dag::default(),
    };
    change(&mut dag);
    tables.dags.insert(name, encode(&dag)?.as_slice())?;
    Ok(dag)
}

/// The DAGs that are known.
pub(super) fn known_dags(reading: &redb::ReadTransaction) -> Result<Vec<(Cid, Dag)>, Fault> {
    let mut known = Vec::new();
    for entry in reading.open_table(DAGS)?.iter()? {
        let (name, dag) = entry?;
        known.push((tables::named(name.value())?, decode(dag.value())?));
    }
    Ok(known)
}
