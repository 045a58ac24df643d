//! Starts the light client, and keeps index and offers in step with rows, headers and blocks.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use database::DatabaseError;
use model::EntryId;
use spv::{
    Network,
    source::{Nakamoto, Spv, SpvError, SpvOptions},
};
use tokio::sync::{broadcast::error::RecvError, oneshot};
use tokio_util::sync::CancellationToken;

use super::{feed, holders, vote_facts, watch};
use crate::{causes::with_causes, clock::now_ms, config, core::Core};

/// What warnings about the chain are filed under.
pub(super) const WARNING: &str = "payments";

/// Runs until cancelled, in the middle of whatever it does.
pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    cancel.run_until_cancelled(work(&core)).await;
    // Nothing to do before the node stops: a part that ends stops it.
    cancel.cancelled().await;
}

async fn work(core: &Arc<Core>) {
    let exchange = core.gossip.subscribe();
    open(core).await;
    let (is_read, rows_read) = oneshot::channel();
    let rows = async {
        let cursor = feed::read_all(core).await;
        // Nobody waits for it where there is no chain.
        let _ = is_read.send(());
        feed::follow(core, cursor).await;
    };
    tokio::join!(
        rows,
        follow_chain(core),
        watch::run(core, rows_read),
        holders::follow(core, exchange)
    );
}

/// Starts the light client; where that fails, the node goes on without.
async fn open(core: &Arc<Core>) {
    let Some(network) = core.payments.network else {
        return;
    };
    let folder = core.folder.path().join("chain").join(network.name());
    let options = options(core, network, &folder);
    let started = tokio::task::spawn_blocking(move || start(options)).await;
    let failure = match started {
        Ok(Ok(spv)) => {
            // Set once, here.
            let _ = core.payments.spv.set(spv);
            None
        }
        Ok(Err(error)) => Some(with_causes(&error)),
        Err(panic) => Some(panic.to_string()),
    };
    if let Some(failure) = &failure {
        tracing::error!(%network, %failure, "the light client did not start");
        let text = format!(
            "payments are not checked: the header chain of {network} can't be opened: {failure}; \
             put that right and start the node again"
        );
        core.warn(WARNING, Some(text));
    }
    *super::lock(&core.payments.failure) = failure;
}

fn options(core: &Core, network: Network, folder: &Path) -> SpvOptions {
    let config::Payments { peers, .. } = &core.config.payments;
    let is_offline = core.config.offline;
    let now_s = || u32::try_from(now_ms() / 1_000).unwrap_or(u32::MAX);
    let mut options = SpvOptions::new(network, folder, now_s);
    let near = peers
        .iter()
        .filter(|peer| !is_offline || peer.ip().is_loopback());
    options.peers = near.copied().collect();
    options.seeds = !is_offline && peers.is_empty();
    if options.peers.len() < peers.len() {
        tracing::warn!("offline: only those of payments.peers on this machine are asked");
    }
    options
}

/// Without anybody to ask, and of chains that the client doesn't speak, headers are imported only.
fn start(options: SpvOptions) -> Result<Spv, SpvError> {
    match Nakamoto::new(&options) {
        Ok(source) => Spv::start(options, move || Box::new(source.clone())),
        Err(why) => {
            tracing::warn!(%why, "headers come by `datt chain headers --import FILE` only");
            Spv::import_only(options)
        }
    }
}

/// Judges everything anew whenever the chain moves.
async fn follow_chain(core: &Arc<Core>) {
    let Some(spv) = core.payments.spv() else {
        return;
    };
    let mut changes = spv.changes();
    loop {
        let node = Arc::clone(core);
        let judged = tokio::task::spawn_blocking(move || node.payments.judge()).await;
        if let Err(panic) = judged {
            tracing::error!(%panic, "payments could not be judged");
        }
        match changes.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
        // Those that came meanwhile are in the chain already.
        while changes.try_recv().is_ok() {}
    }
}

/// Tells that own offers changed.
pub async fn tell_offers(core: &Arc<Core>, votes: BTreeSet<EntryId>) {
    let read = core.store("read votes", move |database| {
        let reader = database.read()?;
        let mut found = Vec::new();
        for vote in votes {
            found.extend(vote_facts(&reader, &vote)?.map(|facts| (vote, facts)));
        }
        Ok::<_, DatabaseError>(found)
    });
    match read.await {
        Ok(found) => {
            for (vote, facts) in found {
                core.payments.tell_offer(vote, facts);
            }
        }
        Err(error) => tracing::warn!(%error, "a changed offer is not told"),
    }
}
