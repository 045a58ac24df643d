//! Reading a blob that isn't held yet: what is held comes from the store, what is missing from its
//! sources, beginning with the group that is needed first. Everything fetched is stored too.

use std::{
    fs::File,
    ops::Range,
    os::unix::fs::FileExt,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use iroh::EndpointAddr;
use iroh_blobs::api::TempTag;
use model::BlobId;
use n0_future::{Stream, stream};
use tokio::time::timeout;

use super::{
    FetchError, FetchOptions, Fetcher,
    plan::{Groups, Spans},
    pull::{Pulling, groups_of},
    transfer::Sized,
};
use crate::{BlobSource, BlobStatus, GROUP_BYTES, ReadError, StoreError, range::held_from};

/// What is fetched ahead of a reader that has only begun, bytes.
const FIRST_WINDOW: u64 = 512 * 1024;
/// What is fetched ahead of a reader that goes on and on, bytes.
const MAX_WINDOW: u64 = 8 * 1024 * 1024;
/// Read from a file at once, bytes.
const READ_BYTES: u64 = 256 * 1024;
/// How often the store is looked at, while it writes what has come.
const LOOK: Duration = Duration::from_millis(5);

/// Verified bytes of a range, as they become available.
pub struct VerifiedStream {
    size_bytes: u64,
    range: Range<u64>,
    pieces: stream::Boxed<Result<Bytes, FetchError>>,
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
        self.pieces.as_mut().poll_next(cx)
    }
}

impl Fetcher {
    /// Reads a range of a blob (`options.range`, or everything), fetching what is missing. The
    /// stream ends early after an error. It is fetched ahead while nobody reads, up to a bound.
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
        let held = blobs.held(blob).await?;
        let (size_bytes, pulling, providers) = match held.validated_size() {
            Some(size_bytes) => (size_bytes, None, providers.into_iter().collect()),
            None => {
                let pulling = self.0.pulls.join(&self.0, blob, providers, &options, false);
                (pulling.size().await?.size_bytes, Some(pulling), Vec::new())
            }
        };
        let range = options.range.clone().unwrap_or(0..size_bytes);
        if range.start > range.end || (range.start >= size_bytes && !range.is_empty()) {
            return Err(FetchError::Range {
                blob,
                size_bytes,
                range,
            });
        }
        let range = range.start..range.end.min(size_bytes);
        let reader = Reader {
            fetcher: self.clone(),
            what: Sized { blob, size_bytes },
            options,
            providers,
            pulling,
            at: range.start,
            end: range.end,
            begin: range.start,
            ahead: 0..0,
            held_until: range.start,
            guard: Some(guard),
        };
        let pieces = stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            match reader.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(reader))),
                Ok(None) => {
                    reader.end().await;
                    None
                }
                Err(error) => {
                    let (fetcher, blob) = (reader.fetcher.clone(), reader.what.blob);
                    reader.end().await;
                    Some((Err(fetcher.give_room_back(blob, error).await), None))
                }
            }
        });
        Ok(VerifiedStream {
            size_bytes,
            range,
            pieces: Box::pin(pieces),
        })
    }
}

/// Where a reader is.
struct Reader {
    fetcher: Fetcher,
    what: Sized,
    options: FetchOptions,
    providers: Vec<EndpointAddr>,
    /// A part in the pull, from the first byte on that isn't held.
    pulling: Option<Pulling>,
    begin: u64,
    at: u64,
    end: u64,
    /// What was last asked for.
    ahead: Groups,
    /// The store has everything from `at` up to there.
    held_until: u64,
    guard: Option<TempTag>,
}

