//! Importing a capsule: each entry by the same gate as a stranger's, each file by its hash.

use std::sync::Arc;

use bytes::Bytes;
use cid::Cid;
use database::{
    DatabaseError, IngestReport, Outcome, Packet, PacketError, Source, store::Durability,
    verify_ahead,
};
use gateway::{api::types::CarImported, node::NodeError};
use model::{EntryId, SpaceId};
use thiserror::Error;

use super::{
    landing::{Landing, LandingError},
    marks::Contents,
    reader::{CapsuleFault, CapsuleReader, Piece},
};
use crate::{
    clock::now_ms,
    core::Core,
    flow,
    mirror::request::{grants::Joined, keep},
    service::admin,
};

/// Entries that are verified and stored together.
const BATCH: usize = 1_000;
/// Bytes of entries and payloads that are held back for that.
const BATCH_BYTES: usize = 4 << 20;
/// Files, spaces and threads that are told of by name.
const TOLD: usize = 1_000;

/// Why a block of a capsule was not taken.
#[derive(Debug, Error)]
pub enum TakeError {
    /// It may not stand where it stands.
    #[error("the block {cid} at byte {offset}: {fault}")]
    Place {
        /// Where it is in the CAR.
        offset: u64,
        /// Its name.
        cid: Cid,
        /// Why.
        #[source]
        fault: CapsuleFault,
    },
    /// An entry isn't one, or its device did not sign it.
    #[error("the entry {id} at byte {offset}: {fault}")]
    Entry {
        /// Where it is in the CAR.
        offset: u64,
        /// Its name.
        id: EntryId,
        /// Why.
        #[source]
        fault: PacketError,
    },
    /// A file is not what the capsule says.
    #[error("the file that ends at byte {offset}: {fault}")]
    File {
        /// Where its last block begins in the CAR.
        offset: u64,
        /// Why.
        #[source]
        fault: LandingError,
    },
    /// The capsule has no end.
    #[error("the capsule has no last block: it was cut off")]
    NoEnd,
    /// This node failed, or has no room.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// A capsule that is being imported.
pub struct Taking {
    core: Arc<Core>,
    contents: Contents,
    reader: CapsuleReader,
    batch: Vec<Waiting>,
    batch_bytes: usize,
    /// Where the entry that may still get its payload stands.
    last_offset: u64,
    landing: Option<Landing>,
    refused: u64,
    denied: u64,
}

/// An entry that will be stored with others.
struct Waiting {
    offset: u64,
    id: EntryId,
    packet: Packet,
}

impl Taking {
    /// Behind the root block.
    pub fn new(core: &Arc<Core>, contents: Contents) -> Self {
        Self {
            core: Arc::clone(core),
            contents,
            reader: CapsuleReader::new(),
            batch: Vec::new(),
            batch_bytes: 0,
            last_offset: 0,
            landing: None,
            refused: 0,
            denied: 0,
        }
    }

    /// Takes the next block.
    ///
    /// # Errors
    /// When it lies or can't be stored; call [`Taking::give_up`] then.
    pub async fn block(
        &mut self,
        offset: u64,
        cid: &Cid,
        bytes: &Bytes,
        told: &mut CarImported,
    ) -> Result<(), TakeError> {
        if self.landing.is_some() {
            told.blocks += 1;
        }
        let pieces = self
            .reader
            .take(cid, bytes)
            .map_err(|fault| TakeError::Place {
                offset,
                cid: *cid,
                fault,
            })?;
        for piece in pieces {
            self.piece(offset, piece, told).await?;
        }
        self.last_offset = offset;
        Ok(())
    }

    async fn piece(
        &mut self,
        offset: u64,
        piece: Piece,
        told: &mut CarImported,
    ) -> Result<(), TakeError> {
        match piece {
            Piece::Entry { id, packet } => {
                self.batch_bytes +=
                    packet.entry.len() + packet.payload.as_ref().map_or(0, Vec::len);
                self.batch.push(Waiting {
                    offset: self.last_offset,
                    id,
                    packet,
                });
                if self.batch.len() >= BATCH || self.batch_bytes >= BATCH_BYTES {
                    self.store(told).await?;
                }
            }
            Piece::File(mark) => {
                self.store(told).await?;
                self.landing = Some(Landing::begin(&self.core, mark).await);
            }
            Piece::Bytes(bytes) => {
                if let Some(landing) = &mut self.landing {
                    let landed = landing.bytes(bytes).await;
                    landed.map_err(|fault| file_error(offset, fault))?;
                }
            }
            Piece::FileEnd => self.file_end(offset, told).await?,
            Piece::End(end) => {
                told.lacking_files = end.lacking;
                self.store(told).await?;
            }
        }
        Ok(())
    }

    async fn file_end(&mut self, offset: u64, told: &mut CarImported) -> Result<(), TakeError> {
        let Some(landing) = self.landing.take() else {
            return Ok(());
        };
        let file = landing.finish(&self.core).await;
        match file.map_err(|fault| file_error(offset, fault))? {
            None => self.denied += 1,
            Some(file) => {
                told.whole_files += 1;
                if told.files.len() < TOLD {
                    told.files.push(file);
                }
            }
        }
        Ok(())
    }

