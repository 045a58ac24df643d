//! Where bytes of a blob may be had besides from nodes of datt: peers of its swarm, where a post says
//! that it has one, and HTTP gateways of the configuration that serve blobs. Nothing of what they
//! send is believed before BLAKE3 agreed; that is the fetch plan's affair.

mod gateway;
mod swarm;

use std::sync::{Arc, Weak};

use blocks::{Finder, RawOutboard, RawSource};
use futures_lite::{StreamExt, stream};
use model::BlobId;
use tokio::sync::mpsc;
use torrent::leech::{LeechOptions, Leecher};

use crate::{
    core::Core,
    flow::retrieve::{Http, Link},
    service::blobs::driven,
    throttle::Throttle,
};

/// Sources that may wait to be taken.
const WAITING: usize = 16;

/// Finds sources for the fetch plan.
pub struct Sources {
    core: Weak<Core>,
    leecher: Leecher,
    gateways: Option<Http>,
    throttle: Throttle,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Sources {
    /// Of this node; a gateway of the configuration that can't be asked is told once and left out.
    pub fn new(core: &Arc<Core>) -> Self {
        let mut links = Vec::new();
        for text in &core.config.ipfs.gateways {
            match Link::parse(text, core.config.offline) {
                Ok(link) => links.push(link),
                Err(error) => tracing::warn!(%error, "a gateway is left out"),
            }
        }
        let gateways = match Http::new(links, core.config.offline) {
            Ok(http) => (http.count() > 0).then_some(http),
            Err(error) => {
                tracing::warn!(%error, "no gateway can be asked");
                None
            }
        };
        Self {
            core: Arc::downgrade(core),
            leecher: Leecher::new(LeechOptions {
                throttle: Some(Arc::new(core.throttle.clone())),
                ..LeechOptions::default()
            }),
            throttle: core.throttle.clone(),
            gateways,
        }
    }
}

impl Finder for Sources {
    fn sources(&self, blob: BlobId, size_bytes: Option<u64>) -> stream::Boxed<Arc<dyn RawSource>> {
        let (found, receiver) = mpsc::channel(WAITING);
        let core = self.core.upgrade();
        let gateways = self.gateways.clone();
        let leecher = self.leecher.clone();
        let throttle = self.throttle.clone();
        let work = async move {
            if let Some(http) = &gateways {
                for at in 0..http.count() {
                    let source: Arc<dyn RawSource> =
                        gateway::Source::of(http.clone(), at, blob, throttle.clone());
                    if found.send(source).await.is_err() {
                        return;
                    }
                }
            }
            if let Some(core) = core {
                swarm::find(&core, &leecher, blob, size_bytes, &found).await;
            }
        };
        driven(receiver, work)
    }

    fn outboards(&self, blob: BlobId) -> stream::Boxed<RawOutboard> {
        let Some(http) = self.gateways.clone() else {
            return stream::empty().boxed();
        };
        stream::iter(0..http.count())
            .then(move |at| {
                let http = http.clone();
                async move { gateway::outboard(&http, at, blob).await }
            })
            .filter_map(|outboard| outboard)
            .boxed()
    }
}
