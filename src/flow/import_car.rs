//! publish → import, for CARs: read once, block by block, in constant memory. Nothing in it is
//! believed before its hash matched; what was right before something that isn't stays.

use std::{io, path::PathBuf, sync::Arc};

use blocks::{
    Intake, IntakeError, Keep,
    dag::{self, CarDecoder, CarItem},
};
use bytes::Bytes;
use cid::Cid;
use gateway::{
    api::types::{CarImported, CarKind, CarProgress, FileImported},
    node::NodeError,
};
use model::BlobId;
use tokio::{fs::File, io::AsyncReadExt, sync::mpsc};

use super::capsule::{
    self,
    take::{TakeError, Taking},
};
use crate::{
    core::Core,
    denylist::honour,
    service::{
        blobs::{ADDED, import_error},
        car::intake_error,
    },
};

/// Bytes read at once.
const STEP_BYTES: usize = 256 * 1024;
/// Progress is told after this many bytes.
const TELL_BYTES: u64 = 8 << 20;
/// Roots and files that are told of by name.
const TOLD: usize = 1_000;
/// Blocks and roots that were left out and are told of by name.
const NOTES: usize = 100;

/// Told of what came in before a CAR proved wrong.
const KEPT: &str = "what came before it was kept";
/// Told of blocks without the rest of their DAG.
const NOT_WHOLE: &str = "a DAG that is not whole is not in `datt pins`, and goes after some days \
                         unless a sound CAR of it is imported";

/// A CAR that is being read.
pub struct CarFile {
    file: File,
    path: PathBuf,
    decoder: CarDecoder,
    step: Vec<u8>,
    total_bytes: u64,
    told_bytes: u64,
    progress: mpsc::Sender<Result<CarProgress, NodeError>>,
}

/// A block with its place in the CAR.
struct Block {
    offset: u64,
    cid: Cid,
    bytes: Bytes,
}

