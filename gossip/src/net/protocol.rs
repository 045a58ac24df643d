//! Accepts sync connections.

use std::sync::Arc;

use iroh::{
    endpoint::Connection,
    protocol::{AcceptError, ProtocolHandler},
};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    BANNED,
    shared::{Shared, now_ms, to_key},
    stream,
};
use crate::{node::Input, schedule::Ending, sync::Session};

/// Sessions that peers have open with this node at once.
const SESSIONS: usize = 64;
/// Of those, by one connection.
const SESSIONS_OF_PEER: usize = 8;

/// Handles [`super::ALPN`] for the node's router; cheap to clone.
#[derive(Clone, Debug)]
pub struct SyncProtocol {
    shared: Arc<Shared>,
    sessions: Arc<Semaphore>,
}

impl SyncProtocol {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            sessions: Arc::new(Semaphore::new(SESSIONS)),
        }
    }
}

impl ProtocolHandler for SyncProtocol {
    async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        let peer = to_key(connection.remote_id());
        let mut tasks = JoinSet::new();
        loop {
            if self.shared.is_banned(peer) {
                connection.close(BANNED.into(), b"banned");
                break;
            }
            while tasks.len() >= SESSIONS_OF_PEER {
                tasks.join_next().await;
            }
            let (send, recv) = tokio::select! {
                stream = connection.accept_bi() => match stream {
                    Ok(stream) => stream,
                    Err(_) => break,
                },
                () = self.shared.inputs.closed() => break,
                Some(_) = tasks.join_next() => continue,
            };
            let shared = self.shared.clone();
            let (connection, sessions) = (connection.clone(), self.sessions.clone());
            tasks.spawn(async move {
                // Only now: connections that wait for a stream must not hold others up.
                let Ok(_permit) = sessions.acquire_owned().await else {
                    return;
                };
                let session = Session::respond(peer, now_ms());
                let ending = stream::run(shared.clone(), session, None, send, recv).await;
                if let Ending::Lied(reason) = ending {
                    connection.close(super::LIED.into(), b"fault");
                    let _ = shared.inputs.send(Input::Lied { peer, reason }).await;
                }
            });
        }
        // What is under way ends with its connection.
        while tasks.join_next().await.is_some() {}
        Ok(())
    }
}
