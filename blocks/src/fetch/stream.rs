//! Reading a blob that isn't held yet: what is held comes from the store, what is missing from
//! peers, beginning with the group that is needed first. Everything fetched is stored too.

use std::{
    fs::File,
    ops::Range,
    os::unix::fs::FileExt,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};

use bao_tree::io::Leaf;
use bytes::{Bytes, BytesMut};
use iroh::EndpointAddr;
use iroh_blobs::api::TempTag;
use model::BlobId;
use n0_future::Stream;
use tokio::sync::mpsc;

use super::{
    FetchError, FetchOptions, Fetcher, Inner, Providers,
    peer::PeerFault,
    segment::first_gap,
    transfer::{Sized, Tap, prove_size, transfer},
    whole::Attempt,
};
use crate::{
    BlobSource, BlobStatus, Keep, ReadError, StoreError,
    quota::stored_bytes,
    range::{bytes_in, held_from, last_chunk},
};

/// Bytes asked for at once: read ahead of whoever watches, and lost at most when he leaves.
const WINDOW_BYTES: u64 = 2 * 1024 * 1024;
/// Pieces between the network and the reader: a whole window, so that a paused reader holds up no lane.
const PIECES: usize = 130;
/// Read from a file at once, bytes.
const READ_BYTES: u64 = 256 * 1024;

/// Verified bytes of a range, as they become available.
pub struct VerifiedStream {
    size_bytes: u64,
    range: Range<u64>,
    rx: mpsc::Receiver<Result<Bytes, FetchError>>,
    driver: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl std::fmt::Debug for VerifiedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedStream")
            .field("size_bytes", &self.size_bytes)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl VerifiedStream {
    /// Size of the whole blob, proven.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The bytes that will come, clipped to the size.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }
}

impl Stream for VerifiedStream {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The driver first: it is what fills the channel, and it reads ahead while polled.
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
        self.rx.poll_recv(cx)
    }
}

impl Fetcher {
    /// Reads a range of a blob (`options.range`, or everything), fetching what is missing. The
    /// stream ends early after an error.
    ///
    /// # Errors
    /// When nobody can prove the size, or the range lies outside.
    pub async fn read(
        &self,
        blob: BlobId,
        providers: impl IntoIterator<Item = EndpointAddr>,
        options: FetchOptions,
    ) -> Result<VerifiedStream, FetchError> {
        let blobs = &self.0.blobs;
        if blobs.is_denied(blob) {
            return Err(FetchError::Denied(blob));
        }
        let guard = blobs.guard(blob).await?;
        let mut providers = Providers::new(providers);
        let what = self.size(blob, &mut providers, &options).await?;
        let size_bytes = what.size_bytes;
        let range = options.range.clone().unwrap_or(0..size_bytes);
        if range.start > range.end || (range.start >= size_bytes && !range.is_empty()) {
            return Err(FetchError::Range {
                blob,
                size_bytes,
                range,
            });
        }
        let range = range.start..range.end.min(size_bytes);
        let (tx, rx) = mpsc::channel(PIECES);
        let reader = Reader {
            fetcher: self.clone(),
            what,
            options,
            providers,
            at: range.start,
            end: range.end,
            tx,
            fetched: false,
            guard: Some(guard),
        };
        Ok(VerifiedStream {
            size_bytes,
            range,
            rx,
            driver: Some(Box::pin(reader.run())),
        })
    }

    /// The proven size, from the store or the first provider that proves it.
    async fn size(
        &self,
        blob: BlobId,
        providers: &mut Providers,
        options: &FetchOptions,
    ) -> Result<Sized, FetchError> {
        let held = self.0.blobs.held(blob).await?;
        if let Some(size_bytes) = held.validated_size() {
            return Ok(Sized { blob, size_bytes });
        }
        while let Some(addr) = providers.current() {
            let proof = match self.0.peers.connect(addr).await {
                Ok(connection) => prove_size(&connection, blob, options.stall).await,
                Err(fault) => Err(fault),
            };
            match proof {
                Ok(what) => return Ok(what),
                Err(fault) => {
                    self.drop_if_bad(addr, &fault);
                    providers.give_up(fault);
                }
            }
        }
        Err(providers.exhausted(blob))
    }

    fn drop_if_bad(&self, addr: &EndpointAddr, fault: &PeerFault) {
        if matches!(fault, PeerFault::Lied(_) | PeerFault::Stalled(_)) {
            self.0.peers.drop_peer(addr.id);
        }
    }
}

/// What drives a stream.
struct Reader {
    fetcher: Fetcher,
    what: Sized,
    options: FetchOptions,
    providers: Providers,
    at: u64,
    end: u64,
    tx: mpsc::Sender<Result<Bytes, FetchError>>,
    fetched: bool,
    guard: Option<TempTag>,
}

impl Reader {
    async fn run(mut self) {
        let read = self.read().await;
        let blob = self.what.blob;
        if self.fetched
            && let Err(error) = self.note_fetched().await
        {
            tracing::warn!(target: "blocks::fetch", %error, "a finished read was not noted");
        }
        self.guard = None;
        if let Err(error) = read {
            let error = self.fetcher.give_room_back(blob, error).await;
            // Nobody to tell when the reader has gone.
            self.tx.send(Err(error)).await.ok();
        }
    }

    /// A blob that became complete is kept for the reason given.
    async fn note_fetched(&self) -> Result<(), FetchError> {
        let (fetcher, blob) = (&self.fetcher, self.what.blob);
        if let BlobStatus::Complete { .. } = fetcher.0.blobs.status(blob).await? {
            fetcher.0.blobs.keep(blob, &self.options.keep).await?;
        }
        fetcher.finish(blob).await
    }

