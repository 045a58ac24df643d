//! Each program reads a file that only the other has.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::interop::corpus;
use crate::interop::stage::{Stage, add_as_ipfs, arg, same_bytes, text};

/// Ten leaves, the last one short.
const FILE_BYTES: u64 = (9 << 20) + 54_321;
/// The self-signed certificate in the data folder.
const CERTIFICATE: &str = "tls-self-signed.crt";

/// Kubo finds a file by our `/routing/v1` and fetches it over HTTPS with HTTP/2: it has no other
/// way to it.
///
/// # Errors
/// When it doesn't come, or the bytes differ.
pub fn kubo_reads(stage: &Stage) -> Result<String> {
    let setup = stage.setup("https").args(["--tls-self-signed"]);
    let certificate = setup.data().join(CERTIFICATE);
    let node = setup.start()?;
    ensure!(
        node.url.starts_with("https://"),
        "with --tls-self-signed, the node is at {}",
        node.url
    );
    let (file, read) = (stage.path("https.bin"), stage.path("https.read"));
    corpus::file(&file, FILE_BYTES, 4)?;
    let cid = add_as_ipfs(&node, &file)?;
    let daemon = stage
        .repo("https-kubo")?
        .retrieve_by(&node.url, Some(certificate))?
        .daemon()?;
    let start = Instant::now();
    daemon
        .repo()
        .write(&["--timeout=60s", "cat", &cid], &read)
        .context("Kubo fetches over HTTPS")?;
    let took = start.elapsed().as_secs_f32();
    same_bytes(&file, &read)?;
    Ok(format!("{FILE_BYTES} bytes in {took:.2} s"))
}

/// `datt get` of a file that only Kubo has, through Kubo's gateway, which is believed nothing.
///
/// # Errors
/// When it doesn't come, or the bytes differ.
pub fn datt_reads(stage: &Stage) -> Result<String> {
    let (file, read) = (stage.path("gateway.bin"), stage.path("gateway.read"));
    corpus::file(&file, FILE_BYTES, 5)?;
    let repo = stage.repo("gateway-kubo")?;
    let cid = repo.add(&file)?;
    let daemon = repo.daemon()?;
    let node = stage
        .setup("gateway")
        .env("DATT_IPFS_GATEWAYS", &daemon.gateway)
        .start()?;
    let start = Instant::now();
    node.json(&["get", &cid, "-o", arg(&read)?])?;
    let took = start.elapsed().as_secs_f32();
    same_bytes(&file, &read)?;
    // held now: without Kubo, too, and under the same name when it is added
    drop(daemon);
    let added = node.json(&["add", arg(&file)?])?;
    ensure!(
        text(&added[0], "ipfs")? == cid,
        "the file that came as {cid} is added as {added}"
    );
    let served = node.reader()?.get(&format!("/ipfs/{cid}"))?;
    ensure!(
        served.status == 200,
        "after fetching, /ipfs/{cid} answers {}",
        served.status
    );
    Ok(format!("{FILE_BYTES} bytes in {took:.2} s"))
}
