//! The light client's handle.

use std::{ops::Deref, sync::Arc, sync::RwLockReadGuard, time::Duration};

use bitcoin::{Block, BlockHash, Transaction, block::Header};
use tokio::sync::{broadcast, oneshot, watch};

use super::{
    error::{AcceptError, BlockError, SpvError, SubmitError},
    link::HeaderSource,
    options::{SpvOptions, Status},
    shared::Shared,
    supervisor,
};
use crate::chain::{ChainStore, Change, HeaderChain, Tip};

/// How long [`Spv::stop`] waits for the source's thread before it leaves it behind.
pub(super) const STOP: Duration = Duration::from_millis(1_800);
/// Weight units of the largest transaction that peers relay (`MAX_STANDARD_TX_WEIGHT`).
const MAX_TRANSACTION_WEIGHT: u64 = 400_000;

/// A light client: the chain with the most work that it was shown, and a way to blocks.
///
/// Clones are the same one; it ends with the last, or with [`Self::stop`].
#[derive(Clone, Debug)]
pub struct Spv {
    shared: Arc<Shared>,
    _ends: Arc<Ends>,
}

/// Reads the chain, while it is held: headers wait for it. Not to be kept across an `await`.
#[derive(Debug)]
pub struct ChainView<'a>(RwLockReadGuard<'a, ChainStore>);

impl Deref for ChainView<'_> {
    type Target = HeaderChain;

    fn deref(&self) -> &HeaderChain {
        self.0.chain()
    }
}

/// Ends the light client with its last handle.
#[derive(Debug)]
struct Ends(Arc<Shared>);

impl Drop for Ends {
    fn drop(&mut self) {
        end(&self.0);
    }
}

fn end(shared: &Shared) {
    let mut desk = shared.desk();
    desk.is_stopping = true;
    desk.clear();
    if desk.source.is_none() {
        shared.ended.send_replace(true);
    }
    drop(desk);
    shared.bell.notify_all();
}

impl Spv {
    /// Opens the headers, and starts a source on a thread of its own. Where its thread dies or
    /// falls silent, another source is made; later each time.
    ///
    /// # Errors
    /// [`SpvError`]: what stands on disk can't be used, or this machine gives no thread.
    pub fn start(
        options: SpvOptions,
        source: impl Fn() -> Box<dyn HeaderSource> + Send + 'static,
    ) -> Result<Self, SpvError> {
        let spv = Self::import_only(options)?;
        supervisor::start(&spv.shared, Box::new(source))?;
        Ok(spv)
    }

    /// Opens the headers without a source: they come by [`Self::accept`] only.
    ///
    /// # Errors
    /// [`SpvError`].
    pub fn import_only(options: SpvOptions) -> Result<Self, SpvError> {
        std::fs::create_dir_all(&options.folder).map_err(SpvError::Folder)?;
        let store = ChainStore::open(&options.headers_path(), options.network)?;
        let shared = Arc::new(Shared::new(options, store));
        Ok(Self {
            _ends: Arc::new(Ends(Arc::clone(&shared))),
            shared,
        })
    }

    /// The chain, to read.
    pub fn chain(&self) -> ChainView<'_> {
        ChainView(self.shared.store())
    }

    /// The end of the chain, now and whenever it moves.
    pub fn tip(&self) -> watch::Receiver<Tip> {
        self.shared.tip.subscribe()
    }

    /// How the chain moves from now on. Who lags judges everything anew.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    /// Fetches a block of the active chain. Its transactions are those that the header commits
    /// to: a forged block is its peer's fault, and is asked for again from others.
    /// Witnesses are there only if the source asked for them.
    ///
    /// # Errors
    /// [`BlockError`].
    pub async fn block(&self, hash: BlockHash) -> Result<Block, BlockError> {
        if self.chain().height_of(&hash).is_none() {
            return Err(BlockError::Unknown(hash));
        }
        let (sender, mut answer) = oneshot::channel();
        {
            let mut desk = self.shared.desk();
            if desk.source.is_none() {
                return Err(BlockError::NoSource);
            }
            desk.want(hash, sender)?;
        }
        self.shared.bell.notify_all();
        let deadline = self.shared.options.patience.block;
        match tokio::time::timeout(deadline, &mut answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(BlockError::Stopped),
            Err(_) => {
                let desk = self.shared.desk();
                let last = desk.blocks.get(&hash).and_then(|one| one.last.clone());
                Err(BlockError::Deadline {
                    block: hash,
                    deadline_ms: millis(deadline),
                    last: last.map(Box::new),
                })
            }
        }
    }

    /// Announces a transaction to all peers, and to those that come within the next hour.
    /// Returns to how many it was announced: not that any of them took it.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(&self, transaction: Transaction) -> Result<u32, SubmitError> {
        let weight = transaction.weight().to_wu();
        if weight > MAX_TRANSACTION_WEIGHT {
            return Err(SubmitError::TooLarge { weight });
        }
        let (sender, answer) = oneshot::channel();
        {
            let mut desk = self.shared.desk();
            if desk.source.is_none() {
                return Err(SubmitError::NoSource);
            }
            desk.submit(transaction, sender)?;
        }
        self.shared.bell.notify_all();
        let deadline = self.shared.options.patience.submit;
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(peers)) => Ok(peers),
            Ok(Err(_)) => Err(SubmitError::Stopped),
            Err(_) => Err(SubmitError::NoPeers {
                deadline_ms: millis(deadline),
            }),
        }
    }

    /// What it is and does.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Takes headers that came by another way, such as a file: checked as those of peers are.
    /// Writes to disk: not for the runtime's threads where there are many.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub fn accept(&self, headers: &[Header]) -> Result<Change, AcceptError> {
        self.shared.accept(headers)
    }

    /// Ends the source. Whoever waits for blocks is told so.
    pub async fn stop(&self) {
        let mut ended = self.shared.ended.subscribe();
        end(&self.shared);
        // The supervisor leaves a source behind that doesn't end in time.
        let _ = tokio::time::timeout(STOP + STOP / 10, ended.wait_for(|one| *one)).await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
