//! Peers that send garbage, nothing, or everything: the node drops them and goes on with the others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use iroh::endpoint::{Connection, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId};
use model::Ticket;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::node::Node;
use crate::scene::{Scene, board, join, noise, reply, shows, thread, verified};

/// How long a node may take to get rid of a peer that sends nothing sensible.
const DROPPED: Duration = Duration::from_secs(60);
/// What "everything" is: far more than any frame may hold.
const EVERYTHING: usize = 64 << 20;

/// A peer that isn't datt, and can be anything.
struct Stranger(Endpoint);

impl Stranger {
    async fn new() -> Result<Self> {
        let endpoint = Endpoint::builder(presets::Minimal)
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")?
            .bind()
            .await?;
        Ok(Self(endpoint))
    }

    /// Connects to the node that wrote the ticket.
    async fn connect(&self, node: &Node, protocol: &[u8]) -> Result<Connection> {
        let ticket: Ticket = node.ticket.parse()?;
        let mut address = EndpointAddr::new(EndpointId::from_bytes(ticket.endpoint.as_bytes())?);
        for ip in ticket.addresses {
            address = address.with_ip_addr(ip);
        }
        self.0
            .connect(address, protocol)
            .await
            .context("connecting to the node")
    }
}

/// Writes as long as the node takes it, then waits until the node ends the stream or connection.
async fn pours(connection: &Connection, bytes: &[u8]) -> Result<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    let poured = async {
        for chunk in bytes.chunks(1 << 16) {
            // refused in the middle: just what should happen
            if send.write_all(chunk).await.is_err() {
                return;
            }
        }
        let _ = send.flush().await;
        // its answer, if any, and the end of the stream
        let _ = receive.read_to_end(1 << 20).await;
    };
    timeout(DROPPED, poured)
        .await
        .context("the node neither refused nor ended the stream")
}

/// The node still serves its person and its honest peers.
fn goes_on(a: &Node, b: &Node, root: &str, posts: u64) -> Result<()> {
    ensure!(
        a.reader()?.get("/healthz")?.status == 200,
        "the node is ill"
    );
    reply(a, root, "still here")?;
    shows(b, root, posts)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_nothing_and_everything() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let root = thread(&a, &board, "Undisturbed")?;
    join(&b, &board.ticket)?;
    shows(&b, &root, 1)?;
    let before = a.memory_kib("VmRSS")?;

    let mut posts = 1;
    for (what, bytes) in [
        ("garbage", noise(10_000, 1)),
        ("a frame that claims to be huge", vec![0xff; 64]),
        ("zeros", vec![0; 10_000]),
        ("everything", noise(EVERYTHING, 2)),
    ] {
        // another stranger each time: a liar isn't heard twice
        let stranger = Stranger::new().await?;
        let connection = stranger.connect(&a, b"datt/sync/1").await?;
        pours(&connection, &bytes).await.context(what)?;
        posts += 1;
        goes_on(&a, &b, &root, posts).context(what)?;
        stranger.0.close().await;
    }
    let grown = a.memory_kib("VmRSS")?.saturating_sub(before);
    ensure!(
        grown < 48 << 10,
        "a stranger made the node take {grown} KiB"
    );
    verified(&a)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stays_silent_costs_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let (a, b) = (scene.node("a")?, scene.node("b")?);
    let board = board(&a)?;
    let root = thread(&a, &board, "Silence")?;
    join(&b, &board.ticket)?;
    shows(&b, &root, 1)?;
    let stranger = Stranger::new().await?;
    let mut held = Vec::new();
    for _ in 0..50 {
        let connection = stranger.connect(&a, b"datt/sync/1").await?;
        let streams = connection.open_bi().await?;
        held.push((connection, streams));
    }
    goes_on(&a, &b, &root, 2)?;
    // and stopping doesn't wait for them
    let (_, status, took) = a.stop()?;
    ensure!(
        status.success() && took < Duration::from_secs(8),
        "{status} after {took:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_that_is_not_spoken_is_refused() -> Result<()> {
    let scene = Scene::new()?;
    let a = scene.node("a")?;
    let stranger = Stranger::new().await?;
    ensure!(
        stranger.connect(&a, b"datt/sync/999").await.is_err(),
        "an unknown protocol was accepted"
    );
    ensure!(
        a.reader()?.get("/healthz")?.status == 200,
        "the node is ill"
    );
    Ok(())
}
