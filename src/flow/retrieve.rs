//! gateway → verify → intake: DAGs of IPFS from trustless gateways, none of which is believed.
//!
//! Participants: this node, and the gateways that the configuration or the person names. Each block
//! is checked against its name before it is kept; what was kept survives a crash, and is not asked
//! for again. A gateway that lies is left for the next, and named. Not a goal: finding gateways, or
//! mutable names.

mod drive;
mod gateways;
mod http;
mod link;
mod names;
mod plan;

use std::sync::Arc;

use blocks::{
    Taken,
    dag::{self, BlockError, BlockSource, ResolveError},
};
use bytes::Bytes;
use cid::Cid;
use gateway::node::NodeError;
use tokio::sync::Mutex;

use crate::{core::Core, denylist::honour};
use drive::{Drive, Sink, Stopped};
use gateways::NobodyLeft;
pub use gateways::{GatewayFault, Gateways};
pub use http::{Http, HttpError};
pub use link::{Link, LinkError};
pub use plan::Report;
use plan::{Depth, Plan, PlanError};

/// What is told while something is read.
pub trait Watch: Send {
    /// Verified bytes held, and bytes in all as the root claims; 0 while unknown.
    fn progress(&mut self, held_bytes: u64, total_bytes: u64);

    /// A gateway did something wrong.
    fn fault(&mut self, report: &Report);
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Bytes of blocks that came from gateways.
    pub fetched_bytes: u64,
    /// Files that became blobs.
    pub files: u64,
}

/// Finds what a path from a root names; blocks on the way that aren't held come from gateways.
///
/// # Errors
/// When the path leads nowhere, or a block can't be had.
pub async fn resolve(
    core: &Arc<Core>,
    http: &Http,
    gateways: Gateways,
    root: Cid,
    path: &[String],
    watch: &mut dyn Watch,
) -> (Gateways, Result<Cid, NodeError>) {
    let source = Remote {
        core,
        http,
        root,
        state: Mutex::new(Some((gateways, watch, None))),
    };
    let resolved = dag::resolve(&source, root, path).await;
    let state = source.state.into_inner();
    let (gateways, _, failed) = state.expect("the state is put back after each block");
    let found = match (resolved, failed) {
        (Ok(resolved), _) if resolved.remainder.is_empty() => Ok(resolved.cid),
        (Ok(resolved), _) => Err(NodeError::Invalid(format!(
            "/{} leads into the data of {}; get that block",
            path.join("/"),
            resolved.cid
        ))),
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => Err(unresolved(error)),
    };
    (gateways, found)
}

fn unresolved(error: ResolveError) -> NodeError {
    match error {
        ResolveError::NoLink { .. } | ResolveError::ThroughFile { .. } => {
            NodeError::NotFound(error.to_string())
        }
        ResolveError::Block(BlockError::Denied { cid, reason }) => NodeError::Denied {
            id: cid.to_string(),
            reason,
        },
        ResolveError::Block(error) => NodeError::local("read a block", error),
        error => NodeError::Invalid(error.to_string()),
    }
}

/// State between two blocks of a path: what is known of the gateways, who watches, and why a block
/// could not be had.
type OnTheWay<'a> = (Gateways, &'a mut dyn Watch, Option<NodeError>);

/// Blocks from the store, else from gateways.
struct Remote<'a> {
    core: &'a Arc<Core>,
    http: &'a Http,
    /// Where the path begins.
    root: Cid,
    state: Mutex<Option<OnTheWay<'a>>>,
}

impl BlockSource for Remote<'_> {
    async fn block(&self, cid: &Cid) -> Result<Bytes, BlockError> {
        match self.core.block(cid).await {
            Err(BlockError::NotHeld(_)) => {}
            found => return found,
        }
        let mut state = self.state.lock().await;
        let (gateways, watch, failed) = state.take().ok_or(BlockError::NotHeld(*cid))?;
        let plan = Plan::new(*cid, Depth::Block, gateways);
        let mut drive = Drive::new(self.core, self.http, Sink::Path(self.root, None), watch);
        let (gateways, driven) = drive.run(plan).await;
        let (watch, block) = drive.into_parts();
        let failed = driven.err().map(|why| stopped(self.http, why)).or(failed);
        let is_failed = failed.is_some();
        *state = Some((gateways, watch, failed));
        if is_failed {
            return Err(BlockError::NotHeld(*cid));
        }
        match block {
            Some(bytes) => Ok(bytes),
            None => self.core.blobs.block(cid).await,
        }
    }
}

