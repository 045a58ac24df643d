//! Real endpoints on loopback, in one process, over replicas in memory.

#![allow(clippy::unwrap_used)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use iroh::{Endpoint, EndpointAddr, endpoint::presets, protocol::Router};
use iroh_gossip::net::Gossip;
use model::EntryId;
use tokio::{sync::broadcast, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{ALPN, Driver, Event, Handle, Options};
use crate::{Content, Follow, MemoryReplica, Packet, Replica, Scope, testing::Forum};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(15);

struct Peer {
    replica: Arc<MemoryReplica>,
    endpoint: Endpoint,
    router: Router,
    handle: Handle,
    events: broadcast::Receiver<Event>,
    cancel: CancellationToken,
    driver: JoinHandle<()>,
}

async fn endpoint() -> Endpoint {
    let builder = Endpoint::builder(presets::Minimal).clear_ip_transports();
    let builder = builder.bind_addr("127.0.0.1:0").unwrap();
    builder.bind().await.unwrap()
}

impl Peer {
    async fn start(replica: MemoryReplica, seed: u64) -> Self {
        let endpoint = endpoint().await;
        let gossip = Gossip::builder().spawn(endpoint.clone());
        let replica = Arc::new(replica);
        let options = Options {
            seed,
            ..Options::default()
        };
        let (driver, handle, protocol) =
            Driver::new(endpoint.clone(), gossip.clone(), replica.clone(), options);
        let router = Router::builder(endpoint.clone())
            .accept(ALPN, protocol)
            .accept(iroh_gossip::ALPN, gossip)
            .spawn();
        let cancel = CancellationToken::new();
        let events = handle.subscribe();
        let driver = tokio::spawn(driver.run(cancel.clone()));
        Self {
            replica,
            endpoint,
            router,
            handle,
            events,
            cancel,
            driver,
        }
    }

    fn address(&self) -> EndpointAddr {
        self.endpoint.addr()
    }

    async fn wait(&mut self, what: &str, mut is_it: impl FnMut(&Event) -> bool) {
        let wait = async { while !is_it(&self.events.recv().await.unwrap()) {} };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("no {what}"));
    }

    async fn wait_for(&mut self, id: EntryId) {
        self.wait(
            "entry",
            |event| matches!(event, Event::NewEntries { ids, .. } if ids.contains(&id)),
        )
        .await;
    }

    async fn wait_synced(&mut self, count: usize) {
        let replica = self.replica.clone();
        self.wait("all entries", |event| {
            matches!(event, Event::Synced { .. } | Event::NewEntries { .. })
                && replica.len() == count
        })
        .await;
    }

    async fn stop(self) {
        self.cancel.cancel();
        tokio::time::timeout(PATIENCE, self.driver)
            .await
            .unwrap()
            .unwrap();
        self.router.shutdown().await.unwrap();
    }
}

fn replica(forum: &Forum, full: bool) -> MemoryReplica {
    let replica = MemoryReplica::new();
    replica.follow(Follow::Space(forum.space));
    if full {
        for packet in &forum.packets {
            replica.insert(packet.clone()).unwrap();
        }
    }
    replica
}