    async fn read(&mut self) -> Result<(), FetchError> {
        while self.at < self.end {
            let blob = self.what.blob;
            let held = self.fetcher.0.blobs.held_chunks(blob).await?;
            let here = held_from(&held, self.at, self.end);
            let goes_on = if here > 0 {
                self.send_held(self.at + here).await?
            } else {
                self.send_fetched().await?
            };
            if !goes_on {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends held bytes up to `until`; false when nobody reads any more.
    async fn send_held(&mut self, until: u64) -> Result<bool, FetchError> {
        let blobs = &self.fetcher.0.blobs;
        let blob = self.what.blob;
        let path = match blobs.source(blob).await {
            Ok(BlobSource::Bytes(bytes)) => {
                let (start, end) = (index(self.at), index(until));
                self.at = until;
                return Ok(self.tx.send(Ok(bytes.slice(start..end))).await.is_ok());
            }
            Ok(BlobSource::File { path, .. }) => path,
            Err(ReadError::NotHeld(_)) => blobs.files().data(blob),
            Err(error) => return Err(error.into()),
        };
        while self.at < until {
            let range = self.at..until.min(self.at + READ_BYTES);
            let bytes = read_at(path.clone(), range.clone()).await?;
            self.at = range.end;
            if self.tx.send(Ok(bytes)).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fetches the next window and sends it on; false when nobody reads any more.
    async fn send_fetched(&mut self) -> Result<bool, FetchError> {
        // Only begin when the reader has room for a whole window.
        match self.tx.reserve_many(PIECES).await {
            Ok(room) => drop(room),
            Err(_) => return Ok(false),
        }
        let Some(addr) = self.providers.current().cloned() else {
            return Err(self.providers.exhausted(self.what.blob));
        };
        match self.window(&addr).await {
            Ok(()) => Ok(true),
            Err(Attempt::NobodyReads) => Ok(false),
            Err(Attempt::Fetch(error)) => Err(error),
            Err(Attempt::Peer(fault)) => {
                self.fetcher.drop_if_bad(&addr, &fault);
                self.providers.give_up(fault);
                Ok(true)
            }
        }
    }

    async fn window(&mut self, addr: &EndpointAddr) -> Result<(), Attempt> {
        let fetcher = self.fetcher.clone();
        let Inner {
            blobs,
            peers,
            lanes,
            ..
        } = &*fetcher.0;
        let connection = peers.connect(addr).await?;
        let held = blobs.held(self.what.blob).await.map_err(FetchError::from)?;
        let end = self.end.min(self.at.saturating_add(WINDOW_BYTES));
        let mut chunks = first_gap(&held.ranges, self.at, end);
        if held.validated_size().is_none() {
            chunks |= last_chunk();
        }
        let missing_bytes = bytes_in(&chunks, self.what.size_bytes);
        if missing_bytes > self.options.max_bytes {
            return Err(FetchError::TooLarge {
                blob: self.what.blob,
                wanted_bytes: missing_bytes,
                max_bytes: self.options.max_bytes,
            }
            .into());
        }
        let room = blobs
            .reserve(stored_bytes(missing_bytes))
            .await
            .map_err(FetchError::from)?;
        let turn = lanes.turn(self.options.lane).await;
        if !std::mem::replace(&mut self.fetched, true) {
            let kept = blobs.keep(self.what.blob, &Keep::Partial).await;
            kept.map_err(FetchError::from)?;
        }
        let write = blobs.writes().begin();
        let mut clip = Clip {
            at: self.at,
            end,
            tx: self.tx.clone(),
            got_bytes: 0,
        };
        let (what, stall) = (self.what, self.options.stall);
        let done = transfer(blobs, connection, what, chunks, stall, &mut clip).await;
        drop(turn);
        self.at = clip.at;
        self.options.max_bytes -= clip.got_bytes.min(self.options.max_bytes);
        room.commit(stored_bytes(clip.got_bytes));
        match &done {
            Ok(()) => write.succeeded(),
            Err(_) => {
                drop(write);
                blobs.tidy_after_failure(what.blob).await;
            }
        }
        Ok(done?)
    }
}

/// Hands on what the reader asked for, in order and without the rest of the groups.
struct Clip {
    at: u64,
    end: u64,
    tx: mpsc::Sender<Result<Bytes, FetchError>>,
    got_bytes: u64,
}

impl Tap for Clip {
    fn piece(&mut self, piece: &Leaf) -> Option<Bytes> {
        self.got_bytes += piece.data.len() as u64;
        let piece_end = piece.offset + piece.data.len() as u64;
        if piece.offset > self.at || piece_end <= self.at || self.at >= self.end {
            return None;
        }
        let end = piece_end.min(self.end);
        let (from, to) = (index(self.at - piece.offset), index(end - piece.offset));
        self.at = end;
        Some(piece.data.slice(from..to))
    }

    fn reader(&self) -> Option<&mpsc::Sender<Result<Bytes, FetchError>>> {
        Some(&self.tx)
    }
}

async fn read_at(path: PathBuf, range: Range<u64>) -> Result<Bytes, FetchError> {
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = BytesMut::zeroed(index(range.end - range.start));
        File::open(path)?.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.freeze())
    });
    let read = read.await.map_err(|_| StoreError::Stopped)?;
    Ok(read.map_err(|error| StoreError::new("read a blob", error))?)
}

/// An offset inside a piece that lies in memory.
fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("what lies in memory can be indexed")
}
