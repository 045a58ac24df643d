//! What lists deny goes, and stays away: lists read again, the store looked through, and each thing
//! that arrives looked at under all of its names.

use std::{sync::Arc, time::Duration};

use blocks::StoreError;
use cid::Cid;
use gateway::node::NodeError;
use model::BlobId;
use tokio::time::timeout;

use super::{Denial, twins::blob_of};
use crate::{core::Core, flow};

/// Who asks for a blob without an IPFS name waits this long for it.
const NAMING: Duration = Duration::from_secs(5);

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
    if let Some(denial) = core.denylist.check(cid, path) {
        return Ok(Some(denial));
    }
    let file = core.blobs.file(cid).await?;
    match file.map(|file| file.blob).or_else(|| blob_of(cid)) {
        Some(blob) => denial_of_blob(core, blob).await,
        None => Ok(None),
    }
}

/// Whether a blob is denied, also by the name of its UnixFS root.
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
    let root = core.blobs.unixfs(blob).await?;
    Ok(root.and_then(|root| core.denylist.check(&root, &[])))
}

/// Computes the IPFS name of what came from peers, where a list could deny it by that.
async fn name_first(core: &Core, blob: BlobId) -> Result<(), NodeError> {
    let local = |error| NodeError::local("look a blob's names up", error);
    let is_named = || core.blobs.unixfs(blob);
    if core.denylist.is_empty()
        || is_named().await.map_err(local)?.is_some()
        || !flow::fetch::is_held(core, blob).await
    {
        return Ok(());
    }
    match timeout(NAMING, core.blobs.name(blob)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(NodeError::local("compute the IPFS name of a blob", error)),
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

/// Refuses a blob that is denied under any of its names. Where there are lists, what came from
/// peers is not read before it has all its names.
///
/// # Errors
/// [`NodeError::Denied`], [`NodeError::Busy`] while a large one gets its name, or a local fault.
pub async fn admit_reader(core: &Core, blob: BlobId) -> Result<(), NodeError> {
    name_first(core, blob).await?;
    match denial_of_blob(core, blob).await {
        Ok(None) => Ok(()),
        Ok(Some(denial)) => Err(refusal(blob, denial)),
        Err(error) => Err(NodeError::local("look a blob's names up", error)),
    }
}

/// Looks at a blob that has just arrived or got its name: if it is denied, its bytes go.
///
/// # Errors
/// [`NodeError::Denied`], or a local fault.
pub async fn admit_blob(core: &Arc<Core>, blob: BlobId) -> Result<(), NodeError> {
    let found = denial_of_blob(core, blob).await;
    match found.map_err(|error| NodeError::local("look a blob's names up", error))? {
        None => Ok(()),
        Some(denial) => {
            remove(core, blob).await?;
            Err(refusal(blob, denial))
        }
    }
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
    let root = core.blobs.unixfs(blob).await;
    let root = root.map_err(|error| NodeError::local("look a blob's name up", error))?;
    if let Some(root) = root {
        note(core, root, blob).await?;
    }
    Core::lock(&core.wants).remove(&blob);
    let denied = core.blobs.deny(blob).await;
    denied.map_err(|error| NodeError::local("remove a denied blob", error))
}

async fn note(core: &Arc<Core>, root: Cid, blob: BlobId) -> Result<(), NodeError> {
    let core = Arc::clone(core);
    let act = "note the names of a denied blob";
    let noting = move || core.denylist.note_twins(&core.folder, [(root, blob)]);
    match tokio::task::spawn_blocking(noting).await {
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
    // Under which names it is known is lost with the bytes.
    let file = core.blobs.file(&cid).await;
    let file = file.map_err(|error| NodeError::local("look the CID up", error))?;
    if let Some(file) = file {
        note(core, cid, file.blob).await?;
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
    // The rest of what is held is looked at in a moment.
    for blob in file.map(|file| file.blob).into_iter().chain(blob_of(&cid)) {
        match admit_blob(core, blob).await {
            Ok(()) | Err(NodeError::Denied { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let removed = core.blobs.remove_dag(&cid).await;
    removed.map_err(|error| NodeError::local("remove a denied DAG", error))?;
    Ok(())
}
