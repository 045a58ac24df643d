//! Accepts sync connections.

use iroh::{
    endpoint::Connection,
    protocol::{AcceptError, ProtocolHandler},
};

/// Handles [`super::ALPN`] for the node's router; cheap to clone.
#[derive(Clone, Debug)]
pub struct SyncProtocol {}

impl ProtocolHandler for SyncProtocol {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        connection.closed().await;
        Ok(())
    }
}
