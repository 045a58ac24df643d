//! A million block headers: judged as they come, loaded from disk, held in memory, reorganised;
//! against how fast this machine hashes 80 bytes twice.

use std::fs;

use anyhow::{Context, Result, ensure};
use bitcoin::block::Header;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{BlockHash, Target, TxMerkleNode};
use spv::Network;
use spv::chain::{HeaderChain, HeaderFile};

use crate::row::Row;
use crate::stage::{Stage, seconds};

const HEADERS: u32 = 1_000_000;
/// Headers that a peer sends at a time.
const BATCH: usize = 2_000;
/// Far ahead of every header here, seconds since 1970.
const NOW_S: u32 = u32::MAX;
/// How often what is compared is done.
const ROUNDS: usize = 3;
const NAME: &str = "headers";

pub fn run(stage: &Stage) -> Result<()> {
    let count = if stage.small { HEADERS / 50 } else { HEADERS };
    let first = HeaderChain::new(Network::Regtest);
    let start = first.header(0).context("the first block")?;
    let headers = mined(&start, count);

    // the best of some rounds of each: both take less time than other programs' bursts
    let (mut hashed_s, mut judged_s) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        hashed_s = hashed_s.min(hashed(count)?);
        let (chain, taken_s) = seconds(|| judged(&headers))?;
        ensure!(chain.tip().height == count, "not all were taken");
        judged_s = judged_s.min(taken_s);
    }
    Row::new(NAME, format!("{count} headers judged, one core")).below(judged_s, 3.0, "s");
    Row::new(
        NAME,
        "headers judged, against hashing 80 bytes twice, one core",
    )
    .ratio(
        f64::from(count) / judged_s,
        f64::from(count) / hashed_s,
        "headers/s",
        0.5,
    );

    let path = stage.path(NAME);
    let (mut file, _) = HeaderFile::open(&path, Network::Regtest)?;
    file.append(&headers)?;
    drop(file);
    let fork = headers[headers.len() - 7];
    drop(headers);
    let before_kib = resident_kib()?;
    let ((_, mut chain), loaded_s) = seconds(|| Ok(HeaderFile::open(&path, Network::Regtest)?))?;
    let held_kib = resident_kib()?.saturating_sub(before_kib);
    ensure!(chain.tip().height == count, "not all were loaded");
    Row::new(NAME, format!("{count} headers loaded from disk")).below(loaded_s, 1.0, "s");
    Row::new(NAME, format!("memory of {count} headers")).below(
        f64::from(u32::try_from(held_kib)?) / 1024.0,
        150.0,
        "MiB",
    );

    let branch = mined(&fork, 7);
    let (change, reorganised_s) = seconds(|| Ok(chain.accept(&branch, NOW_S)?))?;
    let moved = (change.disconnected.len(), change.connected.len());
    ensure!(moved == (6, 7), "{moved:?} blocks moved");
    Row::new(
        NAME,
        "six blocks replaced by seven at the end of that chain",
    )
    .below(reorganised_s * 1e3, 10.0, "ms");
    fs::remove_file(path)?;
    Ok(())
}

/// How many seconds double SHA-256 of as many different 80 bytes takes.
fn hashed(count: u32) -> Result<f64> {
    let mut bytes = [7; 80];
    let (seen, taken_s) = seconds(|| {
        let mut seen = 0_u8;
        for number in 0..count {
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            seen ^= sha256d::Hash::hash(&bytes).as_byte_array()[0];
        }
        Ok(seen)
    })?;
    std::hint::black_box(seen);
    Ok(taken_s)
}

/// Headers on top of one, as regtest has them: two tries each. Its nonce and another root make
/// them differ from siblings.
fn mined(parent: &Header, count: u32) -> Vec<Header> {
    let target = Target::from_compact(parent.bits);
    let mut header = *parent;
    let mut hash = parent.block_hash();
    let mut next = |salt: u32| {
        let mut root = [1; 32];
        root[..4].copy_from_slice(&(salt ^ count).to_le_bytes());
        header.version = bitcoin::block::Version::from_consensus(0x2000_0000);
        header.prev_blockhash = hash;
        header.merkle_root = TxMerkleNode::from_byte_array(root);
        header.time += 600;
        hash = ground(&mut header, target);
        header
    };
    (0..count).map(&mut next).collect()
}

fn ground(header: &mut Header, target: Target) -> BlockHash {
    header.nonce = 0;
    loop {
        let hash = header.block_hash();
        if target.is_met_by(hash) {
            return hash;
        }
        header.nonce += 1;
    }
}

fn judged(headers: &[Header]) -> Result<HeaderChain> {
    let mut chain = HeaderChain::new(Network::Regtest);
    for batch in headers.chunks(BATCH) {
        chain.accept(batch, NOW_S)?;
    }
    Ok(chain)
}

/// What this process holds of the machine's memory, in KiB.
fn resident_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("no RssAnon in /proc/self/status")?.parse()?)
}