impl Reader {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        while self.at < self.end {
            if let Some(piece) = self.piece()? {
                self.look_ahead().await?;
                return Ok(Some(piece));
            }
            if self.held_until <= self.at {
                let held = self.fetcher.0.blobs.held_chunks(self.what.blob).await?;
                self.held_until = self.at + held_from(&held, self.at, self.end);
            }
            if self.held_until > self.at {
                let bytes = self.read_held().await?;
                self.look_ahead().await?;
                return Ok(Some(bytes));
            }
            self.wait().await?;
        }
        Ok(None)
    }

    /// What came a moment ago, if it is what is read next.
    fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        let Some(pulling) = &self.pulling else {
            return Ok(None);
        };
        let Some((offset, data)) = pulling.piece(self.at)? else {
            return Ok(None);
        };
        let end = (offset + data.len() as u64).min(self.end);
        let bytes = data.slice(index(self.at - offset)..index(end - offset));
        self.at = end;
        Ok(Some(bytes))
    }

    /// Waits for the next bytes to come.
    async fn wait(&mut self) -> Result<(), FetchError> {
        if self.pulling.is_none() {
            let providers = std::mem::take(&mut self.providers);
            let inner = &self.fetcher.0;
            let blob = self.what.blob;
            let pulling = inner
                .pulls
                .join(inner, blob, providers, &self.options, false);
            pulling.size().await?;
            self.pulling = Some(pulling);
        }
        let group = self.at / GROUP_BYTES;
        if !self.ahead.contains(&group) {
            return self.ask().await;
        }
        let Some(pulling) = &self.pulling else {
            return Ok(());
        };
        if pulling.is_landed(self.at) {
            timeout(LOOK, pulling.news()).await.ok();
        } else {
            pulling.news().await;
        }
        Ok(())
    }

    /// Asks for more in time, so that what is fetched ahead grows while it is read.
    async fn look_ahead(&mut self) -> Result<(), FetchError> {
        let wanted = self.window();
        let is_all = self.ahead.end >= groups_of(&(self.at..self.end)).end;
        let left = self.ahead.end.saturating_sub(self.at / GROUP_BYTES);
        if self.pulling.is_none() || is_all || left * GROUP_BYTES > wanted / 4 * 3 {
            return Ok(());
        }
        self.ask().await
    }

    fn window(&self) -> u64 {
        ((self.at - self.begin) * 2).clamp(FIRST_WINDOW, MAX_WINDOW)
    }

    async fn ask(&mut self) -> Result<(), FetchError> {
        let Some(pulling) = &self.pulling else {
            return Ok(());
        };
        let until = self.end.min(self.at.saturating_add(self.window()));
        let ahead = groups_of(&(self.at..until));
        let missing_bytes = pulling.missing_bytes(&Spans::one(ahead.clone()))?;
        if missing_bytes.saturating_add(pulling.came_bytes()) > self.options.max_bytes {
            return Err(FetchError::TooLarge {
                blob: self.what.blob,
                wanted_bytes: missing_bytes,
                max_bytes: self.options.max_bytes,
            });
        }
        if missing_bytes > 0 && !pulling.has_turn() {
            pulling.take_turn(self.options.lane).await;
        }
        pulling.read(self.what, self.at, ahead.clone()).await?;
        self.ahead = ahead;
        Ok(())
    }

    /// Held bytes from where the reader is.
    async fn read_held(&mut self) -> Result<Bytes, FetchError> {
        let blobs = &self.fetcher.0.blobs;
        let blob = self.what.blob;
        let until = self.held_until.min(self.at + READ_BYTES);
        let range = self.at..until;
        let bytes = match blobs.source(blob).await {
            Ok(BlobSource::Bytes(bytes)) => bytes.slice(index(range.start)..index(range.end)),
            Ok(BlobSource::File { path, .. }) => read_at(path, range).await?,
            Err(ReadError::NotHeld(_)) => read_at(blobs.files().data(blob), range).await?,
            Err(error) => return Err(error.into()),
        };
        self.at = until;
        Ok(bytes)
    }

    /// Gives back what was promised, and notes what became complete.
    async fn end(&mut self) {
        let Some(pulling) = self.pulling.take() else {
            return;
        };
        let ended = async {
            pulling.end().await?;
            let has_fetched = pulling.came_bytes() > 0;
            drop(pulling);
            if has_fetched {
                let blobs = &self.fetcher.0.blobs;
                if let BlobStatus::Complete { .. } = blobs.status(self.what.blob).await? {
                    blobs.keep(self.what.blob, &self.options.keep).await?;
                }
                self.fetcher.finish(self.what.blob).await?;
            }
            Ok::<_, FetchError>(())
        };
        if let Err(error) = ended.await {
            tracing::warn!(target: "blocks::fetch", %error, "a finished read was not noted");
        }
        self.guard = None;
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