/// Reads everything below a root, and keeps it.
///
/// # Errors
/// When a block can't be had, is denied, or there is no room.
pub async fn read(
    core: &Arc<Core>,
    http: &Http,
    gateways: Gateways,
    root: Cid,
    watch: &mut dyn Watch,
) -> Result<Read, NodeError> {
    let local = |error| NodeError::local("look up what is held", error);
    if core.blobs.file(&root).await.map_err(local)?.is_some() {
        return Ok(Read::default());
    }
    let plan = Plan::new(root, Depth::All, gateways);
    let mut drive = Drive::new(core, http, Sink::Intake(root, None), watch);
    let (_, driven) = drive.run(plan).await;
    // What came is not asked for again, however it ended.
    let flushed = drive.flush().await;
    driven.map_err(|why| stopped(http, why))?;
    flushed?;
    let fetched_bytes = drive.fetched_bytes();
    let dags = core.blobs.dags().await.map_err(local)?;
    if fetched_bytes == 0 && dags.iter().any(|dag| dag.root == root) {
        return Ok(Read::default());
    }
    let taken = drive.finish().await?;
    all_kept(&root, &taken)?;
    for (file, blob, _) in &taken.files {
        if let Err(error) = honour::admit_blob(core, *blob).await {
            tracing::info!(%file, %blob, "a file that was read is denied");
            return Err(error);
        }
        super::fetch::held(core, *blob).await;
    }
    Ok(Read {
        fetched_bytes,
        files: taken.files.len() as u64,
    })
}

/// Everything was held when the reading ended; what isn't any more was given up since.
fn all_kept(root: &Cid, taken: &Taken) -> Result<(), NodeError> {
    match taken.missing {
        0 => Ok(()),
        missing => Err(NodeError::Unavailable(format!(
            "{missing} blocks of {root} were given up while it was read, for want of room; raise \
             storage.max_bytes and get it again"
        ))),
    }
}

/// Why reading stopped, as the person sees it.
fn stopped(http: &Http, why: Stopped) -> NodeError {
    match why {
        Stopped::Node(error) => error,
        Stopped::Plan(PlanError::Nobody { cid, why }) => nobody(http, &cid, why),
        Stopped::Plan(error) => NodeError::Invalid(error.to_string()),
    }
}

fn nobody(http: &Http, cid: &Cid, why: NobodyLeft) -> NodeError {
    let names: Vec<String> = (0..http.count()).map(|index| http.text(index)).collect();
    let asked = names.join(", ");
    match why {
        _ if names.is_empty() => NodeError::NotHeld {
            what: format!("the block {cid}"),
            ways: vec![
                "This node knows no IPFS gateway to ask".to_owned(),
                "Name some in config.toml, as in [ipfs] gateways = [\"https://ipfs.example\"], \
                 or one with --gateway URL"
                    .to_owned(),
            ],
        },
        NobodyLeft::NotFound => NodeError::NotFound(format!(
            "no gateway has the block {cid} (asked: {asked}); name another with --gateway URL"
        )),
        NobodyLeft::Lies => NodeError::NotVerified(format!(
            "every gateway that answered for the block {cid} sent something else (asked: {asked}); \
             nothing of it was kept, what came before stays; name another with --gateway URL"
        )),
        NobodyLeft::Unreachable => NodeError::NotHeld {
            what: format!("the block {cid}"),
            ways: vec![
                format!("No gateway answered (asked: {asked})"),
                "Try again later, it goes on from here; or name another with --gateway URL"
                    .to_owned(),
            ],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_while_it_was_read_is_not_called_read() {
        let root = dag::name_of(dag::codec::RAW, b"root");
        let taken = |missing| Taken {
            blocks: 5,
            missing,
            ..Taken::default()
        };
        assert!(all_kept(&root, &taken(0)).is_ok());
        let lacking = all_kept(&root, &taken(2));
        assert!(
            matches!(&lacking, Err(NodeError::Unavailable(text)) if text.starts_with("2 blocks")),
            "{lacking:?}"
        );
    }
}
