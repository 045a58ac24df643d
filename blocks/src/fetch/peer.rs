//! Connections to providers, and what can be wrong with one.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use iroh::{
    Endpoint, EndpointAddr, EndpointId,
    endpoint::{Connection, ReadError, VarInt, WriteError},
};
use iroh_blobs::{
    get::{
        GetError,
        fsm::{AtBlobHeaderNextError, AtClosingNextError, DecodeError},
    },
    protocol::{ERR_INTERNAL, ERR_LIMIT, ERR_PERMISSION},
};
use thiserror::Error;

/// Time for a connection to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections kept for the next fetch.
const CONNECTIONS: usize = 64;

/// What went wrong with a peer.
#[derive(Debug, Error)]
pub enum PeerFault {
    /// It sent bytes that don't match the name: it is to be remembered as a liar.
    #[error("sent bytes that don't match the hash ({0})")]
    Lied(&'static str),
    /// It doesn't have the bytes.
    #[error("does not have it")]
    NotHeld,
    /// It doesn't serve this blob to this node.
    #[error("refuses to serve it")]
    Refused,
    /// It has too much to do; worth asking later.
    #[error("is busy")]
    Busy,
    /// It sent nothing for too long.
    #[error("sent nothing for {0:?}")]
    Stalled(Duration),
    /// It can't be reached.
    #[error("can't be reached")]
    Unreachable(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The connection broke.
    #[error("broke off")]
    Broke(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PeerFault {
    /// Whether no honest peer does this.
    pub fn is_lie(&self) -> bool {
        matches!(self, Self::Lied(_))
    }

    /// What a transfer's error says about the peer.
    pub(super) fn of(error: GetError) -> Self {
        match error {
            GetError::Decode { source, .. } => Self::decode(source),
            GetError::AtBlobHeaderNext {
                source: AtBlobHeaderNextError::NotFound { .. },
                ..
            } => Self::NotHeld,
            GetError::AtBlobHeaderNext {
                source: AtBlobHeaderNextError::Read { source, .. },
                ..
            }
            | GetError::AtClosingNext {
                source: AtClosingNextError::Read { source, .. },
                ..
            } => Self::stream(source),
            other => match other.iroh_error_code() {
                Some(code) => Self::code(code),
                None => Self::Broke(Box::new(other)),
            },
        }
    }

    pub(super) fn decode(error: DecodeError) -> Self {
        match error {
            DecodeError::ParentHashMismatch { .. } => Self::Lied("an inner hash"),
            DecodeError::LeafHashMismatch { .. } => Self::Lied("a piece of the data"),
            DecodeError::ChunkNotFound { .. }
            | DecodeError::ParentNotFound { .. }
            | DecodeError::LeafNotFound { .. } => Self::NotHeld,
            DecodeError::Read { source, .. } => Self::stream(source),
            other => Self::Broke(Box::new(other)),
        }
    }

    pub(crate) fn stream(error: io::Error) -> Self {
        let inner = error.get_ref();
        if let Some(ReadError::Reset(code)) = inner.and_then(|e| e.downcast_ref()) {
            return Self::code(*code);
        }
        if let Some(WriteError::Stopped(code)) = inner.and_then(|e| e.downcast_ref()) {
            return Self::code(*code);
        }
        Self::Broke(Box::new(error))
    }

    fn code(code: VarInt) -> Self {
        match code {
            ERR_PERMISSION => Self::Refused,
            ERR_LIMIT => Self::Busy,
            // What a provider answers when it has nothing, or not all of what was asked for.
            ERR_INTERNAL => Self::NotHeld,
            other => Self::Broke(format!("the stream was reset with code {other}").into()),
        }
    }
}

/// Open connections, by peer.
#[derive(Debug)]
pub(super) struct Peers {
    endpoint: Endpoint,
    open: Mutex<BTreeMap<EndpointId, Connection>>,
}

impl Peers {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            open: Mutex::default(),
        }
    }

    pub(super) async fn connect(&self, addr: &EndpointAddr) -> Result<Connection, PeerFault> {
        if let Some(connection) = self.known(addr.id) {
            return Ok(connection);
        }
        let connection = self.open(addr, crate::ALPN).await?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= CONNECTIONS {
            // Dropping a handle closes nothing that a transfer still uses.
            open.pop_first();
        }
        open.insert(addr.id, connection.clone());
        Ok(connection)
    }

    /// A new connection for any protocol, kept by nobody.
    pub(super) async fn open(
        &self,
        addr: &EndpointAddr,
        alpn: &[u8],
    ) -> Result<Connection, PeerFault> {
        let connecting = self.endpoint.connect(addr.clone(), alpn);
        tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| PeerFault::Unreachable(None))?
            .map_err(|error| PeerFault::Unreachable(Some(Box::new(error))))
    }

    /// Closes the connection to a peer that lied or stalled.
    pub(super) fn drop_peer(&self, peer: EndpointId) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = open.remove(&peer) {
            connection.close(0u32.into(), b"");
        }
    }

    fn known(&self, peer: EndpointId) -> Option<Connection> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, connection| connection.close_reason().is_none());
        open.get(&peer).cloned()
    }
}
