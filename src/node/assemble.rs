//! The parts of a node, put together before any of them runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use blocks::{
    Blobs, BlobsOptions, Fetcher, OutboardLimits, OutboardProtocol, Provider, ProviderLimits,
    ProviderProtocol, ProviderService,
};
use database::Database;
use gateway::metrics::Metrics;
use gossip::net::{Driver, Handle, Options, SyncProtocol};
use iroh::protocol::Router;
use iroh_gossip::net::Gossip;
use model::{BlobId, IdentityId, SecretKey, limits};
use tokio::sync::{Notify, mpsc, watch};

use super::StartError;
use crate::{
    clock::now_ms,
    config::Config,
    core::Core,
    data_folder::DataFolder,
    denylist::Denylist,
    endpoint::Network,
    flow,
    follows::Follows,
    holdings::Holdings,
    mirror::{
        self, Mirror,
        audit::Audits,
        exchange::MirrorProtocol,
        request::{Asked, PinRequests},
    },
    payments::Payments,
    pins::Pins,
    replica::Ledger,
    room,
    sources::Sources,
    throttle::Throttle,
    torrents::Torrents,
    traffic::Traffic,
    wants::Wants,
};

/// Rows with media that may wait to be looked at.
const ARRIVALS: usize = 4_096;

/// What they are made of.
pub(super) struct Parts {
    pub config: Config,
    pub folder: DataFolder,
    pub database: Arc<Database>,
    pub device: SecretKey,
    pub identity: IdentityId,
    pub network: Network,
    pub url: String,
}

/// Put together, and not running yet.
pub(super) struct Assembled {
    pub core: Arc<Core>,
    pub router: Router,
    pub driver: Driver,
    pub provider_service: ProviderService,
}

async fn open_blobs(
    config: &Config,
    folder: &DataFolder,
    denied: BTreeSet<BlobId>,
) -> Result<Blobs, blocks::StoreError> {
    let options = BlobsOptions {
        quota: room::quota(folder, config.storage.max_bytes),
        denied,
        cache_max_bytes: config.storage.max_bytes / 2,
        pieces_min_bytes: config.torrent.min_bytes,
    };
    Blobs::open(&folder.blobs(), options).await
}

/// Gossip, and the exchange of entries over it.
fn exchange(
    network: &Network,
    ledger: &Arc<Ledger>,
    live_topics: usize,
) -> (Gossip, Driver, Handle, SyncProtocol) {
    let message_bytes = limits::GOSSIP_BYTES + 96;
    let gossip = Gossip::builder().max_message_size(message_bytes);
    let gossip = gossip.spawn(network.endpoint.clone());
    let (driver, handle, sync) = Driver::new(
        network.endpoint.clone(),
        gossip.clone(),
        Arc::clone(ledger) as Arc<dyn gossip::Replica>,
        Options {
            seed: now_ms(),
            live_topics,
        },
    );
    (gossip, driver, handle, sync)
}

/// What peers get blobs by.
struct Serving {
    blobs: ProviderProtocol,
    outboards: OutboardProtocol,
    service: ProviderService,
    provider: Provider,
}

fn serving(
    blobs: &Blobs,
    denylist: &Arc<Denylist>,
    torrents: &Torrents,
    throttle: &Throttle,
) -> Serving {
    let gate = Arc::clone(denylist);
    let publicity = Arc::clone(&torrents.publicity);
    let may_have = move |blob, _| gate.check_blob(blob).is_none() && publicity.is_for_peers(&blob);
    // Who knows the hash of a blob has it from a space it belongs to; the denylist comes before.
    let limits = ProviderLimits::default();
    let outboards = OutboardLimits::default();
    let (outboards, (blobs, service, provider)) = if throttle.is_capped() {
        let capped = || Arc::new(throttle.clone());
        (
            OutboardProtocol::throttled(blobs, may_have.clone(), outboards, capped()),
            Provider::throttled(blobs, may_have, limits, capped()),
        )
    } else {
        (
            OutboardProtocol::new(blobs, may_have.clone(), outboards),
            Provider::new(blobs, may_have, limits),
        )
    };
    Serving {
        blobs,
        outboards,
        service,
        provider,
    }
}

