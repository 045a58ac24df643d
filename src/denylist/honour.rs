//! What lists deny goes, and stays away: lists read again, the store looked through, and each thing
//! that arrives looked at under all of its names.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use blocks::StoreError;
use cid::Cid;
use gateway::node::{NodeError, Viewer};
use model::BlobId;
use tokio::time::timeout;

use super::{Denial, twins::blob_of};
use crate::{core::Core, data_folder::FolderError, flow};

/// Who asks for a blob without an IPFS name waits this long for it.
const NAMING: Duration = Duration::from_secs(5);
/// Files with a block that a person denies, looked at before the person hears of it.
const AT_ONCE: usize = 64;

/// The denial as who asked is told it.
pub fn refusal(id: impl ToString, denial: Denial) -> NodeError {
    NodeError::Denied {
        id: id.to_string(),
        reason: denial.reason,
    }
}

/// Whether a path from a CID is denied, also by the other names of the file that the CID names.
///
/// # Errors
/// When the index can't be read.
pub async fn denial(core: &Core, cid: &Cid, path: &[String]) -> Result<Option<Denial>, StoreError> {
    if core.denylist.is_empty() {
        return Ok(None);
    }
    if let Some(denial) = core.denylist.check(cid, path) {
        return Ok(Some(denial));
    }
    let file = core.blobs.file(cid).await?;
    match file.map(|file| file.blob).or_else(|| blob_of(cid)) {
        Some(blob) => denial_of_blob(core, blob).await,
        None => Ok(None),
    }
}

/// Whether a blob is denied, also by the names of its UnixFS roots: as far as these are known.
///
/// # Errors
/// When the index can't be read.
pub async fn denial_of_blob(core: &Core, blob: BlobId) -> Result<Option<Denial>, StoreError> {
    if core.denylist.is_empty() {
        return Ok(None);
    }
    if let Some(denial) = core.denylist.check_blob(blob) {
        return Ok(Some(denial));
    }
    let roots = core.blobs.roots(blob).await?;
    let mut denials = roots.iter();
    Ok(denials.find_map(|root| core.denylist.check(root, &[])))
}

/// The first leaf or node of a blob that is denied by itself.
async fn denied_part(core: &Core, blob: BlobId) -> Result<Option<(Cid, Denial)>, StoreError> {
    if core.denylist.is_empty() {
        return Ok(None);
    }
    let denylist = Arc::clone(&core.denylist);
    let wanted = move |cid: &Cid| denylist.check(cid, &[]).is_some();
    let part = core.blobs.find_below(blob, wanted).await?;
    Ok(part.and_then(|part| Some((part, core.denylist.check(&part, &[])?))))
}

/// Waits for the IPFS name of what came from peers, where a list could deny it by that.
async fn name_first(core: &Core, blob: BlobId) -> Result<(), NodeError> {
    if core.denylist.is_empty() {
        return Ok(());
    }
    match timeout(NAMING, flow::name::wait(core, blob)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(NodeError::local("look a blob's names up", error)),
        Err(_) => Err(NodeError::Busy {
            what: format!("{blob} is being looked at before it is served"),
            retry_after_s: 5,
        }),
    }
}

/// Refuses what is denied.
///
/// # Errors
/// [`NodeError::Denied`], or a local fault.
pub async fn admit(core: &Core, cid: &Cid, path: &[String]) -> Result<(), NodeError> {
    match denial(core, cid, path).await {
        Ok(None) => Ok(()),
        Ok(Some(denial)) => Err(refusal(cid, denial)),
        Err(error) => Err(NodeError::local("look the CID up in the index", error)),
    }
}

/// Refuses a blob that is denied under any of its names. Where there are lists, the owner doesn't
/// read what came from peers before it has all its names; a stranger's request makes this node read
/// nothing, so that it is decided by the names that are known.
///
/// # Errors
/// [`NodeError::Denied`], [`NodeError::Busy`] while a large one gets its name, or a local fault.
pub async fn admit_reader(core: &Core, viewer: Viewer, blob: BlobId) -> Result<(), NodeError> {
    if viewer.is_owner() {
        name_first(core, blob).await?;
    }
    match denial_of_blob(core, blob).await {
        Ok(None) => Ok(()),
        Ok(Some(denial)) => Err(refusal(blob, denial)),
        Err(error) => Err(NodeError::local("look a blob's names up", error)),
    }
}

/// Looks at a blob that has just arrived or got its name, and at each block of it: if one is denied,
/// the bytes go.
///
/// # Errors
/// [`NodeError::Denied`], or a local fault.
pub async fn admit_blob(core: &Arc<Core>, blob: BlobId) -> Result<(), NodeError> {
    let local = |error| NodeError::local("look a blob's names up", error);
    let found = denial_of_blob(core, blob).await.map_err(local)?;
    let denial = match found {
        Some(denial) => denial,
        None => match denied_part(core, blob).await.map_err(local)? {
            None => return Ok(()),
            Some((part, denial)) => {
                let note = move |core: &Core| core.denylist.note_part(&core.folder, part, blob);
                noted(core, note).await?;
                denial
            }
        },
    };
    remove(core, blob).await?;
    Err(refusal(blob, denial))
}