impl CarFile {
    /// At the start of an opened file.
    pub fn new(
        file: File,
        path: PathBuf,
        total_bytes: u64,
        progress: mpsc::Sender<Result<CarProgress, NodeError>>,
    ) -> Self {
        Self {
            file,
            path,
            decoder: CarDecoder::new(),
            step: vec![0; STEP_BYTES],
            total_bytes,
            told_bytes: 0,
            progress,
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn lie(&self, fault: impl std::fmt::Display) -> NodeError {
        NodeError::NotVerified(format!("{}: {fault}; {KEPT}", self.name()))
    }

    async fn item(&mut self) -> Result<Option<(u64, CarItem)>, NodeError> {
        loop {
            let offset = self.decoder.offset();
            match self.decoder.next() {
                Ok(Some(item)) => return Ok(Some((offset, item))),
                Ok(None) => {}
                Err(fault) => return Err(self.lie(fault)),
            }
            let read = self.file.read(&mut self.step).await;
            let count = read.map_err(|error| self.unreadable(error))?;
            if count == 0 {
                self.decoder.end().map_err(|fault| self.lie(fault))?;
                return Ok(None);
            }
            self.decoder.push(&self.step[..count]);
            self.tell();
        }
    }

    fn unreadable(&self, error: io::Error) -> NodeError {
        NodeError::local(format!("read {}", self.name()), error)
    }

    fn tell(&mut self) {
        let done_bytes = self.decoder.offset();
        if done_bytes >= self.told_bytes + TELL_BYTES {
            self.told_bytes = done_bytes;
            let _ = self.progress.try_send(Ok(CarProgress::Progress {
                done_bytes,
                total_bytes: self.total_bytes,
            }));
        }
    }

    async fn roots(&mut self) -> Result<Vec<Cid>, NodeError> {
        match self.item().await? {
            Some((_, CarItem::Header { roots })) => Ok(roots),
            _ => Err(self.lie("it has no header")),
        }
    }

    async fn block(&mut self) -> Result<Option<Block>, NodeError> {
        match self.item().await? {
            Some((offset, CarItem::Block { cid, bytes })) => {
                // A copy of its own length: blocks that wait don't hold the reader's buffers.
                let bytes = Bytes::copy_from_slice(&bytes);
                Ok(Some(Block { offset, cid, bytes }))
            }
            Some((_, CarItem::Header { .. })) => Err(self.lie("it has two headers")),
            None => Ok(None),
        }
    }
}

/// Imports a capsule or a plain CAR; everything is on disk when this returns.
///
/// # Errors
/// At the first block that lies, naming where it is; what came before is kept. When this node
/// fails or has no room.
pub async fn import(core: &Arc<Core>, mut car: CarFile) -> Result<CarImported, NodeError> {
    let roots = car.roots().await?;
    let first = car.block().await?;
    let mut told = CarImported {
        kind: CarKind::Car,
        roots: roots.iter().take(TOLD).map(Cid::to_string).collect(),
        spaces: Vec::new(),
        threads: Vec::new(),
        entries: 0,
        known_entries: 0,
        blocks: 0,
        missing_blocks: 0,
        whole_files: 0,
        files: Vec::new(),
        lacking_files: 0,
        notes: Vec::new(),
    };
    if let (Some(first), [root]) = (&first, &roots[..])
        && first.cid == *root
        && let Some(contents) = capsule::contents(&first.cid, &first.bytes).map_err(|fault| {
            NodeError::Unsupported(format!("{} can't be imported: {fault}", car.name()))
        })?
    {
        told.kind = CarKind::Capsule;
        let taking = Taking::new(core, contents);
        return import_capsule(taking, car, told).await;
    }
    import_blocks(core, car, &roots, first, told).await
}

async fn import_capsule(
    mut taking: Taking,
    mut car: CarFile,
    mut told: CarImported,
) -> Result<CarImported, NodeError> {
    let failed = loop {
        match car.block().await {
            Err(error) => break error,
            Ok(Some(block)) => {
                let taken = taking.block(block.offset, &block.cid, &block.bytes, &mut told);
                if let Err(error) = taken.await {
                    break take_error(&car, error);
                }
            }
            Ok(None) => match taking.finish(&mut told).await {
                Ok(()) => return Ok(told),
                Err(error) => break take_error(&car, error),
            },
        }
    };
    taking.give_up(&mut told).await;
    Err(kept(failed, &told))
}

fn take_error(car: &CarFile, error: TakeError) -> NodeError {
    match error {
        TakeError::Node(error) => error,
        error => car.lie(error),
    }
}

/// Says how much is here of what proved wrong later.
fn kept(error: NodeError, told: &CarImported) -> NodeError {
    match error {
        NodeError::NotVerified(text) => NodeError::NotVerified(format!(
            "{text}: {} new entries, {} files, {} blocks of DAGs",
            told.entries, told.whole_files, told.blocks,
        )),
        error => error,
    }
}

/// Where the blocks of a plain CAR go: into the DAG of its roots or, where it names none, each by
/// itself.
enum Shelf<'a> {
    Dag(Box<Intake>),
    Blocks(&'a Core),
}

impl Shelf<'_> {
    async fn put(&mut self, cid: &Cid, bytes: Bytes) -> Result<(), IntakeError> {
        match self {
            Self::Dag(intake) => intake.put(cid, bytes).await,
            Self::Blocks(core) => core.blobs.put_block(cid, bytes).await,
        }
    }

    async fn flush(&mut self) -> Result<(), IntakeError> {
        match self {
            Self::Dag(intake) => intake.flush().await,
            Self::Blocks(_) => Ok(()),
        }
    }
}

async fn import_blocks(
    core: &Arc<Core>,
    mut car: CarFile,
    roots: &[Cid],
    first: Option<Block>,
    mut told: CarImported,
) -> Result<CarImported, NodeError> {
    let name = car.name();
    let failed = |error| intake_error(&name, error);
    let is_sound = |root: &Cid| match dag::check_name(root) {
        Ok(()) => true,
        Err(fault) => {
            note(&mut told, format!("there is no DAG below {root}: {fault}"));
            false
        }
    };
    let roots: Vec<Cid> = roots.iter().copied().filter(is_sound).collect();
    let mut shelf = match roots.first() {
        Some(root) => Shelf::Dag(Box::new(core.blobs.intake(*root).await.map_err(failed)?)),
        None => Shelf::Blocks(core),
    };
    if let Err(error) = shelve(core, &mut car, &mut shelf, first, &mut told).await {
        shelf.flush().await.map_err(failed)?;
        let error = kept(error, &told);
        return Err(match (error, shelf) {
            (NodeError::NotVerified(text), Shelf::Dag(_)) if told.blocks > 0 => {
                NodeError::NotVerified(format!("{text}; {NOT_WHOLE}"))
            }
            (error, _) => error,
        });
    }
    if let Shelf::Dag(intake) = shelf {
        let taken = intake.finish(&roots).await.map_err(failed)?;
        told.missing_blocks = taken.missing;
        for (cid, blob, size_bytes) in taken.files {
            let file = FileImported {
                ipfs: cid.to_string(),
                blob: blob.to_string(),
                size_bytes,
            };
            admitted(core, blob, file, &mut told).await?;
        }
    }
    Ok(told)
}

/// Keeps a blob, unless it or a part of it is denied.
async fn blob(
    core: &Arc<Core>,
    name: &str,
    bytes: Bytes,
    told: &mut CarImported,
) -> Result<(), NodeError> {
    let imported = core.blobs.import_bytes(bytes, &Keep::pin(ADDED)).await;
    let imported = imported.map_err(|error| import_error(name, error))?;
    let file = FileImported {
        ipfs: imported.unixfs.to_string(),
        blob: imported.blob.to_string(),
        size_bytes: imported.size_bytes,
    };
    admitted(core, imported.blob, file, told).await
}

/// Tells of a file that was taken in; one that is denied by any of its names is gone again.
async fn admitted(
    core: &Arc<Core>,
    blob: BlobId,
    file: FileImported,
    told: &mut CarImported,
) -> Result<(), NodeError> {
    match honour::admit_blob(core, blob).await {
        Ok(()) => tell_file(told, file),
        Err(NodeError::Denied { .. }) => {
            let why = format!(
                "the file {} is on this node's denylist and was not kept",
                file.ipfs
            );
            note(told, why);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn note(told: &mut CarImported, note: String) {
    if told.notes.len() < NOTES {
        told.notes.push(note);
    }
}

fn tell_file(told: &mut CarImported, file: FileImported) {
    told.whole_files += 1;
    if told.files.len() < TOLD {
        told.files.push(file);
    }
}

/// Takes all blocks in; the last of them may not be on disk yet.
async fn shelve(
    core: &Arc<Core>,
    car: &mut CarFile,
    shelf: &mut Shelf<'_>,
    first: Option<Block>,
    told: &mut CarImported,
) -> Result<(), NodeError> {
    let name = car.name();
    let failed = |error| intake_error(&name, error);
    let mut next = first;
    while let Some(Block { cid, bytes, .. }) = next {
        if core.denylist.check(&cid, &[]).is_some() {
            let why = format!("{cid} is on this node's denylist and was not taken");
            note(told, why);
        } else if dag::inline(&cid).is_none() {
            // A blob's own name: it is kept as the blob that it is.
            match BlobId::try_from(&cid) {
                Ok(_) => blob(core, &name, bytes, told).await?,
                Err(_) => shelf.put(&cid, bytes).await.map_err(failed)?,
            }
            told.blocks += 1;
        }
        next = car.block().await?;
    }
    Ok(())
}
