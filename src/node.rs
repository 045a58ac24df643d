//! Start and stop of the node, on one page. The only place that spawns top-level tasks.
//!
//! Start: folder and lock → port and certificate → store → identity → endpoint → blobs → exchange →
//! gateway.
//! Stop, in the reverse order and within [`STOP`]: no new requests → exchange and fetches → router
//! and endpoint → blobs → store.

mod assemble;
mod web;

use std::{sync::Arc, time::Duration};

use blocks::ProviderService;
use database::Database;
use gateway::gate::Gate;
use gossip::net::Driver;
use iroh::protocol::Router;
use model::{IdentityId, RelayHint, SecretKey};
use thiserror::Error;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::now_ms,
    config::Config,
    core::Core,
    data_folder::{DataFolder, FolderError, Running},
    endpoint::{EndpointError, Network, Wishes},
    flow,
    identity::{self, IdentityError, NewIdentity, Words},
    mirror::{self, rules::RuleError},
    payments,
    port::{self, CertificateError, Counting, ListenError},
    room,
    service::Service,
    storage::{self, StorageError},
    throttle,
    torrents::{self, TorrentsError},
    upkeep,
};
use assemble::{Assembled, Parts, assemble};
use web::Web;

/// Everything has ended this long after a stop was asked for.
pub const STOP: Duration = Duration::from_secs(8);
/// What each of the later steps of stopping may take of it; the endpoint waits for its peers to
/// acknowledge.
const STEP: Duration = Duration::from_millis(3_500);

/// Why the node did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The web server's port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// What the web server proves itself by.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The entry store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The first start's identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The blob store.
    #[error("cannot open the blob store: {0}")]
    Blobs(#[from] blocks::StoreError),
    /// Swarms.
    #[error("cannot take part in swarms: {0}")]
    Torrents(#[from] TorrentsError),
    /// A rule of what is mirrored.
    #[error("cannot mirror by the configuration: {0}")]
    Mirror(#[from] RuleError),
    /// The exchange of entries.
    #[error("cannot begin to exchange entries: {0}")]
    Exchange(String),
}

/// Recovery words of a first start: shown once, never stored.
#[derive(Debug)]
pub struct Recovery {
    /// Words of the root key.
    pub root: Words,
    /// Words of the next root key, to be kept elsewhere.
    pub successor: Words,
}

/// A running node.
pub struct Node {
    core: Arc<Core>,
    gate: Gate,
    url: String,
    fingerprint: Option<String>,
    recovery: Option<Recovery>,
    router: Router,
    requests: JoinHandle<()>,
    cancel_requests: CancellationToken,
    cancel: CancellationToken,
    failed: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    /// Starts a node; when this returns it answers on its port.
    ///
    /// # Errors
    /// When a part can't start: the message says which, why, and what to do.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let folder = DataFolder::open(&config.data)?;
        let web = Web::open(&config, &folder).await?;
        let database = storage::open(&folder, &config).await?;
        let device = folder.device_key()?;
        let (identity, recovery) = first_start(&folder, &database, &device).await?;
        let (relay, hint) = web.relay(&config, &folder)?.unzip();
        let network = network(&config, &folder, hint).await?;
        let (url, local_url) = (web.settings.base_url(), web.settings.local_url());
        let parts = Parts {
            config,
            folder,
            database,
            device,
            identity,
            network,
            url: url.clone(),
        };
        let Assembled {
            core,
            router,
            driver,
            provider_service,
        } = assemble(parts).await?;
        let (app, gate) = gateway::router(
            Arc::new(Service::new(Arc::clone(&core))),
            web.settings,
            core.metrics.clone(),
        );
        let (cancel, cancel_requests) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let failed = CancellationToken::new();
        let parts = |cancel: &CancellationToken| Background {
            tasks: tasks.clone(),
            cancel: cancel.clone(),
            failed: failed.clone(),
        };
        parts(&cancel).run(&core, driver, provider_service);
        let stopped = cancel_requests.clone();
        let proxies = core.config.http.trusted_proxies.clone();
        let counting = Counting::new(core.throttle.clone(), proxies);
        let requests = port::serve(web.listener, relay, app, web.certificate, counting, stopped);
        let requests = parts(&cancel_requests).part("web server", requests);
        tasks.close();
        core.folder.announce(&Running {
            url: local_url,
            pid: std::process::id(),
        })?;
        tracing::info!(%url, endpoint = %core.network.id(), identity = %core.identity, "node started");
        Ok(Self {
            core,
            gate,
            url,
            fingerprint: web.fingerprint,
            recovery,
            router,
            requests,
            cancel_requests,
            cancel,
            failed,
            tasks,
        })
    }

    /// Returns when a part of the node ended that should not have: the node must stop.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// URL of the web server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// SHA-256 of the certificate that this node made for itself.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// How others reach this node.
    pub fn ticket(&self) -> String {
        self.core.network.ticket().to_string()
    }

    /// A fresh one-time sign-in URL.
    pub fn sign_in_url(&self) -> String {
        self.gate.sign_in_url()
    }

    /// The recovery words, if this was the first start.
    pub fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// The person has seen the recovery words: the first start is finished.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub fn recovery_shown(&self) -> Result<(), FolderError> {
        self.core.folder.set_identity(&self.core.identity)
    }

    /// What the parts share.
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Stops everything within [`STOP`].
    pub async fn stop(self) {
        let Self {
            core,
            router,
            requests,
            cancel_requests,
            cancel,
            tasks,
            ..
        } = self;
        core.folder.withdraw();
        let stopping = async {
            cancel_requests.cancel();
            // What was acknowledged last is still announced.
            step("open requests", async { drop(requests.await) }).await;
            cancel.cancel();
            step("background tasks", tasks.wait()).await;
            upkeep::remember_peers(&core);
            if let Some(spv) = core.payments.spv() {
                step("the light client", spv.stop()).await;
            }
            if let Some(swarm) = core.torrents.swarm() {
                step("the swarms", swarm.stop()).await;
            }
            step("the endpoint", async {
                if let Err(error) = router.shutdown().await {
                    tracing::warn!(%error, "a protocol handler panicked");
                }
                core.network.endpoint.close().await;
            })
            .await;
            step("the blob store", async {
                if let Err(error) = core.blobs.shutdown().await {
                    tracing::warn!(%error, "the blob store did not close cleanly");
                }
            })
            .await;
            let database = Arc::clone(&core.database);
            step("the entry store", async {
                let flushed = tokio::task::spawn_blocking(move || database.flush()).await;
                if let Ok(Err(error)) = flushed {
                    tracing::warn!(%error, "the entry store did not close cleanly");
                }
            })
            .await;
        };
        if timeout(STOP, stopping).await.is_err() {
            tracing::warn!("the node was cut off while stopping; nothing acknowledged is lost");
        }
    }
}