async fn publish(peer: &Peer, packet: &Packet) -> EntryId {
    let id = peer.replica.insert(packet.clone()).unwrap();
    peer.handle.publish(vec![id]).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_everything_and_then_each_post_live() {
    let mut forum = Forum::new(3, 20, 5);
    let a = Peer::start(replica(&forum, true), 1).await;
    let mut b = Peer::start(replica(&forum, false), 2).await;
    b.handle
        .follow_space(forum.space, vec![a.address()])
        .await
        .unwrap();
    b.wait_synced(forum.packets.len()).await;

    let root = forum.start(0);
    let id = publish(&a, &root).await;
    b.wait_for(id).await;
    let mut times = Vec::new();
    for turn in 0..20 {
        let packet = forum.reply(20, turn);
        let begin = Instant::now();
        let id = publish(&a, &packet).await;
        b.wait_for(id).await;
        times.push(begin.elapsed());
    }
    times.sort();
    println!("post to visible: p50 {:?}, most {:?}", times[10], times[19]);

    // The other way too, and too long for a message: announced and fetched.
    let long = forum.long_reply(20, 1);
    assert!(matches!(&long.content, Content::Held(bytes) if bytes.len() > 20_000));
    let id = publish(&b, &long).await;
    let mut a = a;
    a.wait_for(id).await;
    let joined = b.handle.stats.wait_for(|stats| stats.topics == 2);
    tokio::time::timeout(PATIENCE, joined)
        .await
        .unwrap()
        .unwrap();
    tokio::join!(a.stop(), b.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_in_a_row_and_one_that_was_off() {
    let mut forum = Forum::new(2, 3, 3);
    let a = Peer::start(replica(&forum, true), 1).await;
    let mut b = Peer::start(replica(&forum, false), 2).await;
    let mut c = Peer::start(replica(&forum, false), 3).await;
    b.handle
        .follow_space(forum.space, vec![a.address()])
        .await
        .unwrap();
    b.wait_synced(forum.packets.len()).await;
    c.handle
        .follow_space(forum.space, vec![b.address()])
        .await
        .unwrap();
    c.wait_synced(forum.packets.len()).await;
    let id = publish(&a, &forum.reply(0, 1)).await;
    c.wait_for(id).await;

    // C goes away with what it has; meanwhile others write; it comes back and catches up.
    let kept = MemoryReplica::new();
    kept.follow(Follow::Space(forum.space));
    for packet in &forum.packets {
        kept.insert(packet.clone()).unwrap();
    }
    c.stop().await;
    for turn in 0..10 {
        publish(&a, &forum.reply(turn % 3, turn)).await;
    }
    let mut c = Peer::start(kept, 4).await;
    c.handle.add_peer(a.address()).await.unwrap();
    c.wait_synced(forum.packets.len()).await;
    b.wait_synced(forum.packets.len()).await;
    tokio::join!(a.stop(), b.stop(), c.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_by_id_and_a_sync_on_demand() {
    let forum = Forum::new(1, 1, 4);
    let a = Peer::start(replica(&forum, true), 1).await;
    let other = MemoryReplica::new();
    let mut b = Peer::start(other, 2).await;
    b.handle.add_peer(a.address()).await.unwrap();
    let genesis = forum.space.entry();
    assert!(b.handle.fetch(vec![genesis]).await.unwrap());
    assert!(!b.handle.fetch(vec![EntryId::of(b"none")]).await.unwrap());
    b.replica.follow(Follow::Space(forum.space));
    b.wait("the peer is up", |event| {
        matches!(event, Event::PeerUp(_) | Event::NewEntries { .. })
    })
    .await;
    b.handle
        .follow_thread(forum.space, forum.roots[0], vec![a.address()])
        .await
        .unwrap();
    b.handle
        .sync_now(Scope::thread(forum.space, forum.roots[0]))
        .await
        .unwrap();
    b.wait_synced(forum.packets.len()).await;
    tokio::join!(a.stop(), b.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_is_banned_and_the_node_goes_on() {
    let forum = Forum::new(1, 1, 4);
    let mut a = Peer::start(replica(&forum, true), 1).await;
    let liar = endpoint().await;
    let connection = liar.connect(a.address(), ALPN).await.unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    a.wait("ban", |event| matches!(event, Event::Banned { .. }))
        .await;
    connection.closed().await;
    let again = liar.connect(a.address(), ALPN).await.unwrap();
    again.closed().await;

    let mut b = Peer::start(replica(&forum, false), 2).await;
    b.handle
        .follow_space(forum.space, vec![a.address()])
        .await
        .unwrap();
    b.wait_synced(forum.packets.len()).await;
    assert_eq!(
        a.replica.digests(forum.space).unwrap(),
        b.replica.digests(forum.space).unwrap()
    );
    tokio::join!(a.stop(), b.stop(), liar.close());
}
