//! What the light client is told at its start, and what it says of itself.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use crate::{Network, chain::Tip};

/// The clock: seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u32 + Send + Sync>;

/// How the light client runs.
#[derive(Clone)]
pub struct SpvOptions {
    /// The chain.
    pub network: Network,
    /// Where its files are: `headers`, and a folder for each source. Made if missing.
    pub folder: PathBuf,
    /// Peers to speak to. Where there are any, nobody else is asked.
    pub peers: Vec<SocketAddr>,
    /// Whether DNS seeds may be asked where no peers are given.
    pub seeds: bool,
    /// The clock.
    pub now_s: Clock,
    /// Bounds of time.
    pub patience: Patience,
}

/// How long the light client waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a block, from all peers together.
    pub block: Duration,
    /// For one peer to bring a block, before another is asked.
    pub block_try: Duration,
    /// For the first peer that a transaction can be handed to.
    pub submit: Duration,
    /// For a sign of life of the source, before another is started in its place.
    pub silence: Duration,
    /// After the source's first death; doubled with each further one.
    pub restart: Duration,
    /// The longest between two starts.
    pub restart_most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            block: Duration::from_secs(120),
            block_try: Duration::from_secs(15),
            submit: Duration::from_secs(30),
            silence: Duration::from_secs(90),
            restart: Duration::from_secs(1),
            restart_most: Duration::from_secs(120),
        }
    }
}

impl SpvOptions {
    /// A chain in a folder, by a clock: no peers, no seeds.
    pub fn new(
        network: Network,
        folder: impl Into<PathBuf>,
        now_s: impl Fn() -> u32 + Send + Sync + 'static,
    ) -> Self {
        Self {
            network,
            folder: folder.into(),
            peers: Vec::new(),
            seeds: false,
            now_s: Arc::new(now_s),
            patience: Patience::default(),
        }
    }

    /// The file of headers.
    pub fn headers_path(&self) -> PathBuf {
        self.folder.join("headers")
    }
}

impl fmt::Debug for SpvOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpvOptions")
            .field("network", &self.network)
            .field("folder", &self.folder)
            .field("peers", &self.peers)
            .field("seeds", &self.seeds)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// What the light client is and does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The chain.
    pub network: Network,
    /// The end of the chain with the most work.
    pub tip: Tip,
    /// Peers that the source speaks to.
    pub peers: u32,
    /// The most blocks that a peer says to have; nobody checked it.
    pub claimed_height: Option<u32>,
    /// The source's name; none where headers are only imported.
    pub source: Option<&'static str>,
    /// How often the source was started again.
    pub restarts: u32,
    /// Why it last ended, or what a peer last lied about.
    pub last_error: Option<String>,
    /// Whether the chain has the work that the network's true chain is known to have.
    pub has_minimum_work: bool,
}
