//! Fetching a blob, or a range of it, into the store.

use bao_tree::{ChunkRanges, io::Leaf};
use bytes::Bytes;
use iroh::{EndpointAddr, endpoint::Connection};
use model::BlobId;
use tokio::sync::mpsc;

use super::{
    FetchError, FetchOptions, Fetched, Fetcher, Inner, Providers,
    flight::Flying,
    peer::PeerFault,
    segment::first_segment,
    transfer::{Sized, Tap, TransferError, prove_size, transfer},
};
use crate::{
    BlobStatus, Keep, Progress, ProgressSender, Stage, StoreError,
    ledger::Look,
    quota::stored_bytes,
    range::{bytes_in, groups},
    source::INLINE_BYTES,
};

impl Fetcher {
    /// Fetches a blob from the first of `providers` that delivers, going on with the next where
    /// one fails. Bytes held already are not fetched again.
    ///
    /// # Errors
    /// When nobody delivers, it is larger than allowed, or can't be stored.
    pub async fn fetch(
        &self,
        blob: BlobId,
        providers: impl IntoIterator<Item = EndpointAddr>,
        options: &FetchOptions,
        progress: &ProgressSender,
    ) -> Result<Fetched, FetchError> {
        let blobs = &self.0.blobs;
        if blobs.is_denied(blob) {
            return Err(FetchError::Denied(blob));
        }
        let guard = blobs.guard(blob).await?;
        let flying = self.0.flights.turn(blob, progress).await;
        let mut providers = Providers::new(providers);
        let mut fetched_bytes = 0;
        let size_bytes = match self.size_if_held(blob, options).await? {
            Some(size_bytes) => size_bytes,
            None => {
                let _turn = self.0.lanes.turn(options.lane).await;
                let job = Job {
                    fetcher: self,
                    blob,
                    options,
                    flying: &flying,
                    progress,
                };
                match job.run(&mut providers, &mut fetched_bytes).await {
                    Ok(size_bytes) => size_bytes,
                    Err(error) => {
                        drop(guard);
                        return Err(self.give_room_back(blob, error).await);
                    }
                }
            }
        };
        blobs.keep(blob, &options.keep).await?;
        self.finish(blob).await?;
        Ok(Fetched {
            size_bytes,
            fetched_bytes,
            faults: providers.faults,
        })
    }

    /// The size, if everything that is asked for is held already.
    async fn size_if_held(
        &self,
        blob: BlobId,
        options: &FetchOptions,
    ) -> Result<Option<u64>, FetchError> {
        let held = self.0.blobs.held(blob).await?;
        let Some(size_bytes) = held.validated_size() else {
            return Ok(None);
        };
        let what = Sized { blob, size_bytes };
        let missing = &wanted(what, options)? - &held.ranges;
        Ok((bytes_in(&missing, size_bytes) == 0).then_some(size_bytes))
    }

    /// A fetch that filled the disk does not leave it full, and one that got nothing leaves no
    /// trace. Any other keeps what it got.
    pub(super) async fn give_room_back(&self, blob: BlobId, error: FetchError) -> FetchError {
        let blobs = &self.0.blobs;
        let is_full = matches!(error, FetchError::Store(StoreError::DiskFull { .. }));
        let freed = async {
            if is_full {
                blobs.release(blob, &Keep::Partial).await?;
                return blobs.collect().await;
            }
            if blobs.status(blob).await? == BlobStatus::Missing {
                blobs.release(blob, &Keep::Partial).await?;
            }
            Ok(())
        };
        if let Err(error) = freed.await {
            tracing::warn!(target: "blocks::fetch", %error, "what a failed fetch left may stay");
        }
        error
    }

    /// Once a blob is complete, it is no longer kept as a part, and its file is known to be right.
    pub(super) async fn finish(&self, blob: BlobId) -> Result<(), FetchError> {
        let blobs = &self.0.blobs;
        blobs.used(blob);
        let BlobStatus::Complete { size_bytes } = blobs.status(blob).await? else {
            return Ok(());
        };
        if size_bytes > INLINE_BYTES
            && let Ok(look) = Look::of(&blobs.files().data(blob))
        {
            blobs.ledger().trusted(blob, look);
        }
        blobs.release(blob, &Keep::Partial).await?;
        Ok(())
    }
}

/// The chunks that the options ask for.
fn wanted(what: Sized, options: &FetchOptions) -> Result<ChunkRanges, FetchError> {
    let Some(range) = &options.range else {
        return Ok(groups(&(0..what.size_bytes)));
    };
    if range.start > range.end || range.end > what.size_bytes {
        return Err(FetchError::Range {
            blob: what.blob,
            size_bytes: what.size_bytes,
            range: range.clone(),
        });
    }
    Ok(groups(range))
}

struct Job<'a> {
    fetcher: &'a Fetcher,
    blob: BlobId,
    options: &'a FetchOptions,
    flying: &'a Flying,
    progress: &'a ProgressSender,
}