    /// Verifies and stores the entries that wait, up to the first that is none.
    async fn store(&mut self, told: &mut CarImported) -> Result<(), TakeError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.room()?;
        let waiting = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let (mut places, mut packets) = (Vec::new(), Vec::new());
        for Waiting { offset, id, packet } in waiting {
            places.push((offset, id));
            packets.push(packet);
        }
        let (report, fault) = self
            .core
            .store("store the capsule's entries", move |database| {
                take_in(database, &packets)
            })
            .await?;
        flow::ingest::settled(&self.core, &report, None);
        for (_, outcome) in &report.outcomes {
            match outcome {
                Outcome::Refused(_) => self.refused += 1,
                outcome if outcome.is_new() => told.entries += 1,
                _ => told.known_entries += 1,
            }
        }
        match fault {
            None => Ok(()),
            Some(fault) => {
                // Outcomes and packets go in the same order.
                let (offset, id) = places[report.outcomes.len()];
                Err(TakeError::Entry { offset, id, fault })
            }
        }
    }

    /// A capsule fills the data folder up to the operator's limit and no further.
    fn room(&self) -> Result<(), NodeError> {
        let usage = self.core.blobs.quota().usage();
        if usage.total_bytes() < usage.max_bytes {
            return Ok(());
        }
        Err(NodeError::QuotaExceeded {
            needed_bytes: self.batch_bytes as u64,
            used_bytes: usage.total_bytes(),
            max_bytes: usage.max_bytes,
        })
    }

    /// Behind the last block: what came is followed.
    ///
    /// # Errors
    /// When the capsule isn't whole; call [`Taking::give_up`] then.
    pub async fn finish(&mut self, told: &mut CarImported) -> Result<(), TakeError> {
        if !self.reader.is_whole() {
            return Err(TakeError::NoEnd);
        }
        for space in &self.contents.spaces {
            if follow_space(&self.core, *space).await? && told.spaces.len() < TOLD {
                told.spaces.push(space.to_string());
            }
        }
        for root in &self.contents.threads {
            if follow_thread(&self.core, *root).await? && told.threads.len() < TOLD {
                told.threads.push(root.to_string());
            }
        }
        if self.refused > 0 {
            told.notes.push(format!(
                "{} entries were not taken: the byte budget of their author or board is used up",
                self.refused
            ));
        }
        if self.denied > 0 {
            told.notes.push(format!(
                "{} files are on this node's denylist and were not taken",
                self.denied
            ));
        }
        Ok(())
    }

    /// Keeps what was right, and deletes what came of a file that was not whole.
    pub async fn give_up(mut self, told: &mut CarImported) {
        if let Some(landing) = self.landing.take() {
            landing.give_up().await;
        }
        let offset = self.last_offset;
        if let Some(piece) = self.reader.rest()
            && let Err(error) = self.piece(offset, piece, told).await
        {
            tracing::debug!(%error, "the last entry of a broken capsule is none either");
        }
        if let Err(error) = self.store(told).await {
            tracing::warn!(%error, "cannot keep all that was right in a broken capsule");
        }
    }
}

fn file_error(offset: u64, fault: LandingError) -> TakeError {
    match fault {
        LandingError::Node(error) => TakeError::Node(error),
        fault => TakeError::File { offset, fault },
    }
}

fn take_in(
    database: &database::Database,
    packets: &[Packet],
) -> Result<(IngestReport, Option<PacketError>), DatabaseError> {
    let mut fault = None;
    let report = verify_ahead(packets, Source::File, |verified| {
        let right = verified.map_while(|one| one.map_err(|error| fault = Some(error)).ok());
        database.ingest(right, now_ms(), Durability::Durable)
    })?;
    Ok((report, fault))
}

/// Follows a space that came, if it is one and no person's.
async fn follow_space(core: &Arc<Core>, space: SpaceId) -> Result<bool, NodeError> {
    let info = core.store("look a space up", move |database| {
        database.read()?.space(&space)
    });
    let is_board = info.await?.is_some_and(|info| !info.is_identity);
    if is_board {
        admin::follow_space(core, space, Vec::new()).await?;
        keep::own(core, Joined::Space(space)).await?;
    }
    Ok(is_board)
}

/// Follows a thread that came.
async fn follow_thread(core: &Arc<Core>, root: EntryId) -> Result<bool, NodeError> {
    let found = core.store("look a thread up", move |database| {
        let reader = database.read()?;
        match reader.digest(&root)? {
            Some(_) => reader.space_of(&root),
            None => Ok(None),
        }
    });
    let Some(space) = found.await? else {
        return Ok(false);
    };
    admin::follow_thread(core, space, root, Vec::new()).await?;
    keep::own(core, Joined::Thread(root, space)).await?;
    Ok(true)
}