/// Parts that came before the whole get to know it.
fn connect(core: &Arc<Core>, ledger: &Ledger, mirrors: &MirrorProtocol) {
    ledger.connect(core);
    mirrors.connect(core);
    core.fetcher.set_finder(Arc::new(Sources::new(core)));
    if core.throttle.is_capped() {
        let throttle = core.throttle.clone();
        core.fetcher.set_throttle(Arc::new(throttle));
    }
}

/// What other nodes may ask for.
fn router(
    network: &Network,
    (blobs, outboards): (ProviderProtocol, OutboardProtocol),
    (gossip, sync): (Gossip, SyncProtocol),
    mirrors: &MirrorProtocol,
) -> Router {
    Router::builder(network.endpoint.clone())
        .accept(blocks::ALPN, blobs)
        .accept(blocks::OUTBOARD_ALPN, outboards)
        .accept(iroh_gossip::ALPN, gossip)
        .accept(gossip::net::ALPN, sync)
        .accept(mirror::exchange::ALPN, mirrors.clone())
        .spawn()
}

/// Puts the parts together.
pub(super) async fn assemble(parts: Parts) -> Result<Assembled, StartError> {
    let Parts {
        config,
        folder,
        database,
        device,
        identity,
        network,
        url,
    } = parts;
    let throttle = Throttle::open(config.traffic, &folder, now_ms())?;
    let denylist = Arc::new(Denylist::open(&folder, &config.ipfs.denylists)?);
    let blobs = open_blobs(&config, &folder, denylist.blobs()).await?;
    let torrents = Torrents::open(&config, &folder)?;
    let serving = serving(&blobs, &denylist, &torrents, &throttle);
    let given = (serving.blobs, serving.outboards);
    let ledger = Arc::new(Ledger::new(Arc::clone(&database)));
    let (gossip, driver, handle, sync) = exchange(&network, &ledger, config.gossip.max_topics);
    let mirrors = MirrorProtocol::default();
    let router = router(&network, given, (gossip, sync), &mirrors);
    let (arrivals, receiver) = mpsc::channel(ARRIVALS);
    let core = Arc::new(Core {
        follows: Follows::open(&folder)?,
        pins: Pins::open(&folder)?,
        mirror: Mirror::new(mirror::rules::read(&config.mirror)?),
        audits: Audits::open(&folder)?,
        asked: Asked::open(&folder)?,
        pin_requests: PinRequests::open(&folder)?,
        pin_requests_changed: Notify::new(),
        payments: Payments::open(&config.payments, &folder)?,
        denylist,
        torrents,
        fetcher: Fetcher::new(blobs.clone(), network.endpoint.clone()),
        provider: serving.provider,
        gossip: handle,
        endpoint_secret: folder.secret_key("endpoint.key")?,
        holdings: Mutex::new(Holdings::default()),
        wants: Mutex::new(Wants::default()),
        wants_changed: Notify::new(),
        naming: flow::name::Naming::default(),
        arrivals,
        arrivals_receiver: Mutex::new(Some(receiver)),
        look_again: Notify::new(),
        events: watch::Sender::new(0),
        traffic: Traffic::default(),
        throttle,
        metrics: Metrics::new(),
        started_ms: now_ms(),
        signing: tokio::sync::Mutex::new(()),
        uploads: Mutex::new(BTreeMap::new()),
        sent_posts: Mutex::new(BTreeMap::new()),
        clock_skew_ms: Mutex::new(None),
        warnings: Mutex::new(BTreeMap::new()),
        config,
        folder,
        database,
        blobs,
        network,
        url,
        identity,
        device,
    });
    connect(&core, &ledger, &mirrors);
    Ok(Assembled {
        core,
        router,
        driver,
        provider_service: serving.service,
    })
}
