//! CARs in and out: capsules of entries with their media, and plain CARs of any DAG.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use blocks::{BlobStatus, IntakeError, dag};
use bytes::{Buf, Bytes, BytesMut};
use cid::Cid;
use database::{DatabaseError, Reader};
use futures_lite::{StreamExt, stream};
use gateway::{
    api::types::CarProgress,
    ipfs::types::{CarRequest, CarScope},
    node::{ByteStream, Items, NodeError, Viewer},
};
use model::{BlobId, EntryId, SpaceId};
use tokio::sync::mpsc;

use super::{
    authors::unknown,
    blobs::{driven, read_error},
    ipfs,
};
use crate::{
    core::Core,
    flow::{
        capsule::{What, write::Wanted},
        import_car,
    },
};

/// Progress messages that a slow reader may be behind.
const PROGRESS: usize = 16;
/// CIDs of one export.
const CIDS: usize = 1_000;

/// What a CID of an export stands for.
enum Item {
    Space(SpaceId),
    Thread(EntryId),
    /// A block of the database: an entry of an authority log, or a payload.
    Block,
    Dag,
}

/// Threads and spaces as a capsule, other DAGs as a plain CAR; with no CID the whole node.
pub async fn export(core: &Arc<Core>, cids: Vec<Cid>) -> Result<ByteStream, NodeError> {
    if cids.len() > CIDS {
        return Err(NodeError::Invalid(format!(
            "an export is of at most {CIDS} CIDs: export them by parts"
        )));
    }
    if cids.is_empty() {
        return crate::flow::capsule::write::capsule(core, whole_node(core).await?).await;
    }
    let asked = cids.clone();
    let items = core
        .store("look up what to export", move |database| {
            let reader = database.read()?;
            asked
                .iter()
                .map(|cid| item(&reader, cid))
                .collect::<Result<Vec<_>, DatabaseError>>()
        })
        .await?;
    let (mut spaces, mut threads, mut dags) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (cid, item) in cids.into_iter().zip(items) {
        match item {
            Item::Space(space) => {
                spaces.insert(space);
            }
            Item::Thread(root) => {
                threads.insert(root);
            }
            Item::Block => dags.push((cid, CarScope::Block)),
            Item::Dag => dags.push((dag_of(core, cid).await?, CarScope::All)),
        }
    }
    if dags.is_empty() {
        let what = if spaces.is_empty() {
            What::Thread
        } else {
            What::Space
        };
        let wanted = Wanted {
            what,
            spaces,
            threads,
        };
        return crate::flow::capsule::write::capsule(core, wanted).await;
    }
    if spaces.is_empty() && threads.is_empty() {
        return plain(core, dags).await;
    }
    Err(NodeError::Invalid(
        "threads and spaces go into a capsule, other CIDs into a plain CAR: export them to two files"
            .to_owned(),
    ))
}

fn item(reader: &Reader<'_>, cid: &Cid) -> Result<Item, DatabaseError> {
    let Ok(id) = EntryId::try_from(cid) else {
        return Ok(Item::Dag);
    };
    if reader.space(&SpaceId::from(id))?.is_some() {
        return Ok(Item::Space(SpaceId::from(id)));
    }
    Ok(match reader.state(&id)? {
        Some(state) => state.root.map_or(Item::Block, Item::Thread),
        None if reader
            .payload_block(&model::PayloadId::from_bytes(*id.as_bytes()))?
            .is_some() =>
        {
            Item::Block
        }
        None => Item::Dag,
    })
}

/// Everything followed, but for unlisted spaces: those only by their id.
async fn whole_node(core: &Arc<Core>) -> Result<Wanted, NodeError> {
    let node = Arc::clone(core);
    core.store("list what is followed", move |database| {
        let reader = database.read()?;
        let listed = |space: &SpaceId| {
            let info = reader.space(space)?;
            let is_listed = info.is_some_and(|info| !info.unlisted) && !node.is_unlisted(space);
            Ok::<_, DatabaseError>(is_listed)
        };
        let mut spaces = BTreeSet::from([node.identity.space()]);
        spaces.extend(
            node.follows
                .identities()
                .iter()
                .map(model::IdentityId::space),
        );
        for (space, how) in node.follows.spaces() {
            if !how.threads_only && listed(&space)? {
                spaces.insert(space);
            }
        }
        let mut threads = BTreeSet::new();
        for (root, space) in node.follows.threads() {
            if !spaces.contains(&space) && listed(&space)? && reader.has(&root)? {
                threads.insert(root);
            }
        }
        Ok::<_, DatabaseError>(Wanted {
            what: What::Node,
            spaces,
            threads,
        })
    })
    .await
}

