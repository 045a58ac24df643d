//! Media in and out: imports, states, ranges.

use std::{
    fs::{File, Metadata},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use blocks::{
    BlobSource, BlobStatus, FetchError, FetchOptions, ImportError, Keep, Lane, QuotaError,
    ReadError,
};
use bytes::Bytes;
use database::{Database, DatabaseError, Reader};
use futures_lite::{StreamExt, stream};
use gateway::{
    api::types::{AddRequest, BlobAdded, BlobState, FetchProgress, FetchRequest, ImportProgress},
    node::{BlobBody, ByteStream, Items, NodeError, OpenBlob, Viewer},
};
use model::{BlobId, EntryId, PayloadId, SpaceId};
use tokio::{sync::mpsc, time::timeout};

use super::authors::may_see;
use crate::{clock::now_ms, core::Core, denylist::honour, flow};

/// Progress messages that a slow reader may be behind.
const PROGRESS: usize = 16;
/// A reader of something not held gets its first bytes within this, or an error with the ways on.
const FIRST_BYTE: Duration = Duration::from_secs(10);
/// What `datt add` and uploads are pinned under, so that nothing a person gave is evicted.
pub const ADDED: &str = "added";

/// Imports an upload.
pub async fn add_stream(
    core: &Arc<Core>,
    name: String,
    size_bytes: Option<u64>,
    body: ByteStream,
) -> Result<BlobAdded, NodeError> {
    let imported = core
        .blobs
        .import_stream(
            body,
            size_bytes,
            core.config.http.max_upload_bytes,
            &Keep::pin(ADDED),
            &blocks::unwatched(),
        )
        .await
        .map_err(|error| import_error(&name, error))?;
    flow::import::inspect(core, imported, name).await
}

/// Imports a file or folder of this machine; progress first, the result last.
pub async fn add_path(
    core: Arc<Core>,
    request: AddRequest,
) -> Result<Items<ImportProgress>, NodeError> {
    let path = PathBuf::from(request.path);
    let publicity = request.publicity.unwrap_or_default();
    let metadata = look_at(&path).await?;
    let (sender, receiver) = mpsc::channel(PROGRESS);
    let work = async move {
        let done = if metadata.is_dir() {
            let album = flow::album::import(&core, path, publicity, &sender).await;
            album.map(ImportProgress::Album)
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let added = flow::import::path(&core, &path, name.into_owned(), &sender).await;
            match added {
                Ok((imported, added)) => {
                    let blobs = vec![imported.blob];
                    let set = match request.publicity {
                        Some(reach) => flow::torrent::set_publicity(&core, blobs, reach).await,
                        None => Ok(()),
                    };
                    set.map(|()| ImportProgress::Done(added))
                }
                Err(error) => Err(error),
            }
        };
        // The reader may have gone; the import is done all the same.
        let _ = sender.send(done).await;
    };
    Ok(driven(receiver, work))
}

/// A regular file or a folder that a request names.
async fn look_at(path: &Path) -> Result<Metadata, NodeError> {
    if !path.is_absolute() {
        return Err(NodeError::Invalid(format!(
            "{} is not an absolute path; the node has another working folder than you",
            path.display()
        )));
    }
    let metadata = tokio::fs::metadata(path)
        .await
        .map_err(|error| unreadable(path, &error))?;
    if metadata.is_file() || metadata.is_dir() {
        return Ok(metadata);
    }
    Err(NodeError::Invalid(format!(
        "{} is neither a regular file nor a folder",
        path.display()
    )))
}

/// Opens a regular file that a request names; with its size.
pub async fn open_file(path: &Path) -> Result<(tokio::fs::File, u64), NodeError> {
    let metadata = look_at(path).await?;
    if !metadata.is_file() {
        return Err(NodeError::Invalid(format!(
            "{} is not a regular file",
            path.display()
        )));
    }
    let file = tokio::fs::File::open(path).await;
    let file = file.map_err(|error| unreadable(path, &error))?;
    Ok((file, metadata.len()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> NodeError {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            NodeError::NotFound(format!("there is no file {}", path.display()))
        }
        _ => NodeError::Invalid(format!("cannot read {}: {error}", path.display())),
    }
}

/// Items from a channel, while `work` that fills it runs inside the stream: who drops the stream
/// stops the work.
pub fn driven<T: Send + 'static>(
    receiver: mpsc::Receiver<T>,
    work: impl Future<Output = ()> + Send + 'static,
) -> stream::Boxed<T> {
    let state = (receiver, Some(Box::pin(work)));
    stream::unfold(state, |(mut receiver, mut work)| async move {
        loop {
            let Some(running) = work.as_mut() else {
                return receiver.recv().await.map(|item| (item, (receiver, None)));
            };
            tokio::select! {
                biased;
                item = receiver.recv() => return item.map(|item| (item, (receiver, work))),
                () = running => work = None,
            }
        }
    })
    .boxed()
}

/// What is held of a blob.
pub async fn state(core: &Arc<Core>, blob: BlobId) -> Result<BlobState, NodeError> {
    let status = core
        .blobs
        .status(blob)
        .await
        .map_err(|e| NodeError::local("look the blob up", e))?;
    let (held_bytes, size_bytes, complete) = match status {
        BlobStatus::Missing => (0, 0, false),
        BlobStatus::Partial {
            held_bytes,
            total_bytes,
        } => (held_bytes, total_bytes.unwrap_or(0), false),
        BlobStatus::Complete { size_bytes } => (size_bytes, size_bytes, true),
    };
    let availability = super::availability::of_blob(core, blob, held_bytes, size_bytes);
    if !complete && held_bytes == 0 && availability.held_by == 0 {
        return Err(NodeError::NotFound(format!(
            "nothing is known of {blob}: it is not held here and no peer says that it holds it"
        )));
    }
    Ok(BlobState {
        blob: blob.to_string(),
        size_bytes,
        held_bytes,
        complete,
        media_type: String::new(),
        availability,
        torrent: crate::torrents::name_of(core, blob, "").await?,
    })
}

/// Fetches a blob or a range of it from whoever has it.
pub async fn fetch(
    core: Arc<Core>,
    blob: BlobId,
    request: FetchRequest,
) -> Result<Items<FetchProgress>, NodeError> {
    honour::admit_reader(&core, Viewer::Owner, blob).await?;
    let range = request.range.map(|[from, to]| from..to);
    if range.as_ref().is_some_and(|range| range.is_empty()) {
        return Err(NodeError::Invalid("the range is empty".to_owned()));
    }
    let options = FetchOptions {
        lane: Lane::Watched,
        range,
        ..FetchOptions::default()
    };
    let progress = blocks::unwatched();
    let mut watch = progress.subscribe();
    let (sender, receiver) = mpsc::channel(PROGRESS);
    let work = async move {
        let providers = core.providers(&blob, None, &[], now_ms());
        let fetching = core.fetcher.fetch(blob, providers, &options, &progress);
        tokio::pin!(fetching);
        let fetched = loop {
            tokio::select! {
                fetched = &mut fetching => break fetched,
                Ok(()) = watch.changed() => {
                    let now = *watch.borrow_and_update();
                    let _ = sender.try_send(Ok(FetchProgress::Progress {
                        held_bytes: now.done_bytes,
                        total_bytes: now.total_bytes.unwrap_or(0),
                    }));
                }
            }
        };
        let last = match fetched {
            Ok(fetched) => {
                flow::fetch::note_faults(&core, &fetched.faults);
                let held_bytes = match core.blobs.status(blob).await {
                    Ok(BlobStatus::Partial { held_bytes, .. }) => held_bytes,
                    _ => fetched.size_bytes,
                };
                flow::fetch::held(&core, blob).await;
                Ok(FetchProgress::Done {
                    held_bytes,
                    total_bytes: fetched.size_bytes,
                })
            }
            Err(error) => {
                flow::fetch::note_error(&core, blob, &error);
                Err(fetch_error(error))
            }
        };
        // The reader may have gone; what was verified stays.
        let _ = sender.send(last).await;
    };
    Ok(driven(receiver, work))
}

/// Opens a blob for reading.
pub async fn open(core: &Arc<Core>, viewer: Viewer, blob: BlobId) -> Result<OpenBlob, NodeError> {
    honour::admit_reader(core, viewer, blob).await?;
    match core.blobs.source(blob).await {
        Ok(source) => return opened(source),
        Err(ReadError::NotHeld(_)) => {}
        Err(error) => return Err(read_error(error)),
    }
    may_fetch(core, viewer, blob)?;
    let status = core
        .blobs
        .status(blob)
        .await
        .map_err(|e| NodeError::local("look the blob up", e))?;
    if let BlobStatus::Partial {
        total_bytes: Some(size_bytes),
        ..
    } = status
    {
        return Ok(OpenBlob {
            size_bytes,
            body: BlobBody::Partial,
        });
    }
    // The last group proves the size; a few bytes of it are all that is needed.
    let options = FetchOptions {
        lane: Lane::Watched,
        range: Some(0..1),
        stall: FIRST_BYTE / 2,
        ..FetchOptions::default()
    };
    let providers = core.providers(&blob, None, &[], now_ms());
    match timeout(FIRST_BYTE, core.fetcher.read(blob, providers, options)).await {
        Err(_) => Err(not_held(blob)),
        Ok(Err(error)) => Err(fetch_error(error)),
        Ok(Ok(stream)) => Ok(OpenBlob {
            size_bytes: stream.size_bytes(),
            body: BlobBody::Partial,
        }),
    }
}

/// Verified bytes of a range, fetched where they are missing.
pub async fn range(
    core: &Arc<Core>,
    viewer: Viewer,
    blob: BlobId,
    range: Range<u64>,
) -> Result<ByteStream, NodeError> {
    honour::admit_reader(core, viewer, blob).await?;
    may_fetch(core, viewer, blob)?;
    let providers = core.providers(&blob, None, &[], now_ms());
    let options = FetchOptions {
        lane: Lane::Watched,
        range: Some(range),
        ..FetchOptions::default()
    };
    Core::lock(&core.wants).watch(blob);
    let opening = core.fetcher.read(blob, providers, options);
    let stream = timeout(FIRST_BYTE, opening)
        .await
        .map_err(|_| not_held(blob))?
        .map_err(fetch_error)?;
    Ok(stream.map(|piece| piece.map_err(fetch_error)).boxed())
}

/// The outboard of a blob held in full.
pub async fn outboard(core: &Arc<Core>, blob: BlobId) -> Result<OpenBlob, NodeError> {
    honour::admit_reader(core, Viewer::Stranger, blob).await?;
    opened(core.blobs.outboard(blob).await.map_err(read_error)?)
}

/// An entry or payload as a block.
pub async fn block(core: &Arc<Core>, viewer: Viewer, id: EntryId) -> Result<Bytes, NodeError> {
    let node = Arc::clone(core);
    let found = core
        .store("read a block", move |database| {
            let reader = database.read()?;
            match space_of_block(&reader, &id)? {
                Some(space) if may_see(&node, &reader, viewer, &space)? => {}
                _ => return Ok::<_, DatabaseError>(None),
            }
            match reader.packet(&id)? {
                Some(packet) => Ok(Some(packet.entry)),
                None => reader.payload_block(&PayloadId::from_bytes(*id.as_bytes())),
            }
        })
        .await?;
    let bytes =
        found.ok_or_else(|| NodeError::NotFound(format!("the block {id} is not held here")))?;
    Ok(bytes.into())
}

/// Whether a viewer may know of an entry or payload; none when neither is held.
pub async fn may_see_block(
    core: &Arc<Core>,
    viewer: Viewer,
    id: EntryId,
) -> Result<Option<bool>, NodeError> {
    let node = Arc::clone(core);
    let look = move |database: &Database| {
        let reader = database.read()?;
        let space = space_of_block(&reader, &id)?;
        let seen = space.map(|space| may_see(&node, &reader, viewer, &space));
        seen.transpose()
    };
    core.store::<_, DatabaseError>("look a block up", look)
        .await
}

/// Where an entry belongs, or that of a payload: whoever sees the one sees the other.
fn space_of_block(reader: &Reader<'_>, id: &EntryId) -> Result<Option<SpaceId>, DatabaseError> {
    let entry = match reader.has(id)? {
        true => Some(*id),
        false => reader.entry_with(&PayloadId::from_bytes(*id.as_bytes()))?,
    };
    let Some(entry) = entry else {
        return Ok(None);
    };
    // A genesis names no space: it is one.
    let space = reader.space_of(&entry)?;
    Ok(Some(space.unwrap_or_else(|| SpaceId::from(entry))))
}

fn may_fetch(core: &Core, viewer: Viewer, blob: BlobId) -> Result<(), NodeError> {
    if viewer.is_owner() || core.config.public_gateway.fetch {
        return Ok(());
    }
    Err(NodeError::NotHeld {
        what: format!("the blob {blob}"),
        ways: vec![
            "This gateway serves strangers only what it holds".to_owned(),
            "Sign in (`datt signin`) to have it fetched, or ask a node that holds it".to_owned(),
        ],
    })
}

fn opened(source: BlobSource) -> Result<OpenBlob, NodeError> {
    let size_bytes = source.size_bytes();
    let body = match source {
        BlobSource::Bytes(bytes) => BlobBody::Bytes(bytes),
        BlobSource::File { path, .. } => {
            let file = File::open(path).map_err(|e| NodeError::local("open the blob's file", e))?;
            BlobBody::File(Arc::new(file))
        }
    };
    Ok(OpenBlob { size_bytes, body })
}

fn not_held(blob: BlobId) -> NodeError {
    NodeError::NotHeld {
        what: format!("the blob {blob}"),
        ways: vec![
            "Try again when more peers are connected (see the node page)".to_owned(),
            "Ask who gave you the link for a ticket of a node that holds it".to_owned(),
        ],
    }
}

/// A quota error as the person sees it.
pub fn quota_error(error: QuotaError) -> NodeError {
    match error {
        QuotaError::Exceeded {
            wanted_bytes,
            used_bytes,
            max_bytes,
        } => NodeError::QuotaExceeded {
            needed_bytes: wanted_bytes,
            used_bytes,
            max_bytes,
        },
        other => NodeError::local("store the bytes", other),
    }
}

/// An import error as the person sees it; `name` is what was imported.
pub fn import_error(name: &str, error: ImportError) -> NodeError {
    match error {
        ImportError::Quota(error) => quota_error(error),
        ImportError::TooLong {
            found_bytes,
            max_bytes,
        } => NodeError::TooLarge {
            what: name.to_owned(),
            size_bytes: found_bytes,
            limit_bytes: max_bytes,
        },
        ImportError::Denied(blob) => denied(blob),
        error @ (ImportError::Length { .. } | ImportError::Source(_)) => {
            NodeError::Invalid(format!("{name} was not imported: {error}; send it again"))
        }
        error => NodeError::local(format!("import {name}"), error),
    }
}

fn denied(blob: BlobId) -> NodeError {
    NodeError::Denied {
        id: blob.to_string(),
        reason: "the operator's decision".to_owned(),
    }
}

/// A read error as the person sees it.
pub fn read_error(error: ReadError) -> NodeError {
    match error {
        ReadError::NotHeld(blob) => not_held(blob),
        ReadError::Denied(blob) => denied(blob),
        ReadError::Changed(_) | ReadError::Checking(_) => NodeError::NotVerified(error.to_string()),
        ReadError::Store(error) => NodeError::local("read the blob", error),
    }
}

/// A fetch error as the person sees it.
pub fn fetch_error(error: FetchError) -> NodeError {
    match error {
        FetchError::NoPeer { blob, .. } => not_held(blob),
        FetchError::NotThatBlob { .. } => NodeError::NotVerified(error.to_string()),
        FetchError::TooLarge {
            wanted_bytes,
            max_bytes,
            blob,
        } => NodeError::TooLarge {
            what: format!("the blob {blob}"),
            size_bytes: wanted_bytes,
            limit_bytes: max_bytes,
        },
        FetchError::Range { .. } => NodeError::Invalid(error.to_string()),
        FetchError::Denied(blob) => denied(blob),
        FetchError::Quota(error) => quota_error(error),
        FetchError::Store(error) => NodeError::local("store the blob", error),
        FetchError::Read(error) => read_error(error),
    }
}
