//! What the rest of the node says to the driver.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use iroh::EndpointAddr;
use model::{EndpointKey, EntryId, SpaceId};
use thiserror::Error;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::{Event, Follow, Scope};

/// Commands that may wait for the driver.
pub(super) const COMMANDS: usize = 1_024;
/// Events that a slow subscriber may be behind.
pub(super) const EVENTS: usize = 4_096;

/// The driver is gone: the node is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the exchange with peers has stopped")]
pub struct Stopped;

/// To how many an entry was handed at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Direct neighbours on the topics it went to.
    pub neighbors: usize,
}

/// How a peer is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// Directly, at this address.
    Direct(std::net::SocketAddr),
    /// Through a relay, at this URL.
    Relay(String),
    /// Not connected for sync at the moment.
    Unknown,
}

/// One peer, as the node page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStats {
    /// Entries that it sent us.
    pub entries_in: u64,
    /// Entries that we sent it.
    pub entries_out: u64,
    /// Round-trip time of the selected path.
    pub rtt: Option<Duration>,
    /// The selected path.
    pub path: Path,
    /// Topics shared with it as a direct neighbour.
    pub topics: usize,
    /// When we last heard of it, Unix milliseconds.
    pub seen_ms: u64,
    /// Whether it is a neighbour or connected now.
    pub up: bool,
    /// Until when it is banned, Unix milliseconds.
    pub banned_until_ms: Option<u64>,
}

/// All of the exchange, as the node page shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Peers known this run.
    pub peers: BTreeMap<EndpointKey, PeerStats>,
    /// Live topics.
    pub topics: usize,
    /// Sync sessions now under way.
    pub sessions: usize,
}

pub(super) enum Command {
    Publish(Vec<EntryId>, oneshot::Sender<Published>),
    Follow(Follow, Vec<EndpointAddr>),
    Unfollow(Follow),
    AddPeer(EndpointAddr),
    Holdings(SpaceId, Vec<(Option<EntryId>, Vec<u8>)>),
    Sync(Scope, oneshot::Sender<usize>),
    Fetch(Vec<EntryId>, oneshot::Sender<bool>),
    NetworkChange,
}

/// Speaks to the driver; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) stats: watch::Receiver<Arc<Stats>>,
}

impl Handle {
    /// Tells peers of entries that this node stored: its own posts, usually.
    ///
    /// # Errors
    /// When the driver has stopped, here and below.
    pub async fn publish(&self, entries: Vec<EntryId>) -> Result<Published, Stopped> {
        self.ask(|reply| Command::Publish(entries, reply)).await
    }

    /// Joins a space's topic and syncs it, its threads included, first with `bootstrap`.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub async fn follow_space(
        &self,
        space: SpaceId,
        bootstrap: Vec<EndpointAddr>,
    ) -> Result<(), Stopped> {
        self.send(Command::Follow(Follow::Space(space), bootstrap))
            .await
    }

    /// Joins a thread's topic and syncs it, first with `bootstrap`.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub async fn follow_thread(
        &self,
        space: SpaceId,
        root: EntryId,
        bootstrap: Vec<EndpointAddr>,
    ) -> Result<(), Stopped> {
        self.send(Command::Follow(Follow::Thread { space, root }, bootstrap))
            .await
    }

    /// Leaves the topics again; the replica must have stopped wanting it before.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub async fn unfollow(&self, follow: Follow) -> Result<(), Stopped> {
        self.send(Command::Unfollow(follow)).await
    }

    /// A peer to try for everything that is followed: from a ticket, mDNS or the config.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub async fn add_peer(&self, address: EndpointAddr) -> Result<(), Stopped> {
        self.send(Command::AddPeer(address)).await
    }

    /// Gossips signed holding statements: each with the thread whose topic it belongs on, if any.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub async fn announce_holdings(
        &self,
        space: SpaceId,
        statements: Vec<(Option<EntryId>, Vec<u8>)>,
    ) -> Result<(), Stopped> {
        self.send(Command::Holdings(space, statements)).await
    }

    /// Syncs a scope with every peer that is up, without waiting for its turn; answers with how many
    /// those are. [`Event::Synced`] tells when each is done.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub async fn sync_now(&self, scope: Scope) -> Result<usize, Stopped> {
        self.ask(|reply| Command::Sync(scope, reply)).await
    }

    /// Asks peers for entries by id, one after the other; true when all of them are held then.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub async fn fetch(&self, entries: Vec<EntryId>) -> Result<bool, Stopped> {
        self.ask(|reply| Command::Fetch(entries, reply)).await
    }

    /// After sleep or a change of address: joins topics again and syncs everything.
    ///
    /// # Errors
    /// When the driver has stopped.
    pub async fn network_change(&self) -> Result<(), Stopped> {
        self.send(Command::NetworkChange).await
    }

    /// Peers, topics and sessions; at most a second old.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.borrow().clone()
    }

    /// Events from now on. Who lags loses the oldest: read the state anew then.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| Stopped)
    }
}
