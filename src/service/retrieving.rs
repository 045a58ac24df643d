//! Reading from IPFS gateways, and what is denied.

use std::sync::Arc;

use cid::Cid;
use gateway::{
    api::types::{
        Denied, DeniedCid, DenylistState, GatewayFault, RetrieveProgress, RetrieveRequest,
        Retrieved, RetrievedKind,
    },
    ipfs::types::PathKind,
    node::{Items, NodeError, Viewer},
};
use model::BlobId;
use tokio::sync::mpsc;

use super::{blobs::driven, ipfs};
use crate::{
    core::Core,
    denylist::honour,
    flow::retrieve::{self, Gateways, Http, Link, Report, Watch},
};

/// Progress messages that a slow reader may be behind.
const PROGRESS: usize = 16;
/// Faults told with the result.
const FAULTS: usize = 20;
/// Faults told with a failure.
const FAULTS_IN_WORDS: usize = 3;

/// Reads what a path from a root names.
pub async fn retrieve(
    core: Arc<Core>,
    root: Cid,
    request: RetrieveRequest,
) -> Result<Items<RetrieveProgress>, NodeError> {
    let RetrieveRequest { path, gateways } = request;
    blocks::dag::check_name(&root).map_err(|fault| NodeError::Unsupported(fault.to_string()))?;
    honour::admit(&core, &root, &path).await?;
    let is_own = gateways.is_empty();
    let named = if is_own {
        &core.config.ipfs.gateways
    } else {
        &gateways
    };
    let (mut links, mut refused) = (Vec::new(), None);
    for text in named {
        match Link::parse(text, core.config.offline) {
            Ok(link) => links.push(link),
            // One wrong line of the configuration must not keep the others from being asked.
            Err(error) if is_own => refused = Some(error.to_string()),
            Err(error) => return Err(NodeError::Invalid(error.to_string())),
        }
    }
    let http = Http::new(links, core.config.offline);
    let http = http.map_err(|error| NodeError::local("ask gateways", error))?;
    let (sender, receiver) = mpsc::channel(PROGRESS);
    let work = async move {
        let mut watcher = Watcher {
            sender: sender.clone(),
            http: http.clone(),
            faults: Vec::new(),
        };
        let done = read(&core, &http, root, &path, &mut watcher).await;
        let done = done.map_err(|error| explained(error, &watcher.faults, refused));
        // The reader may have gone; what was verified stays.
        let _ = sender.send(done.map(RetrieveProgress::Done)).await;
    };
    Ok(driven(receiver, work))
}

async fn read(
    core: &Arc<Core>,
    http: &Http,
    root: Cid,
    path: &[String],
    watcher: &mut Watcher,
) -> Result<Retrieved, NodeError> {
    let mut gateways = Gateways::new(http.count());
    let mut cid = root;
    if !path.is_empty() {
        let (known, found) = retrieve::resolve(core, http, gateways, root, path, watcher).await;
        gateways = known;
        cid = found?;
        honour::admit(core, &cid, &[]).await?;
    }
    let read = retrieve::read(core, http, gateways, cid, watcher).await?;
    let found = ipfs::resolve(core, Viewer::Owner, cid, Vec::new(), true).await?;
    let (kind, size_bytes) = match found.kind {
        PathKind::File { size_bytes } => (RetrievedKind::File, size_bytes),
        PathKind::Directory { .. } => (RetrievedKind::Directory, 0),
        PathKind::Symlink { .. } => (RetrievedKind::Symlink, 0),
        PathKind::Data { block_bytes, .. } => (RetrievedKind::Data, block_bytes),
    };
    Ok(Retrieved {
        cid: cid.to_string(),
        kind,
        size_bytes,
        blob: blob_of(core, &cid).await?.map(|blob| blob.to_string()),
        files: read.files,
        fetched_bytes: read.fetched_bytes,
        faults: std::mem::take(&mut watcher.faults),
    })
}

/// The failure with what led to it: what gateways did, or why one was not asked.
fn explained(error: NodeError, faults: &[GatewayFault], refused: Option<String>) -> NodeError {
    let told = faults.iter().take(FAULTS_IN_WORDS);
    let told = told.map(|fault| format!("{}: {} ({})", fault.gateway, fault.what, fault.cid));
    let mut told: Vec<String> = refused.into_iter().chain(told).collect();
    told.dedup();
    match error {
        error if told.is_empty() => error,
        NodeError::NotVerified(text) => {
            NodeError::NotVerified(format!("{text}. {}", told.join(". ")))
        }
        NodeError::NotHeld { what, mut ways } => {
            ways.extend(told);
            NodeError::NotHeld { what, ways }
        }
        error => error,
    }
}

async fn blob_of(core: &Core, cid: &Cid) -> Result<Option<BlobId>, NodeError> {
    if let Ok(blob) = BlobId::try_from(cid) {
        return Ok(Some(blob));
    }
    let file = core.blobs.file(cid).await;
    let file = file.map_err(|error| NodeError::local("look a file up", error))?;
    Ok(file.map(|file| file.blob))
}

/// Hands on what happens while something is read.
struct Watcher {
    sender: mpsc::Sender<Result<RetrieveProgress, NodeError>>,
    http: Http,
    faults: Vec<GatewayFault>,
}

impl Watch for Watcher {
    fn progress(&mut self, held_bytes: u64, total_bytes: u64) {
        // The next one says more than this.
        let _ = self.sender.try_send(Ok(RetrieveProgress::Progress {
            held_bytes,
            total_bytes,
        }));
    }

    fn fault(&mut self, report: &Report) {
        let fault = GatewayFault {
            gateway: self.http.text(report.gateway),
            cid: report.cid.to_string(),
            what: report.fault.to_string(),
            is_lie: report.fault.is_lie(),
        };
        if self.faults.len() < FAULTS {
            self.faults.push(fault.clone());
        }
        let _ = self.sender.try_send(Ok(RetrieveProgress::Fault(fault)));
    }
}

/// What is denied, by whom.
pub async fn denied(core: &Arc<Core>) -> Result<Denied, NodeError> {
    let act = "read the denylists";
    let reading = {
        let core = Arc::clone(core);
        move || core.denylist.own()
    };
    let own = match tokio::task::spawn_blocking(reading).await {
        Ok(own) => own.map_err(|error| NodeError::local(act, error))?,
        Err(panic) => return Err(NodeError::local(act, panic)),
    };
    Ok(Denied {
        own: own
            .into_iter()
            .map(|(cid, denial)| DeniedCid {
                cid: cid.to_string(),
                reason: denial.reason,
            })
            .collect(),
        lists: core
            .denylist
            .lists()
            .into_iter()
            .map(|list| DenylistState {
                file: list.path.display().to_string(),
                rules: list.rules,
                problem: list.problem,
            })
            .collect(),
    })
}