/// Reads the lists that changed, and does what they say. To be called now and then.
pub async fn look(core: &Arc<Core>) {
    let reading = {
        let core = Arc::clone(core);
        tokio::task::spawn_blocking(move || core.denylist.read_again())
    };
    match reading.await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            let told = format!("the denylists can't be listed: {error}");
            core.warn("denylist", Some(told));
        }
        Err(panic) => tracing::error!(%panic, "reading the denylists failed"),
    }
    if core.denylist.take_due() {
        core.warn("denylist", core.denylist.problems());
        enforce(core).await;
    }
}

/// Removes everything that the lists deny.
async fn enforce(core: &Arc<Core>) {
    core.blobs.replace_denied(core.denylist.blobs());
    if core.denylist.is_empty() {
        return;
    }
    match core.blobs.list().await {
        Err(error) => tracing::warn!(%error, "cannot look for denied blobs"),
        Ok(blobs) => {
            for blob in blobs {
                match admit_blob(core, blob).await {
                    Ok(()) => {}
                    Err(NodeError::Denied { reason, .. }) => {
                        tracing::info!(%blob, reason, "a denied blob was removed");
                    }
                    Err(error) => tracing::warn!(%blob, %error, "cannot remove a denied blob"),
                }
            }
        }
    }
    if let Err(error) = remove_dags(core).await {
        tracing::warn!(%error, "cannot look for denied DAGs");
    }
}

async fn remove_dags(core: &Core) -> Result<(), StoreError> {
    for dag in core.blobs.dags().await? {
        if core.denylist.check(&dag.root, &[]).is_some() {
            core.blobs.remove_dag(&dag.root).await?;
            tracing::info!(root = %dag.root, "a denied DAG was removed");
        }
    }
    Ok(())
}

/// Removes the bytes, and remembers under which names they are denied.
async fn remove(core: &Arc<Core>, blob: BlobId) -> Result<(), NodeError> {
    note(core, blob).await?;
    Core::lock(&core.wants).remove(&blob);
    for (infohash, _) in core.torrents.shelf.with(&blob) {
        flow::seed::take_back(core, infohash).await?;
    }
    let denied = core.blobs.deny(blob).await;
    denied.map_err(|error| NodeError::local("remove a denied blob", error))
}

/// Remembers all roots of a blob.
async fn note(core: &Arc<Core>, blob: BlobId) -> Result<(), NodeError> {
    let roots = core.blobs.roots(blob).await;
    let roots = roots.map_err(|error| NodeError::local("look a blob's names up", error))?;
    noted(core, move |core| {
        let pairs = roots.into_iter().map(|root| (root, blob));
        core.denylist.note_twins(&core.folder, pairs)
    })
    .await
}

async fn noted(
    core: &Arc<Core>,
    note: impl FnOnce(&Core) -> Result<(), FolderError> + Send + 'static,
) -> Result<(), NodeError> {
    let core = Arc::clone(core);
    let act = "note the names of a denied blob";
    match tokio::task::spawn_blocking(move || note(&core)).await {
        Ok(noted) => noted.map_err(|error| NodeError::local(act, error)),
        Err(panic) => Err(NodeError::local(act, panic)),
    }
}

/// Denies a CID, or takes that back, in the person's own list; what is denied goes.
///
/// # Errors
/// When the list can't be written.
pub async fn decide(
    core: &Arc<Core>,
    cid: Cid,
    is_allow: bool,
    reason: Option<String>,
) -> Result<(), NodeError> {
    let act = "write the denylist";
    let local = |error| NodeError::local("look the CID up", error);
    // Under which names it is known is lost with the bytes.
    let file = core.blobs.file(&cid).await.map_err(local)?;
    if let Some(file) = file {
        note(core, file.blob).await?;
    }
    let writing = {
        let core = Arc::clone(core);
        move || core.denylist.write(&cid, is_allow, reason.as_deref())
    };
    match tokio::task::spawn_blocking(writing).await {
        Ok(written) => written.map_err(|error| NodeError::local(act, error))?,
        Err(panic) => return Err(NodeError::local(act, panic)),
    }
    core.blobs.replace_denied(core.denylist.blobs());
    if is_allow {
        return Ok(());
    }
    let below = core.blobs.blobs_below(&cid).await.map_err(local)?;
    let named = file.map(|file| file.blob).into_iter().chain(blob_of(&cid));
    let denied: BTreeSet<BlobId> = named.chain(below.into_iter().take(AT_ONCE)).collect();
    // The rest of what is held is looked at in a moment.
    for blob in denied {
        match admit_blob(core, blob).await {
            Ok(()) | Err(NodeError::Denied { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let removed = core.blobs.remove_dag(&cid).await;
    removed.map_err(|error| NodeError::local("remove a denied DAG", error))?;
    Ok(())
}
