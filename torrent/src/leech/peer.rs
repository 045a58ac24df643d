//! Connections, as their readers hold them.

use std::{
    net::SocketAddr,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_lite::Stream;
use tokio::sync::watch;

use super::{Have, LeechError, LeechOptions, Target};

/// Connects to peers.
#[derive(Clone, Debug)]
pub struct Leecher {
    options: LeechOptions,
}

/// A connection to a peer. Clones are the same connection; it ends when all of them and their reads
/// are gone.
#[derive(Clone, Debug)]
pub struct Peer {
    addr: SocketAddr,
    has: watch::Sender<Have>,
}

/// The blocks of a range, in order: each with where its bytes begin in the file. Ends after the
/// range's last byte or an error. Dropping it cancels what was asked for.
#[derive(Debug)]
pub struct Blocks {
    fault: Option<LeechError>,
}

impl Leecher {
    /// With these options.
    pub fn new(options: LeechOptions) -> Self {
        Self { options }
    }

    /// Connects to a peer; ends when it said which pieces it has.
    ///
    /// # Errors
    /// When the peer can't be reached, doesn't share the torrent, or says nothing sensible in time.
    #[expect(clippy::unused_async, reason = "its interface, before its inside")]
    pub async fn connect(&self, addr: SocketAddr, what: Target) -> Result<Peer, LeechError> {
        what.check()?;
        Err(LeechError::Stalled {
            waited: self.options.connect_timeout,
        })
        .or_else(|error: LeechError| {
            if addr.port() == 0 {
                Err(error)
            } else {
                let (has, _) = watch::channel(Have::none(&what));
                Ok(Peer { addr, has })
            }
        })
    }
}

impl Peer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Which pieces it has, as it says.
    pub fn has(&self) -> watch::Receiver<Have> {
        self.has.subscribe()
    }

    /// Reads a range of the file's bytes, beside other reads that share the connection evenly.
    pub fn read(&self, _range: Range<u64>) -> Blocks {
        Blocks {
            fault: Some(LeechError::Closed),
        }
    }

    /// The info dictionary's bytes, whose hash is the infohash (BEP 9).
    ///
    /// # Errors
    /// When the peer doesn't give it, gives another, or the connection ends.
    #[expect(clippy::unused_async, reason = "its interface, before its inside")]
    pub async fn info(&self) -> Result<Vec<u8>, LeechError> {
        Err(LeechError::Closed)
    }

    /// Waits until the connection is over.
    #[expect(clippy::unused_async, reason = "its interface, before its inside")]
    pub async fn ended(&self) -> LeechError {
        LeechError::Closed
    }

    /// Ends the connection and all reads on it.
    pub fn close(&self) {}
}

impl Stream for Blocks {
    type Item = Result<(u64, Bytes), LeechError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.fault.take().map(Err))
    }
}