/// A blob that is too large for a block is exported as its UnixFS DAG.
async fn dag_of(core: &Arc<Core>, cid: Cid) -> Result<Cid, NodeError> {
    let Ok(blob) = BlobId::try_from(&cid) else {
        return Ok(cid);
    };
    let status = core.blobs.status(blob).await;
    match status.map_err(|error| NodeError::local("look the blob up", error))? {
        BlobStatus::Complete { size_bytes } if size_bytes > dag::MAX_BLOCK_BYTES as u64 => {
            core.blobs.name(blob).await.map_err(read_error)
        }
        BlobStatus::Complete { .. } => Ok(cid),
        _ => Err(unknown("blob", blob)),
    }
}

async fn plain(core: &Arc<Core>, dags: Vec<(Cid, CarScope)>) -> Result<ByteStream, NodeError> {
    let roots: Vec<Cid> = dags.iter().map(|(cid, _)| *cid).collect();
    let mut cars = Vec::new();
    for (root, scope) in dags {
        let request = CarRequest {
            root,
            path: Vec::new(),
            scope,
            bytes: None,
            duplicates: false,
        };
        let car = ipfs::car(core, Viewer::Owner, request).await?;
        let told = car.inspect(move |piece| {
            if let Err(error) = piece {
                tracing::warn!(%root, %error, "an export was broken off");
            }
        });
        cars.push(told.boxed());
    }
    if roots.len() == 1 {
        return Ok(cars.pop().unwrap_or_else(|| stream::empty().boxed()));
    }
    let header = stream::once(Ok(dag::car_header(&roots))).boxed();
    let blocks = cars.into_iter().map(without_header);
    Ok(blocks.fold(header, |all, next| all.chain(next).boxed()))
}

/// The blocks of a CAR that was made here, without what comes before them.
fn without_header(car: ByteStream) -> ByteStream {
    let start = Some(BytesMut::new());
    stream::unfold((car, start), |(mut car, mut start)| async move {
        loop {
            let bytes = match car.next().await? {
                Ok(bytes) => bytes,
                Err(error) => return Some((Err(error), (car, start))),
            };
            let Some(mut head) = start.take() else {
                return Some((Ok(bytes), (car, None)));
            };
            head.extend_from_slice(&bytes);
            match header_bytes(&head) {
                Some(length) if head.len() >= length => {
                    head.advance(length);
                    return Some((Ok::<Bytes, NodeError>(head.freeze()), (car, None)));
                }
                _ => start = Some(head),
            }
        }
    })
    .boxed()
}

/// Bytes of a CAR's header with its length, once that can be told.
fn header_bytes(car: &[u8]) -> Option<usize> {
    let mut length = 0_usize;
    for (at, byte) in car.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(length + at + 1);
        }
    }
    None
}

/// Imports a CAR of this machine: a capsule, or any other; progress first, the result last.
pub async fn import_path(core: Arc<Core>, path: String) -> Result<Items<CarProgress>, NodeError> {
    let path = PathBuf::from(path);
    let (file, total_bytes) = super::blobs::open_file(&path).await?;
    let (sender, receiver) = mpsc::channel(PROGRESS);
    let work = async move {
        let source = import_car::CarFile::new(file, path, total_bytes, sender.clone());
        let done = import_car::import(&core, source).await;
        // The reader may have gone; what was right is in all the same.
        let _ = sender
            .send(done.map(|told| CarProgress::Done(Box::new(told))))
            .await;
    };
    Ok(driven(receiver, work))
}

/// An intake error as the person sees it; `name` is what was taken in.
pub fn intake_error(name: &str, error: IntakeError) -> NodeError {
    match error {
        IntakeError::Block(fault) => NodeError::NotVerified(format!("{name}: {fault}")),
        IntakeError::Busy(root) => NodeError::Conflict(format!(
            "{root} is being imported already; wait until that is done"
        )),
        IntakeError::Quota(error) => super::blobs::quota_error(error),
        error @ IntakeError::TooWide(_) => NodeError::Invalid(format!("{name}: {error}")),
        IntakeError::Import { source, .. } => super::blobs::import_error(name, source),
        error @ (IntakeError::Back { .. } | IntakeError::Store(_)) => {
            NodeError::local(format!("import {name}"), error)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_header_is_cut_off() {
        let cid = dag::name_of(dag::codec::RAW, b"x");
        let header = dag::car_header(&vec![cid; 9]);
        let whole: Vec<u8> = [&header[..], b"blocks"].concat();
        for size in 1..whole.len() {
            let pieces: Vec<_> = whole
                .chunks(size)
                .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                .collect();
            let rest = without_header(stream::iter(pieces).boxed());
            let rest: Vec<Bytes> = futures_lite::future::block_on(rest.try_collect()).unwrap();
            assert_eq!(rest.concat(), b"blocks", "pieces of {size}");
        }
    }
}
