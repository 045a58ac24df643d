//! What was taken in and is kept: DAGs, and single blocks.

use bytes::Bytes;
use cid::Cid;
use redb::ReadableTable;

use super::{
    DagHeld, IntakeError,
    finish::pin,
    intake::{BLOCK_RECORD_BYTES, change_dag, known_dags, verified},
    naming::REWRITE_BYTES,
    tables::{self, Owner, Place},
};
use crate::{Blobs, StoreError, dag, store::now_ms};

/// An intake that was given up is kept this long, milliseconds: seven days.
const UNFINISHED_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Blocks that are let go in one transaction.
const AT_ONCE: usize = 16 * 1024;

impl Blobs {
    /// Keeps one block until [`Blobs::remove_dag`] of its name.
    ///
    /// # Errors
    /// When the bytes aren't the block, there is no room, or the index can't be written.
    pub async fn put_block(&self, cid: &Cid, bytes: Bytes) -> Result<(), IntakeError> {
        verified(*cid, bytes.clone()).await?;
        if dag::inline(cid).is_some() {
            return Ok(());
        }
        let kept_bytes = bytes.len() as u64 + BLOCK_RECORD_BYTES;
        let room = self.reserve(kept_bytes + REWRITE_BYTES).await?;
        let write = self.writes().begin();
        let key = tables::key(cid);
        let written = self.index().write("keep a block", move |tables| {
            tables.put(&key, &Place::Here(bytes.clone()))?;
            tables.own(Owner::alone(&key), &key)
        });
        if let Err(error) = written.await {
            self.files().drop_ballast_if_full();
            return Err(error.into());
        }
        room.commit(kept_bytes);
        write.succeeded();
        Ok(())
    }

    /// Takes back what [`Blobs::put_block`] gave as a reason to keep a block: it goes if nothing
    /// else needs it. A DAG of the same name stays. Says whether there was such a reason.
    ///
    /// # Errors
    /// When the index can't be written.
    pub(crate) async fn release_block(&self, cid: &Cid) -> Result<bool, StoreError> {
        let alone = Owner::alone(&tables::key(cid));
        let releasing = self
            .index()
            .write("release a block", move |tables| tables.disown(alone, 1));
        Ok(releasing.await? > 0)
    }

    /// The DAGs that were taken in, in the order of their names.
    ///
    /// # Errors
    /// When the index can't be read.
    pub async fn dags(&self) -> Result<Vec<DagHeld>, StoreError> {
        let known = self.index().read("list the DAGs", known_dags).await?;
        let finished = known.into_iter().filter(|(_, dag)| dag.is_finished);
        let held = finished.map(|(root, dag)| DagHeld {
            root,
            bytes: dag.bytes,
            at_ms: dag.at_ms,
        });
        Ok(held.collect())
    }

    /// Gives up a DAG, finished or not, or a block of its own, and the blobs that are pinned under
    /// its name: what nothing else needs goes. Says whether there was any.
    ///
    /// # Errors
    /// When it is being taken in, or the index can't be written.
    pub async fn remove_dag(&self, root: &Cid) -> Result<bool, StoreError> {
        const ACT: &str = "remove a DAG";
        let name = tables::name(root);
        let Some(claim) = self.claims().claim(&name) else {
            let busy = std::io::ErrorKind::ResourceBusy;
            return Err(StoreError::new(ACT, busy.into()));
        };
        let was_alone = self.release_block(root).await?;
        // Broken off from here on, it is an intake that was given up, and swept.
        let was_dag = self.give_up(name.clone()).await?;
        let were_pinned = self.release_all(&pin(root)).await? > 0;
        self.disown_dag(Owner::dag(root), name).await?;
        if was_dag || were_pinned {
            self.collect().await?;
        }
        drop(claim);
        self.tidy_packs().await?;
        Ok(was_dag || were_pinned || was_alone)
    }

    /// Makes a DAG an intake that was given up long ago; says whether there was one.
    async fn give_up(&self, name: Vec<u8>) -> Result<bool, StoreError> {
        let giving_up = self.index().write("remove a DAG", move |tables| {
            let is_known = tables.dags.get(name.as_slice())?.is_some();
            if is_known {
                change_dag(tables, &name, |dag| {
                    dag.is_finished = false;
                    dag.at_ms = 0;
                })?;
            }
            Ok(is_known)
        });
        giving_up.await
    }

    /// Takes back all reasons of a DAG, some at a time, and forgets it with the last.
    async fn disown_dag(&self, owner: Owner, name: Vec<u8>) -> Result<(), StoreError> {
        loop {
            let name = name.clone();
            let disowning = self.index().write("remove a DAG", move |tables| {
                let is_last = tables.disown(owner, AT_ONCE)? < AT_ONCE;
                if is_last {
                    tables.dags.remove(name.as_slice())?;
                }
                Ok(is_last)
            });
            if disowning.await? {
                return Ok(());
            }
        }
    }

    /// Removes intakes that were given up long ago.
    pub(super) async fn remove_unfinished(&self) -> Result<(), StoreError> {
        let known = self.index().read("list the DAGs", known_dags).await?;
        let before_ms = now_ms().saturating_sub(UNFINISHED_MS);
        for (root, dag) in known {
            if dag.is_finished || dag.at_ms >= before_ms {
                continue;
            }
            // One that is going on just now stays.
            if self.claims().claim(&tables::name(&root)).is_some() {
                self.remove_dag(&root).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Blobs {
    /// Makes an intake look as if it had been given up long ago.
    pub(crate) async fn age_intake(&self, root: &Cid) {
        let name = tables::name(root);
        let aging = self.index().write("age an intake", move |tables| {
            change_dag(tables, &name, |dag| dag.at_ms = 1)
        });
        aging.await.expect("the index can be written");
    }
}
