//! A large blob from node to node, against iroh-blobs by itself.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use iroh::endpoint::presets;
use iroh::protocol::Router;
use iroh::{Endpoint, address_lookup::memory::MemoryLookup};
use iroh_blobs::BlobsProtocol;
use iroh_blobs::store::fs::FsStore;
use serde_json::{Value, json};

use crate::files;
use crate::node::Node;
use crate::row::Row;
use crate::stage::{Stage, add, board, follow, post, seconds};

/// Runs of each side, taking turns; the best counts.
const RUNS: usize = 3;

pub fn run(stage: &Stage) -> Result<()> {
    let file = stage.path("large.bin");
    files::make(&file, stage.large_bytes())?;
    #[expect(clippy::cast_precision_loss, reason = "sizes in MiB")]
    let mib = stage.large_bytes() as f64 / f64::from(1 << 20);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);

    let a = stage.setup("a").start()?;
    let (space, ticket) = board(&a)?;
    let blob = add(&a, &file)?;
    let thread = post(
        &a.client()?,
        &json!({"space": space, "title": "Large", "body": "", "media": [blob]}),
    )?;
    for run in 0..RUNS {
        let took = runtime.block_on(iroh_alone(stage, &file, run))?;
        theirs = theirs.max(mib / took);
        let b = stage.setup(&format!("b{run}")).start()?;
        follow(&b, &ticket, &thread, 1)?;
        let ((), took) = seconds(|| fetched(&b, &blob, |_| Ok(())))?;
        ours = ours.max(mib / took);
        let (setup, ..) = b.stop()?;
        std::fs::remove_dir_all(setup.data())?;
    }
    Row::new(
        "transfer",
        format!("node to node, {mib:.0} MiB, against iroh-blobs alone"),
    )
    .ratio(ours, theirs, "MiB/s", 0.9);
    Ok(())
}

/// Has the node fetch the blob and waits for the end; `look` is told the part that it holds.
pub fn fetched(node: &Node, blob: &str, mut look: impl FnMut(f64) -> Result<()>) -> Result<()> {
    let headers = [("content-type", "application/json")];
    let path = format!("/api/v1/blobs/{blob}/fetch");
    let mut events = node
        .client()?
        .event_stream("POST", &path, &headers, b"{}")?;
    let mut last = None;
    while let Some(event) = events.next()? {
        let step: Value = serde_json::from_str(&event.data)?;
        let bytes = |name: &str| step[name].as_f64().unwrap_or(0.0);
        look(bytes("held_bytes") / bytes("total_bytes").max(1.0))?;
        last = Some(event);
    }
    let last = last.context("the fetch said nothing")?;
    ensure!(
        last.data.contains("done") || last.event == "done",
        "the fetch ended with {last:?}"
    );
    Ok(())
}

/// Seconds that iroh-blobs takes between two endpoints and two stores on disk.
async fn iroh_alone(stage: &Stage, file: &Path, run: usize) -> Result<f64> {
    let (from, to) = (
        stage.path(&format!("iroh-from-{run}")),
        stage.path(&format!("iroh-to-{run}")),
    );
    let provider = FsStore::load(&from).await?;
    let tag = provider.blobs().add_path(file).await?;
    let here = Endpoint::builder(presets::Minimal)
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::LOCALHOST, 0))?
        .bind()
        .await?;
    let router = Router::builder(here.clone())
        .accept(iroh_blobs::ALPN, BlobsProtocol::new(&provider, None))
        .spawn();
    let addresses = MemoryLookup::new();
    addresses.add_endpoint_info(here.addr());
    let there = Endpoint::builder(presets::Minimal)
        .address_lookup(addresses)
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::LOCALHOST, 0))?
        .bind()
        .await?;
    let store = FsStore::load(&to).await?;
    let start = std::time::Instant::now();
    store
        .downloader(&there)
        .download(tag.hash, [here.id()])
        .await?;
    let took = start.elapsed().as_secs_f64();
    there.close().await;
    // Ends the provider's store, too.
    router.shutdown().await?;
    store.shutdown().await?;
    std::fs::remove_dir_all(&from)?;
    std::fs::remove_dir_all(&to)?;
    Ok(took)
}
