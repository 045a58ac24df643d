//! Connections, as their readers hold them.

use std::{
    fmt, io,
    net::SocketAddr,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_lite::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::{
    Have, LeechError, LeechOptions, Target,
    core::Core,
    driver,
    reads::ReadId,
    shared::{Phase, Shared},
};

/// How our ids begin, after the custom of naming client and version; the rest is drawn for each
/// connection.
const PEER_ID: &[u8; 8] = b"-DT0001-";

/// Connects to peers.
#[derive(Clone, Debug)]
pub struct Leecher {
    options: LeechOptions,
}

/// A connection to a peer. Clones are the same connection; it ends when all of them and their reads
/// are gone.
#[derive(Clone)]
pub struct Peer {
    addr: SocketAddr,
    handle: Arc<Handle>,
}

/// The bytes of a range, in order and without gaps: in parts of at most a block, each with where it
/// begins in the file. Ends after the range's last byte or an error. What came waits here: a reader
/// that doesn't read isn't sent much more. Dropping it cancels what was asked for.
pub struct Blocks {
    handle: Arc<Handle>,
    /// None when it is over.
    state: Option<Result<ReadId, LeechError>>,
}

/// Ends the connection when nobody holds it any more.
struct Handle {
    shared: Arc<Shared>,
    // The driver: it closes the connection by itself when told, and is not waited for.
    _driver: JoinSet<()>,
}

impl Leecher {
    /// With these options.
    pub fn new(options: LeechOptions) -> Self {
        Self { options }
    }

    /// Connects to a peer over TCP; ends when it said which pieces it has.
    ///
    /// # Errors
    /// When the peer can't be reached, doesn't share the torrent, or says nothing sensible in time.
    pub async fn connect(&self, addr: SocketAddr, what: Target) -> Result<Peer, LeechError> {
        what.check()?;
        let unreachable = |error| LeechError::Unreachable {
            addr,
            source: Arc::new(error),
        };
        let stream = timeout(self.options.connect_timeout, TcpStream::connect(addr)).await;
        let stream = stream
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(unreachable)?;
        // requests are small, and shall not wait for each other
        stream.set_nodelay(true).map_err(unreachable)?;
        self.open(stream, addr, what).await
    }

    /// Speaks to a peer through a connection that is there.
    pub(super) async fn open(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        addr: SocketAddr,
        what: Target,
    ) -> Result<Peer, LeechError> {
        let mut peer_id = [0; 20];
        let (name, drawn) = peer_id.split_at_mut(PEER_ID.len());
        name.copy_from_slice(PEER_ID);
        getrandom::fill(drawn).map_err(LeechError::Random)?;
        let core = Core::new(what, &self.options, peer_id, driver::now());
        let shared = Arc::new(Shared::new(core));
        let throttle = self.options.throttle.clone();
        let mut driver = JoinSet::new();
        driver.spawn(driver::run(stream, shared.clone(), throttle));
        let handle = Arc::new(Handle {
            shared: shared.clone(),
            _driver: driver,
        });
        let mut phase = shared.phase();
        let reached = phase
            .wait_for(|phase| !matches!(phase, Phase::Opening))
            .await;
        match reached.as_deref() {
            Ok(Phase::Over(error)) => Err(error.clone()),
            Ok(_) => Ok(Peer { addr, handle }),
            Err(_) => Err(LeechError::Closed),
        }
    }
}

impl Peer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Which pieces it has, as it says; what it said last stays when the connection is over.
    pub fn has(&self) -> watch::Receiver<Have> {
        self.handle.shared.has()
    }

    /// Reads a range of the file's bytes, beside other reads that share the connection evenly. The
    /// bytes are as the peer sent them.
    pub fn read(&self, range: Range<u64>) -> Blocks {
        let state = Some(self.handle.shared.read(range));
        let handle = self.handle.clone();
        Blocks { handle, state }
    }

    /// The info dictionary's bytes, whose hash is the infohash (BEP 9); at most
    /// [`crate::MAX_METAINFO_BYTES`].
    ///
    /// # Errors
    /// When the peer doesn't give it, gives another, or the connection ends.
    pub async fn info(&self) -> Result<Vec<u8>, LeechError> {
        let answer = self.handle.shared.want_info(driver::now())?;
        answer.await.unwrap_or(Err(LeechError::Closed))
    }

    /// Waits until the connection is over, and says why.
    pub async fn ended(&self) -> LeechError {
        let mut phase = self.handle.shared.phase();
        let over = phase
            .wait_for(|phase| matches!(phase, Phase::Over(_)))
            .await;
        match over.as_deref() {
            Ok(Phase::Over(error)) => error.clone(),
            _ => LeechError::Closed,
        }
    }

    /// Ends the connection and all reads on it.
    pub fn close(&self) {
        self.handle.shared.end(LeechError::Closed);
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Stream for Blocks {
    type Item = Result<(u64, Bytes), LeechError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.state.take() {
            Some(Ok(id)) => {
                let polled = self.handle.shared.poll_read(id, cx);
                if !matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                    self.state = Some(Ok(id));
                }
                polled
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        if let Some(Ok(id)) = self.state {
            self.handle.shared.end_read(id);
        }
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.end(LeechError::Closed);
    }
}