impl Job<'_> {
    async fn run(
        &self,
        providers: &mut Providers,
        fetched_bytes: &mut u64,
    ) -> Result<u64, FetchError> {
        while let Some(addr) = providers.current() {
            match self.try_peer(addr, fetched_bytes).await {
                Ok(size_bytes) => return Ok(size_bytes),
                Err(Attempt::Fetch(error)) => return Err(error),
                Err(Attempt::NobodyReads) => unreachable!("a fetch has no reader"),
                Err(Attempt::Peer(fault)) => {
                    if matches!(fault, PeerFault::Lied(_) | PeerFault::Stalled(_)) {
                        self.fetcher.0.peers.drop_peer(addr.id);
                    }
                    providers.give_up(fault);
                }
            }
        }
        Err(providers.exhausted(self.blob))
    }

    async fn try_peer(&self, addr: &EndpointAddr, fetched_bytes: &mut u64) -> Result<u64, Attempt> {
        let Inner { blobs, peers, .. } = &*self.fetcher.0;
        let connection = peers.connect(addr).await?;
        let held = blobs.held(self.blob).await.map_err(FetchError::from)?;
        let what = match held.validated_size() {
            Some(size_bytes) => Sized {
                blob: self.blob,
                size_bytes,
            },
            None => prove_size(&connection, self.blob, self.options.stall).await?,
        };
        // The last chunk comes along, so that the size stays proven.
        let wanted = &wanted(what, self.options)? | &last_group(what.size_bytes);
        let missing_bytes = bytes_in(&(&wanted - &held.ranges), what.size_bytes);
        if missing_bytes > self.options.max_bytes {
            return Err(FetchError::TooLarge {
                blob: self.blob,
                wanted_bytes: missing_bytes,
                max_bytes: self.options.max_bytes,
            }
            .into());
        }
        let room = blobs
            .reserve_for(stored_bytes(missing_bytes), &self.options.keep)
            .await
            .map_err(FetchError::from)?;
        // From here on, what arrives is kept across a crash.
        let kept = blobs.keep(self.blob, &Keep::Partial).await;
        kept.map_err(FetchError::from)?;
        let write = blobs.writes().begin();
        let done = self
            .segments(connection, what, &wanted, fetched_bytes)
            .await;
        if done.is_err() {
            blobs.files().drop_ballast_if_full();
        }
        if let Ok(after) = blobs.held(self.blob).await {
            let new_bytes = after.total_bytes().saturating_sub(held.total_bytes());
            room.commit(stored_bytes(new_bytes));
        }
        match &done {
            Ok(()) => write.succeeded(),
            Err(_) => {
                drop(write);
                blobs.tidy_after_failure(self.blob).await;
            }
        }
        done.map(|()| what.size_bytes)
    }

    async fn segments(
        &self,
        connection: Connection,
        what: Sized,
        wanted: &ChunkRanges,
        fetched_bytes: &mut u64,
    ) -> Result<(), Attempt> {
        let blobs = &self.fetcher.0.blobs;
        loop {
            let held = blobs
                .held_chunks(self.blob)
                .await
                .map_err(FetchError::from)?;
            let missing = wanted - &held;
            if bytes_in(&missing, what.size_bytes) == 0 {
                return Ok(());
            }
            let mut meter = Meter {
                job: self,
                size_bytes: bytes_in(wanted, what.size_bytes),
                held_bytes: bytes_in(&(wanted & &held), what.size_bytes),
                fetched_bytes,
            };
            let segment = first_segment(&missing);
            let stall = self.options.stall;
            transfer(blobs, connection.clone(), what, segment, stall, &mut meter).await?;
        }
    }
}

fn last_group(size_bytes: u64) -> ChunkRanges {
    groups(&(size_bytes.saturating_sub(1)..size_bytes))
}

/// Counts pieces for whoever watches.
struct Meter<'a> {
    job: &'a Job<'a>,
    size_bytes: u64,
    held_bytes: u64,
    fetched_bytes: &'a mut u64,
}

impl Tap for Meter<'_> {
    fn piece(&mut self, piece: &Leaf) -> Option<Bytes> {
        let bytes = piece.data.len() as u64;
        self.held_bytes += bytes;
        *self.fetched_bytes += bytes;
        let progress = Progress {
            stage: Stage::Fetch,
            done_bytes: self.held_bytes,
            total_bytes: Some(self.size_bytes),
        };
        self.job.flying.report(self.job.progress, progress);
        None
    }

    fn reader(&self) -> Option<&mpsc::Sender<Result<Bytes, FetchError>>> {
        None
    }
}

/// How an attempt with one peer failed.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Try the next one.
    Peer(PeerFault),
    /// Give up.
    Fetch(FetchError),
    /// Whoever read along has gone.
    NobodyReads,
}

impl From<PeerFault> for Attempt {
    fn from(fault: PeerFault) -> Self {
        Self::Peer(fault)
    }
}

impl From<FetchError> for Attempt {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<TransferError> for Attempt {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Peer(fault) => Self::Peer(fault),
            TransferError::Local(error) => Self::Fetch(error.into()),
            TransferError::NobodyReads => Self::NobodyReads,
        }
    }
}