/// The parts that run until `cancel`.
struct Background {
    tasks: TaskTracker,
    cancel: CancellationToken,
    failed: CancellationToken,
}

impl Background {
    /// Runs what goes on besides requests.
    fn run(&self, core: &Arc<Core>, driver: Driver, provider: ProviderService) {
        let cancel = || self.cancel.clone();
        self.part("exchange", driver.run(cancel()));
        let serving = cancel().run_until_cancelled_owned(provider.run());
        self.part("provider", async {
            serving.await;
        });
        self.part("follow", flow::follow::run(Arc::clone(core), cancel()));
        self.part("fetch", flow::fetch::run(Arc::clone(core), cancel()));
        self.part("seeding", flow::seed::run(Arc::clone(core), cancel()));
        self.part(
            "swarm limits",
            torrents::governed::run(Arc::clone(core), cancel()),
        );
        self.part("naming", flow::name::run(Arc::clone(core), cancel()));
        self.part("mirror", mirror::evaluate::run(Arc::clone(core), cancel()));
        self.part("room", room::run(Arc::clone(core), cancel()));
        self.part("audit", mirror::audit::run(Arc::clone(core), cancel()));
        self.part(
            "promises",
            mirror::request::keep::run(Arc::clone(core), cancel()),
        );
        self.part("payments", payments::run(Arc::clone(core), cancel()));
        self.part("upkeep", upkeep::run(Arc::clone(core), cancel()));
        self.part("throttle", throttle::run(Arc::clone(core), cancel()));
    }

    /// Runs one part, and notices when it ends by itself: a panic in one part must not leave half
    /// a node running.
    fn part(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let (cancel, failed) = (self.cancel.clone(), self.failed.clone());
        self.tasks.spawn(async move {
            let ended = tokio::spawn(task).await;
            if !cancel.is_cancelled() {
                tracing::error!(part = name, ?ended, "a part of the node ended; stopping");
                failed.cancel();
            }
        })
    }
}

async fn step(what: &str, work: impl Future<Output = ()>) {
    if timeout(STEP, work).await.is_err() {
        tracing::warn!(what, "still busy while stopping, left behind");
    }
}

/// Makes the identity if this folder has none. The folder says that it has one only when the words
/// were shown ([`Node::recovery_shown`]): a first start cut off before that is done over.
async fn first_start(
    folder: &DataFolder,
    database: &Arc<Database>,
    device: &SecretKey,
) -> Result<(IdentityId, Option<Recovery>), StartError> {
    if let Some(identity) = folder.identity()? {
        return Ok((identity, None));
    }
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let NewIdentity {
        identity,
        entries,
        root_words,
        successor_words,
    } = identity::create(device, &name, now_ms())?;
    storage::ingest_local(database, entries).await?;
    Ok((
        identity,
        Some(Recovery {
            root: root_words,
            successor: successor_words,
        }),
    ))
}

async fn network(
    config: &Config,
    folder: &DataFolder,
    own_relay: Option<RelayHint>,
) -> Result<Network, StartError> {
    let secret = folder.secret_key("endpoint.key")?;
    let wishes = Wishes {
        offline: config.offline,
        udp_port: config.network.udp_port,
        mdns: config.network.mdns,
        own_relay,
    };
    Ok(Network::bind(folder, &secret, wishes).await?)
}
